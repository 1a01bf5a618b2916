//! Frames on a stream: four bytes of length, most significant first, then so many opaque bytes.
//!
//! What must hold: a length is believed only as fast as its bytes arrive, and never beyond the agreed maximum; bytes beyond
//! the frame are not asked for.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of the length before each frame.
pub(super) const HEADER_BYTES: usize = 4;

/// Memory that a mere length gets; beyond it, as much again as has arrived.
const BELIEVED_BYTES: usize = 1 << 20;

/// The frame is longer than the maximum: its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameTooLong(pub(super) usize);

/// The header of a frame of these bytes.
pub(super) fn header(length: usize, length_max: usize) -> Result<Bytes, FrameTooLong> {
    match u32::try_from(length) {
        Ok(wire) if length <= length_max => Ok(Bytes::copy_from_slice(&wire.to_be_bytes())),
        _ => Err(FrameTooLong(length)),
    }
}

/// The frame that is arriving.
#[derive(Debug)]
pub(super) struct FrameAssembly {
    length_max: usize,
    header: [u8; HEADER_BYTES],
    header_arrived: usize,
    /// Known once the header is complete.
    length: usize,
    body: BytesMut,
}

impl FrameAssembly {
    pub(super) fn new(length_max: usize) -> Self {
        Self { length_max, header: [0; HEADER_BYTES], header_arrived: 0, length: 0, body: BytesMut::new() }
    }

    /// Bytes to ask for next; at least one.
    pub(super) fn wanted(&self) -> usize {
        match HEADER_BYTES - self.header_arrived {
            0 => self.length - self.body.len(),
            missing => missing,
        }
    }

    /// Whether nothing of a frame has arrived.
    pub(super) fn is_between_frames(&self) -> bool {
        self.header_arrived == 0
    }

    /// Takes at most [`FrameAssembly::wanted`] bytes; gives the frame that they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<Bytes>, FrameTooLong> {
        assert!(bytes.len() <= self.wanted(), "bytes of the next frame would be lost");
        if self.header_arrived < HEADER_BYTES {
            self.header[self.header_arrived..][..bytes.len()].copy_from_slice(bytes);
            self.header_arrived += bytes.len();
            if self.header_arrived < HEADER_BYTES {
                return Ok(None);
            }
            let length = usize::try_from(u32::from_be_bytes(self.header)).unwrap_or(usize::MAX);
            if length > self.length_max {
                return Err(FrameTooLong(length));
            }
            self.length = length;
            self.body.reserve(length.min(BELIEVED_BYTES));
        } else {
            if self.body.capacity() - self.body.len() < bytes.len() {
                let missing = self.length - self.body.len();
                self.body.reserve(missing.min(self.body.len()).max(bytes.len()));
            }
            self.body.put_slice(bytes);
        }
        if self.body.len() < self.length {
            return Ok(None);
        }
        self.header_arrived = 0;
        self.length = 0;
        Ok(Some(std::mem::take(&mut self.body).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8 << 20;

    fn wire(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut wire = Vec::new();
        for frame in frames {
            wire.extend_from_slice(&header(frame.len(), MAX).expect("fits"));
            wire.extend_from_slice(frame);
        }
        wire
    }

    #[test]
    fn frames_come_out_however_the_bytes_are_cut() {
        let sizes = [0, 1, 3, 4, 5, 1000, 0, 70_000, BELIEVED_BYTES + 1, 3 * BELIEVED_BYTES + 17];
        let frames: Vec<Vec<u8>> =
            sizes.iter().map(|size| (0..*size).map(|at| (at * 31 % 251) as u8).collect()).collect();
        let wire = wire(&frames);
        for step in [1, 2, 3, 7, 1452, 65_507, usize::MAX] {
            if step < 7 && wire.len() > 1 << 16 && step != 3 {
                continue;
            }
            let mut assembly = FrameAssembly::new(MAX);
            let (mut rest, mut arrived) = (wire.as_slice(), Vec::new());
            while !rest.is_empty() {
                let (bytes, behind) = rest.split_at(assembly.wanted().min(step).min(rest.len()));
                assert!(!bytes.is_empty());
                arrived.extend(assembly.push(bytes).expect("fits").map(|frame| frame.to_vec()));
                rest = behind;
            }
            assert!(assembly.is_between_frames());
            assert!(arrived == frames, "in steps of {step}");
        }
    }

    #[test]
    fn a_length_is_believed_as_its_bytes_arrive() {
        let mut assembly = FrameAssembly::new(1 << 30);
        assembly.push(&(1_u32 << 30).to_be_bytes()).expect("fits");
        assert!(assembly.body.capacity() <= 2 * BELIEVED_BYTES);
        let piece = vec![7; 64 << 10];
        let mut arrived = 0;
        while arrived < 8 * BELIEVED_BYTES {
            assert_eq!(assembly.push(&piece).expect("fits"), None);
            arrived += piece.len();
            assert!(assembly.body.capacity() <= 3 * arrived.max(BELIEVED_BYTES), "{arrived}");
        }
    }

    #[test]
    fn frames_beyond_the_maximum_are_refused_on_both_sides() {
        let mut assembly = FrameAssembly::new(10);
        assert_eq!(assembly.push(&11_u32.to_be_bytes()), Err(FrameTooLong(11)));
        assert_eq!(header(11, 10), Err(FrameTooLong(11)));
        assert_eq!(header(10, 10).as_deref(), Ok(&[0, 0, 0, 10][..]));
    }
}

//! Reading the payloads that a replay applies: frames that stand one behind the other by one read, several reads at once.
use alloc::vec::Vec;

use crate::disk::{DiskError, DiskFile};
use crate::journal::heads::Found;

/// Bytes of frames that are read together; a larger frame stands alone.
const STRETCH_BYTES: usize = 1 << 20;

/// Stretches that are read at once, ahead of what is applied.
pub(super) const STRETCHES_AT_ONCE: usize = 4;

/// A part of a journal file: one or more whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) file: usize,
    position: u64,
    length: usize,
}

/// The frames, which are in order, as few stretches.
pub(super) fn stretches<'a>(frames: impl Iterator<Item = &'a Found>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for found in frames {
        let (file, position, length) = (found.file, found.position, found.frame.length);
        match stretches.last_mut() {
            Some(last)
                if last.file == file
                    && last.position + last.length as u64 == position
                    && last.length + length <= STRETCH_BYTES =>
            {
                last.length += length;
            }
            _ => stretches.push(Stretch { file, position, length }),
        }
    }
    stretches
}

/// The bytes of a stretch.
pub(super) struct Contents {
    stretch: Stretch,
    bytes: Vec<u8>,
}

impl Contents {
    /// Reads a stretch of this file.
    pub(super) async fn read<F: DiskFile>(file: &F, stretch: Stretch) -> Result<Contents, DiskError> {
        let mut bytes = Vec::with_capacity(stretch.length);
        while bytes.len() < stretch.length {
            let wanted = (stretch.length - bytes.len()).min(STRETCH_BYTES);
            let piece = file.read_at(stretch.position + bytes.len() as u64, wanted).await?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(piece.as_slice());
        }
        Ok(Contents { stretch, bytes })
    }

    /// Bytes that were read.
    pub(super) fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether the frame is of this stretch.
    pub(super) fn covers(&self, found: &Found) -> bool {
        let Stretch { file, position, length } = self.stretch;
        found.file == file && (position..position + length as u64).contains(&found.position)
    }

    /// The bytes of a frame of this stretch; `None` where the file is shorter than it was.
    pub(super) fn frame(&self, found: &Found) -> Option<&[u8]> {
        let start = usize::try_from(found.position - self.stretch.position).ok()?;
        self.bytes.get(start..start + found.frame.length)
    }
}

//! Walks the batches of a segment's file: recovery, and making an index again.
//!
//! A walk believes nothing: each batch must carry the next offset, an epoch that does not fall and a good checksum, and
//! must end inside the file. It reads past the page cache in large pieces and sums batches where they were read: a batch at
//! the end of a piece is read again with what follows, and only a long one is put together. Memory is one piece, and the
//! largest batch that was put together.
//!
//! What must hold: no piece is held while another is waited for, or walks that share little memory would wait for each other.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::batch::{self, BATCH_HEADER_BYTES, BatchHeader};
use crate::disk::{AlignedBuffer, DiskError, DiskFile};
use crate::error::Corruption;

/// Bytes of one read.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes of a batch's beginning that are rather read again than put together with the rest.
const READ_AGAIN_BYTES_MAX: usize = 64 << 10;

/// Largest batch that is believed: above every `max.message.bytes` that a node accepts.
/// A damaged length must not make us read a gigabyte to find out.
pub(crate) const BATCH_BYTES_MAX: usize = 128 << 20;

/// What stands at a position where a batch should begin.
pub(crate) enum Found {
    /// The next batch.
    Batch(BatchHeader),
    /// The file ends here, or goes on with zeros only up to its end or for at least a header.
    End,
    /// Something else.
    Bad { position: u64, expected: String, got: String },
}

/// A walk over one file.
pub(crate) struct Scan<F> {
    file: F,
    /// Positions of direct reads are multiples of it.
    block_bytes: u64,
    length: u64,
    /// Bytes of the file from `window_start` on.
    window: Window,
    window_start: u64,
    /// Memory in which the next batch is put together.
    spare: Vec<u8>,
    position: u64,
    /// Base offset that the next batch must have.
    next_offset: i64,
    /// Lowest leader epoch that the next batch may have.
    leader_epoch: i32,
    /// Bytes of the batch that was found last.
    last_length: usize,
}

/// A part of the file in memory.
enum Window {
    /// As it was read.
    Piece(AlignedBuffer),
    /// Put together of several pieces.
    Joined(Vec<u8>),
}

impl Window {
    fn as_slice(&self) -> &[u8] {
        match self {
            Window::Piece(piece) => piece.as_slice(),
            Window::Joined(bytes) => bytes,
        }
    }
}

impl<F: DiskFile> Scan<F> {
    /// A walk from `position`, where the batch with base offset `next_offset` should begin.
    pub(crate) fn new(
        file: &F,
        block_bytes: u64,
        length: u64,
        position: u64,
        next_offset: i64,
        leader_epoch: i32,
    ) -> Scan<F> {
        let window = Window::Joined(Vec::new());
        Scan {
            file: file.clone(),
            block_bytes,
            length,
            window,
            window_start: position,
            spare: Vec::new(),
            position,
            next_offset,
            leader_epoch,
            last_length: 0,
        }
    }

    /// The file that it walks.
    pub(crate) fn file(&self) -> &F {
        &self.file
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The bytes of the batch that was found last; they are there until the next is looked for.
    pub(crate) fn last_batch(&self) -> &[u8] {
        let end = usize::try_from(self.position - self.window_start).expect("the window is in memory");
        &self.window.as_slice()[end - self.last_length..end]
    }

    /// Offset behind the last good batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Whether everything from here to the end of the file is in memory and zero: the padding of the last write.
    pub(crate) fn rest_is_zero(&self) -> bool {
        let held = self.held();
        held.len() as u64 >= self.length - self.position && held.iter().all(|byte| *byte == 0)
    }

    /// The next batch, or why there is none. Stays in front of what is not a batch.
    pub(crate) async fn next(&mut self) -> Result<Found, DiskError> {
        let position = self.position;
        self.fill(BATCH_HEADER_BYTES).await?;
        let head = self.held();
        let head = &head[..head.len().min(BATCH_HEADER_BYTES)];
        if head.iter().all(|byte| *byte == 0) {
            return Ok(Found::End);
        }
        let header = match BatchHeader::parse(head) {
            Ok(header) => header,
            Err(reason) => return Ok(self.bad("a record batch", String::from(reason))),
        };
        if header.base_offset != self.next_offset {
            return Ok(self.bad("the next base offset", format!("{}", header.base_offset)));
        }
        if header.leader_epoch < self.leader_epoch && header.leader_epoch != -1 {
            return Ok(self.bad("an epoch that does not fall", format!("{}", header.leader_epoch)));
        }
        let rest = self.length - position;
        if header.length as u64 > rest || header.length > BATCH_BYTES_MAX {
            return Ok(
                self.bad("a batch that ends in the file", format!("{} of {rest} bytes", header.length))
            );
        }
        self.fill(header.length).await?;
        let held = self.held();
        let Some(bytes) = held.get(..header.length) else {
            return Ok(self.bad("a batch that ends in the file", format!("{} bytes of it", held.len())));
        };
        let (stated, found) = (batch::checksum_stated(bytes), batch::checksum_of(bytes));
        if stated != found {
            return Ok(self.bad(&format!("checksum {stated:08x}"), format!("{found:08x}")));
        }
        self.position += header.length as u64;
        self.last_length = header.length;
        self.next_offset = header.next_offset();
        self.leader_epoch = self.leader_epoch.max(header.leader_epoch);
        Ok(Found::Batch(header))
    }

    fn bad(&self, expected: &str, got: String) -> Found {
        let expected =
            format!("{expected} (offset {}, epoch at least {})", self.next_offset, self.leader_epoch);
        Found::Bad { position: self.position, expected, got }
    }

    /// Bytes that are in memory, from the position on; none of what may stand behind `length`.
    fn held(&self) -> &[u8] {
        let start = usize::try_from(self.position - self.window_start).expect("the window is in memory");
        let window = self.window.as_slice();
        let length = usize::try_from(self.length.saturating_sub(self.window_start)).unwrap_or(usize::MAX);
        window.get(start..window.len().min(length)).unwrap_or_default()
    }

    /// Reads until `count` bytes from the position on are in memory, or the file ends.
    async fn fill(&mut self, count: usize) -> Result<(), DiskError> {
        let rest = self.length.saturating_sub(self.position);
        let count = usize::try_from(rest).map_or(count, |rest| count.min(rest));
        let held = self.held().len();
        if held >= count {
            return Ok(());
        }
        let aligned = self.position - self.position % self.block_bytes;
        let skip = usize::try_from(self.position - aligned).expect("less than a block");
        if held > READ_AGAIN_BYTES_MAX || skip + count > PIECE_BYTES {
            return self.join(count).await;
        }
        self.clear_window();
        self.window = Window::Piece(self.file.read_at(aligned, PIECE_BYTES).await?);
        self.window_start = aligned;
        Ok(())
    }

    /// Puts `count` bytes from the position on together of what is in memory and what follows.
    async fn join(&mut self, count: usize) -> Result<(), DiskError> {
        let mut joined = match core::mem::replace(&mut self.window, Window::Joined(Vec::new())) {
            Window::Joined(mut bytes) => {
                let done = usize::try_from(self.position - self.window_start).expect("it is in memory");
                bytes.drain(..done.min(bytes.len()));
                bytes
            }
            window @ Window::Piece(_) => {
                self.window = window;
                let mut bytes = core::mem::take(&mut self.spare);
                bytes.extend_from_slice(self.held());
                self.clear_window();
                bytes
            }
        };
        while joined.len() < count {
            let from = self.position + joined.len() as u64;
            let aligned = from - from % self.block_bytes;
            let piece = self.file.read_at(aligned, PIECE_BYTES).await?;
            let skip = usize::try_from(from - aligned).expect("less than a block");
            let until = usize::try_from((self.length - aligned).min(piece.len() as u64)).expect("one piece");
            if until <= skip {
                break; // The file is shorter than it was: what is missing shows as a batch that does not end.
            }
            joined.extend_from_slice(&piece.as_slice()[skip..until]);
        }
        self.window = Window::Joined(joined);
        self.window_start = self.position;
        Ok(())
    }

    /// Lets go of what is in memory; a piece goes back to the pool.
    fn clear_window(&mut self) {
        if let Window::Joined(mut bytes) = core::mem::replace(&mut self.window, Window::Joined(Vec::new())) {
            bytes.clear();
            self.spare = bytes;
        }
    }
}

/// Looks for a batch behind `from` that continues the log: proof that what stands before it was written once.
///
/// Only a batch with a good checksum, an offset above `above_offset` and an epoch of at least `leader_epoch` counts.
pub(crate) async fn find_continuation<F: DiskFile>(
    file: &F,
    block_bytes: u64,
    length: u64,
    from: u64,
    above_offset: i64,
    leader_epoch: i32,
) -> Result<Option<u64>, DiskError> {
    let mut position = from;
    while position + (BATCH_HEADER_BYTES as u64) < length {
        let aligned = position - position % block_bytes;
        let piece = file.read_at(aligned, PIECE_BYTES).await?;
        let skip = usize::try_from(position - aligned).expect("less than a block");
        let bytes = piece.as_slice().get(skip..).unwrap_or_default();
        if bytes.len() < BATCH_HEADER_BYTES {
            return Ok(None);
        }
        let last_start = bytes.len() - BATCH_HEADER_BYTES;
        for start in 0..=last_start {
            if bytes[start + 16] != 2 || bytes[start] != 0 || bytes[start + 8] != 0 {
                continue; // Not magic 2, or an offset or a length that is out of all proportion.
            }
            let Ok(header) = BatchHeader::parse(&bytes[start..]) else { continue };
            let at = position + start as u64;
            let plausible = header.base_offset > above_offset
                && header.leader_epoch >= leader_epoch
                && header.length as u64 <= length - at;
            if !plausible {
                continue;
            }
            let mut scan = Scan::new(file, block_bytes, length, at, header.base_offset, leader_epoch);
            if matches!(scan.next().await?, Found::Batch(_)) {
                return Ok(Some(at));
            }
        }
        position += last_start as u64 + 1;
    }
    Ok(None)
}

/// The error for something bad in a file whose bytes were durable.
pub(crate) fn corruption(file: &str, position: u64, expected: String, got: String) -> Corruption {
    Corruption { file: file.into(), position, expected, got }
}

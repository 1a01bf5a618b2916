//! Walks the batches of a segment's file: recovery, and making an index again.
//!
//! A walk believes nothing: each batch must carry the next offset, an epoch that does not fall and a good checksum, and
//! must end inside the file. It reads past the page cache in large pieces; memory is one piece plus the largest batch.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::batch::{self, BATCH_HEADER_BYTES, BatchHeader};
use crate::disk::{DiskError, DiskFile};
use crate::error::Corruption;

/// Bytes of one read.
const PIECE_BYTES: usize = 1 << 20;

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
    window: Vec<u8>,
    window_start: u64,
    position: u64,
    /// Base offset that the next batch must have.
    next_offset: i64,
    /// Lowest leader epoch that the next batch may have.
    leader_epoch: i32,
    /// Bytes of the batch that was found last.
    last_length: usize,
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
        let window = Vec::new();
        Scan {
            file: file.clone(),
            block_bytes,
            length,
            window,
            window_start: position,
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
        &self.window[end - self.last_length..end]
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
        let bytes = &self.held()[..header.length];
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

    /// Bytes that are in memory, from the position on.
    fn held(&self) -> &[u8] {
        let start = usize::try_from(self.position - self.window_start).expect("the window is in memory");
        &self.window[start.min(self.window.len())..]
    }

    /// Reads until `count` bytes from the position on are in memory, or the file ends.
    async fn fill(&mut self, count: usize) -> Result<(), DiskError> {
        if self.held().len() >= count {
            return Ok(());
        }
        let done = usize::try_from(self.position - self.window_start).expect("the window is in memory");
        self.window.drain(..done.min(self.window.len()));
        self.window_start = self.position;
        while self.window.len() < count {
            let from = self.window_start + self.window.len() as u64;
            if from >= self.length {
                break;
            }
            let aligned = from - from % self.block_bytes;
            let piece = self.file.read_at(aligned, PIECE_BYTES).await?;
            let skip = usize::try_from(from - aligned).expect("less than a block");
            let until = usize::try_from((self.length - aligned).min(piece.len() as u64)).expect("one piece");
            if until <= skip {
                break; // The file is shorter than it was: what is missing shows as a batch that does not end.
            }
            self.window.extend_from_slice(&piece.as_slice()[skip..until]);
        }
        Ok(())
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

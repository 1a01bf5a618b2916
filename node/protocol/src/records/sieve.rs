//! Takes records out of a batch: what compaction leaves of it, in the form that Kafka gives to such a batch.
//!
//! What must hold for what comes out: first and last offset, producer, sequence, leader epoch, codec and whose clock the
//! timestamps are of stay; the records that stay keep their offsets, timestamps, keys, values and headers; length, count,
//! largest timestamp and checksum are those of the result. Which records stay is the caller's decision.
//! Does not do: decompression (see [`RecordBatch::decompress`]), whole batches that nothing is taken out of.

use alloc::vec::Vec;

use zerocopy::IntoBytes;

use super::header::LENGTH_PREFIX_BYTES;
use super::record::records_from;
use super::rewrite::seal;
use super::{
    Attributes, BATCH_HEADER_BYTES, BatchError, Compression, MAGIC, Record, RecordBatch, RecordBatchHeader,
    TimestampType,
};
use crate::codec::{Reader, varint_size, varlong_size, write_varint, write_varlong};

/// In place of a timestamp.
const NO_TIMESTAMP: i64 = -1;

/// How far a walk over the records of a batch got; the walk may stop after any record and go on later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordCursor {
    /// In the uncompressed bytes.
    position: usize,
    /// Of the next record.
    index: i32,
}

impl RecordCursor {
    /// The next record and its own bytes; `None` after the last. `uncompressed` is the same at each call.
    pub fn next<'r>(
        &mut self,
        batch: &RecordBatch<'_>,
        uncompressed: &'r [u8],
    ) -> Option<Result<(Record<'r>, &'r [u8]), BatchError>> {
        let rest = uncompressed.get(self.position..).unwrap_or_default();
        let mut records = records_from(batch, rest, self.index);
        let record = records.next()?;
        let length = rest.len() - records.remaining();
        self.position += length;
        self.index += 1;
        Some(record.map(|record| (record, &rest[..length])))
    }
}

/// What stays of a batch whose records are judged one by one.
#[derive(Debug, Default)]
pub struct Sieve {
    cursor: RecordCursor,
    /// The records that stay, as they stood in the batch.
    kept: Vec<u8>,
    kept_count: i32,
    removed_count: i32,
    max_timestamp: Option<i64>,
    keeps_tombstone: bool,
}

impl Sieve {
    /// Judges at most so many further records; `keep` says which stay. Says whether all were judged.
    pub fn judge(
        &mut self,
        batch: &RecordBatch<'_>,
        uncompressed: &[u8],
        records_max: usize,
        mut keep: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<bool, BatchError> {
        for _ in 0..records_max {
            let Some(next) = self.cursor.next(batch, uncompressed) else { return Ok(true) };
            let (record, bytes) = next?;
            if !keep(&record) {
                self.removed_count += 1;
                continue;
            }
            self.kept.extend_from_slice(bytes);
            self.kept_count += 1;
            self.keeps_tombstone |= record.value.is_none();
            self.max_timestamp = self.max_timestamp.max(Some(record.timestamp));
        }
        Ok(false)
    }

    /// Records that stay so far.
    #[must_use]
    pub const fn kept_count(&self) -> i32 {
        self.kept_count
    }

    /// Records that go so far.
    #[must_use]
    pub const fn removed_count(&self) -> i32 {
        self.removed_count
    }

    /// Whether one of those that stay marks a deleted key: it has no value.
    #[must_use]
    pub const fn keeps_tombstone(&self) -> bool {
        self.keeps_tombstone
    }

    /// Bytes of the records that stay, uncompressed.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.kept.len()
    }

    /// The batch with the records that stay. With `delete_horizon_ms` it says from now on when its tombstones may go
    /// (KIP-534); a batch that says so already keeps what it says.
    ///
    /// # Panics
    /// If no record stays, or a batch of 2 GiB would come out.
    pub fn finish(
        mut self,
        batch: &RecordBatch<'_>,
        delete_horizon_ms: Option<i64>,
    ) -> Result<Vec<u8>, BatchError> {
        let max_kept = self.max_timestamp.expect("a batch without records is made by `empty_batch`");
        let attributes = batch.attributes();
        let codec = attributes.compression().map_err(BatchError::UnsupportedCompression)?;
        let set_horizon = delete_horizon_ms.filter(|_| !attributes.has_delete_horizon());
        if let Some(horizon) = set_horizon {
            self.kept = rebase(batch, &self.kept, self.kept_count, horizon)?;
        }
        let records = compressed(codec, self.kept)?;
        let mut header = *batch.header();
        let length = i32::try_from(BATCH_HEADER_BYTES - LENGTH_PREFIX_BYTES + records.len());
        header.batch_length = length.expect("a batch is shorter than 2 GiB").into();
        header.record_count = self.kept_count.into();
        if let Some(horizon) = set_horizon {
            header.base_timestamp = horizon.into();
            header.attributes = attributes.with_delete_horizon().0.into();
        }
        if attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = max_kept.into();
        }
        let mut bytes = Vec::with_capacity(BATCH_HEADER_BYTES + records.len());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&records);
        seal(&mut bytes);
        Ok(bytes)
    }
}

#[cfg(feature = "std")]
#[expect(clippy::unnecessary_wraps, reason = "without `std` there is no codec")]
fn compressed(codec: Compression, records: Vec<u8>) -> Result<Vec<u8>, BatchError> {
    Ok(if codec == Compression::None { records } else { super::compress(codec, &records) })
}

#[cfg(not(feature = "std"))]
fn compressed(codec: Compression, records: Vec<u8>) -> Result<Vec<u8>, BatchError> {
    match codec {
        Compression::None => Ok(records),
        _ => Err(BatchError::UnsupportedCompression(Attributes::default().with_compression(codec).0)),
    }
}

/// The same records with timestamps relative to another base.
fn rebase(batch: &RecordBatch<'_>, kept: &[u8], count: i32, base: i64) -> Result<Vec<u8>, BatchError> {
    /// What a delta grows by at most.
    const GROWTH: usize = 10;
    let invalid =
        |index, error: crate::codec::DecodeError| BatchError::InvalidRecord { index, error: error.into() };
    let mut rebased = Vec::with_capacity(kept.len() + count.unsigned_abs() as usize * GROWTH);
    let mut cursor = RecordCursor::default();
    let mut header = *batch.header();
    header.record_count = count.into();
    let all = RecordBatch::of_header(&header);
    while let Some(next) = cursor.next(&all, kept) {
        let (record, bytes) = next?;
        // Behind size, attributes and time nothing changes.
        let mut reader = Reader::new(bytes);
        let rest = (|| {
            reader.varint()?;
            let attributes = reader.i8()?;
            reader.varlong()?;
            Ok((attributes, reader.rest()))
        })();
        let (attributes, rest) = rest.map_err(|error| invalid(cursor.index - 1, error))?;
        let delta = record.timestamp.wrapping_sub(base);
        let size = 1 + varlong_size(delta) + rest.len();
        let size = i32::try_from(size).expect("a record is shorter than 2 GiB");
        rebased.reserve(varint_size(size) + rest.len());
        write_varint(&mut rebased, size);
        rebased.push(attributes.cast_unsigned());
        write_varlong(&mut rebased, delta);
        rebased.extend_from_slice(rest);
    }
    Ok(rebased)
}

/// A batch of which nothing stays but who wrote it: kept while a producer may ask for its sequence numbers.
#[must_use]
pub fn empty_batch(batch: &RecordBatch<'_>) -> Vec<u8> {
    let old = batch.attributes();
    let attributes = Attributes::default()
        .with_timestamp_type(old.timestamp_type())
        .with_transactional(old.is_transactional())
        .with_control(old.is_control());
    without_records(RecordBatchHeader {
        attributes: attributes.0.into(),
        base_timestamp: NO_TIMESTAMP.into(),
        ..*batch.header()
    })
}

/// A batch without records that stands for offsets whose records are gone: consumers step over it.
///
/// # Panics
/// If it would span more than 2^31 offsets.
#[must_use]
pub fn gap_batch(base_offset: i64, next_offset: i64, partition_leader_epoch: i32) -> Vec<u8> {
    let last_offset_delta = i32::try_from(next_offset - base_offset - 1).expect("a gap of 32-bit deltas");
    without_records(RecordBatchHeader {
        base_offset: base_offset.into(),
        batch_length: 0.into(),
        partition_leader_epoch: partition_leader_epoch.into(),
        magic: MAGIC,
        crc: 0.into(),
        attributes: Attributes::default().0.into(),
        last_offset_delta: last_offset_delta.into(),
        base_timestamp: NO_TIMESTAMP.into(),
        max_timestamp: NO_TIMESTAMP.into(),
        producer_id: (-1).into(),
        producer_epoch: (-1).into(),
        base_sequence: (-1).into(),
        record_count: 0.into(),
    })
}

fn without_records(header: RecordBatchHeader) -> Vec<u8> {
    let length = i32::try_from(BATCH_HEADER_BYTES - LENGTH_PREFIX_BYTES).expect("a small constant");
    let header = RecordBatchHeader { batch_length: length.into(), record_count: 0.into(), ..header };
    let mut bytes = Vec::from(header.as_bytes());
    seal(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;

//! Makes another batch from a batch: other timestamps, another codec, offsets put right.
//!
//! What must hold: producer id, epoch, sequence and the other attributes stay, and the result has
//! the length and checksum of its bytes. These are the slow paths of an append.

use alloc::vec::Vec;

use super::header::CHECKSUMMED_FROM;
use super::{RecordBatch, RecordBatchHeader, TimestampType, checksum};

/// Sets the checksum of `batch`, which is one whole batch.
pub(super) fn seal(batch: &mut [u8]) {
    debug_assert!(batch.len() > CHECKSUMMED_FROM);
    let crc = checksum(batch);
    header(batch).crc = crc.into();
}

/// The batch with `now` for the time of all its records. The records themselves stay.
#[must_use]
pub fn with_log_append_time(batch: &RecordBatch<'_>, now_ms: i64) -> Vec<u8> {
    with_timestamps(batch, TimestampType::LogAppendTime, now_ms)
}

/// The batch with `max_timestamp` in its header, for producers that leave it out.
#[must_use]
pub fn with_max_timestamp(batch: &RecordBatch<'_>, max_timestamp: i64) -> Vec<u8> {
    with_timestamps(batch, TimestampType::CreateTime, max_timestamp)
}

fn with_timestamps(batch: &RecordBatch<'_>, kind: TimestampType, max_timestamp: i64) -> Vec<u8> {
    let mut bytes = batch.bytes().to_vec();
    let header = header(&mut bytes);
    header.attributes = batch.attributes().with_timestamp_type(kind).0.into();
    header.max_timestamp = max_timestamp.into();
    seal(&mut bytes);
    bytes
}

fn header(batch: &mut [u8]) -> &mut RecordBatchHeader {
    RecordBatchHeader::peek_mut(batch).expect("a batch has a header")
}

#[cfg(feature = "std")]
pub use with_std::{recompress, renumber};

#[cfg(feature = "std")]
mod with_std {
    use super::super::builder::{ProducerState, RecordBatchBuilder};
    use super::super::compression::compress;
    use super::super::header::LENGTH_PREFIX_BYTES;
    use super::super::{BATCH_HEADER_BYTES, BatchError, Compression};
    use super::{RecordBatch, Vec, header, seal};

    /// The batch with its `records`, which were decompressed, in another codec.
    #[must_use]
    pub fn recompress(batch: &RecordBatch<'_>, records: &[u8], codec: Compression) -> Vec<u8> {
        let records = compress(codec, records);
        let mut bytes = batch.bytes()[..BATCH_HEADER_BYTES].to_vec();
        bytes.extend_from_slice(&records);
        let length = i32::try_from(bytes.len() - LENGTH_PREFIX_BYTES)
            .expect("decompressed records are limited to less than 2 GiB");
        let header = header(&mut bytes);
        header.batch_length = length.into();
        header.attributes = batch.attributes().with_compression(codec).0.into();
        seal(&mut bytes);
        bytes
    }

    /// The batch with its `records`, which were decompressed, at consecutive offsets from zero.
    pub fn renumber(
        batch: &RecordBatch<'_>,
        records: &[u8],
        codec: Compression,
    ) -> Result<Vec<u8>, BatchError> {
        let header = batch.header();
        let mut builder = RecordBatchBuilder::new()
            .compression(codec)
            .attributes(batch.attributes())
            .producer(ProducerState {
                producer_id: header.producer_id.get(),
                producer_epoch: header.producer_epoch.get(),
                base_sequence: header.base_sequence.get(),
            });
        for record in batch.records(records) {
            let record = record?;
            builder.push_encoded(record.timestamp, record.key, record.value, record.headers);
        }
        Ok(builder.finish())
    }
}

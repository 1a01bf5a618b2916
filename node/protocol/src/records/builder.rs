//! Builds a record batch from records: for clients, tests, and brokers that must write a batch anew.

use alloc::vec::Vec;

use zerocopy::IntoBytes;

use super::header::LENGTH_PREFIX_BYTES;
use super::record::RecordHeaders;
use super::rewrite::seal;
use super::{Attributes, BATCH_HEADER_BYTES, Compression, MAGIC, RecordBatchHeader, RecordHeader};
use crate::codec::{varint_size, varlong_size, write_varint, write_varlong};

/// The producer of a batch, as far as brokers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// The id that InitProducerId gave.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence number of the batch's first record.
    pub base_sequence: i32,
}

impl ProducerState {
    /// A producer that is not idempotent.
    pub const NONE: Self = Self { producer_id: -1, producer_epoch: -1, base_sequence: -1 };
}

/// A batch that is being filled. Offsets are relative: the broker sets the base.
#[derive(Debug)]
pub struct RecordBatchBuilder {
    compression: Compression,
    attributes: Attributes,
    producer: ProducerState,
    /// Of the first record, and the largest.
    timestamps: Option<(i64, i64)>,
    count: i32,
    /// Room for the header, then the records, uncompressed.
    bytes: Vec<u8>,
}

impl Default for RecordBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordBatchBuilder {
    /// An empty batch, uncompressed, of a producer that is not idempotent.
    #[must_use]
    pub fn new() -> Self {
        Self {
            compression: Compression::None,
            attributes: Attributes::default(),
            producer: ProducerState::NONE,
            timestamps: None,
            count: 0,
            bytes: alloc::vec![0; BATCH_HEADER_BYTES],
        }
    }

    /// Compresses the records when the batch is finished.
    #[cfg(feature = "std")]
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Names the producer.
    #[must_use]
    pub const fn producer(mut self, producer: ProducerState) -> Self {
        self.producer = producer;
        self
    }

    /// Attributes other than the compression: timestamp type, transactional, control.
    #[must_use]
    pub const fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Records so far.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.count
    }

    /// Size of the batch so far, before compression.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record without headers.
    pub fn push(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.push_with_headers(timestamp, key, value, &[]);
    }

    /// Adds a record.
    pub fn push_with_headers(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) {
        let mut bytes = Vec::new();
        for header in headers {
            write_nullable(&mut bytes, Some(header.key));
            write_nullable(&mut bytes, header.value);
        }
        self.push_encoded(
            timestamp,
            key,
            value,
            RecordHeaders { count: headers.len() as i32, bytes: &bytes },
        );
    }

    /// Adds a record whose headers are encoded already.
    pub(super) fn push_encoded(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: RecordHeaders<'_>,
    ) {
        let (base, max) = self.timestamps.unwrap_or((timestamp, timestamp));
        self.timestamps = Some((base, max.max(timestamp)));
        let timestamp_delta = timestamp.wrapping_sub(base);
        let size = 1
            + varlong_size(timestamp_delta)
            + varint_size(self.count)
            + nullable_size(key)
            + nullable_size(value)
            + varint_size(headers.count)
            + headers.bytes.len();
        let size = i32::try_from(size).expect("a record is shorter than 2 GiB");
        write_varint(&mut self.bytes, size);
        self.bytes.push(0);
        write_varlong(&mut self.bytes, timestamp_delta);
        write_varint(&mut self.bytes, self.count);
        write_nullable(&mut self.bytes, key);
        write_nullable(&mut self.bytes, value);
        write_varint(&mut self.bytes, headers.count);
        self.bytes.extend_from_slice(headers.bytes);
        self.count += 1;
    }

    /// The batch.
    ///
    /// # Panics
    /// If it has no record, or 2 GiB of them.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let (base_timestamp, max_timestamp) = self.timestamps.expect("a batch has records");
        #[cfg(feature = "std")]
        if self.compression != Compression::None {
            let records = super::compression::compress(self.compression, &self.bytes[BATCH_HEADER_BYTES..]);
            self.bytes.truncate(BATCH_HEADER_BYTES);
            self.bytes.extend_from_slice(&records);
        }
        let length =
            i32::try_from(self.bytes.len() - LENGTH_PREFIX_BYTES).expect("a batch is shorter than 2 GiB");
        let header = RecordBatchHeader {
            base_offset: 0.into(),
            batch_length: length.into(),
            partition_leader_epoch: (-1).into(),
            magic: MAGIC,
            crc: 0.into(),
            attributes: self.attributes.with_compression(self.compression).0.into(),
            last_offset_delta: (self.count - 1).into(),
            base_timestamp: base_timestamp.into(),
            max_timestamp: max_timestamp.into(),
            producer_id: self.producer.producer_id.into(),
            producer_epoch: self.producer.producer_epoch.into(),
            base_sequence: self.producer.base_sequence.into(),
            record_count: self.count.into(),
        };
        self.bytes[..BATCH_HEADER_BYTES].copy_from_slice(header.as_bytes());
        seal(&mut self.bytes);
        self.bytes
    }
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(varint_size(-1), |bytes| varint_size(length(bytes)) + bytes.len())
}

fn write_nullable(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => write_varint(into, -1),
        Some(bytes) => {
            write_varint(into, length(bytes));
            into.extend_from_slice(bytes);
        }
    }
}

fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).expect("keys, values and headers are shorter than 2 GiB")
}

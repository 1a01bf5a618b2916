//! What can be wrong with a record batch, and how Kafka calls it.

use alloc::vec::Vec;

use thiserror::Error;

use crate::ErrorCode;
use crate::codec::DecodeError;

/// A record batch that must not be appended, or not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No batch at all.
    #[error("no record batch")]
    Missing,
    /// The bytes end inside the batch.
    #[error("a batch of {needed} bytes where {remaining} remain")]
    Truncated {
        /// Bytes that the batch claims.
        needed: usize,
        /// Bytes that are there.
        remaining: usize,
    },
    /// More bytes than one batch: a producer sends exactly one for a partition.
    #[error("{0} bytes follow the only batch that a partition may get")]
    MoreThanOne(usize),
    /// The length is less than the header's.
    #[error("the batch length {0} is less than a header")]
    InvalidLength(i32),
    /// Not the format of record batches.
    #[error("magic {0}, not 2")]
    UnsupportedMagic(i8),
    /// The bytes are not those that were checksummed.
    #[error("checksum {computed:#010x}, but the batch says {stored:#010x}")]
    ChecksumMismatch {
        /// What the batch says.
        stored: u32,
        /// What its bytes have.
        computed: u32,
    },
    /// A producer numbers the records of a batch from zero.
    #[error("the base offset is {0}, not 0")]
    BaseOffset(i64),
    /// The batch is larger than the topic allows.
    #[error("a batch of {size} bytes where {limit} are allowed")]
    TooLarge {
        /// Size of the batch.
        size: usize,
        /// The topic's `max.message.bytes`.
        limit: usize,
    },
    /// The number of records is not positive, or not that of the offsets.
    #[error("{count} records, but a last offset delta of {last_offset_delta}")]
    Count {
        /// Records claimed.
        count: i32,
        /// Offset of the last record claimed.
        last_offset_delta: i32,
    },
    /// Only brokers write control batches.
    #[error("a control batch from a client")]
    Control,
    /// A producer id without a sequence number.
    #[error("producer id {producer_id} with the sequence number {base_sequence}")]
    Sequence {
        /// The producer.
        producer_id: i64,
        /// Its sequence number.
        base_sequence: i32,
    },
    /// A codec that does not exist, or not in this version of Produce.
    #[error("compression codec {0}")]
    UnsupportedCompression(i16),
    /// The records do not decompress.
    #[error("the records do not decompress")]
    Undecompressable,
    /// The records decompress to more than the limit; how much more is not known.
    #[error("the records decompress to more than {limit} bytes")]
    DecompressedTooLarge {
        /// The limit.
        limit: usize,
    },
    /// A record has not the form of a record.
    #[error("record {index}: {error}")]
    InvalidRecord {
        /// Place of the record in the batch.
        index: i32,
        /// What is wrong.
        error: RecordError,
    },
    /// Records that the topic does not accept; [`Rejection`] says which.
    #[error("records that the topic does not accept")]
    RejectedRecords {
        /// Whether a timestamp is the reason for one of them.
        timestamp: bool,
    },
}

/// A record that has not the form of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A value is not one, or reaches beyond the record.
    #[error(transparent)]
    Value(#[from] DecodeError),
    /// The size is below zero.
    #[error("the size {0}")]
    NegativeSize(i32),
    /// The record is shorter than its size.
    #[error("{0} bytes too many")]
    BytesInside(usize),
    /// The batch is longer than its records.
    #[error("{0} bytes after it, though it is the last")]
    BytesAfterLast(usize),
    /// The number of headers is below zero, or more than the bytes that remain.
    #[error("{count} headers where {remaining} bytes remain")]
    HeaderCount {
        /// Headers claimed.
        count: i32,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A header without a key.
    #[error("a header key of size {0}")]
    NegativeHeaderKeySize(i32),
}

/// Why a topic does not accept a record that is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordRejection {
    /// A compacted topic keeps the last record of each key.
    #[error("a compacted topic accepts no record without a key")]
    NoKey,
    /// Too old, or too far in the future.
    #[error("the timestamp {0} is out of the range that the topic accepts")]
    Timestamp(i64),
}

/// A batch that a producer must be told about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct Rejection {
    /// What is wrong with the batch.
    pub error: BatchError,
    /// The records that made the topic refuse it, by their place in the batch; not always all.
    pub records: Vec<(i32, RecordRejection)>,
}

impl From<BatchError> for Rejection {
    fn from(error: BatchError) -> Self {
        Self { error, records: Vec::new() }
    }
}

impl BatchError {
    /// What a producer is told. The codes are Kafka's for the same batch, but where Kafka would say
    /// `UNKNOWN_SERVER_ERROR`: that makes clients lose track of what was appended.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::InvalidLength(_) | Self::ChecksumMismatch { .. } => ErrorCode::CORRUPT_MESSAGE,
            // Formats 0 and 1 existed, so that a client that sends them is merely old.
            Self::UnsupportedMagic(0 | 1) => ErrorCode::INVALID_RECORD,
            Self::UnsupportedMagic(_) => ErrorCode::CORRUPT_MESSAGE,
            // The limit is on what one batch may take: clients answer by splitting the batch.
            Self::TooLarge { .. } | Self::DecompressedTooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::UnsupportedCompression(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            Self::RejectedRecords { timestamp: true } => ErrorCode::INVALID_TIMESTAMP,
            Self::Missing
            | Self::Truncated { .. }
            | Self::MoreThanOne(_)
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::Undecompressable
            | Self::InvalidRecord { .. }
            | Self::RejectedRecords { timestamp: false } => ErrorCode::INVALID_RECORD,
        }
    }
}

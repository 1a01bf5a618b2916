//! What can be wrong with a record batch, and how Kafka calls it.

use thiserror::Error;

use crate::ErrorCode;

/// A record batch that must not be appended, or not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The bytes end inside the batch.
    #[error("a batch of {needed} bytes where {remaining} remain")]
    Truncated {
        /// Bytes that the batch claims.
        needed: usize,
        /// Bytes that are there.
        remaining: usize,
    },
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
}

impl BatchError {
    /// What a producer is told.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::Truncated { .. } | Self::InvalidLength(_) | Self::ChecksumMismatch { .. } => {
                ErrorCode::CORRUPT_MESSAGE
            }
            Self::UnsupportedMagic(_) => ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        }
    }
}

//! The primitives of Kafka's wire format, in both directions.
//!
//! What must hold: a length read from outside is compared with the bytes that remain before
//! anything is reserved for it, so decoding never allocates more than the frame accounts for; no
//! input makes this module panic. It knows primitives and collections, not messages.

mod error;
mod error_tally;
mod field;
mod reader;
mod varint;
mod writer;

pub use error::{DecodeError, EncodeError};
pub use error_tally::ErrorTally;
pub use field::{Decode, Encode, Text, Uuid};
pub use reader::{DECODED_BYTES_MAX, Reader};
pub use varint::{varint_size, varlong_size, write_varint, write_varlong};
pub use writer::{Payload, PayloadSlot, Writer};

use core::ops::RangeBounds;

/// The version of an API that a message is written in, and whether that version is flexible
/// (KIP-482: compact lengths and tagged fields).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    number: i16,
    flexible: bool,
}

impl Version {
    /// A version of which the caller knows whether it is flexible.
    #[must_use]
    pub const fn new(number: i16, flexible: bool) -> Self {
        Self { number, flexible }
    }

    /// The version's number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self.number
    }

    /// Whether lengths are compact and structures end with tagged fields.
    #[must_use]
    pub const fn is_flexible(self) -> bool {
        self.flexible
    }

    /// Whether the version lies in `versions`.
    #[must_use]
    pub fn is_in(self, versions: impl RangeBounds<i16>) -> bool {
        versions.contains(&self.number)
    }
}

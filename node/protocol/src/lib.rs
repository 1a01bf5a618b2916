//! Kafka's wire protocol: messages of every served version, and record batches.
//!
//! Pure: bytes in, values out, and back. No socket, file, clock or random number is touched here;
//! without the feature `std` the crate is `no_std` and leaves out only the compression of records.
//!
//! - [`frame`] and [`header`]: what lies around each message.
//! - [`messages`]: each API, declared once for all its versions.
//! - [`records`]: record batches, the unit of append, checksum and replication.
//! - [`coordinator_records`], [`consumer_protocol`]: what Kafka keeps of consumer groups.
//! - [`codec`]: the primitives below them.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

pub mod codec;
pub mod consumer_protocol;
pub mod coordinator_records;
pub mod frame;
pub mod header;
pub mod messages;
pub mod records;

mod api_key;
#[cfg(test)]
mod counting_allocator;
mod error_code;
mod versioned;

pub use api_key::{ApiKey, VersionRange};
pub use error_code::ErrorCode;
pub use versioned::Versioned;

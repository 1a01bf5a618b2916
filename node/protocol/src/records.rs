//! Record batches, Kafka's format 2: the unit of append, checksum and replication.
//!
//! The header is a view over the bytes; records are not touched unless somebody asks for them.
//!
//! ```text
//! position  size  field
//!        0     8  base_offset              set by the leader, outside the checksum
//!        8     4  batch_length             of all that follows it
//!       12     4  partition_leader_epoch   set by the leader, outside the checksum
//!       16     1  magic                    2
//!       17     4  crc                      CRC-32C of all that follows it
//!       21     2  attributes               codec, timestamp type, transactional, control
//!       23     4  last_offset_delta
//!       27     8  base_timestamp
//!       35     8  max_timestamp
//!       43     8  producer_id              -1: not idempotent
//!       51     2  producer_epoch
//!       53     4  base_sequence
//!       57     4  record_count
//!       61        records, compressed as a whole
//! ```

mod attributes;
mod batch;
mod builder;
mod checksum;
#[cfg(feature = "std")]
mod compression;
mod error;
mod header;
#[cfg(test)]
mod oracle;
mod record;
mod rewrite;
mod sieve;
#[cfg(feature = "std")]
mod validate;

pub use attributes::{Attributes, Compression, TimestampType};
pub use batch::{Batches, RecordBatch, batches, checksum, stamp};
pub use builder::{ProducerState, RecordBatchBuilder};
#[cfg(feature = "std")]
pub use compression::{compress, decompress};
pub use error::{BatchError, RecordError, RecordRejection, Rejection};
pub use header::{BATCH_HEADER_BYTES, MAGIC, RecordBatchHeader};
pub use record::{Record, RecordHeader, RecordHeaders, Records};
#[cfg(feature = "std")]
pub use rewrite::{recompress, renumber};
pub use rewrite::{with_log_append_time, with_max_timestamp};
pub use sieve::{RecordCursor, Sieve, empty_batch, gap_batch};
#[cfg(feature = "std")]
pub use validate::{Accepted, HeaderChecked, ValidationLevel, ValidationRules, validate, validate_header};

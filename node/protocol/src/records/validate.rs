//! Decides whether a batch that a producer sent may be appended, as Kafka decides it.
//!
//! Two levels. `Header` reads 61 bytes and the checksum: lengths, counts, codec, sequence, size.
//! `Full` decompresses and walks over the records: their form, their number, timestamps and keys.
//! The header is not enough, whatever the level, if it lacks the maximum timestamp (some clients
//! leave it out, and indexes and retention depend on it), if the topic is compacted (each record
//! needs a key), or if the topic's codec is another: such a batch [`needs_records`].
//!
//! What must hold for an accepted batch: exactly one, its checksum right, `max_timestamp` set, and
//! `last_offset_delta + 1 == record_count > 0`.
//!
//! [`needs_records`]: HeaderChecked::needs_records

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::rewrite::{recompress, renumber, with_log_append_time, with_max_timestamp};
use super::{BatchError, Compression, RecordBatch, RecordRejection, Rejection, TimestampType};

/// Rejected records that are named to the producer. A batch can hold a hundred thousand, and an
/// answer that names each would be larger than the batch.
const RECORD_REJECTIONS_MAX: usize = 1000;

/// How much of a batch is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationLevel {
    /// The header and the checksum.
    Header,
    /// Every record.
    Full,
}

/// What a topic demands of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidationRules {
    /// How much is looked at.
    pub level: ValidationLevel,
    /// The time of the append, in milliseconds.
    pub now_ms: i64,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// Whether `cleanup.policy` contains `compact`: then each record needs a key.
    pub compacted: bool,
    /// `max.message.bytes`: of the batch as it was sent, compressed.
    pub batch_size_max: usize,
    /// What the records of a batch may decompress to.
    pub decompressed_size_max: usize,
    /// `compression.type`; `None` is `producer`: as it was sent.
    pub compression: Option<Compression>,
    /// Whether the producer may use zstd: from version 7 of Produce.
    pub zstd_allowed: bool,
}

/// A batch whose header is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderChecked<'a> {
    batch: RecordBatch<'a>,
    codec: Compression,
    needs_records: bool,
}

/// A batch that may be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// What to append: the bytes that were sent, or others where the topic demands a change.
    pub bytes: Cow<'a, [u8]>,
    /// The largest timestamp of the records; that of the append if the topic has append times.
    pub max_timestamp: i64,
    /// How many records.
    pub record_count: i32,
}

/// Checks the one batch that `records` must be, as far as `rules` say.
pub fn validate<'a>(records: &'a [u8], rules: &ValidationRules) -> Result<Accepted<'a>, Rejection> {
    let checked = validate_header(records, rules)?;
    if checked.needs_records { checked.validate_records(rules) } else { Ok(checked.accept(rules)) }
}

/// Checks the header and the checksum of the one batch that `records` must be.
pub fn validate_header<'a>(
    records: &'a [u8],
    rules: &ValidationRules,
) -> Result<HeaderChecked<'a>, BatchError> {
    if records.is_empty() {
        return Err(BatchError::Missing);
    }
    let (batch, rest) = RecordBatch::parse(records)?;
    let codec = batch.attributes().compression().map_err(BatchError::UnsupportedCompression)?;
    if codec == Compression::Zstd && !rules.zstd_allowed {
        return Err(BatchError::UnsupportedCompression(batch.attributes().compression_code()));
    }
    if !rest.is_empty() {
        return Err(BatchError::MoreThanOne(rest.len()));
    }
    if batch.base_offset() != 0 {
        return Err(BatchError::BaseOffset(batch.base_offset()));
    }
    let (size, limit) = (batch.bytes().len(), rules.batch_size_max);
    if size > limit {
        return Err(BatchError::TooLarge { size, limit });
    }
    batch.verify_checksum()?;
    check_header_fields(&batch)?;
    check_count(&batch, codec, rules)?;

    let max_timestamp = batch.header().max_timestamp.get();
    let base_timestamp = batch.header().base_timestamp.get();
    let has_max_timestamp = max_timestamp > 0 && max_timestamp >= base_timestamp;
    let create_time = rules.timestamp_type == TimestampType::CreateTime;
    // The walk finds at least this one, and tells the producer which records it rejects.
    let rejects_timestamp = create_time && has_max_timestamp && !rules.accept_timestamp(max_timestamp);
    let needs_records = rules.level == ValidationLevel::Full
        || rules.compacted
        || rules.compression.is_some_and(|topic| topic != codec)
        || rejects_timestamp
        || (create_time && !has_max_timestamp);
    Ok(HeaderChecked { batch, codec, needs_records })
}

/// A record takes at least so many bytes: its length, attributes, two deltas, key, value and number of headers.
const RECORD_BYTES_MIN: usize = 7;

/// The records that are claimed must fit into the bytes that are there, or that they may decompress to: otherwise a few
/// bytes could move the end of a log by two billion offsets.
fn check_count(
    batch: &RecordBatch<'_>,
    codec: Compression,
    rules: &ValidationRules,
) -> Result<(), BatchError> {
    let bytes = match codec {
        Compression::None => batch.records_bytes().len(),
        _ => rules.decompressed_size_max,
    };
    let (count, last_offset_delta) =
        (batch.header().record_count.get(), batch.header().last_offset_delta.get());
    let fits = usize::try_from(count).is_ok_and(|count| count <= bytes / RECORD_BYTES_MIN);
    if fits { Ok(()) } else { Err(BatchError::Count { count, last_offset_delta }) }
}

fn check_header_fields(batch: &RecordBatch<'_>) -> Result<(), BatchError> {
    let header = batch.header();
    let (count, last_offset_delta) = (header.record_count.get(), header.last_offset_delta.get());
    if count <= 0 || last_offset_delta != count - 1 {
        return Err(BatchError::Count { count, last_offset_delta });
    }
    if batch.attributes().is_control() {
        return Err(BatchError::Control);
    }
    let (producer_id, base_sequence) = (header.producer_id.get(), header.base_sequence.get());
    if producer_id >= 0 && base_sequence < 0 {
        return Err(BatchError::Sequence { producer_id, base_sequence });
    }
    Ok(())
}

impl ValidationRules {
    /// Whether no header is enough by these rules, unless a batch has the topic's codec already.
    #[must_use]
    pub fn always_need_records(&self) -> bool {
        self.level == ValidationLevel::Full || self.compacted || self.compression.is_some()
    }

    /// Whether a record may have this timestamp; -1 stands for none.
    fn accept_timestamp(&self, timestamp: i64) -> bool {
        timestamp == NO_TIMESTAMP
            || (self.now_ms.saturating_sub(timestamp) <= self.timestamp_before_max_ms
                && timestamp.saturating_sub(self.now_ms) <= self.timestamp_after_max_ms)
    }
}

const NO_TIMESTAMP: i64 = -1;

/// What the walk over the records found out.
struct Walk {
    max_timestamp: i64,
    offsets_consecutive: bool,
}

impl<'a> HeaderChecked<'a> {
    /// The batch.
    #[must_use]
    pub const fn batch(&self) -> RecordBatch<'a> {
        self.batch
    }

    /// Whether the records must be looked at, which takes time in proportion to their size.
    #[must_use]
    pub const fn needs_records(&self) -> bool {
        self.needs_records
    }

    /// Accepts the batch for its header's sake.
    ///
    /// # Panics
    /// If the batch [needs](Self::needs_records) more.
    #[must_use]
    pub fn accept(self, rules: &ValidationRules) -> Accepted<'a> {
        assert!(!self.needs_records, "the header is not enough for this batch");
        let max_timestamp = self.batch.header().max_timestamp.get();
        self.accepted(Cow::Borrowed(self.batch.bytes()), max_timestamp, rules)
    }

    /// Checks the records, and makes of the batch what the topic demands.
    pub fn validate_records(self, rules: &ValidationRules) -> Result<Accepted<'a>, Rejection> {
        let records = self.batch.decompress(rules.decompressed_size_max)?;
        let walk = self.walk(&records, rules)?;
        let codec = rules.compression.unwrap_or(self.codec);
        let bytes = if !walk.offsets_consecutive {
            Cow::Owned(renumber(&self.batch, &records, codec)?)
        } else if codec != self.codec {
            Cow::Owned(recompress(&self.batch, &records, codec))
        } else {
            Cow::Borrowed(self.batch.bytes())
        };
        Ok(self.accepted(bytes, walk.max_timestamp, rules))
    }

    fn walk(&self, records: &[u8], rules: &ValidationRules) -> Result<Walk, Rejection> {
        let create_time = rules.timestamp_type == TimestampType::CreateTime;
        let mut walk = Walk { max_timestamp: NO_TIMESTAMP, offsets_consecutive: true };
        let mut rejected: Vec<(i32, RecordRejection)> = Vec::new();
        let mut timestamp_rejected = false;
        for (index, record) in (0..).zip(self.batch.records(records)) {
            let record = record?;
            walk.max_timestamp = walk.max_timestamp.max(record.timestamp);
            walk.offsets_consecutive &= record.offset_delta == index;
            let rejection = if rules.compacted && record.key.is_none() {
                RecordRejection::NoKey
            } else if create_time && !rules.accept_timestamp(record.timestamp) {
                timestamp_rejected = true;
                RecordRejection::Timestamp(record.timestamp)
            } else {
                continue;
            };
            if rejected.len() < RECORD_REJECTIONS_MAX {
                rejected.push((index, rejection));
            }
        }
        if rejected.is_empty() {
            return Ok(walk);
        }
        let error = BatchError::RejectedRecords { timestamp: timestamp_rejected };
        Err(Rejection { error, records: rejected })
    }

    fn accepted(&self, bytes: Cow<'a, [u8]>, max_timestamp: i64, rules: &ValidationRules) -> Accepted<'a> {
        let (batch, _) = RecordBatch::parse(&bytes).expect("the batch was parsed, or made here");
        let record_count = batch.header().record_count.get();
        let (bytes, max_timestamp) = match rules.timestamp_type {
            TimestampType::LogAppendTime => {
                (Cow::Owned(with_log_append_time(&batch, rules.now_ms)), rules.now_ms)
            }
            // A client has no say in whose time it is: as Kafka, clear the bit that claims append time.
            TimestampType::CreateTime
                if batch.header().max_timestamp.get() != max_timestamp
                    || batch.attributes().timestamp_type() == TimestampType::LogAppendTime =>
            {
                (Cow::Owned(with_max_timestamp(&batch, max_timestamp)), max_timestamp)
            }
            TimestampType::CreateTime => (bytes, max_timestamp),
        };
        Accepted { bytes, max_timestamp, record_count }
    }
}

#[cfg(test)]
mod tests;

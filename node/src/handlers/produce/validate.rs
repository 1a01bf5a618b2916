//! A batch against its topic's rules, before it reaches a partition.
//!
//! What must hold: a batch that needs no change stays a slice of the frame that brought it.

use std::borrow::Cow;

use bytes::Bytes;
use ringmain_protocol::{
    ErrorCode,
    records::{self, Compression, RecordBatchHeader, Rejection, TimestampType, ValidationRules},
};

use crate::{
    config::{
        TopicConfig,
        topic::{self, CompressionSetting},
    },
    runtime,
    shard::ProduceAnswer,
};

/// What the records of one batch may decompress to. Batches are limited by their compressed size (`max.message.bytes`),
/// which says nothing about a bomb; a thousand times that is more than any real data compresses by, and this is the most
/// that a shard lends to one batch.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;
/// The first version in which a client may use zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 7;

/// A batch that may be appended as it is.
pub(super) struct Valid {
    pub(super) batch: Bytes,
    pub(super) log_append_time: bool,
}

/// Batches up to this size are decompressed and walked in place: tens of microseconds. Larger ones, and bombs above all,
/// would hold up every other client of the shard.
const WALK_IN_PLACE_BYTES_MAX: usize = 32 << 10;

/// What of a request its batches are judged by.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) version: i16,
    pub(super) now_ms: i64,
}

/// Accepts a batch of which the header says enough. `None` is no judgement: [`batch`] knows.
pub(super) fn by_header(config: &TopicConfig, at: At, records: &[u8], body: &Bytes) -> Option<Valid> {
    let rules = rules(config, at);
    if rules.always_need_records() || RecordBatchHeader::peek(records)?.attributes().is_transactional() {
        return None;
    }
    let checked =
        records::validate_header(records, &rules).ok().filter(|checked| !checked.needs_records())?;
    let log_append_time = rules.timestamp_type == TimestampType::LogAppendTime;
    Some(Valid { batch: kept(body, checked.accept(&rules).bytes), log_append_time })
}

/// Checks what a client sent for one partition, and changes it where the topic demands that.
pub(super) async fn batch(
    config: &TopicConfig,
    at: At,
    records: Option<&[u8]>,
    body: &Bytes,
) -> Result<Valid, Box<ProduceAnswer>> {
    let rules = rules(config, at);
    let header = RecordBatchHeader::peek(records.unwrap_or_default());
    if header.is_some_and(|header| header.attributes().is_transactional()) {
        // It would wait for a marker that never comes: there is no transaction coordinator. Kafka refuses a batch of a
        // transaction that was not begun in the same way.
        return Err(Box::new(ProduceAnswer::error(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)));
    }
    let records = records.unwrap_or_default();
    let checked = records::validate_header(records, &rules).map_err(|error| refused(error.into()))?;
    let batch = if !checked.needs_records() {
        kept(body, checked.accept(&rules).bytes)
    } else if records.len() <= WALK_IN_PLACE_BYTES_MAX {
        kept(body, checked.validate_records(&rules).map_err(refused)?.bytes)
    } else {
        let bytes = body.slice_ref(records);
        let walk = move || Ok(kept(&bytes, records::validate(&bytes, &rules)?.bytes));
        runtime::run_blocking(walk).await.map_err(refused)?
    };
    Ok(Valid { batch, log_append_time: rules.timestamp_type == TimestampType::LogAppendTime })
}

/// A slice of the frame where nothing was changed.
fn kept(frame: &Bytes, bytes: Cow<'_, [u8]>) -> Bytes {
    match bytes {
        Cow::Borrowed(same) => frame.slice_ref(same),
        Cow::Owned(changed) => Bytes::from(changed),
    }
}

fn rules(config: &TopicConfig, at: At) -> ValidationRules {
    ValidationRules {
        level: match config.validation_level {
            topic::ValidationLevel::Header => records::ValidationLevel::Header,
            topic::ValidationLevel::Full => records::ValidationLevel::Full,
        },
        now_ms: at.now_ms,
        timestamp_type: match config.message_timestamp_type {
            topic::TimestampType::CreateTime => TimestampType::CreateTime,
            topic::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: config.message_timestamp_before_max_ms,
        timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        compacted: config.cleanup_policy.compact,
        batch_size_max: config.max_message_bytes,
        decompressed_size_max: DECOMPRESSED_BYTES_MAX,
        compression: match config.compression {
            CompressionSetting::Producer => None,
            CompressionSetting::Uncompressed => Some(Compression::None),
            CompressionSetting::Gzip => Some(Compression::Gzip),
            CompressionSetting::Snappy => Some(Compression::Snappy),
            CompressionSetting::Lz4 => Some(Compression::Lz4),
            CompressionSetting::Zstd => Some(Compression::Zstd),
        },
        zstd_allowed: at.version >= ZSTD_FROM_VERSION,
    }
}

fn refused(rejection: Rejection) -> Box<ProduceAnswer> {
    let records = rejection.records.iter().map(|(index, rejection)| (*index, Some(rejection.to_string())));
    Box::new(ProduceAnswer {
        record_errors: records.collect(),
        message: Some(rejection.to_string()),
        ..ProduceAnswer::error(rejection.error.error_code())
    })
}

//! Batches that lie, each in one way, and what a producer is told; and batches that are accepted.

use super::super::builder::{ProducerState, RecordBatchBuilder};
use super::super::rewrite::seal;
use super::super::{Attributes, RecordBatchHeader, RecordHeader, batches};
use super::*;
use crate::ErrorCode;

const NOW_MS: i64 = 1_700_000_000_000;

const RULES: ValidationRules = ValidationRules {
    level: ValidationLevel::Full,
    now_ms: NOW_MS,
    timestamp_type: TimestampType::CreateTime,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: 3_600_000,
    compacted: false,
    batch_size_max: 1 << 20,
    decompressed_size_max: 8 << 20,
    compression: None,
    zstd_allowed: true,
};

const HEADER_RULES: ValidationRules = ValidationRules { level: ValidationLevel::Header, ..RULES };

/// Three records; the largest timestamp is that of the second.
fn batch(compression: Compression) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new().compression(compression).producer(ProducerState {
        producer_id: 9,
        producer_epoch: 1,
        base_sequence: 5,
    });
    builder.push(NOW_MS, Some(b"a"), Some(b"first value"));
    let headers = [RecordHeader { key: b"k", value: None }, RecordHeader { key: b"", value: Some(b"v") }];
    builder.push_with_headers(NOW_MS + 7, Some(b"b"), None, &headers);
    builder.push(NOW_MS - 1, Some(b""), Some(b""));
    builder.finish()
}

/// The batch after `change`, with the checksum of the changed bytes.
fn changed(mut bytes: Vec<u8>, change: impl FnOnce(&mut RecordBatchHeader)) -> Vec<u8> {
    change(RecordBatchHeader::peek_mut(&mut bytes).expect("a header"));
    seal(&mut bytes);
    bytes
}

/// The code with which both levels refuse `bytes`.
fn refused(bytes: &[u8]) -> ErrorCode {
    let header = validate(bytes, &HEADER_RULES).expect_err("must be refused").error;
    let full = validate(bytes, &RULES).expect_err("must be refused").error;
    assert_eq!(header, full);
    full.error_code()
}

#[test]
fn right_batches_are_accepted_as_they_are() {
    for compression in Compression::ALL {
        let bytes = batch(compression);
        for rules in [RULES, HEADER_RULES] {
            let accepted = validate(&bytes, &rules).expect("a right batch");
            assert!(matches!(accepted.bytes, Cow::Borrowed(_)), "not copied: {compression:?}");
            assert_eq!(accepted.bytes, bytes);
            assert_eq!((accepted.max_timestamp, accepted.record_count), (NOW_MS + 7, 3));
        }
    }
}

#[test]
fn lying_headers_are_refused_with_kafkas_code() {
    type Lie = fn(&mut RecordBatchHeader);
    let lies: [(Lie, ErrorCode); 17] = [
        (|header| header.record_count = 2.into(), ErrorCode::INVALID_RECORD),
        (|header| header.record_count = 4.into(), ErrorCode::INVALID_RECORD),
        (|header| header.record_count = 0.into(), ErrorCode::INVALID_RECORD),
        (|header| header.record_count = (-3).into(), ErrorCode::INVALID_RECORD),
        (|header| header.record_count = i32::MIN.into(), ErrorCode::INVALID_RECORD),
        (|header| header.record_count = i32::MAX.into(), ErrorCode::INVALID_RECORD),
        (|header| header.last_offset_delta = 1.into(), ErrorCode::INVALID_RECORD),
        (|header| header.last_offset_delta = (-1).into(), ErrorCode::INVALID_RECORD),
        (|header| header.last_offset_delta = i32::MAX.into(), ErrorCode::INVALID_RECORD),
        (|header| header.base_offset = 1.into(), ErrorCode::INVALID_RECORD),
        (|header| header.base_offset = (-1).into(), ErrorCode::INVALID_RECORD),
        (|header| header.attributes = (1 << 5).into(), ErrorCode::INVALID_RECORD),
        (|header| header.attributes = 5.into(), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        (|header| header.attributes = 7.into(), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        (|header| header.base_sequence = (-1).into(), ErrorCode::INVALID_RECORD),
        (|header| header.base_sequence = i32::MIN.into(), ErrorCode::INVALID_RECORD),
        (|header| header.magic = 3, ErrorCode::CORRUPT_MESSAGE),
    ];
    for (index, (lie, expected)) in lies.into_iter().enumerate() {
        let bytes = changed(batch(Compression::None), lie);
        assert_eq!(refused(&bytes), expected, "lie {index}");
    }
}

#[test]
fn a_client_has_no_say_in_the_type_of_timestamps() {
    let bytes = changed(batch(Compression::None), |header| header.attributes = (1 << 3).into());
    for rules in [RULES, HEADER_RULES] {
        let accepted = validate(&bytes, &rules).expect("Kafka clears the bit");
        let (batch, _) = RecordBatch::parse(&accepted.bytes).expect("a batch");
        assert_eq!(batch.attributes().timestamp_type(), TimestampType::CreateTime);
        assert_eq!(batch.verify_checksum(), Ok(()));
    }
}

#[test]
fn lengths_and_magic_are_checked_before_the_checksum() {
    type Lie = fn(&mut RecordBatchHeader);
    let lies: [(Lie, ErrorCode); 7] = [
        (|header| header.magic = 0, ErrorCode::INVALID_RECORD),
        (|header| header.magic = 1, ErrorCode::INVALID_RECORD),
        (|header| header.magic = -1, ErrorCode::CORRUPT_MESSAGE),
        (|header| header.batch_length = 48.into(), ErrorCode::CORRUPT_MESSAGE),
        (|header| header.batch_length = i32::MIN.into(), ErrorCode::CORRUPT_MESSAGE),
        (|header| header.batch_length = i32::MAX.into(), ErrorCode::INVALID_RECORD),
        (|header| header.crc = 1.into(), ErrorCode::CORRUPT_MESSAGE),
    ];
    for (index, (lie, expected)) in lies.into_iter().enumerate() {
        let mut bytes = batch(Compression::None);
        lie(RecordBatchHeader::peek_mut(&mut bytes).expect("a header"));
        assert_eq!(refused(&bytes), expected, "lie {index}");
    }
    let bytes = batch(Compression::None);
    assert_eq!(refused(&[]), ErrorCode::INVALID_RECORD);
    assert_eq!(refused(&bytes[..60]), ErrorCode::INVALID_RECORD);
    assert_eq!(refused(&bytes[..bytes.len() - 1]), ErrorCode::INVALID_RECORD);
    assert_eq!(refused(&[&bytes[..], &bytes].concat()), ErrorCode::INVALID_RECORD);
    assert_eq!(refused(&[&bytes[..], b"x"].concat()), ErrorCode::INVALID_RECORD);
}

#[test]
fn limits_of_the_topic() {
    let bytes = batch(Compression::Zstd);
    let small = ValidationRules { batch_size_max: bytes.len() - 1, ..HEADER_RULES };
    let code = |rules: &ValidationRules| {
        validate(&bytes, rules)
            .map(|_| ErrorCode::NONE)
            .unwrap_or_else(|rejection| rejection.error.error_code())
    };
    assert_eq!(code(&small), ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(code(&ValidationRules { batch_size_max: bytes.len(), ..HEADER_RULES }), ErrorCode::NONE);
    let old_version = ValidationRules { zstd_allowed: false, ..RULES };
    assert_eq!(code(&old_version), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    let bomb = ValidationRules { decompressed_size_max: 21, ..RULES };
    assert_eq!(code(&bomb), ErrorCode::MESSAGE_TOO_LARGE);
}

/// A batch whose records are `records` and which claims `count` of them.
fn batch_of(records: &[u8], count: i32) -> Vec<u8> {
    let mut bytes = batch(Compression::None);
    bytes.truncate(super::super::BATCH_HEADER_BYTES);
    bytes.extend_from_slice(records);
    changed(bytes, |header| {
        header.batch_length = (49 + records.len() as i32).into();
        header.record_count = count.into();
        header.last_offset_delta = (count - 1).into();
    })
}

#[test]
fn lying_records_are_refused() {
    // Size 6: attributes, timestamp delta, offset delta, null key, empty value, no header.
    let right = b"\x0c\0\0\0\x01\0\0";
    assert!(validate(&batch_of(right, 1), &RULES).is_ok());
    let lies: [(&str, &[u8], i32); 14] = [
        ("no record", b"", 1),
        ("fewer records than claimed", right, 2),
        ("more records than claimed", &[right, &right[..]].concat(), 1),
        ("bytes after the last record", &[right, &b"\0"[..]].concat(), 1),
        ("a negative size", b"\x01\0\0\0\x01\0\0", 1),
        ("a size of zero", b"\0", 1),
        ("a size beyond the batch", b"\x0e\0\0\0\x01\0\0", 1),
        ("a size of 2 GiB", b"\xfe\xff\xff\xff\x0f\0\0\0\x01\0\0", 1),
        ("bytes inside the record", b"\x0e\0\0\0\x01\0\0\0", 1),
        ("a key beyond the record", b"\x0c\0\0\0\x20\0\0", 1),
        ("a negative header count", b"\x0c\0\0\0\x01\0\x01", 1),
        ("a header count beyond the record", b"\x0c\0\0\0\x01\0\x02", 1),
        ("a header without a key", b"\x10\0\0\0\x01\0\x02\x01\0", 1),
        ("a varint without an end", b"\xff\xff\xff\xff\xff\xff", 1),
    ];
    for (name, records, count) in lies {
        let bytes = batch_of(records, count);
        // Seven bytes a record is the least: with fewer the header alone gives the lie away.
        let fits = records.len() / 7 >= usize::try_from(count).expect("a count");
        assert_eq!(validate(&bytes, &HEADER_RULES).is_ok(), fits, "{name}: what the header tells");
        let rejection = validate(&bytes, &RULES).expect_err(name);
        assert_eq!(matches!(rejection.error, BatchError::InvalidRecord { .. }), fits, "{name}");
        assert_eq!(rejection.error.error_code(), ErrorCode::INVALID_RECORD);
    }
    let garbage = changed(batch_of(b"\xde\xad\xbe\xef", 1), |header| header.attributes = 1.into());
    assert_eq!(validate(&garbage, &RULES).expect_err("no gzip").error, BatchError::Undecompressable);
}

#[test]
fn a_missing_max_timestamp_is_found_in_the_records() {
    for compression in Compression::ALL {
        for missing in [-1, 0, NOW_MS - 1] {
            let bytes = changed(batch(compression), |header| header.max_timestamp = missing.into());
            let checked = validate_header(&bytes, &HEADER_RULES).expect("a right header");
            assert!(checked.needs_records());
            let accepted = validate(&bytes, &HEADER_RULES).expect("a right batch");
            assert_eq!(accepted.max_timestamp, NOW_MS + 7);
            assert_eq!(accepted.bytes, batch(compression), "as if it had not been missing");
        }
    }
}

#[test]
fn timestamps_out_of_range_are_named() {
    let rules = ValidationRules { timestamp_before_max_ms: 0, timestamp_after_max_ms: 6, ..RULES };
    let bytes = batch(Compression::Gzip);
    let rejection = validate(&bytes, &rules).expect_err("two records are out of range");
    assert_eq!(rejection.error.error_code(), ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(
        rejection.records,
        [(1, RecordRejection::Timestamp(NOW_MS + 7)), (2, RecordRejection::Timestamp(NOW_MS - 1))]
    );
    let header = ValidationRules { level: ValidationLevel::Header, ..rules };
    let at_header_level = validate(&bytes, &header).expect_err("the maximum is out of range");
    assert_eq!(at_header_level, rejection, "the producer is told which records, whatever the level");
    let append_time = ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..rules };
    assert!(validate(&bytes, &append_time).is_ok(), "the producer's clock does not matter");
}

#[test]
fn compacted_topics_need_keys() {
    let mut builder = RecordBatchBuilder::new();
    builder.push(NOW_MS, Some(b"key"), None);
    builder.push(NOW_MS, None, Some(b"value"));
    let bytes = builder.finish();
    let compacted = ValidationRules { compacted: true, ..HEADER_RULES };
    let rejection = validate(&bytes, &compacted).expect_err("a record without a key");
    assert_eq!(rejection.records, [(1, RecordRejection::NoKey)]);
    assert_eq!(rejection.error.error_code(), ErrorCode::INVALID_RECORD);
    assert!(validate(&batch(Compression::None), &compacted).is_ok());
}

#[test]
fn append_time_replaces_the_header_only() {
    for rules in [RULES, HEADER_RULES] {
        let rules = ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..rules };
        let bytes = batch(Compression::Lz4);
        let accepted = validate(&bytes, &rules).expect("a right batch");
        assert_eq!(accepted.max_timestamp, NOW_MS);
        let (batch, _) = RecordBatch::parse(&accepted.bytes).expect("a batch");
        assert_eq!(batch.verify_checksum(), Ok(()));
        assert_eq!(batch.records_bytes(), &bytes[61..]);
        let records = batch.decompress(1000).expect("decompresses");
        let times: Vec<_> =
            batch.records(&records).map(|record| record.expect("a record").timestamp).collect();
        assert_eq!(times, [NOW_MS; 3]);
    }
}

#[test]
fn the_topics_codec_replaces_the_producers() {
    for from in Compression::ALL {
        for to in Compression::ALL {
            let rules = ValidationRules { compression: Some(to), ..HEADER_RULES };
            let bytes = batch(from);
            let accepted = validate(&bytes, &rules).expect("a right batch");
            assert_eq!(accepted.bytes, batch(to), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn offsets_that_are_not_consecutive_are_put_right() {
    let right = batch(Compression::None);
    let mut wrong = right.clone();
    // The offset delta of the second record, after its size, attributes and timestamp.
    let at = wrong.windows(4).position(|bytes| bytes == b"\0\x0e\x02\x02").expect("is there") + 2;
    wrong[at] = 0x0a;
    seal(&mut wrong);
    let accepted = validate(&wrong, &RULES).expect("a right batch but for the offsets");
    assert_eq!(accepted.bytes, right);
}

#[test]
fn records_come_back_as_they_went_in() {
    let bytes = changed(batch(Compression::Snappy), |header| {
        header.base_offset = 1000.into();
    });
    let batch = batches(&bytes).next().expect("one batch").expect("a right one");
    assert_eq!(batch.attributes(), Attributes::default().with_compression(Compression::Snappy));
    let records = batch.decompress(1000).expect("decompresses");
    let records: Vec<_> = batch.records(&records).map(|record| record.expect("a record")).collect();
    let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [1000, 1001, 1002]);
    assert_eq!((records[0].key, records[0].value), (Some(&b"a"[..]), Some(&b"first value"[..])));
    assert_eq!((records[1].key, records[1].value), (Some(&b"b"[..]), None));
    let headers: Vec<_> = records[1].headers.iter().map(|header| (header.key, header.value)).collect();
    assert_eq!(headers, [(&b"k"[..], None), (b"", Some(&b"v"[..]))]);
    assert_eq!(records[2].timestamp, NOW_MS - 1);
}

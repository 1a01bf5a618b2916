//! Batches that Kafka's own Java client (4.2.0) compressed, of an idempotent producer; several
//! blocks long, so that framings show. Each file holds the same six records.
#![cfg(feature = "std")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use ringmain_protocol::records::{
    Compression, RecordBatch, TimestampType, ValidationLevel, ValidationRules, recompress, validate,
};

const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

const RULES: ValidationRules = ValidationRules {
    level: ValidationLevel::Full,
    now_ms: FIRST_TIMESTAMP,
    timestamp_type: TimestampType::CreateTime,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    compacted: false,
    batch_size_max: 1 << 20,
    decompressed_size_max: 1 << 20,
    compression: None,
    zstd_allowed: true,
};

fn fixture(codec: Compression) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/kafka-clients-4.2.0")
        .join(codec.name())
        .with_extension("batch");
    fs::read(path).expect("the fixture is committed")
}

fn value(index: usize) -> String {
    (0..400).fold(String::new(), |mut lines, line| {
        let (address, page, size) = (line % 256, line * 7 % 100, line * line % 9973);
        writeln!(lines, "10.0.{index}.{address} GET /page/{page} 200 {size}").expect("in memory");
        lines
    })
}

fn assert_is_the_batch(bytes: &[u8], codec: Compression) {
    let (batch, rest) = RecordBatch::parse(bytes).expect("a batch");
    assert!(rest.is_empty());
    assert_eq!(batch.verify_checksum(), Ok(()));
    assert_eq!(batch.attributes().compression(), Ok(codec));
    let header = batch.header();
    assert_eq!((header.producer_id.get(), header.producer_epoch.get()), (7, 1));
    assert_eq!(header.base_sequence.get(), 42);

    let accepted = validate(bytes, &RULES).expect("Kafka's client makes right batches");
    assert_eq!(accepted.bytes, bytes, "nothing to change");
    assert_eq!((accepted.record_count, accepted.max_timestamp), (6, FIRST_TIMESTAMP + 5000));

    let uncompressed = batch.decompress(RULES.decompressed_size_max).expect("decompresses");
    for (index, record) in batch.records(&uncompressed).enumerate() {
        let record = record.expect("a record");
        let late = if index == 3 { 5000 } else { 0 };
        assert_eq!(record.timestamp, FIRST_TIMESTAMP + index as i64 * 1000 - late);
        let key = (index % 2 == 0).then(|| format!("key-{index}"));
        assert_eq!(record.key, key.as_deref().map(str::as_bytes));
        let value = (index != 5).then(|| value(index));
        assert_eq!(record.value, value.as_deref().map(str::as_bytes));
        let headers: Vec<_> = record.headers.iter().map(|header| (header.key, header.value)).collect();
        let expected = [(&b"trace"[..], Some(&b"abc"[..])), (b"empty", None)];
        assert_eq!(headers, if index == 2 { &expected[..] } else { &[] });
    }
}

#[test]
fn each_codec_is_read_and_replaced() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bytes = fixture(codec);
        assert_is_the_batch(&bytes, codec);
        let (batch, _) = RecordBatch::parse(&bytes).expect("a batch");
        let records = batch.decompress(RULES.decompressed_size_max).expect("decompresses");
        for other in Compression::ALL {
            assert_is_the_batch(&recompress(&batch, &records, other), other);
        }
    }
}

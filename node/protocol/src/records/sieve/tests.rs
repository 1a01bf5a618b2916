//! What is taken out of a batch is gone, and everything else is as it was.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::records::{ProducerState, RecordBatchBuilder, RecordHeader, checksum, stamp};

const PRODUCER: ProducerState = ProducerState { producer_id: 7, producer_epoch: 3, base_sequence: 40 };
const BASE: i64 = 1_000;
const TIME: i64 = 1_700_000_000_000;

type Owned = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

fn batch(codec: Compression, attributes: Attributes, records: usize) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new().compression(codec).producer(PRODUCER).attributes(attributes);
    for index in 0..records {
        let key = [index as u8; 3];
        let value = vec![index as u8; index * 11];
        let headers = [RecordHeader { key: b"h", value: None }];
        let headers = if index % 2 == 0 { &headers[..] } else { &[] };
        let value = (index % 5 != 4).then_some(&value[..]);
        builder.push_with_headers(TIME + index as i64 * 7 % 50, Some(&key), value, headers);
    }
    let mut bytes = builder.finish();
    stamp(&mut bytes, BASE, 9);
    bytes
}

fn parse(bytes: &[u8]) -> RecordBatch<'_> {
    let (batch, rest) = RecordBatch::parse(bytes).expect("a batch");
    assert_eq!((rest.len(), batch.verify_checksum()), (0, Ok(())));
    batch
}

fn contents(bytes: &[u8]) -> Vec<Owned> {
    let batch = parse(bytes);
    let uncompressed = batch.decompress(1 << 20).expect("it decompresses");
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let records = batch.records(&uncompressed).map(|record| {
        let record = record.expect("a record");
        (record.offset, record.timestamp, own(record.key), own(record.value), record.headers.len())
    });
    records.collect()
}

/// The batch without the records that `keep` does not want, judged `step` at a time.
fn sieved(bytes: &[u8], step: usize, horizon: Option<i64>, keep: impl Fn(i64) -> bool) -> Vec<u8> {
    let batch = parse(bytes);
    let uncompressed = batch.decompress(1 << 20).expect("it decompresses");
    let mut sieve = Sieve::default();
    while !sieve.judge(&batch, &uncompressed, step, |record| keep(record.offset)).expect("records") {}
    sieve.finish(&batch, horizon).expect("it can be built")
}

#[test]
fn what_stays_is_as_it_was_in_every_codec_and_clock() {
    for codec in Compression::ALL {
        for clock in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let before = batch(codec, Attributes::default().with_timestamp_type(clock), 20);
            for horizon in [None, Some(TIME + 86_400_000)] {
                let keep = |offset: i64| offset % 3 != 0;
                let after = sieved(&before, 3, horizon, keep);
                let expected: Vec<Owned> =
                    contents(&before).into_iter().filter(|(offset, ..)| keep(*offset)).collect();
                assert_eq!(contents(&after), expected, "{codec:?} {clock:?} {horizon:?}");
                let (old, new) = (*parse(&before).header(), *parse(&after).header());
                assert_eq!(new.record_count.get() as usize, expected.len());
                assert_eq!(
                    (new.base_offset, new.last_offset_delta, new.partition_leader_epoch),
                    (old.base_offset, old.last_offset_delta, old.partition_leader_epoch)
                );
                assert_eq!(
                    (new.producer_id, new.producer_epoch, new.base_sequence),
                    (old.producer_id, old.producer_epoch, old.base_sequence)
                );
                assert_eq!(new.attributes().compression(), Ok(codec));
                assert_eq!(new.attributes().timestamp_type(), clock);
                assert_eq!(new.attributes().has_delete_horizon(), horizon.is_some());
                let newest = expected.iter().map(|(_, time, ..)| *time).max();
                assert_eq!(Some(new.max_timestamp.get()), newest);
                assert_eq!(horizon.unwrap_or(old.base_timestamp.get()), new.base_timestamp.get());
            }
        }
    }
}

#[test]
fn a_delete_horizon_is_set_once() {
    let before = batch(Compression::Lz4, Attributes::default(), 12);
    let first = sieved(&before, 100, Some(55), |_| true);
    assert_eq!(contents(&first), contents(&before));
    let second = sieved(&first, 100, Some(99), |offset| offset != BASE + 5);
    assert_eq!(parse(&second).header().base_timestamp.get(), 55);
    assert_eq!(contents(&second).len(), 11);
}

#[test]
fn counts_and_tombstones_are_those_of_what_stays() {
    let bytes = batch(Compression::None, Attributes::default(), 10);
    let parsed = parse(&bytes);
    let mut sieve = Sieve::default();
    assert_eq!(sieve.judge(&parsed, parsed.records_bytes(), 4, |_| true), Ok(false));
    assert!(!sieve.keeps_tombstone());
    assert_eq!(sieve.judge(&parsed, parsed.records_bytes(), 100, |record| record.value.is_none()), Ok(true));
    assert_eq!((sieve.kept_count(), sieve.removed_count(), sieve.keeps_tombstone()), (6, 4, true));
}

#[test]
fn damaged_records_are_refused() {
    let bytes = batch(Compression::None, Attributes::default(), 10);
    let parsed = parse(&bytes);
    let cut = &parsed.records_bytes()[..parsed.records_bytes().len() - 3];
    let judged = Sieve::default().judge(&parsed, cut, 100, |_| true);
    assert!(matches!(judged, Err(BatchError::InvalidRecord { index: 9, .. })), "{judged:?}");
}

#[test]
fn an_empty_batch_keeps_its_producer_and_a_gap_only_its_offsets() {
    let before = batch(Compression::Zstd, Attributes::default().with_transactional(true), 6);
    let empty = empty_batch(&parse(&before));
    let (old, new) = (*parse(&before).header(), *parse(&empty).header());
    assert_eq!((empty.len(), new.record_count.get()), (BATCH_HEADER_BYTES, 0));
    assert_eq!(new.attributes(), Attributes::default().with_transactional(true));
    assert_eq!(
        (new.producer_id, new.base_sequence, new.last_offset_delta),
        (old.producer_id, old.base_sequence, old.last_offset_delta)
    );
    assert_eq!((new.max_timestamp, new.base_timestamp.get()), (old.max_timestamp, -1));
    assert_eq!(contents(&empty), []);
    let gap = gap_batch(5, 5 + (1 << 31), 3);
    let header = *parse(&gap).header();
    assert_eq!((header.base_offset.get(), header.last_offset_delta.get()), (5, i32::MAX));
    assert_eq!((header.producer_id.get(), header.partition_leader_epoch.get()), (-1, 3));
    assert_eq!(checksum(&gap), header.crc.get());
}

//! What a compacted log must hold, in the plainest terms: every record that was ever appended, and which of them stay.
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ringmain_protocol::records::{
    Attributes, Compression, ProducerState, RecordBatch, RecordBatchBuilder, batches,
};

use crate::disk::simulated::Random;
use crate::log::compaction::CompactionReport;

/// A record as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

/// A batch as it was appended.
#[derive(Clone, Debug)]
pub(super) struct Appended {
    pub(super) base: i64,
    pub(super) next: i64,
    pub(super) bytes: Vec<u8>,
    pub(super) is_transactional: bool,
    /// When its tombstones may go.
    pub(super) horizon: Option<i64>,
}

#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) records: BTreeMap<i64, Seen>,
    pub(super) batches: Vec<Appended>,
    /// Offsets that were not compacted away.
    pub(super) stays: BTreeSet<i64>,
}

impl Model {
    pub(super) fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.next)
    }

    pub(super) fn note(&mut self, bytes: Vec<u8>) {
        for (offset, seen) in records_in(&bytes) {
            self.records.insert(offset, seen);
            self.stays.insert(offset);
        }
        let (batch, _) = RecordBatch::parse(&bytes).expect("a batch");
        let is_transactional = batch.attributes().is_transactional();
        let (base, next) = (batch.base_offset(), batch.last_offset() + 1);
        self.batches.push(Appended { base, next, bytes: bytes.clone(), is_transactional, horizon: None });
    }

    /// Forgets what was appended from `end` on.
    pub(super) fn cut(&mut self, end: i64) {
        self.batches.retain(|batch| batch.next <= end);
        self.records.split_off(&end);
        self.stays.split_off(&end);
    }

    /// What stays after a pass, by Kafka's rules.
    pub(super) fn after_pass(&self, report: &CompactionReport, now_ms: i64, retention_ms: i64) -> Model {
        let mut after = self.clone();
        let (start, end) = (report.dirty_offset, report.end_offset);
        let mut newest: BTreeMap<&[u8], i64> = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| !batch.is_transactional) {
            for (offset, record) in self.records.range(batch.base..batch.next) {
                if let Some(key) = &record.key
                    && (start..end).contains(offset)
                    && self.stays.contains(offset)
                {
                    newest.insert(key, *offset);
                }
            }
        }
        for batch in after.batches.iter_mut().filter(|batch| !batch.is_transactional && batch.base < end) {
            let mut keeps_tombstone = false;
            for (offset, record) in self.records.range(batch.base..batch.next) {
                if !self.stays.contains(offset) {
                    continue;
                }
                let stays = *offset >= end
                    || record.key.as_ref().is_some_and(|key| {
                        let is_newest = newest.get(&key[..]).is_none_or(|newest| newest <= offset);
                        is_newest
                            && (record.value.is_some()
                                || batch.horizon.is_none_or(|horizon| now_ms < horizon))
                    });
                if stays {
                    keeps_tombstone |= record.value.is_none();
                } else {
                    after.stays.remove(offset);
                }
            }
            if keeps_tombstone && batch.horizon.is_none() && batch.next <= end {
                batch.horizon = Some(now_ms + retention_ms);
            }
        }
        after
    }

    /// Compares with the bytes of the log from its start on: every batch in its place, and the records that stay.
    pub(super) fn check(&self, bytes: &[u8], start: i64, what: &str) {
        let seen = check_chain(bytes, start, what);
        let stays: BTreeSet<i64> = seen.keys().copied().collect();
        let expected: BTreeSet<i64> = self.stays.range(seen_from(bytes, start)..).copied().collect();
        assert_eq!(stays, expected, "{what}: the records that stay");
        self.check_records(&seen, what);
        self.check_untouched(bytes, &stays, what);
    }

    /// Records that stay are as they were.
    pub(super) fn check_records(&self, seen: &BTreeMap<i64, Seen>, what: &str) {
        for (offset, record) in seen {
            assert_eq!(Some(record), self.records.get(offset), "{what}: the record at {offset}");
        }
    }

    /// Batches of which nothing went, and that got no delete horizon, are as they were, byte by byte.
    fn check_untouched(&self, bytes: &[u8], stays: &BTreeSet<i64>, what: &str) {
        let found: BTreeMap<i64, &[u8]> = batches(bytes)
            .map(|batch| batch.expect("a batch"))
            .map(|batch| (batch.base_offset(), batch.bytes()))
            .collect();
        for batch in self.batches.iter().filter(|batch| batch.horizon.is_none()) {
            let is_whole =
                self.records.range(batch.base..batch.next).all(|(offset, _)| stays.contains(offset));
            if is_whole {
                let found = found.get(&batch.base);
                assert_eq!(
                    found,
                    Some(&&batch.bytes[..]),
                    "{what}: the batch at {} is as it was",
                    batch.base
                );
            }
        }
    }

    /// The last value of each key below an offset; none for deleted ones. Records of transactions are not counted.
    pub(super) fn last_values(&self, end: i64) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let plain = self.batches.iter().filter(|batch| !batch.is_transactional);
        let records = plain.flat_map(|batch| self.records.range(batch.base..batch.next));
        last_values(records.filter(|(offset, _)| **offset < end))
    }

    /// The same of what a client sees.
    pub(super) fn last_values_of(&self, seen: &BTreeMap<i64, Seen>, end: i64) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let transactional = self.batches.iter().filter(|batch| batch.is_transactional);
        let apart: BTreeSet<i64> = transactional.flat_map(|batch| batch.base..batch.next).collect();
        last_values(seen.iter().filter(|(offset, _)| **offset < end && !apart.contains(*offset)))
    }
}

fn last_values<'a>(records: impl Iterator<Item = (&'a i64, &'a Seen)>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut last = BTreeMap::new();
    for (_, record) in records {
        match (&record.key, &record.value) {
            (Some(key), Some(value)) => drop(last.insert(key.clone(), value.clone())),
            (Some(key), None) => drop(last.remove(key)),
            (None, _) => {}
        }
    }
    last
}

fn seen_from(bytes: &[u8], start: i64) -> i64 {
    batches(bytes).next().map_or(start, |batch| batch.expect("a batch").base_offset())
}

/// The records in the bytes of a log; each batch begins where the one before it ended, and its checksum holds.
pub(super) fn check_chain(bytes: &[u8], start: i64, what: &str) -> BTreeMap<i64, Seen> {
    let mut next = None;
    let mut seen = BTreeMap::new();
    for batch in batches(bytes) {
        let batch = batch.expect("a batch");
        batch.verify_checksum().expect("its checksum holds");
        let base = batch.base_offset();
        assert!(next.is_none_or(|next| next == base), "{what}: {base} follows {next:?}");
        assert!(next.is_some() || base <= start, "{what}: begins at {base}, not at {start}");
        next = Some(batch.last_offset() + 1);
        seen.extend(records_in(batch.bytes()));
    }
    seen
}

pub(super) fn records_in(bytes: &[u8]) -> Vec<(i64, Seen)> {
    let (batch, _) = RecordBatch::parse(bytes).expect("a batch");
    let uncompressed = batch.decompress(64 << 20).expect("it decompresses");
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let records = batch.records(&uncompressed).map(|record| {
        let record = record.expect("a record");
        (record.offset, Seen { timestamp: record.timestamp, key: own(record.key), value: own(record.value) })
    });
    records.collect()
}

/// How batches of a test look.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) keys: u64,
    pub(super) value_bytes: u64,
    /// Whether some records have no key, as before a topic was compacted.
    pub(super) without_key: bool,
    pub(super) codecs: bool,
}

/// A random batch.
pub(super) fn random_batch(
    random: &mut Random,
    shape: Shape,
    now_ms: i64,
    producer: ProducerState,
    is_transactional: bool,
) -> Vec<u8> {
    let codec = if shape.codecs { Compression::ALL[random.below(5) as usize] } else { Compression::None };
    let mut builder = RecordBatchBuilder::new()
        .compression(codec)
        .producer(producer)
        .attributes(Attributes::default().with_transactional(is_transactional));
    for _ in 0..1 + random.below(5) {
        let key = random.below(shape.keys).to_be_bytes();
        let has_key = !shape.without_key || !random.chance(9);
        let value = alloc::vec![random.below(256) as u8; random.below(shape.value_bytes) as usize];
        let value = (!random.chance(6)).then_some(&value[..]);
        builder.push(now_ms + random.below(50) as i64, has_key.then_some(&key[..]), value);
    }
    builder.finish()
}

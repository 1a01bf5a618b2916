//! What was promised so far, and whether it holds.
//!
//! I1: what was acknowledged stays at its offset. I2: one offset, one value, for ever and everywhere. I3: what one client
//! sent stays in order. I4: consumers see only what is committed. I5: nothing is there twice. I6, that everything
//! comes into order again, is looked at by the world.

use std::collections::BTreeMap;

use super::log::{Log, Record};
use crate::NodeId;

/// The history of one partition.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By offset: what some replica called committed.
    committed: Vec<Option<Record>>,
    /// By offset: what a consumer read.
    read: Vec<Option<Record>>,
    /// By epoch and offset: what a leader wrote.
    written: BTreeMap<(i32, i64), (usize, usize)>,
    /// By epoch: who led, in which process.
    leaders: BTreeMap<i32, (NodeId, u32)>,
    /// By producer and sequence number: where it was acknowledged.
    pub(super) acknowledged: BTreeMap<(usize, usize), i64>,
    pub(super) log_start: i64,
    /// Some replica called everything below it committed.
    pub(super) committed_end: i64,
}

fn place(records: &mut Vec<Option<Record>>, offset: i64) -> &mut Option<Record> {
    let index = usize::try_from(offset).expect("an offset");
    if records.len() <= index {
        records.resize(index + 1, None);
    }
    &mut records[index]
}

impl History {
    pub(super) fn led(&mut self, epoch: i32, node: NodeId, process: u32) {
        let first = *self.leaders.entry(epoch).or_insert((node, process));
        assert_eq!(first, (node, process), "I2: two leaders in epoch {epoch}");
    }

    pub(super) fn wrote(&mut self, offset: i64, record: Record) {
        let value = record.value();
        let first = *self.written.entry((record.epoch, offset)).or_insert(value);
        assert_eq!(first, value, "I2: two records at offset {offset} in epoch {}", record.epoch);
    }

    /// A replica says that everything below `to` is committed, and has said so of what is below `from`.
    pub(super) fn committed(&mut self, log: &Log, from: i64, to: i64) {
        self.committed_end = self.committed_end.max(to);
        for offset in from.max(log.start)..to {
            let record = log.get(offset).expect("a high watermark lies in the log");
            let known = place(&mut self.committed, offset);
            match known {
                Some(known) => {
                    assert_eq!(*known, record, "I2: offset {offset} was committed with another record")
                }
                None => *known = Some(record),
            }
        }
    }

    pub(super) fn consumed(&mut self, offset: i64, record: Record) {
        let known = place(&mut self.read, offset);
        match known {
            Some(known) => assert_eq!(*known, record, "I4: offset {offset} was read with another record"),
            None => *known = Some(record),
        }
        if let Some(committed) = *place(&mut self.committed, offset) {
            assert_eq!(committed, record, "I4: offset {offset} was read before it was committed");
        }
    }

    /// A leader acknowledges a record of an idempotent producer.
    pub(super) fn acknowledged(&mut self, record: Record, offset: i64) {
        let first = *self.acknowledged.entry(record.value()).or_insert(offset);
        assert_eq!(first, offset, "I5: {:?} was acknowledged at two offsets", record.value());
        let committed = place(&mut self.committed, offset).map(Record::value);
        assert_eq!(committed, Some(record.value()), "I1: acknowledged at {offset} and not committed there");
    }

    /// The log that all have in the end.
    pub(super) fn check_final(&self, log: &Log, is_idempotent: &[bool]) {
        let value_at = |offset: i64| log.get(offset).map(Record::value);
        for (value, offset) in &self.acknowledged {
            if *offset >= log.start {
                assert_eq!(
                    value_at(*offset),
                    Some(*value),
                    "I1: {value:?}, acknowledged at {offset}, is lost"
                );
            }
        }
        for (what, records) in [("I2: committed", &self.committed), ("I4: read", &self.read)] {
            for (offset, record) in (0_i64..).zip(records) {
                if let Some(record) = record.filter(|_| offset >= log.start) {
                    assert_eq!(
                        value_at(offset),
                        Some(record.value()),
                        "{what} at {offset} and not in the log"
                    );
                }
            }
        }
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for record in log.from(log.start, usize::MAX / 2).iter().filter(|record| is_idempotent[record.client])
        {
            let before = last.insert(record.client, record.sequence);
            assert!(
                before.is_none_or(|before| before + 1 == record.sequence),
                "I3, I5: {record:?} follows number {before:?} of its producer"
            );
        }
    }
}

//! The log of one replica on a disk that forgets what was not flushed.
//!
//! Every record is a batch of its own, named by its producer and sequence number.

use ringmain_storage::{LeaderEpoch, Offset};

use crate::{CommitRule, EpochEnd, RecoveredLog};

/// Whose record, and which of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) epoch: i32,
    pub(super) client: usize,
    pub(super) sequence: usize,
}

impl Record {
    /// What a reader sees.
    pub(super) fn value(self) -> (usize, usize) {
        (self.client, self.sequence)
    }
}

/// What the log says to the next record of an idempotent producer.
pub(super) enum Sequence {
    New,
    Duplicate(i64),
    /// Of a record that was deleted since: certainly old.
    DuplicateOfDeleted,
    OutOfOrder,
}

/// The offsets of one producer's records, by sequence number from `first` on.
#[derive(Debug, Clone, Default)]
struct Producer {
    first: usize,
    offsets: Vec<i64>,
}

/// The log. `start <= flushed <= written <= end`, but that a log may start behind what is flushed.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    pub(super) start: i64,
    /// Offset of `records[0]`.
    base: i64,
    records: Vec<Record>,
    pub(super) written: i64,
    pub(super) flushed: i64,
    /// First offset of each epoch.
    epochs: Vec<(i32, i64)>,
    producers: Vec<Producer>,
    /// Counts cuts: what the disk was doing before one means nothing after it.
    pub(super) cuts: u32,
}

impl Log {
    pub(super) fn new(clients: usize) -> Self {
        Self { producers: vec![Producer::default(); clients], ..Self::default() }
    }

    pub(super) fn end(&self) -> i64 {
        self.base + i64::try_from(self.records.len()).expect("fits")
    }

    pub(super) fn get(&self, offset: i64) -> Option<Record> {
        self.records.get(usize::try_from(offset - self.base).ok()?).copied().filter(|_| offset >= self.start)
    }

    pub(super) fn from(&self, offset: i64, count: usize) -> &[Record] {
        let first = usize::try_from(offset - self.base).expect("in the log");
        &self.records[first..self.records.len().min(first + count)]
    }

    pub(super) fn persisted(&self, rule: CommitRule) -> i64 {
        match rule {
            CommitRule::Flushed => self.flushed,
            CommitRule::Written => self.written,
        }
    }

    pub(super) fn check(&self, client: usize, sequence: usize) -> Sequence {
        let producer = &self.producers[client];
        let next = producer.first + producer.offsets.len();
        if sequence == next {
            Sequence::New
        } else if sequence > next {
            Sequence::OutOfOrder
        } else {
            match sequence.checked_sub(producer.first) {
                Some(index) => Sequence::Duplicate(producer.offsets[index]),
                None => Sequence::DuplicateOfDeleted,
            }
        }
    }

    pub(super) fn append(&mut self, record: Record) -> i64 {
        let offset = self.end();
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < record.epoch) {
            self.epochs.push((record.epoch, offset));
        }
        assert_eq!(self.epochs.last().expect("one").0, record.epoch, "epochs in a log never fall");
        let producer = &mut self.producers[record.client];
        if producer.offsets.is_empty() {
            producer.first = record.sequence;
        }
        producer.offsets.push(offset);
        self.records.push(record);
        offset
    }

    pub(super) fn truncate(&mut self, to: i64) {
        self.cuts += 1;
        while self.end() > to.max(self.base) {
            let record = self.records.pop().expect("not empty");
            self.producers[record.client].offsets.pop();
        }
        self.epochs.retain(|(_, start)| *start < to);
        self.written = self.end();
        self.flushed = self.end();
    }

    pub(super) fn restart(&mut self, at: i64) {
        *self = Self { start: at, base: at, cuts: self.cuts + 1, ..Self::new(self.producers.len()) };
        self.written = at;
        self.flushed = at;
    }

    pub(super) fn advance_start(&mut self, to: i64) {
        self.start = self.start.max(to);
        let keep = self.epochs.partition_point(|(_, start)| *start <= self.start);
        self.epochs.drain(..keep.saturating_sub(1));
        if self.start >= self.end() {
            self.epochs.clear();
        }
    }

    /// The process ends: what was not handed to the disk is gone, and with the power what was not flushed, of which a
    /// part may have reached it: `kept` from 0 to 1000.
    pub(super) fn crash(&mut self, power: bool, kept: i64) {
        let end =
            if power { self.flushed + (self.written - self.flushed) * kept / 1000 } else { self.written };
        self.truncate(end.max(self.base));
        if self.end() < self.start {
            // The start was durable before the last records below it were, which nobody misses.
            self.restart(self.start);
        }
    }

    pub(super) fn recovered(&self) -> RecoveredLog {
        let last = self.records.last().filter(|_| self.end() > self.start);
        RecoveredLog {
            start: Offset::new(self.start),
            end: Offset::new(self.end()),
            last_epoch: last.map(|record| LeaderEpoch::new(record.epoch)),
        }
    }

    pub(super) fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.recovered().last_epoch
    }

    pub(super) fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch.value());
        let (found, _) = *self.epochs[..after].last()?;
        let end = self.epochs.get(after).map_or(self.end(), |(_, start)| *start);
        Some(EpochEnd { epoch: LeaderEpoch::new(found), end: Offset::new(end) })
    }
}

//! The loop of group commit: take what waits, write it, flush it, tell the partitions; again.
//!
//! What must hold: one round at a time (what arrives meanwhile gathers for the next, and larger writes cost less); a
//! partition hears of a write or flush only after it completed.

use std::{cell::Cell, rc::Rc};

use ringmain_storage::Progress;

use super::Shard;
use crate::{
    observability::{Histogram, HistogramValues, Stage},
    runtime::Ticks,
};

/// When the parts of a round ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoundTimes {
    begun: Ticks,
    written: Ticks,
    /// `None` until it is flushed.
    flushed: Option<Ticks>,
    /// The device had the write and the flush as one.
    flushed_at_once: bool,
}

/// What tells whether rounds end: the disk may take a write and never say that it is done.
#[derive(Debug, Default)]
pub(super) struct RoundWatch {
    is_under_way: Cell<bool>,
    ended: Cell<u64>,
    ended_at_last_look: Cell<u64>,
}

/// How long the parts of rounds took, one count for each round.
#[derive(Debug, Default)]
pub(super) struct RoundSeconds {
    write: Histogram,
    flush: Histogram,
    write_and_flush: Histogram,
    under_way_since: Cell<Option<Ticks>>,
}

/// The same at one moment.
#[derive(Debug, Clone)]
pub(crate) struct RoundValues {
    /// By the part of a round.
    pub(crate) parts: [(&'static str, HistogramValues); 3],
    /// How long the round has been under way that is, if one is.
    pub(crate) under_way_nanoseconds: u64,
}

impl RoundWatch {
    fn begin(&self) {
        self.is_under_way.set(true);
    }

    fn end(&self) {
        self.is_under_way.set(false);
        self.ended.set(self.ended.get() + 1);
    }

    /// Whether none is under way, or one has ended since the last look.
    pub(super) fn goes_on(&self) -> bool {
        let has_ended = self.ended_at_last_look.replace(self.ended.get()) != self.ended.get();
        has_ended || !self.is_under_way.get()
    }
}

impl Shard {
    /// Runs until the node stops.
    pub(crate) async fn commit(self: Rc<Self>) {
        loop {
            self.store.pending().await;
            let mut round = self.store.begin_round();
            self.round_watch.begin();
            let begun = self.clock.read();
            self.round_seconds.under_way_since.set(Some(begun));
            let progress = round.write().await;
            let flushed_at_once = round.is_flushed();
            let written = self.clock.read();
            let part = match flushed_at_once {
                true => &self.round_seconds.write_and_flush,
                false => &self.round_seconds.write,
            };
            part.add(self.clock.nanoseconds(begun, written), 1);
            let mut times = RoundTimes { begun, written, flushed: None, flushed_at_once };
            self.report_round(times, progress);
            let progress = round.flush().await;
            let flushed = self.clock.read();
            // Where nobody asked for a flush there was none.
            if !flushed_at_once && !progress.is_empty() {
                self.round_seconds.flush.add(self.clock.nanoseconds(written, flushed), 1);
            }
            times.flushed = Some(flushed);
            self.round_seconds.under_way_since.set(None);
            self.round_watch.end();
            self.report_round(times, progress);
        }
    }

    /// How long rounds take.
    pub(super) fn round_values(&self) -> RoundValues {
        let rounds = &self.round_seconds;
        let now = self.clock.read();
        let under_way = rounds.under_way_since.get().map(|since| self.clock.nanoseconds(since, now));
        RoundValues {
            parts: [
                ("write", rounds.write.values()),
                ("flush", rounds.flush.values()),
                ("write_and_flush", rounds.write_and_flush.values()),
            ],
            under_way_nanoseconds: under_way.unwrap_or(0),
        }
    }

    fn report_round(&self, times: RoundTimes, progress: Vec<Progress>) {
        self.reported_round.set(Some(times));
        self.report(progress, times.flushed.is_some());
        self.reported_round.set(None);
    }

    /// Takes note of what the round that is being reported meant for a batch that was appended at `appended`, after it had
    /// waited for so long. A batch that is answered without a round counts in none of its stages.
    pub(super) fn note_round_of_batch(&self, appended: Ticks, waited_nanoseconds: u64) {
        let Some(round) = self.reported_round.get() else { return };
        let time = |from, to| self.clock.nanoseconds(from, to);
        self.stages.add(Stage::Queue, waited_nanoseconds + time(appended, round.begun), 1);
        if round.flushed_at_once {
            self.stages.add(Stage::WriteAndFlush, time(round.begun, round.written), 1);
            return;
        }
        self.stages.add(Stage::Write, time(round.begun, round.written), 1);
        if let Some(flushed) = round.flushed {
            self.stages.add(Stage::Flush, time(round.written, flushed), 1);
        }
    }

    /// Writes zeros ahead of the segments that need some, until the node stops.
    pub(crate) async fn keep_zeros_ahead(self: Rc<Self>) {
        loop {
            let stopped = self.store.write_zeros_ahead().await;
            self.report(stopped, false);
        }
    }

    /// Settles logs beside the rounds, until the node stops.
    pub(crate) async fn keep_settled(self: Rc<Self>) {
        loop {
            let failed = self.store.settle_beside().await;
            self.report(failed, false);
        }
    }

    /// Tells partitions how far they got.
    pub(crate) fn report(&self, progress: Vec<Progress>, flushed: bool) {
        for progress in progress {
            // A partition that was deleted during the round has answered its requests already.
            if let Some(partition) = self.partition(progress.log) {
                partition.progressed(self, progress, flushed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_does_not_end_is_noticed_at_the_second_look() {
        let watch = RoundWatch::default();
        assert!(watch.goes_on(), "there was none");
        watch.begin();
        assert!(!watch.goes_on());
        watch.end();
        watch.begin();
        assert!(watch.goes_on(), "one has ended, and the next has begun");
        assert!(!watch.goes_on() && !watch.goes_on());
        watch.end();
        assert!(watch.goes_on() && watch.goes_on());
    }
}

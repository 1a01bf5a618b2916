//! The loop of group commit: take what waits, write it, flush it, tell the partitions; again.
//!
//! What must hold: one round at a time (what arrives meanwhile gathers for the next, and larger writes cost less); a
//! partition hears of a write or flush only after it completed.

use std::rc::Rc;

use ringmain_storage::Progress;

use super::Shard;
use crate::{observability::Stage, runtime::Ticks};

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

impl Shard {
    /// Runs until the node stops.
    pub(crate) async fn commit(self: Rc<Self>) {
        loop {
            self.store.pending().await;
            let mut round = self.store.begin_round();
            let begun = self.clock.read();
            let progress = round.write().await;
            let flushed_at_once = round.is_flushed();
            let written = self.clock.read();
            let mut times = RoundTimes { begun, written, flushed: None, flushed_at_once };
            self.report_round(times, progress);
            let progress = round.flush().await;
            times.flushed = Some(self.clock.read());
            self.report_round(times, progress);
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

//! Bringing journalled bytes to the segments beside the rounds, so that no acknowledgement waits for a file to grow.
//!
//! 1. A round that puts a log's bytes into the journal plans the settling of everything the log has not settled, these bytes
//!    included; one of which all is in the journal already is planned without a round.
//! 2. Once that round is flushed, [`crate::Store::settle_beside`] writes the planned bytes into the segment, flushes its file
//!    and takes note that the journal is not needed for them.
//!
//! What must hold:
//! - Only bytes that are durable in the journal are settled so: nobody waits for them.
//! - From the plan to the end the rounds write nothing into the log's segments; they use the journal, or let the log wait.
//! - Frames that are written meanwhile are needed from the first of them on: the end of the settling frees those before only.
//! - Whoever cuts, deletes or closes the log ends the settling first ([`Log::end_settling`]).
//!
//! Failure modes: a full disk leaves the bytes in journal and memory, to be tried again. Any other error stops the log.
use alloc::boxed::Box;

use crate::config::StoreOptions;
use crate::disk::{Disk, DiskError};
use crate::journal::Journal;
use crate::log::round::{RoundPart, Way};
use crate::log::tail::Taken;
use crate::log::zeros::StopUnlessFinished;
use crate::log::{Draft, Log, LogState};
use crate::store::Progress;

/// A settling beside the rounds.
pub(crate) struct Settling {
    stage: Stage,
    taken: Taken,
    /// A checkpoint that is true once all of it is settled.
    draft: Option<Draft>,
    /// First journal frame with bytes of the log that are not part of it.
    journal_next: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The round that brings the last of its bytes to the journal is not flushed.
    Planned,
    Queued,
    UnderWay,
}

impl<D: Disk> Log<D> {
    /// Plans the settling of everything that is in the tail; all of it is in the journal, or will be by this round. Says
    /// whether that can be done: not when it is more than one settling may take.
    pub(super) fn plan_settling(&self, state: &mut LogState, options: &StoreOptions) -> bool {
        let Some(taken) = state.tail.take_unsettled(crate::config::ROUND_BYTES_MAX) else { return false };
        if taken.settles != state.tail.count() {
            return false;
        }
        let draft = state.is_checkpoint_due(options).then(|| self.draw_up_checkpoint(state));
        state.settle_requested = false;
        state.settling = Some(Box::new(Settling { stage: Stage::Planned, taken, draft, journal_next: None }));
        true
    }

    /// All bytes of the plan are durable in the journal.
    pub(super) fn queue_settling(&self, state: &mut LogState) {
        if let Some(settling) = state.settling.as_mut().filter(|settling| settling.stage == Stage::Planned) {
            settling.stage = Stage::Queued;
            self.0.shared.settle_queue.borrow_mut().push(self.clone());
            self.0.shared.settle_work.notify();
        }
    }

    /// Whether rounds must not write into the segments now.
    pub(crate) fn is_settling_beside(&self) -> bool {
        let state = self.0.state.borrow();
        state.settling.as_ref().is_some_and(|settling| settling.stage != Stage::Planned)
    }

    /// Whether a settling beside the rounds is planned or under way.
    pub(crate) fn is_settling(&self) -> bool {
        self.0.state.borrow().settling.is_some()
    }

    /// The log gets a round when its settling has ended.
    pub(crate) fn wait_for_settling(&self) {
        self.0.state.borrow_mut().has_waited_for_settling = true;
    }

    /// Settles what was planned. Reports only what went wrong.
    pub(crate) async fn settle_beside(&self, journal: &Journal<D>) -> Option<Progress> {
        let taken = {
            let mut state = self.0.state.borrow_mut();
            let settling = state.settling.as_mut().filter(|settling| settling.stage == Stage::Queued)?;
            settling.stage = Stage::UnderWay;
            settling.taken.clone()
        };
        let unfinished = StopUnlessFinished::new(self);
        let result = self.write_settled(taken).await;
        unfinished.finish();
        let progress = self.settled(result, journal);
        self.0.shared.settled.notify();
        progress
    }

    async fn write_settled(&self, taken: Taken) -> Result<(), DiskError> {
        let part = RoundPart::beside(self.clone(), taken);
        let is_one_write = matches!(&part.way, Way::Segments(taken) if taken.writes.len() == 1);
        let is_linked = is_one_write && !part.has_dirty_segments();
        part.write_segments(&self.0.shared, is_linked).await?;
        let is_flushed = is_linked || crate::planted::is("settled-not-flushed");
        part.flush_segments(&self.0.shared, is_flushed).await
    }

    fn settled(&self, result: Result<(), DiskError>, journal: &Journal<D>) -> Option<Progress> {
        let mut state = self.0.state.borrow_mut();
        let settling = state.settling.take()?;
        let error = match result {
            _ if state.stopped.is_some() => return None,
            Ok(()) => {
                state.tail.settle(settling.taken.settles);
                state.settled_offset = state.settled_offset.max(settling.taken.next_offset);
                state.draft = settling.draft.or(state.draft.take());
                let no_longer_needed = state.journal_since.take();
                state.journal_since = settling.journal_next;
                state.check();
                let has_waited = core::mem::take(&mut state.has_waited_for_settling);
                let asks_again = has_waited || state.settle_requested;
                drop(state);
                let forgotten =
                    settling.journal_next.filter(|_| crate::planted::is("journal-next-forgotten"));
                for since in no_longer_needed.into_iter().chain(forgotten) {
                    journal.not_needed(since, self.key());
                }
                if asks_again {
                    self.request_round();
                }
                return None;
            }
            Err(error) => error,
        };
        if let Some(next) = settling.journal_next {
            journal.not_needed(next, self.key()); // The first frame that is needed is an older one.
        }
        drop(state);
        if error.is_recoverable() {
            self.found_disk_full();
            return Some(Progress { log: self.key(), result: Err(error) });
        }
        self.stop(&error);
        self.request_round();
        Some(Progress { log: self.key(), result: Err(error) })
    }

    /// Takes a plan back whose round did not make its bytes durable.
    pub(super) fn take_plan_back(&self) {
        let mut state = self.0.state.borrow_mut();
        if state.settling.as_ref().is_some_and(|settling| settling.stage == Stage::Planned) {
            let settling = state.settling.take();
            state.settle_requested = true;
            state.checkpoint_requested |= settling.is_some_and(|settling| settling.draft.is_some());
        }
    }

    /// Ends a settling: waits for one that is under way, takes others back. The caller holds the round.
    pub(crate) async fn end_settling(&self) {
        let shared = &self.0.shared;
        let is_under_way = || {
            let state = self.0.state.borrow();
            state.settling.as_ref().is_some_and(|settling| settling.stage == Stage::UnderWay)
        };
        shared.settled.until(|| !is_under_way()).await;
        let mut state = self.0.state.borrow_mut();
        let Some(settling) = state.settling.take() else { return };
        state.settle_requested = true;
        state.checkpoint_requested |= settling.draft.is_some();
        if let (Some(next), Some(journal)) = (settling.journal_next, shared.journal()) {
            journal.not_needed(next, self.key());
        }
    }
}

impl LogState {
    /// Takes note of a frame with bytes of the log. Returns the first frame that it needs for them.
    pub(super) fn journalled(&mut self, sequence: u64) -> u64 {
        match self.settling.as_mut().filter(|settling| settling.stage != Stage::Planned) {
            Some(settling) => *settling.journal_next.get_or_insert(sequence),
            None => *self.journal_since.get_or_insert(sequence),
        }
    }
}

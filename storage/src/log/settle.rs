//! Bringing journalled bytes to the segments beside the rounds, so that no acknowledgement waits for a file to grow.
//!
//! 1. A round that puts a log's bytes into the journal plans the settling of everything the log has not settled, these bytes
//!    included; one of which all is in the journal already is planned without a round.
//! 2. Once that round is flushed, [`crate::Store::settle_beside`] writes the planned bytes into the segment: they are read
//!    from there now, and their memory can go.
//! 3. What is to be durable there, because the journal needs the place of its oldest frames, a segment is complete or the log
//!    is idle, is flushed after that, with what earlier settlings left, and the journal is told. Settlings that only make room
//!    in memory end before: many writes into a file share one flush.
//!
//! What must hold:
//! - Only bytes that are durable in the journal are settled so: nobody waits for them.
//! - The journal keeps its frames until the file was flushed after they were written into it.
//! - From the plan to the end the rounds write nothing into the log's segments; they use the journal, or let the log wait.
//! - Frames that are written meanwhile are needed from the first of them on: the end of a durable settling frees those before
//!   only.
//! - What is settled and not flushed is bounded ([`SETTLED_UNFLUSHED_BYTES_MAX`]): recovery relies on it.
//! - Whoever cuts, deletes or closes the log ends the settling first ([`Log::end_settling`]).
//!
//! Failure modes: a full disk leaves the bytes in journal and memory, to be tried again. Any other error stops the log.
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefMut;
use core::mem;

use crate::config::{SETTLED_UNFLUSHED_BYTES_MAX, StoreOptions};
use crate::disk::{Disk, DiskError};
use crate::journal::Journal;
use crate::log::round::RoundPart;
use crate::log::tail::Taken;
use crate::log::zeros::StopUnlessFinished;
use crate::log::{Draft, Log, LogState};
use crate::store::Progress;

/// A settling beside the rounds.
pub(crate) struct Settling {
    stage: Stage,
    /// What is to be written.
    taken: Taken,
    /// Bytes of it.
    bytes: u64,
    /// Whether it ends with a flush, or once it is written.
    is_durable: bool,
    /// A checkpoint that is true once all of it is durable.
    draft: Option<Draft>,
    /// First journal frame with bytes of the log that are not part of it.
    journal_next: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The round that brings the last of its bytes to the journal is not flushed.
    Planned,
    Queued,
    Writing,
    /// Waits for its flush.
    Written,
    Flushing,
}

impl Settling {
    /// It ends with a flush, although it was not planned so.
    pub(super) fn make_durable(&mut self) {
        self.is_durable = true;
    }

    fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Writing | Stage::Flushing)
    }
}

impl<D: Disk> Log<D> {
    /// Plans the settling of everything that is in the tail; all of it is in the journal, or will be by this round. Says
    /// whether that can be done: not when it is more than one settling may take.
    pub(super) fn plan_settling(&self, state: &mut LogState, options: &StoreOptions) -> bool {
        let bytes = state.tail.unsettled_bytes();
        let Some(taken) = state.tail.take_unsettled(crate::config::ROUND_BYTES_MAX) else { return false };
        if taken.settles != state.tail.count() {
            return false;
        }
        let is_durable =
            state.flush_requested || state.settled_unflushed_bytes + bytes > SETTLED_UNFLUSHED_BYTES_MAX;
        let has_draft = is_durable && state.is_checkpoint_due(options);
        let draft = has_draft.then(|| self.draw_up_checkpoint(state));
        state.settle_requested = false;
        state.flush_requested = false;
        let stage = Stage::Planned;
        state.settling =
            Some(Box::new(Settling { stage, taken, bytes, is_durable, draft, journal_next: None }));
        true
    }

    /// Queues the flush of what was settled, if somebody wants it and nothing else is to be settled.
    pub(super) fn plan_flush(&self, state: &mut LogState) {
        let is_wanted = state.flush_requested && state.settled_unflushed_bytes > 0;
        if !is_wanted || state.settling.is_some() {
            return;
        }
        let options = &self.0.shared.options;
        let draft = state.is_checkpoint_due(options).then(|| self.draw_up_checkpoint(state));
        let count = state.tail.count();
        let taken = Taken {
            writes: Vec::new(),
            settles: count,
            whole_batches: count,
            next_offset: state.log_end_offset,
        };
        let (stage, is_durable, journal_next) = (Stage::Planned, true, None);
        state.settling = Some(Box::new(Settling { stage, taken, bytes: 0, is_durable, draft, journal_next }));
        self.queue_settling(state);
    }

    /// All bytes of the plan are durable in the journal.
    pub(super) fn queue_settling(&self, state: &mut LogState) {
        if let Some(settling) = state.settling.as_mut().filter(|settling| settling.stage == Stage::Planned) {
            settling.stage = Stage::Queued;
            self.0.shared.settle_queue.borrow_mut().push_back(self.clone());
            self.0.shared.settle_work.notify();
        }
    }

    /// Whether rounds must not write into the segments now.
    pub(crate) fn is_settling_beside(&self) -> bool {
        let state = self.0.state.borrow();
        state.settling.as_ref().is_some_and(|settling| settling.stage != Stage::Planned)
    }

    /// Whether a settling that ends with a flush is planned or under way.
    pub(crate) fn is_settling_durably(&self) -> bool {
        self.0.state.borrow().settling.as_ref().is_some_and(|settling| settling.is_durable)
    }

    /// The log gets a round when its settling has ended.
    pub(crate) fn wait_for_settling(&self) {
        self.0.state.borrow_mut().has_waited_for_settling = true;
    }

    /// Writes what was planned. Reports only what went wrong.
    pub(crate) async fn write_beside(&self, journal: &Journal<D>) -> Option<Progress> {
        let taken = {
            let mut state = self.0.state.borrow_mut();
            let settling = state.settling.as_mut().filter(|settling| settling.stage == Stage::Queued)?;
            settling.stage = Stage::Writing;
            // The writes hold memory, which is to go when they are done.
            Taken { writes: mem::take(&mut settling.taken.writes), ..settling.taken.clone() }
        };
        let unfinished = StopUnlessFinished::new(self);
        let part = RoundPart::beside(self.clone(), taken);
        let result = part.write_segments(&self.0.shared, false).await;
        drop(part);
        unfinished.finish();
        let progress = match result {
            Ok(()) => {
                self.settled_unflushed(journal);
                None
            }
            Err(error) => self.settling_failed(error, journal),
        };
        self.0.shared.settled.notify();
        progress
    }

    /// Flushes what was written, if that is to be durable. Reports only what went wrong.
    pub(crate) async fn flush_beside(&self, journal: &Journal<D>) -> Option<Progress> {
        let taken = {
            let mut state = self.0.state.borrow_mut();
            let settling = state.settling.as_mut().filter(|settling| settling.stage == Stage::Written)?;
            settling.stage = Stage::Flushing;
            settling.taken.clone()
        };
        let unfinished = StopUnlessFinished::new(self);
        let part = RoundPart::beside(self.clone(), taken);
        let is_flushed = crate::planted::is("settled-not-flushed");
        let result = part.flush_segments(&self.0.shared, is_flushed).await;
        unfinished.finish();
        let progress = match result {
            Ok(()) => {
                self.settled(journal);
                None
            }
            Err(error) => self.settling_failed(error, journal),
        };
        self.0.shared.settled.notify();
        progress
    }

    /// All of it is in the segments, and readable there.
    fn settled_unflushed(&self, journal: &Journal<D>) {
        let mut state = self.0.state.borrow_mut();
        if state.stopped.is_some() {
            state.settling = None;
            return;
        }
        let Some(settling) = state.settling.as_mut() else { return };
        let (settles, bytes) = (settling.taken.settles, settling.bytes);
        settling.stage = Stage::Written;
        let ended = if settling.is_durable { None } else { state.settling.take() };
        state.tail.settle(settles);
        state.settled_unflushed_bytes += bytes;
        state.is_full = false;
        state.check();
        if let Some(settling) = ended {
            let freed = if crate::planted::is("written-believed-settled") {
                state.settled_offset = settling.taken.next_offset;
                let since = state.journal_since;
                state.journal_since = settling.journal_next;
                state.settled_unflushed_bytes = 0;
                since
            } else {
                settling.journal_next // The first frame that is needed is an older one.
            };
            if let Some(next) = freed {
                journal.not_needed(next, self.key());
            }
            self.end_of_settling(state);
        } else {
            drop(state);
        }
        self.give_back_what_was_asked();
    }

    /// All of it is durable in the segments.
    fn settled(&self, journal: &Journal<D>) {
        let mut state = self.0.state.borrow_mut();
        let Some(settling) = state.settling.take() else { return };
        if state.stopped.is_some() {
            return;
        }
        state.settled_offset = state.settled_offset.max(settling.taken.next_offset);
        state.draft = settling.draft.or(state.draft.take());
        let no_longer_needed = state.journal_since.take();
        state.journal_since = settling.journal_next;
        state.check();
        let forgotten = settling.journal_next.filter(|_| crate::planted::is("journal-next-forgotten"));
        for since in no_longer_needed.into_iter().chain(forgotten) {
            journal.not_needed(since, self.key());
        }
        self.end_of_settling(state);
    }

    /// Asks for what had to wait.
    fn end_of_settling(&self, mut state: RefMut<'_, LogState>) {
        let has_waited = mem::take(&mut state.has_waited_for_settling);
        let asks_again = has_waited || state.settle_requested;
        drop(state);
        if asks_again {
            self.request_round();
        }
    }

    fn settling_failed(&self, error: DiskError, journal: &Journal<D>) -> Option<Progress> {
        let mut state = self.0.state.borrow_mut();
        let settling = state.settling.take()?;
        if state.stopped.is_some() {
            return None;
        }
        state.flush_requested |= settling.is_durable;
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
            let Some(settling) = state.settling.take() else { return };
            state.settle_requested = true;
            state.flush_requested |= settling.is_durable;
            state.checkpoint_requested |= settling.draft.is_some();
        }
    }

    /// Ends a settling: waits for one that is under way, takes others back and leaves them to the next round. The caller holds
    /// the round.
    pub(crate) async fn end_settling(&self) {
        let shared = &self.0.shared;
        let is_under_way = || {
            let state = self.0.state.borrow();
            state.settling.as_ref().is_some_and(|settling| settling.is_under_way())
        };
        shared.settled.until(|| !is_under_way()).await;
        let mut state = self.0.state.borrow_mut();
        let Some(settling) = state.settling.take() else { return };
        state.settle_requested = true;
        state.flush_requested |= settling.is_durable;
        state.checkpoint_requested |= settling.draft.is_some();
        state.has_waited_for_settling = false;
        drop(state);
        if let (Some(next), Some(journal)) = (settling.journal_next, shared.journal()) {
            journal.not_needed(next, self.key());
        }
        // What it was planned for is still wanted, and appends may wait for its end.
        self.request_round();
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

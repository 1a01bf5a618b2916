//! When something is due: an ordered index over all groups of a coordinator.
//!
//! Each owner keeps the time of its own deadline in a slot beside the thing itself; the index holds exactly the slots
//! that are set. To ask for the next deadline costs nothing, to move one costs two steps in a tree.

use alloc::collections::BTreeSet;

use crate::group::{GroupNumber, MemberNumber};

/// What becomes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A member, or one that was only given an id, was silent for too long.
    Session(GroupNumber, MemberNumber),
    /// The rebalance goes on without those who did not join.
    Join(GroupNumber),
    /// Members that joined and never asked for their assignment are removed.
    Sync(GroupNumber),
    /// The group's offsets are looked at: perhaps some expired.
    Retention(GroupNumber),
}

/// The ordered index.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    due: BTreeSet<(i64, Timer)>,
}

impl Deadlines {
    /// Sets or moves a deadline.
    pub(crate) fn schedule(&mut self, timer: Timer, slot: &mut Option<i64>, at_ms: i64) {
        self.cancel(timer, slot);
        *slot = Some(at_ms);
        self.due.insert((at_ms, timer));
    }

    /// Clears a deadline; nothing happens if there is none.
    pub(crate) fn cancel(&mut self, timer: Timer, slot: &mut Option<i64>) {
        if let Some(at_ms) = slot.take() {
            let was_there = self.due.remove(&(at_ms, timer));
            assert!(was_there, "the deadline of {timer:?} at {at_ms} is not in the index");
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.due.first().map(|(at_ms, _)| *at_ms)
    }

    /// The earliest timer that is due. It stays in the index until its owner cancels it.
    pub(crate) fn due(&self, now_ms: i64) -> Option<Timer> {
        self.due.first().filter(|(at_ms, _)| *at_ms <= now_ms).map(|(_, timer)| *timer)
    }

    /// How many deadlines are set.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether exactly this deadline is set.
    #[cfg(test)]
    pub(crate) fn contains(&self, timer: Timer, at_ms: i64) -> bool {
        self.due.contains(&(at_ms, timer))
    }
}

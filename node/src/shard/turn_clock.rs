//! The clock of one shard's turns: read where something ends that took time, and shared by what happens until the next
//! reading.
//!
//! What must hold: [`TurnClock::recent`] is never later than now; who measures a duration knows that a reading was made at
//! its beginning, or counts a little too much, never too little.

use std::cell::Cell;

use crate::runtime::{TickSource, Ticks};

/// Made once for each shard.
pub(crate) struct TurnClock {
    source: TickSource,
    recent: Cell<Ticks>,
}

impl TurnClock {
    pub(super) fn new(source: TickSource) -> Self {
        Self { source, recent: Cell::new(source.now()) }
    }

    /// Reads the time.
    #[inline]
    pub(crate) fn read(&self) -> Ticks {
        let now = self.source.now();
        self.recent.set(now);
        now
    }

    /// The last reading.
    #[inline]
    pub(crate) fn recent(&self) -> Ticks {
        self.recent.get()
    }

    /// Nanoseconds from one reading to a later one.
    #[inline]
    pub(crate) fn nanoseconds(&self, from: Ticks, to: Ticks) -> u64 {
        self.source.nanoseconds(from, to)
    }
}

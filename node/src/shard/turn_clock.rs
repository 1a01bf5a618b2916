//! The clock of one shard's turns: read where something ends that took time, and shared by what happens until the next
//! reading.
//!
//! What must hold: [`TurnClock::recent`] is never later than now; who measures a duration knows that a reading was made at
//! its beginning, or counts a little too much, never too little.

use std::cell::Cell;

use crate::runtime::{self, TickSource, Ticks};

/// How old a reading of the time of day may be.
const TIME_OF_DAY_NANOSECONDS_MAX: u64 = 250_000;

/// Made once for each shard.
pub(crate) struct TurnClock {
    source: TickSource,
    recent: Cell<Ticks>,
    /// Milliseconds since the Unix epoch, and when they were read.
    time_of_day: Cell<(i64, Ticks)>,
}

impl TurnClock {
    pub(super) fn new(source: TickSource) -> Self {
        let now = source.now();
        Self { source, recent: Cell::new(now), time_of_day: Cell::new((runtime::unix_ms(), now)) }
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

    /// Milliseconds since the Unix epoch at the last reading, a quarter of one too few at most.
    #[inline]
    pub(crate) fn unix_ms(&self) -> i64 {
        let (unix_ms, read_at) = self.time_of_day.get();
        let recent = self.recent.get();
        if self.nanoseconds(read_at, recent) <= TIME_OF_DAY_NANOSECONDS_MAX {
            return unix_ms;
        }
        let unix_ms = runtime::unix_ms();
        self.time_of_day.set((unix_ms, recent));
        unix_ms
    }

    /// Nanoseconds from one reading to a later one.
    #[inline]
    pub(crate) fn nanoseconds(&self, from: Ticks, to: Ticks) -> u64 {
        self.source.nanoseconds(from, to)
    }
}

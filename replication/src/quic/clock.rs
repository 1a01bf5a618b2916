//! The time that QUIC is told: it stands still while the shard's thread did.
//!
//! A thread that was kept from running (a process stopped, a virtual machine moved, a long computation) comes back to timers
//! that are long due, and would take the silence of its own making for that of every peer. So what a turn comes too late is
//! taken out of the time: the peers are asked first, and their answers are heard.

use std::time::{Duration, Instant};

/// A turn that comes later than its timer by more than this was kept from running. Below it, QUIC's own slack is enough.
const STALL_MIN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct TransportClock {
    /// Everything that was taken out so far.
    stalled: Duration,
}

impl TransportClock {
    /// QUIC's time at a time.
    pub(super) fn at(&self, real: Instant) -> Instant {
        // A process cannot have been stalled for longer than its host runs.
        real.checked_sub(self.stalled).unwrap_or(real)
    }

    pub(super) fn now(&self) -> Instant {
        self.at(Instant::now())
    }

    /// How long it is, from a time, until QUIC's time reaches a deadline.
    pub(super) fn until(&self, deadline: Instant, real: Instant) -> Duration {
        deadline.saturating_duration_since(self.at(real))
    }

    /// A turn begins that was to begin at this deadline of QUIC's at the latest. Returns whether it was stalled.
    pub(super) fn turn_begins(&mut self, deadline: Option<Instant>, real: Instant) -> bool {
        let late =
            deadline.map_or(Duration::ZERO, |deadline| self.at(real).saturating_duration_since(deadline));
        let was_stalled = late > STALL_MIN;
        if was_stalled {
            self.stalled += late;
        }
        was_stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_taken_out_of_the_time() {
        let second = Duration::from_secs(1);
        let start = Instant::now() + 1000 * second;
        let mut clock = TransportClock::default();
        assert_eq!(clock.at(start), start);
        // A little late is not stalled; neither is a turn without a deadline, nor one before it.
        assert!(!clock.turn_begins(Some(start), start + STALL_MIN));
        assert!(!clock.turn_begins(None, start + 10 * second));
        assert!(!clock.turn_begins(Some(start + second), start));
        assert_eq!(clock.at(start + second), start + second);

        assert!(clock.turn_begins(Some(start + second), start + 8 * second));
        assert_eq!(clock.at(start + 8 * second), start + second);
        assert_eq!(clock.until(start + 3 * second, start + 8 * second), 2 * second);
        assert!(!clock.turn_begins(Some(start + 3 * second), start + 10 * second));
        assert!(clock.turn_begins(Some(start + 3 * second), start + 11 * second));
        assert_eq!(clock.at(start + 11 * second), start + 3 * second);
    }
}

//! The time that groups live by: the wall clock's, without its jumps.
//!
//! Sessions are measured in it, so it must not leap when somebody sets the clock; committed offsets are stamped and expire
//! by it, so it must not stay apart from the wall clock either. It goes as the monotonic clock goes and makes up a
//! difference to the wall clock by running up to half as fast again, or half as fast. What must hold: it never goes back,
//! and a session of ten seconds lasts between 6.6 and 20 seconds whatever the wall clock does.

use std::{cell::Cell, time::Instant};

use crate::runtime;

/// The part of the time that passed by which the clock may be put right.
const CORRECTION_PART: i64 = 2;
const MICROSECONDS: i64 = 1_000;

/// A clock that cannot jump.
pub(super) struct SteadyClock {
    last: Cell<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    unix_us: i64,
}

impl Default for SteadyClock {
    fn default() -> Self {
        let unix_us = runtime::unix_ms().saturating_mul(MICROSECONDS);
        Self { last: Cell::new(Reading { at: Instant::now(), unix_us }) }
    }
}

impl SteadyClock {
    /// Milliseconds since the Unix epoch.
    pub(super) fn unix_ms(&self) -> i64 {
        let now = self.last.get().next(Instant::now(), runtime::unix_ms().saturating_mul(MICROSECONDS));
        self.last.set(now);
        now.unix_us / MICROSECONDS
    }
}

impl Reading {
    fn next(self, at: Instant, wall_us: i64) -> Self {
        let passed = at.saturating_duration_since(self.at).as_micros();
        let passed_us = i64::try_from(passed).unwrap_or(i64::MAX);
        let unix_us = self.unix_us.saturating_add(passed_us);
        let most = passed_us / CORRECTION_PART;
        let correction_us = wall_us.saturating_sub(unix_us).clamp(-most, most);
        Self { at, unix_us: unix_us.saturating_add(correction_us) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND_US: i64 = 1_000_000;

    /// The reading `seconds` later, read each second, while the wall clock is `ahead` seconds ahead of the true time.
    fn after(mut reading: Reading, seconds: i64, ahead: i64) -> Reading {
        let true_us = reading.unix_us;
        for second in 1..=seconds {
            let at = reading.at + Duration::from_secs(1);
            reading = reading.next(at, true_us + (second + ahead) * SECOND_US);
        }
        reading
    }

    #[test]
    fn it_follows_a_wall_clock_that_does_not_jump() {
        let start = Reading { at: Instant::now(), unix_us: 1_000 * SECOND_US };
        assert_eq!(after(start, 100, 0).unix_us, 1_100 * SECOND_US);
    }

    #[test]
    fn a_jump_is_made_up_slowly_and_never_backwards() {
        let start = Reading { at: Instant::now(), unix_us: 1_000 * SECOND_US };
        assert_eq!(after(start, 10, 3600).unix_us, 1_015 * SECOND_US);
        assert_eq!(after(start, 10, -3600).unix_us, 1_005 * SECOND_US);
        assert_eq!(after(start, 7_200, 3600).unix_us, (1_000 + 7_200 + 3_600) * SECOND_US);
        let unmoved = start.next(start.at, 0);
        assert_eq!(unmoved.unix_us, start.unix_us);
    }
}

//! An open loop: when requests begin, whatever the broker does.
//!
//! Latency counts from the scheduled time, so a stall is seen by every request that it delays.

use std::time::{Duration, Instant};

/// A steady rate from some moment on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    start: Instant,
    /// Requests a second.
    rate: f64,
}

impl Schedule {
    /// Request 0 begins at `start`.
    pub(crate) fn new(start: Instant, rate: f64) -> Self {
        assert!(rate > 0.0 && rate.is_finite(), "a rate is a number above zero");
        Self { start, rate }
    }

    /// When the request with this number begins.
    pub(crate) fn due(&self, request: u64) -> Instant {
        self.start + Duration::from_secs_f64(request as f64 / self.rate)
    }

    /// How many requests begin before `moment`.
    pub(crate) fn count_before(&self, moment: Instant) -> u64 {
        let elapsed = moment.saturating_duration_since(self.start).as_secs_f64();
        let mut count = (elapsed * self.rate) as u64;
        // Both sides of the estimate are looked at, so that it agrees with `due` to the nanosecond.
        while self.due(count) < moment {
            count += 1;
        }
        while count > 0 && self.due(count - 1) >= moment {
            count -= 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_begin_at_equal_distances() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1000.0);
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(2500), start + Duration::from_millis(2500));
    }

    #[test]
    fn a_request_is_counted_behind_its_time_only() {
        let start = Instant::now();
        for rate in [0.7, 3.0, 1000.0, 33_333.3] {
            let schedule = Schedule::new(start, rate);
            assert_eq!(schedule.count_before(start), 0);
            for request in [0, 1, 2, 999, 123_457] {
                assert_eq!(schedule.count_before(schedule.due(request)), request, "{rate}");
                let after = schedule.due(request) + Duration::from_nanos(1);
                assert_eq!(schedule.count_before(after), request + 1, "{rate}");
            }
        }
    }
}

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
        Self { start, rate }
    }

    /// When the request with this number begins.
    pub(crate) fn due(&self, request: u64) -> Instant {
        self.start + Duration::from_secs_f64(request as f64 / self.rate)
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
}

//! What passes one way during a window: counted, timed, and cut into slices.
//!
//! Work counts where it was done within the window. A latency counts where its begin was scheduled
//! within the window, however late it ends; without a schedule, where it ended within the window.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::measure::{Work, latency_histogram, nanoseconds};
use crate::outcome::{Interval, NamedLatency};

/// Where a flow's latencies belong in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// There are none.
    None,
    /// Where they ended.
    ByEnd,
    /// Where their begin was scheduled.
    BySchedule,
}

/// One flow.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    latency_name: &'static str,
    timing: Timing,
    /// From when to when is counted.
    window: Option<(Instant, Instant)>,
    work: Work,
    latencies: Histogram<u64>,
    slice: Work,
    slice_latencies: Histogram<u64>,
    timeline: Vec<Interval>,
}

/// What was seen of the broker in a slice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BrokerSlice {
    pub(crate) busy_processors: Option<f64>,
    pub(crate) rss_bytes: Option<u64>,
}

impl Flow {
    /// Counts nothing before a window is opened.
    pub(crate) fn new(latency_name: &'static str, timing: Timing) -> Self {
        Self {
            latency_name,
            timing,
            window: None,
            work: Work::default(),
            latencies: latency_histogram(),
            slice: Work::default(),
            slice_latencies: latency_histogram(),
            timeline: Vec::new(),
        }
    }

    /// Forgets everything and counts from `start` to `end`.
    pub(crate) fn open(&mut self, start: Instant, end: Instant) {
        *self = Self { window: Some((start, end)), ..Self::new(self.latency_name, self.timing) };
    }

    /// Moves the end of what is counted to `end`.
    pub(crate) fn close(&mut self, end: Instant) {
        self.window = self.window.map(|(start, _)| (start, end));
    }

    /// What was done within the window.
    pub(crate) fn work(&self) -> Work {
        self.work
    }

    /// Latencies counted.
    pub(crate) fn latency_count(&self) -> u64 {
        self.latencies.len()
    }

    /// Where its latencies belong in time.
    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// Something was done at `now`.
    pub(crate) fn count(&mut self, now: Instant, work: Work) {
        if self.window.is_some_and(|(start, end)| start <= now && now < end) {
            self.work.add(work);
            self.slice.add(work);
        }
    }

    /// Something that began, or should have, at `began` ended at `now`.
    pub(crate) fn time(&mut self, began: Instant, now: Instant) {
        let moment = match self.timing {
            Timing::None => return,
            Timing::ByEnd => now,
            Timing::BySchedule => began,
        };
        if self.window.is_some_and(|(start, end)| start <= moment && moment < end) {
            let latency = nanoseconds(now.saturating_duration_since(began));
            self.latencies.saturating_record(latency);
            self.slice_latencies.saturating_record(latency);
        }
    }

    /// Cuts a slice of so much time off, the end of which is `at` from the window's begin.
    pub(crate) fn end_slice(&mut self, at: Duration, length: Duration, broker: BrokerSlice) {
        let seconds = length.as_secs_f64().max(f64::MIN_POSITIVE);
        let latencies = &self.slice_latencies;
        self.timeline.push(Interval {
            end_seconds: at.as_secs_f64(),
            megabytes_per_second: self.slice.bytes as f64 / 1e6 / seconds,
            requests_per_second: self.slice.requests as f64 / seconds,
            p99_us: (!latencies.is_empty()).then(|| latencies.value_at_quantile(0.99) as f64 / 1e3),
            broker_busy_processors: broker.busy_processors,
            broker_rss_bytes: broker.rss_bytes,
        });
        self.slice = Work::default();
        self.slice_latencies.clear();
    }

    /// The last slice.
    pub(crate) fn last_slice(&self) -> Option<&Interval> {
        self.timeline.last()
    }

    /// The latency, if there is any.
    pub(crate) fn latency(&self) -> Option<NamedLatency> {
        NamedLatency::of(self.latency_name, &self.latencies)
    }

    /// All slices.
    pub(crate) fn into_timeline(self) -> Vec<Interval> {
        self.timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_belong_where_they_were_scheduled_or_where_they_ended() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut scheduled = Flow::new("acknowledgement", Timing::BySchedule);
        let mut ended = Flow::new("response", Timing::ByEnd);
        for flow in [&mut scheduled, &mut ended] {
            flow.open(at(100), at(200));
            flow.time(at(99), at(150));
            flow.time(at(150), at(160));
            flow.time(at(199), at(900));
        }
        assert_eq!((scheduled.latency_count(), ended.latency_count()), (2, 2));
        let latency = scheduled.latency().expect("has samples");
        assert!((latency.summary.max - 701_000.0).abs() < 1_000.0, "a late end is not forgotten");
    }

    #[test]
    fn slices_add_up_to_the_window() {
        let start = Instant::now();
        let mut flow = Flow::new("response", Timing::None);
        let work = Work { requests: 1, records: 10, bytes: 1_000_000 };
        flow.count(start, work);
        flow.open(start, start + Duration::from_secs(1));
        for ms in [0, 499, 500, 999, 1000] {
            flow.count(start + Duration::from_millis(ms), work);
            if ms == 499 {
                flow.end_slice(
                    Duration::from_millis(500),
                    Duration::from_millis(500),
                    BrokerSlice::default(),
                );
            }
        }
        flow.end_slice(Duration::from_secs(1), Duration::from_millis(500), BrokerSlice::default());
        assert_eq!(flow.work().requests, 4);
        let rates: Vec<f64> = flow.into_timeline().iter().map(|slice| slice.megabytes_per_second).collect();
        assert_eq!(rates, [4.0, 4.0]);
    }
}

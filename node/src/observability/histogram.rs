//! How often something took how long: fixed buckets, two for each doubling, from a quarter of a microsecond to 17 seconds.
//! One for each doubling from four microseconds on is shown: each is a series of its own for every shard and stage.
//!
//! What must hold: taking note of a duration costs a few instructions; no allocation, no atomics, one owner. The buckets are
//! the same for every histogram and every version, so that what was collected can be added up.

use std::cell::Cell;

/// Upper bound of the first bucket is two to this power, in nanoseconds.
const FIRST_EXPONENT: u32 = 8;
/// Upper bound of the last bucket but the unbounded one, likewise.
const LAST_EXPONENT: u32 = 34;
/// The same of the first bucket that is shown.
const FIRST_SHOWN_EXPONENT: u32 = 12;
/// Buckets that have an upper bound.
const BOUNDED: usize = (2 * (LAST_EXPONENT - FIRST_EXPONENT) + 1) as usize;
/// One more for what took longer.
const BUCKETS: usize = BOUNDED + 1;

/// Durations, counted by their owner.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [Cell<u64>; BUCKETS],
    sum_nanoseconds: Cell<u64>,
}

/// What a histogram held at one moment.
#[derive(Debug, Clone)]
pub(crate) struct HistogramValues {
    buckets: [u64; BUCKETS],
    sum_nanoseconds: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { Cell::new(0) }; BUCKETS], sum_nanoseconds: Cell::new(0) }
    }
}

impl Histogram {
    /// Takes note of a duration that `count` things took.
    #[inline]
    pub(crate) fn add(&self, nanoseconds: u64, count: u64) {
        let bucket = &self.buckets[bucket_of(nanoseconds)];
        bucket.set(bucket.get() + count);
        let sum = nanoseconds.saturating_mul(count);
        self.sum_nanoseconds.set(self.sum_nanoseconds.get().saturating_add(sum));
    }

    pub(crate) fn values(&self) -> HistogramValues {
        HistogramValues {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].get()),
            sum_nanoseconds: self.sum_nanoseconds.get(),
        }
    }
}

impl HistogramValues {
    /// Upper bounds in seconds that are shown, each with how many durations were at most so long; the unbounded bucket is [`Self::count`].
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let counts = self.buckets[..BOUNDED].iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        let shown = counts.enumerate().skip(2 * (FIRST_SHOWN_EXPONENT - FIRST_EXPONENT) as usize).step_by(2);
        shown.map(|(bucket, count)| (bound_nanoseconds(bucket) as f64 / 1e9, count))
    }

    /// Adds what another one of the same counted.
    pub(crate) fn add(&mut self, more: &Self) {
        self.buckets.iter_mut().zip(&more.buckets).for_each(|(sum, more)| *sum += more);
        self.sum_nanoseconds = self.sum_nanoseconds.saturating_add(more.sum_nanoseconds);
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum_nanoseconds as f64 / 1e9
    }
}

/// The first bucket whose bound is not below the duration.
#[inline]
fn bucket_of(nanoseconds: u64) -> usize {
    let below = nanoseconds.saturating_sub(1);
    if below < 1 << FIRST_EXPONENT {
        return 0;
    }
    let exponent = below.ilog2();
    let half = (below >> (exponent - 1)) & 1;
    let bucket = 2 * (exponent - FIRST_EXPONENT) as usize + half as usize + 1;
    bucket.min(BOUNDED)
}

/// Largest duration of a bucket.
fn bound_nanoseconds(bucket: usize) -> u64 {
    let power = 1 << (FIRST_EXPONENT as usize + bucket / 2);
    power + (bucket % 2) as u64 * (power / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_into_the_first_bucket_that_may_hold_it() {
        for bucket in 0..BOUNDED {
            let bound = bound_nanoseconds(bucket);
            assert_eq!(bucket_of(bound), bucket, "{bound} ns is the longest of its bucket");
            assert_eq!(bucket_of(bound + 1), bucket + 1, "{} ns is longer", bound + 1);
        }
        assert_eq!((bucket_of(0), bucket_of(1), bucket_of(u64::MAX)), (0, 0, BOUNDED));
        assert_eq!((bound_nanoseconds(0), bound_nanoseconds(BOUNDED - 1)), (256, 1 << 34));
    }

    #[test]
    fn counts_add_up() {
        let histogram = Histogram::default();
        histogram.add(300, 2);
        histogram.add(1_000_000, 1);
        histogram.add(u64::MAX, 0);
        histogram.add(1 << 40, 1);
        let values = histogram.values();
        let cumulative: Vec<_> = values.cumulative().collect();
        assert_eq!(cumulative.len(), 23);
        assert_eq!(cumulative[0], (0.000_004_096, 2), "what took less is in the first");
        assert_eq!(cumulative.iter().find(|(bound, _)| *bound >= 0.001).map(|(_, count)| *count), Some(3));
        assert_eq!(cumulative[22], (17.179_869_184, 3));
        assert_eq!(values.count(), 4);
        let sum = (600 + 1_000_000 + (1_u64 << 40)) as f64 / 1e9;
        assert!((values.sum_seconds() - sum).abs() < 1e-9);
        let mut twice = values.clone();
        twice.add(&values);
        assert_eq!((twice.count(), twice.cumulative().last().map(|(_, count)| count)), (8, Some(6)));
    }
}

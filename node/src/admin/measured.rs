//! The numbers of all shards at one moment, added up.

use std::{sync::mpsc, time::Duration};

use ringmain_protocol::ApiKey;

use super::history::Point;
use crate::{
    observability::HistogramValues,
    shard::{NodeShared, Shard},
};

/// How long a busy shard may take. One that takes longer makes the sample worthless: a sum without it would look like a
/// drop.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Reads a counter of a shard.
type CounterOf = fn(&Shard) -> u64;

/// Sums over the shards.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Measured {
    /// In the order of [`Self::RATES`].
    counters: Vec<u64>,
    /// Label, count and seconds of each stage.
    stages: Vec<(&'static str, u64, f64)>,
    produce: Answers,
}

/// How long answers took, up to a moment.
#[derive(Debug, Clone, Default, PartialEq)]
struct Answers {
    /// Upper bounds in seconds, each with how many took at most so long.
    cumulative: Vec<(f64, u64)>,
    count: u64,
}

impl Measured {
    /// The counters that are plotted: name in the API, and where they are.
    pub(super) const RATES: [(&'static str, CounterOf); 6] = [
        ("requests", |shard| shard.requests().total()),
        ("appended_records", |shard| shard.counters().appended_records.get()),
        ("appended_bytes", |shard| shard.counters().appended_bytes.get()),
        ("fetched_bytes", |shard| {
            let counters = shard.counters();
            counters.fetched_memory_bytes.get() + counters.fetched_file_bytes.get()
        }),
        ("disk_written_bytes", |shard| shard.ring().counters().bytes_written),
        ("disk_read_bytes", |shard| shard.ring().counters().bytes_read),
    ];

    /// Of the times of answers to producers: the median, and what one in a hundred exceeds.
    pub(super) const SHARES: [(&'static str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

    /// Asks every shard; `None` when one does not answer.
    pub(super) fn of(node: &NodeShared) -> Option<Self> {
        let (tell, told) = mpsc::channel();
        for mailbox in &node.mailboxes {
            let tell = tell.clone();
            mailbox.send(Box::new(move |it| {
                // The receiver may have given up on a slow shard; nobody needs its numbers then.
                let counters = Self::RATES.map(|(_, counter)| counter(it));
                let _ = tell.send((counters, it.stages().values(), it.requests().values().seconds));
            }));
        }
        drop(tell);
        let mut sum = Self { counters: vec![0; Self::RATES.len()], ..Self::default() };
        for _ in &node.mailboxes {
            let (counters, stages, answers) = told.recv_timeout(ANSWER_TIME).ok()?;
            sum.counters.iter_mut().zip(counters).for_each(|(total, counter)| *total += counter);
            let produce = answers.iter().filter(|(api_key, _)| *api_key == Some(ApiKey::Produce));
            produce.for_each(|(_, values)| sum.produce.add(values));
            for (index, (label, values)) in stages.iter().enumerate() {
                if sum.stages.len() == index {
                    sum.stages.push((label, 0, 0.0));
                }
                sum.stages[index].1 += values.count();
                sum.stages[index].2 += values.sum_seconds();
            }
        }
        Some(sum)
    }

    /// What happened since an earlier sample.
    pub(super) fn since(&self, before: &Self, seconds: f64, cluster_records: Option<f64>) -> Point {
        let rates = self.counters.iter().zip(&before.counters);
        let batches = self.stages.first().zip(before.stages.first());
        // Every batch passes the first stage; a mean over those that pass each makes stages comparable and addable.
        let batches = batches.map_or(0, |(now, before)| now.1.saturating_sub(before.1));
        let stages = self.stages.iter().zip(&before.stages).map(|(now, before)| {
            (now.0, (batches > 0).then(|| (now.2 - before.2).max(0.0) / batches as f64))
        });
        Point {
            at_ms: super::api::unix_ms(),
            rates: rates.map(|(now, before)| now.saturating_sub(*before) as f64 / seconds).collect(),
            stages: stages.collect(),
            produce: Self::SHARES.map(|(_, share)| self.produce.exceeded_by(1.0 - share, &before.produce)),
            cluster_records,
        }
    }
}

impl Answers {
    /// Adds those of a shard.
    fn add(&mut self, values: &HistogramValues) {
        if self.cumulative.is_empty() {
            self.cumulative = values.cumulative().map(|(bound, _)| (bound, 0)).collect();
        }
        self.cumulative.iter_mut().zip(values.cumulative()).for_each(|(sum, (_, count))| sum.1 += count);
        self.count += values.count();
    }

    /// The time that only such a share of the answers since an earlier moment took longer than; within a bucket as if they
    /// were spread evenly. `None` where there were none.
    fn exceeded_by(&self, share: f64, before: &Self) -> Option<f64> {
        let count = self.count.saturating_sub(before.count);
        let wanted = (1.0 - share) * count as f64;
        let earlier = before.cumulative.iter().map(|(_, count)| *count).chain(std::iter::repeat(0));
        let mut below = (0.0, 0.0);
        for ((bound, now), before) in self.cumulative.iter().zip(earlier) {
            let seen = now.saturating_sub(before) as f64;
            if count > 0 && seen >= wanted && seen > below.1 {
                return Some(below.0 + (bound - below.0) * (wanted - below.1) / (seen - below.1));
            }
            below = (*bound, seen);
        }
        // Longer than the last bound.
        (count > 0).then_some(below.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_means_are_of_the_time_between() {
        let sample = |counter, count, seconds| Measured {
            counters: vec![counter; 3],
            stages: vec![("parse", count, seconds), ("flush", count / 2, 2.0 * seconds)],
            produce: Answers::default(),
        };
        let point = sample(300, 30, 0.5).since(&sample(100, 10, 0.3), 2.0, None);
        assert_eq!(point.rates, [100.0; 3]);
        let means: Vec<f64> = point.stages.iter().map(|(_, mean)| mean.expect("batches came")).collect();
        assert!((means[0] - 0.01).abs() < 1e-9 && (means[1] - 0.02).abs() < 1e-9, "{means:?}");
        let idle = sample(300, 30, 0.5).since(&sample(300, 30, 0.5), 2.0, Some(1.0));
        assert_eq!((idle.rates, idle.cluster_records), (vec![0.0; 3], Some(1.0)));
        assert_eq!(idle.stages, [("parse", None), ("flush", None)]);
    }

    #[test]
    fn shares_of_answers_lie_between_the_bounds_of_their_buckets() {
        let answers = |counts: [u64; 3], count| Answers {
            cumulative: [0.001, 0.002, 0.004].into_iter().zip(counts).collect(),
            count,
        };
        let (before, now) = (answers([100, 100, 100], 100), answers([100, 200, 300], 300));
        let about = |share: f64, seconds: f64| {
            let told = now.exceeded_by(share, &before).expect("there were some");
            assert!((told - seconds).abs() < 1e-9, "{share} took longer than {told}, not {seconds}");
        };
        about(0.5, 0.002);
        about(0.75, 0.0015);
        about(0.25, 0.003);
        assert_eq!(now.exceeded_by(0.5, &now), None);
        assert_eq!(answers([0, 0, 0], 5).exceeded_by(0.5, &Answers::default()), Some(0.004));
    }
}

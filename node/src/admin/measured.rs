//! The numbers of all shards at one moment, added up.

use std::{sync::mpsc, time::Duration};

use super::history::Point;
use crate::shard::{NodeShared, Shard};

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
}

impl Measured {
    /// The counters that are plotted: name in the API, and where they are.
    pub(super) const RATES: [(&'static str, CounterOf); 3] = [
        ("requests", |shard| shard.requests().total()),
        ("disk_written_bytes", |shard| shard.ring().counters().bytes_written),
        ("disk_read_bytes", |shard| shard.ring().counters().bytes_read),
    ];

    /// Asks every shard; `None` when one does not answer.
    pub(super) fn of(node: &NodeShared) -> Option<Self> {
        let (tell, told) = mpsc::channel();
        for mailbox in &node.mailboxes {
            let tell = tell.clone();
            mailbox.send(Box::new(move |it| {
                // The receiver may have given up on a slow shard; nobody needs its numbers then.
                let _ = tell.send((Self::RATES.map(|(_, counter)| counter(it)), it.stages().values()));
            }));
        }
        drop(tell);
        let mut sum = Self { counters: vec![0; Self::RATES.len()], stages: Vec::new() };
        for _ in &node.mailboxes {
            let (counters, stages) = told.recv_timeout(ANSWER_TIME).ok()?;
            sum.counters.iter_mut().zip(counters).for_each(|(total, counter)| *total += counter);
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
            cluster_records,
        }
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
        };
        let point = sample(300, 30, 0.5).since(&sample(100, 10, 0.3), 2.0, None);
        assert_eq!(point.rates, [100.0; 3]);
        let means: Vec<f64> = point.stages.iter().map(|(_, mean)| mean.expect("batches came")).collect();
        assert!((means[0] - 0.01).abs() < 1e-9 && (means[1] - 0.02).abs() < 1e-9, "{means:?}");
        let idle = sample(300, 30, 0.5).since(&sample(300, 30, 0.5), 2.0, Some(1.0));
        assert_eq!((idle.rates, idle.cluster_records), (vec![0.0; 3], Some(1.0)));
        assert_eq!(idle.stages, [("parse", None), ("flush", None)]);
    }
}

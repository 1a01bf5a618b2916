//! What one node said, and how fast logs grow by what it said twice.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::client::{GroupView, ListedGroupView, TopicPartition};

/// A rate needs two answers at least so far apart, and says nothing once they are older than the longest time.
const RATE_TIME_MIN: Duration = Duration::from_millis(400);
const RATE_TIME_MAX: Duration = Duration::from_secs(30);

/// What a node said, and when.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeReport {
    /// When it began to answer last.
    pub(crate) answered_at: Option<Instant>,
    /// Why it cannot be asked at present.
    pub(crate) problem: Option<Problem>,
    pub(crate) replicas: Arc<BTreeMap<TopicPartition, ReplicaReport>>,
    /// Room on its volume.
    pub(crate) usable_bytes: Option<i64>,
    /// Those that it coordinates, by name; `None` until it said.
    pub(crate) groups: Option<Arc<BTreeMap<String, GroupReport>>>,
}

/// Why a node cannot be asked.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) what: String,
    pub(crate) since: Instant,
}

/// A replica as its node describes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReplicaReport {
    pub(crate) start: Option<i64>,
    /// The log end offset.
    pub(crate) end: i64,
    /// The same, the time before.
    pub(crate) end_before: Option<i64>,
    /// Where the node leads.
    pub(crate) high_watermark: Option<i64>,
    pub(crate) bytes: Option<i64>,
}

/// A group as its coordinator describes it.
#[derive(Debug, Clone)]
pub(crate) struct GroupReport {
    pub(crate) listed: ListedGroupView,
    /// `None` where it could not be described.
    pub(crate) described: Option<Arc<GroupView>>,
    /// Offsets by partition; `None` where they were not asked for.
    pub(crate) committed: Option<Arc<BTreeMap<TopicPartition, i64>>>,
}

/// How fast high watermarks move.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rates(BTreeMap<TopicPartition, Progress>);

#[derive(Debug, Clone, Copy)]
struct Progress {
    leader: i32,
    high_watermark: i64,
    at: Instant,
    per_second: Option<f64>,
}

impl Rates {
    /// Takes what a leader said of all partitions that it leads.
    pub(super) fn update<'a>(
        &mut self,
        leader: i32,
        at: Instant,
        led: impl Iterator<Item = (&'a TopicPartition, i64)>,
    ) {
        for (partition, high_watermark) in led {
            let now = Progress { leader, high_watermark, at, per_second: None };
            match self.0.get_mut(partition) {
                None => drop(self.0.insert(partition.clone(), now)),
                Some(before) => {
                    let time = at.saturating_duration_since(before.at);
                    if time >= RATE_TIME_MIN {
                        let records = (high_watermark - before.high_watermark).max(0) as f64;
                        let per_second = (time <= RATE_TIME_MAX).then(|| records / time.as_secs_f64());
                        *before = Progress { per_second, ..now };
                    } else {
                        before.leader = leader;
                    }
                }
            }
        }
        // What it does not lead any more, somebody else does, or nobody.
        self.0.retain(|_, progress| {
            progress.leader != leader || at.saturating_duration_since(progress.at) < RATE_TIME_MIN
        });
    }

    /// Records a second that became readable in a partition.
    pub(crate) fn of(&self, partition: &TopicPartition) -> Option<f64> {
        let progress = self.0.get(partition)?;
        progress.per_second.filter(|_| progress.at.elapsed() <= RATE_TIME_MAX)
    }

    /// Of all partitions that a node leads, or of all; `None` while there are none to tell.
    pub(crate) fn sum(&self, leader: Option<i32>) -> Option<f64> {
        let fresh = self.0.values().filter(|it| it.at.elapsed() <= RATE_TIME_MAX);
        let rates = fresh.filter(|it| leader.is_none_or(|leader| it.leader == leader));
        rates.filter_map(|it| it.per_second).reduce(|one, other| one + other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_two_answers() {
        let partition = |index| TopicPartition { topic: "orders".into(), index };
        let (one, two) = (partition(0), partition(1));
        let begin = Instant::now();
        let later = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut rates = Rates::default();
        rates.update(1, later(0), [(&one, 100), (&two, 0)].into_iter());
        assert_eq!((rates.of(&one), rates.sum(None)), (None, None));
        rates.update(1, later(2000), [(&one, 300), (&two, 50)].into_iter());
        assert_eq!(
            (rates.of(&one), rates.of(&two), rates.sum(Some(1))),
            (Some(100.0), Some(25.0), Some(125.0))
        );
        assert_eq!(rates.sum(Some(2)), None);
        // Another one leads it now, and has a little less.
        rates.update(2, later(3000), [(&one, 290)].into_iter());
        rates.update(1, later(4000), [(&two, 50)].into_iter());
        assert_eq!((rates.of(&one), rates.of(&two)), (Some(0.0), Some(0.0)));
        rates.update(2, later(5000), [(&one, 390)].into_iter());
        assert_eq!((rates.of(&one), rates.sum(Some(1))), (Some(50.0), Some(0.0)));
        // Deleted.
        rates.update(2, later(6000), [].into_iter());
        assert_eq!(rates.of(&one), None);
        // Asked again after a long while: the mean of the time between is not a rate of now.
        rates.update(1, later(50_000), [(&two, 5000)].into_iter());
        assert_eq!(rates.of(&two), None);
    }
}

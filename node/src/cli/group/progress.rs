//! How far a group is in each partition.

use std::collections::BTreeMap;

use crate::client::{LogState, TopicPartition};

/// How far a group is in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartitionProgress {
    pub(super) partition: TopicPartition,
    /// The offset that is read next after a restart.
    pub(super) committed: Option<i64>,
    pub(super) log: LogState,
}

impl PartitionProgress {
    /// Offsets between the commit and the end of the log; `None` where one of them is missing.
    ///
    /// Offsets, not records: those that were compacted away, or deleted before they were read, count as Kafka's tools
    /// count them.
    pub(super) fn lag(&self) -> Option<i64> {
        // A commit past the end is of a log that was deleted and made anew: nothing is waiting for it.
        Some(self.log.range()?.end.saturating_sub(self.committed?).max(0))
    }

    /// What somebody who looks at the numbers should know.
    pub(super) fn note(&self) -> Option<String> {
        let TopicPartition { topic, index } = &self.partition;
        let range = match self.log {
            LogState::Unknown => {
                return Some(format!("{topic}-{index} does not exist; its commit stays until it expires"));
            }
            LogState::Leaderless => return Some(format!("{topic}-{index} has no leader at present")),
            LogState::There(range) => range,
        };
        let committed = self.committed?;
        if committed < range.start {
            let gone = range.start - committed;
            return Some(format!(
                "{topic}-{index}: {gone} offsets from {committed} on were deleted before they were read; what is left \
                 begins at {}",
                range.start
            ));
        }
        let is_beyond = committed > range.end;
        is_beyond.then(|| {
            format!(
                "{topic}-{index}: {committed} is committed, but the log ends at {}: it was made anew; consumers go on \
                 where auto.offset.reset says",
                range.end
            )
        })
    }
}

/// How far a group is, ordered by topic and partition.
pub(super) fn of(
    committed: &BTreeMap<TopicPartition, i64>,
    logs: BTreeMap<TopicPartition, LogState>,
) -> Vec<PartitionProgress> {
    logs.into_iter()
        .map(|(partition, log)| {
            let committed = committed.get(&partition).copied();
            PartitionProgress { partition, committed, log }
        })
        .collect()
}

/// The lag of all partitions that have one.
pub(super) fn total_lag(partitions: &[PartitionProgress]) -> Option<i64> {
    partitions.iter().filter_map(PartitionProgress::lag).reduce(i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::LogRange;

    fn at(committed: Option<i64>, log: LogState) -> PartitionProgress {
        PartitionProgress { partition: TopicPartition { topic: "orders".into(), index: 0 }, committed, log }
    }

    #[test]
    fn lag_is_what_lies_between_commit_and_end() {
        let log = LogState::There(LogRange { start: 10, end: 30 });
        assert_eq!(at(Some(30), log).lag(), Some(0));
        assert_eq!(at(Some(12), log).lag(), Some(18));
        assert_eq!(at(Some(12), log).note(), None);
        assert_eq!((at(None, log).lag(), at(None, log).note()), (None, None));
        let behind = at(Some(4), log);
        assert_eq!(behind.lag(), Some(26));
        assert!(behind.note().is_some_and(|note| note.contains("6 offsets from 4 on")));
        let anew = at(Some(31), log);
        assert_eq!(anew.lag(), Some(0));
        assert!(anew.note().is_some_and(|note| note.contains("the log ends at 30")));
        for gone in [LogState::Unknown, LogState::Leaderless] {
            assert_eq!(at(Some(1), gone).lag(), None);
            assert!(at(Some(1), gone).note().is_some());
        }
        assert_eq!(total_lag(&[at(Some(12), log), at(None, log), at(Some(29), log)]), Some(19));
        assert_eq!(total_lag(&[at(None, log)]), None);
    }
}

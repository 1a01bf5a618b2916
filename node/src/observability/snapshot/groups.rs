//! How far consumer groups are behind: what they committed against where the partitions end.
//!
//! A group's coordinator is on this node; the partitions that it reads may be on others. The end of a partition is known where
//! this node keeps a replica of it, as a leader or a follower; offsets of other partitions are counted, and are in no lag.

use std::{collections::HashMap, sync::Arc};

use ringmain_group::GroupState;
use ringmain_storage::{LogKey, TopicId};

use crate::{metadata::MetadataImage, shard::ShardSnapshot};

/// A group at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupLag {
    pub(crate) group: Arc<str>,
    pub(crate) state: GroupState,
    pub(crate) members: usize,
    /// Records after what it committed, of all partitions whose end is known. `None`: it has too many offsets to be looked at.
    pub(crate) records: Option<u64>,
    /// The most of one partition.
    pub(crate) records_max: u64,
    /// Partitions with a committed offset.
    pub(crate) partitions: u64,
    /// Of those, the ones whose end is not known here.
    pub(crate) partitions_elsewhere: u64,
}

/// Every group that the shards coordinate, the largest lag first.
pub(super) fn with_lag(shards: &[Arc<ShardSnapshot>], image: &MetadataImage) -> Vec<GroupLag> {
    if shards.iter().all(|shard| shard.group_progress.is_empty()) {
        return Vec::new();
    }
    let ends: HashMap<LogKey, i64> = shards.iter().flat_map(|shard| shard.ends.iter().copied()).collect();
    let mut groups = Vec::new();
    for progress in shards.iter().flat_map(|shard| &shard.group_progress) {
        let mut lag = GroupLag {
            group: Arc::clone(&progress.group),
            state: progress.state,
            members: progress.members,
            records: None,
            records_max: 0,
            partitions: 0,
            partitions_elsewhere: 0,
        };
        if let Some(committed) = &progress.committed {
            lag.add(committed, image, &ends);
        }
        groups.push(lag);
    }
    groups.sort_by(|one, other| other.records.cmp(&one.records).then_with(|| one.group.cmp(&other.group)));
    groups
}

impl GroupLag {
    fn add(
        &mut self,
        committed: &[(Arc<str>, i32, i64)],
        image: &MetadataImage,
        ends: &HashMap<LogKey, i64>,
    ) {
        let mut sum = 0_u64;
        let mut last: Option<(&str, Option<TopicId>)> = None;
        for (topic, partition, offset) in committed {
            // They come by topic: one search for each.
            let topic_id = match last {
                Some((name, topic_id)) if name == &**topic => topic_id,
                _ => image.topic(topic).map(|topic| topic.id),
            };
            last = Some((topic, topic_id));
            // The offsets of a topic that is gone are about to go too.
            let Some(topic_id) = topic_id else { continue };
            self.partitions += 1;
            match ends.get(&LogKey { topic_id, partition: *partition }) {
                Some(end) => {
                    let behind = end.saturating_sub(*offset).max(0).unsigned_abs();
                    sum += behind;
                    self.records_max = self.records_max.max(behind);
                }
                None => self.partitions_elsewhere += 1,
            }
        }
        self.records = Some(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::MetadataRecord;

    #[test]
    fn what_is_not_here_is_counted_and_not_guessed() {
        let topic_id = TopicId([2; 16]);
        let created = MetadataRecord::TopicCreated { topic_id, name: "orders".to_owned() };
        let image = MetadataImage::default().after(&[created]).expect("applies");
        let ends = HashMap::from([0, 1].map(|partition| (LogKey { topic_id, partition }, 100)));
        let (orders, gone): (Arc<str>, Arc<str>) = ("orders".into(), "gone".into());
        let committed = [(gone, 0, 3), (orders.clone(), 0, 40), (orders.clone(), 1, 130), (orders, 2, 5)];
        let mut lag = GroupLag {
            group: "g".into(),
            state: GroupState::Stable,
            members: 1,
            records: None,
            records_max: 0,
            partitions: 0,
            partitions_elsewhere: 0,
        };
        lag.add(&committed, &image, &ends);
        assert_eq!((lag.records, lag.records_max), (Some(60), 60), "past the end is not behind");
        assert_eq!((lag.partitions, lag.partitions_elsewhere), (3, 1));
    }
}

//! A node of the explored cluster: a disk, a process that may be away, and an image that lags behind.
//!
//! Its logs are lists of records that are never equal, so that a lost record is seen.

use std::collections::BTreeMap;

use crate::{IncarnationId, LeaderEpoch, MetadataImage, NodeId, PartitionEpoch, PartitionImage, TopicId};

/// One partition anywhere.
pub(super) type Key = (TopicId, i32);

/// A node.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its process runs.
    pub(super) up: bool,
    /// Its process runs and is heard.
    pub(super) heard: bool,
    pub(super) wants_stop: bool,
    pub(super) incarnation_id: IncarnationId,
    /// Of the process; `None` until it is registered.
    pub(super) epoch: Option<i64>,
    /// On the disk.
    pub(super) disk_of: Option<IncarnationId>,
    /// On the disk.
    pub(super) logs: BTreeMap<Key, Vec<u64>>,
    /// The image that it has applied: its place in the history.
    pub(super) applied: usize,
    /// What it leads.
    pub(super) led: BTreeMap<Key, Led>,
}

/// What a leader knows of its followers.
#[derive(Debug, Default, Clone)]
pub(super) struct Led {
    pub(super) leader_epoch: LeaderEpoch,
    /// How far each has fetched, and under which registration.
    pub(super) followers: BTreeMap<NodeId, (usize, i64)>,
    /// Who was proposed since the partition epoch that is applied.
    pub(super) proposed: Vec<NodeId>,
    pub(super) proposed_in: PartitionEpoch,
    /// Records below it are acknowledged.
    pub(super) high_watermark: usize,
}

impl Node {
    /// Whether its process obeys an image: one that has seen its registration.
    pub(super) fn obeys(&self, image: &MetadataImage) -> bool {
        let seen = |epoch: i64| i64::try_from(image.version()).is_ok_and(|version| version > epoch);
        self.up && self.epoch.is_some_and(seen)
    }

    /// Begins or ends leaderships, and drops what is deleted, as the image says.
    pub(super) fn apply(&mut self, node_id: NodeId, image: &MetadataImage) {
        if !self.obeys(image) {
            return;
        }
        let leads = |key: &Key| {
            image.partition(key.0, key.1).filter(|p| p.leader == Some(node_id)).map(|p| p.leader_epoch)
        };
        self.led.retain(|key, led| leads(key) == Some(led.leader_epoch));
        for (topic, partition, state) in image.partitions() {
            let key = (topic.id, partition);
            if state.leader == Some(node_id) {
                let begin = || Led { leader_epoch: state.leader_epoch, ..Led::default() };
                let led = self.led.entry(key).or_insert_with(begin);
                // What was proposed against an older state is refused from now on, if it was not this change.
                if led.proposed_in < state.partition_epoch {
                    led.proposed.clear();
                    led.proposed_in = state.partition_epoch;
                }
                self.logs.entry(key).or_default();
            }
        }
        let keeps = |key: &Key| {
            image.partition(key.0, key.1).is_some_and(|partition| partition.replicas.contains(&node_id))
        };
        self.logs.retain(|key, _| keeps(key));
    }

    /// The end of what the leader of a partition may acknowledge: what all have that are in sync or proposed.
    pub(super) fn acknowledged(&self, key: Key, state: &PartitionImage, min_in_sync: usize) -> usize {
        let led = &self.led[&key];
        let length = self.logs.get(&key).map_or(0, Vec::len);
        if state.in_sync.len() < min_in_sync {
            return 0;
        }
        let others = state.in_sync.iter().chain(&led.proposed).filter(|node| state.leader != Some(**node));
        others.map(|node| led.followers.get(node).map_or(0, |fetched| fetched.0)).fold(length, usize::min)
    }
}

/// How many records two logs have in common.
pub(super) fn in_common(one: &[u64], other: &[u64]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

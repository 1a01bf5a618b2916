//! AlterPartition: a leader asks for another in-sync set.
//!
//! What must hold: only the leader of the newest epoch, that knows the newest state, changes it; nobody enters the set
//! who is fenced, stopping, or another start than the leader heard from. The answer names the version of the image that
//! has the change: the leader counts by the new set, and by what then is enough replicas, once its own image is there.

use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use ringmain_storage::{LeaderEpoch, TopicId};
use serde::{Deserialize, Serialize};

use super::{Controller, Decision, Refusal};
use crate::identity::{NodeId, PartitionEpoch};
use crate::partition_image::PartitionImage;
use crate::planted;
use crate::record::MetadataRecord;

/// What one leader asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterPartitions {
    /// Who.
    pub node_id: NodeId,
    /// Its registration.
    pub registration_epoch: i64,
    /// What.
    pub partitions: Vec<AlterPartition>,
}

/// One partition's wanted in-sync set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterPartition {
    /// Whose.
    #[serde(with = "crate::foreign::topic_id")]
    pub topic_id: TopicId,
    /// Which one.
    pub partition: i32,
    /// The leadership in which it is asked.
    #[serde(with = "crate::foreign::leader_epoch")]
    pub leader_epoch: LeaderEpoch,
    /// The state that the leader knows.
    pub partition_epoch: PartitionEpoch,
    /// Who is to be in sync, each with the registration under which the leader heard from it. The leader is one.
    pub in_sync: Vec<(NodeId, i64)>,
    /// The leader is not done with an unclean election.
    pub recovering: bool,
}

/// A partition after its change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlteredPartition {
    /// Its state.
    pub state: PartitionImage,
    /// The version of the image from which on it is so.
    pub version: u64,
}

impl Controller<'_> {
    /// Changes in-sync sets. The answers are in the order of the request.
    pub fn alter_partitions(
        &self,
        request: &AlterPartitions,
    ) -> Decision<Result<Vec<Result<AlteredPartition, Refusal>>, Refusal>> {
        if let Err(refusal) = self.registered(request.node_id, request.registration_epoch) {
            return Decision { records: Vec::new(), answer: Err(refusal) };
        }
        let mut records = Vec::new();
        let mut answer = Vec::with_capacity(request.partitions.len());
        for item in &request.partitions {
            // A partition that is named twice is decided once: the second one's epoch is old by then.
            let is_named_before = records.iter().any(|record| is_about(record, item));
            let result = if is_named_before {
                Err(Refusal::of(ErrorCode::INVALID_UPDATE_VERSION))
            } else {
                self.alter_partition(request.node_id, item)
            };
            answer.push(result.and_then(|state| {
                records.push(MetadataRecord::PartitionChanged {
                    topic_id: item.topic_id,
                    partition: item.partition,
                    state: state.clone(),
                });
                if state.leader != Some(request.node_id) {
                    // The change completed a reassignment that takes the leader away: it is made, and the one who
                    // asked for it must look again.
                    return Err(Refusal::of(ErrorCode::NEW_LEADER_ELECTED));
                }
                Ok(AlteredPartition { state, version: self.image.version() + records.len() as u64 })
            }));
        }
        Decision { records, answer: Ok(answer) }
    }

    /// The state afterwards, always a new one: where a leader asks for what there is, it takes back a proposal of which copies
    /// may be on their way, and the higher epoch makes all of them old.
    fn alter_partition(&self, node_id: NodeId, item: &AlterPartition) -> Result<PartitionImage, Refusal> {
        let refused = |code| Err(Refusal::of(code));
        let Some(topic) = self.image.topic_by_id(item.topic_id) else {
            return refused(ErrorCode::UNKNOWN_TOPIC_ID);
        };
        let Some(before) = self.image.partition(item.topic_id, item.partition) else {
            return refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        self.check_change(node_id, item, before)?;
        let mut change = self.change(topic, before);
        change.after.in_sync = item.in_sync.iter().map(|(node, _)| *node).collect();
        change.after.recovering = item.recovering;
        let again = || {
            let partition_epoch = PartitionEpoch(before.partition_epoch.0 + 1);
            PartitionImage { partition_epoch, ..before.clone() }
        };
        Ok(change.decide(&|node| self.may_lead(node)).unwrap_or_else(again))
    }

    fn check_change(
        &self,
        node_id: NodeId,
        item: &AlterPartition,
        before: &PartitionImage,
    ) -> Result<(), Refusal> {
        let refused = |code| Err(Refusal::of(code));
        if item.leader_epoch > before.leader_epoch || item.partition_epoch > before.partition_epoch {
            // The leader knows more than this controller: it is no longer the one.
            return refused(ErrorCode::NOT_CONTROLLER);
        }
        if item.leader_epoch < before.leader_epoch {
            return refused(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if before.leader != Some(node_id) {
            return refused(ErrorCode::INVALID_REQUEST);
        }
        if item.partition_epoch < before.partition_epoch && !planted::is("old_partition_epoch") {
            return refused(ErrorCode::INVALID_UPDATE_VERSION);
        }
        let mut wanted: Vec<NodeId> = item.in_sync.iter().map(|(node, _)| *node).collect();
        let keep_replicas = wanted.iter().all(|node| before.replicas.contains(node));
        let has_leader = wanted.contains(&node_id);
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.len() != item.in_sync.len() || !keep_replicas || !has_leader {
            return refused(ErrorCode::INVALID_REQUEST);
        }
        if item.recovering && (wanted.len() > 1 || !before.recovering) {
            return refused(ErrorCode::INVALID_REQUEST);
        }
        if !item.in_sync.iter().all(|(node, epoch)| self.may_be_in_sync(*node, *epoch)) {
            return refused(ErrorCode::INELIGIBLE_REPLICA);
        }
        Ok(())
    }

    fn may_be_in_sync(&self, node_id: NodeId, registration_epoch: i64) -> bool {
        self.image.nodes().get(&node_id).is_some_and(|node| {
            (node.is_active() || planted::is("fenced_enters"))
                && (node.registration_epoch == registration_epoch || planted::is("old_start_enters"))
        })
    }
}

fn is_about(record: &MetadataRecord, item: &AlterPartition) -> bool {
    matches!(record, MetadataRecord::PartitionChanged { topic_id, partition, .. }
        if *topic_id == item.topic_id && *partition == item.partition)
}

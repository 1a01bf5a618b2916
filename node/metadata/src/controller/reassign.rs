//! AlterPartitionReassignments and its list: replicas move to other nodes while the partition is used.
//!
//! A reassignment, in steps: the new replicas are added to the old ones; they catch up and enter the in-sync set; once
//! every replica that stays is in it, those that go are dropped by the same change. It can be cancelled until then.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use super::partition_change::Election;
use super::{Controller, Decision, Refusal};
use crate::identity::NodeId;
use crate::image::TopicImage;
use crate::partition_image::PartitionImage;
use crate::record::MetadataRecord;

/// Where a partition's replicas shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reassignment {
    /// Of which topic.
    pub topic: String,
    /// Which one.
    pub partition: i32,
    /// On which nodes, the preferred leader first; `None` cancels what is under way.
    pub replicas: Option<Vec<i32>>,
}

/// A reassignment under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OngoingReassignment {
    /// Of which topic.
    pub topic: String,
    /// Which one.
    pub partition: i32,
    /// Old and new.
    pub replicas: Vec<NodeId>,
    /// The new ones.
    pub adding: Vec<NodeId>,
    /// Those that will go.
    pub removing: Vec<NodeId>,
}

impl Controller<'_> {
    /// Starts, changes or cancels reassignments. The answers are in the order of the request.
    pub fn reassign(&self, items: &[Reassignment]) -> Decision<Vec<Result<(), Refusal>>> {
        let mut records = Vec::new();
        let mut seen = BTreeSet::new();
        let mut answer = Vec::with_capacity(items.len());
        for item in items {
            let result = if seen.insert((item.topic.as_str(), item.partition)) {
                self.reassign_partition(item)
            } else {
                let message = "Each partition must appear at most once.";
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
            };
            answer.push(result.map(|changed| records.extend(changed)));
        }
        Decision { records, answer }
    }

    /// The reassignments under way, of the partitions that are named or of all.
    pub fn reassignments(&self, named: Option<&[(String, Vec<i32>)]>) -> Vec<OngoingReassignment> {
        let is_named = |topic: &str, partition: i32| {
            named.is_none_or(|named| {
                named.iter().any(|(name, partitions)| name == topic && partitions.contains(&partition))
            })
        };
        let under_way = self
            .image
            .partitions()
            .filter(|(topic, partition, state)| state.is_reassigning() && is_named(&topic.name, *partition));
        under_way
            .map(|(topic, partition, state)| OngoingReassignment {
                topic: topic.name.to_string(),
                partition,
                replicas: state.replicas.clone(),
                adding: state.adding.clone(),
                removing: state.removing.clone(),
            })
            .collect()
    }

    fn reassign_partition(&self, item: &Reassignment) -> Result<Option<MetadataRecord>, Refusal> {
        let unknown = |message| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message);
        let (name, partition) = (&item.topic, item.partition);
        let topic =
            self.image.topic(name).ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
        let before = self
            .image
            .partition(topic.id, partition)
            .ok_or_else(|| unknown(format!("Unable to find partition {name}:{partition}.")))?;
        let after = match &item.replicas {
            Some(replicas) => {
                let target = self.check_manual_replicas(replicas, None)?;
                self.retarget(topic, before, &target)
            }
            None => self.cancel(topic, partition, before)?,
        };
        Ok(after.map(|state| MetadataRecord::PartitionChanged { topic_id: topic.id, partition, state }))
    }

    fn retarget(
        &self,
        topic: &TopicImage,
        before: &PartitionImage,
        target: &[NodeId],
    ) -> Option<PartitionImage> {
        let mut change = self.change(topic, before);
        change.election = Election::Clean;
        let difference = |of: &[NodeId], without: &[NodeId]| -> Vec<NodeId> {
            let mut nodes: Vec<NodeId> = of.iter().copied().filter(|node| !without.contains(node)).collect();
            nodes.sort_unstable();
            nodes
        };
        let after = &mut change.after;
        // What an earlier reassignment was adding and this one does not want goes like any other replica.
        after.removing = difference(&before.replicas, target);
        let added = difference(target, &before.replicas);
        after.adding = target
            .iter()
            .copied()
            .filter(|node| added.contains(node) || before.adding.contains(node))
            .collect();
        after.replicas = target.iter().chain(&after.removing).copied().collect();
        change.decide(&|node| self.may_lead(node))
    }

    fn cancel(
        &self,
        topic: &TopicImage,
        partition: i32,
        before: &PartitionImage,
    ) -> Result<Option<PartitionImage>, Refusal> {
        if !before.is_reassigning() {
            return Err(Refusal::of(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS));
        }
        let mut change = self.change(topic, before);
        let after = &mut change.after;
        after.replicas.retain(|node| !before.adding.contains(node));
        after.in_sync.retain(|node| !before.adding.contains(node));
        after.adding.clear();
        after.removing.clear();
        let impossible = |message| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        if after.replicas.is_empty() {
            return impossible(
                "Invalid replica assignment: addingReplicas contains all replicas.".to_string(),
            );
        }
        // Only the new ones have everything: going back means to lose some of it.
        let has_all = |node: &NodeId| before.in_sync.contains(node) || before.eligible.contains(node);
        let had_any = !before.in_sync.is_empty() || !before.eligible.is_empty();
        if had_any && !after.replicas.iter().any(has_all) {
            let alive = after.replicas.iter().copied().find(|node| self.may_lead(*node));
            let Some(first) = alive.filter(|_| self.is_set(topic, "unclean.leader.election.enable")) else {
                return impossible(format!(
                    "Unable to revert partition assignment for {}:{partition} because it would require an unclean \
                     leader election.",
                    topic.name
                ));
            };
            after.in_sync = vec![first];
            after.recovering = true;
        }
        Ok(change.decide(&|node| self.may_lead(node)))
    }
}

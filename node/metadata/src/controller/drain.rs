//! Which reassignments empty a node, so that it can be taken out of the cluster for good.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Controller;
use super::reassign::Reassignment;
use crate::identity::NodeId;
use crate::partition_image::PartitionImage;

/// What empties a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainPlan {
    /// To be passed to [`Controller::reassign`].
    pub reassignments: Vec<Reassignment>,
    /// Partitions for whose replica there is no other node.
    pub stuck: Vec<(String, i32)>,
}

impl Controller<'_> {
    /// Plans that every replica on a node moves to the active node with the fewest, in another rack than its siblings
    /// where there is one. Reassignments under way keep what else they change. The node is empty once all are done.
    pub fn drain(&self, node_id: NodeId) -> DrainPlan {
        let mut load = self.replica_counts();
        let mut plan = DrainPlan { reassignments: Vec::new(), stuck: Vec::new() };
        for (topic, partition, state) in self.image.partitions() {
            let target: Vec<NodeId> =
                state.replicas.iter().copied().filter(|node| !state.removing.contains(node)).collect();
            if !target.contains(&node_id) {
                continue;
            }
            let Some(other) = self.replacement(state, &target, node_id, &load) else {
                plan.stuck.push((topic.name.to_string(), partition));
                continue;
            };
            *load.entry(other).or_default() += 1;
            let replicas =
                target.iter().map(|node| if *node == node_id { other.0 } else { node.0 }).collect();
            let topic = topic.name.to_string();
            plan.reassignments.push(Reassignment { topic, partition, replicas: Some(replicas) });
        }
        plan
    }

    fn replacement(
        &self,
        state: &PartitionImage,
        target: &[NodeId],
        leaving: NodeId,
        load: &BTreeMap<NodeId, usize>,
    ) -> Option<NodeId> {
        let rack = |node: NodeId| self.image.nodes().get(&node).and_then(|node| node.rack.as_ref());
        let siblings: Vec<_> =
            target.iter().filter(|node| **node != leaving).filter_map(|node| rack(*node)).collect();
        let candidates = self
            .image
            .nodes()
            .keys()
            .copied()
            .filter(|node| *node != leaving && self.image.is_active(*node) && !target.contains(node));
        candidates.min_by_key(|node| {
            let shares_rack = rack(*node).is_some_and(|rack| siblings.contains(&rack));
            // One that has a copy already needs none.
            let has_none = !state.replicas.contains(node);
            (shares_rack, has_none, load.get(node).copied().unwrap_or(0), *node)
        })
    }

    fn replica_counts(&self) -> BTreeMap<NodeId, usize> {
        let mut counts = BTreeMap::new();
        for (_, _, state) in self.image.partitions() {
            for node in &state.replicas {
                *counts.entry(*node).or_default() += 1;
            }
        }
        counts
    }
}

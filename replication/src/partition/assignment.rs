//! What the controller says about a partition: who keeps it, who leads, who is in sync.

use alloc::vec::Vec;

use ringmain_storage::LeaderEpoch;

use crate::identity::{NodeEpoch, NodeId, PartitionEpoch};

/// A replica, and what the metadata knows of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignedReplica {
    /// The node that keeps it.
    pub node: NodeId,
    /// Its registration; `None` while the node never registered.
    pub node_epoch: Option<NodeEpoch>,
    /// Whether it may enter the in-sync set: alive as far as the controller knows, and not about to stop.
    pub is_eligible: bool,
}

/// The metadata of one partition, as one node gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The registration that the metadata has of the node that is told. A node obeys nothing that was decided
    /// before its own registration (rule 1): its log may not be the one that the controller decided about.
    pub registered: Option<NodeEpoch>,
    /// Who keeps the partition, the preferred leader first. With a reassignment under way: old and new ones.
    pub replicas: Vec<AssignedReplica>,
    /// Who leads, if anybody.
    pub leader: Option<NodeId>,
    /// Counts leaderships; a change of `leader` comes with a higher one.
    pub leader_epoch: LeaderEpoch,
    /// Who is in sync; contains the leader, and only replicas.
    pub in_sync: Vec<NodeId>,
    /// Counts every change of the above but of what is known of the nodes.
    pub partition_epoch: PartitionEpoch,
}

impl Assignment {
    /// # Panics
    /// When it breaks what the controller promises.
    pub(super) fn check(&self) {
        let kept_by = |node: &NodeId| self.replicas.iter().any(|replica| replica.node == *node);
        assert!(self.in_sync.iter().all(kept_by), "only replicas are in sync: {self:?}");
        if let Some(leader) = self.leader {
            assert!(self.in_sync.contains(&leader), "a leader is in sync: {self:?}");
        }
    }

    pub(super) fn has_replica(&self, node: NodeId) -> bool {
        self.replicas.iter().any(|replica| replica.node == node)
    }
}

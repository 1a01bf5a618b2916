//! A partition: who keeps it, who is in sync, who leads, and what is in between.
//!
//! What must hold is [`PartitionImage::problem`], checked whenever a record is applied: a leader is in sync; who is in
//! sync or eligible keeps a replica; nobody is both; epochs only rise.

use alloc::vec::Vec;

use ringmain_storage::LeaderEpoch;
use serde::{Deserialize, Serialize};

use crate::identity::{NodeId, PartitionEpoch};

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionImage {
    /// Who keeps a replica, the preferred leader first. During a reassignment those that it removes are last.
    pub replicas: Vec<NodeId>,
    /// Who has everything that was acknowledged and would miss nothing that is acknowledged from now on.
    pub in_sync: Vec<NodeId>,
    /// Who left the in-sync set while it was too small for the high watermark to move, and so misses nothing that was
    /// acknowledged with acks=all (KIP-966).
    pub eligible: Vec<NodeId>,
    /// Who led when nobody was left in sync; cleared by the next leader.
    pub last_known_leader: Option<NodeId>,
    /// Who gets a replica by a reassignment under way.
    pub adding: Vec<NodeId>,
    /// Who loses its replica when the reassignment completes.
    pub removing: Vec<NodeId>,
    /// Who leads, if anybody.
    pub leader: Option<NodeId>,
    /// The leader came from outside the in-sync set and has not said yet that it is done with it.
    pub recovering: bool,
    /// Counts leaderships.
    #[serde(with = "crate::foreign::leader_epoch")]
    pub leader_epoch: LeaderEpoch,
    /// Counts changes.
    pub partition_epoch: PartitionEpoch,
}

impl PartitionImage {
    /// A new partition: the first of those in sync leads.
    pub fn created(replicas: Vec<NodeId>, in_sync: Vec<NodeId>) -> Self {
        Self {
            leader: in_sync.first().copied(),
            replicas,
            in_sync,
            eligible: Vec::new(),
            last_known_leader: None,
            adding: Vec::new(),
            removing: Vec::new(),
            recovering: false,
            leader_epoch: LeaderEpoch::ZERO,
            partition_epoch: PartitionEpoch(0),
        }
    }

    /// Whether replicas are being added or removed.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Who should lead when it can.
    pub fn preferred_leader(&self) -> Option<NodeId> {
        self.replicas.first().copied()
    }

    /// Fewest replicas in sync with which the high watermark moves: as configured, and no more than there are replicas
    /// apart from those that are only being added.
    pub fn min_in_sync(&self, configured: usize) -> usize {
        configured.clamp(1, self.replicas.len().saturating_sub(self.adding.len()).max(1))
    }

    /// What is wrong with it by itself.
    pub fn problem(&self) -> Option<&'static str> {
        let kept = |nodes: &[NodeId]| nodes.iter().all(|node| self.replicas.contains(node));
        if self.replicas.is_empty() {
            return Some("nobody keeps a replica");
        }
        if [&self.replicas, &self.in_sync, &self.eligible, &self.adding, &self.removing]
            .into_iter()
            .any(|nodes| has_duplicates(nodes))
        {
            return Some("a node is named twice");
        }
        if ![&self.in_sync, &self.eligible, &self.adding, &self.removing].into_iter().all(|nodes| kept(nodes))
        {
            return Some("a node that keeps no replica is in sync, eligible, added or removed");
        }
        if self.in_sync.iter().any(|node| self.eligible.contains(node)) {
            return Some("a node is in sync and eligible");
        }
        if self.adding.iter().any(|node| self.removing.contains(node)) {
            return Some("a node is added and removed");
        }
        if self.leader.is_some_and(|leader| !self.in_sync.contains(&leader)) {
            return Some("its leader is not in sync");
        }
        if self.last_known_leader.is_some_and(|leader| !self.replicas.contains(&leader)) {
            return Some("its last leader keeps no replica");
        }
        None
    }

    /// What is wrong with it as the successor of `before`.
    pub fn problem_after(&self, before: &Self) -> Option<&'static str> {
        if self.partition_epoch <= before.partition_epoch {
            return Some("its partition epoch does not rise");
        }
        if self.leader_epoch < before.leader_epoch {
            return Some("its leader epoch goes back");
        }
        if self.leader != before.leader && self.leader_epoch == before.leader_epoch {
            return Some("its leader changes without its leader epoch");
        }
        None
    }
}

fn has_duplicates(nodes: &[NodeId]) -> bool {
    nodes.iter().enumerate().any(|(index, node)| nodes[..index].contains(node))
}

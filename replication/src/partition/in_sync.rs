//! The in-sync set of a partition as its leader sees it: what is committed, and the change under way.
//!
//! What must hold:
//! - a record counts as committed only when everybody has it who may be in the set by now: the *maximal* set, which is
//!   the committed one together with all that was proposed since (rule 3);
//! - a proposal is over only when the controller has committed a higher partition epoch. A refusal alone does not end
//!   it: another copy of the same proposal may still be on its way, and be accepted. A refused expansion is therefore
//!   *retracted*: the committed set is proposed again, and with its commit the partition epoch goes past all copies.

use alloc::vec::Vec;

use crate::identity::{NodeEpoch, NodeId, PartitionEpoch};
use crate::planted;

/// A set of nodes, ordered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NodeSet(Vec<NodeId>);

impl NodeSet {
    pub(super) fn new(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let mut nodes: Vec<NodeId> = nodes.into_iter().collect();
        nodes.sort_unstable();
        nodes.dedup();
        Self(nodes)
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.contains(&node)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.iter().copied()
    }

    fn union(&self, other: &Self) -> Self {
        Self::new(self.iter().chain(other.iter()))
    }
}

/// What is being changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: the committed set is all.
    None,
    /// A replica is to enter, with the process that fetched: no later one takes its place in the proposal.
    Expanding { entering: NodeId, node_epoch: NodeEpoch, proposed: NodeSet, maximal: NodeSet },
    /// Replicas are to leave.
    Shrinking { proposed: NodeSet },
    /// A replica was to enter and may not: until the controller has said so with a new partition epoch, it may be in.
    Retracting { maximal: NodeSet },
}

/// The set, and the change under way.
#[derive(Debug, Clone)]
pub(super) struct InSyncReplicas {
    committed: NodeSet,
    partition_epoch: PartitionEpoch,
    change: Change,
    /// When the change was last proposed.
    proposed_ms: i64,
}

impl InSyncReplicas {
    pub(super) fn new(committed: NodeSet, partition_epoch: PartitionEpoch) -> Self {
        Self { committed, partition_epoch, change: Change::None, proposed_ms: 0 }
    }

    pub(super) fn committed(&self) -> &NodeSet {
        &self.committed
    }

    pub(super) fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// Everybody who may be in the set by now.
    pub(super) fn maximal(&self) -> &NodeSet {
        if planted::is("high-watermark-over-committed-set") {
            return &self.committed;
        }
        match &self.change {
            Change::Expanding { maximal, .. } | Change::Retracting { maximal } => maximal,
            Change::None | Change::Shrinking { .. } => &self.committed,
        }
    }

    pub(super) fn change(&self) -> &Change {
        &self.change
    }

    /// What the controller is asked for; `None` when nothing is.
    pub(super) fn proposed(&self) -> Option<&NodeSet> {
        match &self.change {
            Change::None => None,
            Change::Expanding { proposed, .. } | Change::Shrinking { proposed } => Some(proposed),
            Change::Retracting { .. } => Some(&self.committed),
        }
    }

    /// Whether it is time to ask again.
    pub(super) fn is_overdue(&self, now_ms: i64, retry_ms: i64) -> bool {
        self.change != Change::None && now_ms.saturating_sub(self.proposed_ms) >= retry_ms
    }

    pub(super) fn asked(&mut self, now_ms: i64) {
        self.proposed_ms = now_ms;
    }

    /// # Panics
    /// When another change is under way: its outcome would be unknown.
    pub(super) fn expand(&mut self, entering: NodeId, node_epoch: NodeEpoch) {
        assert_eq!(self.change, Change::None, "one change at a time");
        let proposed = NodeSet::new(self.committed.iter().chain([entering]));
        let maximal = self.committed.union(&proposed);
        self.change = Change::Expanding { entering, node_epoch, proposed, maximal };
        self.check();
    }

    /// # Panics
    /// When another change is under way: its outcome would be unknown.
    pub(super) fn shrink(&mut self, leaving: &NodeSet) {
        assert_eq!(self.change, Change::None, "one change at a time");
        let stay = self.committed.iter().filter(|node| !leaving.contains(*node));
        self.change = Change::Shrinking { proposed: NodeSet::new(stay) };
        self.check();
    }

    /// Who is to enter, and with which process.
    pub(super) fn entering(&self) -> Option<(NodeId, NodeEpoch)> {
        match &self.change {
            Change::Expanding { entering, node_epoch, .. } => Some((*entering, *node_epoch)),
            Change::None | Change::Shrinking { .. } | Change::Retracting { .. } => None,
        }
    }

    /// Another process of the node was seen: the one that was to enter has ended.
    pub(super) fn restarted(&mut self, node: NodeId, newer: NodeEpoch) {
        let is_entering =
            self.entering().is_some_and(|(entering, process)| entering == node && process < newer);
        if is_entering && !planted::is("newer-process-takes-the-place") {
            self.retract();
            // Time to propose the retraction.
            self.proposed_ms = i64::MIN;
        }
    }

    /// The expansion is given up, because the controller refused it or its process ended. Whether there was one.
    pub(super) fn retract(&mut self) -> bool {
        let Change::Expanding { maximal, .. } = &self.change else { return false };
        self.change = if planted::is("refused-expansion-forgotten") {
            Change::None
        } else {
            Change::Retracting { maximal: maximal.clone() }
        };
        self.check();
        true
    }

    /// The controller committed a set. Whether it is news.
    pub(super) fn commit(&mut self, committed: NodeSet, partition_epoch: PartitionEpoch) -> bool {
        if partition_epoch <= self.partition_epoch {
            return false;
        }
        *self = Self::new(committed, partition_epoch);
        true
    }

    fn check(&self) {
        let maximal = self.maximal();
        assert!(
            planted::is("high-watermark-over-committed-set")
                || self
                    .committed
                    .iter()
                    .chain(self.proposed().into_iter().flat_map(NodeSet::iter))
                    .all(|n| maximal.contains(n)),
            "the maximal set has everybody: {self:?}"
        );
    }
}

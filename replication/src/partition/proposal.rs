//! How a leader asks the controller for another in-sync set.

use alloc::vec::Vec;

use ringmain_storage::LeaderEpoch;

use crate::identity::{NodeEpoch, NodeId, PartitionEpoch};

/// One of a proposed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InSyncMember {
    /// The node.
    pub node: NodeId,
    /// The registration with which it fetched, if it did in this leadership. The controller must refuse a new member
    /// that has registered again since (KIP-903): the log that the leader saw may be gone.
    pub node_epoch: Option<NodeEpoch>,
}

/// A set that a leader proposes. The controller accepts it only on top of exactly `partition_epoch`, and raises the
/// partition epoch even where the set is the one that it has: that ends proposals of which copies are on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSyncProposal {
    /// Of whose leadership.
    pub leader_epoch: LeaderEpoch,
    /// On top of what.
    pub partition_epoch: PartitionEpoch,
    /// The set, the leader in it.
    pub in_sync: Vec<InSyncMember>,
}

/// The controller's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InSyncAnswer {
    /// This is committed, by this proposal or another change.
    Committed {
        /// Of which leadership.
        leader_epoch: LeaderEpoch,
        /// After the change.
        partition_epoch: PartitionEpoch,
        /// The set.
        in_sync: Vec<NodeId>,
    },
    /// A new member is fenced, about to stop, or registered again since it fetched.
    Ineligible {
        /// The proposal's.
        leader_epoch: LeaderEpoch,
        /// The proposal's.
        partition_epoch: PartitionEpoch,
    },
    /// The proposal is on top of something old, or of an old leadership: newer metadata is on its way.
    Stale,
}

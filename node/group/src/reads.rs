//! What can be read of a coordinator at once, without an effect: offsets, lists and descriptions of groups.
//!
//! Everything here was written before it could be read.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::GroupState;

/// An offset that a group committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Of the last record read; -1 if unknown.
    pub leader_epoch: i32,
    /// Text of the client.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub committed_at_ms: i64,
    /// When it expires, if the client said so.
    pub expires_at_ms: Option<i64>,
}

/// A line of ListGroups. The group's type is always "classic".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// The group.
    pub group: Arc<str>,
    /// "" if no member ever joined.
    pub protocol_type: Arc<str>,
    /// Its state.
    pub state: GroupState,
}

/// How many groups and members there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Groups by state, in the order of [`GroupState::ALL`].
    pub groups: [u64; GroupState::ALL.len()],
    /// Members of all groups; not those that were only given an id.
    pub members: u64,
}

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its state.
    pub state: GroupState,
    /// The generation.
    pub generation: i32,
    /// "" if no member ever joined.
    pub protocol_type: Arc<str>,
    /// The selected protocol; "" unless the group is stable.
    pub protocol_name: Arc<str>,
    /// Every member.
    pub members: Vec<MemberDescription>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its name, if it is a static member.
    pub instance_id: Option<Arc<str>>,
    /// As it joined.
    pub client_id: Arc<str>,
    /// As it joined.
    pub client_host: Arc<str>,
    /// What it sent with the selected protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// What the leader gave it last; empty from the first join to the first assignment.
    pub assignment: Bytes,
}

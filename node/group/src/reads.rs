//! What can be read of a coordinator at once, without an effect: offsets, lists and descriptions of groups.
//!
//! Everything here was written before it could be read.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::GroupState;
use crate::group::Group;

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

impl Census {
    /// A group is there.
    pub(crate) fn enter(&mut self, state: GroupState, members: u64) {
        self.groups[state.index()] += 1;
        self.members += members;
    }

    /// It is there no more, or not so.
    pub(crate) fn leave(&mut self, state: GroupState, members: u64) {
        self.groups[state.index()] -= 1;
        self.members -= members;
    }
}

/// One group with what it committed.
#[derive(Debug, Clone, Copy)]
pub struct GroupView<'a> {
    group: &'a Group,
}

impl<'a> GroupView<'a> {
    pub(crate) fn new(group: &'a Group) -> Self {
        Self { group }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a Arc<str> {
        self.group.name()
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> GroupState {
        self.group.state()
    }

    /// Its members; not those that were only given an id.
    #[must_use]
    pub fn members(&self) -> usize {
        self.group.members().len()
    }

    /// What it committed: topic, partition, the next offset to read.
    pub fn committed(&self) -> impl Iterator<Item = (&'a Arc<str>, i32, i64)> + use<'a> {
        self.group.offsets().iter().map(|(topic, partition, committed)| (topic, partition, committed.offset))
    }
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

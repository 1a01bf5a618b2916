//! What happens to a coordinator: requests of clients, reports of writes, time.
//!
//! Requests borrow from wherever the shell keeps them; the coordinator copies what it must keep.

use crate::{RequestToken, Settings, WriteToken};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event<'request> {
    /// JoinGroup. The answer may take as long as the rebalance.
    Join {
        /// Comes back with the answer.
        request: RequestToken,
        /// What was asked.
        join: Join<'request>,
    },
    /// SyncGroup. The answer waits for the leader's assignment.
    Sync {
        /// Comes back with the answer.
        request: RequestToken,
        /// What was asked.
        sync: Sync<'request>,
    },
    /// Heartbeat.
    Heartbeat {
        /// Comes back with the answer.
        request: RequestToken,
        /// What was asked.
        heartbeat: Heartbeat<'request>,
    },
    /// LeaveGroup.
    Leave {
        /// Comes back with the answer.
        request: RequestToken,
        /// What was asked.
        leave: Leave<'request>,
    },
    /// OffsetCommit, without the partitions that the shell refused already (unknown topics).
    CommitOffsets {
        /// Comes back with the answer.
        request: RequestToken,
        /// What was asked.
        commit: CommitOffsets<'request>,
    },
    /// DeleteGroups; one event a group.
    DeleteGroup {
        /// Comes back with the answer.
        request: RequestToken,
        /// The group to delete.
        group: &'request str,
    },
    /// OffsetDelete, without the partitions that the shell refused already (unknown topics).
    DeleteOffsets {
        /// Comes back with the answer.
        request: RequestToken,
        /// The group.
        group: &'request str,
        /// Whose offsets to delete.
        topics: &'request [DeletedTopic<'request>],
    },
    /// A write was done, or failed. Reports come in the order of the writes.
    Written {
        /// As [`crate::Effect::Write`] named it. Unknown ones (of before a resignation) are ignored.
        write: WriteToken,
        /// Whether its records are durable. An error means that none of them will ever be read; after
        /// [`WriteError::TimedOut`] they may come to light in the next load, as after a crash before the report.
        result: Result<(), WriteError>,
    },
    /// These topics are gone; so are the offsets committed for them.
    TopicsDeleted {
        /// Their names.
        topics: &'request [&'request str],
    },
    /// [`crate::Coordinator::next_deadline_ms`] has come. Early or repeated calls do no harm.
    TimePassed,
    /// New settings; they hold from the next event on.
    Configure(Settings),
    /// This node no longer leads the partition, or stops: every waiting request is answered with
    /// `NOT_COORDINATOR`, and every later one.
    Resign,
}

/// Why a write failed; decides which error clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// Too few in-sync replicas, or the offsets topic is not there: the client should ask again.
    Unavailable,
    /// This node does not lead the partition any more, or its storage failed: the client should look for the
    /// coordinator again.
    NotLeader,
    /// Replicas did not confirm in time.
    TimedOut,
    /// The records do not fit into the largest batch (`max.message.bytes` of the offsets topic).
    TooLarge,
}

/// A JoinGroup request.
#[derive(Debug, Clone)]
pub struct Join<'request> {
    /// The group.
    pub group: &'request str,
    /// "" if the member has none yet.
    pub member_id: &'request str,
    /// Name of a static member.
    pub instance_id: Option<&'request str>,
    /// From the request's header; "" if it has none.
    pub client_id: &'request str,
    /// Address of the client, as DescribeGroups shows it: "/10.0.0.1".
    pub client_host: &'request str,
    /// Silence after which the member counts as dead.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for this member. Version 0 has none: the session timeout is to be passed.
    pub rebalance_timeout_ms: i32,
    /// "consumer", "connect" or any other; groups never mix them.
    pub protocol_type: &'request str,
    /// What the member supports, the most wanted first.
    pub protocols: &'request [Protocol<'request>],
    /// From version 4 a new dynamic member is given an id first and must come back with it (KIP-394).
    pub member_id_required: bool,
    /// From version 9 a static leader that comes back may be told to skip the assignment (KIP-814).
    pub skip_assignment_supported: bool,
    /// Why it joins, for diagnostics (version 8).
    pub reason: Option<&'request str>,
    /// A fresh random UUID as text: a new member's id is made of it.
    pub uuid: &'request str,
}

/// A protocol that a member supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol<'request> {
    /// "range", "cooperative-sticky", ...
    pub name: &'request str,
    /// For the leader; the coordinator reads it only to learn the topics of consumers.
    pub metadata: &'request [u8],
}

/// A SyncGroup request.
#[derive(Debug, Clone)]
pub struct Sync<'request> {
    /// The group.
    pub group: &'request str,
    /// The generation that the member joined.
    pub generation: i32,
    /// Its id.
    pub member_id: &'request str,
    /// Its name, if it is a static member.
    pub instance_id: Option<&'request str>,
    /// Must be the group's, if given (version 5).
    pub protocol_type: Option<&'request str>,
    /// Must be the group's, if given (version 5).
    pub protocol_name: Option<&'request str>,
    /// From the leader: what each member gets.
    pub assignments: &'request [SyncedMember<'request>],
}

/// What the leader gives to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncedMember<'request> {
    /// The member.
    pub member_id: &'request str,
    /// Never read here.
    pub assignment: &'request [u8],
}

/// A Heartbeat request.
#[derive(Debug, Clone)]
pub struct Heartbeat<'request> {
    /// The group.
    pub group: &'request str,
    /// The generation that the member joined.
    pub generation: i32,
    /// Its id.
    pub member_id: &'request str,
    /// Its name, if it is a static member.
    pub instance_id: Option<&'request str>,
}

/// A LeaveGroup request. Versions below 3 name one member.
#[derive(Debug, Clone)]
pub struct Leave<'request> {
    /// The group.
    pub group: &'request str,
    /// Who leaves.
    pub members: &'request [LeavingMember<'request>],
}

/// A member that leaves, or that an operator removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeavingMember<'request> {
    /// "" if it is named by its instance id alone.
    pub member_id: &'request str,
    /// Its name, if it is a static member.
    pub instance_id: Option<&'request str>,
    /// Why, for diagnostics (version 5).
    pub reason: Option<&'request str>,
}

/// An OffsetCommit request.
#[derive(Debug, Clone)]
pub struct CommitOffsets<'request> {
    /// The group.
    pub group: &'request str,
    /// Negative for a consumer that is in no group generation.
    pub generation: i32,
    /// "" for a consumer that is in no group generation.
    pub member_id: &'request str,
    /// Its name, if it is a static member.
    pub instance_id: Option<&'request str>,
    /// How long the offsets are to live (versions 2 to 4); `None` for the group's retention, also for -1.
    pub retention_ms: Option<i64>,
    /// What to commit.
    pub topics: &'request [CommittedTopic<'request>],
}

/// Offsets for one topic.
#[derive(Debug, Clone, Copy)]
pub struct CommittedTopic<'request> {
    /// The topic.
    pub topic: &'request str,
    /// Its partitions.
    pub partitions: &'request [CommittedPartition<'request>],
}

/// An offset for one partition.
#[derive(Debug, Clone, Copy)]
pub struct CommittedPartition<'request> {
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// Of the last record read, -1 if unknown (version 6).
    pub leader_epoch: i32,
    /// Text of the client; `None` counts as "".
    pub metadata: Option<&'request str>,
}

/// Partitions whose offsets are to be deleted.
#[derive(Debug, Clone, Copy)]
pub struct DeletedTopic<'request> {
    /// The topic.
    pub topic: &'request str,
    /// Its partitions.
    pub partitions: &'request [i32],
}

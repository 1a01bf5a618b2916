//! What clients are told, without regard to versions of messages: the node shapes it for the version asked.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use ringmain_protocol::ErrorCode;

use crate::event::CommitOffsets;

/// The answer to one request; each variant belongs to the event of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`crate::Event::Join`].
    Join(JoinAnswer),
    /// To [`crate::Event::Sync`].
    Sync(SyncAnswer),
    /// To [`crate::Event::Heartbeat`].
    Heartbeat(ErrorCode),
    /// To [`crate::Event::Leave`].
    Leave(LeaveAnswer),
    /// To [`crate::Event::CommitOffsets`].
    CommitOffsets(CommitAnswer),
    /// To [`crate::Event::DeleteGroup`].
    DeleteGroup(ErrorCode),
    /// To [`crate::Event::DeleteOffsets`].
    DeleteOffsets(DeleteOffsetsAnswer),
}

impl Answer {
    /// The error of the whole request; of the first partition where a request has no error of its own.
    #[must_use]
    pub fn error(&self) -> ErrorCode {
        match self {
            Self::Join(answer) => answer.error,
            Self::Sync(answer) => answer.error,
            Self::Heartbeat(error) | Self::DeleteGroup(error) => *error,
            Self::Leave(answer) => answer.error,
            Self::CommitOffsets(answer) => answer.partitions.first().copied().unwrap_or(ErrorCode::NONE),
            Self::DeleteOffsets(answer) => answer.error,
        }
    }
}

/// Answer to a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAnswer {
    /// `NONE`, or why the member is not in the generation.
    pub error: ErrorCode,
    /// The generation; -1 with an error.
    pub generation: i32,
    /// Kafka sends it from version 7.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that every member supports. `None` with an error; versions below 7 send "" then.
    pub protocol_name: Option<Arc<str>>,
    /// Member id of the leader; "" with an error.
    pub leader: Arc<str>,
    /// The leader that comes back as a static member must not assign again (version 9).
    pub skip_assignment: bool,
    /// The id of the member that asked: a new one with `MEMBER_ID_REQUIRED`.
    pub member_id: Arc<str>,
    /// Every member, for the leader; empty for the others.
    pub members: Vec<JoinedMember>,
}

/// What the leader learns of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its name, if it is a static member.
    pub instance_id: Option<Arc<str>>,
    /// What it sent with the protocol that was selected.
    pub metadata: Bytes,
}

/// Answer to a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncAnswer {
    /// `NONE`, or why there is no assignment.
    pub error: ErrorCode,
    /// `None` with an error.
    pub protocol_type: Option<Arc<str>>,
    /// `None` with an error.
    pub protocol_name: Option<Arc<str>>,
    /// What the leader assigned to the member; empty if nothing.
    pub assignment: Bytes,
}

/// Answer to a leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveAnswer {
    /// Of the request. Versions below 3, which name one member, send its error if this is `NONE`.
    pub error: ErrorCode,
    /// One for each member of the request, in its order; empty if `error` is set.
    pub members: Vec<LeftMember>,
}

/// How one member fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftMember {
    /// As the request named it.
    pub member_id: Arc<str>,
    /// As the request named it.
    pub instance_id: Option<Arc<str>>,
    /// Why it could not leave.
    pub error: ErrorCode,
}

/// Answer to a commit of offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitAnswer {
    /// One for each partition of the request, flat, in its order. An error of the whole request stands at each.
    pub partitions: Vec<ErrorCode>,
}

/// Answer to a deletion of offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteOffsetsAnswer {
    /// Of the request.
    pub error: ErrorCode,
    /// One for each partition of the request, flat, in its order; empty if `error` is set.
    pub partitions: Vec<ErrorCode>,
}

impl JoinAnswer {
    pub(crate) fn refused(error: ErrorCode, member_id: &str) -> Self {
        Self {
            error,
            generation: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member_id: Arc::from(member_id),
            members: Vec::new(),
        }
    }
}

impl SyncAnswer {
    pub(crate) fn refused(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

impl CommitAnswer {
    pub(crate) fn refused(error: ErrorCode, commit: &CommitOffsets<'_>) -> Self {
        let partitions = commit.topics.iter().map(|topic| topic.partitions.len()).sum();
        Self { partitions: vec![error; partitions] }
    }
}

//! Writes under way, and what is to happen when they are done.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use ringmain_protocol::ErrorCode;

use crate::group::{Client, GroupNumber, MemberNumber, TopicPartition, Wishes};
use crate::{CommittedOffset, RequestToken, WriteError, WriteToken};

/// What a write is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// The leader's assignment: the generation becomes stable.
    Assignment { generation: i32, assignments: BTreeMap<MemberNumber, Bytes> },
    /// A generation without members.
    Emptied,
    /// A static member has another id.
    Replaced(Replaced),
    /// Committed offsets.
    Offsets { request: RequestToken, offsets: Vec<(TopicPartition, CommittedOffset)>, answer: Vec<ErrorCode> },
    /// Tombstones of offsets.
    OffsetsDeleted { partitions: Vec<TopicPartition>, reason: Deletion },
    /// Tombstones of a group and of all its offsets.
    GroupDeleted { partitions: Vec<TopicPartition>, request: Option<RequestToken> },
}

/// A static member whose new id is being written.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) request: RequestToken,
    pub(crate) generation: i32,
    pub(crate) member: MemberNumber,
    pub(crate) new_id: Arc<str>,
    pub(crate) old_id: Arc<str>,
    pub(crate) old_client: Client,
    pub(crate) old_wishes: Wishes,
    /// The leader's id as it was when the member came back: its own old id if it was the leader.
    pub(crate) old_leader: Arc<str>,
    pub(crate) skip_assignment_supported: bool,
}

/// Why offsets are deleted.
#[derive(Debug)]
pub(crate) enum Deletion {
    /// A client asked.
    Requested { request: RequestToken, answer: Vec<ErrorCode> },
    /// Nobody needed them for long enough.
    Expired,
    /// Their topic is gone.
    TopicDeleted,
}

impl Purpose {
    fn held_bytes(&self) -> usize {
        /// Of a write, beside what it carries.
        const WRITE_OVERHEAD_BYTES: usize = 256;
        /// Of a place in a vector or a tree.
        const ITEM_BYTES: usize = 64;
        WRITE_OVERHEAD_BYTES
            + match self {
                Self::Assignment { assignments, .. } => {
                    assignments.values().map(|assignment| ITEM_BYTES + assignment.len()).sum()
                }
                Self::Emptied => 0,
                Self::Replaced(replaced) => {
                    replaced.old_wishes.held_bytes() + replaced.old_client.held_bytes()
                }
                Self::Offsets { offsets, answer, .. } => {
                    let metadata = offsets.iter().map(|(_, offset)| offset.metadata.len()).sum::<usize>();
                    metadata + offsets.len() * 2 * ITEM_BYTES + answer.len() * size_of::<ErrorCode>()
                }
                Self::OffsetsDeleted { partitions, .. } | Self::GroupDeleted { partitions, .. } => {
                    partitions.len() * ITEM_BYTES
                }
            }
    }
}

/// A write and its group.
#[derive(Debug)]
struct UnderWay {
    group: GroupNumber,
    purpose: Purpose,
    held_bytes: usize,
}

/// The writes of a coordinator, in their order.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    next: u64,
    under_way: BTreeMap<WriteToken, UnderWay>,
    held_bytes: usize,
    /// The group that the present step decides about.
    group: Option<GroupNumber>,
}

impl Writes {
    /// Names the group of the writes that begin from now on.
    pub(crate) fn of_group(&mut self, group: GroupNumber) {
        self.group = Some(group);
    }

    pub(crate) fn begin(&mut self, purpose: Purpose) -> WriteToken {
        self.next += 1;
        let write = WriteToken(self.next);
        let group = self.group.expect("a write is begun by a step about a group");
        let held_bytes = purpose.held_bytes();
        self.held_bytes += held_bytes;
        self.under_way.insert(write, UnderWay { group, purpose, held_bytes });
        write
    }

    /// Takes a write that was reported. `None` if it is not known.
    pub(crate) fn take(&mut self, write: WriteToken) -> Option<(GroupNumber, Purpose)> {
        let done = self.under_way.remove(&write)?;
        self.held_bytes -= done.held_bytes;
        Some((done.group, done.purpose))
    }

    /// Takes all, in their order.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Purpose> + use<> {
        self.held_bytes = 0;
        core::mem::take(&mut self.under_way).into_values().map(|write| write.purpose)
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

/// What clients are told when the write of a group fails, as Kafka maps it.
pub(crate) fn group_error(error: WriteError) -> ErrorCode {
    match error {
        WriteError::Unavailable | WriteError::TimedOut => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        WriteError::NotLeader => ErrorCode::NOT_COORDINATOR,
        WriteError::TooLarge => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// What clients are told when the write of offsets fails, as Kafka maps it.
pub(crate) fn offsets_error(error: WriteError) -> ErrorCode {
    match error {
        WriteError::TooLarge => ErrorCode::INVALID_COMMIT_OFFSET_SIZE,
        other => group_error(other),
    }
}

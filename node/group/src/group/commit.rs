//! OffsetCommit: who may commit, and what becomes of it.
//!
//! A commit is one write, all its partitions in one batch; it is answered and can be read once that is written.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;

use super::Group;
use super::offsets::OFFSET_OVERHEAD_BYTES;
use crate::event::{CommitOffsets, CommittedPartition};
use crate::records::TEXT_BYTES_MAX;
use crate::step::Step;
use crate::writes::{Purpose, offsets_error};
use crate::{Answer, CommitAnswer, CommittedOffset, GroupState, RequestToken, WriteError, records};

impl Group {
    pub(crate) fn commit(&mut self, step: &mut Step<'_>, request: RequestToken, commit: &CommitOffsets<'_>) {
        if let Err(error) = self.check_commit(step, commit) {
            let answer = CommitAnswer::refused(error, commit);
            return step.answer(request, Answer::CommitOffsets(answer));
        }
        let mut answer = Vec::new();
        let mut offsets = Vec::new();
        let mut records = Vec::new();
        let mut room_bytes = step.room_bytes;
        for topic in commit.topics {
            for partition in topic.partitions {
                let error = self.check_partition(step, &mut room_bytes, topic.topic, partition);
                answer.push(error.err().unwrap_or(ErrorCode::NONE));
                if error.is_ok() {
                    let offset = committed_offset(step, commit, partition);
                    records.push(records::offset(&self.name, topic.topic, partition.partition, &offset));
                    let name = self.offsets.begin_write(topic.topic, partition.partition);
                    offsets.push(((name, partition.partition), offset));
                }
            }
        }
        if records.is_empty() {
            return step.answer(request, Answer::CommitOffsets(CommitAnswer { partitions: answer }));
        }
        if crate::planted::is("commit-visible-before-written") {
            for ((topic, partition), offset) in &offsets {
                self.offsets.load(topic, *partition, Some(offset.clone()));
            }
        }
        self.writes += 1;
        step.write(records, Purpose::Offsets { request, offsets, answer });
    }

    /// The order of the checks is Kafka's.
    fn check_commit(&mut self, step: &mut Step<'_>, commit: &CommitOffsets<'_>) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        if commit.generation < 0 && self.state == GroupState::Empty {
            return Ok(()); // A consumer without a group, or an operator.
        }
        if commit.generation < 0 && commit.member_id.is_empty() && commit.instance_id.is_none() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        let member = self.check_member(commit.member_id, commit.instance_id)?;
        if commit.generation != self.generation && !crate::planted::is("any-generation") {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if self.state == GroupState::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        // Also while a rebalance is prepared: members commit before they join again.
        self.renew_session(step, member);
        Ok(())
    }

    fn check_partition(
        &self,
        step: &Step<'_>,
        room_bytes: &mut usize,
        topic: &str,
        partition: &CommittedPartition<'_>,
    ) -> Result<(), ErrorCode> {
        if topic.len() > TEXT_BYTES_MAX {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let metadata = partition.metadata.unwrap_or_default();
        let length_max = step.settings.offset_metadata_length_max;
        // A UTF-16 unit is one byte at least.
        let is_too_long = metadata.len() > length_max && metadata.encode_utf16().count() > length_max;
        if is_too_long || metadata.len() > TEXT_BYTES_MAX {
            return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
        }
        if !self.offsets.knows(topic, partition.partition) {
            let bytes = OFFSET_OVERHEAD_BYTES + topic.len() + metadata.len();
            *room_bytes = room_bytes.checked_sub(bytes).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        }
        Ok(())
    }

    /// The write of offsets was done, or failed.
    pub(super) fn on_offsets_written(
        &mut self,
        step: &mut Step<'_>,
        offsets: Vec<((Arc<str>, i32), CommittedOffset)>,
        result: Result<(), WriteError>,
    ) {
        match result {
            Ok(()) => {
                step.counters.offsets_committed += offsets.len() as u64;
                for ((topic, partition), offset) in offsets {
                    self.offsets.commit(&topic, partition, offset);
                }
            }
            Err(_) => offsets
                .iter()
                .for_each(|((topic, partition), _)| self.offsets.abandon_write(topic, *partition)),
        }
    }
}

fn committed_offset(
    step: &Step<'_>,
    commit: &CommitOffsets<'_>,
    partition: &CommittedPartition<'_>,
) -> CommittedOffset {
    CommittedOffset {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: Arc::from(partition.metadata.unwrap_or_default()),
        committed_at_ms: step.now_ms,
        expires_at_ms: commit
            .retention_ms
            .filter(|retention_ms| *retention_ms >= 0)
            .map(|ms| step.after_ms(ms)),
    }
}

/// What a client is told of its commit.
pub(crate) fn commit_answer(mut partitions: Vec<ErrorCode>, result: Result<(), WriteError>) -> Answer {
    if let Err(error) = result {
        let written = partitions.iter_mut().filter(|partition| **partition == ErrorCode::NONE);
        written.for_each(|partition| *partition = offsets_error(error));
    }
    Answer::CommitOffsets(CommitAnswer { partitions })
}

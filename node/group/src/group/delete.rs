//! Deletions: of a group, of single offsets, of the offsets of topics that are gone.
//!
//! Everything that is deleted gets its tombstone, also what is only being written; it vanishes for readers once the
//! tombstones are written. A group that is being deleted is `Dead`: who asks for it is told to ask again.

use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;

use super::{Group, TopicPartition};
use crate::event::DeletedTopic;
use crate::step::Step;
use crate::writes::{Deletion, Purpose, group_error, offsets_error};
use crate::{Answer, DeleteOffsetsAnswer, GroupState, Record, RequestToken, WriteError, records};

impl Group {
    /// DeleteGroups.
    pub(crate) fn delete(&mut self, step: &mut Step<'_>, request: RequestToken) {
        match self.state {
            GroupState::Dead => step.answer(request, Answer::DeleteGroup(ErrorCode::GROUP_ID_NOT_FOUND)),
            GroupState::Empty => self.write_tombstones(step, Some(request)),
            _ => step.answer(request, Answer::DeleteGroup(ErrorCode::NON_EMPTY_GROUP)),
        }
    }

    /// Deletes an empty group and all its offsets.
    pub(super) fn write_tombstones(&mut self, step: &mut Step<'_>, request: Option<RequestToken>) {
        for pending in self.members.pending_numbers() {
            self.remove_member(step, pending);
        }
        self.cancel_retention_check(step);
        let partitions = self.offsets.partitions();
        let mut records = self.begin_tombstones(&partitions);
        if self.in_log && !crate::planted::is("group-without-tombstone") {
            records.push(records::group_tombstone(&self.name));
        }
        if records.is_empty() {
            // Nothing of it was ever written: it is forgotten after this step.
            let answer = Answer::DeleteGroup(ErrorCode::NONE);
            return request.into_iter().for_each(|request| step.answer(request, answer.clone()));
        }
        self.enter(GroupState::Dead, step.now_ms);
        self.writes += 1;
        step.write(records, Purpose::GroupDeleted { partitions, request });
    }

    /// OffsetDelete.
    pub(crate) fn delete_offsets(
        &mut self,
        step: &mut Step<'_>,
        request: RequestToken,
        topics: &[DeletedTopic<'_>],
    ) {
        let error = match self.state {
            GroupState::Dead => ErrorCode::GROUP_ID_NOT_FOUND,
            GroupState::Empty => ErrorCode::NONE,
            _ if self.is_of_consumers() => ErrorCode::NONE,
            _ => ErrorCode::NON_EMPTY_GROUP,
        };
        let mut answer = Vec::new();
        let mut deleted: Vec<TopicPartition> = Vec::new();
        if error == ErrorCode::NONE {
            for topic in topics {
                let is_read = self.is_subscribed(topic.topic);
                let error = if is_read { ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC } else { ErrorCode::NONE };
                for partition in topic.partitions {
                    answer.push(error);
                    if !is_read && self.offsets.knows(topic.topic, *partition) {
                        deleted.push((topic.topic.into(), *partition));
                    }
                }
            }
        }
        if deleted.is_empty() {
            let answer = DeleteOffsetsAnswer { error, partitions: answer };
            return step.answer(request, Answer::DeleteOffsets(answer));
        }
        self.delete_partitions(step, deleted, Deletion::Requested { request, answer });
    }

    /// A topic is gone, and with it what was committed for it.
    pub(crate) fn delete_topics(&mut self, step: &mut Step<'_>, topics: &[&str]) {
        let partitions: Vec<_> = topics.iter().flat_map(|topic| self.offsets.partitions_of(topic)).collect();
        if !partitions.is_empty() {
            self.delete_partitions(step, partitions, Deletion::TopicDeleted);
        }
    }

    pub(super) fn delete_partitions(
        &mut self,
        step: &mut Step<'_>,
        partitions: Vec<TopicPartition>,
        reason: Deletion,
    ) {
        let records = self.begin_tombstones(&partitions);
        self.writes += 1;
        step.write(records, Purpose::OffsetsDeleted { partitions, reason });
    }

    fn begin_tombstones(&mut self, partitions: &[TopicPartition]) -> Vec<Record> {
        let mut records = Vec::with_capacity(partitions.len() + 1);
        for (topic, partition) in partitions {
            self.offsets.begin_write(topic, *partition);
            records.push(records::offset_tombstone(&self.name, topic, *partition));
        }
        records
    }

    /// The tombstones of offsets were written, or not.
    pub(super) fn on_offsets_deleted(
        &mut self,
        step: &mut Step<'_>,
        partitions: &[TopicPartition],
        reason: &Deletion,
        result: Result<(), WriteError>,
    ) {
        for (topic, partition) in partitions {
            if result.is_err() {
                self.offsets.abandon_write(topic, *partition);
            } else if self.offsets.delete(topic, *partition) {
                step.counters.offsets_expired += u64::from(matches!(reason, Deletion::Expired));
            }
        }
    }

    /// The tombstones of the group were written, or not. After a failure it is as it was.
    pub(super) fn on_deleted(
        &mut self,
        step: &mut Step<'_>,
        partitions: &[TopicPartition],
        is_requested: bool,
        result: Result<(), WriteError>,
    ) {
        self.on_offsets_deleted(step, partitions, &Deletion::TopicDeleted, result);
        self.enter(GroupState::Empty, step.now_ms);
        if result.is_ok() {
            self.forget_generation();
            step.counters.groups_expired += u64::from(!is_requested);
        } else {
            self.schedule_retention_check(step);
        }
    }
}

/// What a client is told of the offsets that it deleted.
pub(crate) fn delete_offsets_answer(partitions: Vec<ErrorCode>, result: Result<(), WriteError>) -> Answer {
    Answer::DeleteOffsets(match result {
        Ok(()) => DeleteOffsetsAnswer { error: ErrorCode::NONE, partitions },
        Err(error) => DeleteOffsetsAnswer { error: offsets_error(error), partitions: Vec::new() },
    })
}

/// What a client is told of the group that it deleted.
pub(crate) fn delete_group_answer(result: Result<(), WriteError>) -> Answer {
    Answer::DeleteGroup(result.err().map_or(ErrorCode::NONE, group_error))
}

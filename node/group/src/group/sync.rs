//! SyncGroup: the leader brings the assignment, the others ask for theirs.
//!
//! The leader's assignment is written before anybody is told of it; until then everybody waits. If a rebalance begins
//! meanwhile the assignment is not told, although it may stand in the log: after a restart it would be in force until
//! its members, who know better, join again.

use alloc::collections::BTreeMap;
use alloc::vec;

use bytes::Bytes;
use ringmain_protocol::ErrorCode;

use super::{Group, MemberNumber};
use crate::event::Sync;
use crate::step::Step;
use crate::writes::{Purpose, group_error};
use crate::{Answer, GroupState, RequestToken, SyncAnswer, WriteError, WriteToken, records};

impl Group {
    pub(crate) fn sync(&mut self, step: &mut Step<'_>, request: RequestToken, sync: &Sync<'_>) {
        let number = match self.check_sync(sync) {
            Ok(number) => number,
            Err(error) => return step.refuse_sync(request, error),
        };
        match self.state {
            GroupState::CompletingRebalance => self.await_assignment(step, request, number, sync),
            GroupState::Stable => {
                self.pay_sync(step, number);
                self.renew_session(step, number);
                let answer = self.sync_answer(number);
                step.answer(request, Answer::Sync(answer));
            }
            GroupState::PreparingRebalance => step.refuse_sync(request, ErrorCode::REBALANCE_IN_PROGRESS),
            GroupState::Empty | GroupState::Dead => step.refuse_sync(request, ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    fn check_sync(&self, sync: &Sync<'_>) -> Result<MemberNumber, ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        let number = self.check_member(sync.member_id, sync.instance_id)?;
        if sync.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |asked: Option<&str>, own: Option<&str>| {
            asked.is_some_and(|asked| own.is_some_and(|own| asked != own))
        };
        if differs(sync.protocol_type, self.protocol_type.as_deref())
            || differs(sync.protocol_name, self.protocol_name.as_deref())
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(number)
    }

    fn await_assignment(
        &mut self,
        step: &mut Step<'_>,
        request: RequestToken,
        number: MemberNumber,
        sync: &Sync<'_>,
    ) {
        // What the leader brings a second time (it lost the connection) is not written again: the first counts.
        let brings_assignment = self.is_leader(number) && self.assignment_write.is_none();
        if brings_assignment {
            let bytes: usize = sync.assignments.iter().map(|assigned| assigned.assignment.len()).sum();
            if bytes > step.room_bytes {
                return step.refuse_sync(request, ErrorCode::COORDINATOR_NOT_AVAILABLE);
            }
        }
        if let Some(earlier) = self.members.wait_for_sync(number, request) {
            step.refuse_sync(earlier, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.pay_sync(step, number);
        self.renew_session(step, number);
        if brings_assignment {
            self.write_assignment(step, sync);
        }
    }

    fn write_assignment(&mut self, step: &mut Step<'_>, sync: &Sync<'_>) {
        let mut assignments = BTreeMap::new();
        for assigned in sync.assignments {
            if let Some(number) = self.members.by_id(assigned.member_id) {
                assignments.insert(number, Bytes::copy_from_slice(assigned.assignment));
            }
        }
        let record = records::group(self, &assignments);
        self.in_log = true;
        self.writes += 1;
        let write =
            step.write(vec![record], Purpose::Assignment { generation: self.generation, assignments });
        self.assignment_write = Some(write);
        if crate::planted::is("stable-before-written") {
            self.on_assignment(step, write, self.generation, &BTreeMap::new(), Ok(()));
        }
    }

    /// The member asked for its assignment.
    fn pay_sync(&mut self, step: &mut Step<'_>, number: MemberNumber) {
        self.members.forgive_sync(number);
        self.cancel_sync_deadline_if_paid(step);
    }

    /// The write of an assignment was done, or failed.
    pub(super) fn on_assignment(
        &mut self,
        step: &mut Step<'_>,
        write: WriteToken,
        generation: i32,
        assignments: &BTreeMap<MemberNumber, Bytes>,
        result: Result<(), WriteError>,
    ) {
        let is_current = self.assignment_write == Some(write) && self.generation == generation;
        if !is_current || self.state != GroupState::CompletingRebalance {
            return;
        }
        self.assignment_write = None;
        match result {
            Ok(()) => self.become_stable(step, assignments),
            Err(error) => {
                self.refuse_syncs(step, group_error(error));
                self.prepare_rebalance(step);
            }
        }
    }

    fn become_stable(&mut self, step: &mut Step<'_>, assignments: &BTreeMap<MemberNumber, Bytes>) {
        self.enter(GroupState::Stable, step.now_ms);
        for number in self.members.numbers() {
            self.members.assign(number, assignments.get(&number).cloned().unwrap_or_default());
            if let Some(request) = self.members.take_sync(number) {
                self.renew_session(step, number);
                let answer = self.sync_answer(number);
                step.answer(request, Answer::Sync(answer));
            }
        }
    }

    fn sync_answer(&self, number: MemberNumber) -> SyncAnswer {
        SyncAnswer {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members.get(number).map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }
}

//! LeaveGroup: members go, or an operator removes static ones by their instance id.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;

use super::Group;
use crate::event::{Leave, LeavingMember};
use crate::step::Step;
use crate::{Answer, GroupState, LeaveAnswer, LeftMember, RequestToken};

impl Group {
    pub(crate) fn leave(&mut self, step: &mut Step<'_>, request: RequestToken, leave: &Leave<'_>) {
        if self.state == GroupState::Dead {
            let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
            return step.answer(request, Answer::Leave(LeaveAnswer { error, members: Vec::new() }));
        }
        let members_before = self.members.len();
        let mut members = Vec::with_capacity(leave.members.len());
        for leaving in leave.members {
            let error = self.remove_leaving(step, leaving).err().unwrap_or(ErrorCode::NONE);
            members.push(LeftMember::of(leaving, error));
        }
        let somebody_left = self.members.len() < members_before;
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance if somebody_left => {
                self.prepare_rebalance(step)
            }
            GroupState::PreparingRebalance => self.complete_join_if_all_joined(step),
            _ => {}
        }
        step.answer(request, Answer::Leave(LeaveAnswer { error: ErrorCode::NONE, members }));
    }

    fn remove_leaving(&mut self, step: &mut Step<'_>, leaving: &LeavingMember<'_>) -> Result<(), ErrorCode> {
        let number = if leaving.member_id.is_empty() {
            let known = leaving.instance_id.and_then(|instance_id| self.members.by_instance(instance_id));
            known.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?
        } else if let Some(pending) = self.members.pending_by_id(leaving.member_id) {
            pending
        } else {
            self.check_member(leaving.member_id, leaving.instance_id)?
        };
        self.remove_member(step, number);
        Ok(())
    }
}

impl LeftMember {
    pub(crate) fn of(leaving: &LeavingMember<'_>, error: ErrorCode) -> Self {
        Self {
            member_id: Arc::from(leaving.member_id),
            instance_id: leaving.instance_id.map(Arc::from),
            error,
        }
    }
}

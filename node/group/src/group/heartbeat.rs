//! Heartbeats: a member says that it lives, and learns whether it must join again.

use ringmain_protocol::ErrorCode;

use super::Group;
use crate::event::Heartbeat;
use crate::step::Step;
use crate::{Answer, GroupState, RequestToken};

impl Group {
    pub(crate) fn heartbeat(
        &mut self,
        step: &mut Step<'_>,
        request: RequestToken,
        heartbeat: &Heartbeat<'_>,
    ) {
        let error = self.judge_heartbeat(step, heartbeat);
        step.answer(request, Answer::Heartbeat(error));
    }

    fn judge_heartbeat(&mut self, step: &mut Step<'_>, heartbeat: &Heartbeat<'_>) -> ErrorCode {
        if self.state == GroupState::Dead {
            return ErrorCode::COORDINATOR_NOT_AVAILABLE;
        }
        let member = match self.check_member(heartbeat.member_id, heartbeat.instance_id) {
            Ok(member) => member,
            Err(error) => return error,
        };
        if heartbeat.generation != self.generation {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        self.renew_session(step, member);
        match self.state {
            GroupState::PreparingRebalance => ErrorCode::REBALANCE_IN_PROGRESS,
            // Members beat as soon as they know their generation, also before they have their assignment.
            GroupState::CompletingRebalance | GroupState::Stable => ErrorCode::NONE,
            GroupState::Empty | GroupState::Dead => ErrorCode::UNKNOWN_MEMBER_ID,
        }
    }
}

//! JoinGroup: who may join, and what a join means in each state.

use alloc::format;
use alloc::sync::Arc;

use ringmain_protocol::ErrorCode;

use super::member::{Member, Wishes};
use super::{Group, MemberNumber};
use crate::event::Join;
use crate::step::Step;
use crate::{GroupState, RequestToken};

impl Group {
    pub(crate) fn join(&mut self, step: &mut Step<'_>, request: RequestToken, join: &Join<'_>) {
        if let Err(error) = self.check_room(step, join) {
            if error != ErrorCode::GROUP_MAX_SIZE_REACHED {
                return step.refuse_join(request, error, join.member_id);
            }
            // A member that came too late for a limit that was lowered; the rebalance is not to wait for it.
            if self.state == GroupState::PreparingRebalance
                && let Some(number) = self.members.by_id(join.member_id)
            {
                self.remove_member(step, number);
                self.complete_join_if_all_joined(step);
            }
            return step.refuse_join(request, error, "");
        }
        if self.state == GroupState::Dead {
            return step.refuse_join(request, ErrorCode::COORDINATOR_NOT_AVAILABLE, join.member_id);
        }
        if !self.supports(join) {
            return step.refuse_join(request, ErrorCode::INCONSISTENT_GROUP_PROTOCOL, join.member_id);
        }
        if join.member_id.is_empty() {
            self.join_as_newcomer(step, request, join);
        } else {
            self.join_again(step, request, join);
        }
    }

    /// Whether the group takes the join as far as its size goes.
    fn check_room(&self, step: &Step<'_>, join: &Join<'_>) -> Result<(), ErrorCode> {
        let members_max = step.settings.group_members_max;
        let instance = || self.members.by_instance(join.instance_id.filter(|_| join.member_id.is_empty())?);
        let known = self.members.by_id(join.member_id).or_else(instance);
        let member = known.and_then(|number| self.members.get(number));
        let is_accepted = match self.state {
            GroupState::Empty | GroupState::Dead => true,
            // Those that joined count, so that a group whose limit was lowered keeps whoever joins first.
            GroupState::PreparingRebalance => {
                member.is_some_and(Member::waits_for_join) || self.members.waiting_joins() < members_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.members.len() < members_max
            }
        };
        if !is_accepted {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let added = Member::bytes_of(join).saturating_sub(member.map_or(0, Member::held_bytes));
        if self.members.held_bytes() + added > step.settings.group_bytes_max {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        if added > step.room_bytes { Err(ErrorCode::COORDINATOR_NOT_AVAILABLE) } else { Ok(()) }
    }

    /// Whether the group could still agree on a protocol.
    fn supports(&self, join: &Join<'_>) -> bool {
        if self.state == GroupState::Empty {
            return true;
        }
        self.protocol_type.as_deref() == Some(join.protocol_type)
            && self.members.support(join.protocols.iter().map(|protocol| protocol.name))
    }

    fn join_as_newcomer(&mut self, step: &mut Step<'_>, request: RequestToken, join: &Join<'_>) {
        let id: Arc<str> = Arc::from(format!("{}-{}", join.instance_id.unwrap_or(join.client_id), join.uuid));
        match join.instance_id.map(|instance_id| self.members.by_instance(instance_id)) {
            Some(Some(known)) => self.replace_static_member(step, request, join, known, id),
            None if join.member_id_required => self.invite(step, request, join, id),
            _ => self.add_member(step, request, join, id),
        }
    }

    /// Gives a newcomer its id; it becomes a member when it comes back with it. So that a client that loses the
    /// answer and asks again is not a second member that nobody ever hears of (KIP-394).
    fn invite(&mut self, step: &mut Step<'_>, request: RequestToken, join: &Join<'_>, id: Arc<str>) {
        if self.members.pending_len() >= step.settings.pending_members_max {
            return step.refuse_join(request, ErrorCode::GROUP_MAX_SIZE_REACHED, "");
        }
        let number = self.members.add_pending(Arc::clone(&id));
        self.set_session(step, number, join.session_timeout_ms.into());
        step.refuse_join(request, ErrorCode::MEMBER_ID_REQUIRED, &id);
    }

    fn add_member(&mut self, step: &mut Step<'_>, request: RequestToken, join: &Join<'_>, id: Arc<str>) {
        if let Some(pending) = self.members.pending_by_id(&id) {
            self.end_session(step, pending);
        }
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::from(join.protocol_type));
        }
        self.prolong_initial_delay();
        let number = self.members.add(Member::new(id, join.instance_id.map(Arc::from), join));
        self.leader.get_or_insert(number);
        self.wait_for_join(step, number, request);
        self.set_session(step, number, step.settings.new_member_join_timeout_ms.into());
        self.rebalance(step);
    }

    fn join_again(&mut self, step: &mut Step<'_>, request: RequestToken, join: &Join<'_>) {
        // A pending member is never a static one: an id is required of dynamic members only.
        if join.instance_id.is_none() && self.members.pending_by_id(join.member_id).is_some() {
            return self.add_member(step, request, join, Arc::from(join.member_id));
        }
        let number = match self.check_member(join.member_id, join.instance_id) {
            Ok(number) => number,
            Err(error) => return step.refuse_join(request, error, join.member_id),
        };
        let wishes = Wishes::of(join);
        let is_unchanged = self.members.get(number).is_some_and(|member| member.matches(&wishes));
        match self.state {
            // It probably lost the answer: nothing changed for the others.
            GroupState::CompletingRebalance if is_unchanged => self.repeat_join_answer(step, request, number),
            // A leader that joins again wants a rebalance, for reasons that the coordinator does not see.
            GroupState::Stable if is_unchanged && !self.is_leader(number) => {
                self.repeat_join_answer(step, request, number);
            }
            GroupState::PreparingRebalance | GroupState::CompletingRebalance | GroupState::Stable => {
                self.members.update(number, wishes);
                self.wait_for_join(step, number, request);
                self.rebalance(step);
            }
            GroupState::Empty | GroupState::Dead => {
                step.refuse_join(request, ErrorCode::UNKNOWN_MEMBER_ID, join.member_id);
            }
        }
    }

    /// Tells the present generation once more.
    fn repeat_join_answer(&mut self, step: &mut Step<'_>, request: RequestToken, number: MemberNumber) {
        self.renew_session(step, number);
        let answer = self.join_answer(number);
        step.answer_join(request, answer);
    }

    /// Lets a join wait for the rebalance. An earlier one of the same member is answered: its client went on to this.
    pub(super) fn wait_for_join(&mut self, step: &mut Step<'_>, number: MemberNumber, request: RequestToken) {
        if let Some(earlier) = self.members.wait_for_join(number, request) {
            let id = self.id_of(number);
            step.refuse_join(earlier, ErrorCode::REBALANCE_IN_PROGRESS, &id);
        }
        self.renew_session(step, number);
    }
}

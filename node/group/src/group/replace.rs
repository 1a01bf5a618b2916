//! Static members that come back (KIP-345): the instance keeps its place, its process gets a new id.
//!
//! In `Stable`, if the group would agree on the same protocol and the member reads the same topics, nobody else
//! notices: the new id is written, and then the member is told the present generation. Whoever still uses the old id
//! is fenced from the beginning. If the write fails the old id comes back into force.
//!
//! A client that can be told to skip the assignment (version 9) learns that it leads; an older one is told the old
//! leader's id, so that it does not assign again.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use ringmain_protocol::ErrorCode;

use super::member::{Client, Wishes};
use super::{Group, MemberNumber};
use crate::event::Join;
use crate::step::Step;
use crate::writes::{Purpose, Replaced, group_error};
use crate::{GroupState, JoinAnswer, RequestToken, WriteError, records};

impl Group {
    pub(super) fn replace_static_member(
        &mut self,
        step: &mut Step<'_>,
        request: RequestToken,
        join: &Join<'_>,
        number: MemberNumber,
        new_id: Arc<str>,
    ) {
        let old_id = self.id_of(number);
        let old_leader = self.leader_id().cloned().unwrap_or_else(|| Arc::from(""));
        self.fence(step, number, &old_id);
        self.members.rename(number, Arc::clone(&new_id));
        let old_client = self.members.change_client(number, Client::of(join));
        let wishes = Wishes::of(join);
        let changes_subscription =
            self.members.get(number).is_some_and(|member| self.changes_subscription(&member.wishes, &wishes));
        let old_wishes = self.members.update(number, wishes);
        self.wait_for_join(step, number, request);
        let keeps_protocol = self.members.select_protocol() == self.protocol_name;
        if self.state == GroupState::Stable && keeps_protocol && !changes_subscription {
            let skip_assignment_supported = join.skip_assignment_supported;
            let generation = self.generation;
            let replaced = Replaced {
                request,
                generation,
                member: number,
                new_id,
                old_id,
                old_client,
                old_wishes,
                old_leader,
                skip_assignment_supported,
            };
            let record = records::group(self, &self.assignments());
            self.in_log = true;
            self.writes += 1;
            step.write(vec![record], Purpose::Replaced(replaced));
        } else {
            // In CompletingRebalance too: the leader may already have been told the old id, and would assign to it.
            self.rebalance(step);
        }
    }

    /// Answers what the old process waits for.
    fn fence(&mut self, step: &mut Step<'_>, number: MemberNumber, old_id: &str) {
        if let Some(request) = self.members.take_join(number) {
            step.refuse_join(request, ErrorCode::FENCED_INSTANCE_ID, old_id);
        }
        if let Some(request) = self.members.take_sync(number) {
            step.refuse_sync(request, ErrorCode::FENCED_INSTANCE_ID);
        }
    }

    /// What each member has.
    fn assignments(&self) -> BTreeMap<MemberNumber, Bytes> {
        self.members.iter().map(|(number, member)| (number, member.assignment.clone())).collect()
    }

    /// The write of a static member's new id was done, or failed.
    pub(super) fn on_replaced(
        &mut self,
        step: &mut Step<'_>,
        replaced: Replaced,
        result: Result<(), WriteError>,
    ) {
        let member = self.members.get(replaced.member);
        let waits = member.is_some_and(|member| member.waiting_join == Some(replaced.request));
        if !waits || self.state != GroupState::Stable || self.generation != replaced.generation {
            // It was replaced once more, or takes part in a rebalance that began since: answered there.
            return;
        }
        self.members.take_join(replaced.member);
        let answer = match result {
            Ok(()) => self.replaced_answer(&replaced),
            Err(error) => self.restore(&replaced, group_error(error)),
        };
        self.renew_session(step, replaced.member);
        step.answer_join(replaced.request, answer);
    }

    fn replaced_answer(&self, replaced: &Replaced) -> JoinAnswer {
        let answer = self.join_answer(replaced.member);
        let leads = self.is_leader(replaced.member);
        if replaced.skip_assignment_supported {
            JoinAnswer { skip_assignment: leads, ..answer }
        } else {
            JoinAnswer { leader: Arc::clone(&replaced.old_leader), members: Vec::new(), ..answer }
        }
    }

    /// Puts the old id back into force.
    fn restore(&mut self, replaced: &Replaced, error: ErrorCode) -> JoinAnswer {
        assert_eq!(self.id_of(replaced.member), replaced.new_id, "the member that waits has the new id");
        self.members.update(replaced.member, replaced.old_wishes.clone());
        self.members.change_client(replaced.member, replaced.old_client.clone());
        self.members.rename(replaced.member, Arc::clone(&replaced.old_id));
        JoinAnswer {
            error,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: Arc::clone(&replaced.old_leader),
            skip_assignment: false,
            member_id: Arc::from(""),
            members: Vec::new(),
        }
    }
}

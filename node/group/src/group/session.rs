//! Sessions: who was silent for too long.
//!
//! While an answer of ours is due to a member it cannot be blamed for silence, so its deadline is cleared and set
//! anew with the answer. New members are the exception: they cannot send heartbeats yet, and if their client went
//! away nobody would notice, so they have one long deadline until they know their first generation.

use alloc::sync::Arc;

use ringmain_protocol::ErrorCode;

use super::{Group, MemberNumber};
use crate::GroupState;
use crate::deadlines::Timer;
use crate::step::Step;

impl Group {
    /// Begins the member's session anew, as far as it may have one now.
    pub(super) fn renew_session(&mut self, step: &mut Step<'_>, number: MemberNumber) {
        let Some(member) = self.members.get(number) else {
            return;
        };
        let timeout_ms = i64::from(member.wishes.session_timeout_ms);
        match (member.waits(), member.is_new) {
            (false, _) => self.set_session(step, number, timeout_ms),
            (true, false) => self.end_session(step, number),
            (true, true) => {}
        }
    }

    /// Sets the deadline of a member or a pending member.
    pub(super) fn set_session(&mut self, step: &mut Step<'_>, number: MemberNumber, timeout_ms: i64) {
        let at_ms = step.after_ms(timeout_ms);
        if let Some(slot) = self.members.session_slot(number) {
            step.deadlines.schedule(Timer::Session(self.number, number), slot, at_ms);
        }
    }

    /// Clears the deadline of a member or a pending member.
    pub(super) fn end_session(&mut self, step: &mut Step<'_>, number: MemberNumber) {
        if let Some(slot) = self.members.session_slot(number) {
            step.deadlines.cancel(Timer::Session(self.number, number), slot);
        }
    }

    /// Takes somebody out of the group and answers what it waits for; chooses another leader if need be.
    pub(super) fn remove_member(&mut self, step: &mut Step<'_>, number: MemberNumber) {
        self.end_session(step, number);
        let Some(member) = self.members.remove(number) else {
            return;
        };
        // Without an id: its client is to join as a new member, if it is still there.
        if let Some(request) = member.waiting_join {
            step.refuse_join(request, ErrorCode::UNKNOWN_MEMBER_ID, "");
        }
        if let Some(request) = member.waiting_sync.filter(|_| !crate::planted::is("waiting-sync-forgotten")) {
            step.refuse_sync(request, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if self.is_leader(number) {
            self.leader = self.members.first();
        }
        self.cancel_sync_deadline_if_paid(step);
    }

    /// A session ended.
    pub(crate) fn on_session_deadline(&mut self, step: &mut Step<'_>, number: MemberNumber) {
        let was_member = self.members.get(number).is_some();
        self.remove_member(step, number);
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance if was_member => {
                step.counters.members_expired += 1;
                self.prepare_rebalance(step);
            }
            GroupState::PreparingRebalance => {
                step.counters.members_expired += u64::from(was_member);
                self.complete_join_if_all_joined(step);
            }
            _ => {}
        }
    }

    /// The id of a member, as answers carry it.
    pub(super) fn id_of(&self, number: MemberNumber) -> Arc<str> {
        self.members.get(number).map_or_else(|| Arc::from(""), |member| Arc::clone(&member.id))
    }
}

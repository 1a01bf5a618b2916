//! Rebalances: members are called together, a generation is formed, each is told so.
//!
//! 1. [`Group::prepare_rebalance`]: the group waits for its members to join. From `Empty` it waits for more to come
//!    (`group.initial.rebalance.delay.ms`, prolonged by each newcomer); otherwise until all joined, or for the longest
//!    rebalance timeout among them.
//! 2. [`Group::complete_join`]: who did not join is removed, except static members, whose process may be restarting;
//!    the rest is the next generation, with a leader that joined and a protocol that all support.
//! 3. Members ask for their assignment (`sync.rs`), or are removed after the rebalance timeout.
//!
//! A group whose members are all gone becomes `Empty`, which is written.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use ringmain_protocol::ErrorCode;

use super::member::Member;
use super::{Group, InitialDelay, MemberNumber};
use crate::deadlines::Timer;
use crate::step::Step;
use crate::writes::Purpose;
use crate::{GroupState, JoinAnswer, JoinedMember, records};

impl Group {
    /// Something changed that the members must agree upon.
    pub(super) fn rebalance(&mut self, step: &mut Step<'_>) {
        match self.state {
            GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable => {
                self.prepare_rebalance(step)
            }
            GroupState::PreparingRebalance => self.complete_join_if_all_joined(step),
            GroupState::Dead => {}
        }
    }

    /// Calls the members together.
    pub(super) fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == GroupState::CompletingRebalance {
            self.refuse_syncs(step, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.assignment_write = None;
        self.members.forgive_syncs();
        self.cancel_sync_deadline_if_paid(step);
        let is_first = self.state == GroupState::Empty;
        self.enter(GroupState::PreparingRebalance, step.now_ms);
        if is_first {
            let delay_ms = i64::from(step.settings.initial_rebalance_delay_ms);
            let remaining_ms = (self.members.rebalance_timeout_ms() - delay_ms).max(0);
            self.initial_delay = Some(InitialDelay { delay_ms, remaining_ms, newcomer: false });
            self.set_join_deadline(step, delay_ms);
        } else if self.members.all_joined() {
            self.complete_join(step);
        } else {
            self.set_join_deadline(step, self.members.rebalance_timeout_ms());
        }
    }

    /// Ends the wait early if nobody is missing; the first rebalance always waits for its time.
    pub(super) fn complete_join_if_all_joined(&mut self, step: &mut Step<'_>) {
        let may = self.state == GroupState::PreparingRebalance && self.initial_delay.is_none();
        if may && self.members.all_joined() {
            self.complete_join(step);
        }
    }

    /// The wait for members is over.
    pub(crate) fn on_join_deadline(&mut self, step: &mut Step<'_>) {
        match self.initial_delay {
            Some(InitialDelay { delay_ms, remaining_ms, newcomer: true }) if remaining_ms > 0 => {
                let next_ms = remaining_ms.min(i64::from(step.settings.initial_rebalance_delay_ms));
                self.initial_delay = Some(InitialDelay {
                    delay_ms: next_ms,
                    remaining_ms: (remaining_ms - delay_ms).max(0),
                    newcomer: false,
                });
                self.set_join_deadline(step, next_ms);
            }
            _ => self.complete_join(step),
        }
    }

    /// Somebody joined while the first rebalance waits.
    pub(super) fn prolong_initial_delay(&mut self) {
        if let Some(delay) = &mut self.initial_delay {
            delay.newcomer = true;
        }
    }

    fn complete_join(&mut self, step: &mut Step<'_>) {
        step.deadlines.cancel(Timer::Join(self.number), &mut self.join_deadline_ms);
        self.remove_absent(step);
        if self.members.is_empty() {
            self.become_empty(step);
        } else if self.elect_joined_leader() {
            self.form_generation(step);
        } else {
            // Only static members are left, and none came back yet: wait until one does or its session ends.
            self.set_join_deadline(step, self.members.rebalance_timeout_ms());
        }
    }

    /// Removes members that did not join. Static ones stay until their session ends.
    fn remove_absent(&mut self, step: &mut Step<'_>) {
        let is_absent = |member: &Member| !member.waits_for_join() && !member.is_static();
        let absent: Vec<MemberNumber> =
            self.members.iter().filter(|(_, member)| is_absent(member)).map(|(number, _)| number).collect();
        step.counters.members_expired += absent.len() as u64;
        for number in absent {
            self.remove_member(step, number);
        }
    }

    /// Sees to it that the leader is one that joined. Without any, `false`.
    fn elect_joined_leader(&mut self) -> bool {
        let joined =
            |number: MemberNumber| self.members.get(number).is_some_and(|member| member.waits_for_join());
        if !self.leader.is_some_and(joined) {
            let elected = self.members.iter().find(|(_, member)| member.waits_for_join());
            let Some((elected, _)) = elected else {
                return false;
            };
            self.leader = Some(elected);
        }
        true
    }

    fn next_generation(&mut self) {
        if !crate::planted::is("same-generation") {
            self.generation = self.generation.checked_add(1).unwrap_or(1);
        }
        self.initial_delay = None;
    }

    fn form_generation(&mut self, step: &mut Step<'_>) {
        self.next_generation();
        self.protocol_name = self.members.select_protocol();
        self.remember_subscriptions();
        self.enter(GroupState::CompletingRebalance, step.now_ms);
        step.counters.rebalances += 1;
        for number in self.members.numbers() {
            let request = self.members.take_join(number);
            self.members.begin_generation(number);
            self.renew_session(step, number);
            if let Some(request) = request {
                let answer = self.join_answer(number);
                step.answer_join(request, answer);
            }
        }
        let at_ms = step.after_ms(self.members.rebalance_timeout_ms());
        step.deadlines.schedule(Timer::Sync(self.number), &mut self.sync_deadline_ms, at_ms);
    }

    fn become_empty(&mut self, step: &mut Step<'_>) {
        self.next_generation();
        self.protocol_name = None;
        self.remember_subscriptions();
        self.enter(GroupState::Empty, step.now_ms);
        // If this write fails the log still has the generation before, whose members will have to fall silent again
        // after a restart: harmless, so nobody waits for it.
        let record = records::group(self, &BTreeMap::new());
        self.in_log = true;
        self.writes += 1;
        step.write(vec![record], Purpose::Emptied);
    }

    /// The present generation, for one of its members.
    pub(super) fn join_answer(&self, number: MemberNumber) -> JoinAnswer {
        JoinAnswer {
            error: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader_id().cloned().unwrap_or_else(|| Arc::from("")),
            skip_assignment: false,
            member_id: self.id_of(number),
            members: if self.is_leader(number) { self.joined_members() } else { Vec::new() },
        }
    }

    /// All members, for the leader.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = self.members.iter().map(|(_, member)| JoinedMember {
            member_id: Arc::clone(&member.id),
            instance_id: member.instance_id.clone(),
            metadata: member.wishes.metadata(protocol).cloned().unwrap_or_default(),
        });
        members.collect()
    }

    /// Members that never asked for their assignment are removed.
    pub(crate) fn on_sync_deadline(&mut self, step: &mut Step<'_>) {
        step.deadlines.cancel(Timer::Sync(self.number), &mut self.sync_deadline_ms);
        let owing = self.members.owing_sync();
        step.counters.members_expired += owing.len() as u64;
        for number in owing {
            self.remove_member(step, number);
        }
        self.prepare_rebalance(step);
    }

    /// The deadline for syncing stands while somebody owes its sync.
    pub(super) fn cancel_sync_deadline_if_paid(&mut self, step: &mut Step<'_>) {
        if self.members.owing_syncs() == 0 {
            step.deadlines.cancel(Timer::Sync(self.number), &mut self.sync_deadline_ms);
        }
    }

    fn set_join_deadline(&mut self, step: &mut Step<'_>, delay_ms: i64) {
        // Never at once: a group of absent static members without a rebalance timeout would keep the shard busy.
        let at_ms = step.after_ms(delay_ms.max(1));
        step.deadlines.schedule(Timer::Join(self.number), &mut self.join_deadline_ms, at_ms);
    }

    /// Answers everybody who waits for an assignment that will not come, and forgets earlier ones.
    pub(super) fn refuse_syncs(&mut self, step: &mut Step<'_>, error: ErrorCode) {
        for number in self.members.numbers() {
            self.members.assign(number, Bytes::new());
            if let Some(request) = self.members.take_sync(number) {
                step.refuse_sync(request, error);
                self.renew_session(step, number);
            }
        }
    }
}

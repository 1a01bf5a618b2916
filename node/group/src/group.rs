//! One group: its state, its generation, its members and its offsets.
//!
//! What must hold:
//! - `Empty` has no members; `CompletingRebalance` and `Stable` have some, a leader among them and a protocol that all
//!   support;
//! - only in `PreparingRebalance` is there a deadline for joining; a deadline for syncing only in
//!   `CompletingRebalance` and `Stable`, while some member owes its sync;
//! - a waiting join exists only in `PreparingRebalance`, or in `Stable` while a static member's new id is being
//!   written; a waiting sync only in `CompletingRebalance`.
//!
//! The rules for each request stand in files of their own, below `group/`.

mod commit;
mod delete;
mod description;
mod heartbeat;
mod join;
mod leave;
mod load;
mod member;
mod members;
mod offsets;
mod rebalance;
mod replace;
mod retention;
mod session;
mod subscription;
mod sync;
mod written;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

pub(crate) use member::{Client, Wishes};
pub(crate) use members::MemberNumber;
use members::Members;
use offsets::Offsets;
pub(crate) use offsets::TopicPartition;
use ringmain_protocol::ErrorCode;

use crate::{GroupState, WriteToken};

/// Names a group within its coordinator, for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupNumber(pub(crate) u64);

/// Bytes of a group beside its name, members and offsets.
const GROUP_OVERHEAD_BYTES: usize = 768;

/// How far the first rebalance of an empty group may still be prolonged.
#[derive(Debug, Clone, Copy)]
struct InitialDelay {
    delay_ms: i64,
    remaining_ms: i64,
    /// Somebody joined since the delay began.
    newcomer: bool,
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    number: GroupNumber,
    name: Arc<str>,
    state: GroupState,
    /// When it entered its state. `None` if an old record does not say.
    state_since_ms: Option<i64>,
    /// 0 before the first generation.
    generation: i32,
    /// `None` until a first member joined: then its offsets are those of a consumer without a group.
    protocol_type: Option<Arc<str>>,
    /// The protocol of the generation.
    protocol_name: Option<Arc<str>>,
    leader: Option<MemberNumber>,
    members: Members,
    /// Topics that members read as of this generation, if that is known.
    subscribed: Option<BTreeSet<Arc<str>>>,
    subscribed_bytes: usize,
    offsets: Offsets,
    /// Set from `Empty` to the end of the first rebalance.
    initial_delay: Option<InitialDelay>,
    /// The write of this generation's assignment, while it is under way.
    assignment_write: Option<WriteToken>,
    /// Writes under way that name this group: it is not forgotten before they are reported.
    writes: u32,
    /// The log may have a record of the group itself, which is to be deleted with it.
    in_log: bool,
    join_deadline_ms: Option<i64>,
    sync_deadline_ms: Option<i64>,
    retention_deadline_ms: Option<i64>,
}

impl Group {
    /// An empty group.
    pub(crate) fn new(number: GroupNumber, name: Arc<str>, now_ms: Option<i64>) -> Self {
        Self {
            number,
            name,
            state: GroupState::Empty,
            state_since_ms: now_ms,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: Members::default(),
            subscribed: None,
            subscribed_bytes: 0,
            offsets: Offsets::default(),
            initial_delay: None,
            assignment_write: None,
            writes: 0,
            in_log: false,
            join_deadline_ms: None,
            sync_deadline_ms: None,
            retention_deadline_ms: None,
        }
    }

    pub(crate) fn number(&self) -> GroupNumber {
        self.number
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    pub(crate) fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    pub(crate) fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    pub(crate) fn protocol_name(&self) -> Option<&Arc<str>> {
        self.protocol_name.as_ref()
    }

    pub(crate) fn leader_id(&self) -> Option<&Arc<str>> {
        self.members.get(self.leader?).map(|member| &member.id)
    }

    pub(crate) fn state_since_ms(&self) -> Option<i64> {
        self.state_since_ms
    }

    /// Bytes that the group holds in memory, roughly.
    pub(crate) fn held_bytes(&self) -> usize {
        GROUP_OVERHEAD_BYTES
            + self.name.len()
            + self.subscribed_bytes
            + self.members.held_bytes()
            + self.offsets.held_bytes()
    }

    /// Whether nothing would be lost if the group were forgotten: no members, no offsets, nothing in the log.
    pub(crate) fn is_unused(&self) -> bool {
        self.state == GroupState::Empty
            && !self.in_log
            && self.writes == 0
            && self.offsets.is_empty()
            && self.members.is_empty()
            && self.members.pending_len() == 0
    }

    /// Checks the member that a request names. The order matters: a static member that was replaced is told so.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<MemberNumber, ErrorCode> {
        if let Some(instance_id) = instance_id {
            let current = self.members.by_instance(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            let is_current = self.members.get(current).is_some_and(|member| *member.id == *member_id);
            if !is_current && !crate::planted::is("no-fencing") {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        self.members.by_id(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    fn is_leader(&self, member: MemberNumber) -> bool {
        self.leader == Some(member)
    }

    fn enter(&mut self, state: GroupState, now_ms: i64) {
        use GroupState::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};
        let allowed = match state {
            Empty => matches!(self.state, PreparingRebalance | Dead),
            PreparingRebalance => matches!(self.state, Empty | CompletingRebalance | Stable),
            CompletingRebalance => self.state == PreparingRebalance,
            Stable => self.state == CompletingRebalance,
            Dead => self.state == Empty,
        };
        assert!(allowed, "group {} cannot go from {:?} to {state:?}", self.name, self.state);
        // A deletion that failed leaves the group as it was, also for the retention of its offsets.
        if self.state != Dead && state != Dead {
            self.state_since_ms = Some(now_ms);
        }
        self.state = state;
    }
}

#[cfg(test)]
impl Group {
    /// Checks everything that must hold, and that the index has exactly the group's deadlines. Returns how many.
    pub(crate) fn assert_consistent(&self, deadlines: &crate::deadlines::Deadlines) -> usize {
        use crate::deadlines::Timer;
        self.members.assert_consistent();
        self.offsets.assert_consistent();
        let mut own: alloc::vec::Vec<(Timer, i64)> = alloc::vec::Vec::new();
        let mut note = |timer, slot: Option<i64>| own.extend(slot.map(|at_ms| (timer, at_ms)));
        note(Timer::Join(self.number), self.join_deadline_ms);
        note(Timer::Sync(self.number), self.sync_deadline_ms);
        note(Timer::Retention(self.number), self.retention_deadline_ms);
        for (member, at_ms) in self.members.deadlines() {
            note(Timer::Session(self.number, member), Some(at_ms));
        }
        for (timer, at_ms) in &own {
            assert!(deadlines.contains(*timer, *at_ms), "{timer:?} at {at_ms} is in the index");
        }
        let members = || self.members.iter().map(|(_, member)| member);
        for member in members() {
            let watched = member.session_deadline_ms.is_some();
            assert_eq!(watched, !member.waits() || member.is_new, "{} in {:?}", member.id, self.state);
            assert!(member.waiting_sync.is_none() || self.state == GroupState::CompletingRebalance);
        }
        let has_protocol =
            self.protocol_name.as_ref().is_some_and(|name| self.members.support([name].into_iter()));
        match self.state {
            GroupState::Empty => assert!(self.members.is_empty()),
            GroupState::Dead => assert!(self.members.is_empty() && self.members.pending_len() == 0),
            GroupState::PreparingRebalance => assert!(self.join_deadline_ms.is_some()),
            GroupState::CompletingRebalance => {
                assert!(has_protocol && self.leader_id().is_some());
                assert_eq!(self.members.waiting_joins(), 0);
            }
            GroupState::Stable => {
                assert!(has_protocol && self.leader_id().is_some());
                assert!(self.members.waiting_joins() == 0 || self.writes > 0);
            }
        }
        assert_eq!(self.join_deadline_ms.is_some(), self.state == GroupState::PreparingRebalance);
        let completing = matches!(self.state, GroupState::CompletingRebalance | GroupState::Stable);
        assert_eq!(self.sync_deadline_ms.is_some(), completing && self.members.owing_syncs() > 0);
        assert_eq!(self.leader.is_some(), !self.members.is_empty(), "members have a leader");
        own.len()
    }
}

//! All groups of one partition of the offsets topic.
//!
//! [`Coordinator::step`] finds the group that an event is about, checks what does not depend on the group, and lets the
//! group decide (`group/*.rs`). What must hold:
//! - a coordinator answers only between [`Coordinator::loaded`] and [`Event::Resign`];
//! - `held_bytes` is the sum over the groups; the index of deadlines has exactly the deadlines of the groups;
//! - a group exists while it has members, offsets, a record in the log or a write under way.

mod loading;
mod registry;

use alloc::vec;
use alloc::vec::Vec;

pub use loading::{LoadError, Loaded};
use registry::Registry;
use ringmain_protocol::ErrorCode;

use crate::deadlines::{Deadlines, Timer};
use crate::event::{CommitOffsets, Join, Leave};
use crate::group::{Group, GroupNumber};
use crate::records::TEXT_BYTES_MAX;
use crate::step::Step;
use crate::writes::{Deletion, Purpose, Writes};
use crate::{
    Answer, Census, CommitAnswer, CommittedOffset, DeleteOffsetsAnswer, Effect, Event, GroupDescription,
    GroupListing, GroupView, JoinAnswer, LeaveAnswer, LeftMember, RequestToken, Settings, SyncAnswer,
};

/// All groups of one partition of the offsets topic.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
    phase: Phase,
    counters: Counters,
    groups: Registry,
    /// What is in `groups`.
    census: Census,
    deadlines: Deadlines,
    writes: Writes,
    /// Of all groups; what writes under way hold is counted there.
    held_bytes: usize,
}

/// What a coordinator may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its log is being read.
    Loading,
    /// It answers.
    Active,
    /// Another node does, or none.
    Resigned,
}

/// What a coordinator did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Generations that were formed.
    pub rebalances: u64,
    /// Members removed because they were silent for their session timeout, or did not come back in time.
    pub members_expired: u64,
    /// Offsets that were committed.
    pub offsets_committed: u64,
    /// Offsets that expired.
    pub offsets_expired: u64,
    /// Groups that were deleted because they were empty and held no offsets.
    pub groups_expired: u64,
    /// Writes that failed.
    pub writes_failed: u64,
}

impl Coordinator {
    /// A coordinator without groups, which loads: it answers `COORDINATOR_LOAD_IN_PROGRESS` until
    /// [`Coordinator::loaded`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Loading,
            counters: Counters::default(),
            groups: Registry::default(),
            census: Census::default(),
            deadlines: Deadlines::default(),
            writes: Writes::default(),
            held_bytes: 0,
        }
    }

    /// Applies one event. Effects are appended in the order in which they must be executed.
    pub fn step(&mut self, now_ms: i64, event: Event<'_>, effects: &mut Vec<Effect>) {
        match (event, self.refusal()) {
            (Event::Configure(settings), _) => self.settings = settings,
            (Event::Resign, _) => self.resign(effects),
            (event, Some(error)) => refuse(event, error, effects),
            (event, None) => self.decide(now_ms, event, effects),
        }
    }

    /// When [`Event::TimePassed`] is due. Costs nothing to ask.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.deadlines.next_ms()
    }

    /// Why nothing may be read or asked now: it loads, or resigned.
    #[must_use]
    pub fn refusal(&self) -> Option<ErrorCode> {
        match self.phase {
            Phase::Loading => Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Phase::Active => None,
            Phase::Resigned => Some(ErrorCode::NOT_COORDINATOR),
        }
    }

    /// Every group, for ListGroups.
    pub fn groups(&self) -> impl Iterator<Item = GroupListing> {
        self.groups.iter().map(Group::listing)
    }

    /// How many groups and members there are. Costs nothing to ask.
    #[must_use]
    pub fn census(&self) -> Census {
        self.census
    }

    /// The next group by name, for walks that end between two groups and go on later.
    #[must_use]
    pub fn group_after(&self, name: Option<&str>) -> Option<GroupView<'_>> {
        self.groups.after(name).map(GroupView::new)
    }

    /// A group, for DescribeGroups. `None` if it does not exist: versions below 6 show it as `Dead`.
    #[must_use]
    pub fn describe(&self, group: &str) -> Option<GroupDescription> {
        self.groups.by_name(group).map(Group::describe)
    }

    /// What a group committed for a partition.
    #[must_use]
    pub fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.groups.by_name(group)?.offsets().get(topic, partition)
    }

    /// Everything that a group committed: topic, partition, offset; ordered by topic and partition.
    pub fn committed_offsets<'a>(
        &'a self,
        group: &str,
    ) -> impl Iterator<Item = (&'a str, i32, &'a CommittedOffset)> + use<'a> {
        let offsets = self.groups.by_name(group).into_iter().flat_map(|group| group.offsets().iter());
        offsets.map(|(topic, partition, offset)| (&**topic, partition, offset))
    }

    /// Bytes that are held for all groups, roughly: for the budget of the shard.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes + self.writes.held_bytes()
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn decide(&mut self, now_ms: i64, event: Event<'_>, effects: &mut Vec<Effect>) {
        match event {
            Event::Join { request, join } => match self.group_to_join(now_ms, &join, effects) {
                Ok(group) => {
                    self.turn(now_ms, group, effects, |group, step| group.join(step, request, &join))
                }
                Err(error) => refuse(Event::Join { request, join }, error, effects),
            },
            Event::Sync { request, sync } => match self.group_of_member(sync.group) {
                Ok(group) => {
                    self.turn(now_ms, group, effects, |group, step| group.sync(step, request, &sync))
                }
                Err(error) => refuse(Event::Sync { request, sync }, error, effects),
            },
            Event::Heartbeat { request, heartbeat } => match self.group_of_member(heartbeat.group) {
                Ok(group) => {
                    self.turn(now_ms, group, effects, |group, step| {
                        group.heartbeat(step, request, &heartbeat)
                    });
                }
                Err(error) => refuse(Event::Heartbeat { request, heartbeat }, error, effects),
            },
            Event::Leave { request, leave } => match self.group_of_member(leave.group) {
                Ok(group) => {
                    self.turn(now_ms, group, effects, |group, step| group.leave(step, request, &leave))
                }
                Err(error) => refuse_leave(request, &leave, error, effects),
            },
            Event::CommitOffsets { request, commit } => {
                match self.group_to_commit(now_ms, &commit, effects) {
                    Ok(group) => {
                        self.turn(now_ms, group, effects, |group, step| group.commit(step, request, &commit))
                    }
                    Err(error) => refuse(Event::CommitOffsets { request, commit }, error, effects),
                }
            }
            Event::DeleteGroup { request, group } => match self.groups.number(group) {
                Some(group) => self.turn(now_ms, group, effects, |group, step| group.delete(step, request)),
                None => refuse(Event::DeleteGroup { request, group }, ErrorCode::GROUP_ID_NOT_FOUND, effects),
            },
            Event::DeleteOffsets { request, group, topics } => match self.group_to_delete_offsets(group) {
                Ok(group) => self
                    .turn(now_ms, group, effects, |group, step| group.delete_offsets(step, request, topics)),
                Err(error) => refuse(Event::DeleteOffsets { request, group, topics }, error, effects),
            },
            Event::Written { write, result } => {
                if let Some((group, purpose)) = self.writes.take(write) {
                    self.turn(now_ms, group, effects, |group, step| {
                        group.on_written(step, write, purpose, result);
                    });
                }
            }
            Event::TopicsDeleted { topics } => {
                for group in self.groups.numbers() {
                    self.turn(now_ms, group, effects, |group, step| group.delete_topics(step, topics));
                }
            }
            Event::TimePassed => self.pass_time(now_ms, effects),
            Event::Configure(_) | Event::Resign => {}
        }
    }

    /// Lets a group decide, and keeps the accounts.
    fn turn(
        &mut self,
        now_ms: i64,
        number: GroupNumber,
        effects: &mut Vec<Effect>,
        rule: impl FnOnce(&mut Group, &mut Step<'_>),
    ) {
        let room_bytes = self.settings.held_bytes_max.saturating_sub(self.held_bytes());
        let group = self.groups.get_mut(number).expect("a group outlives its deadlines and its writes");
        let held_bytes_before = group.held_bytes();
        self.census.leave(group.state(), group.members().len() as u64);
        self.writes.of_group(number);
        let mut step = Step {
            now_ms,
            settings: &self.settings,
            deadlines: &mut self.deadlines,
            writes: &mut self.writes,
            counters: &mut self.counters,
            effects,
            room_bytes,
        };
        rule(group, &mut step);
        let is_unused = group.is_unused();
        if is_unused {
            group.cancel_retention_check(&mut step);
        }
        self.held_bytes = self.held_bytes - held_bytes_before + group.held_bytes();
        if is_unused {
            self.held_bytes -= group.held_bytes();
            self.groups.remove(number);
        } else {
            self.census.enter(group.state(), group.members().len() as u64);
        }
    }

    fn pass_time(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.deadlines.due(now_ms) {
            match timer {
                Timer::Session(group, member) => {
                    self.turn(now_ms, group, effects, |group, step| group.on_session_deadline(step, member));
                }
                Timer::Join(group) => self.turn(now_ms, group, effects, Group::on_join_deadline),
                Timer::Sync(group) => self.turn(now_ms, group, effects, Group::on_sync_deadline),
                Timer::Retention(group) => self.turn(now_ms, group, effects, Group::on_retention_deadline),
            }
        }
    }

    /// The group of a join; a newcomer may make it.
    fn group_to_join(
        &mut self,
        now_ms: i64,
        join: &Join<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<GroupNumber, ErrorCode> {
        check_group_id(join.group)?;
        let sessions_ms = self.settings.session_timeout_ms_min..=self.settings.session_timeout_ms_max;
        if !sessions_ms.contains(&join.session_timeout_ms) {
            return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        // What no group could agree to, also one that does not exist.
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let id_bytes = join.instance_id.unwrap_or(join.client_id).len() + "-".len() + join.uuid.len();
        let texts =
            [join.client_id, join.client_host, join.protocol_type, join.instance_id.unwrap_or_default()];
        let names = join.protocols.iter().map(|protocol| protocol.name);
        if id_bytes > TEXT_BYTES_MAX || texts.into_iter().chain(names).any(|text| text.len() > TEXT_BYTES_MAX)
        {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        match self.groups.number(join.group) {
            Some(number) => Ok(number),
            None if join.member_id.is_empty() => self.create(now_ms, join.group, effects),
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// The group of a request that only members make.
    fn group_of_member(&self, group: &str) -> Result<GroupNumber, ErrorCode> {
        check_group_id(group)?;
        self.groups.number(group).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    /// The group of a commit; a consumer without a generation may make it. For old clients even "" is a group.
    fn group_to_commit(
        &mut self,
        now_ms: i64,
        commit: &CommitOffsets<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<GroupNumber, ErrorCode> {
        if commit.group.len() > TEXT_BYTES_MAX {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        match self.groups.number(commit.group) {
            Some(number) => Ok(number),
            None if commit.generation < 0 => self.create(now_ms, commit.group, effects),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    fn group_to_delete_offsets(&self, group: &str) -> Result<GroupNumber, ErrorCode> {
        check_group_id(group)?;
        self.groups.number(group).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)
    }

    /// Makes a group. It is forgotten after the step that asked for it if nothing came of that.
    fn create(
        &mut self,
        now_ms: i64,
        name: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<GroupNumber, ErrorCode> {
        if self.groups.len() >= self.settings.groups_max || self.held_bytes() >= self.settings.held_bytes_max
        {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        let group = self.groups.create(name, Some(now_ms));
        self.held_bytes += group.held_bytes();
        self.census.enter(group.state(), 0);
        let number = group.number();
        let mut step = Step {
            now_ms,
            settings: &self.settings,
            deadlines: &mut self.deadlines,
            writes: &mut self.writes,
            counters: &mut self.counters,
            effects,
            room_bytes: 0,
        };
        group.schedule_retention_check(&mut step);
        Ok(number)
    }

    /// Answers everybody who waits; the groups are another coordinator's now.
    fn resign(&mut self, effects: &mut Vec<Effect>) {
        const ERROR: ErrorCode = ErrorCode::NOT_COORDINATOR;
        self.phase = Phase::Resigned;
        let mut answer = |request, answer| effects.push(Effect::Answer { request, answer });
        for (_, member) in self.groups.iter().flat_map(|group| group.members().iter()) {
            if let Some(request) = member.waiting_join() {
                answer(request, Answer::Join(JoinAnswer::refused(ERROR, &member.id)));
            }
            if let Some(request) = member.waiting_sync() {
                answer(request, Answer::Sync(SyncAnswer::refused(ERROR)));
            }
        }
        for purpose in self.writes.take_all() {
            match purpose {
                Purpose::Offsets { request, answer: partitions, .. } => {
                    let partitions = vec![ERROR; partitions.len()];
                    answer(request, Answer::CommitOffsets(CommitAnswer { partitions }));
                }
                Purpose::OffsetsDeleted { reason: Deletion::Requested { request, .. }, .. } => {
                    let partitions = Vec::new();
                    answer(request, Answer::DeleteOffsets(DeleteOffsetsAnswer { error: ERROR, partitions }));
                }
                Purpose::GroupDeleted { request: Some(request), .. } => {
                    answer(request, Answer::DeleteGroup(ERROR));
                }
                // A static member's join waits with its member.
                Purpose::Assignment { .. }
                | Purpose::Emptied
                | Purpose::Replaced(_)
                | Purpose::OffsetsDeleted { .. }
                | Purpose::GroupDeleted { request: None, .. } => {}
            }
        }
        self.groups = Registry::default();
        self.census = Census::default();
        self.deadlines = Deadlines::default();
        self.held_bytes = 0;
    }
}

#[cfg(test)]
impl Coordinator {
    /// Checks everything that must hold.
    pub(crate) fn assert_consistent(&self) {
        let held_bytes: usize = self.groups.iter().map(Group::held_bytes).sum();
        assert_eq!(self.held_bytes, held_bytes);
        let mut census = Census::default();
        self.groups.iter().for_each(|group| census.enter(group.state(), group.members().len() as u64));
        assert_eq!(self.census, census);
        if self.phase == Phase::Loading {
            return; // Sessions begin when it is done.
        }
        let deadlines: usize = self.groups.iter().map(|group| group.assert_consistent(&self.deadlines)).sum();
        assert_eq!(self.deadlines.len(), deadlines, "no deadline is left over");
        assert!(self.groups.iter().all(|group| !group.is_unused()));
    }
}

fn check_group_id(group: &str) -> Result<(), ErrorCode> {
    if group.is_empty() || group.len() > TEXT_BYTES_MAX { Err(ErrorCode::INVALID_GROUP_ID) } else { Ok(()) }
}

/// Answers a request with an error of the whole.
fn refuse(event: Event<'_>, error: ErrorCode, effects: &mut Vec<Effect>) {
    let (request, answer) = match event {
        Event::Join { request, join } => (request, Answer::Join(JoinAnswer::refused(error, join.member_id))),
        Event::Sync { request, .. } => (request, Answer::Sync(SyncAnswer::refused(error))),
        // While the log is read nobody can say who is a member: let everybody live.
        Event::Heartbeat { request, .. } if error == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
            (request, Answer::Heartbeat(ErrorCode::NONE))
        }
        Event::Heartbeat { request, .. } => (request, Answer::Heartbeat(error)),
        Event::Leave { request, .. } => (request, Answer::Leave(LeaveAnswer { error, members: Vec::new() })),
        Event::CommitOffsets { request, commit } => {
            (request, Answer::CommitOffsets(CommitAnswer::refused(error, &commit)))
        }
        Event::DeleteGroup { request, .. } => (request, Answer::DeleteGroup(error)),
        Event::DeleteOffsets { request, .. } => {
            (request, Answer::DeleteOffsets(DeleteOffsetsAnswer { error, partitions: Vec::new() }))
        }
        Event::Written { .. }
        | Event::TopicsDeleted { .. }
        | Event::TimePassed
        | Event::Configure(_)
        | Event::Resign => return,
    };
    effects.push(Effect::Answer { request, answer });
}

/// A group that does not exist has none of the members; any other error is one of the whole request.
fn refuse_leave(request: RequestToken, leave: &Leave<'_>, error: ErrorCode, effects: &mut Vec<Effect>) {
    let answer = if error == ErrorCode::UNKNOWN_MEMBER_ID {
        let members = leave.members.iter().map(|leaving| LeftMember::of(leaving, error)).collect();
        LeaveAnswer { error: ErrorCode::NONE, members }
    } else {
        LeaveAnswer { error, members: Vec::new() }
    };
    effects.push(Effect::Answer { request, answer: Answer::Leave(answer) });
}

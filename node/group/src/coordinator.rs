//! All groups of one partition of the offsets topic.

use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;

use crate::{
    Answer, CommitAnswer, CommittedOffset, DeleteOffsetsAnswer, Effect, Event, GroupDescription,
    GroupListing, JoinAnswer, LeaveAnswer, Settings, SyncAnswer,
};

/// All groups of one partition of the offsets topic.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
    phase: Phase,
    counters: Counters,
}

/// What a coordinator may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its log is being read.
    Loading,
    /// It answers.
    Active,
    /// Another node does.
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

/// What a record was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// A committed offset or a group, applied.
    Applied,
    /// Of a kind that belongs to groups of the newer protocols (KIP-848, shares, streams): left out. To be counted.
    Ignored,
}

/// A record that cannot be read. It is left out; the shell reports it with its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The key is not one of Kafka's.
    #[error("the key of a record of the offsets topic cannot be read")]
    Key,
    /// The value is not one of Kafka's.
    #[error("the value of a record of the offsets topic cannot be read")]
    Value,
}

impl Coordinator {
    /// A coordinator without groups, which loads: it answers `COORDINATOR_LOAD_IN_PROGRESS` until
    /// [`Coordinator::loaded`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, phase: Phase::Loading, counters: Counters::default() }
    }

    /// Applies one record of the log; records come in their order, before [`Coordinator::loaded`].
    pub fn load(&mut self, key: &[u8], _value: Option<&[u8]>) -> Result<Loaded, LoadError> {
        if key.is_empty() { Err(LoadError::Key) } else { Ok(Loaded::Ignored) }
    }

    /// The log was read to its end: groups go on as it says, with the sessions of their members begun anew.
    pub fn loaded(&mut self, _now_ms: i64, _effects: &mut Vec<Effect>) {
        self.phase = Phase::Active;
    }

    /// Applies one event. Effects are appended in the order in which they must be executed.
    pub fn step(&mut self, _now_ms: i64, event: Event<'_>, effects: &mut Vec<Effect>) {
        if let Event::Configure(settings) = event {
            self.settings = settings;
            return;
        }
        if matches!(event, Event::Resign) {
            self.phase = Phase::Resigned;
        }
        refuse(event, self.refusal().unwrap_or(ErrorCode::COORDINATOR_NOT_AVAILABLE), effects);
    }

    /// When [`Event::TimePassed`] is due. Costs nothing to ask.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<i64> {
        None
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
        core::iter::empty()
    }

    /// A group, for DescribeGroups. `None` if it does not exist: versions below 6 show it as `Dead`.
    #[must_use]
    pub fn describe(&self, _group: &str) -> Option<GroupDescription> {
        None
    }

    /// What a group committed for a partition.
    #[must_use]
    pub fn committed_offset(&self, _group: &str, _topic: &str, _partition: i32) -> Option<&CommittedOffset> {
        None
    }

    /// Everything that a group committed: topic, partition, offset; ordered by topic and partition.
    pub fn committed_offsets(&self, _group: &str) -> impl Iterator<Item = (&str, i32, &CommittedOffset)> {
        core::iter::empty()
    }

    /// Bytes that are held for all groups, roughly: for the budget of the shard.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        0
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

/// Answers a request with an error of the whole.
fn refuse(event: Event<'_>, error: ErrorCode, effects: &mut Vec<Effect>) {
    let (request, answer) = match event {
        Event::Join { request, join } => (request, Answer::Join(JoinAnswer::refused(error, join.member_id))),
        Event::Sync { request, .. } => (request, Answer::Sync(SyncAnswer::refused(error))),
        Event::Heartbeat { request, .. } => (request, Answer::Heartbeat(error)),
        Event::Leave { request, .. } => (request, Answer::Leave(LeaveAnswer { error, members: Vec::new() })),
        Event::CommitOffsets { request, commit } => {
            let partitions = commit.topics.iter().map(|topic| topic.partitions.len()).sum();
            (request, Answer::CommitOffsets(CommitAnswer { partitions: alloc::vec![error; partitions] }))
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

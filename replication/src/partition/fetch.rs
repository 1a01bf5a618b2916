//! A follower's fetch and the leader's answer, for one partition.
//!
//! An answer names the fetch that it answers, and the exact position: whatever comes late is recognised and left alone
//! (rule 2). Several streams keep no order among each other, and a peer may repeat itself.

use ringmain_storage::{LeaderEpoch, Offset};

use super::divergence::EpochEnd;
use super::progress::Persisted;
use crate::identity::{NodeEpoch, NodeId};

/// Names a fetch of one follower for one partition, for ever: no later process of that node uses it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId {
    /// The follower's registration.
    pub node_epoch: NodeEpoch,
    /// Counts its fetches.
    pub number: u64,
}

/// What a follower asks now; what it has persisted is told each time anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingFetch {
    /// Whom it asks.
    pub leader: NodeId,
    /// In whose leadership.
    pub leader_epoch: LeaderEpoch,
    /// Names the fetch. The same name twice: only `persisted` is news.
    pub fetch: FetchId,
    /// The end of the follower's log: it wants what follows.
    pub position: Offset,
    /// Leader epoch of the record before `position`; `None` when there is no such record.
    pub last_epoch: Option<LeaderEpoch>,
    /// How much of its log would survive.
    pub persisted: Persisted,
    /// Where its log starts.
    pub log_start: Offset,
    /// The high watermark that it knows.
    pub high_watermark: Offset,
}

/// A follower's fetch as its leader gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerFetch {
    /// Who asks; proven by its certificate.
    pub from: NodeId,
    /// In which leadership it believes.
    pub leader_epoch: LeaderEpoch,
    /// Names the fetch.
    pub fetch: FetchId,
    /// It wants what follows.
    pub position: Offset,
    /// Leader epoch of the record before `position`.
    pub last_epoch: Option<LeaderEpoch>,
    /// How much of its log would survive.
    pub persisted: Persisted,
    /// Where its log starts.
    pub log_start: Offset,
    /// The high watermark that it knows.
    pub high_watermark: Offset,
    /// What the leader's own log says of `last_epoch` ([`EpochEnd`]); `None` when it has no epoch as low, or was asked
    /// for none.
    pub own_end: Option<EpochEnd>,
}

/// What a leader answers to a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchOutcome {
    /// Records from the fetch's position on, as many as fit.
    Records,
    /// There is nothing new but perhaps the high watermark.
    Nothing,
    /// The follower's history is another one: it parts from the leader's at or before this.
    Diverged(EpochEnd),
    /// The position is outside of the leader's log: begin again with an empty log at its start.
    OutOfRange,
    /// Not to be answered.
    Refused(FetchRefusal),
}

/// Why a leader does not answer a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchRefusal {
    /// This node does not lead the partition, or its log failed.
    NotLeader,
    /// The follower believes in an older leadership.
    FencedLeaderEpoch,
    /// The follower knows a newer leadership than this node.
    UnknownLeaderEpoch,
    /// The metadata of this node knows no such replica, or a newer start of it.
    NotReplica,
}

/// An answer on its way: everything that must be sent beside the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnsweredFetch {
    /// Whose fetch.
    pub to: NodeId,
    /// In which leadership it is answered; with a refusal: in which it was asked.
    pub leader_epoch: LeaderEpoch,
    /// Which fetch.
    pub fetch: FetchId,
    /// Its position.
    pub position: Offset,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// Where the leader's log starts.
    pub log_start: Offset,
    /// The answer.
    pub outcome: FetchOutcome,
}

/// What a follower got, with what its own log says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// Records; the first batch begins at `base`.
    Records {
        /// Base offset of the first batch.
        base: Offset,
    },
    /// Nothing new.
    Nothing,
    /// Another history.
    Diverged {
        /// Where the leader's parts from it.
        leader: EpochEnd,
        /// What the follower's log says of the leader's epoch.
        own: Option<EpochEnd>,
    },
    /// Outside of the leader's log.
    OutOfRange,
    /// Refused.
    Refused(FetchRefusal),
}

/// A leader's answer as the follower gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchAnswer {
    /// In which leadership it was answered.
    pub leader_epoch: LeaderEpoch,
    /// The fetch that is answered.
    pub fetch: FetchId,
    /// Its position.
    pub position: Offset,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// Where the leader's log starts.
    pub log_start: Offset,
    /// The answer.
    pub outcome: Fetched,
}

//! What can happen to a partition.
//!
//! Events carry what the log knows of epochs (`own_end`, `own`), so that the machine keeps no copy of it.

use alloc::boxed::Box;

use ringmain_storage::{LeaderEpoch, Offset};

use super::assignment::Assignment;
use super::fetch::{FetchAnswer, FetchId, FollowerFetch};
use super::proposal::InSyncAnswer;

/// Names one produce request to one partition; the caller chooses it and gets it back in the effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestToken(pub u64);

/// Acknowledgement level of a produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// `acks=0`: the client expects no answer.
    None,
    /// `acks=1`: the leader has written it.
    Leader,
    /// `acks=all`: all in-sync replicas have it, as their [`CommitRule`] demands.
    All,
}

impl Acks {
    /// From the wire: -1, 0 or 1; anything else is the client's error.
    pub fn from_wire(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// What a replica must have done with a record before the record counts as committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitRule {
    /// Flushed to the device: survives power loss (the default).
    Flushed,
    /// Written by direct I/O: survives kill -9 (topic config `write.caching=true`).
    Written,
}

/// One thing that happened; the input of [`super::Partition::step`].
#[derive(Debug, Clone)]
pub enum Event {
    /// New metadata. May come late, twice and out of order.
    Assign(Box<Assignment>),
    /// This replica no longer leads nor follows.
    Resign,
    /// Topic configuration changed.
    Configure {
        /// When a record counts as committed.
        commit_rule: CommitRule,
        /// `min.insync.replicas`.
        min_in_sync_replicas: u32,
    },
    /// A client asks to append a batch.
    Produce {
        /// Names the request.
        request: RequestToken,
        /// Its acknowledgement level.
        acks: Acks,
    },
    /// The log took the batch of `request` (or had it already, for a duplicate of an idempotent producer).
    Appended {
        /// Names the request.
        request: RequestToken,
        /// Its acknowledgement level.
        acks: Acks,
        /// Offset after its last record.
        end: Offset,
        /// How long the client waits.
        timeout_ms: i32,
    },
    /// This replica's log wrote everything below `up_to` to the device.
    Written {
        /// Exclusive.
        up_to: Offset,
    },
    /// This replica's log flushed everything below `up_to`.
    Flushed {
        /// Exclusive.
        up_to: Offset,
    },
    /// The disk had no room for what waits; the log is healthy and tries again.
    WriteRefused,
    /// The log failed for good (write or flush error): this replica stops.
    LogFailed,
    /// A follower asks for records, or tells again what it has persisted.
    FollowerFetch(FollowerFetch),
    /// The leader answered a fetch of this follower.
    FetchAnswered(FetchAnswer),
    /// This follower's log took the records of an answer ([`super::Effect::AppendFetched`]).
    FetchedAppended {
        /// The fetch that was answered.
        fetch: FetchId,
        /// Offset behind the last record.
        end: Offset,
        /// Leader epoch of the last record.
        last_epoch: LeaderEpoch,
    },
    /// This follower could not use an answer (damaged, or no room): it asks again.
    FetchFailed {
        /// The fetch.
        fetch: FetchId,
    },
    /// [`super::Effect::TruncateLog`] or [`super::Effect::RestartLog`] is done, durably. Writes and flushes that began
    /// before it are told before it, or never.
    LogTruncated {
        /// First offset of the log now.
        start: Offset,
        /// Its end now: at most what was asked, less where that was inside of a batch.
        end: Offset,
        /// Leader epoch of its last record.
        last_epoch: Option<LeaderEpoch>,
    },
    /// Records before `to` are deleted from this log: by retention, by a client, or because the leader's are.
    LogStartAdvanced {
        /// The first offset now.
        to: Offset,
    },
    /// The controller answered a proposal.
    InSyncAnswered(InSyncAnswer),
    /// Time passed: answers requests whose time is up, repeats what was lost, notices who lags.
    Tick,
}

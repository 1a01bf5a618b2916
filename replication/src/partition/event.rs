//! What can happen to a partition.

use ringmain_storage::{LeaderEpoch, Offset};

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
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// The controller made this replica the leader.
    BecomeLeader {
        /// Counts leaderships of the partition; never goes back.
        leader_epoch: LeaderEpoch,
        /// Size of the in-sync set, the leader included.
        in_sync_replicas: u32,
    },
    /// This replica no longer leads.
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
    /// Time passed; answers requests whose time is up.
    Tick,
}

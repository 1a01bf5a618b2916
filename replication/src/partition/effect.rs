//! What a partition wants done.

use ringmain_storage::{LeaderEpoch, Offset};

use super::event::RequestToken;

/// Why a produce request was refused before anything was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProduceRefusal {
    /// This replica does not lead the partition.
    NotLeader,
    /// `acks=all` with fewer in-sync replicas than `min.insync.replicas`.
    NotEnoughReplicas,
    /// The log failed earlier; the replica is stopped.
    StorageFailed,
}

/// How an appended produce request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProduceOutcome {
    /// Persisted as far as its acknowledgement level asks.
    Done,
    /// Its time was up; it may or may not survive.
    TimedOut,
    /// The disk refused it.
    StorageFailed,
    /// Leadership moved before it was committed; the client retries elsewhere.
    NotLeader,
}

/// One thing to do; the output of [`super::Partition::step`], executed in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Append the batch of `request`, stamped with `leader_epoch`, then report `Event::Appended`.
    AppendToLog {
        /// Names the request.
        request: RequestToken,
        /// Goes into the batch header.
        leader_epoch: LeaderEpoch,
    },
    /// Refuse the request; nothing was appended.
    RefuseProduce {
        /// Names the request.
        request: RequestToken,
        /// Why.
        refusal: ProduceRefusal,
    },
    /// Answer an appended request.
    AnswerProduce {
        /// Names the request.
        request: RequestToken,
        /// How it ended.
        outcome: ProduceOutcome,
    },
    /// Consumers may read up to here (exclusive).
    HighWatermarkAdvanced {
        /// The new high watermark.
        to: Offset,
    },
}

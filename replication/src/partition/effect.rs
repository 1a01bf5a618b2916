//! What a partition wants done.

use ringmain_storage::{LeaderEpoch, Offset};

use super::event::RequestToken;
use super::fetch::{AnsweredFetch, FetchId};
use crate::identity::NodeId;

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
    /// Its time was up, with fewer in-sync replicas than `min.insync.replicas`; it may or may not survive.
    NotEnoughReplicasAfterAppend,
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
    /// This replica leads from now on.
    Leading {
        /// In this epoch.
        leader_epoch: LeaderEpoch,
    },
    /// This replica no longer leads.
    Resigned,
    /// Send what [`super::Partition::outgoing_fetch`] says when the message is put together. Where several of these wait for
    /// the same message, one is enough.
    SendFetch {
        /// To whom.
        leader: NodeId,
    },
    /// Answer a follower's fetch; with records, if that is the outcome, that the log has at the position. Drop it
    /// if this replica no longer leads in that epoch when the records are read.
    AnswerFetch(AnsweredFetch),
    /// Check the records of the answer to `fetch`, append them with the offsets and epochs that they have, and report
    /// `Event::FetchedAppended`; or `Event::FetchFailed`. Where the log cannot take them at once, keep the answer and
    /// let it enter again as `Event::FetchAnswered`: by then it may be too late for it.
    AppendFetched {
        /// Which answer.
        fetch: FetchId,
    },
    /// Cut the log's tail, durably, then report `Event::LogTruncated`.
    TruncateLog {
        /// The new end, or less.
        to: Offset,
        /// Records are cut that were once committed: an unclean election took place. To be told to the operator.
        loses_committed: bool,
    },
    /// Drop everything and begin at another offset, durably, then report `Event::LogTruncated`.
    RestartLog {
        /// The offset of the next record.
        at: Offset,
    },
    /// Delete records before `to`: the leader has deleted them, or one before it. Report `Event::LogStartAdvanced`.
    AdvanceLogStart {
        /// The new start.
        to: Offset,
    },
    /// Send the controller what [`super::Partition::proposal`] says.
    ProposeInSync,
}

//! What travels in the simulated network.

use super::log::Record;
use crate::{AnsweredFetch, Assignment, InSyncAnswer, InSyncProposal, NodeEpoch, NodeId, OutgoingFetch};

/// Who sends and receives: nodes, then the controller, then clients.
pub(super) type Address = usize;

/// A record that a client wants in a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProduceRequest {
    pub(super) client: usize,
    pub(super) sequence: usize,
    pub(super) attempt: u32,
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Produced {
    At(i64),
    /// It is in the log, and its offset is not known any more.
    Deleted,
    Refused,
}

/// A message.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Produce { partition: usize, request: ProduceRequest },
    Produced { request: ProduceRequest, outcome: Produced },
    Fetch { partition: usize, from: NodeId, fetch: OutgoingFetch },
    Fetched { partition: usize, answer: AnsweredFetch, records: Vec<Record> },
    Propose { partition: usize, from: NodeId, proposal: InSyncProposal },
    Proposed { partition: usize, answer: InSyncAnswer },
    Metadata { partition: usize, assignment: Box<Assignment> },
    Register { node: NodeId, process: u32, lost: bool },
    Registered { process: u32, node_epoch: NodeEpoch },
    Heartbeat { node: NodeId, node_epoch: NodeEpoch },
}

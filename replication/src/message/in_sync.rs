//! Leaders ask the controller for other in-sync sets, several partitions at once, and are answered.

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};
use ringmain_storage::LogKey;

use super::MessageError;
use super::codec::{self, LOG_KEY_BYTES, Take};
use crate::identity::{NodeEpoch, NodeId};
use crate::partition::{InSyncAnswer, InSyncMember, InSyncProposal};

/// Bytes of a member.
const MEMBER_BYTES: usize = 12;
/// Bytes of a proposal without members; it has one at least.
const PROPOSAL_BYTES: usize = LOG_KEY_BYTES + 4 + 4 + 4;
/// Bytes of an answer without nodes.
const ANSWER_BYTES: usize = LOG_KEY_BYTES + 1 + 4 + 4 + 4;
/// Bytes of a node.
const NODE_BYTES: usize = 4;

/// What the leaders of one node propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSyncProposals {
    /// The registration of the node that proposes: an older process has nothing to propose.
    pub node_epoch: NodeEpoch,
    /// By partition.
    pub proposals: Vec<PartitionProposal>,
}

/// What one leader proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProposal {
    /// Which partition.
    pub log: LogKey,
    /// What.
    pub proposal: InSyncProposal,
}

/// What the controller says to proposals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSyncAnswers {
    /// By partition.
    pub answers: Vec<PartitionInSyncAnswer>,
}

/// What the controller says to one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInSyncAnswer {
    /// Which partition.
    pub log: LogKey,
    /// What.
    pub answer: InSyncAnswer,
}

impl InSyncProposals {
    pub(super) fn encode(&self, body: &mut BytesMut) {
        codec::put_node_epoch(body, Some(self.node_epoch));
        codec::put_count(body, self.proposals.len());
        for PartitionProposal { log, proposal } in &self.proposals {
            codec::put_log(body, *log);
            body.put_i32(proposal.leader_epoch.value());
            body.put_i32(proposal.partition_epoch.0);
            codec::put_count(body, proposal.in_sync.len());
            for member in &proposal.in_sync {
                body.put_i32(member.node.0);
                codec::put_node_epoch(body, member.node_epoch);
            }
        }
    }

    pub(super) fn decode(take: &mut Take<'_>) -> Result<Self, MessageError> {
        let node_epoch = take.node_epoch()?;
        let count = take.count(PROPOSAL_BYTES + MEMBER_BYTES)?;
        let proposals = (0..count).map(|_| {
            let (log, leader_epoch, partition_epoch) =
                (take.log()?, take.leader_epoch()?, take.partition_epoch()?);
            let members = take.count(MEMBER_BYTES)?;
            let members = (0..members)
                .map(|_| Ok(InSyncMember { node: take.node()?, node_epoch: take.optional_node_epoch()? }));
            let in_sync = members.collect::<Result<Vec<InSyncMember>, MessageError>>()?;
            if in_sync.is_empty() {
                return Err(MessageError::Field("empty in-sync set"));
            }
            Ok(PartitionProposal { log, proposal: InSyncProposal { leader_epoch, partition_epoch, in_sync } })
        });
        Ok(Self { node_epoch, proposals: proposals.collect::<Result<_, MessageError>>()? })
    }
}

impl InSyncAnswers {
    pub(super) fn encode(&self, body: &mut BytesMut) {
        codec::put_count(body, self.answers.len());
        for PartitionInSyncAnswer { log, answer } in &self.answers {
            codec::put_log(body, *log);
            let (code, epochs, in_sync): (u8, _, &[NodeId]) = match answer {
                InSyncAnswer::Committed { leader_epoch, partition_epoch, in_sync } => {
                    (0, Some((leader_epoch, partition_epoch)), in_sync)
                }
                InSyncAnswer::Ineligible { leader_epoch, partition_epoch } => {
                    (1, Some((leader_epoch, partition_epoch)), &[])
                }
                InSyncAnswer::Stale => (2, None, &[]),
            };
            body.put_u8(code);
            body.put_i32(epochs.map_or(0, |(leader, _)| leader.value()));
            body.put_i32(epochs.map_or(0, |(_, partition)| partition.0));
            codec::put_count(body, in_sync.len());
            in_sync.iter().for_each(|node| body.put_i32(node.0));
        }
    }

    pub(super) fn decode(take: &mut Take<'_>) -> Result<Self, MessageError> {
        let count = take.count(ANSWER_BYTES)?;
        let answers = (0..count).map(|_| {
            let (log, code) = (take.log()?, take.u8()?);
            let (leader_epoch, partition_epoch) = (take.leader_epoch()?, take.partition_epoch()?);
            let nodes = take.count(NODE_BYTES)?;
            let in_sync = (0..nodes).map(|_| take.node()).collect::<Result<Vec<NodeId>, MessageError>>()?;
            let answer = match code {
                0 if !in_sync.is_empty() => {
                    InSyncAnswer::Committed { leader_epoch, partition_epoch, in_sync }
                }
                1 if in_sync.is_empty() => InSyncAnswer::Ineligible { leader_epoch, partition_epoch },
                2 if in_sync.is_empty() && leader_epoch.value() == 0 && partition_epoch.0 == 0 => {
                    InSyncAnswer::Stale
                }
                _ => return Err(MessageError::Field("answer")),
            };
            Ok(PartitionInSyncAnswer { log, answer })
        });
        Ok(Self { answers: answers.collect::<Result<_, MessageError>>()? })
    }
}

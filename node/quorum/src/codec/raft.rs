//! Votes, log ids, memberships, entries and the messages of Raft, as bytes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BufMut;
use openraft::raft::TransferLeaderError;
use openraft::vote::RaftLeaderId;
use ringmain_replication::NodeId;

use super::{Coded, DecodeError, Reader, put_boolean, put_count, put_text};
use crate::proposal::{PROPOSAL_RECORDS_MAX, Proposal};
use crate::raft::{
    AppendRequest, AppendResponse, Entry, LogId, Membership, Payload, SnapshotMeta, SnapshotResponse,
    StoredMembership, TransferRequest, TransferResponse, Vote, VoteRequest, VoteResponse,
};
use crate::replica_id::{Address, DirectoryId, ReplicaId};

/// Bytes of a replica id.
const REPLICA_ID_SIZE: usize = 20;
/// The smallest entry: log id and kind.
const ENTRY_SIZE_MIN: usize = 17;

impl Coded for ReplicaId {
    fn encode(&self, into: &mut Vec<u8>) {
        into.put_i32(self.node.0);
        into.put_u128(self.directory.0);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let node = NodeId(reader.i32("a node id")?);
        Ok(Self { node, directory: DirectoryId(reader.u128("a directory id")?) })
    }
}

impl Coded for Address {
    fn encode(&self, into: &mut Vec<u8>) {
        put_text(into, &self.host);
        into.put_u16(self.port);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { host: reader.text("a host")?, port: reader.u16("a port")? })
    }
}

impl Coded for LogId {
    fn encode(&self, into: &mut Vec<u8>) {
        into.put_u64(self.leader_id.term);
        into.put_u64(self.index);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let term = reader.u64("a term")?;
        Ok(LogId::new_term_index(term, reader.u64("an index")?))
    }
}

impl Coded for Vote {
    fn encode(&self, into: &mut Vec<u8>) {
        into.put_u64(self.leader_id.term);
        self.leader_id.voted_for.encode(into);
        put_boolean(into, self.committed);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let term = reader.u64("a term")?;
        let leader_id = RaftLeaderId::new(term, ReplicaId::decode(reader)?);
        Ok(Self { leader_id, committed: reader.boolean("a vote")? })
    }
}

impl Coded for Membership {
    fn encode(&self, into: &mut Vec<u8>) {
        put_count(into, self.get_joint_config().len());
        for voters in self.get_joint_config() {
            put_count(into, voters.len());
            voters.iter().for_each(|voter| voter.encode(into));
        }
        put_count(into, self.nodes().count());
        for (replica, address) in self.nodes() {
            replica.encode(into);
            address.encode(into);
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let configs = reader.count(4, "a number of voter sets")?;
        let mut voter_sets = Vec::new();
        for _ in 0..configs {
            let count = reader.count(REPLICA_ID_SIZE, "a number of voters")?;
            let voters = (0..count).map(|_| ReplicaId::decode(reader)).collect::<Result<BTreeSet<_>, _>>()?;
            voter_sets.push(voters);
        }
        let count = reader.count(REPLICA_ID_SIZE, "a number of members")?;
        let members = (0..count)
            .map(|_| Ok((ReplicaId::decode(reader)?, Address::decode(reader)?)))
            .collect::<Result<BTreeMap<_, _>, DecodeError>>()?;
        Membership::new(voter_sets, members)
            .map_err(|_| DecodeError::Impossible { what: "a membership", value: configs as u64 })
    }
}

impl Coded for StoredMembership {
    fn encode(&self, into: &mut Vec<u8>) {
        self.log_id().encode(into);
        self.membership().encode(into);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let log_id = Option::decode(reader)?;
        Ok(Self::new(log_id, Membership::decode(reader)?))
    }
}

impl Coded for SnapshotMeta {
    fn encode(&self, into: &mut Vec<u8>) {
        self.last_log_id.encode(into);
        self.last_membership.encode(into);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let last_log_id = Option::decode(reader)?;
        Ok(Self { last_log_id, last_membership: StoredMembership::decode(reader)? })
    }
}

impl Coded for Proposal {
    fn encode(&self, into: &mut Vec<u8>) {
        into.put_u64(self.proposal_id);
        put_count(into, self.records.len());
        for record in self.records.iter() {
            put_count(into, record.len());
            into.put_slice(record);
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let proposal_id = reader.u64("a proposal id")?;
        let count = reader.count(4, "a number of records")?;
        if count > PROPOSAL_RECORDS_MAX {
            return Err(DecodeError::Impossible { what: "a number of records", value: count as u64 });
        }
        let records = (0..count)
            .map(|_| {
                let length = reader.count(1, "the length of a record")?;
                reader.bytes(length, "a record")
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { proposal_id, records })
    }
}

impl Coded for Entry {
    fn encode(&self, into: &mut Vec<u8>) {
        self.log_id.encode(into);
        match &self.payload {
            Payload::Blank => into.put_u8(1),
            Payload::Normal(proposal) => {
                into.put_u8(2);
                proposal.encode(into);
            }
            Payload::Membership(membership) => {
                into.put_u8(3);
                membership.encode(into);
            }
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let log_id = LogId::decode(reader)?;
        let payload = match reader.u8("the kind of an entry")? {
            1 => Payload::Blank,
            2 => Payload::Normal(Proposal::decode(reader)?),
            3 => Payload::Membership(Membership::decode(reader)?),
            kind => {
                return Err(DecodeError::Impossible { what: "the kind of an entry", value: u64::from(kind) });
            }
        };
        Ok(Self { log_id, payload })
    }
}

impl Coded for AppendRequest {
    fn encode(&self, into: &mut Vec<u8>) {
        self.vote.encode(into);
        self.prev_log_id.encode(into);
        self.leader_commit.encode(into);
        put_count(into, self.entries.len());
        self.entries.iter().for_each(|entry| entry.encode(into));
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let vote = Vote::decode(reader)?;
        let prev_log_id = Option::decode(reader)?;
        let leader_commit = Option::decode(reader)?;
        let count = reader.count(ENTRY_SIZE_MIN, "a number of entries")?;
        let entries = (0..count).map(|_| Entry::decode(reader)).collect::<Result<_, _>>()?;
        Ok(Self { vote, prev_log_id, entries, leader_commit })
    }
}

impl Coded for AppendResponse {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Success => into.put_u8(1),
            Self::PartialSuccess(up_to) => {
                into.put_u8(2);
                up_to.encode(into);
            }
            Self::Conflict => into.put_u8(3),
            Self::HigherVote(vote) => {
                into.put_u8(4);
                vote.encode(into);
            }
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        match reader.u8("an answer to an append")? {
            1 => Ok(Self::Success),
            2 => Ok(Self::PartialSuccess(Option::decode(reader)?)),
            3 => Ok(Self::Conflict),
            4 => Ok(Self::HigherVote(Vote::decode(reader)?)),
            kind => Err(DecodeError::Impossible { what: "an answer to an append", value: u64::from(kind) }),
        }
    }
}

impl Coded for VoteRequest {
    fn encode(&self, into: &mut Vec<u8>) {
        self.vote.encode(into);
        self.last_log_id.encode(into);
        put_boolean(into, self.leadership_transfer);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let vote = Vote::decode(reader)?;
        let last_log_id = Option::decode(reader)?;
        let leadership_transfer = reader.boolean("whether leadership is handed over")?;
        Ok(Self { vote, last_log_id, leadership_transfer })
    }
}

impl Coded for VoteResponse {
    fn encode(&self, into: &mut Vec<u8>) {
        self.vote.encode(into);
        put_boolean(into, self.vote_granted);
        self.last_log_id.encode(into);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let vote = Vote::decode(reader)?;
        let vote_granted = reader.boolean("whether the vote is granted")?;
        Ok(Self { vote, vote_granted, last_log_id: Option::decode(reader)? })
    }
}

impl Coded for SnapshotResponse {
    fn encode(&self, into: &mut Vec<u8>) {
        self.vote.encode(into);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        Vote::decode(reader).map(Self::new)
    }
}

impl Coded for TransferRequest {
    fn encode(&self, into: &mut Vec<u8>) {
        self.from_leader().encode(into);
        self.to_node_id().encode(into);
        self.last_log_id().copied().encode(into);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let from = Vote::decode(reader)?;
        let to = ReplicaId::decode(reader)?;
        Ok(Self::new(from, to, Option::decode(reader)?))
    }
}

impl Coded for TransferResponse {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Ok(()) => into.put_u8(1),
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                into.put_u8(2);
                expected.encode(into);
                actual.encode(into);
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                into.put_u8(3);
                expected.encode(into);
                actual.encode(into);
            }
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        match reader.u8("an answer to a transfer")? {
            1 => Ok(Ok(())),
            2 => {
                let expected = Vote::decode(reader)?;
                Ok(Err(TransferLeaderError::VoteChanged { expected, actual: Vote::decode(reader)? }))
            }
            3 => {
                let expected = Option::decode(reader)?;
                Ok(Err(TransferLeaderError::LogNotFlushed { expected, actual: Option::decode(reader)? }))
            }
            kind => Err(DecodeError::Impossible { what: "an answer to a transfer", value: u64::from(kind) }),
        }
    }
}

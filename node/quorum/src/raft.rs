//! The types that openraft is used with. Terms follow the paper: at most one leader in a term, so that a term alone tells
//! two leaderships apart.

use openraft::impls::leader_id_std;
use openraft::type_config::alias;

use crate::proposal::Proposal;
use crate::replica_id::{Address, ReplicaId};

openraft::declare_raft_types!(
    /// See the head of the file.
    pub(crate) Types:
        D = Proposal,
        R = (),
        NodeId = ReplicaId,
        Node = Address,
        LeaderId = leader_id_std::LeaderId<u64, ReplicaId>,
);

pub(crate) type Raft = openraft::Raft<Types, crate::state_machine::Applier>;
pub(crate) type Vote = alias::VoteOf<Types>;
pub(crate) type LogId = alias::LogIdOf<Types>;
pub(crate) type Entry = alias::EntryOf<Types>;
pub(crate) type Payload = alias::PayloadOf<Types>;
pub(crate) type Membership = openraft::Membership<ReplicaId, Address>;
pub(crate) type StoredMembership = alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = alias::SnapshotMetaOf<Types>;
pub(crate) type Snapshot = alias::SnapshotOf<Types, bytes::Bytes>;
pub(crate) type AppendRequest = openraft::raft::AppendEntriesRequest<Types>;
pub(crate) type AppendResponse = openraft::raft::AppendEntriesResponse<Types>;
pub(crate) type VoteRequest = openraft::raft::VoteRequest<Types>;
pub(crate) type VoteResponse = openraft::raft::VoteResponse<Types>;
pub(crate) type SnapshotResponse = openraft::raft::SnapshotResponse<Types>;
pub(crate) type TransferRequest = openraft::raft::TransferLeaderRequest<Types>;
pub(crate) type TransferResponse = openraft::raft::TransferLeaderResponse<Types>;

//! What a member knows about the quorum, for operators and for Kafka's DescribeQuorum.

use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::{Instant, WatchReceiver};

use crate::raft::{Raft, StoredMembership};
use crate::replica_id::{Address, ReplicaId};

/// What this member is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Leader,
    /// It votes and follows.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows without a vote.
    Learner,
    /// Its quorum has stopped.
    Stopped,
}

/// A member, as this one knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who.
    pub replica: ReplicaId,
    /// Where it listens.
    pub address: Address,
    /// It counts for elections and commits.
    pub is_voter: bool,
    /// The last entry that it is known to have; only the leader knows.
    pub matched_index: Option<u64>,
    /// How long ago it last answered the leader; only the leader knows.
    pub answered_ago: Option<Duration>,
}

/// What a member knows about the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    /// This member.
    pub replica: ReplicaId,
    /// What it is at the moment.
    pub role: Role,
    /// The newest term that it knows.
    pub term: u64,
    /// That term's leader, once known.
    pub leader: Option<ReplicaId>,
    /// The last entry of its log.
    pub last_index: Option<u64>,
    /// The last entry that it knows to be committed.
    pub committed_index: Option<u64>,
    /// The last entry that it applied.
    pub applied_index: Option<u64>,
    /// The last entry of its snapshot.
    pub snapshot_index: Option<u64>,
    /// All members.
    pub members: Vec<MemberStatus>,
    /// Why its quorum has stopped, if it has by itself.
    pub failure: Option<String>,
}

/// Looks at the member.
pub(crate) fn of(raft: &Raft) -> QuorumStatus {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let failure = metrics.running_state.as_ref().err().map(ToString::to_string);
    let role = match metrics.state {
        _ if failure.is_some() => Role::Stopped,
        ServerState::Leader => Role::Leader,
        ServerState::Candidate => Role::Candidate,
        ServerState::Follower => Role::Follower,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Stopped,
    };
    let membership: &StoredMembership = &metrics.membership_config;
    let voters: Vec<_> = membership.voter_ids().collect();
    let members = membership
        .nodes()
        .map(|(replica, address)| {
            let matched = metrics.replication.as_ref().and_then(|all| all.get(replica).copied().flatten());
            let answered = metrics.heartbeat.as_ref().and_then(|all| all.get(replica).copied().flatten());
            let is_me_leading = role == Role::Leader && *replica == metrics.id;
            MemberStatus {
                replica: *replica,
                address: address.clone(),
                is_voter: voters.contains(replica),
                matched_index: if is_me_leading {
                    metrics.last_log_index
                } else {
                    matched.map(|id| id.index)
                },
                answered_ago: if is_me_leading {
                    Some(Duration::ZERO)
                } else {
                    answered.map(|at| at.elapsed())
                },
            }
        })
        .collect();
    QuorumStatus {
        replica: metrics.id,
        role,
        term: metrics.current_term,
        leader: metrics.current_leader,
        last_index: metrics.last_log_index,
        committed_index: metrics.local_committed.map(|id| id.index),
        applied_index: metrics.last_applied.map(|id| id.index),
        snapshot_index: metrics.snapshot.map(|id| id.index),
        members,
        failure,
    }
}

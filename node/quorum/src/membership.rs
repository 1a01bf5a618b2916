//! Who belongs to the quorum, and changes of it.
//!
//! A voter counts for elections and commits; a learner only receives the log. Changes of the voters pass through a joint
//! membership, so that the old and the new majority overlap, and are safe while records are committed. One change at a
//! time: each is decided against the membership that it replaces, or refused.

use std::collections::{BTreeMap, BTreeSet};

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Precondition};

use crate::raft::{Raft, StoredMembership, Types};
use crate::replica_id::{Address, ReplicaId};

/// Why a change of the members was not made.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// Another member leads, perhaps this one.
    #[error("another member leads the quorum")]
    NotLeader(Option<(ReplicaId, Address)>),
    /// It makes no sense against the members that there are.
    #[error("cannot change the members: {0}")]
    Refused(String),
    /// Whether it was made is not known; look at the members.
    #[error("whether the members were changed is not known: {0}")]
    Unknown(String),
}

/// Changes the members, one change at a time.
pub(crate) struct Members {
    raft: Raft,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Members {
    pub(crate) fn new(raft: Raft) -> Self {
        Self { raft, one_at_a_time: tokio::sync::Mutex::new(()) }
    }

    fn current(&self) -> std::sync::Arc<StoredMembership> {
        self.raft.metrics().borrow_watched().membership_config.clone()
    }

    /// Makes `replica` a member, without a vote if it is new, or gives it its new address. Learners that are the same node
    /// with a directory that is gone are dropped; a voter with such a directory stays until somebody replaces it.
    pub(crate) async fn admit(&self, replica: ReplicaId, address: Address) -> Result<(), MembershipError> {
        let _one = self.one_at_a_time.lock().await;
        let current = self.current();
        if current.get_node(&replica) == Some(&address) {
            return Ok(());
        }
        let gone: BTreeSet<_> = current
            .membership()
            .learner_ids()
            .filter(|learner| learner.node == replica.node && *learner != replica)
            .collect();
        let mut changes = vec![ChangeMembers::SetNodes(BTreeMap::from([(replica, address)]))];
        if !gone.is_empty() {
            changes.push(ChangeMembers::RemoveNodes(gone));
        }
        self.change(&current, ChangeMembers::Batch(changes)).await
    }

    /// Makes exactly these the voters. They must be members; voters that are not among them become learners.
    pub(crate) async fn set_voters(&self, voters: BTreeSet<ReplicaId>) -> Result<(), MembershipError> {
        let _one = self.one_at_a_time.lock().await;
        let current = self.current();
        if let Some(stranger) = voters.iter().find(|voter| current.get_node(voter).is_none()) {
            return Err(MembershipError::Refused(format!("{stranger} is no member")));
        }
        let nodes: BTreeSet<_> = voters.iter().map(|voter| voter.node).collect();
        if nodes.len() != voters.len() {
            let problem = "a node votes once, with one directory".to_owned();
            return Err(MembershipError::Refused(problem));
        }
        self.change(&current, ChangeMembers::ReplaceAllVoters(voters)).await
    }

    /// Drops members that have no vote.
    pub(crate) async fn remove(&self, replicas: BTreeSet<ReplicaId>) -> Result<(), MembershipError> {
        let _one = self.one_at_a_time.lock().await;
        let current = self.current();
        if let Some(voter) = current.voter_ids().find(|voter| replicas.contains(voter)) {
            return Err(MembershipError::Refused(format!("{voter} has a vote; take it first")));
        }
        self.change(&current, ChangeMembers::RemoveNodes(replicas)).await
    }

    async fn change(
        &self,
        current: &StoredMembership,
        changes: ChangeMembers<ReplicaId, Address>,
    ) -> Result<(), MembershipError> {
        let unchanged = Precondition::LastMembershipLogId { last_membership_log_id: *current.log_id() };
        let outcome = self.raft.change_membership_if(changes, true, [unchanged]).await;
        outcome.map(drop).map_err(membership_error)
    }
}

fn membership_error(error: RaftError<Types, ClientWriteError<Types>>) -> MembershipError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            MembershipError::NotLeader(forward.leader_id.zip(forward.leader_node))
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            MembershipError::Refused(error.to_string())
        }
        RaftError::APIError(ClientWriteError::PreconditionFailed(_)) => {
            MembershipError::Refused("they have changed meanwhile".to_owned())
        }
        error => MembershipError::Unknown(error.to_string()),
    }
}

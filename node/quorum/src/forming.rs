//! How a new member comes into a cluster: it forms one, or it joins one.
//!
//! A cluster is formed once, by the lowest of the configured voters, when **all** of them answer that they were never in
//! one and are configured alike. Their directories are written into the first membership; so every vote of the cluster's
//! life belongs to a directory. All must be there because one that is missing could remember a cluster: a lowest voter
//! whose disk was emptied finds that the others have a log or a vote, and never forms a second cluster beside theirs.
//!
//! Everybody else who is new asks the leader to be added, and becomes a learner. So does a voter whose disk was emptied;
//! it gets its vote back when an operator, or the controller, replaces the old directory by the new one among the voters.
//! A member that was removed is not new, and does not come back by itself. A member whose address has changed says so in
//! the same way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use ringmain_replication::NodeId;

use crate::codec::Coded;
use crate::network::{CallError, ControllerAnswer, JoinRequest, Peers, Probe, ProbeAnswer, RequestKind};
use crate::raft::Raft;
use crate::replica_id::{Address, ReplicaId};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// A node that takes longer to answer is asked again.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Attempts after which the log says what is being waited for.
const ATTEMPTS_QUIET: u32 = 25;

/// One member on its way into the cluster.
pub(crate) struct Forming {
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) address: Address,
    pub(crate) voters: BTreeMap<NodeId, Address>,
}

/// What an attempt came to.
enum Attempt {
    Done,
    Wait(String),
}

impl Forming {
    /// Ends when this node is a member with its address, or was one and is removed.
    pub(crate) async fn run(self) {
        let was_fresh = self.raft.is_initialized().await.is_ok_and(|initialized| !initialized);
        let mut attempts = 0_u32;
        loop {
            let attempt = match self.raft.is_initialized().await {
                Ok(false) if self.is_lowest() => self.form().await,
                Ok(_) => self.join(was_fresh).await,
                // The quorum has ended.
                Err(_) => return,
            };
            let Attempt::Wait(for_what) = attempt else { return };
            attempts += 1;
            if attempts.is_multiple_of(ATTEMPTS_QUIET) {
                tracing::info!("node {} is not in the quorum yet: {for_what}", self.peers.me().node);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_lowest(&self) -> bool {
        self.voters.keys().next() == Some(&self.peers.me().node)
    }

    async fn form(&self) -> Attempt {
        let me = self.peers.me();
        let mut members = BTreeMap::from([(me, self.address.clone())]);
        for (node, address) in self.voters.iter().filter(|(node, _)| **node != me.node) {
            let answer = match self.probe(*node, address).await {
                Ok(answer) => answer,
                Err(problem) => return Attempt::Wait(format!("node {node} does not answer: {problem}")),
            };
            if !answer.is_fresh {
                return self.join(true).await;
            }
            if !answer.agrees {
                return Attempt::Wait(format!("node {node} is configured for other voters"));
            }
            members.insert(answer.replica, address.clone());
        }
        match self.raft.initialize(members).await {
            Ok(()) => {
                tracing::info!("formed a quorum of nodes {:?}", self.voters.keys().collect::<Vec<_>>());
                Attempt::Done
            }
            Err(error) => Attempt::Wait(error.to_string()),
        }
    }

    async fn probe(&self, node: NodeId, address: &Address) -> Result<ProbeAnswer, String> {
        let probe = Probe { voters: self.voters.keys().copied().collect() };
        let to = ReplicaId::any_of(node);
        let answer = self.peers.call(to, address, RequestKind::Probe, probe.to_bytes(), CALL_TIMEOUT).await;
        let answer = ProbeAnswer::from_bytes(answer.map_err(|error| error.to_string())?);
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.replica.node == node { Ok(answer) } else { Err("it is another node".to_owned()) }
    }

    async fn join(&self, is_new: bool) -> Attempt {
        let me = self.peers.me();
        let known = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            metrics.membership_config.get_node(&me).cloned()
        };
        match known {
            Some(address) if address == self.address => return Attempt::Done,
            None if !is_new => {
                tracing::warn!(
                    "the log of node {} has no entry that makes this directory a member; if the node was taken out of the \
                     cluster, it can only come back with an empty data directory",
                    me.node
                );
                return Attempt::Done;
            }
            _ => {}
        }
        let join = JoinRequest { replica: me, address: self.address.clone() };
        let mut problem = "there is no other voter".to_owned();
        for (node, address) in self.voters.iter().filter(|(node, _)| **node != me.node) {
            match self.ask_to_join(ReplicaId::any_of(*node), address, &join).await {
                Ok(None) => return Attempt::Wait("the log has not arrived yet".to_owned()),
                Ok(Some((leader, address))) if leader != me => {
                    match self.ask_to_join(leader, &address, &join).await {
                        Ok(None) => return Attempt::Wait("the log has not arrived yet".to_owned()),
                        Ok(Some(_)) => problem = "the leader changes".to_owned(),
                        Err(error) => problem = error.to_string(),
                    }
                }
                Ok(Some(_)) => problem = "the leader changes".to_owned(),
                Err(error) => problem = error.to_string(),
            }
        }
        Attempt::Wait(problem)
    }

    /// `None` if it was done, else who leads.
    async fn ask_to_join(
        &self,
        to: ReplicaId,
        address: &Address,
        join: &JoinRequest,
    ) -> Result<Option<(ReplicaId, Address)>, CallError> {
        let answer = self.peers.call(to, address, RequestKind::Join, join.to_bytes(), CALL_TIMEOUT).await?;
        match ControllerAnswer::from_bytes(answer) {
            Ok(ControllerAnswer::Answer(_)) => Ok(None),
            Ok(ControllerAnswer::NotLeader(Some(leader))) => Ok(Some(leader)),
            Ok(ControllerAnswer::NotLeader(None)) => {
                Err(CallError::Unreachable(to, "it knows no leader".to_owned()))
            }
            Err(error) => Err(CallError::Lost(to, error.to_string())),
        }
    }
}

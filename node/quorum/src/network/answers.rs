//! What a request does here, after it was checked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringmain_replication::NodeId;
use tokio::sync::{mpsc, oneshot};

use super::frame::{
    CONTROLLER_BYTES_MAX, ControllerAnswer, JoinRequest, Probe, ProbeAnswer, Refusal, Request, RequestKind,
};
use super::snapshot_stream::{self, SnapshotHead};
use crate::codec::{Coded, DecodeError};
use crate::controller_request::ControllerRequest;
use crate::leadership::LeaderWatch;
use crate::membership::Members;
use crate::raft::{AppendRequest, Raft, Snapshot, TransferRequest, Vote, VoteRequest};
use crate::replica_id::ReplicaId;

/// A controller that takes longer has lost its client: its answer would come too late to be believed.
const CONTROLLER_TIMEOUT: Duration = Duration::from_secs(30);
/// A chunk of a snapshot that takes longer is given up.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);

/// Does what is asked.
pub(crate) struct Answers {
    pub(crate) me: ReplicaId,
    pub(crate) cluster_id: String,
    /// The voters that this node is configured to form a cluster of.
    pub(crate) voters: Vec<NodeId>,
    pub(crate) raft: Raft,
    pub(crate) leader: LeaderWatch,
    pub(crate) members: Arc<Members>,
    pub(crate) controller: mpsc::Sender<ControllerRequest>,
    /// Who sent entries or heartbeats last, and when.
    pub(crate) last_leader: LastLeader,
}

/// The last member that led this one, and when it was heard as such.
#[derive(Default)]
pub(crate) struct LastLeader(Mutex<Option<(NodeId, Instant)>>);

impl LastLeader {
    fn heard(&self, node: NodeId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((node, Instant::now()));
    }

    /// Who it was and how long ago; forgets it.
    pub(crate) fn take(&self) -> Option<(NodeId, Duration)> {
        let (node, at) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((node, at.elapsed()))
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

impl Answers {
    /// Answers a request that came from the node of this certificate.
    pub(super) async fn answer(
        &self,
        node: NodeId,
        request: Request,
        stream: &mut quinn::RecvStream,
    ) -> Result<Bytes, Refusal> {
        self.check(node, &request)?;
        let body = request.body;
        match request.kind {
            RequestKind::Append => {
                let append = AppendRequest::from_bytes(body)?;
                check_vote(&append.vote, request.from)?;
                self.last_leader.heard(node);
                encoded(self.raft.append_entries(append).await)
            }
            RequestKind::Vote => {
                let vote = VoteRequest::from_bytes(body)?;
                check_vote(&vote.vote, request.from)?;
                encoded(self.raft.vote(vote).await)
            }
            RequestKind::PreVote => {
                let vote = VoteRequest::from_bytes(body)?;
                check_vote(&vote.vote, request.from)?;
                encoded(self.raft.pre_vote(vote).await)
            }
            RequestKind::Snapshot => {
                let head = SnapshotHead::from_bytes(body)?;
                check_vote(&head.vote, request.from)?;
                let data =
                    snapshot_stream::receive(stream, head.length, CHUNK_TIMEOUT).await.map_err(failed)?;
                let snapshot = Snapshot { meta: head.meta, snapshot: data };
                encoded(self.raft.install_full_snapshot(head.vote, snapshot).await)
            }
            RequestKind::Transfer => {
                let transfer = TransferRequest::from_bytes(body)?;
                check_vote(transfer.from_leader(), request.from)?;
                encoded(self.raft.handle_transfer_leader(transfer).await)
            }
            RequestKind::Probe => {
                let probe = Probe::from_bytes(body)?;
                let is_fresh = !self.raft.is_initialized().await.map_err(failed)?;
                let agrees = probe.voters == self.voters;
                Ok(ProbeAnswer { replica: self.me, is_fresh, agrees }.to_bytes().into())
            }
            RequestKind::Join => {
                let join = JoinRequest::from_bytes(body)?;
                if join.replica != request.from {
                    return Err(Refusal::NotFromYou(join.replica.to_string()));
                }
                self.join(join).await
            }
            RequestKind::Ask => self.ask(request.from.node, body).await,
        }
    }

    fn check(&self, node: NodeId, request: &Request) -> Result<(), Refusal> {
        if request.cluster_id != self.cluster_id {
            return Err(Refusal::OtherCluster(request.cluster_id.clone()));
        }
        if request.from.node != node {
            return Err(Refusal::NotFromYou(format!("node {node} says that it is {}", request.from)));
        }
        let is_for_me = if request.kind.is_raft() {
            request.to == self.me
        } else {
            request.to == self.me || request.to == ReplicaId::any_of(self.me.node)
        };
        if is_for_me { Ok(()) } else { Err(Refusal::NotForMe(request.to.to_string())) }
    }

    async fn join(&self, join: JoinRequest) -> Result<Bytes, Refusal> {
        if self.leader.current().leadership.is_none() {
            return Ok(self.not_leader());
        }
        self.members.admit(join.replica, join.address).await.map_err(failed)?;
        Ok(ControllerAnswer::Answer(Bytes::new()).to_bytes().into())
    }

    /// Brings a request before the controller, if it is here.
    pub(crate) async fn ask(&self, from: NodeId, body: Bytes) -> Result<Bytes, Refusal> {
        if body.len() > CONTROLLER_BYTES_MAX {
            return Err(Refusal::Malformed(format!("{} bytes are too many", body.len())));
        }
        let Some(leadership) = self.leader.current().leadership else { return Ok(self.not_leader()) };
        let (answer, answered) = oneshot::channel();
        let request = ControllerRequest { from, leadership, body, answer };
        self.controller.try_send(request).map_err(|error| Refusal::Busy(error.to_string()))?;
        match tokio::time::timeout(CONTROLLER_TIMEOUT, answered).await {
            Ok(Ok(answer)) if answer.len() <= CONTROLLER_BYTES_MAX => {
                Ok(ControllerAnswer::Answer(answer).to_bytes().into())
            }
            Ok(Ok(answer)) => Err(failed(format!("the answer has {} bytes", answer.len()))),
            Ok(Err(_)) => Err(failed("the controller gave it up")),
            Err(_) => Err(failed("the controller takes too long")),
        }
    }

    fn not_leader(&self) -> Bytes {
        ControllerAnswer::NotLeader(self.leader.current().leader).to_bytes().into()
    }
}

/// A vote in a request is the vote of who sends it.
fn check_vote(vote: &Vote, from: ReplicaId) -> Result<(), Refusal> {
    if vote.leader_id.voted_for == from {
        Ok(())
    } else {
        Err(Refusal::NotFromYou(format!("{from} sends the vote of {}", vote.leader_id.voted_for)))
    }
}

fn encoded<T: Coded, E: std::fmt::Display>(response: Result<T, E>) -> Result<Bytes, Refusal> {
    response.map(|response| response.to_bytes().into()).map_err(failed)
}

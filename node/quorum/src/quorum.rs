//! A running member of the quorum.
//!
//! A start in steps: the store's thread; openraft with the store, the state machine and the clients of the network; the
//! listener; then the tasks that follow who leads, that take snapshots when the log has many bytes, and that form or join
//! the cluster. All of it are tasks of the current tokio runtime, one thread is enough. A stop hands the leadership over
//! first, so that the others need not wait for an election.
//!
//! What must hold: a proposal is answered `Ok` only after it is committed and applied here, and only if the leadership in
//! which it was decided still held when it entered the log.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::ProgressResponder;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::asking;
use crate::controller_request::{AskError, ControllerRequest, REQUESTS_WAITING_MAX};
use crate::forming::Forming;
use crate::heartbeat;
use crate::leadership::{self, CommittedLeader, LeaderWatch, Leadership};
use crate::membership::{Members, MembershipError};
use crate::network::{Answers, LastLeader, Listener, Peers, Port, RaftClients, Transport};
use crate::options::{OptionsError, QuorumOptions};
use crate::proposal::{PROPOSAL_BYTES_MAX, PROPOSAL_RECORDS_MAX, Proposal};
use crate::raft::Raft;
use crate::replica_id::{Address, ReplicaId};
use crate::state_machine::{Applier, StateMachine};
use crate::status::{self, QuorumStatus, Role};
use crate::store::{QuorumStore, StoreError};
use ringmain_replication::NodeId;

/// How long a stop waits for another leader, and then for the store's thread.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it looks.
const STOP_LOOK: Duration = Duration::from_millis(5);

/// A running member. Clones are handles of the same.
#[derive(Clone)]
pub struct Quorum {
    raft: Raft,
    peers: Arc<Peers>,
    answers: Arc<Answers>,
    members: Arc<Members>,
    leader: LeaderWatch,
    lease: Duration,
    port: Option<Port>,
    voters: Arc<[(ReplicaId, Address)]>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
    store_thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

/// Why a member cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its options.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Its socket.
    #[error("cannot listen for the quorum: {0}")]
    Listen(#[from] std::io::Error),
    /// What it remembers.
    #[error("cannot start the quorum: {0}")]
    Raft(String),
}

/// Why a proposal was not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The leadership is over; the records are not in the log and never will be.
    #[error("another member leads the quorum")]
    NotLeader(Option<(ReplicaId, Address)>),
    /// They are in the log, and whether they will be committed is not known.
    #[error("whether the records are committed is not known: {0}")]
    Unknown(String),
    /// They do not fit; nothing was done.
    #[error("{records} records of {size_bytes} bytes are too many for one proposal")]
    TooLarge {
        /// How many records.
        records: usize,
        /// How many bytes.
        size_bytes: usize,
    },
    /// This member has stopped.
    #[error("the quorum has stopped here: {0}")]
    Stopped(String),
}

/// A proposal that is committed, and applied here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the log.
    pub index: u64,
}

impl Quorum {
    /// Starts the member whose store this is; without a transport it must be the only one. What other nodes ask of the controller comes out of the second half, while
    /// this member leads.
    pub async fn start(
        options: QuorumOptions,
        store: QuorumStore,
        state_machine: Box<dyn StateMachine>,
        transport: Option<Transport>,
    ) -> Result<(Self, mpsc::Receiver<ControllerRequest>), StartError> {
        let config = options.config()?;
        let me = store.replica();
        let parts = store.start()?;
        let port = transport.map(Transport::open).transpose()?;
        let peers = Peers::new(port.clone(), options.cluster_id.clone(), me, options.voters.clone());
        let snapshot_wanted = Arc::new(Notify::new());
        let applier = Applier::new(
            state_machine,
            parts.snapshots,
            options.snapshot.bytes,
            Arc::clone(&snapshot_wanted),
        );
        let clients = RaftClients(Arc::clone(&peers));
        let raft = Raft::new(me, config, clients, parts.log, applier)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;

        let lease = options.timing.election_max;
        let (views, leader) = leadership::channel();
        let members = Arc::new(Members::new(raft.clone()));
        let (controller, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        let answers = Arc::new(Answers {
            me,
            cluster_id: options.cluster_id.clone(),
            voters: options.voters.keys().copied().collect(),
            raft: raft.clone(),
            leader: leader.clone(),
            members: Arc::clone(&members),
            controller,
            last_leader: LastLeader::default(),
        });
        let voters = options.voters.iter().map(|(node, at)| (ReplicaId::any_of(*node), at.clone())).collect();
        let forming = Forming {
            raft: raft.clone(),
            peers: Arc::clone(&peers),
            address: options.address,
            voters: options.voters,
        };
        let mut tasks = vec![
            tokio::spawn(leadership::follow(raft.clone(), views, lease, options.timing.heartbeat)),
            tokio::spawn(heartbeat::send(raft.clone(), options.timing.heartbeat)),
            tokio::spawn(take_snapshots(raft.clone(), snapshot_wanted)),
            tokio::spawn(forming.run()),
        ];
        if let Some(port) = port.clone() {
            tasks.push(tokio::spawn(Listener { port, answers: Arc::clone(&answers) }.run()));
        }
        let quorum = Self {
            raft,
            peers,
            answers,
            members,
            leader,
            lease,
            port,
            voters,
            tasks: Arc::new(Mutex::new(tasks)),
            store_thread: Arc::new(Mutex::new(Some(parts.thread))),
        };
        Ok((quorum, requests))
    }

    /// Who this member is.
    pub fn replica(&self) -> ReplicaId {
        self.peers.me()
    }

    /// Who leads; tells this member when it may decide.
    pub fn leader(&self) -> LeaderWatch {
        self.leader.clone()
    }

    /// The member that this one followed last, and how long ago it was heard from as the leader; forgets it. A new leader
    /// learns from it for how long its predecessor has been silent.
    pub fn take_last_leader(&self) -> Option<(NodeId, Duration)> {
        self.answers.last_leader.take()
    }

    /// What this member knows about the quorum.
    pub fn status(&self) -> QuorumStatus {
        status::of(&self.raft)
    }

    /// Appends records that were decided in `leadership`, and answers when they are committed and applied here. They land
    /// in the log only if that leadership still holds when they get there; openraft checks it where it appends.
    pub async fn propose(
        &self,
        leadership: Leadership,
        proposal: Proposal,
        timeout: Duration,
    ) -> Result<Committed, ProposeError> {
        let (records, size_bytes) = (proposal.records.len(), proposal.size_bytes());
        if records > PROPOSAL_RECORDS_MAX || size_bytes > PROPOSAL_BYTES_MAX {
            return Err(ProposeError::TooLarge { records, size_bytes });
        }
        let (responder, outcome) = ProgressResponder::complete_only();
        self.raft
            .write(proposal)
            .with_leader(CommittedLeader::new(leadership.term))
            .responder(responder)
            .await
            .map_err(|error| ProposeError::Stopped(error.to_string()))?;
        match tokio::time::timeout(timeout, outcome).await {
            Ok(Ok(Ok(response))) => Ok(Committed { index: response.log_id.index }),
            Ok(Ok(Err(ClientWriteError::ForwardToLeader(forward)))) => {
                Err(ProposeError::NotLeader(forward.leader_id.zip(forward.leader_node)))
            }
            Ok(Ok(Err(error))) => Err(ProposeError::Unknown(error.to_string())),
            Ok(Err(_)) => Err(ProposeError::Unknown("this member stopped meanwhile".to_owned())),
            Err(_) => Err(ProposeError::Unknown(format!("no majority answered within {timeout:?}"))),
        }
    }

    /// Waits until this member, if it leads, has applied all that was committed anywhere before this call. Returns the last
    /// applied index.
    pub async fn linearize(&self, timeout: Duration) -> Result<u64, ProposeError> {
        let read = tokio::time::timeout(timeout, self.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await;
        match read {
            Ok(Ok(read)) => Ok(read.index()),
            Ok(Err(RaftError::APIError(openraft::errors::LinearizableReadError::ForwardToLeader(
                forward,
            )))) => Err(ProposeError::NotLeader(forward.leader_id.zip(forward.leader_node))),
            Ok(Err(RaftError::APIError(error))) => Err(ProposeError::Unknown(error.to_string())),
            Ok(Err(RaftError::Fatal(error))) => Err(ProposeError::Stopped(error.to_string())),
            Err(_) => Err(ProposeError::Unknown(format!("no majority answered within {timeout:?}"))),
        }
    }

    /// Asks the controller, wherever it is, and tries again until `timeout` is over as long as it is certain that nothing
    /// was done.
    pub async fn ask_controller(&self, body: Bytes, timeout: Duration) -> Result<Bytes, AskError> {
        asking::ask(&self.peers, &self.answers, &self.leader, &self.voters, body, timeout).await
    }

    /// Makes exactly these the voters; they must be members. Only where the leader is.
    pub async fn set_voters(&self, voters: BTreeSet<ReplicaId>) -> Result<(), MembershipError> {
        self.members.set_voters(voters).await
    }

    /// Drops members that have no vote. Only where the leader is.
    pub async fn remove_members(&self, replicas: BTreeSet<ReplicaId>) -> Result<(), MembershipError> {
        self.members.remove(replicas).await
    }

    /// Hands the leadership to the voter that has most of the log. Returns whether another leads.
    pub async fn hand_over(&self) -> bool {
        let status = self.status();
        if status.role != Role::Leader {
            return true;
        }
        let others =
            status.members.iter().filter(|member| member.is_voter && member.replica != status.replica);
        let answering = others.filter(|member| member.answered_ago.is_some_and(|ago| ago < self.lease));
        let Some(best) = answering.max_by_key(|member| member.matched_index) else { return false };
        if self.raft.trigger().transfer_leader(best.replica).await.is_err() {
            return true;
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            let leader = self.status().leader;
            if leader.is_some_and(|leader| leader != status.replica) {
                return true;
            }
            tokio::time::sleep(STOP_LOOK).await;
        }
        false
    }

    /// Resolves, with the reason, when this member has stopped by itself: its store failed, or its state machine could not
    /// take what was committed. The node must not go on.
    pub async fn failed(&self) -> String {
        let mut metrics = self.raft.metrics();
        loop {
            if let Some(failure) = self.status().failure {
                return failure;
            }
            if metrics.changed().await.is_err() {
                return "it was stopped".to_owned();
            }
        }
    }

    /// Hands over the leadership, stops, and waits until the file is closed.
    pub async fn stop(self) {
        self.hand_over().await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!("the quorum did not stop in order: {error}");
        }
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        let thread = self.store_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(port) = &self.port {
            port.close().await;
        }
        drop(self);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            if Instant::now() > deadline {
                return tracing::warn!("the quorum's store is still in use");
            }
            tokio::time::sleep(STOP_LOOK).await;
        }
    }
}

impl std::fmt::Debug for Quorum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quorum").field("replica", &self.replica()).finish_non_exhaustive()
    }
}

/// openraft counts entries; records differ in size.
async fn take_snapshots(raft: Raft, wanted: Arc<Notify>) {
    loop {
        wanted.notified().await;
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

//! Requests to other members: a connection each, dialled when it is needed, and again when it is silent.
//!
//! A call in steps: the connection that is there, or one that is being dialled (by a task of its own, so that a caller who
//! gives up early does not undo the work of a handshake); who answered the dial is checked against the node that was meant;
//! a stream, the request, its answer. Failure: the error says whether the request may have been done.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select_ok;
use ringmain_replication::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Port;
use super::frame::{ANSWER_BYTES_MAX, Refusal, Request, RequestKind, StreamError, read_frame, write_frame};
use crate::codec::Coded;
use crate::replica_id::{Address, ReplicaId};

/// A dial that takes longer has failed; the next request dials again.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection on which requests wait and nothing arrives for so long is dialled anew: the peer has restarted, and its
/// new process does not know the old connection.
const SILENCE_MAX: Duration = Duration::from_millis(400);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// It was certainly not done: nobody was reached.
    #[error("cannot reach {0}: {1}")]
    Unreachable(ReplicaId, String),
    /// It was certainly not done: the peer said so.
    #[error("{0} refused the request: {1}")]
    Refused(ReplicaId, Refusal),
    /// It may have been done.
    #[error("no answer from {0}: {1}")]
    Lost(ReplicaId, String),
}

/// All other members, from here.
pub(crate) struct Peers {
    /// None where there is only one node.
    port: Option<Port>,
    cluster_id: String,
    me: ReplicaId,
    /// Where voters listen by the configuration. A cluster whose nodes all moved at once has other addresses in its log,
    /// and nobody who could record the new ones.
    configured: BTreeMap<NodeId, Address>,
    /// One for each node, and each of its addresses, that was ever called.
    peers: Mutex<HashMap<(NodeId, Address), Arc<Peer>>>,
}

/// One other node.
struct Peer {
    node: NodeId,
    address: Address,
    state: Mutex<PeerState>,
}

#[derive(Default)]
struct PeerState {
    connection: Option<quinn::Connection>,
    dialling: Option<watch::Receiver<Option<Result<quinn::Connection, String>>>>,
    /// When the oldest request without an answer began, and how many datagrams had arrived then.
    waiting_since: Option<(Instant, u64)>,
}

/// No holder panics between two changes that belong together.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peers {
    pub(crate) fn new(
        port: Option<Port>,
        cluster_id: String,
        me: ReplicaId,
        configured: BTreeMap<NodeId, Address>,
    ) -> Arc<Self> {
        Arc::new(Self { port, cluster_id, me, configured, peers: Mutex::new(HashMap::new()) })
    }

    pub(crate) fn me(&self) -> ReplicaId {
        self.me
    }

    /// Asks `to`, which listens at `address`, and waits for its answer until `timeout` is over.
    pub(crate) async fn call(
        self: &Arc<Self>,
        to: ReplicaId,
        address: &Address,
        kind: RequestKind,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let deadline = Instant::now() + timeout;
        let (mut send, mut receive, peer) = self.stream(to, address, deadline).await?;
        let request = self.request(to, kind, body);
        let answer = async {
            write_frame(&mut send, &request).await?;
            // A stream that the peer has given up already ends as an error of the read.
            let _ = send.finish();
            read_frame(&mut receive, ANSWER_BYTES_MAX).await
        };
        let answer = tokio::time::timeout_at(deadline, answer).await;
        peer.take_answer(to, answer.map_err(|_| "it takes too long".to_owned()))
    }

    /// A stream to `to`, for a caller that writes more than one frame.
    pub(super) async fn stream(
        self: &Arc<Self>,
        to: ReplicaId,
        address: &Address,
        deadline: Instant,
    ) -> Result<(quinn::SendStream, quinn::RecvStream, PeerAnswer), CallError> {
        let peer = self.peer(to.node, address);
        let open = async {
            let connection = self.connection(&peer).await?;
            connection.open_bi().await.map_err(|error| error.to_string())
        };
        match tokio::time::timeout_at(deadline, open).await {
            Ok(Ok((send, receive))) => Ok((send, receive, PeerAnswer(peer))),
            Ok(Err(problem)) => Err(CallError::Unreachable(to, problem)),
            Err(_) => Err(CallError::Unreachable(to, "it takes too long".to_owned())),
        }
    }

    pub(super) fn request(&self, to: ReplicaId, kind: RequestKind, body: Vec<u8>) -> Vec<u8> {
        let cluster_id = self.cluster_id.clone();
        Request { kind, cluster_id, from: self.me, to, body: body.into() }.to_bytes()
    }

    fn peer(&self, node: NodeId, address: &Address) -> Arc<Peer> {
        let mut peers = lock(&self.peers);
        let peer = peers
            .entry((node, address.clone()))
            .or_insert_with(|| Arc::new(Peer { node, address: address.clone(), state: Mutex::default() }));
        Arc::clone(peer)
    }

    async fn connection(self: &Arc<Self>, peer: &Arc<Peer>) -> Result<quinn::Connection, String> {
        let mut dialling = {
            let mut state = lock(&peer.state);
            if let Some(connection) = state.usable() {
                return Ok(connection);
            }
            match &state.dialling {
                Some(dialling) => dialling.clone(),
                None => {
                    let (result, dialling) = watch::channel(None);
                    state.dialling = Some(dialling.clone());
                    tokio::spawn(Arc::clone(self).dial(Arc::clone(peer), result));
                    dialling
                }
            }
        };
        let result =
            dialling.wait_for(Option::is_some).await.map_err(|_| "the dial was given up".to_owned())?;
        result.clone().unwrap_or_else(|| Err("the dial was given up".to_owned()))
    }

    async fn dial(
        self: Arc<Self>,
        peer: Arc<Peer>,
        result: watch::Sender<Option<Result<quinn::Connection, String>>>,
    ) {
        let dialled = match &self.port {
            None => Err("this node is alone".to_owned()),
            Some(port) => {
                let configured = self.configured.get(&peer.node).filter(|other| **other != peer.address);
                let addresses = std::iter::once(&peer.address).chain(configured);
                // Whichever has the right certificate is the node.
                let dials = select_ok(addresses.map(|address| Box::pin(port.dial(peer.node, address))));
                match tokio::time::timeout(DIAL_TIMEOUT, dials).await {
                    Ok(first) => first.map(|(connection, _)| connection),
                    Err(_) => Err(format!("nobody answers at {}", peer.address)),
                }
            }
        };
        {
            let mut state = lock(&peer.state);
            state.dialling = None;
            state.waiting_since = None;
            state.connection = dialled.as_ref().ok().cloned();
        }
        // Callers that wait see it; whether any still does is all the same.
        let _ = result.send(Some(dialled));
    }
}

impl PeerState {
    /// The connection, if it is open and not silent; notes that a request begins.
    fn usable(&mut self) -> Option<quinn::Connection> {
        let connection = self.connection.as_ref()?;
        let datagrams = connection.stats().udp_rx.datagrams;
        let now = Instant::now();
        match self.waiting_since {
            Some((since, heard)) if heard == datagrams && now > since + SILENCE_MAX => {
                connection.close(0_u32.into(), b"silent");
            }
            Some((_, heard)) if heard == datagrams => {}
            _ => self.waiting_since = Some((now, datagrams)),
        }
        if connection.close_reason().is_some() {
            self.connection = None;
            self.waiting_since = None;
            return None;
        }
        Some(connection.clone())
    }
}

/// Where the answer of a stream goes.
pub(super) struct PeerAnswer(Arc<Peer>);

impl PeerAnswer {
    /// Makes an answer of what was read, and notes that the peer is there.
    pub(super) fn take_answer(
        &self,
        to: ReplicaId,
        read: Result<Result<Bytes, StreamError>, String>,
    ) -> Result<Bytes, CallError> {
        let frame = match read {
            Ok(Ok(frame)) => frame,
            Ok(Err(error)) => return Err(CallError::Lost(to, error.to_string())),
            Err(problem) => return Err(CallError::Lost(to, problem)),
        };
        lock(&self.0.state).waiting_since = None;
        match <Result<Bytes, Refusal>>::from_bytes(frame) {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(refusal)) => Err(CallError::Refused(to, refusal)),
            Err(error) => Err(CallError::Lost(to, error.to_string())),
        }
    }
}

//! The connection to one shard of another node that leads partitions which this shard follows.
//!
//! What is to be said about partitions (`outbox.rs`) gathers while a request is being sent; it goes out together with the next
//! one. Answers come in any number and order, on the session of the requests or on another one that the leader opened for
//! whoever catches up.
//!
//! What must hold: of a partition nothing is lost with a connection: what was asked over it counts as failed and is asked
//! again. Frames that cannot be appended yet are bounded; while there are too many nothing more is read, and QUIC's flow
//! control tells the leader.

use std::{
    cell::{Cell, RefCell},
    net::{SocketAddr, ToSocketAddrs},
    pin::pin,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use ringmain_replication::{
    NodeId,
    message::{FetchAnswers, FetchRequest, Message},
    quic::{Connection, EndCode, Endpoint, FrameReceiver, FrameSender, Redial, SessionError},
};
use ringmain_storage::LogKey;

use super::{super::Shard, outbox::Outbox, signal::Signal};
use crate::{metadata, runtime};

/// Answers taken in before other tasks get their turn.
const ANSWERS_IN_A_TURN: usize = 256;
/// How long to wait for an image that says where the peer is.
const ADDRESS_PAUSE: Duration = Duration::from_millis(100);
/// Sessions that a leader opens for its answers: one for those who catch up.
const LEADER_SESSIONS_MAX: usize = 2;
/// How many answers of the largest size may wait for room in the log.
const HELD_ANSWERS_MAX: usize = 2;

/// A shard of another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PeerShard {
    pub(super) node: NodeId,
    pub(super) shard: usize,
}

/// A connection that is kept up while something is followed over it.
pub(super) struct Upstream {
    peer: PeerShard,
    outbox: RefCell<Outbox>,
    news: Signal,
    connection: RefCell<Option<Connection>>,
    /// Nothing is followed over it any more.
    ended: Cell<bool>,
}

/// Bytes of a session's frames with answers that wait for room.
#[derive(Default)]
struct HeldBytes {
    bytes: Cell<usize>,
    less: Signal,
}

/// Counts a frame as long as one of its answers is held.
pub(crate) struct HeldFrame {
    bytes: usize,
    held: Rc<HeldBytes>,
}

impl Drop for HeldFrame {
    fn drop(&mut self) {
        self.held.bytes.set(self.held.bytes.get() - self.bytes);
        self.held.less.set();
    }
}

impl Upstream {
    pub(super) fn new(peer: PeerShard) -> Rc<Self> {
        Rc::new(Self {
            peer,
            outbox: RefCell::default(),
            news: Signal::default(),
            connection: RefCell::default(),
            ended: Cell::new(false),
        })
    }

    /// Has a partition's fetch sent, as it is when the message is put together.
    pub(super) fn ask(&self, key: LogKey) {
        self.outbox.borrow_mut().ask(key);
        self.news.set();
    }

    /// Tells the leader that partitions do not follow it any more: those of `keys`, or of all.
    pub(super) fn forget_strangers(&self, shard: &Shard, keys: Option<&[LogKey]>) {
        let follows = |key: LogKey| {
            shard.partition(key).and_then(|partition| partition.leader()) == Some(self.peer.node)
        };
        let mut outbox = self.outbox.borrow_mut();
        let is_news = match keys {
            Some(keys) => keys.iter().filter(|key| !follows(**key) && outbox.forget(**key)).count() > 0,
            None => outbox.forget_strangers(follows),
        };
        if is_news {
            self.news.set();
        }
    }

    /// Closes the connection and ends its task.
    pub(super) fn end(&self) {
        self.ended.set(true);
        if let Some(connection) = self.connection.take() {
            connection.close(EndCode::NOT_NEEDED);
        }
        self.news.set();
    }

    /// Keeps the connection up until [`Upstream::end`].
    pub(super) async fn run(self: Rc<Self>, shard: Rc<Shard>, endpoint: Endpoint) {
        let mut redial: Option<(SocketAddr, Redial)> = None;
        let mut is_lost = false;
        while !self.ended.get() && !shard.is_stopping() {
            if !self.outbox.borrow().has_fetches() {
                self.news.wait().await;
                continue;
            }
            let Some(address) = self.address(&shard).await else {
                self.forget_strangers(&shard, None);
                runtime::sleep(ADDRESS_PAUSE).await;
                continue;
            };
            if redial.as_ref().is_none_or(|(dialled, _)| *dialled != address) {
                redial = Some((address, Redial::new(endpoint.clone(), self.peer.node, address)));
            }
            let (_, dialling) = redial.as_mut().expect("it was just set");
            let reason = match dialling.connection().await {
                Ok(connection) => {
                    tracing::info!(leader = self.peer.node.0, peer_shard = self.peer.shard, %address, "follow a node");
                    is_lost = false;
                    self.follow(&shard, connection).await.to_string()
                }
                Err(error) => error.to_string(),
            };
            if !is_lost && !self.ended.get() && !shard.is_stopping() {
                // Once for each loss, not for each attempt.
                is_lost = true;
                tracing::warn!(leader = self.peer.node.0, peer_shard = self.peer.shard, %address, reason, "no connection to a leader");
            }
            self.lose_asked(&shard);
        }
    }

    /// Where the newest metadata says that the peer's shard is.
    async fn address(&self, shard: &Shard) -> Option<SocketAddr> {
        let (host, port) = {
            let image = shard.image();
            let peer = image.nodes().get(&metadata::NodeId(self.peer.node.0))?.peer.as_ref()?;
            (peer.host.clone(), *peer.data_ports.get(self.peer.shard)?)
        };
        if let Ok(address) = host.parse() {
            return Some(SocketAddr::new(address, port));
        }
        let resolved = runtime::run_blocking(move || (host.as_str(), port).to_socket_addrs()).await;
        resolved.inspect_err(|error| tracing::warn!(%error, "resolve a leader's address")).ok()?.next()
    }

    /// Follows over one connection until it ends.
    async fn follow(self: &Rc<Self>, shard: &Rc<Shard>, connection: Connection) -> SessionError {
        *self.connection.borrow_mut() = Some(connection.clone());
        let session = match connection.open_session().await {
            Ok(session) => session,
            Err(gone) => return gone.into(),
        };
        runtime::spawn(self.clone().receive(shard.clone(), session.receiver, connection.clone()));
        runtime::spawn(self.clone().accept_sessions(shard.clone(), connection.clone()));
        let mut sender = session.sender;
        let failed = loop {
            // Also what was said before there was a connection.
            if let Err(error) = self.send_pending(shard, &mut sender).await {
                break error;
            }
            let closed = pin!(connection.closed());
            let news = pin!(self.news.wait());
            if let Either::Left((gone, _)) = select(closed, news).await {
                break gone.into();
            }
        };
        connection.close(EndCode::ABANDONED);
        self.connection.take();
        failed
    }

    async fn send_pending(&self, shard: &Shard, sender: &mut FrameSender) -> Result<(), SessionError> {
        while self.outbox.borrow().has_news() {
            let Some(request) = self.take_request(shard) else { continue };
            let frame = Message::FetchRequest(request).encode().expect("requests are far below the limits");
            sender.send(frame).await?;
        }
        Ok(())
    }

    /// What is to be said now; `None` when nothing of it is news any more.
    fn take_request(&self, shard: &Shard) -> Option<FetchRequest> {
        let fetch_of = |key| shard.partition(key).and_then(|partition| partition.outgoing_fetch());
        let registration = shard.registration(&shard.image());
        self.outbox.borrow_mut().take_request(self.peer.node, registration, fetch_of)
    }

    /// Takes the sessions that the leader opens for whoever catches up.
    async fn accept_sessions(self: Rc<Self>, shard: Rc<Shard>, connection: Connection) {
        for _ in 0..LEADER_SESSIONS_MAX {
            // The end of the connection is noticed and told by the task that sends.
            let Ok(session) = connection.accept_session().await else { return };
            runtime::spawn(self.clone().receive(shard.clone(), session.receiver, connection.clone()));
        }
    }

    async fn receive(self: Rc<Self>, shard: Rc<Shard>, mut receiver: FrameReceiver, connection: Connection) {
        let held = Rc::new(HeldBytes::default());
        loop {
            let frame = match receiver.receive().await {
                Ok(Some(frame)) => frame,
                Ok(None) | Err(_) => break,
            };
            match Message::decode(&frame) {
                Ok(Message::FetchAnswers(answers)) => take_answers(&shard, &held, &frame, answers).await,
                Ok(_) => {
                    tracing::error!(leader = self.peer.node.0, "a leader sent what only followers send");
                    break;
                }
                Err(error) => {
                    tracing::error!(leader = self.peer.node.0, %error, "a leader sent no answer");
                    break;
                }
            }
        }
        // A session ends with its connection only.
        connection.close(EndCode::ABANDONED);
    }

    /// What was asked over a connection that has ended is not answered any more.
    fn lose_asked(&self, shard: &Shard) {
        let asked = self.outbox.borrow_mut().lose();
        for key in asked {
            if let Some(partition) = shard.partition(key) {
                partition.lose_fetch(shard, self.peer.node);
            }
        }
    }
}

/// Hands the answers of a frame to their partitions, and waits while too many of the session cannot be appended.
async fn take_answers(shard: &Rc<Shard>, held: &Rc<HeldBytes>, frame: &Bytes, answers: FetchAnswers) {
    held.bytes.set(held.bytes.get() + frame.len());
    let frame = Rc::new(HeldFrame { bytes: frame.len(), held: held.clone() });
    let counters = shard.replication_counters();
    counters.answers_received.add(answers.answers.len() as u64);
    shard.clock().read();
    for (taken, answer) in (1..).zip(answers.answers) {
        counters.bytes_received.add(answer.records.iter().map(|it| it.len() as u64).sum());
        if let Some(partition) = shard.partition(answer.log) {
            partition.take_answer(shard, answers.node_epoch, answer, &frame);
        }
        if taken % ANSWERS_IN_A_TURN == 0 {
            runtime::yield_to_reactor().await;
            shard.clock().read();
        }
    }
    drop(frame);
    let bytes_max = HELD_ANSWERS_MAX * super::answer_bytes_max(shard);
    while held.bytes.get() > bytes_max {
        held.less.wait().await;
    }
}

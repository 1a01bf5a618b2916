//! The task that moves an endpoint's packets: from the socket into QUIC, from QUIC to the socket, and QUIC's timers.
//!
//! A turn receives what is there, lets each connection with something to do say it, and arms the next timer. Only this task
//! touches the socket; the tasks that read and write sessions change a connection's state and ring for it.
//!
//! What must hold:
//! - A turn is bounded in what it receives and sends; with more to do it goes on after the other tasks of the shard.
//! - A datagram that the kernel did not take is the next that it is offered.
//! - It sleeps only with a wait for the socket and for the earliest timer under way.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::{Future, poll_fn},
    mem,
    os::fd::AsFd,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use quinn_proto::{ConnectionHandle, DatagramEvent, Incoming, Transmit};
use ringmain_storage::disk::direct::{PollFuture, Ring, Timer, yield_turn};

use super::{
    clock::TransportClock,
    connection_state::{Change, ConnectionState, Unsent},
    counters::{EndpointCounters, PeerCounters},
    error::{EndCode, PeerGone},
    socket::{PeerSocket, ReceiveBuffers, Received},
};
use crate::NodeId;

/// Calls that receive in one turn, before others have theirs.
const RECEIVES_PER_TURN: usize = 4;

/// Calls that send for one connection in one turn: a mebibyte of large packets.
const SENDS_PER_TURN: usize = 16;

/// Handshakes under way beyond which a dialling side has to show first that it is where it says: forged senders cannot.
const HANDSHAKES_UNPROVEN_MAX: usize = 16;

/// Handshakes under way beyond which nobody else is answered. A cluster's nodes have fewer shards.
const HANDSHAKES_MAX: usize = 1024;

/// Established connections that nobody has accepted yet.
const ACCEPTED_MAX: usize = 256;

pub(super) type SharedConnection = Rc<RefCell<ConnectionState>>;

/// What the tasks of one endpoint share.
pub(super) struct EndpointState {
    pub(super) quic: quinn_proto::Endpoint,
    pub(super) connections: BTreeMap<usize, SharedConnection>,
    /// Established, dialled by others, and not taken yet.
    pub(super) accepted: Vec<(ConnectionHandle, SharedConnection)>,
    pub(super) acceptors: Vec<Waker>,
    pub(super) counters: EndpointCounters,
    /// What connections did that are gone, by the node at their other end.
    past: BTreeMap<NodeId, PeerCounters>,
    pub(super) stopping: bool,
    /// Nothing is moved any more.
    pub(super) stopped: bool,
    /// The port is free.
    pub(super) ended: bool,
    pub(super) driver: Option<Waker>,
    pub(super) clock: TransportClock,
    handshakes: usize,
}

impl EndpointState {
    pub(super) fn new(quic: quinn_proto::Endpoint) -> Self {
        Self {
            quic,
            connections: BTreeMap::new(),
            accepted: Vec::new(),
            acceptors: Vec::new(),
            counters: EndpointCounters::default(),
            past: BTreeMap::new(),
            stopping: false,
            stopped: false,
            ended: false,
            driver: None,
            clock: TransportClock::default(),
            handshakes: 0,
        }
    }

    /// Takes a connection whose handshake begins.
    pub(super) fn insert(
        &mut self,
        handle: ConnectionHandle,
        quic: quinn_proto::Connection,
    ) -> SharedConnection {
        let connection = Rc::new(RefCell::new(ConnectionState::new(quic)));
        let before = self.connections.insert(handle.0, connection.clone());
        assert!(before.is_none(), "QUIC gives a number again only after its connection was drained");
        self.handshakes += 1;
        connection
    }

    /// Forgets a connection of which nothing more is to be heard; what it did stays counted.
    fn forget(&mut self, handle: ConnectionHandle, connection: &ConnectionState) {
        self.connections.remove(&handle.0);
        if let Some(peer) = connection.peer() {
            self.past.entry(peer).or_default().add_ended(&connection.counters());
        }
    }

    /// What was done with each node so far.
    pub(super) fn peers(&self) -> BTreeMap<NodeId, PeerCounters> {
        let mut peers = self.past.clone();
        for connection in self.connections.values() {
            let connection = connection.borrow();
            let Some(peer) = connection.peer() else { continue };
            let peer = peers.entry(peer).or_default();
            match connection.is_gone() {
                true => peer.add_ended(&connection.counters()),
                false => peer.add_open(&connection.counters()),
            }
        }
        peers
    }

    /// Has the driver look at the connections that say so.
    pub(super) fn ring(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    pub(super) fn wake_acceptors(&mut self) {
        self.acceptors.drain(..).for_each(Waker::wake);
    }

    fn count(&mut self, handle: ConnectionHandle, connection: &SharedConnection, change: Change) {
        match change {
            Change::None => return,
            Change::Established => {
                self.counters.connections_established += 1;
                self.offer(handle, connection);
            }
            Change::Ended => {
                self.counters.connections_ended += 1;
                if connection.borrow().gone() == Some(&PeerGone::Silent) {
                    self.counters.peers_silent += 1;
                }
            }
            Change::Refused => self.counters.connections_refused += 1,
        }
        if change != Change::Ended {
            self.handshakes -= 1;
        }
    }

    /// Hands an established connection to whoever accepts.
    fn offer(&mut self, handle: ConnectionHandle, connection: &SharedConnection) {
        if connection.borrow().quic.side().is_client() {
            return;
        }
        if self.accepted.len() < ACCEPTED_MAX && !self.stopping {
            self.accepted.push((handle, connection.clone()));
            self.wake_acceptors();
            return;
        }
        self.close(handle, connection, if self.stopping { EndCode::STOPPING } else { EndCode::BUSY });
    }

    /// Ends a connection, and tells the peer why. One that has ended stays as it is.
    pub(super) fn close(&mut self, handle: ConnectionHandle, connection: &SharedConnection, code: EndCode) {
        let now = self.clock.now();
        let change = {
            let state = &mut *connection.borrow_mut();
            if state.is_gone() {
                return;
            }
            state.quic.close(now, code.wire(), Bytes::new());
            state.needs_drive = true;
            state.end(PeerGone::ClosedHere)
        };
        self.count(handle, connection, change);
        self.ring();
    }
}

/// Moves an endpoint's packets until it has stopped.
pub(super) async fn drive(state: Rc<RefCell<EndpointState>>, socket: Rc<PeerSocket>, ring: Ring) {
    let mut driver = Driver {
        socket: &socket,
        ring,
        buffers: ReceiveBuffers::new(),
        outgoing: Vec::new(),
        response: Vec::new(),
        readable: None,
        writable: None,
        may_receive: true,
        driven: Vec::new(),
        timer: None,
    };
    poll_fn(|context| driver.turn(&mut state.borrow_mut(), context)).await;
    drop(driver);
    drop(socket);
    // The kernel holds the port until it has taken back the waits for the socket: one turn submits that, one more does it.
    yield_turn().await;
    yield_turn().await;
    let state = &mut *state.borrow_mut();
    state.ended = true;
    state.wake_acceptors();
}

/// How much of what a connection had was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    /// Others come first now.
    InPart,
    /// The kernel takes no more for now.
    Blocked,
}

struct Driver<'socket> {
    socket: &'socket PeerSocket,
    ring: Ring,
    buffers: ReceiveBuffers,
    /// Reused by each send.
    outgoing: Vec<u8>,
    /// Reused by each answer of the endpoint itself.
    response: Vec<u8>,
    readable: Option<PollFuture<'socket>>,
    /// Under way while a connection has a datagram that the kernel did not take.
    writable: Option<PollFuture<'socket>>,
    may_receive: bool,
    /// Reused by each turn.
    driven: Vec<(usize, SharedConnection)>,
    /// With its deadline in QUIC's time.
    timer: Option<(Instant, Timer)>,
}

impl Driver<'_> {
    fn turn(&mut self, state: &mut EndpointState, context: &mut Context<'_>) -> Poll<()> {
        if state.stopped {
            return Poll::Ready(());
        }
        let real = Instant::now();
        let deadline = self.timer.as_ref().map(|(deadline, _)| *deadline);
        state.counters.stalls += u64::from(state.clock.turn_begins(deadline, real));
        let now = state.clock.at(real);
        let mut more = self.receive(state, now, context);
        if let Some(writable) = &mut self.writable
            && Pin::new(writable).poll(context).is_ready()
        {
            self.writable = None;
        }
        let mut next_timeout = None;
        let mut driven = mem::take(&mut self.driven);
        driven.extend(state.connections.iter().map(|(number, connection)| (*number, connection.clone())));
        for (number, connection) in driven.drain(..) {
            let handle = ConnectionHandle(number);
            more |= self.drive_connection(state, handle, &connection, now);
            let connection = &mut *connection.borrow_mut();
            if connection.quic.is_drained() {
                state.forget(handle, connection);
                continue;
            }
            let timeout = connection.quic.poll_timeout();
            next_timeout = next_timeout.into_iter().chain(timeout).min();
        }
        self.driven = driven;
        if state.stopping && state.connections.is_empty() {
            state.stopped = true;
            return Poll::Ready(());
        }
        more |= self.arm(&state.clock, next_timeout, context);
        more |= self.wait_for_socket(context);
        if more {
            context.waker().wake_by_ref();
        } else {
            state.driver = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Takes what has arrived. Returns whether there may be more.
    fn receive(&mut self, state: &mut EndpointState, now: Instant, context: &mut Context<'_>) -> bool {
        if let Some(readable) = &mut self.readable {
            if Pin::new(readable).poll(context).is_pending() {
                return false;
            }
            self.readable = None;
            self.may_receive = true;
        }
        let mut calls = 0;
        while self.may_receive && calls < RECEIVES_PER_TURN {
            calls += 1;
            let filled = match self.socket.try_receive(&mut self.buffers) {
                Ok(Some(filled)) => filled,
                Ok(None) => 0,
                // Something that one datagram met on its way (ICMP); the socket goes on.
                Err(_) => 0,
            };
            state.counters.receive_calls += u64::from(filled > 0);
            self.may_receive = ReceiveBuffers::is_full(filled);
            for received in self.buffers.received(filled) {
                for datagram in received.bytes.chunks(received.stride) {
                    Self::handle(self.socket, &mut self.response, state, &received, datagram, now);
                }
            }
        }
        self.may_receive
    }

    fn handle(
        socket: &PeerSocket,
        response: &mut Vec<u8>,
        state: &mut EndpointState,
        received: &Received<'_>,
        datagram: &[u8],
        now: Instant,
    ) {
        state.counters.datagrams_received += 1;
        state.counters.bytes_received += datagram.len() as u64;
        response.clear();
        let bytes = BytesMut::from(datagram);
        let (from, to, congestion) = (received.from, received.to, received.congestion);
        match state.quic.handle(now, from, to, congestion, bytes, response) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(connection) = state.connections.get(&handle.0) {
                    let connection = &mut *connection.borrow_mut();
                    connection.quic.handle_event(event);
                    connection.needs_drive = true;
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                Self::answer_dialling(socket, response, state, incoming, now);
            }
            Some(DatagramEvent::Response(transmit)) => Self::respond(socket, state, &transmit, response),
            None => state.counters.datagrams_ignored += 1,
        }
    }

    /// Begins a handshake, unless too many are under way. No answer is larger than what it answers to.
    fn answer_dialling(
        socket: &PeerSocket,
        response: &mut Vec<u8>,
        state: &mut EndpointState,
        incoming: Incoming,
        now: Instant,
    ) {
        if state.stopping || state.handshakes >= HANDSHAKES_MAX {
            state.counters.connections_refused += 1;
            state.quic.ignore(incoming);
            return;
        }
        if state.handshakes >= HANDSHAKES_UNPROVEN_MAX && incoming.may_retry() {
            if let Ok(transmit) = state.quic.retry(incoming, response) {
                Self::respond(socket, state, &transmit, response);
            }
            return;
        }
        match state.quic.accept(incoming, now, response, None) {
            Ok((handle, quic)) => {
                state.insert(handle, quic);
            }
            Err(refused) => {
                state.counters.connections_refused += 1;
                if let Some(transmit) = refused.response {
                    Self::respond(socket, state, &transmit, response);
                }
            }
        }
    }

    /// Sends what no connection stands behind. If the kernel does not take it, it is lost: nobody depends on it.
    fn respond(socket: &PeerSocket, state: &mut EndpointState, transmit: &Transmit, bytes: &[u8]) {
        if Self::send(socket, state, transmit, bytes) {
            state.counters.datagrams_sent += 1;
        }
    }

    /// `false`: the kernel takes no more.
    fn send(socket: &PeerSocket, state: &mut EndpointState, transmit: &Transmit, bytes: &[u8]) -> bool {
        match socket.try_send(transmit, bytes) {
            Ok(true) => {
                state.counters.send_calls += 1;
                state.counters.bytes_sent += transmit.size as u64;
                true
            }
            Ok(false) => {
                state.counters.sends_delayed += 1;
                false
            }
            Err(error) => {
                // A search for the longest packet tries some that are too long.
                state.counters.sends_failed += u64::from(error.raw_os_error() != Some(libc::EMSGSIZE));
                true
            }
        }
    }

    /// Lets a connection do what it has to. Returns whether it has more to send.
    fn drive_connection(
        &mut self,
        state: &mut EndpointState,
        handle: ConnectionHandle,
        connection: &SharedConnection,
        now: Instant,
    ) -> bool {
        let mut guard = connection.borrow_mut();
        if guard.quic.poll_timeout().is_some_and(|due| due <= now) {
            guard.quic.handle_timeout(now);
            guard.needs_drive = true;
        }
        if !guard.needs_drive && guard.unsent.is_none() {
            return false;
        }
        guard.needs_drive = false;
        Self::exchange(state, handle, &mut guard);
        let change = guard.take_events();
        drop(guard);
        state.count(handle, connection, change);
        let connection = &mut *connection.borrow_mut();
        let sent = self.transmit(state, connection, now);
        let told = Self::exchange(state, handle, connection);
        connection.needs_drive |= told || sent != Sent::All;
        told || sent == Sent::InPart
    }

    /// Lets a connection and the endpoint tell each other about connection ids. Returns whether it was told something.
    fn exchange(
        state: &mut EndpointState,
        handle: ConnectionHandle,
        connection: &mut ConnectionState,
    ) -> bool {
        let mut told = false;
        while let Some(event) = connection.quic.poll_endpoint_events() {
            if let Some(event) = state.quic.handle_event(handle, event) {
                connection.quic.handle_event(event);
                told = true;
            }
        }
        told
    }

    /// Sends what a connection has.
    fn transmit(
        &mut self,
        state: &mut EndpointState,
        connection: &mut ConnectionState,
        now: Instant,
    ) -> Sent {
        if self.writable.is_some() {
            return Sent::Blocked;
        }
        if let Some(unsent) = connection.unsent.take()
            && !Self::send(self.socket, state, &unsent.transmit, &unsent.bytes)
        {
            connection.unsent = Some(unsent);
            self.wait_until_writable();
            return Sent::Blocked;
        }
        for _ in 0..SENDS_PER_TURN {
            self.outgoing.clear();
            let datagrams = self.socket.datagrams_per_send(connection.quic.current_mtu());
            let Some(transmit) = connection.quic.poll_transmit(now, datagrams, &mut self.outgoing) else {
                return Sent::All;
            };
            let length = transmit.segment_size.unwrap_or(transmit.size).max(1);
            state.counters.datagrams_sent += transmit.size.div_ceil(length) as u64;
            if !Self::send(self.socket, state, &transmit, &self.outgoing) {
                let bytes = self.outgoing[..transmit.size].to_vec();
                connection.unsent = Some(Unsent { transmit, bytes });
                self.wait_until_writable();
                return Sent::Blocked;
            }
        }
        Sent::InPart
    }

    fn wait_until_writable(&mut self) {
        self.writable = Some(self.ring.poll_writable(self.socket.as_fd()));
    }

    /// Has the earliest timer running. Returns whether it is due already.
    fn arm(&mut self, clock: &TransportClock, next: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(next) = next else {
            self.timer = None;
            return false;
        };
        // One that fires too early costs a turn, one for each packet would cost more: QUIC moves its deadlines all the time.
        if self.timer.as_ref().is_none_or(|(deadline, _)| *deadline > next) {
            let left = clock.until(next, Instant::now());
            self.timer = Some((next, Timer::new(left)));
        }
        let fired = self.timer.as_mut().is_some_and(|(_, timer)| Pin::new(timer).poll(context).is_ready());
        if fired {
            self.timer = None;
        }
        fired
    }

    /// Has the waits for the socket under way. Returns whether one of them is over already.
    fn wait_for_socket(&mut self, context: &mut Context<'_>) -> bool {
        let mut over = false;
        if !self.may_receive {
            let readable = self.readable.get_or_insert_with(|| self.ring.poll_readable(self.socket.as_fd()));
            if Pin::new(readable).poll(context).is_ready() {
                self.readable = None;
                self.may_receive = true;
                over = true;
            }
        }
        if let Some(writable) = &mut self.writable
            && Pin::new(writable).poll(context).is_ready()
        {
            self.writable = None;
            over = true;
        }
        over
    }
}

//! The end of a shard towards other nodes: one UDP port, by which it dials and is dialled.
//!
//! What must hold: whoever comes out of [`Endpoint::accept`] or [`Endpoint::connect`] was accepted by both sides as a node of
//! this cluster. What is bounded: sessions of a connection, bytes of a session, handshakes, connections that wait to be
//! accepted. Between members the number of connections is not: who dials keeps one for each shard of a peer.

use std::{
    cell::RefCell, collections::BTreeMap, future::poll_fn, io, net::SocketAddr, rc::Rc, sync::Arc,
    task::Poll, time::Duration,
};

use quinn_proto::{ConnectionHandle, EndpointConfig, HashedConnectionIdGenerator};
use ringmain_storage::disk::direct::{Ring, Timer, spawn};

use super::{
    certificates::{MemberCheck, NodeIdentity, Protocol, server_name},
    connection::Connection,
    counters::{EndpointCounters, PeerCounters},
    driver::{EndpointState, drive},
    error::{ConnectError, EndCode, EndpointError},
    options::{Side, TransportOptions},
    socket::PeerSocket,
};
use crate::NodeId;

/// How long a stopping endpoint waits for the peers to have heard of it.
const STOP_WAIT_MAX: Duration = Duration::from_millis(300);

/// The longest that QUIC can be told to take; what is really sent is found out.
const DATAGRAM_BYTES_LIMIT: u16 = 65_527;

/// The transport of one shard. Clones share it. It runs until [`Endpoint::stop`].
#[derive(Clone)]
pub struct Endpoint(Rc<Parts>);

struct Parts {
    state: Rc<RefCell<EndpointState>>,
    identity: NodeIdentity,
    options: TransportOptions,
    address: SocketAddr,
    receive_buffer_bytes: usize,
}

impl Endpoint {
    /// Opens the port and begins to answer, on the executor of the calling task.
    pub fn bind(
        ring: &Ring,
        address: SocketAddr,
        identity: NodeIdentity,
        is_member: MemberCheck,
        options: TransportOptions,
    ) -> Result<Self, EndpointError> {
        let failed = |error: io::Error| EndpointError::Bind { address, error };
        let socket = Rc::new(PeerSocket::bind(address).map_err(failed)?);
        let bound = socket.local_address().map_err(failed)?;
        let receive_buffer_bytes = socket.receive_buffer_bytes().map_err(failed)?;
        let server = identity.server_config(Protocol::Data, is_member, options.config(Side::Dialled))?;
        let config = endpoint_config(&identity, bound);
        let may_search = !socket.may_fragment();
        let quic = quinn_proto::Endpoint::new(Arc::new(config), Some(Arc::new(server)), may_search, None);
        let state = Rc::new(RefCell::new(EndpointState::new(quic)));
        spawn(drive(state.clone(), socket, ring.clone()));
        Ok(Self(Rc::new(Parts { state, identity, options, address: bound, receive_buffer_bytes })))
    }

    /// Where it is dialled.
    pub fn local_address(&self) -> SocketAddr {
        self.0.address
    }

    /// What the kernel holds for it while the shard is busy. Less than a few MiB costs lost packets at high rates:
    /// raise net.core.rmem_max.
    pub fn receive_buffer_bytes(&self) -> usize {
        self.0.receive_buffer_bytes
    }

    /// What it has done so far.
    pub fn counters(&self) -> EndpointCounters {
        self.0.state.borrow().counters
    }

    /// What it has done so far with each node, also with those that are gone. One walk over the open connections.
    pub fn peers(&self) -> BTreeMap<NodeId, PeerCounters> {
        self.0.state.borrow().peers()
    }

    /// Dials a node. Whoever else answers at the address is refused. Dropped before the end it gives up.
    pub async fn connect(&self, peer: NodeId, address: SocketAddr) -> Result<Connection, ConnectError> {
        let transport = self.0.options.config(Side::Dialling);
        let config = self.0.identity.client_config(peer, Protocol::Data, transport)?;
        let dial_failed = |reason: String| ConnectError::Dial { peer, address, reason };
        let connection = {
            let state = &mut *self.0.state.borrow_mut();
            if state.stopping {
                return Err(dial_failed("this node stops".to_owned()));
            }
            let now = state.clock.now();
            let (handle, quic) = state
                .quic
                .connect(now, config, address, &server_name(peer))
                .map_err(|error| dial_failed(error.to_string()))?;
            let shared = state.insert(handle, quic);
            state.ring();
            self.connection(handle, shared)
        };
        match connection.established().await {
            Ok(()) => Ok(connection),
            Err(reason) => Err(ConnectError::Peer { peer, address, reason }),
        }
    }

    /// The next node that dialled. `None`: the endpoint has stopped.
    pub async fn accept(&self) -> Option<Connection> {
        poll_fn(|context| {
            let state = &mut *self.0.state.borrow_mut();
            if !state.accepted.is_empty() {
                let (handle, shared) = state.accepted.remove(0);
                return Poll::Ready(Some(self.connection(handle, shared)));
            }
            if state.stopping {
                return Poll::Ready(None);
            }
            if !state.acceptors.iter().any(|acceptor| acceptor.will_wake(context.waker())) {
                state.acceptors.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn connection(&self, handle: ConnectionHandle, shared: super::driver::SharedConnection) -> Connection {
        Connection::new(self.0.state.clone(), handle, shared, self.0.options.frame_bytes_max)
    }

    /// Ends all connections, waits for a moment that the peers hear of it, and gives the port back.
    pub async fn stop(&self) {
        {
            let state = &mut *self.0.state.borrow_mut();
            state.stopping = true;
            for (number, connection) in state.connections.clone() {
                state.close(ConnectionHandle(number), &connection, EndCode::STOPPING);
            }
            state.accepted.clear();
            state.wake_acceptors();
            state.ring();
        }
        let mut patience = Timer::new(STOP_WAIT_MAX);
        poll_fn(|context| {
            let state = &mut *self.0.state.borrow_mut();
            if !state.stopped && std::pin::Pin::new(&mut patience).poll(context).is_ready() {
                // What the peers have not heard by now they will notice as silence.
                state.stopped = true;
                state.ring();
            }
            if state.ended {
                return Poll::Ready(());
            }
            if !state.acceptors.iter().any(|acceptor| acceptor.will_wake(context.waker())) {
                state.acceptors.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// Connection ids and their reset tokens follow from the node's key and port: started anew, the node can tell its peers at
/// once that it knows nothing of their old connections.
fn endpoint_config(identity: &NodeIdentity, address: SocketAddr) -> EndpointConfig {
    let reset_key = identity.derive_key(&format!("stateless reset {address}"));
    let id_seed = identity.derive_bytes(&format!("connection ids {address}"));
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    let id_key =
        u64::from_le_bytes(id_seed.as_ref()[..8].try_into().expect("a digest is longer than 8 bytes"));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));
    config.max_udp_payload_size(DATAGRAM_BYTES_LIMIT).expect("between the limits of QUIC");
    config
}

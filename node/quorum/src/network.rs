//! What members say to each other: one QUIC connection to each peer, one stream for each request and its answer.
//!
//! What must hold:
//! - Nobody without a certificate of this cluster is heard: TLS refuses him, [`Certificates`] says which node it was.
//! - A request says from whom and for whom it is, with directories. It is refused before anything happens if the sender is
//!   not the node of the certificate, if the vote in it is not the sender's, or if it is for another directory than the one
//!   here (`replica_id.rs` says why).
//! - Memory grows with the bytes that arrived, up to the bounds of `network/frame.rs`; streams and connections are
//!   bounded too.
//!
//! Senders that are not members yet are heard if their certificate is good: a member that was away cannot know who was
//! added meanwhile, and would else refuse its new leader for ever.

mod answers;
mod frame;
mod listener;
mod peers;
mod raft_client;
mod snapshot_stream;

use std::any::Any;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use ringmain_replication::NodeId;

pub(crate) use answers::{Answers, LastLeader};
pub use frame::CONTROLLER_BYTES_MAX;
pub(crate) use frame::{ControllerAnswer, JoinRequest, Probe, ProbeAnswer, RequestKind};
pub(crate) use listener::Listener;
pub(crate) use peers::{CallError, Peers};
pub(crate) use raft_client::RaftClients;
pub use snapshot_stream::SNAPSHOT_BYTES_MAX;

use crate::replica_id::Address;

/// Streams that a peer has open here at most: requests of one peer are heartbeats, one append, one snapshot, one vote, and
/// what the node asks of the controller.
const STREAMS_A_CONNECTION_MAX: u32 = 64;
/// Bytes of a connection that are not yet read at most: a snapshot in chunks beside an append.
const RECEIVE_WINDOW_BYTES: u32 = 8 << 20;
/// A connection on which nothing arrives for so long is over. Elections do not wait for it, they have their own clock.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Keeps connections between followers open, so that an election needs no handshake.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Nodes of a cluster are near each other: a lost first packet is sent again after about twice this, not after a second.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(50);

/// The certificates of this node, and how to read those of others.
pub trait Certificates: Send + Sync + 'static {
    /// For dialling a node; whoever else answers there must be refused.
    fn client_config(
        &self,
        peer: NodeId,
        limits: Arc<quinn::TransportConfig>,
    ) -> Result<quinn::ClientConfig, String>;

    /// For being dialled; must ask for a certificate of this cluster.
    fn server_config(&self, limits: Arc<quinn::TransportConfig>) -> Result<quinn::ServerConfig, String>;

    /// The name to ask a node for.
    fn server_name(&self, peer: NodeId) -> String;

    /// The node at the other end, from what [`quinn::Connection::peer_identity`] gives.
    fn peer(&self, identity: Option<Box<dyn Any>>) -> Option<NodeId>;
}

/// The socket and the certificates of this node.
pub struct Transport {
    /// Bound by the node; all traffic of the quorum goes through it, in both directions.
    pub socket: UdpSocket,
    /// Who this node is, and who the others are.
    pub certificates: Arc<dyn Certificates>,
}

/// The open socket.
#[derive(Clone)]
pub(crate) struct Port {
    endpoint: quinn::Endpoint,
    certificates: Arc<dyn Certificates>,
    limits: Arc<quinn::TransportConfig>,
}

impl Transport {
    pub(crate) fn open(self) -> std::io::Result<Port> {
        let limits = Arc::new(limits());
        let server = self.certificates.server_config(Arc::clone(&limits)).map_err(std::io::Error::other)?;
        self.socket.set_nonblocking(true)?;
        let endpoint = quinn::Endpoint::new(
            quinn::EndpointConfig::default(),
            Some(server),
            self.socket,
            Arc::new(quinn::TokioRuntime),
        )?;
        Ok(Port { endpoint, certificates: self.certificates, limits })
    }
}

impl Port {
    /// Dials a node, and makes sure that it is the one that was meant.
    async fn dial(&self, node: NodeId, address: &Address) -> Result<quinn::Connection, String> {
        let mut addresses = tokio::net::lookup_host((address.host.as_str(), address.port))
            .await
            .map_err(|error| format!("cannot look up {address}: {error}"))?;
        let socket_address = addresses.next().ok_or_else(|| format!("{address} has no address"))?;
        let config = self.certificates.client_config(node, Arc::clone(&self.limits))?;
        let name = self.certificates.server_name(node);
        let connecting = self.endpoint.connect_with(config, socket_address, &name);
        let connection = connecting.map_err(|e| e.to_string())?.await.map_err(|e| e.to_string())?;
        match self.certificates.peer(connection.peer_identity()) {
            Some(found) if found == node => Ok(connection),
            found => {
                connection.close(0_u32.into(), b"another node was meant");
                let found = found.map_or_else(|| "nobody".to_owned(), |node| format!("node {node}"));
                Err(format!("at {address} is {found}"))
            }
        }
    }

    /// Stops listening and tells the peers.
    pub(crate) async fn close(&self) {
        self.endpoint.close(0_u32.into(), b"stopping");
        self.endpoint.wait_idle().await;
    }
}

fn limits() -> quinn::TransportConfig {
    let mut limits = quinn::TransportConfig::default();
    let idle = quinn::IdleTimeout::try_from(IDLE_TIMEOUT).expect("a few seconds fit");
    limits
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(FIRST_ROUND_TRIP)
        .max_concurrent_bidi_streams(STREAMS_A_CONNECTION_MAX.into())
        .max_concurrent_uni_streams(0_u32.into())
        .datagram_receive_buffer_size(None)
        .receive_window(RECEIVE_WINDOW_BYTES.into());
    limits
}

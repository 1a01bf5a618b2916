//! The transport between the nodes of a cluster: QUIC over UDP, and the certificates by which nodes know each other.
//!
//! One [`Endpoint`] for each shard, driven by a task of that shard's executor: no locks, no threads, no channels. A
//! [`Connection`] leads to one shard of a peer, a [`Session`] on it carries frames in both directions. Frames are opaque
//! here.
//!
//! What must hold: nothing of a peer reaches anything else in the node before its certificate was found to be one of this
//! cluster, of the node that was dialled or of a member.
//! Does not do: what the frames mean; which node is asked for what; the control connections, which quinn itself serves with
//! the same certificates.

pub mod certificates;
mod clock;
mod connection;
mod connection_state;
mod counters;
mod driver;
mod endpoint;
mod error;
mod frame;
mod options;
mod redial;
mod session;
mod socket;

pub use self::{
    connection::Connection,
    counters::{ConnectionCounters, EndpointCounters, PeerCounters},
    endpoint::Endpoint,
    error::{ConnectError, EndCode, EndpointError, PeerGone, SessionError},
    options::{SESSIONS_MAX, TransportOptions},
    redial::{Redial, RedialPauses},
    session::{FrameReceiver, FrameSender, Session},
};

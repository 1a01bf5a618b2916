//! The transport between the nodes of a cluster: QUIC over UDP, and the certificates by which nodes know each other.
//!
//! What must hold: nothing of a peer reaches anything else in the node before its certificate was found to be one of this
//! cluster, of the node that was dialled or of a member.
//! Does not do: what the frames mean; which node is asked for what.

pub mod certificates;
mod clock;
mod connection_state;
mod counters;
mod driver;
mod error;
mod frame;
mod options;
mod socket;

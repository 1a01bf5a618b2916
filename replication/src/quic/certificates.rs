//! The certificates of a cluster: one authority, and one certificate for each node, which names the cluster and the node.
//!
//! `authority` makes them (the command line, once), `identity` loads a node's own and offers the TLS configurations of both
//! sides, `verify` judges the peer's.
//!
//! What must hold:
//! - Both sides show a certificate, in TLS 1.3, and no data is sent before the handshake (0-RTT) or by a resumed session:
//!   each connection is judged by the certificates of now.
//! - A peer is who its certificate says: signed by the cluster's authority, valid now, naming this cluster; towards the
//!   dialled side the node that was dialled, towards the dialling side a member.
//!
//! Does not do: revocation. A node that left is no member any more, which is asked at each handshake.

mod authority;
mod error;
mod identity;
mod name;
#[cfg(test)]
mod tests;
mod verify;

pub use self::{
    authority::{Authority, IssueOptions, IssuedFiles},
    error::{CertificateError, FileProblem},
    identity::{IdentityFiles, NodeIdentity, Protocol, authenticated_peer, server_name},
    name::{CertificateName, NameError},
    verify::{MemberCheck, PeerRefusal},
};

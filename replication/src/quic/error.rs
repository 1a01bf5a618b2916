//! What can become of a peer, a connection and a session, told apart by what the caller should do next.

use std::{io, net::SocketAddr};

use quinn_proto::{ConnectionError, VarInt};

use super::certificates::CertificateError;
use crate::NodeId;

/// A reason that one side gives for ending a connection or a session; told to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndCode(pub u32);

impl EndCode {
    /// The node stops.
    pub const STOPPING: EndCode = EndCode(1);
    /// Whoever used it does so no more.
    pub const NOT_NEEDED: EndCode = EndCode(2);
    /// A frame was left in the middle.
    pub const ABANDONED: EndCode = EndCode(3);
    /// A frame is longer than agreed.
    pub const FRAME_TOO_LONG: EndCode = EndCode(4);
    /// Nobody takes new connections quickly enough.
    pub const BUSY: EndCode = EndCode(5);

    pub(super) fn wire(self) -> VarInt {
        VarInt::from_u32(self.0)
    }

    /// Codes beyond 32 bits are none of ours.
    pub(super) fn from_wire(code: VarInt) -> EndCode {
        EndCode(u32::try_from(code.into_inner()).unwrap_or(u32::MAX))
    }
}

/// Why a connection ended. It stays ended: dial again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerGone {
    /// Nothing was heard for the idle timeout: killed, paused, or cut off.
    #[error("the peer has fallen silent")]
    Silent,
    /// It answers, but knows nothing of this connection.
    #[error("the peer has started anew")]
    Restarted,
    /// It ended the connection.
    #[error("the peer closed the connection (code {})", .0.0)]
    Closed(EndCode),
    /// We did.
    #[error("the connection was closed here")]
    ClosedHere,
    /// One side did not accept the other's certificate or protocol, or broke the rules of QUIC.
    #[error("the connection failed: {0}")]
    Failed(String),
}

impl From<ConnectionError> for PeerGone {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::Silent,
            ConnectionError::Reset => Self::Restarted,
            ConnectionError::ApplicationClosed(close) => Self::Closed(EndCode::from_wire(close.error_code)),
            ConnectionError::LocallyClosed => Self::ClosedHere,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The port cannot be had.
    #[error("cannot listen for nodes on {address}: {error}")]
    Bind {
        /// The wanted address.
        address: SocketAddr,
        /// The system's answer.
        error: io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Why a node could not be reached. All of it can be tried again later.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The connection did not come about, or ended at once.
    #[error("cannot connect to node {peer} at {address}: {reason}")]
    Peer {
        /// Who was dialled.
        peer: NodeId,
        /// Where.
        address: SocketAddr,
        /// What became of it.
        reason: PeerGone,
    },
    /// Not even begun: the endpoint has stopped, or the address is none.
    #[error("cannot dial node {peer} at {address}: {reason}")]
    Dial {
        /// Who was to be dialled.
        peer: NodeId,
        /// Where.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Why a session gave no frame, or took none. The session is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// With the connection.
    #[error(transparent)]
    Gone(#[from] PeerGone),
    /// The peer reads no more.
    #[error("the peer reads no more of this session (code {})", .0.0)]
    Refused(EndCode),
    /// The peer writes no more, and left a frame in the middle or gave up what was under way.
    #[error("the peer abandoned this session (code {})", .0.0)]
    Abandoned(EndCode),
    /// The frame does not fit what was agreed on; nothing of it was sent, or taken.
    #[error("a frame of {length} bytes is longer than {max}")]
    FrameTooLong {
        /// Its length.
        length: usize,
        /// The longest.
        max: usize,
    },
    /// The session has ended before.
    #[error("the session has ended")]
    Ended,
}

//! What other nodes ask of the controller, which is the node that leads the quorum.

use bytes::Bytes;
use ringmain_replication::NodeId;
use tokio::sync::oneshot;

use crate::leadership::Leadership;

/// Requests that wait for the controller at most; beyond it they are refused as busy and tried again by their senders.
pub(crate) const REQUESTS_WAITING_MAX: usize = 256;

/// A request of a node, to be decided in `leadership`. Dropping it tells the sender that nothing was done.
#[derive(Debug)]
pub struct ControllerRequest {
    /// The node whose certificate it came with.
    pub from: NodeId,
    /// The leadership in which it arrived; what is decided is proposed with it.
    pub leadership: Leadership,
    /// The node's bytes.
    pub body: Bytes,
    /// Takes the answer.
    pub answer: oneshot::Sender<Bytes>,
}

/// Why the controller gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody led in time; it was not done.
    #[error("no controller could be reached: {0}")]
    NoController(String),
    /// It may have been done: the connection was lost while the controller had it.
    #[error("the controller did not answer: {0}")]
    Unknown(String),
    /// It does not fit.
    #[error("a request of {0} bytes is too large")]
    TooLarge(usize),
}

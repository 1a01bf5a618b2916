//! Why a node cannot start, as a sentence that says what to do.

use ringmain_replication::quic::EndpointError;
use ringmain_storage::{
    StoreError,
    disk::{DiskError, direct::RingError},
};

use crate::{
    metadata::{DataDirectoryError, cluster::ClusterStartError, control_thread::MetadataStartError},
    runtime::ExecutorError,
};

/// Why a node cannot start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// io_uring is denied or too old.
    #[error("io_uring cannot be used: {0}")]
    Ring(#[source] RingError),
    /// The data directory's disk cannot be used.
    #[error("the data directory cannot be used: {0}")]
    Disk(#[source] DiskError),
    /// The data directory is locked, of another version, or not ours.
    #[error(transparent)]
    Directory(#[from] DataDirectoryError),
    /// The metadata store.
    #[error(transparent)]
    Metadata(#[from] MetadataStartError),
    /// The node's part in its cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterStartError),
    /// The certificates of a node in a cluster.
    #[error("the certificates of this node cannot be used: {0}")]
    Certificates(String),
    /// The node had to end by itself.
    #[error("{0}")]
    Ended(String),
    /// The logs.
    #[error("the logs cannot be opened: {0}")]
    Store(#[source] StoreError),
    /// The listen address.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// As configured.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// A shard's port for other nodes.
    #[error(transparent)]
    Replication(EndpointError),
    /// A socket that was bound could not be used.
    #[error("listen: {0}")]
    Socket(#[source] std::io::Error),
    /// The limits of the process are too low.
    #[error("{0}")]
    Limits(String),
    /// Signals cannot be waited for.
    #[error("wait for signals: {0}")]
    Signals(#[source] std::io::Error),
    /// A thread cannot be started.
    #[error("start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// An executor cannot be started, most often for want of locked memory.
    #[error("start a shard: {0}")]
    Executor(String),
}

impl StartError {
    /// Whether another start would fail in the same way until somebody changes the configuration.
    pub fn needs_operator(&self) -> bool {
        matches!(self, Self::Certificates(_) | Self::Limits(_))
    }
}

impl From<ExecutorError> for StartError {
    fn from(error: ExecutorError) -> Self {
        match error {
            ExecutorError::Thread(reason) => Self::Executor(reason),
            ExecutorError::Ring(error) => Self::Ring(error),
        }
    }
}

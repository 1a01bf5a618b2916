//! Why a node cannot take part in its cluster, as sentences that say what to do.

use std::io;
use std::path::PathBuf;

use ringmain_quorum::{StartError, StoreError};

use super::starts::StartsError;

/// Why a node cannot take part in its cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterStartError {
    /// The directory was used by a node without a cluster.
    #[error(
        "the data directory {} holds the metadata of a node that was alone; a cluster's node starts with an empty one, \
         and gets its data from clients or from the other nodes",
        .0.display()
    )]
    WasAlone(PathBuf),
    /// The quorum's file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of this node's starts.
    #[error(transparent)]
    Starts(#[from] StartsError),
    /// The quorum.
    #[error(transparent)]
    Quorum(#[from] StartError),
    /// The system refused a thread, or what it runs on.
    #[error("cannot start the control thread: {0}")]
    Thread(io::Error),
    /// It ended while it started.
    #[error("the control thread ended while it started")]
    Ended,
}

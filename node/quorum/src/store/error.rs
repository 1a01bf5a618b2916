//! Why the file of a member cannot be used.

use std::path::{Path, PathBuf};

use ringmain_replication::NodeId;

use super::tables::LAYOUT;

/// Why the file of a member cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, read or written.
    #[error("cannot {operation} the quorum's store {path}: {problem}", path = path.display())]
    Unusable {
        /// A verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The library's or the system's words.
        problem: String,
    },
    /// It is not as it was written.
    #[error(
        "the quorum's store {path} is damaged: {problem}; move it away, and this node joins as a new member \
         without a vote",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        problem: String,
    },
    /// It was written by another version of the program.
    #[error("the quorum's store {path} has layout {found}, this program knows {LAYOUT}", path = path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// It belongs to another cluster.
    #[error(
        "the quorum's store {path} is of cluster `{found}`, this node is configured for `{expected}`",
        path = path.display()
    )]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// Its cluster.
        found: String,
        /// The configured one.
        expected: String,
    },
    /// It belongs to another node.
    #[error(
        "the quorum's store {path} is of node {found}, this node is {expected}: a copied directory would vote \
         twice; empty the copy",
        path = path.display()
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Its node.
        found: NodeId,
        /// The configured one.
        expected: NodeId,
    },
    /// The configured cluster id cannot be one.
    #[error("a cluster id has 1 to 64 bytes, not `{cluster_id}`")]
    ClusterId {
        /// As configured.
        cluster_id: String,
    },
}

impl StoreError {
    pub(super) fn damaged(path: &Path, problem: String) -> Self {
        Self::Damaged { path: path.to_owned(), problem }
    }

    pub(super) fn of(operation: &'static str, path: &Path, error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(problem) => Self::damaged(path, problem),
            error => Self::Unusable { operation, path: path.to_owned(), problem: error.to_string() },
        }
    }
}

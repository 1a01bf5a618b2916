//! Who takes part: a node, the directory its votes are in, and where it listens.
//!
//! What must hold: a vote belongs to a directory, not to a node. A node whose disk was emptied gets a new
//! [`DirectoryId`], and with it it is another [`ReplicaId`]: nobody counts its answers for the voter it was, and what is
//! meant for that voter it refuses. So a node cannot vote twice in a term by losing its memory.

use std::fmt;

use ringmain_replication::NodeId;

/// A random number that a data directory gets when it is first used, and keeps. Zero stands for "whichever".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub u128);

/// A member of the quorum: this node with this directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId {
    /// The node.
    pub node: NodeId,
    /// The directory that holds its log and its vote.
    pub directory: DirectoryId,
}

/// Where a member's quorum listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// A UDP port.
    pub port: u16,
}

impl ReplicaId {
    /// The node with whichever directory it has: what is asked before its directory is known.
    pub fn any_of(node: NodeId) -> Self {
        Self { node, directory: DirectoryId::default() }
    }
}

impl DirectoryId {
    /// A new one. 128 random bits: two directories never share one.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(Self(u128::from_be_bytes(bytes).max(1)))
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough of the directory to tell two of one node apart in a line of a log.
        write!(f, "{}@{:08x}", self.node, self.directory.0 >> 96)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Tests of the store number replicas from zero.
#[cfg(test)]
impl From<u64> for ReplicaId {
    fn from(number: u64) -> Self {
        Self {
            node: NodeId(i32::try_from(number).expect("small")),
            directory: DirectoryId(u128::from(number)),
        }
    }
}

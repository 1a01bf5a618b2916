//! The records of the metadata log, and their bytes.
//!
//! ```text
//! version u8 = 1 | kind u8, never 0 | fields of the kind | CRC-32 of everything before it, u32
//! ```
//! Integers are little-endian; a text is its length as u32 and its UTF-8 bytes; a list is its length as u32 and its
//! items. A record is decoded whole or not at all: bytes left over, a length beyond the end and an unknown kind are
//! errors, because applying half of what another version meant would be worse than not starting.

mod codec;

use alloc::string::String;
use alloc::vec::Vec;

use ringmain_storage::{LeaderEpoch, TopicId};

pub use self::codec::RecordError;
use super::identity::{NodeId, PartitionEpoch};

/// One fact of the metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The cluster came to be. The first record of every log.
    ClusterCreated {
        /// Its id.
        cluster_id: String,
    },
    /// A node started. Its registration epoch grows with each start, and so do the leader epochs of the partitions
    /// that it leads: what it wrote before and lost with its power must not be mistaken for what it writes now.
    NodeRegistered {
        /// Which one.
        node_id: NodeId,
        /// Counts its starts.
        registration_epoch: i64,
        /// Where clients reach it.
        host: String,
        /// Where clients reach it.
        port: u16,
        /// Its rack, if told.
        rack: Option<String>,
    },
    /// A topic came to be, without partitions; they follow in the same commit.
    TopicCreated {
        /// Its id, never used again.
        topic_id: TopicId,
        /// Its name.
        name: String,
    },
    /// The topic got its next partition.
    PartitionCreated {
        /// Whose.
        topic_id: TopicId,
        /// Its index: the number of partitions before it.
        partition: i32,
        /// Who keeps a replica, the preferred leader first.
        replicas: Vec<NodeId>,
        /// Who of them is in sync.
        in_sync: Vec<NodeId>,
        /// Who leads.
        leader: NodeId,
        /// Counts leaderships.
        leader_epoch: LeaderEpoch,
        /// Counts changes.
        partition_epoch: PartitionEpoch,
    },
    /// A topic and its configurations are gone.
    TopicDeleted {
        /// Which one.
        topic_id: TopicId,
    },
    /// A configuration was set.
    ConfigSet {
        /// Of what.
        resource: ConfigResource,
        /// Which one.
        name: String,
        /// To what.
        value: String,
    },
    /// A configuration is back at what the layers below say.
    ConfigRemoved {
        /// Of what.
        resource: ConfigResource,
        /// Which one.
        name: String,
    },
    /// Producer ids below `next` were handed to a node and are never handed out again.
    ProducerIdsAllocated {
        /// To whom.
        node_id: NodeId,
        /// The first one that is still free.
        next: i64,
    },
}

/// What a configuration belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// One node.
    Node(NodeId),
    /// All nodes.
    Cluster,
}

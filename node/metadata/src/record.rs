//! The records of the metadata log, and their bytes.
//!
//! ```text
//! version u8 = 1 | kind u8, never 0 | fields of the kind | CRC-32 of everything before it, u32
//! ```
//! Integers are little-endian; a text is its length as u32 and its UTF-8 bytes; a list is its length as u32 and its
//! items. A record is decoded whole or not at all: bytes left over, a length beyond the end and an unknown kind are
//! errors, because applying half of what another version meant would be worse than not starting. A kind keeps its bytes
//! for ever: what is to be said differently gets a new kind, and the old one is still read.

mod codec;

use alloc::string::String;

use ringmain_storage::TopicId;

pub use self::codec::RecordError;
use crate::identity::NodeId;
use crate::node_image::NodeImage;
use crate::partition_image::PartitionImage;

/// One fact of the metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The cluster came to be. The first record of every log.
    ClusterCreated {
        /// Its id.
        cluster_id: String,
    },
    /// A node that is alone started. Its registration epoch grows with each start, and so do the leader epochs of the
    /// partitions that it leads: what it wrote before and lost with its power must not be mistaken for what it writes
    /// now.
    LoneNodeStarted {
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
    /// A node of a cluster registered: a new one, a new start, or the same start with other addresses.
    NodeRegistered {
        /// Which one.
        node_id: NodeId,
        /// Everything about it.
        node: NodeImage,
    },
    /// A registered node was fenced, unfenced, or began to stop.
    NodeChanged {
        /// Which one.
        node_id: NodeId,
        /// Its registration, which must be the newest.
        registration_epoch: i64,
        /// Whether it is fenced from now on.
        fenced: bool,
        /// Since which version it is stopping, if it is.
        stopping_since: Option<u64>,
    },
    /// A node was taken out of the cluster.
    NodeUnregistered {
        /// Which one.
        node_id: NodeId,
        /// Its registration, which must be the newest.
        registration_epoch: i64,
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
        /// Everything about it.
        state: PartitionImage,
    },
    /// A partition changed.
    PartitionChanged {
        /// Whose.
        topic_id: TopicId,
        /// Its index.
        partition: i32,
        /// Everything about it from now on. Whole, so that a record can be judged and applied by itself.
        state: PartitionImage,
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
    /// All nodes use a feature at this level from now on.
    FeatureLevelSet {
        /// Which one.
        feature: String,
        /// At which level; 0 is not at all.
        level: i16,
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

//! The cluster's metadata: which nodes, topics, partitions and configurations there are.
//!
//! A change is decided by [`controller`] (pure, in `ringmain-metadata`), written as [`MetadataRecord`]s (durable before
//! anything is answered), and applied to the immutable [`MetadataImage`], of which every shard gets the newest. Of a node that
//! is alone [`control_thread`] does so, and keeps the records in a file ([`store`]); of a node in a cluster [`cluster`], with the
//! quorum. [`MetadataHandle`] is how the shards reach either.
//!
//! What must hold: an image is a function of the records alone; a record is applied only after it is durable; what a
//! restart reads back gives the image that was there before.

pub mod cluster;
pub mod control_thread;
pub mod data_directory;
mod events;
mod handle;
mod identity;
pub mod store;
mod watch;

pub use control_thread::MetadataOptions;
pub use data_directory::{DataDirectory, DataDirectoryError};
pub use events::MetadataEventValues;
pub use handle::{MetadataError, MetadataHandle};
pub use identity::{random_cluster_id, random_topic_id, random_uuid_text};
pub use ringmain_metadata::{
    ApplyError, ClusterId, ConfigResource, Endpoint, ImageChanges, IncarnationId, LeaderEpoch, MetadataImage,
    MetadataRecord, NodeId, NodeImage, PartitionEpoch, PartitionImage, PeerEndpoints, RecordError, Sessions,
    TopicId, TopicImage, controller,
};
pub(crate) use ringmain_metadata::{OFFSETS_TOPIC, is_internal_topic};
pub use watch::ImageWatch;

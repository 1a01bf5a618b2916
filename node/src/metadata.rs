//! The cluster's metadata: which nodes, topics, partitions and configurations there are.
//!
//! A change is decided by [`controller`] (pure), written as [`MetadataRecord`]s to [`store`] (durable before anything is
//! answered), and applied to the immutable [`MetadataImage`], of which every shard gets the newest. [`control_thread`] is the
//! thread that does so. With one node the store is a file; the quorum takes its place behind [`store::RecordLog`].
//!
//! What must hold: an image is a function of the records alone; a record is applied only after it is durable; what a
//! restart reads back gives the image that was there before.

pub mod control_thread;
pub mod controller;
pub mod data_directory;
mod identity;
mod image;
mod internal_topics;
mod record;
pub mod store;
mod watch;

pub use control_thread::{MetadataError, MetadataHandle, MetadataOptions};
pub use data_directory::{DataDirectory, DataDirectoryError};
pub use identity::{ClusterId, NodeId, PartitionEpoch, random_topic_id, random_uuid_text};
pub use image::{ApplyError, MetadataImage, NodeImage, PartitionImage, TopicImage};
pub(crate) use internal_topics::{OFFSETS_TOPIC, is_internal_topic};
pub use record::{ConfigResource, MetadataRecord, RecordError};
pub use ringmain_storage::{LeaderEpoch, TopicId};
pub use watch::ImageWatch;

//! The cluster's metadata: records, the image that they give, and the controller's decisions.
//!
//! Pure: a change is decided by [`controller`] against a [`MetadataImage`] and comes out as [`MetadataRecord`]s; whoever
//! owns the log makes them durable and applies them. The crate reads no clock, draws no random number and does no I/O.
//!
//! What must hold: an image is a function of the records alone, so every node that has read the same records has the
//! same image; a record that one version wrote is read by all later ones.
//!
//! Does not do: where records are kept and who agrees on them, sockets, versions of messages. Those are the node's.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod config;
pub mod controller;
mod foreign;
mod identity;
mod image;
mod internal_topics;
mod node_image;
mod partition_image;
mod planted;
mod record;
mod sessions;
#[cfg(test)]
mod tests;

pub use identity::{ClusterId, IncarnationId, NodeId, PartitionEpoch};
pub use image::{ApplyError, ImageChanges, MetadataImage, TopicImage};
pub use internal_topics::{OFFSETS_TOPIC, is_internal_topic};
pub use node_image::{Endpoint, LevelRange, NodeImage, PeerEndpoints};
pub use partition_image::PartitionImage;
pub use record::{ConfigResource, MetadataRecord, RecordError};
pub use ringmain_storage::{LeaderEpoch, TopicId};
pub use sessions::Sessions;

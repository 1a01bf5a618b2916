//! Bytes of the metadata records: which fields stand in each kind, in which order.

mod fields;

use alloc::vec;
use alloc::vec::Vec;

use self::fields::{Reader, Writer, checked_body};
use super::MetadataRecord;
use crate::identity::PartitionEpoch;
use crate::partition_image::PartitionImage;

/// The only version of the encoding yet.
const VERSION: u8 = 1;

/// Kinds as they stand in the bytes: never reused, never renumbered.
mod kind {
    pub(super) const CLUSTER_CREATED: u8 = 1;
    pub(super) const LONE_NODE_STARTED: u8 = 2;
    pub(super) const TOPIC_CREATED: u8 = 3;
    /// Before partitions could be without a leader or be reassigned; read, and no longer written.
    pub(super) const LED_PARTITION_CREATED: u8 = 4;
    pub(super) const TOPIC_DELETED: u8 = 5;
    pub(super) const CONFIG_SET: u8 = 6;
    pub(super) const CONFIG_REMOVED: u8 = 7;
    pub(super) const PRODUCER_IDS_ALLOCATED: u8 = 8;
    pub(super) const NODE_REGISTERED: u8 = 9;
    pub(super) const NODE_CHANGED: u8 = 10;
    pub(super) const NODE_UNREGISTERED: u8 = 11;
    pub(super) const PARTITION_CREATED: u8 = 12;
    pub(super) const PARTITION_CHANGED: u8 = 13;
    pub(super) const FEATURE_LEVEL_SET: u8 = 14;
}

/// Bytes that are no metadata record of a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than the fields need.
    #[error("the record ends early")]
    Truncated,
    /// The bytes changed.
    #[error("the record's checksum is {got:08x}, its bytes give {expected:08x}")]
    Checksum {
        /// Over the bytes.
        expected: u32,
        /// As stored.
        got: u32,
    },
    /// Written by another version of the program.
    #[error("the record is of version {0}, this program knows version {VERSION}")]
    Version(u8),
    /// Written by another version of the program.
    #[error("the record is of the unknown kind {0}")]
    Kind(u8),
    /// More bytes than the fields need.
    #[error("{0} bytes follow the record's last field")]
    Leftover(usize),
    /// A field holds what it cannot.
    #[error("the record's field {0} is malformed")]
    Field(&'static str),
}

impl MetadataRecord {
    /// The record's bytes, checksum included.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer(vec![VERSION]);
        match self {
            Self::ClusterCreated { cluster_id } => {
                writer.u8(kind::CLUSTER_CREATED);
                writer.text(cluster_id);
            }
            Self::LoneNodeStarted { node_id, registration_epoch, host, port, rack } => {
                writer.u8(kind::LONE_NODE_STARTED);
                writer.i32(node_id.0);
                writer.i64(*registration_epoch);
                writer.text(host);
                writer.u16(*port);
                writer.optional_text(rack.as_deref());
            }
            Self::NodeRegistered { node_id, node } => {
                writer.u8(kind::NODE_REGISTERED);
                writer.i32(node_id.0);
                writer.node(node);
            }
            Self::NodeChanged { node_id, registration_epoch, fenced, stopping_since } => {
                writer.u8(kind::NODE_CHANGED);
                writer.i32(node_id.0);
                writer.i64(*registration_epoch);
                writer.boolean(*fenced);
                writer.optional_version(*stopping_since);
            }
            Self::NodeUnregistered { node_id, registration_epoch } => {
                writer.u8(kind::NODE_UNREGISTERED);
                writer.i32(node_id.0);
                writer.i64(*registration_epoch);
            }
            Self::TopicCreated { topic_id, name } => {
                writer.u8(kind::TOPIC_CREATED);
                writer.bytes(&topic_id.0);
                writer.text(name);
            }
            Self::PartitionCreated { topic_id, partition, state } => {
                writer.u8(kind::PARTITION_CREATED);
                writer.bytes(&topic_id.0);
                writer.i32(*partition);
                writer.partition(state);
            }
            Self::PartitionChanged { topic_id, partition, state } => {
                writer.u8(kind::PARTITION_CHANGED);
                writer.bytes(&topic_id.0);
                writer.i32(*partition);
                writer.partition(state);
            }
            Self::TopicDeleted { topic_id } => {
                writer.u8(kind::TOPIC_DELETED);
                writer.bytes(&topic_id.0);
            }
            Self::ConfigSet { resource, name, value } => {
                writer.u8(kind::CONFIG_SET);
                writer.resource(resource);
                writer.text(name);
                writer.text(value);
            }
            Self::ConfigRemoved { resource, name } => {
                writer.u8(kind::CONFIG_REMOVED);
                writer.resource(resource);
                writer.text(name);
            }
            Self::ProducerIdsAllocated { node_id, next } => {
                writer.u8(kind::PRODUCER_IDS_ALLOCATED);
                writer.i32(node_id.0);
                writer.i64(*next);
            }
            Self::FeatureLevelSet { feature, level } => {
                writer.u8(kind::FEATURE_LEVEL_SET);
                writer.text(feature);
                writer.i16(*level);
            }
        }
        writer.finish()
    }

    /// Reads one record; every byte must belong to it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader(checked_body(bytes)?);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let record = match reader.u8()? {
            kind::CLUSTER_CREATED => Self::ClusterCreated { cluster_id: reader.text()? },
            kind::LONE_NODE_STARTED => Self::LoneNodeStarted {
                node_id: reader.node_id()?,
                registration_epoch: reader.i64()?,
                host: reader.text()?,
                port: reader.u16()?,
                rack: reader.optional_text()?,
            },
            kind::NODE_REGISTERED => {
                Self::NodeRegistered { node_id: reader.node_id()?, node: reader.node()? }
            }
            kind::NODE_CHANGED => Self::NodeChanged {
                node_id: reader.node_id()?,
                registration_epoch: reader.i64()?,
                fenced: reader.boolean()?,
                stopping_since: reader.optional_version()?,
            },
            kind::NODE_UNREGISTERED => {
                Self::NodeUnregistered { node_id: reader.node_id()?, registration_epoch: reader.i64()? }
            }
            kind::TOPIC_CREATED => Self::TopicCreated { topic_id: reader.topic_id()?, name: reader.text()? },
            kind::LED_PARTITION_CREATED => Self::PartitionCreated {
                topic_id: reader.topic_id()?,
                partition: reader.i32()?,
                state: led_partition(&mut reader)?,
            },
            kind::PARTITION_CREATED => Self::PartitionCreated {
                topic_id: reader.topic_id()?,
                partition: reader.i32()?,
                state: reader.partition()?,
            },
            kind::PARTITION_CHANGED => Self::PartitionChanged {
                topic_id: reader.topic_id()?,
                partition: reader.i32()?,
                state: reader.partition()?,
            },
            kind::TOPIC_DELETED => Self::TopicDeleted { topic_id: reader.topic_id()? },
            kind::CONFIG_SET => {
                Self::ConfigSet { resource: reader.resource()?, name: reader.text()?, value: reader.text()? }
            }
            kind::CONFIG_REMOVED => {
                Self::ConfigRemoved { resource: reader.resource()?, name: reader.text()? }
            }
            kind::PRODUCER_IDS_ALLOCATED => {
                Self::ProducerIdsAllocated { node_id: reader.node_id()?, next: reader.i64()? }
            }
            kind::FEATURE_LEVEL_SET => {
                Self::FeatureLevelSet { feature: reader.text()?, level: reader.i16()? }
            }
            unknown => return Err(RecordError::Kind(unknown)),
        };
        match reader.0.len() {
            0 => Ok(record),
            leftover => Err(RecordError::Leftover(leftover)),
        }
    }
}

/// The fields that a partition had when it always had a leader.
fn led_partition(reader: &mut Reader<'_>) -> Result<PartitionImage, RecordError> {
    let mut state = PartitionImage::created(reader.node_ids()?, reader.node_ids()?);
    state.leader = Some(reader.node_id()?);
    state.leader_epoch = reader.leader_epoch()?;
    state.partition_epoch = PartitionEpoch(reader.i32()?);
    Ok(state)
}

#[cfg(test)]
mod tests;

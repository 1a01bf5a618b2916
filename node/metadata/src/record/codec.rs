//! Bytes of the metadata records.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ringmain_storage::{LeaderEpoch, TopicId};

use super::{ConfigResource, MetadataRecord};
use crate::identity::{NodeId, PartitionEpoch};

/// The only version of the encoding yet.
const VERSION: u8 = 1;

const CHECKSUM_BYTES: usize = 4;

/// Kinds as they stand in the bytes: never reused, never renumbered.
mod kind {
    pub(super) const CLUSTER_CREATED: u8 = 1;
    pub(super) const NODE_REGISTERED: u8 = 2;
    pub(super) const TOPIC_CREATED: u8 = 3;
    pub(super) const PARTITION_CREATED: u8 = 4;
    pub(super) const TOPIC_DELETED: u8 = 5;
    pub(super) const CONFIG_SET: u8 = 6;
    pub(super) const CONFIG_REMOVED: u8 = 7;
    pub(super) const PRODUCER_IDS_ALLOCATED: u8 = 8;
}

/// Kinds of resources as they stand in the bytes.
mod resource_kind {
    pub(super) const TOPIC: u8 = 1;
    pub(super) const NODE: u8 = 2;
    pub(super) const CLUSTER: u8 = 3;
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
            Self::NodeRegistered { node_id, registration_epoch, host, port, rack } => {
                writer.u8(kind::NODE_REGISTERED);
                writer.i32(node_id.0);
                writer.i64(*registration_epoch);
                writer.text(host);
                writer.bytes(&port.to_le_bytes());
                writer.optional_text(rack.as_deref());
            }
            Self::TopicCreated { topic_id, name } => {
                writer.u8(kind::TOPIC_CREATED);
                writer.bytes(&topic_id.0);
                writer.text(name);
            }
            Self::PartitionCreated {
                topic_id,
                partition,
                replicas,
                in_sync,
                leader,
                leader_epoch,
                partition_epoch,
            } => {
                writer.u8(kind::PARTITION_CREATED);
                writer.bytes(&topic_id.0);
                writer.i32(*partition);
                writer.nodes(replicas);
                writer.nodes(in_sync);
                writer.i32(leader.0);
                writer.i32(leader_epoch.value());
                writer.i32(partition_epoch.0);
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
            kind::NODE_REGISTERED => Self::NodeRegistered {
                node_id: reader.node()?,
                registration_epoch: reader.i64()?,
                host: reader.text()?,
                port: u16::from_le_bytes(reader.array()?),
                rack: reader.optional_text()?,
            },
            kind::TOPIC_CREATED => Self::TopicCreated { topic_id: reader.topic_id()?, name: reader.text()? },
            kind::PARTITION_CREATED => Self::PartitionCreated {
                topic_id: reader.topic_id()?,
                partition: reader.i32()?,
                replicas: reader.nodes()?,
                in_sync: reader.nodes()?,
                leader: reader.node()?,
                leader_epoch: reader.leader_epoch()?,
                partition_epoch: PartitionEpoch(reader.i32()?),
            },
            kind::TOPIC_DELETED => Self::TopicDeleted { topic_id: reader.topic_id()? },
            kind::CONFIG_SET => {
                Self::ConfigSet { resource: reader.resource()?, name: reader.text()?, value: reader.text()? }
            }
            kind::CONFIG_REMOVED => {
                Self::ConfigRemoved { resource: reader.resource()?, name: reader.text()? }
            }
            kind::PRODUCER_IDS_ALLOCATED => {
                Self::ProducerIdsAllocated { node_id: reader.node()?, next: reader.i64()? }
            }
            unknown => return Err(RecordError::Kind(unknown)),
        };
        match reader.0.len() {
            0 => Ok(record),
            leftover => Err(RecordError::Leftover(leftover)),
        }
    }
}

/// The bytes without their checksum, which has been compared.
fn checked_body(bytes: &[u8]) -> Result<&[u8], RecordError> {
    let body_length = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(RecordError::Truncated)?;
    let (body, checksum) = bytes.split_at(body_length);
    let got = u32::from_le_bytes(checksum.try_into().map_err(|_| RecordError::Truncated)?);
    let expected = crc32fast::hash(body);
    if got == expected { Ok(body) } else { Err(RecordError::Checksum { expected, got }) }
}

struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn i32(&mut self, value: i32) {
        self.bytes(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("lists and texts of a request are below 2 GiB");
        self.bytes(&length.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    fn optional_text(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn nodes(&mut self, nodes: &[NodeId]) {
        self.length(nodes.len());
        nodes.iter().for_each(|node| self.i32(node.0));
    }

    fn resource(&mut self, resource: &ConfigResource) {
        match resource {
            ConfigResource::Topic(name) => {
                self.u8(resource_kind::TOPIC);
                self.text(name);
            }
            ConfigResource::Node(node) => {
                self.u8(resource_kind::NODE);
                self.i32(node.0);
            }
            ConfigResource::Cluster => self.u8(resource_kind::CLUSTER),
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let checksum = crc32fast::hash(&self.0);
        self.bytes(&checksum.to_le_bytes());
        self.0
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.take(N)?.try_into().map_err(|_| RecordError::Truncated)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        self.array().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, RecordError> {
        self.array().map(i64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, RecordError> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn text(&mut self) -> Result<String, RecordError> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).map(str::to_owned).map_err(|_| RecordError::Field("text"))
    }

    fn optional_text(&mut self) -> Result<Option<String>, RecordError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(RecordError::Field("optional text")),
        }
    }

    fn node(&mut self) -> Result<NodeId, RecordError> {
        self.i32().map(NodeId)
    }

    fn nodes(&mut self) -> Result<Vec<NodeId>, RecordError> {
        let count = self.length()?;
        // Taken before anything is reserved: the length is from outside.
        let bytes = self.take(count.checked_mul(4).ok_or(RecordError::Truncated)?)?;
        let mut nodes = Reader(bytes);
        (0..count).map(|_| nodes.node()).collect()
    }

    fn topic_id(&mut self) -> Result<TopicId, RecordError> {
        self.array().map(TopicId)
    }

    fn leader_epoch(&mut self) -> Result<LeaderEpoch, RecordError> {
        LeaderEpoch::try_new(self.i32()?).ok_or(RecordError::Field("leader epoch"))
    }

    fn resource(&mut self) -> Result<ConfigResource, RecordError> {
        match self.u8()? {
            resource_kind::TOPIC => self.text().map(ConfigResource::Topic),
            resource_kind::NODE => self.node().map(ConfigResource::Node),
            resource_kind::CLUSTER => Ok(ConfigResource::Cluster),
            _ => Err(RecordError::Field("resource")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resource() -> impl Strategy<Value = ConfigResource> {
        prop_oneof![
            ".{0,20}".prop_map(ConfigResource::Topic),
            any::<i32>().prop_map(|id| ConfigResource::Node(NodeId(id))),
            Just(ConfigResource::Cluster),
        ]
    }

    fn nodes() -> impl Strategy<Value = Vec<NodeId>> {
        proptest::collection::vec(any::<i32>().prop_map(NodeId), 0..5)
    }

    fn record() -> impl Strategy<Value = MetadataRecord> {
        let topic_id = || any::<[u8; 16]>().prop_map(TopicId);
        prop_oneof![
            ".{0,30}".prop_map(|cluster_id| MetadataRecord::ClusterCreated { cluster_id }),
            (any::<i32>(), any::<i64>(), ".{0,20}", any::<u16>(), proptest::option::of(".{0,9}")).prop_map(
                |(node, registration_epoch, host, port, rack)| MetadataRecord::NodeRegistered {
                    node_id: NodeId(node),
                    registration_epoch,
                    host,
                    port,
                    rack,
                }
            ),
            (topic_id(), ".{0,30}")
                .prop_map(|(topic_id, name)| MetadataRecord::TopicCreated { topic_id, name }),
            (topic_id(), any::<i32>(), nodes(), nodes(), any::<i32>(), -1..i32::MAX, any::<i32>()).prop_map(
                |(topic_id, partition, replicas, in_sync, leader, leader_epoch, partition_epoch)| {
                    MetadataRecord::PartitionCreated {
                        topic_id,
                        partition,
                        replicas,
                        in_sync,
                        leader: NodeId(leader),
                        leader_epoch: LeaderEpoch::new(leader_epoch),
                        partition_epoch: PartitionEpoch(partition_epoch),
                    }
                }
            ),
            topic_id().prop_map(|topic_id| MetadataRecord::TopicDeleted { topic_id }),
            (resource(), ".{0,20}", ".{0,20}")
                .prop_map(|(resource, name, value)| MetadataRecord::ConfigSet { resource, name, value }),
            (resource(), ".{0,20}")
                .prop_map(|(resource, name)| MetadataRecord::ConfigRemoved { resource, name }),
            (any::<i32>(), any::<i64>()).prop_map(|(node, next)| MetadataRecord::ProducerIdsAllocated {
                node_id: NodeId(node),
                next
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(record in record()) {
            prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn a_flipped_bit_is_found(record in record(), bit in any::<prop::sample::Index>()) {
            let mut bytes = record.encode();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(MetadataRecord::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            // With a good checksum, so that the fields are reached.
            let mut bytes = bytes;
            let checksum = crc32fast::hash(&bytes);
            bytes.extend_from_slice(&checksum.to_le_bytes());
            if let Ok(record) = MetadataRecord::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }

    #[test]
    fn zeros_and_other_versions_are_refused() {
        let sealed = |body: &[u8]| {
            let mut bytes = body.to_vec();
            bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
            bytes
        };
        assert_eq!(MetadataRecord::decode(&[]), Err(RecordError::Truncated));
        assert_eq!(MetadataRecord::decode(&sealed(&[0, 0])), Err(RecordError::Version(0)));
        assert_eq!(MetadataRecord::decode(&sealed(&[2, 1])), Err(RecordError::Version(2)));
        assert_eq!(MetadataRecord::decode(&sealed(&[1, 0])), Err(RecordError::Kind(0)));
        assert_eq!(MetadataRecord::decode(&sealed(&[1, 99])), Err(RecordError::Kind(99)));
        let mut too_long = vec![1, kind::TOPIC_DELETED];
        too_long.extend_from_slice(&[7; 17]);
        assert_eq!(MetadataRecord::decode(&sealed(&too_long)), Err(RecordError::Leftover(1)));
        let endless_text = [1, kind::CLUSTER_CREATED, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(MetadataRecord::decode(&sealed(&endless_text)), Err(RecordError::Truncated));
    }

    /// The bytes of version 1, which stay readable.
    #[test]
    fn the_format_does_not_drift() {
        let record = MetadataRecord::ConfigSet {
            resource: ConfigResource::Topic("t".to_owned()),
            name: "retention.ms".to_owned(),
            value: "1".to_owned(),
        };
        let expected = [
            &[1, 6, 1, 1, 0, 0, 0, b't', 12, 0, 0, 0][..],
            b"retention.ms",
            &[1, 0, 0, 0, b'1'],
            &0xb824_500b_u32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(record.encode(), expected);
    }
}

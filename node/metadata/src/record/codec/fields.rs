//! What records are made of: numbers, texts, lists, and the state of nodes and partitions. Every length from outside is
//! bounded by the bytes that remain before anything is reserved.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use ringmain_storage::{LeaderEpoch, TopicId};

use super::RecordError;
use crate::identity::{IncarnationId, NodeId, PartitionEpoch};
use crate::node_image::{Endpoint, LevelRange, NodeImage, PeerEndpoints};
use crate::partition_image::PartitionImage;
use crate::record::ConfigResource;

const CHECKSUM_BYTES: usize = 4;

/// Kinds of resources as they stand in the bytes.
mod resource_kind {
    pub(super) const TOPIC: u8 = 1;
    pub(super) const NODE: u8 = 2;
    pub(super) const CLUSTER: u8 = 3;
}

/// The bytes without their checksum, which has been compared.
pub(super) fn checked_body(bytes: &[u8]) -> Result<&[u8], RecordError> {
    let body_length = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(RecordError::Truncated)?;
    let (body, checksum) = bytes.split_at(body_length);
    let got = u32::from_le_bytes(checksum.try_into().map_err(|_| RecordError::Truncated)?);
    let expected = crc32fast::hash(body);
    if got == expected { Ok(body) } else { Err(RecordError::Checksum { expected, got }) }
}

pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("lists and texts of a request are below 2 GiB");
        self.bytes(&length.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    pub(super) fn optional_version(&mut self, version: Option<u64>) {
        self.boolean(version.is_some());
        if let Some(version) = version {
            self.bytes(&version.to_le_bytes());
        }
    }

    pub(super) fn node_ids(&mut self, nodes: &[NodeId]) {
        self.length(nodes.len());
        nodes.iter().for_each(|node| self.i32(node.0));
    }

    pub(super) fn optional_node_id(&mut self, node: Option<NodeId>) {
        self.boolean(node.is_some());
        if let Some(node) = node {
            self.i32(node.0);
        }
    }

    pub(super) fn node(&mut self, node: &NodeImage) {
        self.i64(node.registration_epoch);
        self.bytes(&node.incarnation_id.0);
        self.length(node.endpoints.len());
        for endpoint in &node.endpoints {
            self.text(&endpoint.listener);
            self.text(&endpoint.host);
            self.u16(endpoint.port);
        }
        self.optional_text(node.rack.as_deref());
        self.boolean(node.peer.is_some());
        if let Some(peer) = &node.peer {
            self.text(&peer.host);
            self.u16(peer.control_port);
            self.length(peer.data_ports.len());
            peer.data_ports.iter().for_each(|port| self.u16(*port));
        }
        self.i16(node.levels.least);
        self.i16(node.levels.most);
        self.boolean(node.fenced);
        self.optional_version(node.stopping_since);
    }

    pub(super) fn partition(&mut self, state: &PartitionImage) {
        self.node_ids(&state.replicas);
        self.node_ids(&state.in_sync);
        self.node_ids(&state.eligible);
        self.optional_node_id(state.last_known_leader);
        self.node_ids(&state.adding);
        self.node_ids(&state.removing);
        self.optional_node_id(state.leader);
        self.boolean(state.recovering);
        self.i32(state.leader_epoch.value());
        self.i32(state.partition_epoch.0);
    }

    pub(super) fn resource(&mut self, resource: &ConfigResource) {
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

    pub(super) fn finish(mut self) -> Vec<u8> {
        let checksum = crc32fast::hash(&self.0);
        self.bytes(&checksum.to_le_bytes());
        self.0
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.take(N)?.try_into().map_err(|_| RecordError::Truncated)
    }

    pub(super) fn u8(&mut self) -> Result<u8, RecordError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, RecordError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Field("boolean")),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16, RecordError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, RecordError> {
        self.array().map(i16::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, RecordError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, RecordError> {
        self.array().map(i64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, RecordError> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    pub(super) fn text(&mut self) -> Result<String, RecordError> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).map(str::to_owned).map_err(|_| RecordError::Field("text"))
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, RecordError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(RecordError::Field("optional text")),
        }
    }

    pub(super) fn optional_version(&mut self) -> Result<Option<u64>, RecordError> {
        self.boolean()?.then(|| self.array().map(u64::from_le_bytes)).transpose()
    }

    pub(super) fn node_id(&mut self) -> Result<NodeId, RecordError> {
        self.i32().map(NodeId)
    }

    pub(super) fn optional_node_id(&mut self) -> Result<Option<NodeId>, RecordError> {
        self.boolean()?.then(|| self.node_id()).transpose()
    }

    /// A list whose items have `item_bytes` at least.
    fn list<T>(
        &mut self,
        item_bytes: usize,
        read: impl Fn(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.length()?;
        // Before anything is reserved: the length is from outside.
        if count.checked_mul(item_bytes).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(RecordError::Truncated);
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub(super) fn node_ids(&mut self) -> Result<Vec<NodeId>, RecordError> {
        self.list(4, Self::node_id)
    }

    pub(super) fn node(&mut self) -> Result<NodeImage, RecordError> {
        Ok(NodeImage {
            registration_epoch: self.i64()?,
            incarnation_id: IncarnationId(self.array()?),
            endpoints: self.list(10, |reader| {
                Ok(Endpoint { listener: reader.text()?, host: reader.text()?, port: reader.u16()? })
            })?,
            rack: self.optional_text()?,
            peer: self.boolean()?.then(|| self.peer()).transpose()?,
            levels: LevelRange { least: self.i16()?, most: self.i16()? },
            fenced: self.boolean()?,
            stopping_since: self.optional_version()?,
        })
    }

    fn peer(&mut self) -> Result<PeerEndpoints, RecordError> {
        Ok(PeerEndpoints {
            host: self.text()?,
            control_port: self.u16()?,
            data_ports: self.list(2, Self::u16)?,
        })
    }

    pub(super) fn partition(&mut self) -> Result<PartitionImage, RecordError> {
        Ok(PartitionImage {
            replicas: self.node_ids()?,
            in_sync: self.node_ids()?,
            eligible: self.node_ids()?,
            last_known_leader: self.optional_node_id()?,
            adding: self.node_ids()?,
            removing: self.node_ids()?,
            leader: self.optional_node_id()?,
            recovering: self.boolean()?,
            leader_epoch: self.leader_epoch()?,
            partition_epoch: PartitionEpoch(self.i32()?),
        })
    }

    pub(super) fn topic_id(&mut self) -> Result<TopicId, RecordError> {
        self.array().map(TopicId)
    }

    pub(super) fn leader_epoch(&mut self) -> Result<LeaderEpoch, RecordError> {
        LeaderEpoch::try_new(self.i32()?).ok_or(RecordError::Field("leader epoch"))
    }

    pub(super) fn resource(&mut self) -> Result<ConfigResource, RecordError> {
        match self.u8()? {
            resource_kind::TOPIC => self.text().map(ConfigResource::Topic),
            resource_kind::NODE => self.node_id().map(ConfigResource::Node),
            resource_kind::CLUSTER => Ok(ConfigResource::Cluster),
            _ => Err(RecordError::Field("resource")),
        }
    }
}

//! A node of the cluster as its registration describes it.
//!
//! What must hold: a registration epoch is never given twice, to whatever node; it is the number of records before the
//! registration, so an image of a higher version has seen it. A fenced node leads nothing and enters no in-sync set; nor
//! does one that is stopping.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::identity::IncarnationId;

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeImage {
    /// Grows with each of its starts; Kafka's "broker epoch".
    pub registration_epoch: i64,
    /// Drawn at each start of its process. Zero where a node that is alone registered itself.
    pub incarnation_id: IncarnationId,
    /// Where clients reach it, the one that they are told first. Never empty.
    pub endpoints: Vec<Endpoint>,
    /// Its rack, if told.
    pub rack: Option<String>,
    /// Where other nodes reach it; `None` for a node that is alone.
    pub peer: Option<PeerEndpoints>,
    /// Levels of the metadata that its program can read and write.
    pub levels: LevelRange,
    /// It was silent, or has not caught up since it started.
    pub fenced: bool,
    /// It asked to stop; the version of the image since which it leads nothing.
    pub stopping_since: Option<u64>,
}

/// Where clients reach a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The listener's name, as Kafka's: `PLAINTEXT`.
    pub listener: String,
    /// A name or an address.
    pub host: String,
    /// A port.
    pub port: u16,
}

/// Where the other nodes reach a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEndpoints {
    /// A name or an address.
    pub host: String,
    /// For registration, heartbeats and the quorum.
    pub control_port: u16,
    /// For the data of partitions: one a shard, so their number is the number of its shards.
    pub data_ports: Vec<u16>,
}

/// Levels of a feature, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRange {
    /// The lowest.
    pub least: i16,
    /// The highest.
    pub most: i16,
}

impl LevelRange {
    /// Whether a level lies in it.
    pub fn contains(self, level: i16) -> bool {
        (self.least..=self.most).contains(&level)
    }
}

impl NodeImage {
    /// The name of the endpoint that clients are told.
    pub fn host(&self) -> &str {
        self.endpoints.first().map_or("", |endpoint| endpoint.host.as_str())
    }

    /// The port of the endpoint that clients are told.
    pub fn port(&self) -> u16 {
        self.endpoints.first().map_or(0, |endpoint| endpoint.port)
    }

    /// Whether it may lead and enter in-sync sets.
    pub fn is_active(&self) -> bool {
        !self.fenced && self.stopping_since.is_none()
    }
}

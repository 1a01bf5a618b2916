//! RegisterNode and UnregisterNode: who belongs to the cluster, and which start of it counts.
//!
//! A new start leads nothing until it has seen its own registration: what it led before got a new leader epoch by the
//! records that go before its registration, so that it cannot write a second history in the same epoch.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use super::features::METADATA_FEATURE;
use super::{Controller, Decision, Refusal};
use crate::identity::{IncarnationId, NodeId};
use crate::image::TopicImage;
use crate::node_image::{Endpoint, LevelRange, NodeImage, PeerEndpoints};
use crate::planted;
use crate::record::MetadataRecord;
use crate::sessions::Sessions;

/// A node that starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterNode {
    /// The cluster that it believes to be in.
    pub cluster_id: String,
    /// Who.
    pub node_id: NodeId,
    /// Drawn at this start.
    pub incarnation_id: IncarnationId,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// Its rack, if told.
    pub rack: Option<String>,
    /// Where other nodes reach it.
    pub peer: PeerEndpoints,
    /// Levels of the metadata that it can read and write.
    pub levels: LevelRange,
    /// Starts of this node under one of which its disk was last written: the last one that knew that it was registered,
    /// and those after it that never learned whether they were, and so wrote nothing. Empty on an empty disk. If the
    /// newest registration is none of theirs, the disk is not the one that acknowledged.
    pub previous: Vec<IncarnationId>,
    /// What is still there of what it acknowledged.
    pub surviving: Surviving,
}

/// What a node's disk still has of what it acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Surviving {
    /// All of it: the process ended, whether it was told to or not, and the machine did not.
    Everything,
    /// What was flushed: the machine lost its power. Topics with write.caching may miss their last records.
    Flushed,
    /// Part of it at best: logs are damaged or gone.
    Unknown,
}

impl Controller<'_> {
    /// Registers a start of a node; the answer is its registration epoch.
    pub fn register_node(
        &self,
        sessions: &Sessions,
        now_ms: u64,
        request: &RegisterNode,
    ) -> Decision<Result<i64, Refusal>> {
        if let Err(refusal) = self.check_registration(sessions, now_ms, request) {
            return Decision { records: Vec::new(), answer: Err(refusal) };
        }
        let mut node = NodeImage {
            registration_epoch: 0,
            incarnation_id: request.incarnation_id,
            endpoints: request.endpoints.clone(),
            rack: request.rack.clone(),
            peer: Some(request.peer.clone()),
            levels: request.levels,
            fenced: true,
            stopping_since: None,
        };
        let before = self.image.nodes().get(&request.node_id);
        let mut records = Vec::new();
        match before.filter(|before| before.incarnation_id == request.incarnation_id) {
            // The same start again: an answer was lost, or an address changed.
            Some(before) => {
                node.registration_epoch = before.registration_epoch;
                node.fenced = before.fenced;
                node.stopping_since = before.stopping_since;
            }
            None => {
                let surviving = surviving(before, request);
                if !planted::is("restart_keeps_leading") {
                    records = self.without(request.node_id, |topic| self.is_lost(surviving, topic));
                }
                let position = self.image.version() + records.len() as u64;
                node.registration_epoch = i64::try_from(position).expect("so many records are never written");
            }
        }
        let registration_epoch = node.registration_epoch;
        records.push(MetadataRecord::NodeRegistered { node_id: request.node_id, node });
        Decision { records, answer: Ok(registration_epoch) }
    }

    /// Takes a node out of the cluster. What it keeps is as if its disk were gone.
    pub fn unregister_node(&self, node_id: NodeId) -> Decision<Result<(), Refusal>> {
        let Some(node) = self.image.nodes().get(&node_id) else {
            let message = format!("Broker ID {node_id} is not currently registered");
            let refusal = Refusal::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message);
            return Decision { records: Vec::new(), answer: Err(refusal) };
        };
        let mut records = self.without(node_id, |_| true);
        records
            .push(MetadataRecord::NodeUnregistered { node_id, registration_epoch: node.registration_epoch });
        Decision { records, answer: Ok(()) }
    }

    fn check_registration(
        &self,
        sessions: &Sessions,
        now_ms: u64,
        request: &RegisterNode,
    ) -> Result<(), Refusal> {
        let refused = |code, message: String| Err(Refusal::new(code, message));
        let cluster_id = self.image.cluster_id();
        if cluster_id != request.cluster_id {
            let message =
                format!("Expected cluster ID {cluster_id}, but got cluster ID {}", request.cluster_id);
            return refused(ErrorCode::INCONSISTENT_CLUSTER_ID, message);
        }
        if request.node_id.0 < 0 || request.endpoints.is_empty() || request.peer.data_ports.is_empty() {
            let message = "A registration has a node id, an endpoint for clients and a port for each shard.";
            return refused(ErrorCode::INVALID_REGISTRATION, message.into());
        }
        let other = self.image.nodes().get(&request.node_id);
        if other.is_some_and(|other| other.incarnation_id != request.incarnation_id)
            && sessions.is_live(self.image, request.node_id, now_ms)
            && !planted::is("two_live_starts")
        {
            let message = "Another broker is registered with that broker id.";
            return refused(ErrorCode::DUPLICATE_BROKER_REGISTRATION, message.into());
        }
        let level = self.image.feature_level(METADATA_FEATURE);
        if !request.levels.contains(level) {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} of \
                 {METADATA_FEATURE}. The broker wants a version between {} and {}, inclusive.",
                request.levels.least, request.levels.most
            );
            return refused(ErrorCode::UNSUPPORTED_VERSION, message);
        }
        Ok(())
    }

    fn is_lost(&self, surviving: Surviving, topic: &TopicImage) -> bool {
        match surviving {
            Surviving::Everything => false,
            Surviving::Flushed => self.is_set(topic, "write.caching"),
            Surviving::Unknown => true,
        }
    }
}

/// A disk that was not written under the newest registration is not the one that acknowledged.
fn surviving(before: Option<&NodeImage>, request: &RegisterNode) -> Surviving {
    match before {
        // It was alone until now, and kept no note of its registrations.
        Some(before) if before.incarnation_id == IncarnationId::default() => request.surviving,
        Some(before) if request.previous.contains(&before.incarnation_id) => request.surviving,
        _ => Surviving::Unknown,
    }
}

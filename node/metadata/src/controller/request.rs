//! Everything that can be asked of a controller, and the one function that decides it: for a node that is alone, for the
//! controller's own node, and for every other node alike.
//!
//! Nodes send these to each other, so variants are only added, at the end, and never change their meaning.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{
    AlterConfigs, AlterPartitions, AlteredPartition, ConfigTarget, Controller, CreatePartitions, CreateTopic,
    CreatedTopic, Decision, DeleteTopic, DeletedTopic, ElectedPartition, ElectionKind, Heartbeat,
    HeartbeatAnswer, NewTopicId, ProducerIdBlock, Reassignment, Refusal, RegisterNode, UpdateFeature,
};
use crate::identity::NodeId;
use crate::sessions::Sessions;

/// What is asked; each is described at the method of [`Controller`] that decides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the arguments of the methods, which describe them")]
pub enum ControllerRequest {
    /// [`Controller::create_topics`].
    CreateTopics { topics: Vec<CreateTopic>, validate_only: bool },
    /// [`Controller::delete_topics`].
    DeleteTopics { topics: Vec<DeleteTopic> },
    /// [`Controller::create_partitions`].
    CreatePartitions { topics: Vec<CreatePartitions>, validate_only: bool },
    /// [`Controller::alter_configs`].
    AlterConfigs { resources: Vec<(ConfigTarget, AlterConfigs)>, validate_only: bool },
    /// [`Controller::elect_leaders`].
    ElectLeaders { kind: ElectionKind, partitions: Option<Vec<(String, i32)>> },
    /// [`Controller::reassign`].
    Reassign { partitions: Vec<Reassignment> },
    /// [`Controller::unregister_node`].
    UnregisterNode { node_id: NodeId },
    /// [`Controller::update_features`].
    UpdateFeatures { updates: Vec<UpdateFeature>, validate_only: bool },
    /// [`Controller::allocate_producer_ids`].
    AllocateProducerIds { node_id: NodeId },
    /// [`Controller::alter_partitions`].
    AlterPartitions(AlterPartitions),
    /// [`Controller::register_node`].
    RegisterNode(RegisterNode),
    /// [`Controller::heartbeat`].
    Heartbeat(Heartbeat),
}

/// The answers, each to the request of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControllerAnswer {
    /// In the order of the request.
    CreateTopics(Vec<Result<CreatedTopic, Refusal>>),
    /// In the order of the request.
    DeleteTopics(Vec<Result<DeletedTopic, Refusal>>),
    /// In the order of the request.
    CreatePartitions(Vec<Result<(), Refusal>>),
    /// In the order of the request.
    AlterConfigs(Vec<Result<(), Refusal>>),
    /// In the order of the request, or those that needed an election.
    ElectLeaders(Vec<ElectedPartition>),
    /// In the order of the request.
    Reassign(Vec<Result<(), Refusal>>),
    /// Whether it was registered.
    UnregisterNode(Result<(), Refusal>),
    /// All or none.
    UpdateFeatures(Result<(), Refusal>),
    /// The next block.
    AllocateProducerIds(Result<ProducerIdBlock, Refusal>),
    /// In the order of the request.
    AlterPartitions(Result<Vec<Result<AlteredPartition, Refusal>>, Refusal>),
    /// The registration epoch.
    RegisterNode(Result<i64, Refusal>),
    /// What the node is to be.
    Heartbeat(Result<HeartbeatAnswer, Refusal>),
}

impl ControllerRequest {
    /// The node in whose name it is made, if it may be made in one name only.
    pub fn in_the_name_of(&self) -> Option<NodeId> {
        match self {
            Self::AllocateProducerIds { node_id } => Some(*node_id),
            Self::AlterPartitions(request) => Some(request.node_id),
            Self::RegisterNode(request) => Some(request.node_id),
            Self::Heartbeat(heartbeat) => Some(heartbeat.node_id),
            _ => None,
        }
    }
}

impl<T> Decision<T> {
    fn map<U>(self, into: impl FnOnce(T) -> U) -> Decision<U> {
        Decision { records: self.records, answer: into(self.answer) }
    }
}

impl Controller<'_> {
    /// Decides any request at `now_ms`. `sessions` hear of registrations, of heartbeats that are accepted, and of nodes
    /// that leave.
    pub fn decide(
        &self,
        request: &ControllerRequest,
        sessions: &mut Sessions,
        now_ms: u64,
        new_topic_id: NewTopicId<'_>,
    ) -> Decision<ControllerAnswer> {
        use ControllerAnswer as Answer;
        use ControllerRequest as Request;
        match request {
            Request::CreateTopics { topics, validate_only } => {
                self.create_topics(topics, *validate_only, new_topic_id).map(Answer::CreateTopics)
            }
            Request::DeleteTopics { topics } => self.delete_topics(topics).map(Answer::DeleteTopics),
            Request::CreatePartitions { topics, validate_only } => {
                self.create_partitions(topics, *validate_only).map(Answer::CreatePartitions)
            }
            Request::AlterConfigs { resources, validate_only } => {
                self.alter_configs(resources, *validate_only).map(Answer::AlterConfigs)
            }
            Request::ElectLeaders { kind, partitions } => {
                self.elect_leaders(*kind, partitions.as_deref()).map(Answer::ElectLeaders)
            }
            Request::Reassign { partitions } => self.reassign(partitions).map(Answer::Reassign),
            Request::UnregisterNode { node_id } => {
                let decision = self.unregister_node(*node_id);
                if decision.answer.is_ok() {
                    sessions.forget(*node_id);
                }
                decision.map(Answer::UnregisterNode)
            }
            Request::UpdateFeatures { updates, validate_only } => {
                self.update_features(updates, *validate_only).map(Answer::UpdateFeatures)
            }
            Request::AllocateProducerIds { node_id } => {
                self.allocate_producer_ids(*node_id).map(Answer::AllocateProducerIds)
            }
            Request::AlterPartitions(request) => self.alter_partitions(request).map(Answer::AlterPartitions),
            Request::RegisterNode(request) => {
                let decision = self.register_node(sessions, now_ms, request);
                if let Ok(registration_epoch) = decision.answer {
                    sessions.registered(request.node_id, registration_epoch, now_ms);
                }
                decision.map(Answer::RegisterNode)
            }
            Request::Heartbeat(heartbeat) => {
                let Heartbeat { node_id, registration_epoch, version, .. } = *heartbeat;
                if self.registered(node_id, registration_epoch).is_ok() {
                    sessions.heard(node_id, registration_epoch, version, now_ms);
                }
                self.heartbeat(sessions, heartbeat).map(Answer::Heartbeat)
            }
        }
    }
}

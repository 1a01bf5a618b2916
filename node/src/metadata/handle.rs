//! How every shard reaches who decides about metadata: the thread of a node that is alone, or the controller of a cluster.
//!
//! What must hold: an answer comes after this node's newest image has what it speaks of. Does not do: decisions
//! (`ringmain-metadata`), and how a request gets to the controller (`cluster`).

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use futures_channel::oneshot;
use ringmain_protocol::ErrorCode;
use ringmain_replication::quic::certificates::NodeIdentity;

use super::cluster::{ClusterHandle, QuorumDescription};
use super::control_thread::Request;
use super::controller::{
    AlterConfigs, AlterPartitions, AlteredPartition, ConfigTarget, ControllerAnswer as Answer,
    ControllerRequest, CreatePartitions, CreateTopic, CreatedTopic, DeleteTopic, DeletedTopic,
    ElectedPartition, ElectionKind, ProducerIdBlock, Reassignment, Refusal, UpdateFeature,
};
use super::watch::ImageWatch;
use super::{IncarnationId, MetadataImage, NodeId};

/// Why a request was not decided, or is not known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Too many wait already.
    #[error("too many metadata changes wait; try again")]
    Busy,
    /// The thread has ended: the node is stopping, or its store failed.
    #[error("the metadata of this node cannot be changed any more; its log says why")]
    Stopped,
    /// The disk of a lone node has no room for the change; it may have been done all the same.
    #[error("the disk is full: the metadata of this node cannot be changed until there is room")]
    Full,
    /// No controller could be reached in time; nothing was done.
    #[error("no controller could be reached")]
    NoController,
    /// It may have been done: the controller was lost meanwhile, or this node has not heard of the change yet.
    #[error("whether it was done is not known")]
    Unknown,
    /// It does not fit into a message to the controller.
    #[error("the request is too large for the controller")]
    TooLarge,
    /// The controller answered something else: it is another version of the program.
    #[error("the controller's answer makes no sense here; is it another version?")]
    Unintelligible,
}

impl MetadataError {
    /// The code for the client; it tries again with all but those that would never succeed.
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::Busy | Self::NoController | Self::Unknown => ErrorCode::REQUEST_TIMED_OUT,
            Self::Stopped | Self::Full => ErrorCode::KAFKA_STORAGE_ERROR,
            Self::TooLarge => ErrorCode::INVALID_REQUEST,
            Self::Unintelligible => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }
}

/// How every shard reaches the metadata. What is behind it ends with [`MetadataHandle::stop`] or the last handle.
#[derive(Debug, Clone)]
pub struct MetadataHandle {
    way: Way,
    /// Shares with newer images what did not change since.
    first: Arc<MetadataImage>,
    watch: ImageWatch,
}

#[derive(Debug, Clone)]
enum Way {
    Alone(SyncSender<Request>),
    Cluster(ClusterHandle),
}

impl MetadataHandle {
    pub(super) fn alone(requests: SyncSender<Request>, watch: ImageWatch) -> Self {
        Self { way: Way::Alone(requests), first: watch.current(), watch }
    }

    pub(super) fn in_cluster(cluster: ClusterHandle, first: Arc<MetadataImage>, watch: ImageWatch) -> Self {
        Self { way: Way::Cluster(cluster), first, watch }
    }

    /// The image that was on the disk when this process started. Logs are opened by it: a newer one may not have topics any
    /// more whose files are still here.
    pub fn first_image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.first)
    }

    /// The newest image.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.watch.current()
    }

    /// A watch of the images to come.
    pub fn watch(&self) -> ImageWatch {
        self.watch.clone()
    }

    /// Ends the thread once what waits is decided. Tasks that never end hold handles for as long as the process lives, so
    /// a stop cannot wait for the last of them.
    pub fn stop(&self) {
        match &self.way {
            // The only failure is that the thread has ended already.
            Way::Alone(requests) => {
                if requests.send(Request::Stop).is_err() {
                    tracing::debug!("the metadata thread had ended before it was told to");
                }
            }
            Way::Cluster(cluster) => cluster.stop(),
        }
    }

    /// What only a node of a cluster has.
    pub fn cluster(&self) -> Option<&ClusterHandle> {
        match &self.way {
            Way::Alone(_) => None,
            Way::Cluster(cluster) => Some(cluster),
        }
    }

    /// The certificates of this node, if it is in a cluster.
    pub fn identity(&self) -> Option<Arc<NodeIdentity>> {
        self.cluster().map(ClusterHandle::identity)
    }

    /// What tells this start of the node from its others; zero where it is alone.
    pub fn incarnation(&self) -> IncarnationId {
        self.cluster().map(ClusterHandle::incarnation).unwrap_or_default()
    }

    /// The registration epoch of this process; `None` until it is registered with its cluster, or where it is alone.
    pub fn registration(&self) -> Option<i64> {
        self.cluster().and_then(ClusterHandle::registration)
    }

    /// A shard has applied the image of this version.
    pub fn applied(&self, shard: u16, version: u64) {
        if let Some(cluster) = self.cluster() {
            cluster.applied(shard, version);
        }
    }

    /// The node that decides, as far as this one knows; `None` while a cluster has none.
    pub fn controller_id(&self) -> Option<NodeId> {
        match &self.way {
            Way::Alone(_) => self.image().nodes().keys().next().copied(),
            Way::Cluster(cluster) => cluster.controller_id(),
        }
    }

    /// Who keeps the metadata, as the controller knows it; `None` where the node is alone.
    pub async fn quorum_status(&self) -> Result<Option<QuorumDescription>, MetadataError> {
        match &self.way {
            Way::Alone(_) => Ok(None),
            Way::Cluster(cluster) => cluster.describe_quorum().await.map(Some),
        }
    }

    /// Makes topics; see [`Controller::create_topics`](super::controller::Controller::create_topics).
    pub async fn create_topics(
        &self,
        topics: Vec<CreateTopic>,
        validate_only: bool,
    ) -> Result<Vec<Result<CreatedTopic, Refusal>>, MetadataError> {
        match self.ask(ControllerRequest::CreateTopics { topics, validate_only }).await? {
            Answer::CreateTopics(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Deletes topics; see [`Controller::delete_topics`](super::controller::Controller::delete_topics).
    pub async fn delete_topics(
        &self,
        topics: Vec<DeleteTopic>,
    ) -> Result<Vec<Result<DeletedTopic, Refusal>>, MetadataError> {
        match self.ask(ControllerRequest::DeleteTopics { topics }).await? {
            Answer::DeleteTopics(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Adds partitions; see [`Controller::create_partitions`](super::controller::Controller::create_partitions).
    pub async fn create_partitions(
        &self,
        topics: Vec<CreatePartitions>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), Refusal>>, MetadataError> {
        match self.ask(ControllerRequest::CreatePartitions { topics, validate_only }).await? {
            Answer::CreatePartitions(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Changes configurations; see [`Controller::alter_configs`](super::controller::Controller::alter_configs).
    pub async fn alter_configs(
        &self,
        resources: Vec<(ConfigTarget, AlterConfigs)>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), Refusal>>, MetadataError> {
        match self.ask(ControllerRequest::AlterConfigs { resources, validate_only }).await? {
            Answer::AlterConfigs(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Elects leaders; see [`Controller::elect_leaders`](super::controller::Controller::elect_leaders).
    pub async fn elect_leaders(
        &self,
        kind: ElectionKind,
        partitions: Option<Vec<(String, i32)>>,
    ) -> Result<Vec<ElectedPartition>, MetadataError> {
        match self.ask(ControllerRequest::ElectLeaders { kind, partitions }).await? {
            Answer::ElectLeaders(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Moves partitions; see [`Controller::reassign`](super::controller::Controller::reassign).
    pub async fn reassign(
        &self,
        partitions: Vec<Reassignment>,
    ) -> Result<Vec<Result<(), Refusal>>, MetadataError> {
        match self.ask(ControllerRequest::Reassign { partitions }).await? {
            Answer::Reassign(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Takes a node out of the cluster; see
    /// [`Controller::unregister_node`](super::controller::Controller::unregister_node).
    pub async fn unregister_node(&self, node_id: NodeId) -> Result<Result<(), Refusal>, MetadataError> {
        match self.ask(ControllerRequest::UnregisterNode { node_id }).await? {
            Answer::UnregisterNode(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Changes levels of features; see [`Controller::update_features`](super::controller::Controller::update_features).
    pub async fn update_features(
        &self,
        updates: Vec<UpdateFeature>,
        validate_only: bool,
    ) -> Result<Result<(), Refusal>, MetadataError> {
        match self.ask(ControllerRequest::UpdateFeatures { updates, validate_only }).await? {
            Answer::UpdateFeatures(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Takes the next block of producer ids for `node_id`.
    pub async fn allocate_producer_ids(
        &self,
        node_id: NodeId,
    ) -> Result<Result<ProducerIdBlock, Refusal>, MetadataError> {
        match self.ask(ControllerRequest::AllocateProducerIds { node_id }).await? {
            Answer::AllocateProducerIds(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Asks for other in-sync sets; see [`Controller::alter_partitions`](super::controller::Controller::alter_partitions).
    pub async fn alter_partitions(
        &self,
        request: AlterPartitions,
    ) -> Result<Result<Vec<Result<AlteredPartition, Refusal>>, Refusal>, MetadataError> {
        match self.ask(ControllerRequest::AlterPartitions(request)).await? {
            Answer::AlterPartitions(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    async fn ask(&self, request: ControllerRequest) -> Result<Answer, MetadataError> {
        match &self.way {
            Way::Alone(requests) => {
                let (reply, receiver) = oneshot::channel();
                match requests.try_send(Request::Decide(request, reply)) {
                    Ok(()) => receiver.await.unwrap_or(Err(MetadataError::Stopped)),
                    Err(TrySendError::Full(_)) => Err(MetadataError::Busy),
                    Err(TrySendError::Disconnected(_)) => Err(MetadataError::Stopped),
                }
            }
            Way::Cluster(cluster) => cluster.ask(request).await,
        }
    }
}

//! The nodes of the cluster as clients are told of them: where each is reached, in which rack, and who is the controller.
//!
//! What must hold: every answer that names a node takes its address from here, so that no two answers contradict each
//! other. A fenced node is not told to clients as a broker: nobody knows whether it lives.

use ringmain_protocol::{codec::Text, messages::NodeEndpoint};

use crate::{
    metadata::{MetadataImage, NodeId, NodeImage, PartitionImage},
    shard::Shard,
};

/// A node and where clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReachableNode {
    pub(super) id: i32,
    pub(super) host: Text<'static>,
    pub(super) port: i32,
    pub(super) rack: Option<Text<'static>>,
    pub(super) is_fenced: bool,
}

impl ReachableNode {
    fn new(id: NodeId, node: &NodeImage) -> Self {
        Self {
            id: id.0,
            host: Text::Owned(node.host().to_owned()),
            port: node.port().into(),
            rack: node.rack.clone().map(Text::Owned),
            is_fenced: node.fenced,
        }
    }
}

impl From<ReachableNode> for NodeEndpoint<'static> {
    fn from(node: ReachableNode) -> Self {
        NodeEndpoint { node_id: node.id, host: node.host, port: node.port, rack: node.rack }
    }
}

/// Every node that is registered, also the fenced ones.
pub(super) fn registered(image: &MetadataImage) -> impl Iterator<Item = ReachableNode> {
    image.nodes().iter().map(|(id, node)| ReachableNode::new(*id, node))
}

/// The nodes that serve.
pub(super) fn unfenced(image: &MetadataImage) -> impl Iterator<Item = ReachableNode> {
    registered(image).filter(|node| !node.is_fenced)
}

/// A node that serves.
pub(super) fn reachable(image: &MetadataImage, id: NodeId) -> Option<ReachableNode> {
    image.nodes().get(&id).filter(|node| !node.fenced).map(|node| ReachableNode::new(id, node))
}

/// Where clients send what the controller decides. Every node passes such requests on, so where the controller is not
/// known, or is no node that clients are told of, this one will do.
pub(super) fn controller(shard: &Shard, image: &MetadataImage) -> i32 {
    let controller = shard.metadata().controller_id().and_then(|id| reachable(image, id));
    controller.map_or(shard.node().node_id().0, |node| node.id)
}

/// Who leads a partition, if it is a node that serves.
pub(super) fn leader(image: &MetadataImage, partition: &PartitionImage) -> Option<ReachableNode> {
    partition.leader.and_then(|leader| reachable(image, leader))
}

/// The replicas of a partition on nodes that do not serve.
pub(super) fn offline_replicas(image: &MetadataImage, partition: &PartitionImage) -> Vec<i32> {
    let is_offline = |id: &&NodeId| image.nodes().get(id).is_none_or(|node| node.fenced);
    partition.replicas.iter().filter(is_offline).map(|id| id.0).collect()
}

//! What an operator on call wants to read about the nodes of a cluster, one line for each change that was committed.

use crate::metadata::{MetadataImage, MetadataRecord, NodeId};

/// Says what a record changes in `before`, if it is about a node.
pub(super) fn tell(before: &MetadataImage, record: &MetadataRecord) {
    match record {
        MetadataRecord::NodeRegistered { node_id, node } => {
            tracing::info!(
                "node {node_id} is registered: epoch {}, clients reach it at {}:{}",
                node.registration_epoch,
                node.host(),
                node.port()
            );
        }
        MetadataRecord::NodeChanged { node_id, fenced, stopping_since, .. } => {
            let was_fenced = before.nodes().get(node_id).is_none_or(|node| node.fenced);
            match (was_fenced, fenced) {
                (false, true) if stopping_since.is_some() => tracing::info!("node {node_id} stops"),
                (false, true) => {
                    let led = leads(before, *node_id);
                    tracing::warn!("node {node_id} is fenced; it led {led} partitions");
                }
                (true, false) => tracing::info!("node {node_id} is unfenced"),
                (false, false) if stopping_since.is_some() => {
                    let led = leads(before, *node_id);
                    tracing::info!("node {node_id} is about to stop and hands over {led} partitions");
                }
                _ => {}
            }
        }
        MetadataRecord::NodeUnregistered { node_id, .. } => {
            tracing::warn!("node {node_id} was taken out of the cluster");
        }
        _ => {}
    }
}

fn leads(image: &MetadataImage, node_id: NodeId) -> usize {
    image.partitions().filter(|(_, _, partition)| partition.leader == Some(node_id)).count()
}

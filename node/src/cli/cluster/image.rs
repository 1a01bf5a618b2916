//! A metadata image made from what the protocol tells, so that plans are made by the code that the controller has.
//!
//! Topic ids are made up: brokers of other versions may not tell them, and a plan names topics.

use ringmain_metadata::controller::ControllerOptions;
use ringmain_metadata::{
    Endpoint, IncarnationId, LevelRange, MetadataImage, MetadataRecord, NodeId, NodeImage, PartitionImage,
    TopicId,
};

use super::snapshot::Snapshot;
use crate::cli::failure::Failure;
use crate::client::{NodeView, Placement};
use crate::config::TopicDefaults;

/// The snapshot as an image.
pub(super) fn of(snapshot: &Snapshot) -> Result<MetadataImage, Failure> {
    let mut records = vec![MetadataRecord::ClusterCreated { cluster_id: snapshot.nodes.cluster_id.clone() }];
    for (epoch, (node_id, node)) in (1..).zip(&snapshot.nodes.nodes) {
        records.push(MetadataRecord::NodeRegistered {
            node_id: NodeId(*node_id),
            node: node_image(epoch, node),
        });
    }
    let mut current: Option<(&str, TopicId)> = None;
    let mut next: u32 = 0;
    for placement in &snapshot.partitions {
        let name = placement.partition.topic.as_str();
        let topic_id = match current {
            Some((topic, topic_id)) if topic == name => topic_id,
            _ => {
                next += 1;
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&next.to_be_bytes());
                let topic_id = TopicId(bytes);
                records.push(MetadataRecord::TopicCreated { topic_id, name: name.to_owned() });
                current = Some((name, topic_id));
                topic_id
            }
        };
        records.push(MetadataRecord::PartitionCreated {
            topic_id,
            partition: placement.partition.index,
            state: partition_image(snapshot, placement),
        });
    }
    MetadataImage::default().after(&records).map_err(|error| {
        Failure::Other(format!("the cluster describes itself in a way that cannot be: {error}"))
    })
}

/// What a controller that only plans needs.
pub(super) fn options() -> ControllerOptions {
    ControllerOptions {
        node_id: NodeId(-1),
        default_partitions: 1,
        default_replication_factor: 1,
        partitions_max: usize::MAX,
        partitions_per_request_max: usize::MAX,
        topic_defaults: TopicDefaults::default(),
    }
}

fn node_image(registration_epoch: i64, node: &NodeView) -> NodeImage {
    NodeImage {
        registration_epoch,
        incarnation_id: IncarnationId::default(),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: node.address.host.clone(),
            port: node.address.port,
        }],
        rack: node.rack.clone(),
        peer: None,
        levels: LevelRange { least: 0, most: i16::MAX },
        fenced: node.is_fenced,
        stopping_since: None,
    }
}

fn partition_image(snapshot: &Snapshot, placement: &Placement) -> PartitionImage {
    let nodes = |nodes: &[i32]| nodes.iter().copied().map(NodeId).collect::<Vec<_>>();
    // Answers are of different moments: only what fits the replicas is taken over.
    let kept = |some: &[i32]| {
        nodes(&some.iter().copied().filter(|node| placement.replicas.contains(node)).collect::<Vec<_>>())
    };
    let mut state = PartitionImage::created(nodes(&placement.replicas), kept(&placement.in_sync));
    state.leader = placement.leader.filter(|leader| placement.in_sync.contains(leader)).map(NodeId);
    if let Some(moving) = snapshot.move_of(placement) {
        (state.adding, state.removing) = (kept(&moving.adding), kept(&moving.removing));
    }
    state
}

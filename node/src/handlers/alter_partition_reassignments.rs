//! AlterPartitionReassignments: partitions move to other nodes, or stop moving (KIP-455).

use std::{collections::BTreeSet, rc::Rc};

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
        ReassignablePartitionResponse, ReassignableTopicResponse,
    },
};

use super::{refusal_parts, refused_by_service};
use crate::{
    metadata::{
        MetadataImage, NodeId,
        controller::{Reassignment, Refusal},
    },
    shard::Shard,
};

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &AlterPartitionReassignmentsRequest<'_>,
) -> AlterPartitionReassignmentsResponse<'static> {
    let image = shard.image();
    let mut wanted = Vec::new();
    // Where a partition was refused here already, else the place of what the controller says of it.
    let mut refused = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let changed = !request.allow_replication_factor_change
                && changes_replication_factor(&image, topic.name, partition);
            refused.push(changed.then(|| {
                let message =
                    "The replication factor of a partition would change, which the request does not allow.";
                Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message)
            }));
            if !changed {
                wanted.push(Reassignment {
                    topic: topic.name.to_owned(),
                    partition: partition.partition_index,
                    replicas: partition.replicas.clone(),
                });
            }
        }
    }
    let items = wanted.len();
    let decided = match shard.metadata().reassign(wanted).await {
        Ok(decided) => {
            shard.applied_everywhere().await;
            decided
        }
        Err(error) => refused_by_service(items, &error),
    };
    let mut decided = decided.into_iter();
    let mut results = refused.into_iter().map(|refused| match refused {
        Some(refusal) => Err(refusal),
        None => decided.next().expect("the controller answers each item"),
    });
    let responses = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let result = results.next().expect("each partition has a result");
            let (error_code, error_message) = refusal_parts(result);
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code,
                error_message,
            }
        });
        ReassignableTopicResponse {
            name: Text::Owned(topic.name.to_owned()),
            partitions: partitions.collect(),
        }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        // As Kafka, which does not ask its controller for nothing.
        error_message: request.topics.is_empty().then_some(Text::Borrowed("")),
        responses: responses.collect(),
        ..Default::default()
    }
}

/// Whether the partition would have more or fewer replicas than it has, or is about to have. What the controller refuses
/// for other reasons is not looked at, as in Kafka.
fn changes_replication_factor(image: &MetadataImage, topic: &str, wanted: &ReassignablePartition) -> bool {
    let topic = image.topic(topic);
    let before = topic.and_then(|topic| image.partition(topic.id, wanted.partition_index));
    before.zip(wanted.replicas.as_ref()).is_some_and(|(before, replicas)| {
        let nodes: BTreeSet<NodeId> = replicas.iter().copied().map(NodeId).collect();
        let is_possible = !nodes.is_empty()
            && nodes.len() == replicas.len()
            && nodes.iter().all(|node| image.nodes().contains_key(node));
        is_possible && replicas.len() != before.replicas.len() - before.removing.len()
    })
}

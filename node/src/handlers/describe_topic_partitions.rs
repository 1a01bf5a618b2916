//! DescribeTopicPartitions: topics and their partitions, a page at a time (KIP-966).
//!
//! What must hold: topics come in the order of their names, each partition on one page only; a page that is not the last
//! says where the next one begins.

use std::collections::BTreeSet;

use ringmain_protocol::{
    ErrorCode,
    codec::{Text, Uuid},
    messages::{
        DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribedPartition, DescribedTopic,
        TopicPartitionCursor,
    },
};

use super::{
    metadata::{NO_LEADER, TOPIC_OPERATIONS},
    nodes,
};
use crate::{
    metadata::{MetadataImage, NodeId, PartitionImage, controller::check_topic_name, is_internal_topic},
    shard::Shard,
};

/// Partitions on a page, whatever the client asks for: the default of Kafka's `max.request.partition.size.limit`.
const PARTITIONS_MAX: i32 = 2000;

pub(super) fn answer(
    shard: &Shard,
    request: &DescribeTopicPartitionsRequest<'_>,
) -> DescribeTopicPartitionsResponse<'static> {
    let image = shard.image();
    match names(&image, request) {
        Ok(names) => page(&image, request, names),
        Err(error_code) => refused(request, error_code),
    }
}

/// The topics from the cursor on, in order.
fn names<'a>(
    image: &'a MetadataImage,
    request: &DescribeTopicPartitionsRequest<'a>,
) -> Result<BTreeSet<&'a str>, ErrorCode> {
    let cursor = request.cursor.as_ref();
    let from = cursor.map_or("", |cursor| cursor.topic_name.as_ref());
    let names: BTreeSet<&str> = if request.topics.is_empty() {
        image.topics().map(|topic| &*topic.name).filter(|name| *name >= from).collect()
    } else {
        request.topics.iter().map(|topic| topic.name).filter(|name| *name >= from).collect()
    };
    match cursor {
        Some(cursor) if cursor.partition_index < 0 => Err(ErrorCode::INVALID_REQUEST),
        Some(_) if !request.topics.is_empty() && !names.contains(from) => Err(ErrorCode::INVALID_REQUEST),
        _ => Ok(names),
    }
}

fn refused(
    request: &DescribeTopicPartitionsRequest<'_>,
    error_code: ErrorCode,
) -> DescribeTopicPartitionsResponse<'static> {
    let topics = request.topics.iter().map(|topic| DescribedTopic {
        error_code,
        name: Some(Text::Owned(topic.name.to_owned())),
        ..Default::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

fn page(
    image: &MetadataImage,
    request: &DescribeTopicPartitionsRequest<'_>,
    names: BTreeSet<&str>,
) -> DescribeTopicPartitionsResponse<'static> {
    let limit = request.response_partition_limit.clamp(1, PARTITIONS_MAX);
    let mut left = usize::try_from(limit).expect("it is at least 1");
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if left == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let Some(topic) = image.topic(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let begun = request.cursor.as_ref().filter(|cursor| cursor.topic_name == name);
        let from = begun.map_or(0, |cursor| usize::try_from(cursor.partition_index).unwrap_or(0));
        let partitions: Vec<DescribedPartition> = (0..)
            .zip(&topic.partitions)
            .skip(from)
            .take(left)
            .map(|(index, partition)| described(image, index, partition))
            .collect();
        let next = from.saturating_add(partitions.len());
        left -= partitions.len();
        response.topics.push(DescribedTopic {
            name: Some(Text::Owned(name.to_owned())),
            topic_id: Uuid(topic.id.0),
            is_internal: is_internal_topic(name),
            partitions,
            topic_authorized_operations: TOPIC_OPERATIONS,
            ..Default::default()
        });
        if next < topic.partitions.len() {
            let next = i32::try_from(next).expect("a partition's index is an i32");
            response.next_cursor = Some(cursor(name, next));
            break;
        }
    }
    response
}

fn cursor(name: &str, partition_index: i32) -> TopicPartitionCursor<'static> {
    TopicPartitionCursor { topic_name: Text::Owned(name.to_owned()), partition_index }
}

/// A name that was asked for and that no topic has.
fn unknown(name: &str) -> DescribedTopic<'static> {
    let is_possible = check_topic_name(name).is_ok();
    DescribedTopic {
        error_code: if is_possible {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        } else {
            ErrorCode::INVALID_TOPIC_EXCEPTION
        },
        name: Some(Text::Owned(name.to_owned())),
        is_internal: is_internal_topic(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn described(image: &MetadataImage, partition_index: i32, partition: &PartitionImage) -> DescribedPartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
    DescribedPartition {
        partition_index,
        leader_id: nodes::leader(image, partition).map_or(NO_LEADER, |leader| leader.id),
        leader_epoch: partition.leader_epoch.value(),
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.in_sync),
        eligible_leader_replicas: Some(ids(&partition.eligible)),
        last_known_elr: Some(partition.last_known_leader.iter().map(|leader| leader.0).collect()),
        offline_replicas: nodes::offline_replicas(image, partition),
        ..Default::default()
    }
}

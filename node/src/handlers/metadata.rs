//! Metadata: brokers, topics, leaders; and the place where a topic is made by being asked for.
//!
//! What must hold: a topic that this answer shows as led can be used at once, on every shard.

use std::{collections::BTreeSet, rc::Rc};

use ringmain_protocol::{
    ErrorCode,
    codec::{Text, Uuid},
    messages::{
        MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
        MetadataTopic,
    },
};
use ringmain_storage::TopicId;

use super::{
    RequestInfo,
    describe_cluster::CLUSTER_OPERATIONS,
    nodes::{self, ReachableNode},
};
use crate::{
    metadata::{
        MetadataImage, NodeId, PartitionImage, TopicImage,
        controller::{CreateTopic, check_topic_name},
        is_internal_topic,
    },
    shard::Shard,
};

/// The only version in which an empty list of topics means all of them.
const EMPTY_IS_ALL_VERSION: i16 = 0;
/// Up to this version only replicas that can be reached are told.
const REACHABLE_REPLICAS_UP_TO_VERSION: i16 = 0;
/// In place of the leader of a partition that has none.
pub(super) const NO_LEADER: i32 = -1;
/// The first version in which a topic may be asked for by its id.
const IDS_FROM_VERSION: i16 = 12;
/// Operations on a topic that a client without restrictions may do, as bits of Kafka's `AclOperation` codes: read 3,
/// write 4, create 5, delete 6, alter 7, describe 8, describe configs 10, alter configs 11.
pub(super) const TOPIC_OPERATIONS: i32 =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

pub(super) async fn answer(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &MetadataRequest<'_>,
) -> MetadataResponse<'static> {
    let asked =
        request.topics.as_deref().filter(|asked| info.version > EMPTY_IS_ALL_VERSION || !asked.is_empty());
    if let Some(asked) =
        asked.filter(|asked| info.version < IDS_FROM_VERSION && asked.iter().any(has_no_name))
    {
        return refused(asked);
    }
    if let Some(asked) = asked
        && request.allow_auto_topic_creation
        && shard.config().topics.auto_create
    {
        create_absent(shard, asked).await;
    }
    let image = shard.image();
    let mut topics = match asked {
        Some(asked) => named(info, &image, asked),
        None => image.topics().map(|topic| described(info, &image, topic)).collect(),
    };
    if request.include_topic_authorized_operations {
        let authorized = topics.iter_mut().filter(|topic| topic.error_code == ErrorCode::NONE);
        authorized.for_each(|topic| topic.topic_authorized_operations = TOPIC_OPERATIONS);
    }
    let mut response = MetadataResponse {
        brokers: nodes::unfenced(&image).map(broker).collect(),
        cluster_id: Some(Text::Owned(image.cluster_id().to_owned())),
        controller_id: nodes::controller(shard, &image),
        topics,
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response
}

/// Ids stand in the schema from version 10 on, but may be used only from 12 on.
fn has_no_name(topic: &MetadataRequestTopic<'_>) -> bool {
    !topic.topic_id.is_nil() || topic.name.is_none()
}

/// The answer to a request that its version does not allow.
fn refused(asked: &[MetadataRequestTopic<'_>]) -> MetadataResponse<'static> {
    let topics = asked.iter().map(|topic| MetadataTopic {
        error_code: ErrorCode::INVALID_REQUEST,
        name: Some(Text::Owned(topic.name.unwrap_or_default().to_owned())),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    MetadataResponse { topics: topics.collect(), ..Default::default() }
}

/// Makes the topics that are asked for and absent, and waits until they can be used.
async fn create_absent(shard: &Rc<Shard>, asked: &[MetadataRequestTopic<'_>]) {
    let image = shard.image();
    let names = asked.iter().filter(|topic| Uuid::is_nil(&topic.topic_id)).filter_map(|topic| topic.name);
    let absent = names.filter(|name| image.topic(name).is_none() && check_topic_name(name).is_ok());
    // Those are made by what needs them, with configurations of their own.
    let absent: BTreeSet<&str> = absent.filter(|name| !is_internal_topic(name)).collect();
    if absent.is_empty() {
        return;
    }
    let topics = absent.into_iter().map(CreateTopic::with_defaults).collect();
    match shard.metadata().create_topics(topics, false).await {
        // What was refused for one of them stands in the answer as an unknown topic.
        Ok(_) => shard.applied_everywhere().await,
        // The answer says that the topics are unknown; the client asks again.
        Err(error) => tracing::warn!(%error, "create topics that were asked for"),
    }
}

fn broker(node: ReachableNode) -> MetadataBroker<'static> {
    MetadataBroker { node_id: node.id, host: node.host, port: node.port, rack: node.rack }
}

/// Each topic that is asked for, once, in order.
fn named(
    info: RequestInfo,
    image: &MetadataImage,
    asked: &[MetadataRequestTopic<'_>],
) -> Vec<MetadataTopic<'static>> {
    let mut seen = BTreeSet::new();
    let mut topics = Vec::with_capacity(asked.len());
    for topic in asked.iter().filter(|topic| seen.insert((topic.topic_id, topic.name))) {
        topics.push(if topic.topic_id.is_nil() {
            by_name(info, image, topic.name)
        } else {
            by_id(info, image, topic.topic_id)
        });
    }
    topics
}

fn by_name(info: RequestInfo, image: &MetadataImage, name: Option<&str>) -> MetadataTopic<'static> {
    let name = name.unwrap_or_default();
    match image.topic(name) {
        Some(topic) => described(info, image, topic),
        None => {
            let valid = check_topic_name(name).is_ok();
            MetadataTopic {
                error_code: if valid {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else {
                    ErrorCode::INVALID_TOPIC_EXCEPTION
                },
                name: Some(Text::Owned(name.to_owned())),
                is_internal: is_internal_topic(name),
                ..Default::default()
            }
        }
    }
}

fn by_id(info: RequestInfo, image: &MetadataImage, topic_id: Uuid) -> MetadataTopic<'static> {
    match image.topic_by_id(TopicId(topic_id.0)) {
        Some(topic) => described(info, image, topic),
        None => MetadataTopic {
            error_code: ErrorCode::UNKNOWN_TOPIC_ID,
            name: None,
            topic_id,
            ..Default::default()
        },
    }
}

fn described(info: RequestInfo, image: &MetadataImage, topic: &TopicImage) -> MetadataTopic<'static> {
    let partitions = (0..).zip(&topic.partitions);
    MetadataTopic {
        name: Some(Text::Owned(topic.name.to_string())),
        topic_id: Uuid(topic.id.0),
        is_internal: is_internal_topic(&topic.name),
        partitions: partitions
            .map(|(index, partition)| described_partition(info.version, image, index, partition))
            .collect(),
        ..Default::default()
    }
}

/// A partition and its leader. As in Kafka, a partition without a leader is an error of the partition; the first version
/// is told only of replicas that can be reached, and of those that cannot as an error.
fn described_partition(
    version: i16,
    image: &MetadataImage,
    partition_index: i32,
    partition: &PartitionImage,
) -> MetadataPartition {
    let leader = nodes::leader(image, partition);
    let offline_replicas = nodes::offline_replicas(image, partition);
    let only_online = version <= REACHABLE_REPLICAS_UP_TO_VERSION;
    let told = |replicas: &[NodeId]| -> Vec<i32> {
        let ids = replicas.iter().map(|node| node.0);
        ids.filter(|id| !only_online || !offline_replicas.contains(id)).collect()
    };
    MetadataPartition {
        error_code: match &leader {
            None => ErrorCode::LEADER_NOT_AVAILABLE,
            Some(_) if only_online && !offline_replicas.is_empty() => ErrorCode::REPLICA_NOT_AVAILABLE,
            Some(_) => ErrorCode::NONE,
        },
        partition_index,
        leader_id: leader.map_or(NO_LEADER, |leader| leader.id),
        leader_epoch: partition.leader_epoch.value(),
        replica_nodes: told(&partition.replicas),
        isr_nodes: told(&partition.in_sync),
        offline_replicas,
    }
}

#[cfg(test)]
mod tests;

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

use super::{RequestInfo, describe_cluster::CLUSTER_OPERATIONS};
use crate::{
    metadata::{
        MetadataImage, PartitionImage, TopicImage,
        controller::{CreateTopic, check_topic_name},
        is_internal_topic,
    },
    shard::Shard,
};

/// The only version in which an empty list of topics means all of them.
const EMPTY_IS_ALL_VERSION: i16 = 0;
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
        Some(asked) => named(&image, asked),
        None => image.topics().map(|topic| described(topic)).collect(),
    };
    if request.include_topic_authorized_operations {
        let authorized = topics.iter_mut().filter(|topic| topic.error_code == ErrorCode::NONE);
        authorized.for_each(|topic| topic.topic_authorized_operations = TOPIC_OPERATIONS);
    }
    let mut response = MetadataResponse {
        brokers: brokers(shard, &image),
        cluster_id: Some(Text::Owned(image.cluster_id().to_owned())),
        controller_id: shard.node().node_id().0,
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

fn brokers(shard: &Shard, image: &MetadataImage) -> Vec<MetadataBroker<'static>> {
    let node = shard.node();
    let own = MetadataBroker {
        node_id: node.node_id().0,
        host: Text::Owned(node.advertised.host.clone()),
        port: node.advertised.port.into(),
        rack: node.config.rack.clone().map(Text::Owned),
    };
    let others =
        image.nodes().iter().filter(|(id, _)| **id != node.node_id()).map(|(id, other)| MetadataBroker {
            node_id: id.0,
            host: Text::Owned(other.host().to_owned()),
            port: other.port().into(),
            rack: other.rack.clone().map(Text::Owned),
        });
    std::iter::once(own).chain(others).collect()
}

/// Each topic that is asked for, once, in order.
fn named(image: &MetadataImage, asked: &[MetadataRequestTopic<'_>]) -> Vec<MetadataTopic<'static>> {
    let mut seen = BTreeSet::new();
    let mut topics = Vec::with_capacity(asked.len());
    for topic in asked.iter().filter(|topic| seen.insert((topic.topic_id, topic.name))) {
        topics.push(if topic.topic_id.is_nil() {
            by_name(image, topic.name)
        } else {
            by_id(image, topic.topic_id)
        });
    }
    topics
}

fn by_name(image: &MetadataImage, name: Option<&str>) -> MetadataTopic<'static> {
    let name = name.unwrap_or_default();
    match image.topic(name) {
        Some(topic) => described(topic),
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

fn by_id(image: &MetadataImage, topic_id: Uuid) -> MetadataTopic<'static> {
    match image.topic_by_id(TopicId(topic_id.0)) {
        Some(topic) => described(topic),
        None => MetadataTopic {
            error_code: ErrorCode::UNKNOWN_TOPIC_ID,
            name: None,
            topic_id,
            ..Default::default()
        },
    }
}

fn described(topic: &TopicImage) -> MetadataTopic<'static> {
    MetadataTopic {
        name: Some(Text::Owned(topic.name.to_string())),
        topic_id: Uuid(topic.id.0),
        is_internal: is_internal_topic(&topic.name),
        partitions: (0..).zip(&topic.partitions).map(|(index, partition)| led(index, partition)).collect(),
        ..Default::default()
    }
}

fn led(partition_index: i32, partition: &PartitionImage) -> MetadataPartition {
    MetadataPartition {
        partition_index,
        leader_id: partition.leader.map_or(-1, |leader| leader.0),
        leader_epoch: partition.leader_epoch.value(),
        replica_nodes: partition.replicas.iter().map(|node| node.0).collect(),
        isr_nodes: partition.in_sync.iter().map(|node| node.0).collect(),
        ..Default::default()
    }
}

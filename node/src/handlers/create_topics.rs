//! CreateTopics: made by the controller, answered once every shard serves them.

use std::{collections::BTreeMap, rc::Rc};

use ringmain_protocol::{
    ErrorCode,
    codec::{Text, Uuid},
    messages::{
        CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse, CreatedTopicConfig,
    },
};

use super::refused_by_service;
use crate::{
    config::{DescribedConfig, describe},
    metadata::controller::{CreateTopic, CreatedTopic, Refusal},
    shard::Shard,
};

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &CreateTopicsRequest<'_>,
) -> CreateTopicsResponse<'static> {
    let topics: Vec<CreateTopic> = request.topics.iter().map(wanted).collect();
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let results = match shard.metadata().create_topics(topics, request.validate_only).await {
        Ok(results) => {
            shard.applied_everywhere().await;
            results
        }
        Err(error) => refused_by_service(names.len(), &error),
    };
    // Kafka answers a name that stands twice in a request once.
    let by_name: BTreeMap<String, Result<CreatedTopic, Refusal>> = names.into_iter().zip(results).collect();
    let topics = by_name.into_iter().map(|(name, result)| match result {
        Ok(created) => made(shard, name, &created),
        Err(Refusal { code, message }) => CreatableTopicResult {
            name: Text::Owned(name),
            error_code: code,
            error_message: message.map(Text::Owned),
            ..Default::default()
        },
    });
    CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
}

fn wanted(topic: &CreatableTopic<'_>) -> CreateTopic {
    let assignments = topic.assignments.iter();
    let configs = topic.configs.iter();
    CreateTopic {
        name: topic.name.to_owned(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.map(|one| (one.partition_index, one.broker_ids.clone())).collect(),
        configs: configs.map(|config| (config.name.to_owned(), config.value.map(str::to_owned))).collect(),
    }
}

fn made(shard: &Shard, name: String, created: &CreatedTopic) -> CreatableTopicResult<'static> {
    let image = shard.image();
    let layers = image.config_layers(shard.node().node_id(), &shard.config().topic_defaults);
    let configs = describe::describe_topic(&layers, &created.configs);
    CreatableTopicResult {
        name: Text::Owned(name),
        topic_id: Uuid(created.topic_id.0),
        error_code: ErrorCode::NONE,
        num_partitions: created.partitions,
        replication_factor: created.replication_factor,
        configs: Some(configs.into_iter().map(config).collect()),
        ..Default::default()
    }
}

fn config(config: DescribedConfig) -> CreatedTopicConfig<'static> {
    CreatedTopicConfig {
        name: Text::Borrowed(config.name),
        value: config.value.map(Text::Owned),
        read_only: config.read_only,
        config_source: config.source.wire_code(),
        is_sensitive: false,
    }
}

//! DescribeConfigs: every configuration of topics and nodes, with where each value came from (KIP-133, KIP-226).

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        ConfigSynonym, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
        DescribeConfigsResult, DescribedConfig as WireConfig,
    },
};

use super::config_target;
use crate::{
    config::{DescribedConfig, describe},
    metadata::{
        ConfigResource,
        controller::{ConfigTarget, Refusal, check_topic_name},
    },
    shard::Shard,
};

pub(super) fn answer(
    shard: &Shard,
    request: &DescribeConfigsRequest<'_>,
) -> DescribeConfigsResponse<'static> {
    let results = request.resources.iter().map(|resource| {
        let name = Text::Owned(resource.resource_name.to_owned());
        let described = match describe(shard, resource) {
            Ok(configs) => DescribeConfigsResult {
                configs: configs
                    .into_iter()
                    .filter(|config| is_asked(resource, config))
                    .map(|config| wire(config, request))
                    .collect(),
                ..Default::default()
            },
            Err(Refusal { code, message }) => DescribeConfigsResult {
                error_code: code,
                error_message: message.map(Text::Owned),
                ..Default::default()
            },
        };
        DescribeConfigsResult { resource_type: resource.resource_type, resource_name: name, ..described }
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

fn describe(shard: &Shard, resource: &DescribeConfigsResource<'_>) -> Result<Vec<DescribedConfig>, Refusal> {
    let image = shard.image();
    let node_id = shard.node().node_id();
    let layers = image.config_layers(node_id, &shard.config().topic_defaults);
    match config_target(resource.resource_type, resource.resource_name) {
        ConfigTarget::Topic(name) => {
            check_topic_name(&name)?;
            image.topic(&name).ok_or(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
            Ok(describe::describe_topic(&layers, image.topic_overrides(&name)))
        }
        ConfigTarget::Broker(name) if name.is_empty() => {
            Ok(describe::describe_cluster(image.configs(&ConfigResource::Cluster)))
        }
        ConfigTarget::Broker(name) => {
            if name.parse() != Ok(node_id.0) {
                return Err(Refusal::new(
                    ErrorCode::INVALID_REQUEST,
                    format!("Unexpected broker id, expected {}, but received {name}", node_id.0),
                ));
            }
            Ok(describe::describe_node(shard.config(), &shard.node().facts, &layers))
        }
        ConfigTarget::Other(kind) => {
            Err(Refusal::new(ErrorCode::INVALID_REQUEST, format!("Unsupported resource type: {kind}")))
        }
    }
}

fn is_asked(resource: &DescribeConfigsResource<'_>, config: &DescribedConfig) -> bool {
    // As Kafka: null and an empty list both ask for all.
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    keys.is_empty() || keys.contains(&config.name)
}

fn wire(config: DescribedConfig, request: &DescribeConfigsRequest<'_>) -> WireConfig<'static> {
    let synonyms =
        config.synonyms.into_iter().filter(|_| request.include_synonyms).map(|synonym| ConfigSynonym {
            name: Text::Owned(synonym.name),
            value: synonym.value.map(Text::Owned),
            source: synonym.source.wire_code(),
        });
    WireConfig {
        name: Text::Borrowed(config.name),
        value: config.value.map(Text::Owned),
        read_only: config.read_only,
        config_source: config.source.wire_code(),
        is_sensitive: false,
        synonyms: synonyms.collect(),
        config_type: config.config_type.wire_code(),
        documentation: request.include_documentation.then_some(Text::Borrowed(config.documentation)),
    }
}

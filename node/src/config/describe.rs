//! Configurations as DescribeConfigs reports them: value, where it came from, what else would give it.

use super::NodeConfig;
use super::broker_definitions::{BROKER_CONFIGS, BrokerConfig, BrokerValue};
use super::definition::{ConfigDefinition, ConfigType, Update};
use super::layers::{ConfigLayers, ConfigMap};
use super::options::OptionValue;
use super::source::{ConfigSource, Synonym};
use super::sources::Origin;
use super::topic_definitions::{TOPIC_CONFIGS, topic_definition};

/// One configuration of a topic or a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConfig {
    /// Kafka's name.
    pub name: &'static str,
    /// The value that holds; `None` is "not set".
    pub value: Option<String>,
    /// Where that value came from.
    pub source: ConfigSource,
    /// Whether AlterConfigs cannot change it.
    pub read_only: bool,
    /// Its type.
    pub config_type: ConfigType,
    /// Every place that gives it a value, strongest first.
    pub synonyms: Vec<Synonym>,
    /// What it is for.
    pub documentation: &'static str,
}

/// What a node knows of itself that is in no option.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// `PLAINTEXT://host:port` of the bound listener.
    pub listener: String,
    /// `PLAINTEXT://host:port` that clients are told.
    pub advertised_listener: String,
}

/// Every configuration of a topic.
pub fn describe_topic(layers: &ConfigLayers<'_>, topic: &ConfigMap) -> Vec<DescribedConfig> {
    TOPIC_CONFIGS
        .iter()
        .map(|definition| {
            let synonyms = layers.chain(definition, topic);
            let source = synonyms.first().map_or(ConfigSource::Default, |first| first.source);
            let value = canonical(definition, layers.effective(definition, topic));
            described(definition, Some(value), source, synonyms)
        })
        .collect()
}

/// Every configuration of a node.
pub fn describe_node(
    config: &NodeConfig,
    facts: &NodeFacts,
    layers: &ConfigLayers<'_>,
) -> Vec<DescribedConfig> {
    BROKER_CONFIGS.iter().map(|row| describe_broker_config(row, config, facts, layers)).collect()
}

/// What is set for the whole cluster while running.
pub fn describe_cluster(cluster: &ConfigMap) -> Vec<DescribedConfig> {
    BROKER_CONFIGS
        .iter()
        .filter_map(|row| {
            let definition = &row.definition;
            let value = canonical(definition, cluster.get(definition.name)?);
            let source = ConfigSource::DynamicCluster;
            let synonym = Synonym { name: definition.name.to_owned(), value: Some(value.clone()), source };
            Some(described(definition, Some(value), source, vec![synonym]))
        })
        .collect()
}

fn describe_broker_config(
    row: &'static BrokerConfig,
    config: &NodeConfig,
    facts: &NodeFacts,
    layers: &ConfigLayers<'_>,
) -> DescribedConfig {
    let definition = &row.definition;
    let (value, source) = match row.value {
        BrokerValue::TopicDefault(topic_name) => return describe_topic_default(row, topic_name, layers),
        BrokerValue::Fixed => (definition.default.map(str::to_owned), ConfigSource::Default),
        BrokerValue::Listeners => (Some(facts.listener.clone()), origin_source(config, "network.listen")),
        BrokerValue::AdvertisedListeners => {
            (Some(facts.advertised_listener.clone()), origin_source(config, "network.advertised"))
        }
        BrokerValue::Option(key) => {
            (option_text(config, key).or(definition.default.map(str::to_owned)), origin_source(config, key))
        }
        BrokerValue::Minutes(key) => (minutes_text(config, key), origin_source(config, key)),
    };
    let own =
        value.as_ref().map(|_| Synonym { name: definition.name.to_owned(), value: value.clone(), source });
    let default = definition.default.filter(|_| source != ConfigSource::Default).map(|default| Synonym {
        name: definition.name.to_owned(),
        value: Some(default.to_owned()),
        source: ConfigSource::Default,
    });
    let synonyms = own.into_iter().chain(default).collect();
    described(definition, value, source, synonyms)
}

/// The broker's name of a topic configuration's default.
fn describe_topic_default(
    row: &'static BrokerConfig,
    topic_name: &str,
    layers: &ConfigLayers<'_>,
) -> DescribedConfig {
    let topic = topic_definition(topic_name).expect("derived from the table of topic configurations");
    let synonyms = layers.chain(topic, &ConfigMap::new());
    let own = synonyms.iter().find(|synonym| synonym.name == row.definition.name);
    let value = own
        .and_then(|synonym| synonym.value.as_deref())
        .or(row.definition.default)
        .map(|text| canonical(&row.definition, text));
    let source = own.map_or(ConfigSource::Default, |synonym| synonym.source);
    described(&row.definition, value, source, synonyms)
}

fn described(
    definition: &'static ConfigDefinition,
    value: Option<String>,
    source: ConfigSource,
    synonyms: Vec<Synonym>,
) -> DescribedConfig {
    DescribedConfig {
        name: definition.name,
        value,
        source,
        read_only: definition.update == Update::ReadOnly,
        config_type: definition.config_type,
        synonyms,
        documentation: definition.documentation,
    }
}

/// A value as Kafka writes it back: trimmed, lists without blanks.
fn canonical(definition: &ConfigDefinition, text: &str) -> String {
    definition.parse(text).map_or_else(|_| text.to_owned(), |value| value.to_string())
}

fn origin_source(config: &NodeConfig, key: &str) -> ConfigSource {
    match config.settings.origin(key) {
        Origin::Default => ConfigSource::Default,
        _ => ConfigSource::NodeFile,
    }
}

/// An option in Kafka's form; `None` where the node has not been told and Kafka's default holds.
fn option_text(config: &NodeConfig, key: &str) -> Option<String> {
    match config.settings.value(key) {
        OptionValue::Path(path) => Some(path.display().to_string()),
        OptionValue::Text(text) if text.is_empty() => None,
        OptionValue::Text(text) => Some(text.clone()),
        OptionValue::LogFilter(filter) => Some(filter.to_string()),
        OptionValue::Boolean(value) => Some(value.to_string()),
        OptionValue::Address(address) => Some(address.to_string()),
        OptionValue::Number(number) => Some(number.to_string()),
        OptionValue::Voters(voters) => {
            Some(voters.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
        // What 'auto' stands for depends on the cluster.
        OptionValue::Unset if key == "topics.default_replication_factor" => {
            Some(config.topics.default_replication_factor.to_string())
        }
        OptionValue::Unset => None,
    }
}

/// A time in whole minutes; a part of one counts as one.
fn minutes_text(config: &NodeConfig, key: &str) -> Option<String> {
    const MINUTE_MS: u64 = 60_000;
    match config.settings.value(key) {
        OptionValue::Number(milliseconds) => Some(milliseconds.div_ceil(MINUTE_MS).to_string()),
        other => unreachable!("option {key} is a time, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::TopicDefaults;
    use super::*;

    fn find<'a>(configs: &'a [DescribedConfig], name: &str) -> &'a DescribedConfig {
        configs.iter().find(|config| config.name == name).expect(name)
    }

    fn synonym(name: &str, value: &str, source: ConfigSource) -> Synonym {
        Synonym { name: name.to_owned(), value: Some(value.to_owned()), source }
    }

    /// As Kafka 4.2.0 described the same settings.
    #[test]
    fn a_topic_is_described_as_kafka_does() {
        let map = |name: &str, value: &str| ConfigMap::from([(name.to_owned(), value.to_owned())]);
        let (node, cluster) = (map("log.retention.ms", "100000"), map("log.segment.bytes", "2000000"));
        let file = TopicDefaults::default();
        let layers = ConfigLayers { node: &node, cluster: &cluster, file: &file };
        let configs = describe_topic(&layers, &map("cleanup.policy", "delete, compact"));

        let policy = find(&configs, "cleanup.policy");
        assert_eq!(policy.value.as_deref(), Some("delete,compact"));
        assert_eq!(policy.source, ConfigSource::Topic);
        assert_eq!(policy.synonyms[1], synonym("log.cleanup.policy", "delete", ConfigSource::Default));

        let retention = find(&configs, "retention.ms");
        assert_eq!(retention.value.as_deref(), Some("100000"));
        assert_eq!(retention.source, ConfigSource::DynamicNode);
        assert_eq!(
            retention.synonyms,
            [
                synonym("log.retention.ms", "100000", ConfigSource::DynamicNode),
                synonym("log.retention.hours", "168", ConfigSource::Default),
            ]
        );
        let segment = find(&configs, "segment.bytes");
        assert_eq!(
            segment.synonyms,
            [
                synonym("log.segment.bytes", "2000000", ConfigSource::DynamicCluster),
                synonym("log.segment.bytes", "1073741824", ConfigSource::Default),
            ]
        );
        let flush = find(&configs, "flush.ms");
        assert_eq!((flush.source, flush.synonyms.len()), (ConfigSource::Default, 0));
    }

    #[test]
    fn a_node_is_described_with_every_row() {
        let config = NodeConfig::default();
        let facts = NodeFacts {
            listener: "PLAINTEXT://127.0.0.1:9092".to_owned(),
            advertised_listener: "PLAINTEXT://127.0.0.1:9092".to_owned(),
        };
        let configs = describe_node(&config, &facts, &config.topic_defaults.layers());
        assert_eq!(configs.len(), BROKER_CONFIGS.len());
        let idle = find(&configs, "connections.max.idle.ms");
        assert_eq!((idle.value.as_deref(), idle.source), (Some("600000"), ConfigSource::Default));
        assert!(idle.read_only);
        let retention = find(&configs, "log.retention.ms");
        assert_eq!((retention.value.as_deref(), retention.read_only), (None, false));
        assert_eq!(find(&configs, "num.partitions").value.as_deref(), Some("1"));
        assert_eq!(find(&configs, "offsets.retention.minutes").value.as_deref(), Some("10080"));
        for row in BROKER_CONFIGS.iter().filter(|row| row.definition.name.starts_with("offset")) {
            let described = find(&configs, row.definition.name);
            assert_eq!(described.value.as_deref(), row.definition.default, "{}", row.definition.name);
        }
        assert_eq!(find(&configs, "node.id").value.as_deref(), Some("1"));
        assert_eq!(find(&configs, "listeners").value.as_deref(), Some("PLAINTEXT://127.0.0.1:9092"));
    }
}

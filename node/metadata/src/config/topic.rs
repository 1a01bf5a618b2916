//! The configuration of one topic as typed values.
//!
//! [`TopicConfig::resolve`] is the only way to make one, so a `TopicConfig` has been checked. Kafka's checks across
//! several configurations are here; those of single values are in the table.

use alloc::string::String;
use alloc::vec::Vec;

use super::definition::{ConfigDefinition, ConfigValue, InvalidValue};
use super::layers::{ConfigLayers, ConfigMap};
use super::topic_definitions::{TOPIC_CONFIGS, topic_definition};

/// With `write.caching` a record is flushed no later than this, whatever `flush.ms` says. Kafka's default for `flush.ms`
/// means "leave it to the operating system"; there is none behind direct I/O, and a bound on what power loss can take
/// is the point of the setting.
pub const WRITE_CACHING_FLUSH_MS_MAX: i64 = 1_000;

/// The configuration of one topic, checked, with every default in place. Units stand in the names.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    /// What happens to old segments.
    pub cleanup_policy: CleanupPolicy,
    /// How batches are stored.
    pub compression: CompressionSetting,
    /// How long a compacted topic keeps the marks of deleted keys.
    pub delete_retention_ms: i64,
    /// With `write_caching`: time after which a flush follows, already bounded by [`WRITE_CACHING_FLUSH_MS_MAX`].
    pub flush_ms: i64,
    /// Bytes of a segment for each entry of its offset index.
    pub index_interval_bytes: u32,
    /// The longest wait for compaction.
    pub max_compaction_lag_ms: i64,
    /// The largest batch accepted, as it arrives.
    pub max_message_bytes: usize,
    /// How far a create time may lie in the future.
    pub message_timestamp_after_max_ms: i64,
    /// How far a create time may lie in the past.
    pub message_timestamp_before_max_ms: i64,
    /// Whose clock a record's time is.
    pub message_timestamp_type: TimestampType,
    /// The share of uncompacted bytes at which compaction runs.
    pub min_cleanable_dirty_ratio: f64,
    /// The shortest time before compaction.
    pub min_compaction_lag_ms: i64,
    /// With acks=all: fewest replicas that must have a record.
    pub min_insync_replicas: u32,
    /// Bytes of a partition beyond which its oldest segments go; `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// Age beyond which a segment goes; `None` is no limit.
    pub retention_ms: Option<i64>,
    /// Size at which a segment is sealed.
    pub segment_bytes: u32,
    /// Age at which a segment is sealed.
    pub segment_ms: i64,
    /// Whether a replica that is not in sync may lead.
    pub unclean_leader_election: bool,
    /// How far produced batches are checked.
    pub validation_level: ValidationLevel,
    /// Acknowledge before the flush.
    pub write_caching: bool,
}

/// What happens to old segments; neither means that everything is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments past the retention limits are deleted.
    pub delete: bool,
    /// Only the last value of each key is kept.
    pub compact: bool,
}

/// How batches are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionSetting {
    /// As they came.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// With gzip.
    Gzip,
    /// With Snappy.
    Snappy,
    /// With LZ4.
    Lz4,
    /// With zstd.
    Zstd,
}

/// Whose clock a record's time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The node's, when it appended.
    LogAppendTime,
}

/// How far produced batches are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationLevel {
    /// The batch's header and checksum.
    Header,
    /// Every record too.
    Full,
}

/// A topic configuration that cannot be; the text is Kafka's, for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicConfig {
    /// No such name.
    #[error("Unknown topic config name: {name}")]
    UnknownName {
        /// As it was given.
        name: String,
    },
    /// A value that its definition refuses.
    #[error(transparent)]
    Value(#[from] InvalidValue),
    /// A compacted record would have to be compacted before it may be.
    #[error("conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})")]
    CompactionLags {
        /// min.compaction.lag.ms
        min: i64,
        /// max.compaction.lag.ms
        max: i64,
    },
    /// There is none.
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    TieredStorage,
}

impl TopicConfig {
    /// Checks a topic's own configurations and puts those of the layers below it in every place that it leaves.
    pub fn resolve(layers: &ConfigLayers<'_>, topic: &ConfigMap) -> Result<Self, InvalidTopicConfig> {
        if let Some(name) = topic.keys().find(|name| topic_definition(name).is_none()) {
            return Err(InvalidTopicConfig::UnknownName { name: name.clone() });
        }
        let values = Values::parse(layers, topic)?;
        let config = Self::from_values(&values, layers, topic);
        if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
            return Err(InvalidTopicConfig::CompactionLags {
                min: config.min_compaction_lag_ms,
                max: config.max_compaction_lag_ms,
            });
        }
        if values.boolean("remote.storage.enable") {
            return Err(InvalidTopicConfig::TieredStorage);
        }
        Ok(config)
    }

    /// The configuration of a topic that exists. What was accepted once is never refused: a value that this version no
    /// longer takes is at its default, and [`Self::resolve`] says at the next change what is wrong with it.
    pub fn resolve_accepted(layers: &ConfigLayers<'_>, topic: &ConfigMap) -> Self {
        Self::from_values(&Values::parse_or_default(layers, topic), layers, topic)
    }

    fn from_values(values: &Values, layers: &ConfigLayers<'_>, topic: &ConfigMap) -> Self {
        let is_set = |name: &str| {
            let definition = topic_definition(name).expect("a name of the table");
            let only_default = definition.default == Some(layers.effective(definition, topic));
            !only_default
        };
        // Kafka 3.9: the old name for both directions holds where the new ones are not set.
        let difference_max_ms = values.integer("message.timestamp.difference.max.ms");
        let timestamp_bound = |name: &str| {
            if !is_set(name) && is_set("message.timestamp.difference.max.ms") {
                difference_max_ms
            } else {
                values.integer(name)
            }
        };
        let unless_negative = |number: i64| (number >= 0).then_some(number);
        Self {
            cleanup_policy: CleanupPolicy {
                delete: values.list_contains("cleanup.policy", "delete"),
                compact: values.list_contains("cleanup.policy", "compact"),
            },
            compression: CompressionSetting::from_name(values.text("compression.type")),
            delete_retention_ms: values.integer("delete.retention.ms"),
            flush_ms: values.integer("flush.ms").min(WRITE_CACHING_FLUSH_MS_MAX),
            index_interval_bytes: values.int("index.interval.bytes"),
            max_compaction_lag_ms: values.integer("max.compaction.lag.ms"),
            max_message_bytes: values.int("max.message.bytes"),
            message_timestamp_after_max_ms: timestamp_bound("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: timestamp_bound("message.timestamp.before.max.ms"),
            message_timestamp_type: match values.text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: values.double("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.integer("min.compaction.lag.ms"),
            min_insync_replicas: values.int("min.insync.replicas"),
            retention_bytes: unless_negative(values.integer("retention.bytes")).map(i64::unsigned_abs),
            retention_ms: unless_negative(values.integer("retention.ms")),
            segment_bytes: values.int("segment.bytes"),
            segment_ms: values.integer("segment.ms"),
            unclean_leader_election: values.boolean("unclean.leader.election.enable"),
            validation_level: match values.text("validation.level") {
                "full" => ValidationLevel::Full,
                _ => ValidationLevel::Header,
            },
            write_caching: values.boolean("write.caching"),
        }
    }
}

impl CompressionSetting {
    fn from_name(name: &str) -> Self {
        match name {
            "producer" => Self::Producer,
            "uncompressed" => Self::Uncompressed,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            other => unreachable!("the table allows no compression.type {other}"),
        }
    }
}

/// The effective value of each row of the table, parsed.
struct Values(Vec<ConfigValue>);

impl Values {
    fn parse(layers: &ConfigLayers<'_>, topic: &ConfigMap) -> Result<Self, InvalidValue> {
        let parse = |definition| -> Result<ConfigValue, InvalidValue> {
            let definition: &ConfigDefinition = definition;
            definition.parse(layers.effective(definition, topic))
        };
        Ok(Self(TOPIC_CONFIGS.iter().map(parse).collect::<Result<_, _>>()?))
    }

    fn parse_or_default(layers: &ConfigLayers<'_>, topic: &ConfigMap) -> Self {
        let parse = |definition| {
            let definition: &ConfigDefinition = definition;
            let parsed = definition.parse(layers.effective(definition, topic));
            parsed.ok().or_else(|| definition.default_value()).expect("topic configurations have a default")
        };
        Self(TOPIC_CONFIGS.iter().map(parse).collect())
    }

    fn get(&self, name: &str) -> &ConfigValue {
        match TOPIC_CONFIGS.iter().position(|definition| definition.name == name) {
            Some(index) => &self.0[index],
            None => unreachable!("{name} is not in the table of topic configurations"),
        }
    }

    fn boolean(&self, name: &str) -> bool {
        match self.get(name) {
            ConfigValue::Boolean(value) => *value,
            other => unreachable!("{name} is true or false, not {other:?}"),
        }
    }

    fn integer(&self, name: &str) -> i64 {
        match self.get(name) {
            ConfigValue::Integer(value) => *value,
            other => unreachable!("{name} is a number, not {other:?}"),
        }
    }

    /// A number that the table bounds to what `N` holds.
    fn int<N: TryFrom<i64>>(&self, name: &str) -> N {
        match N::try_from(self.integer(name)) {
            Ok(number) => number,
            Err(_) => unreachable!("the table bounds {name}"),
        }
    }

    fn double(&self, name: &str) -> f64 {
        match self.get(name) {
            ConfigValue::Double(value) => *value,
            other => unreachable!("{name} is a number, not {other:?}"),
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            ConfigValue::Text(value) => value,
            other => unreachable!("{name} is a text, not {other:?}"),
        }
    }

    fn list_contains(&self, name: &str, item: &str) -> bool {
        match self.get(name) {
            ConfigValue::List(items) => items.iter().any(|entry| entry == item),
            other => unreachable!("{name} is a list, not {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::TopicDefaults;
    use super::*;

    fn resolve(configs: &[(&str, &str)]) -> Result<TopicConfig, InvalidTopicConfig> {
        let topic = configs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        TopicConfig::resolve(&TopicDefaults::default().layers(), &topic)
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = resolve(&[]).expect("defaults");
        assert_eq!(config.retention_ms, Some(604_800_000));
        assert_eq!(config.retention_bytes, None);
        assert_eq!(config.segment_bytes, 1 << 30);
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: false });
        assert_eq!(config.message_timestamp_after_max_ms, 3_600_000);
        assert_eq!(config.flush_ms, WRITE_CACHING_FLUSH_MS_MAX);
        assert!(!config.write_caching);
    }

    #[test]
    fn refusals_across_configurations_read_as_kafkas_do() {
        let refused = |configs: &[(&str, &str)]| resolve(configs).expect_err("refused").to_string();
        assert_eq!(
            refused(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")]),
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"
        );
        assert_eq!(
            refused(&[("segment.ms", "10"), ("bogus", "5"), ("retention.ms", "zz")]),
            "Unknown topic config name: bogus"
        );
        assert_eq!(
            refused(&[("remote.storage.enable", "true")]),
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
        );
    }

    #[test]
    fn the_old_timestamp_bound_holds_where_the_new_ones_are_not_set() {
        let config = resolve(&[("message.timestamp.difference.max.ms", "5")]).expect("valid");
        assert_eq!(config.message_timestamp_before_max_ms, 5);
        assert_eq!(config.message_timestamp_after_max_ms, 5);
        let config =
            resolve(&[("message.timestamp.difference.max.ms", "5"), ("message.timestamp.after.max.ms", "7")])
                .expect("valid");
        assert_eq!(config.message_timestamp_after_max_ms, 7);
    }

    #[test]
    fn the_strongest_layer_holds() {
        let mut file = TopicDefaults::default();
        file.set(topic_definition("retention.ms").expect("known"), "4".to_owned());
        let map = |name: &str, value: &str| ConfigMap::from([(name.to_owned(), value.to_owned())]);
        let (node, cluster) = (map("log.retention.ms", "2"), map("log.retention.ms", "3"));
        let none = ConfigMap::new();
        let retention = |layers: ConfigLayers<'_>, topic: &ConfigMap| {
            TopicConfig::resolve(&layers, topic).expect("valid").retention_ms
        };
        let all = ConfigLayers { node: &node, cluster: &cluster, file: &file };
        assert_eq!(retention(all, &map("retention.ms", "1")), Some(1));
        assert_eq!(retention(all, &none), Some(2));
        assert_eq!(retention(ConfigLayers { node: &none, ..all }, &none), Some(3));
        assert_eq!(retention(ConfigLayers { node: &none, cluster: &none, ..all }, &none), Some(4));
    }
}

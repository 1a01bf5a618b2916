//! The table of the broker configurations that DescribeConfigs lists for a node.
//!
//! Kafka lists about 320. Listed here are those that do something in this node and those whose value clients and tools
//! read to decide something (the log directories, the addresses, the roles); a name that would only be there to be
//! there would lie about what the node does. The names under which Kafka sets the defaults of topic configurations
//! (`log.retention.ms`) are derived from the table of topic configurations and can be changed while running.

use super::definition::ConfigType::{Boolean, Int, List, Long, Short, String};
use super::definition::Effect::Acts;
use super::definition::{ConfigDefinition, ConfigType, Rule, Update};
use super::topic_definitions::TOPIC_CONFIGS;

/// A broker configuration and where its value stands.
#[derive(Debug, Clone, Copy)]
pub struct BrokerConfig {
    /// The row.
    pub definition: ConfigDefinition,
    /// Where its value stands.
    pub value: BrokerValue,
}

/// Where the value of a broker configuration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerValue {
    /// It is the default of this topic configuration.
    TopicDefault(&'static str),
    /// It is this option of the node.
    Option(&'static str),
    /// It is this option of the node, a time, in minutes.
    Minutes(&'static str),
    /// The node's Kafka listener, as it was bound.
    Listeners,
    /// What clients are told to connect to.
    AdvertisedListeners,
    /// It is always its default.
    Fixed,
}

/// Broker names of topic configurations that are "not set" by default: another name of their list has the default.
const UNSET_BY_DEFAULT: [&str; 4] =
    ["log.retention.ms", "log.roll.ms", "log.roll.jitter.ms", "log.flush.interval.ms"];

/// Every broker configuration, ordered by name.
pub static BROKER_CONFIGS: [BrokerConfig; OWN_ROWS.len() + topic_default_count()] = all_rows();

/// The definition of a broker configuration.
pub fn broker_definition(name: &str) -> Option<&'static BrokerConfig> {
    let index = BROKER_CONFIGS.binary_search_by_key(&name, |row| row.definition.name).ok()?;
    Some(&BROKER_CONFIGS[index])
}

/// Topic configurations that have a broker name.
const fn topic_default_count() -> usize {
    let mut count = 0;
    let mut index = 0;
    while index < TOPIC_CONFIGS.len() {
        count += if TOPIC_CONFIGS[index].synonyms.is_empty() { 0 } else { 1 };
        index += 1;
    }
    count
}

/// Our own rows and the broker names of topic configurations, sorted while the program is built.
const fn all_rows() -> [BrokerConfig; OWN_ROWS.len() + topic_default_count()] {
    let mut rows = [OWN_ROWS[0]; OWN_ROWS.len() + topic_default_count()];
    let mut count = 0;
    while count < OWN_ROWS.len() {
        insert_sorted(&mut rows, count, OWN_ROWS[count]);
        count += 1;
    }
    let mut index = 0;
    while index < TOPIC_CONFIGS.len() {
        if !TOPIC_CONFIGS[index].synonyms.is_empty() {
            insert_sorted(&mut rows, count, topic_default_row(&TOPIC_CONFIGS[index]));
            count += 1;
        }
        index += 1;
    }
    rows
}

/// Puts a row into its place among the first `count`.
const fn insert_sorted(rows: &mut [BrokerConfig], count: usize, row: BrokerConfig) {
    let mut place = count;
    while place > 0 && is_before(row.definition.name, rows[place - 1].definition.name) {
        rows[place] = rows[place - 1];
        place -= 1;
    }
    rows[place] = row;
}

const fn is_before(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() {
        if one[index] != other[index] {
            return one[index] < other[index];
        }
        index += 1;
    }
    one.len() < other.len()
}

const fn is_same(one: &str, other: &str) -> bool {
    !is_before(one, other) && !is_before(other, one)
}

const fn topic_default_row(topic: &'static ConfigDefinition) -> BrokerConfig {
    let name = topic.synonyms[0];
    let mut default = topic.default;
    let mut index = 0;
    while index < UNSET_BY_DEFAULT.len() {
        if is_same(UNSET_BY_DEFAULT[index], name) {
            default = None;
        }
        index += 1;
    }
    BrokerConfig {
        definition: ConfigDefinition { name, default, update: Update::Dynamic, ..*topic },
        value: BrokerValue::TopicDefault(topic.name),
    }
}

const OWN_ROWS: [BrokerConfig; 33] = [
    row(
        "advertised.listeners",
        List,
        None,
        BrokerValue::AdvertisedListeners,
        "The addresses that clients are told to connect to.",
    ),
    row(
        "auto.create.topics.enable",
        Boolean,
        Some("true"),
        BrokerValue::Option("topics.auto_create"),
        "Whether a topic is made when a client asks for one that does not exist and allows it.",
    ),
    row(
        "broker.id",
        Int,
        Some("-1"),
        BrokerValue::Option("node_id"),
        "The node's number; the same as node.id.",
    ),
    row("broker.rack", String, None, BrokerValue::Option("rack"), "The node's rack or zone."),
    row(
        "connections.max.idle.ms",
        Long,
        Some("600000"),
        BrokerValue::Option("limits.connection_idle_ms"),
        "A connection on which nothing happens for so long is closed.",
    ),
    row(
        "default.replication.factor",
        Int,
        Some("1"),
        BrokerValue::Option("topics.default_replication_factor"),
        "Replicas of a topic that is made without a number.",
    ),
    row(
        "delete.topic.enable",
        Boolean,
        Some("true"),
        BrokerValue::Fixed,
        "Whether topics can be deleted; they always can.",
    ),
    row(
        "fetch.max.bytes",
        Int,
        Some("57671680"),
        BrokerValue::Option("limits.fetch_bytes_max"),
        "The largest answer to a fetch, whatever the consumer asks for.",
    ),
    row(
        "group.initial.rebalance.delay.ms",
        Int,
        Some("3000"),
        BrokerValue::Option("groups.initial_rebalance_delay_ms"),
        "How long the first rebalance of an empty consumer group waits for more members.",
    ),
    row(
        "group.max.session.timeout.ms",
        Int,
        Some("1800000"),
        BrokerValue::Option("groups.session_timeout_ms_max"),
        "The longest session timeout that a member of a group may ask for.",
    ),
    row(
        "group.max.size",
        Int,
        Some("2147483647"),
        BrokerValue::Option("groups.members_max"),
        "Members of one consumer group.",
    ),
    row(
        "group.min.session.timeout.ms",
        Int,
        Some("6000"),
        BrokerValue::Option("groups.session_timeout_ms_min"),
        "The shortest session timeout that a member of a group may ask for.",
    ),
    row(
        "listeners",
        List,
        Some("PLAINTEXT://:9092"),
        BrokerValue::Listeners,
        "Where the node accepts Kafka clients.",
    ),
    row("log.dir", List, Some("/tmp/kafka-logs"), BrokerValue::Option("data_dir"), "The same as log.dirs."),
    row(
        "log.dirs",
        List,
        None,
        BrokerValue::Option("data_dir"),
        "The directory that holds the logs; there is one.",
    ),
    row(
        "log.retention.check.interval.ms",
        Long,
        Some("300000"),
        BrokerValue::Option("storage.retention_check_ms"),
        "How often each partition's old segments are looked for.",
    ),
    row(
        "log.retention.hours",
        Int,
        Some("168"),
        BrokerValue::Fixed,
        "Default of retention.ms in hours, when log.retention.ms and log.retention.minutes are not set.",
    ),
    row(
        "log.retention.minutes",
        Int,
        None,
        BrokerValue::Fixed,
        "Default of retention.ms in minutes, when log.retention.ms is not set.",
    ),
    row(
        "log.roll.hours",
        Int,
        Some("168"),
        BrokerValue::Fixed,
        "Default of segment.ms in hours, when log.roll.ms is not set.",
    ),
    row(
        "log.roll.jitter.hours",
        Int,
        Some("0"),
        BrokerValue::Fixed,
        "Default of segment.jitter.ms in hours, when log.roll.jitter.ms is not set.",
    ),
    row(
        "max.connections",
        Int,
        Some("2147483647"),
        BrokerValue::Option("limits.connections_max"),
        "Connections of the whole node; the next one is closed at once.",
    ),
    row(
        "max.incremental.fetch.session.cache.slots",
        Int,
        Some("1000"),
        BrokerValue::Option("limits.fetch_sessions_max"),
        "Incremental fetch sessions of the node.",
    ),
    row("node.id", Int, None, BrokerValue::Option("node_id"), "The node's number in its cluster."),
    row(
        "num.partitions",
        Int,
        Some("1"),
        BrokerValue::Option("topics.default_partitions"),
        "Partitions of a topic that is made without a number.",
    ),
    row(
        "offset.metadata.max.bytes",
        Int,
        Some("4096"),
        BrokerValue::Option("groups.offset_metadata_bytes_max"),
        "The longest text that a client may leave with a committed offset.",
    ),
    row(
        "offsets.commit.timeout.ms",
        Int,
        Some("5000"),
        BrokerValue::Option("groups.write_timeout_ms"),
        "How long a commit may wait for the disk before its client is told to try again.",
    ),
    row(
        "offsets.retention.check.interval.ms",
        Long,
        Some("600000"),
        BrokerValue::Option("groups.offsets_retention_check_ms"),
        "How often expired offsets are looked for.",
    ),
    row(
        "offsets.retention.minutes",
        Int,
        Some("10080"),
        BrokerValue::Minutes("groups.offsets_retention_ms"),
        "How long committed offsets are kept after their group lost its last member.",
    ),
    row(
        "offsets.topic.num.partitions",
        Int,
        Some("50"),
        BrokerValue::Option("groups.offsets_topic_partitions"),
        "Partitions of __consumer_offsets when it is made.",
    ),
    row(
        "offsets.topic.replication.factor",
        Short,
        Some("3"),
        BrokerValue::Option("groups.offsets_topic_replication_factor"),
        "Replicas of __consumer_offsets when it is made; as many as there are nodes, if these are fewer.",
    ),
    row(
        "process.roles",
        List,
        Some("broker,controller"),
        BrokerValue::Fixed,
        "What the node does in its cluster: every node serves clients and takes part in the metadata.",
    ),
    row(
        "producer.id.expiration.ms",
        Int,
        Some("86400000"),
        BrokerValue::Option("storage.producer_id_expiration_ms"),
        "How long the state of an idempotent producer that writes no more is kept.",
    ),
    row(
        "socket.request.max.bytes",
        Int,
        Some("104857600"),
        BrokerValue::Option("limits.request_bytes_max"),
        "The largest request.",
    ),
];

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    value: BrokerValue,
    documentation: &'static str,
) -> BrokerConfig {
    BrokerConfig {
        definition: ConfigDefinition {
            name,
            config_type,
            default,
            rule: Rule::Any,
            synonyms: &[],
            update: Update::ReadOnly,
            effect: Acts,
            documentation,
        },
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(BROKER_CONFIGS.windows(2).all(|pair| pair[0].definition.name < pair[1].definition.name));
        assert!(broker_definition("log.retention.ms").is_some());
        assert!(broker_definition("log.retention").is_none());
    }

    #[test]
    fn every_broker_name_of_a_topic_configuration_is_listed() {
        for topic in &TOPIC_CONFIGS {
            for name in topic.synonyms {
                assert!(broker_definition(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn every_default_parses() {
        for row in &BROKER_CONFIGS {
            if let Some(default) = row.definition.default {
                row.definition.parse(default).expect(row.definition.name);
            }
        }
    }
}

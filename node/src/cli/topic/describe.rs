//! `topic list` and `topic describe`.

use std::collections::BTreeMap;

use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    ConfigResourceType, ConfigSource, DescribeConfigsRequest, DescribeConfigsResource,
    DescribeConfigsResponse, EARLIEST_TIMESTAMP, LATEST_TIMESTAMP,
};
use serde_json::{Value, json};

use super::client;
use crate::cli::arguments::{DescribeArguments, ListArguments};
use crate::cli::failure::Failure;
use crate::cli::output::{grouped, print, print_json, table};
use crate::client::{Client, ClientError, TopicPartition, TopicView, decoded};

/// Shows which topics there are.
pub(super) fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let view = client(&arguments.cluster)?.metadata(None)?;
    let shown: Vec<&TopicView> =
        view.topics.iter().filter(|topic| arguments.internal || !topic.is_internal).collect();
    let replicas = |topic: &TopicView| topic.partitions.first().map_or(0, |first| first.replicas.len());
    if arguments.json {
        let topics = shown.iter().map(|topic| {
            json!({
                "name": topic.name,
                "partitions": topic.partitions.len(),
                "replication_factor": replicas(topic),
                "internal": topic.is_internal,
            })
        });
        return print_json(&topics.collect());
    }
    if shown.is_empty() {
        return print("There are no topics; 'ringmain topic create NAME' makes one.\n");
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|topic| {
            vec![topic.name.clone(), topic.partitions.len().to_string(), replicas(topic).to_string()]
        })
        .collect();
    print(&table(&["TOPIC", "PARTITIONS", "REPLICAS"], &rows))
}

/// Shows everything about topics.
pub(super) fn describe(arguments: &DescribeArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let mut described = Vec::new();
    for (index, name) in arguments.names.iter().enumerate() {
        let topic = client.topic(name)?;
        let configs = configs(&mut client, name)?;
        let earliest = offsets(&mut client, &topic, EARLIEST_TIMESTAMP)?;
        let latest = offsets(&mut client, &topic, LATEST_TIMESTAMP)?;
        if arguments.json {
            described.push(as_json(&topic, &configs, &earliest, &latest));
            continue;
        }
        let gap = if index > 0 { "\n" } else { "" };
        print(&format!("{gap}{}", as_text(&topic, &configs, &earliest, &latest, arguments.configs)))?;
    }
    if arguments.json { print_json(&json!(described)) } else { Ok(()) }
}

/// A configuration of a topic.
struct Config {
    name: String,
    value: Option<String>,
    source: &'static str,
    /// Set for this topic, and not inherited.
    is_own: bool,
}

fn configs(client: &mut Client, name: &str) -> Result<Vec<Config>, ClientError> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: ConfigResourceType::Topic.number(),
            resource_name: name,
            configuration_keys: None,
        }],
        ..Default::default()
    };
    let answer = client.ask_any(&request)?;
    let response: DescribeConfigsResponse<'_> = decoded(&answer)?;
    let mut configs = Vec::new();
    for result in &response.results {
        if result.error_code != ErrorCode::NONE {
            let action = format!("describe the configuration of '{name}'");
            return Err(ClientError::refused(result.error_code, result.error_message.as_deref(), action));
        }
        configs.extend(result.configs.iter().map(|config| {
            let source = ConfigSource::from_number(config.config_source);
            Config {
                name: config.name.to_string(),
                value: config.value.as_deref().map(str::to_owned),
                source: source_name(source),
                is_own: source == Some(ConfigSource::Topic),
            }
        }));
    }
    configs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(configs)
}

fn source_name(source: Option<ConfigSource>) -> &'static str {
    match source {
        Some(ConfigSource::Topic) => "topic",
        Some(ConfigSource::DynamicBroker) => "node, set while running",
        Some(ConfigSource::DynamicDefaultBroker) => "cluster",
        Some(ConfigSource::StaticBroker) => "node's configuration",
        Some(ConfigSource::Default) => "default",
        _ => "unknown",
    }
}

/// The offset that belongs to a timestamp, by partition. A partition without a leader has none.
pub(super) fn offsets(
    client: &mut Client,
    topic: &TopicView,
    timestamp: i64,
) -> Result<BTreeMap<i32, i64>, ClientError> {
    let partition = |index| TopicPartition { topic: topic.name.clone(), index };
    let partitions = topic.partitions.iter().map(|view| partition(view.index)).collect();
    let offsets = client.offsets_at(&partitions, timestamp)?;
    Ok(offsets.into_iter().map(|(partition, offset)| (partition.index, offset)).collect())
}

fn as_json(
    topic: &TopicView,
    configs: &[Config],
    earliest: &BTreeMap<i32, i64>,
    latest: &BTreeMap<i32, i64>,
) -> Value {
    let partitions: Vec<Value> = topic
        .partitions
        .iter()
        .map(|partition| {
            json!({
                "partition": partition.index,
                "leader": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replicas": partition.replicas,
                "in_sync_replicas": partition.in_sync,
                "start_offset": earliest.get(&partition.index),
                "end_offset": latest.get(&partition.index),
            })
        })
        .collect();
    let configs: serde_json::Map<String, Value> = configs
        .iter()
        .map(|config| (config.name.clone(), json!({ "value": config.value, "source": config.source })))
        .collect();
    json!({
        "name": topic.name,
        "topic_id": uuid_text(&topic.topic_id),
        "partitions": partitions,
        "configs": configs,
    })
}

fn as_text(
    topic: &TopicView,
    configs: &[Config],
    earliest: &BTreeMap<i32, i64>,
    latest: &BTreeMap<i32, i64>,
    all_configs: bool,
) -> String {
    let offset = |offsets: &BTreeMap<i32, i64>, partition: i32| offsets.get(&partition).copied().unwrap_or(0);
    let records: i64 = topic
        .partitions
        .iter()
        .map(|partition| offset(latest, partition.index) - offset(earliest, partition.index))
        .sum();
    let mut text = format!(
        "Topic {}\n  id          {}\n  partitions  {}\n  records     {}\n",
        topic.name,
        uuid_text(&topic.topic_id),
        topic.partitions.len(),
        grouped(records.unsigned_abs()),
    );
    let shown: Vec<&Config> =
        configs.iter().filter(|config| all_configs || config.source != "default").collect();
    if shown.is_empty() {
        text.push_str("  every configuration is at its default (--configs shows them)\n");
    }
    for config in shown {
        let origin = if config.is_own { String::new() } else { format!("  ({})", config.source) };
        let value = config.value.as_deref().unwrap_or("not set");
        text.push_str(&format!("  {} = {value}{origin}\n", config.name));
    }
    let rows: Vec<Vec<String>> = topic
        .partitions
        .iter()
        .map(|partition| {
            vec![
                partition.index.to_string(),
                partition.leader.to_string(),
                numbers(&partition.replicas),
                numbers(&partition.in_sync),
                offset(earliest, partition.index).to_string(),
                offset(latest, partition.index).to_string(),
            ]
        })
        .collect();
    text.push('\n');
    text.push_str(&table(&["PARTITION", "LEADER", "REPLICAS", "IN SYNC", "START", "END"], &rows));
    text
}

fn numbers(numbers: &[i32]) -> String {
    numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// As UUIDs are written: 8-4-4-4-12 hexadecimal digits.
fn uuid_text(uuid: &[u8; 16]) -> String {
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

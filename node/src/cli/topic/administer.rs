//! `topic create`, `alter` and `delete`.

use ringmain_protocol::messages::{
    AlterConfigOperation, AlterConfigsResource, AlterableConfig, ConfigResourceType, CreatableTopic,
    CreatableTopicConfig, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use ringmain_protocol::{ApiKey, ErrorCode};
use serde_json::{Value, json};

use super::client;
use crate::cli::arguments::{AlterArguments, CreateArguments, DeleteArguments};
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json};
use crate::client::{Client, ClientError, decoded};
use crate::config::suggestion::nearest;
use crate::config::topic_definitions::TOPIC_CONFIGS;

/// Makes topics.
pub(super) fn create(arguments: &CreateArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let topics = arguments.names.iter().map(|name| CreatableTopic {
        name,
        num_partitions: arguments.partitions.unwrap_or(-1),
        replication_factor: arguments.replication_factor.unwrap_or(-1),
        configs: arguments
            .config
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
            .collect(),
        ..Default::default()
    });
    let request = CreateTopicsRequest {
        topics: topics.collect(),
        timeout_ms: client.timeout_ms(),
        validate_only: arguments.dry_run,
    };
    let answer = client.ask_controller(&request)?;
    let response: CreateTopicsResponse<'_> = decoded(&answer)?;
    let mut created = Vec::new();
    let mut failure = None;
    for topic in &response.topics {
        match topic.error_code {
            ErrorCode::NONE => created.push(json!({
                "name": topic.name.to_string(),
                "partitions": topic.num_partitions,
                "replication_factor": topic.replication_factor,
                "created": !arguments.dry_run,
            })),
            ErrorCode::TOPIC_ALREADY_EXISTS if arguments.if_not_exists => {
                created.push(json!({ "name": topic.name.to_string(), "created": false }));
            }
            code => {
                let action = format!("create the topic '{}'", topic.name);
                failure = failure.or(Some(refused(
                    code,
                    topic.error_message.as_deref(),
                    &action,
                    &arguments.config,
                )));
            }
        }
    }
    for topic in created.iter().filter(|topic| topic["created"] == true) {
        client.wait_for_topic(topic["name"].as_str().unwrap_or_default())?;
    }
    report_created(arguments, &created)?;
    failure.map_or(Ok(()), Err)
}

fn report_created(arguments: &CreateArguments, created: &[Value]) -> Result<(), Failure> {
    if arguments.json {
        return print_json(&json!(created));
    }
    for topic in created {
        let name = topic["name"].as_str().unwrap_or_default();
        if arguments.dry_run && topic["partitions"].is_i64() {
            print(&format!("The topic '{name}' could be made with {} partition(s).\n", topic["partitions"]))?;
        } else if topic["created"] == true {
            print(&format!("Created the topic '{name}' with {} partition(s).\n", topic["partitions"]))?;
        } else {
            print(&format!("The topic '{name}' exists.\n"))?;
        }
    }
    Ok(())
}

/// Changes configurations and the number of partitions.
pub(super) fn alter(arguments: &AlterArguments) -> Result<(), Failure> {
    let mut changes = Vec::new();
    let mut change = |operation: AlterConfigOperation, name, value| {
        changes.push(AlterableConfig { name, config_operation: operation.number(), value });
    };
    arguments.set.iter().for_each(|(name, value)| change(AlterConfigOperation::Set, name, Some(value)));
    arguments.unset.iter().for_each(|name| change(AlterConfigOperation::Delete, name, None));
    arguments.append.iter().for_each(|(name, value)| change(AlterConfigOperation::Append, name, Some(value)));
    arguments
        .subtract
        .iter()
        .for_each(|(name, value)| change(AlterConfigOperation::Subtract, name, Some(value)));
    if changes.is_empty() && arguments.partitions.is_none() {
        return Err(Failure::Other(
            "nothing to alter: give --set, --unset, --append, --subtract or --partitions".to_owned(),
        ));
    }
    let mut client = client(&arguments.cluster)?;
    if !changes.is_empty() {
        alter_configs(&mut client, arguments, changes)?;
    }
    if let Some(count) = arguments.partitions {
        add_partitions(&mut client, arguments, count)?;
    }
    let done = if arguments.dry_run { "could be altered" } else { "was altered" };
    print(&format!("The topic '{}' {done}.\n", arguments.name))
}

fn alter_configs(
    client: &mut Client,
    arguments: &AlterArguments,
    configs: Vec<AlterableConfig<'_>>,
) -> Result<(), Failure> {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: ConfigResourceType::Topic.number(),
            resource_name: &arguments.name,
            configs,
        }],
        validate_only: arguments.dry_run,
    };
    let answer = client.ask_controller(&request)?;
    let response: IncrementalAlterConfigsResponse<'_> = decoded(&answer)?;
    match response.responses.iter().find(|resource| resource.error_code != ErrorCode::NONE) {
        None => Ok(()),
        Some(resource) => {
            let action = format!("alter the topic '{}'", arguments.name);
            let message = resource.error_message.as_deref();
            Err(refused(resource.error_code, message, &action, &arguments.set))
        }
    }
}

fn add_partitions(client: &mut Client, arguments: &AlterArguments, count: i32) -> Result<(), Failure> {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: &arguments.name, count, assignments: None }],
        timeout_ms: client.timeout_ms(),
        validate_only: arguments.dry_run,
    };
    let answer = client.ask_controller(&request)?;
    let response: CreatePartitionsResponse<'_> = decoded(&answer)?;
    match response.results.iter().find(|result| result.error_code != ErrorCode::NONE) {
        None => Ok(()),
        Some(result) if result.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
            Err(ClientError::unknown_topic(&arguments.name).into())
        }
        Some(result) => {
            let action = format!("add partitions to the topic '{}'", arguments.name);
            Err(ClientError::refused(result.error_code, result.error_message.as_deref(), action).into())
        }
    }
}

/// Deletes topics.
pub(super) fn delete(arguments: &DeleteArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let names: Vec<&str> = arguments.names.iter().map(String::as_str).collect();
    let mut request = DeleteTopicsRequest { timeout_ms: client.timeout_ms(), ..Default::default() };
    // From this version on topics can be meant by id, so names have another place.
    if client.version(ApiKey::DeleteTopics)? >= 6 {
        let named = |name| DeleteTopicState { name: Some(name), ..Default::default() };
        request.topics = names.into_iter().map(named).collect();
    } else {
        request.topic_names = names;
    }
    let answer = client.ask_controller(&request)?;
    let response: DeleteTopicsResponse<'_> = decoded(&answer)?;
    let mut failure = None;
    for topic in &response.responses {
        let name = topic.name.as_deref().unwrap_or_default();
        match topic.error_code {
            ErrorCode::NONE => print(&format!("Deleted the topic '{name}'.\n"))?,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION if arguments.if_exists => {
                print(&format!("The topic '{name}' does not exist.\n"))?;
            }
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                let problem = format!("cannot delete the topic '{name}': it does not exist");
                failure = failure.or(Some(Failure::Other(problem)));
            }
            code => {
                let action = format!("delete the topic '{name}'");
                let error = ClientError::refused(code, topic.error_message.as_deref(), action);
                failure = failure.or(Some(error.into()));
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

/// A refusal, with the name that was probably meant when a configuration's name is unknown.
fn refused(code: ErrorCode, message: Option<&str>, action: &str, configs: &[(String, String)]) -> Failure {
    let error = ClientError::refused(code, message, action);
    let known = || TOPIC_CONFIGS.iter().map(|definition| definition.name);
    let unknown = configs
        .iter()
        .find(|(name, _)| code == ErrorCode::INVALID_CONFIG && known().all(|known| known != name));
    match unknown.and_then(|(name, _)| nearest(name, known())) {
        Some(meant) => Failure::Other(format!("{error}; did you mean '{meant}'?")),
        None => error.into(),
    }
}

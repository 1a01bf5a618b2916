//! IncrementalAlterConfigs and AlterConfigs, for topics and for nodes.
//!
//! Both come down to the configurations that a resource shall have afterwards; that map is checked as a whole and
//! compared with what there is, so nothing is recorded for what stays the same.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use super::topic_name::check_topic_name;
use super::{Controller, Decision, Refusal};
use crate::config::TopicConfig;
use crate::config::broker_definitions::broker_definition;
use crate::config::definition::{ConfigDefinition, ConfigType, Update};
use crate::config::layers::ConfigMap;
use crate::config::topic_definitions::topic_definition;
use crate::identity::NodeId;
use crate::image::MIN_IN_SYNC;
use crate::planted;
use crate::record::{ConfigResource, MetadataRecord};

/// What a client wants to configure, as it names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigTarget {
    /// A topic.
    Topic(String),
    /// A node by its id as text; empty is all nodes.
    Broker(String),
    /// A type of resource that has no configurations here.
    Other(i8),
}

/// One change of IncrementalAlterConfigs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigChange {
    /// Set to a value.
    Set(Option<String>),
    /// Back to what the layers below say.
    Delete,
    /// Add to a list.
    Append(Option<String>),
    /// Take from a list.
    Subtract(Option<String>),
    /// A number that Kafka does not define.
    Unknown(i8),
}

/// The changes of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlterConfigs {
    /// IncrementalAlterConfigs: each by its operation.
    Changes(Vec<(String, ConfigChange)>),
    /// AlterConfigs: what is not named is removed.
    Replace(Vec<(String, Option<String>)>),
}

impl Controller<'_> {
    /// Changes configurations. The answers are in the order of the request.
    pub fn alter_configs(
        &self,
        resources: &[(ConfigTarget, AlterConfigs)],
        validate_only: bool,
    ) -> Decision<Vec<Result<(), Refusal>>> {
        let mut named = BTreeSet::new();
        let twice: BTreeSet<&ConfigTarget> =
            resources.iter().map(|(target, _)| target).filter(|target| !named.insert(*target)).collect();
        let mut records = Vec::new();
        let mut answer = Vec::with_capacity(resources.len());
        for (target, changes) in resources {
            let result = if twice.contains(target) {
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Each resource must appear at most once."))
            } else {
                self.alter_resource(target, changes)
            };
            answer.push(result.map(|changed| records.extend(changed)));
        }
        if validate_only {
            records.clear();
        }
        let no_longer_eligible = self.eligible_no_more(&records);
        records.extend(no_longer_eligible);
        Decision { records, answer }
    }

    /// Where fewer replicas are enough from now on, the high watermark may move without those that were eligible.
    fn eligible_no_more(&self, changes: &[MetadataRecord]) -> Vec<MetadataRecord> {
        let is_about_it = |record: &MetadataRecord| match record {
            MetadataRecord::ConfigSet { name, .. } | MetadataRecord::ConfigRemoved { name, .. } => {
                name == MIN_IN_SYNC && !planted::is("fewer_are_enough")
            }
            _ => false,
        };
        if !changes.iter().any(is_about_it) {
            return Vec::new();
        }
        let image = self.image.after(changes).expect("the controller decides against this image");
        let after = Controller::new(&image, self.options);
        after.change_partitions(
            |topic, partition| {
                let enough = partition.min_in_sync(image.configured_min_in_sync(topic));
                let moves = !partition.eligible.is_empty() && partition.in_sync.len() >= enough;
                moves.then(|| after.change(topic, partition))
            },
            &|node| image.is_active(node),
        )
    }

    fn alter_resource(
        &self,
        target: &ConfigTarget,
        changes: &AlterConfigs,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let resource = self.find_resource(target)?;
        let current = self.image.configs(&resource);
        let wanted = match changes {
            AlterConfigs::Changes(changes) => changed(current, &resource, changes)?,
            AlterConfigs::Replace(configs) => replaced(configs)?,
        };
        let removed = current.keys().filter(|name| !wanted.contains_key(*name));
        let set = wanted.iter().filter(|(name, value)| current.get(*name) != Some(value));
        let touched: Vec<&str> =
            removed.clone().chain(set.clone().map(|(name, _)| name)).map(String::as_str).collect();
        self.check(&resource, &wanted, &touched)?;
        let set_records = set.map(|(name, value)| MetadataRecord::ConfigSet {
            resource: resource.clone(),
            name: name.clone(),
            value: value.clone(),
        });
        let removed_records = removed
            .map(|name| MetadataRecord::ConfigRemoved { resource: resource.clone(), name: name.clone() });
        Ok(removed_records.chain(set_records).collect())
    }

    fn find_resource(&self, target: &ConfigTarget) -> Result<ConfigResource, Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        match target {
            ConfigTarget::Topic(name) if name.is_empty() => {
                invalid("Default topic resources are not allowed.".to_owned())
            }
            ConfigTarget::Topic(name) => {
                check_topic_name(name)?;
                match self.image.topic(name) {
                    Some(_) => Ok(ConfigResource::Topic(name.clone())),
                    None => Err(Refusal::new(
                        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        format!("The topic '{name}' does not exist."),
                    )),
                }
            }
            ConfigTarget::Broker(id) if id.is_empty() => Ok(ConfigResource::Cluster),
            ConfigTarget::Broker(id) => match id.parse().map(NodeId) {
                Ok(node) if self.image.nodes().contains_key(&node) => Ok(ConfigResource::Node(node)),
                // The node that was asked was taken out meanwhile; others refuse what is not theirs.
                _ => Err(Refusal::new(
                    ErrorCode::BROKER_ID_NOT_REGISTERED,
                    format!("No node with id {id} found."),
                )),
            },
            ConfigTarget::Other(number) => invalid(format!("Unexpected resource type {number}.")),
        }
    }

    fn check(&self, resource: &ConfigResource, wanted: &ConfigMap, touched: &[&str]) -> Result<(), Refusal> {
        match resource {
            ConfigResource::Topic(_) => {
                let layers = self.image.config_layers(self.options.node_id, &self.options.topic_defaults);
                TopicConfig::resolve(&layers, wanted)
                    .map(|_| ())
                    .map_err(|error| Refusal::new(ErrorCode::INVALID_CONFIG, error.to_string()))
            }
            ConfigResource::Node(_) | ConfigResource::Cluster => check_broker_configs(wanted, touched),
        }
    }
}

fn check_broker_configs(wanted: &ConfigMap, touched: &[&str]) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let mut fixed = Vec::new();
    for name in touched {
        match broker_definition(name) {
            // Kafka keeps any name, for plug-ins; here it would be a setting that silently does nothing.
            None => return invalid(format!("Unknown broker config name: {name}")),
            Some(row) if row.definition.update == Update::ReadOnly => fixed.push(*name),
            Some(row) => {
                if let Some(Err(error)) = wanted.get(*name).map(|value| row.definition.parse(value)) {
                    return invalid(error.to_string());
                }
            }
        }
    }
    if fixed.is_empty() {
        return Ok(());
    }
    invalid(format!("Cannot update these configs dynamically: Set({})", fixed.join(", ")))
}

/// The configurations after the changes of IncrementalAlterConfigs.
fn changed(
    current: &ConfigMap,
    resource: &ConfigResource,
    changes: &[(String, ConfigChange)],
) -> Result<ConfigMap, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::INVALID_REQUEST, message);
    let mut names = BTreeSet::new();
    if !changes.iter().all(|(name, _)| names.insert(name)) {
        return Err(invalid("Error due to duplicate config keys".to_owned()));
    }
    let is_null = |change: &ConfigChange| {
        matches!(change, ConfigChange::Set(None) | ConfigChange::Append(None) | ConfigChange::Subtract(None))
    };
    let nulls: Vec<&str> =
        changes.iter().filter(|(_, change)| is_null(change)).map(|(name, _)| name.as_str()).collect();
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nulls.join(","))));
    }
    let mut wanted = current.clone();
    for (name, change) in changes {
        match change {
            ConfigChange::Set(value) => {
                wanted.insert(name.clone(), value.clone().unwrap_or_default());
            }
            ConfigChange::Delete => {
                wanted.remove(name);
            }
            ConfigChange::Append(value) => {
                let mut items = list_items(&wanted, resource, name, "APPEND")?;
                for item in split(value.as_deref().unwrap_or_default()) {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                wanted.insert(name.clone(), items.join(","));
            }
            ConfigChange::Subtract(value) => {
                let taken = split(value.as_deref().unwrap_or_default());
                let mut items = list_items(&wanted, resource, name, "SUBTRACT")?;
                items.retain(|item| !taken.contains(item));
                wanted.insert(name.clone(), items.join(","));
            }
            ConfigChange::Unknown(number) => {
                return Err(invalid(format!("Unknown config operation {number} for {name}.")));
            }
        }
    }
    Ok(wanted)
}

/// The configurations after AlterConfigs.
fn replaced(configs: &[(String, Option<String>)]) -> Result<ConfigMap, Refusal> {
    let mut wanted = ConfigMap::new();
    for (name, value) in configs {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        match value {
            None => return invalid(format!("Null value not supported for : {name}")),
            Some(value) if wanted.insert(name.clone(), value.clone()).is_none() => {}
            Some(_) => return invalid("Error due to duplicate config keys".to_owned()),
        }
    }
    Ok(wanted)
}

/// The items of a list configuration: what is set, or else the default.
fn list_items(
    configs: &ConfigMap,
    resource: &ConfigResource,
    name: &str,
    operation: &str,
) -> Result<Vec<String>, Refusal> {
    let definition: Option<&ConfigDefinition> = match resource {
        ConfigResource::Topic(_) => topic_definition(name),
        ConfigResource::Node(_) | ConfigResource::Cluster => {
            broker_definition(name).map(|row| &row.definition)
        }
    };
    match definition.filter(|definition| definition.config_type == ConfigType::List) {
        Some(definition) => {
            Ok(split(configs.get(name).map(String::as_str).or(definition.default).unwrap_or_default()))
        }
        None => Err(Refusal::new(
            ErrorCode::INVALID_CONFIG,
            format!("Can't {operation} to key {name} because its type is not LIST."),
        )),
    }
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

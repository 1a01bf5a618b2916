//! Which value of a topic configuration holds when several places set it.
//!
//! From the strongest: the topic's own; this node's, set while running; the cluster's, set while running; this node's
//! file; the default. Kafka names the middle three after broker configurations (`log.retention.ms` for `retention.ms`),
//! so a walk over the layers yields Kafka's list of synonyms as well.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::broker_definitions::broker_definition;
use super::definition::ConfigDefinition;
use super::source::{ConfigSource, Synonym};

/// Configurations by name, as text: the form in which the metadata keeps them.
pub type ConfigMap = BTreeMap<String, String>;

static NO_CONFIGS: ConfigMap = ConfigMap::new();

/// Topic configurations that the node's own configuration sets, by topic configuration name. Checked when set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicDefaults(BTreeMap<&'static str, String>);

impl TopicDefaults {
    /// Sets one, which the caller has checked.
    pub fn set(&mut self, definition: &'static ConfigDefinition, value: String) {
        self.0.insert(definition.name, value);
    }

    /// The value that the node's own configuration sets.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every one that is set.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The layers below a topic when nothing was set while running.
    pub fn layers(&self) -> ConfigLayers<'_> {
        ConfigLayers { node: &NO_CONFIGS, cluster: &NO_CONFIGS, file: self }
    }
}

/// Everything below a topic's own configurations.
#[derive(Debug, Clone, Copy)]
pub struct ConfigLayers<'a> {
    /// Set for this node while running, by broker name.
    pub node: &'a ConfigMap,
    /// Set for the cluster while running, by broker name.
    pub cluster: &'a ConfigMap,
    /// Set by the node's own configuration.
    pub file: &'a TopicDefaults,
}

impl ConfigLayers<'_> {
    /// Every place that gives `definition` a value, strongest first. Empty when only the table's default does and Kafka
    /// knows no broker configuration for it.
    pub fn chain(&self, definition: &'static ConfigDefinition, topic: &ConfigMap) -> Vec<Synonym> {
        let mut chain = Vec::new();
        let mut add = |name: &str, value: &str, source| {
            chain.push(Synonym { name: name.to_owned(), value: Some(value.to_owned()), source });
        };
        if let Some(value) = topic.get(definition.name) {
            add(definition.name, value, ConfigSource::Topic);
        }
        for name in definition.synonyms {
            if let Some(value) = self.node.get(*name) {
                add(name, value, ConfigSource::DynamicNode);
            }
        }
        for name in definition.synonyms {
            if let Some(value) = self.cluster.get(*name) {
                add(name, value, ConfigSource::DynamicCluster);
            }
        }
        if let Some(value) = self.file.get(definition.name) {
            let name = definition.synonyms.first().unwrap_or(&definition.name);
            add(name, value, ConfigSource::NodeFile);
        }
        for name in definition.synonyms {
            if let Some(value) = broker_definition(name).and_then(|broker| broker.definition.default) {
                add(name, value, ConfigSource::Default);
            }
        }
        chain
    }

    /// The value that holds, as text.
    pub fn effective<'v>(&'v self, definition: &ConfigDefinition, topic: &'v ConfigMap) -> &'v str {
        let synonyms = definition.synonyms;
        topic
            .get(definition.name)
            .or_else(|| synonyms.iter().find_map(|name| self.node.get(*name)))
            .or_else(|| synonyms.iter().find_map(|name| self.cluster.get(*name)))
            .map(String::as_str)
            .or_else(|| self.file.get(definition.name))
            .or(definition.default)
            .expect("every topic configuration has a default; the table is tested")
    }
}

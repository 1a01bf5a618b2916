//! The state that the metadata records describe: immutable, shared by every shard, a new one for each change.
//!
//! A copy shares everything with the image it was made from; applying a record copies only the map that the record
//! touches, and in it pointers, not topics. What must hold: `topics` and `names` are two views of the same topics; a
//! topic's partitions are numbered from 0 without a gap; an image never changes once it is shared.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ringmain_storage::TopicId;

use crate::config::definition::ConfigValue;
use crate::config::layers::{ConfigLayers, ConfigMap};
use crate::config::topic_definitions::topic_definition;
use crate::config::{TopicConfig, TopicDefaults};
use crate::identity::NodeId;
use crate::node_image::NodeImage;
use crate::partition_image::PartitionImage;
use crate::record::{ConfigResource, MetadataRecord};

mod apply;
mod changes;
mod snapshot;

pub use changes::ImageChanges;

/// The configuration by which the leader and the controller must agree.
pub(crate) const MIN_IN_SYNC: &str = "min.insync.replicas";

/// The metadata after a number of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataImage {
    version: u64,
    cluster_id: Arc<str>,
    nodes: Arc<BTreeMap<NodeId, NodeImage>>,
    /// The last registrations of nodes that were taken out and did not come back: their votes are to go, too.
    taken_out: Arc<BTreeMap<NodeId, NodeImage>>,
    topics: Arc<BTreeMap<Arc<str>, Arc<TopicImage>>>,
    names: Arc<BTreeMap<TopicId, Arc<str>>>,
    configs: Arc<BTreeMap<ConfigResource, Arc<ConfigMap>>>,
    partition_count: usize,
    next_producer_id: i64,
    feature_levels: Arc<BTreeMap<String, i16>>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its id, never used again.
    pub id: TopicId,
    /// Its name, which may be used again after the topic is gone.
    pub name: Arc<str>,
    /// Its partitions by index; an image shares those that did not change with the one before it.
    pub partitions: Vec<Arc<PartitionImage>>,
}

/// A record that does not fit the image before it: the log is not the one that this image came from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The topic is not there.
    #[error("a record is about the topic {0}, which does not exist")]
    UnknownTopic(TopicId),
    /// The topic is there already.
    #[error("a record creates the topic '{0}', which exists")]
    TopicExists(String),
    /// A partition is missing before it, or it is there.
    #[error("a record creates partition {got} of the topic {topic_id}, expected {expected}")]
    PartitionOrder {
        /// Of which topic.
        topic_id: TopicId,
        /// The next one.
        expected: usize,
        /// The record's.
        got: i32,
    },
    /// The partition is not there.
    #[error("a record is about partition {partition} of the topic {topic_id}, which does not exist")]
    UnknownPartition {
        /// Of which topic.
        topic_id: TopicId,
        /// The record's.
        partition: i32,
    },
    /// A partition cannot be so, or cannot become so.
    #[error("a record makes partition {partition} of the topic {topic_id} impossible: {problem}")]
    Partition {
        /// Of which topic.
        topic_id: TopicId,
        /// Which one.
        partition: i32,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The node is not registered so.
    #[error("a record is about registration {registration_epoch} of node {node_id}, which is not its newest")]
    UnknownRegistration {
        /// Whose.
        node_id: NodeId,
        /// The record's.
        registration_epoch: i64,
    },
    /// A registration is not newer than the one before it.
    #[error("a record registers node {node_id} with epoch {got}, after {current}")]
    RegistrationGoesBack {
        /// Whose.
        node_id: NodeId,
        /// The image's.
        current: i64,
        /// The record's.
        got: i64,
    },
    /// They would be handed out twice.
    #[error("a record gives back producer ids: the next is {current}, the record says {got}")]
    ProducerIdsGoBack {
        /// The image's.
        current: i64,
        /// The record's.
        got: i64,
    },
}

impl MetadataImage {
    /// How many records it has seen; grows with each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The cluster's id; empty before the first record.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The nodes, by id.
    pub fn nodes(&self) -> &BTreeMap<NodeId, NodeImage> {
        &self.nodes
    }

    /// The topics, by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// A topic by its name.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    /// A topic by its id.
    pub fn topic_by_id(&self, topic_id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topic(self.names.get(&topic_id)?)
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// Every partition with its topic and index, by topic name.
    pub fn partitions(&self) -> impl Iterator<Item = (&Arc<TopicImage>, i32, &PartitionImage)> {
        self.topics.values().flat_map(|topic| {
            (0..).zip(&topic.partitions).map(move |(partition, image)| (topic, partition, &**image))
        })
    }

    /// A partition by its topic's id.
    pub fn partition(&self, topic_id: TopicId, partition: i32) -> Option<&PartitionImage> {
        self.topic_by_id(topic_id)?.partitions.get(usize::try_from(partition).ok()?).map(Arc::as_ref)
    }

    /// Whether a node was taken out of the cluster, and has not registered since.
    pub fn was_taken_out(&self, node_id: NodeId) -> bool {
        self.taken_out.contains_key(&node_id)
    }

    /// Whether a node is registered and may lead and enter in-sync sets.
    pub fn is_active(&self, node_id: NodeId) -> bool {
        self.nodes.get(&node_id).is_some_and(NodeImage::is_active)
    }

    /// The level at which all nodes use a feature; 0 is not at all.
    pub fn feature_level(&self, feature: &str) -> i16 {
        self.feature_levels.get(feature).copied().unwrap_or(0)
    }

    /// Every feature in use, and its level.
    pub fn feature_levels(&self) -> &BTreeMap<String, i16> {
        &self.feature_levels
    }

    /// Fewest replicas that must have a record that is acknowledged with acks=all, as configured for the topic or else
    /// for the cluster; [`PartitionImage::min_in_sync`] says what that is for one partition. What one node's own file
    /// says is not in it, because the leader, which lets the high watermark move by it, and the controller, which tells
    /// by it who is eligible, must agree.
    pub fn configured_min_in_sync(&self, topic: &TopicImage) -> usize {
        let definition = topic_definition(MIN_IN_SYNC).expect("a name of the table");
        let (none, file) = (ConfigMap::new(), TopicDefaults::default());
        let layers =
            ConfigLayers { node: &none, cluster: self.configs(&ConfigResource::Cluster), file: &file };
        let parsed = definition.parse(layers.effective(definition, self.topic_overrides(&topic.name)));
        match parsed.ok().or_else(|| definition.default_value()) {
            Some(ConfigValue::Integer(number)) => usize::try_from(number).unwrap_or(1),
            _ => 1,
        }
    }

    /// The first producer id that was never handed to a node.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// What was set for a resource while running, by name.
    pub fn configs(&self, resource: &ConfigResource) -> &ConfigMap {
        static NONE: ConfigMap = ConfigMap::new();
        self.configs.get(resource).map_or(&NONE, |configs| configs.as_ref())
    }

    /// What was set for a topic.
    pub fn topic_overrides(&self, name: &str) -> &ConfigMap {
        self.configs(&ConfigResource::Topic(name.to_owned()))
    }

    /// What lies below a topic's own configurations on a node with these defaults.
    pub fn config_layers<'a>(&'a self, node_id: NodeId, file: &'a TopicDefaults) -> ConfigLayers<'a> {
        ConfigLayers {
            node: self.configs(&ConfigResource::Node(node_id)),
            cluster: self.configs(&ConfigResource::Cluster),
            file,
        }
    }

    /// The configuration that holds for a topic on a node with these defaults.
    pub fn topic_config(&self, name: &str, node_id: NodeId, file: &TopicDefaults) -> TopicConfig {
        TopicConfig::resolve_accepted(&self.config_layers(node_id, file), self.topic_overrides(name))
    }

    /// The image after some more records.
    pub fn after(&self, records: &[MetadataRecord]) -> Result<Self, ApplyError> {
        let mut image = self.clone();
        records.iter().try_for_each(|record| image.apply(record))?;
        Ok(image)
    }
}

#[cfg(test)]
mod tests;

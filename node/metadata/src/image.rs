//! The state that the metadata records describe: immutable, shared by every shard, a new one for each change.
//!
//! A copy shares everything with the image it was made from; applying a record copies only the map that the record
//! touches, and in it pointers, not topics. What must hold: `topics` and `names` are two views of the same topics; a
//! topic's partitions are numbered from 0 without a gap; an image never changes once it is shared.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ringmain_storage::{LeaderEpoch, TopicId};

use super::identity::{NodeId, PartitionEpoch};
use super::record::{ConfigResource, MetadataRecord};
use crate::config::layers::{ConfigLayers, ConfigMap};
use crate::config::{TopicConfig, TopicDefaults};

/// The metadata after a number of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataImage {
    version: u64,
    cluster_id: Arc<str>,
    nodes: Arc<BTreeMap<NodeId, NodeImage>>,
    topics: Arc<BTreeMap<Arc<str>, Arc<TopicImage>>>,
    names: Arc<BTreeMap<TopicId, Arc<str>>>,
    configs: Arc<BTreeMap<ConfigResource, Arc<ConfigMap>>>,
    partition_count: usize,
    next_producer_id: i64,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeImage {
    /// Counts its starts.
    pub registration_epoch: i64,
    /// Where clients reach it.
    pub host: String,
    /// Where clients reach it.
    pub port: u16,
    /// Its rack, if told.
    pub rack: Option<String>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its id, never used again.
    pub id: TopicId,
    /// Its name, which may be used again after the topic is gone.
    pub name: Arc<str>,
    /// Its partitions by index.
    pub partitions: Vec<PartitionImage>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Who keeps a replica, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// Who of them is in sync.
    pub in_sync: Vec<NodeId>,
    /// Who leads.
    pub leader: NodeId,
    /// Counts leaderships.
    pub leader_epoch: LeaderEpoch,
    /// Counts changes.
    pub partition_epoch: PartitionEpoch,
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

    fn apply(&mut self, record: &MetadataRecord) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::ClusterCreated { cluster_id } => self.cluster_id = cluster_id.as_str().into(),
            MetadataRecord::NodeRegistered { node_id, registration_epoch, host, port, rack } => {
                let node = NodeImage {
                    registration_epoch: *registration_epoch,
                    host: host.clone(),
                    port: *port,
                    rack: rack.clone(),
                };
                Arc::make_mut(&mut self.nodes).insert(*node_id, node);
                self.begin_leaderships(*node_id);
            }
            MetadataRecord::TopicCreated { topic_id, name } => self.create_topic(*topic_id, name)?,
            MetadataRecord::PartitionCreated {
                topic_id,
                partition,
                replicas,
                in_sync,
                leader,
                leader_epoch,
                partition_epoch,
            } => {
                let created = PartitionImage {
                    replicas: replicas.clone(),
                    in_sync: in_sync.clone(),
                    leader: *leader,
                    leader_epoch: *leader_epoch,
                    partition_epoch: *partition_epoch,
                };
                self.create_partition(*topic_id, *partition, created)?;
            }
            MetadataRecord::TopicDeleted { topic_id } => self.delete_topic(*topic_id)?,
            MetadataRecord::ConfigSet { resource, name, value } => {
                let configs = Arc::make_mut(&mut self.configs).entry(resource.clone()).or_default();
                Arc::make_mut(configs).insert(name.clone(), value.clone());
            }
            MetadataRecord::ConfigRemoved { resource, name } => self.remove_config(resource, name),
            MetadataRecord::ProducerIdsAllocated { node_id: _, next } => {
                if *next < self.next_producer_id {
                    return Err(ApplyError::ProducerIdsGoBack { current: self.next_producer_id, got: *next });
                }
                self.next_producer_id = *next;
            }
        }
        self.version += 1;
        Ok(())
    }

    fn create_topic(&mut self, id: TopicId, name: &str) -> Result<(), ApplyError> {
        if self.topics.contains_key(name) || self.names.contains_key(&id) {
            return Err(ApplyError::TopicExists(name.to_owned()));
        }
        let name: Arc<str> = name.into();
        let topic = TopicImage { id, name: Arc::clone(&name), partitions: Vec::new() };
        Arc::make_mut(&mut self.names).insert(id, Arc::clone(&name));
        Arc::make_mut(&mut self.topics).insert(name, Arc::new(topic));
        Ok(())
    }

    fn create_partition(
        &mut self,
        topic_id: TopicId,
        partition: i32,
        created: PartitionImage,
    ) -> Result<(), ApplyError> {
        let name = self.names.get(&topic_id).ok_or(ApplyError::UnknownTopic(topic_id))?;
        let topic =
            Arc::make_mut(&mut self.topics).get_mut(name).ok_or(ApplyError::UnknownTopic(topic_id))?;
        let expected = topic.partitions.len();
        if usize::try_from(partition) != Ok(expected) {
            return Err(ApplyError::PartitionOrder { topic_id, expected, got: partition });
        }
        Arc::make_mut(topic).partitions.push(created);
        self.partition_count += 1;
        Ok(())
    }

    fn delete_topic(&mut self, topic_id: TopicId) -> Result<(), ApplyError> {
        let unknown = ApplyError::UnknownTopic(topic_id);
        let name = Arc::make_mut(&mut self.names).remove(&topic_id).ok_or(unknown.clone())?;
        let topic = Arc::make_mut(&mut self.topics).remove(&name).ok_or(unknown)?;
        self.partition_count -= topic.partitions.len();
        let resource = ConfigResource::Topic(name.to_string());
        if self.configs.contains_key(&resource) {
            Arc::make_mut(&mut self.configs).remove(&resource);
        }
        Ok(())
    }

    fn remove_config(&mut self, resource: &ConfigResource, name: &str) {
        let all = Arc::make_mut(&mut self.configs);
        let Some(configs) = all.get_mut(resource) else { return };
        Arc::make_mut(configs).remove(name);
        if configs.is_empty() {
            all.remove(resource);
        }
    }

    /// A node that starts leads what it led in a new epoch.
    fn begin_leaderships(&mut self, node_id: NodeId) {
        let leads = |topic: &TopicImage| topic.partitions.iter().any(|partition| partition.leader == node_id);
        if !self.topics.values().any(|topic| leads(topic)) {
            return;
        }
        for topic in Arc::make_mut(&mut self.topics).values_mut().filter(|topic| leads(topic)) {
            let led = Arc::make_mut(topic).partitions.iter_mut().filter(|p| p.leader == node_id);
            for partition in led {
                partition.leader_epoch = LeaderEpoch::new(partition.leader_epoch.value() + 1);
                partition.partition_epoch = PartitionEpoch(partition.partition_epoch.0 + 1);
            }
        }
    }

    /// Records that give this image when applied to an empty one: a snapshot. Nodes come first, because a registration
    /// begins leaderships.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = vec![MetadataRecord::ClusterCreated { cluster_id: self.cluster_id.to_string() }];
        records.extend(self.nodes.iter().map(|(node_id, node)| MetadataRecord::NodeRegistered {
            node_id: *node_id,
            registration_epoch: node.registration_epoch,
            host: node.host.clone(),
            port: node.port,
            rack: node.rack.clone(),
        }));
        for topic in self.topics.values() {
            records.push(MetadataRecord::TopicCreated { topic_id: topic.id, name: topic.name.to_string() });
            records.extend((0..).zip(&topic.partitions).map(|(partition, image)| {
                MetadataRecord::PartitionCreated {
                    topic_id: topic.id,
                    partition,
                    replicas: image.replicas.clone(),
                    in_sync: image.in_sync.clone(),
                    leader: image.leader,
                    leader_epoch: image.leader_epoch,
                    partition_epoch: image.partition_epoch,
                }
            }));
        }
        for (resource, configs) in self.configs.iter() {
            records.extend(configs.iter().map(|(name, value)| MetadataRecord::ConfigSet {
                resource: resource.clone(),
                name: name.clone(),
                value: value.clone(),
            }));
        }
        // The node does not matter: who got which ids is not part of the image.
        let node_id = self.nodes.keys().next().copied().unwrap_or(NodeId(0));
        records.push(MetadataRecord::ProducerIdsAllocated { node_id, next: self.next_producer_id });
        records
    }

    /// The image that a snapshot's records give, with the version that it had.
    pub fn from_snapshot(records: &[MetadataRecord], version: u64) -> Result<Self, ApplyError> {
        let mut image = Self::default().after(records)?;
        image.version = version;
        Ok(image)
    }
}

#[cfg(test)]
mod tests;

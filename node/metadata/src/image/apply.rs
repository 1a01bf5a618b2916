//! One record applied to an image. A record that does not fit is refused, and so is what makes a partition impossible:
//! every node has the same image or stops.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ringmain_storage::{LeaderEpoch, TopicId};

use super::{ApplyError, MetadataImage, TopicImage};
use crate::identity::{IncarnationId, NodeId, PartitionEpoch};
use crate::node_image::{Endpoint, LevelRange, NodeImage};
use crate::partition_image::PartitionImage;
use crate::record::{ConfigResource, MetadataRecord};

impl MetadataImage {
    pub(super) fn apply(&mut self, record: &MetadataRecord) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::ClusterCreated { cluster_id } => self.cluster_id = cluster_id.as_str().into(),
            MetadataRecord::LoneNodeStarted { node_id, registration_epoch, host, port, rack } => {
                let node = lone_node(*registration_epoch, host, *port, rack.as_ref());
                self.insert_node(*node_id, node);
                self.begin_leaderships(*node_id);
            }
            MetadataRecord::NodeRegistered { node_id, node } => self.register_node(*node_id, node)?,
            MetadataRecord::NodeChanged { node_id, registration_epoch, fenced, stopping_since } => {
                let node = self.registered_node(*node_id, *registration_epoch)?;
                node.fenced = *fenced;
                node.stopping_since = *stopping_since;
            }
            MetadataRecord::NodeUnregistered { node_id, registration_epoch } => {
                let node = self.registered_node(*node_id, *registration_epoch)?.clone();
                Arc::make_mut(&mut self.nodes).remove(node_id);
                Arc::make_mut(&mut self.taken_out).insert(*node_id, node);
            }
            MetadataRecord::TopicCreated { topic_id, name } => self.create_topic(*topic_id, name)?,
            MetadataRecord::PartitionCreated { topic_id, partition, state } => {
                self.create_partition(*topic_id, *partition, state.clone())?;
            }
            MetadataRecord::PartitionChanged { topic_id, partition, state } => {
                self.change_partition(*topic_id, *partition, state)?;
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
            MetadataRecord::FeatureLevelSet { feature, level } => {
                Arc::make_mut(&mut self.feature_levels).insert(feature.clone(), *level);
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
        if let Some(problem) = created.problem() {
            return Err(ApplyError::Partition { topic_id, partition, problem });
        }
        Arc::make_mut(topic).partitions.push(Arc::new(created));
        self.partition_count += 1;
        Ok(())
    }

    fn change_partition(
        &mut self,
        topic_id: TopicId,
        partition: i32,
        state: &PartitionImage,
    ) -> Result<(), ApplyError> {
        let name = self.names.get(&topic_id).ok_or(ApplyError::UnknownTopic(topic_id))?;
        let topic =
            Arc::make_mut(&mut self.topics).get_mut(name).ok_or(ApplyError::UnknownTopic(topic_id))?;
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let Some(before) = topic.partitions.get(index) else {
            return Err(ApplyError::UnknownPartition { topic_id, partition });
        };
        if let Some(problem) = state.problem().or_else(|| state.problem_after(before)) {
            return Err(ApplyError::Partition { topic_id, partition, problem });
        }
        Arc::make_mut(topic).partitions[index] = Arc::new(state.clone());
        Ok(())
    }

    fn register_node(&mut self, node_id: NodeId, node: &NodeImage) -> Result<(), ApplyError> {
        if let Some(before) = self.nodes.get(&node_id) {
            let same_start = before.incarnation_id == node.incarnation_id;
            let (current, got) = (before.registration_epoch, node.registration_epoch);
            if got < current || (got == current && !same_start) {
                return Err(ApplyError::RegistrationGoesBack { node_id, current, got });
            }
        }
        self.insert_node(node_id, node.clone());
        Ok(())
    }

    fn insert_node(&mut self, node_id: NodeId, node: NodeImage) {
        Arc::make_mut(&mut self.nodes).insert(node_id, node);
        if self.taken_out.contains_key(&node_id) {
            Arc::make_mut(&mut self.taken_out).remove(&node_id);
        }
    }

    fn registered_node(
        &mut self,
        node_id: NodeId,
        registration_epoch: i64,
    ) -> Result<&mut NodeImage, ApplyError> {
        Arc::make_mut(&mut self.nodes)
            .get_mut(&node_id)
            .filter(|node| node.registration_epoch == registration_epoch)
            .ok_or(ApplyError::UnknownRegistration { node_id, registration_epoch })
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
        let leads =
            |topic: &TopicImage| topic.partitions.iter().any(|partition| partition.leader == Some(node_id));
        if !self.topics.values().any(|topic| leads(topic)) {
            return;
        }
        for topic in Arc::make_mut(&mut self.topics).values_mut().filter(|topic| leads(topic)) {
            let led = Arc::make_mut(topic).partitions.iter_mut().filter(|p| p.leader == Some(node_id));
            for partition in led.map(Arc::make_mut) {
                partition.leader_epoch = LeaderEpoch::new(partition.leader_epoch.value() + 1);
                partition.partition_epoch = PartitionEpoch(partition.partition_epoch.0 + 1);
            }
        }
    }
}

/// A node that is alone has nobody to fence it, and its program reads what it writes.
fn lone_node(registration_epoch: i64, host: &str, port: u16, rack: Option<&String>) -> NodeImage {
    NodeImage {
        registration_epoch,
        incarnation_id: IncarnationId::default(),
        endpoints: vec![Endpoint { listener: "PLAINTEXT".to_owned(), host: host.to_owned(), port }],
        rack: rack.cloned(),
        peer: None,
        levels: LevelRange { least: 0, most: 0 },
        fenced: false,
        stopping_since: None,
    }
}

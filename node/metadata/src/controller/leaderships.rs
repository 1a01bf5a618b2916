//! What nodes that come and go do to the partitions that they keep.

use alloc::vec::Vec;

use super::Controller;
use super::partition_change::{Election, PartitionChange};
use crate::config::TopicDefaults;
use crate::config::definition::ConfigValue;
use crate::config::layers::{ConfigLayers, ConfigMap};
use crate::config::topic_definitions::topic_definition;
use crate::identity::NodeId;
use crate::image::TopicImage;
use crate::partition_image::PartitionImage;
use crate::planted;
use crate::record::{ConfigResource, MetadataRecord};

impl Controller<'_> {
    /// A node may no longer lead: it leaves every in-sync set, and others take over. With `lost` it is not eligible
    /// either, in the topics for which that holds.
    pub(super) fn without(&self, node_id: NodeId, lost: impl Fn(&TopicImage) -> bool) -> Vec<MetadataRecord> {
        self.change_partitions(
            |topic, partition| {
                let has_all = partition.in_sync.contains(&node_id)
                    || (lost(topic)
                        && (partition.eligible.contains(&node_id)
                            || partition.last_known_leader == Some(node_id)));
                has_all.then(|| {
                    let mut change = self.change(topic, partition);
                    change.after.in_sync.retain(|member| *member != node_id);
                    change.lost = lost(topic).then_some(node_id);
                    change
                })
            },
            &|candidate| candidate != node_id && self.image.is_active(candidate),
        )
    }

    /// A node may lead from now on: it takes what nobody leads, if it can.
    pub(super) fn with(&self, node_id: NodeId) -> Vec<MetadataRecord> {
        self.change_partitions(
            |topic, partition| partition.leader.is_none().then(|| self.change(topic, partition)),
            &|candidate| candidate == node_id || self.image.is_active(candidate),
        )
    }

    /// The records of the partitions for which there is a change.
    pub(super) fn change_partitions<'i>(
        &'i self,
        change_of: impl Fn(&'i TopicImage, &'i PartitionImage) -> Option<PartitionChange<'i>>,
        may_lead: &dyn Fn(NodeId) -> bool,
    ) -> Vec<MetadataRecord> {
        let changed = self.image.partitions().filter_map(|(topic, partition, state)| {
            let state = change_of(topic, state)?.decide(may_lead)?;
            Some(MetadataRecord::PartitionChanged { topic_id: topic.id, partition, state })
        });
        changed.collect()
    }

    /// A change of a partition; an unclean election is possible where the topic allows it.
    pub(super) fn change<'i>(
        &self,
        topic: &TopicImage,
        partition: &'i PartitionImage,
    ) -> PartitionChange<'i> {
        let mut change = PartitionChange::of(partition, self.image.configured_min_in_sync(topic));
        if self.is_set(topic, "unclean.leader.election.enable") {
            change.election = Election::Unclean;
        }
        change
    }

    /// Whether a node may lead now.
    pub(super) fn may_lead(&self, node_id: NodeId) -> bool {
        self.image.is_active(node_id)
            || (planted::is("fenced_leads") && self.image.nodes().contains_key(&node_id))
    }

    /// A topic configuration that is true or false, as the whole cluster sees it.
    pub(super) fn is_set(&self, topic: &TopicImage, name: &str) -> bool {
        let definition = topic_definition(name).expect("a name of the table");
        let (none, file): (ConfigMap, &TopicDefaults) = (ConfigMap::new(), &self.options.topic_defaults);
        let layers =
            ConfigLayers { node: &none, cluster: self.image.configs(&ConfigResource::Cluster), file };
        let text = layers.effective(definition, self.image.topic_overrides(&topic.name));
        definition.parse(text) == Ok(ConfigValue::Boolean(true))
    }
}

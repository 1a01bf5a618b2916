//! A snapshot is records: those that give an image when they are applied to an empty one.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::{ApplyError, MetadataImage};
use crate::identity::NodeId;
use crate::node_image::NodeImage;
use crate::partition_image::PartitionImage;
use crate::record::MetadataRecord;

impl MetadataImage {
    /// Records that give this image when applied to an empty one: a snapshot.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = vec![MetadataRecord::ClusterCreated { cluster_id: self.cluster_id.to_string() }];
        let registered = |(node_id, node): (&NodeId, &NodeImage)| MetadataRecord::NodeRegistered {
            node_id: *node_id,
            node: node.clone(),
        };
        records.extend(self.nodes.iter().map(registered));
        for (node_id, node) in self.taken_out.iter() {
            let registration_epoch = node.registration_epoch;
            records.push(registered((node_id, node)));
            records.push(MetadataRecord::NodeUnregistered { node_id: *node_id, registration_epoch });
        }
        records.extend(self.feature_levels.iter().map(|(feature, level)| MetadataRecord::FeatureLevelSet {
            feature: feature.clone(),
            level: *level,
        }));
        for topic in self.topics.values() {
            records.push(MetadataRecord::TopicCreated { topic_id: topic.id, name: topic.name.to_string() });
            records.extend((0..).zip(&topic.partitions).map(|(partition, image)| {
                MetadataRecord::PartitionCreated {
                    topic_id: topic.id,
                    partition,
                    state: PartitionImage::clone(image),
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

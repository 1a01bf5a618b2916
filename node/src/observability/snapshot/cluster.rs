//! What the metadata says of the cluster as a whole, as numbers. Each node tells the same, as far as it has heard.
//!
//! One walk over all partitions for each version of the metadata, on the thread of whoever looks.

use std::collections::BTreeMap;

use crate::metadata::{MetadataImage, NodeId};

/// Numbers of one version of the metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClusterFacts {
    /// Which version.
    pub(crate) version: u64,
    pub(crate) nodes_active: u64,
    pub(crate) nodes_fenced: u64,
    pub(crate) nodes_stopping: u64,
    pub(crate) topics: u64,
    pub(crate) partitions: u64,
    /// Nobody leads them.
    pub(crate) offline: u64,
    /// A replica is not in sync; offline ones too.
    pub(crate) under_replicated: u64,
    /// Fewer replicas are in sync than `min.insync.replicas`: acks=all is refused.
    pub(crate) under_min_in_sync: u64,
    pub(crate) reassigning: u64,
    /// Somebody else leads than who should.
    pub(crate) not_led_by_preferred: u64,
    /// How many partitions each registered node leads.
    pub(crate) led_by: BTreeMap<NodeId, u64>,
}

impl ClusterFacts {
    pub(super) fn of(image: &MetadataImage) -> Self {
        let mut facts = Self { version: image.version(), ..Self::default() };
        for (node_id, node) in image.nodes() {
            facts.led_by.insert(*node_id, 0);
            let state = match () {
                () if node.is_active() => &mut facts.nodes_active,
                () if node.stopping_since.is_some() => &mut facts.nodes_stopping,
                () => &mut facts.nodes_fenced,
            };
            *state += 1;
        }
        for topic in image.topics() {
            let configured = image.configured_min_in_sync(topic);
            facts.topics += 1;
            for partition in &topic.partitions {
                facts.partitions += 1;
                match partition.leader {
                    Some(leader) => *facts.led_by.entry(leader).or_default() += 1,
                    None => facts.offline += 1,
                }
                let replicas = partition.replicas.len() - partition.adding.len();
                facts.under_replicated += u64::from(partition.in_sync.len() < replicas);
                facts.under_min_in_sync +=
                    u64::from(partition.in_sync.len() < partition.min_in_sync(configured));
                facts.reassigning += u64::from(partition.is_reassigning());
                let is_elsewhere =
                    partition.leader.is_some() && partition.leader != partition.preferred_leader();
                facts.not_led_by_preferred += u64::from(is_elsewhere);
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use ringmain_storage::TopicId;

    use super::*;
    use crate::metadata::{MetadataRecord, PartitionImage};

    #[test]
    fn partitions_are_counted_by_what_is_wrong_with_them() {
        let topic_id = TopicId([1; 16]);
        let started = |id: i32| MetadataRecord::LoneNodeStarted {
            node_id: NodeId(id),
            registration_epoch: i64::from(id),
            host: "localhost".to_owned(),
            port: 9092,
            rack: None,
        };
        let mut records = vec![started(1), started(2), started(3)];
        records.push(MetadataRecord::NodeChanged {
            node_id: NodeId(3),
            registration_epoch: 3,
            fenced: true,
            stopping_since: None,
        });
        records.push(MetadataRecord::TopicCreated { topic_id, name: "orders".to_owned() });
        let all = [1, 2, 3].map(NodeId).to_vec();
        let states = [
            PartitionImage::created(all.clone(), all.clone()),
            PartitionImage::created(all.clone(), vec![NodeId(2)]),
            PartitionImage { leader: None, ..PartitionImage::created(all, vec![NodeId(3)]) },
        ];
        for (partition, state) in (0..).zip(states) {
            records.push(MetadataRecord::PartitionCreated { topic_id, partition, state });
        }
        let image = MetadataImage::default().after(&records).expect("these records fit each other");
        let facts = ClusterFacts::of(&image);
        assert_eq!((facts.nodes_active, facts.nodes_fenced, facts.nodes_stopping), (2, 1, 0));
        assert_eq!((facts.topics, facts.partitions, facts.offline), (1, 3, 1));
        assert_eq!((facts.under_replicated, facts.under_min_in_sync, facts.not_led_by_preferred), (2, 0, 1));
        assert_eq!(facts.led_by, BTreeMap::from([(NodeId(1), 1), (NodeId(2), 1), (NodeId(3), 0)]));
    }
}

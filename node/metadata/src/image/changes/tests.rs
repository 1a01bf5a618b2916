//! Changes against a comparison of everything, and that what is shared is not looked at.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use ringmain_storage::TopicId;

use super::*;
use crate::identity::{NodeId, PartitionEpoch};
use crate::record::MetadataRecord;

fn created(number: u8, name: &str, partitions: i32) -> Vec<MetadataRecord> {
    let topic_id = TopicId([number; 16]);
    let mut records = vec![MetadataRecord::TopicCreated { topic_id, name: name.to_owned() }];
    let state = || PartitionImage::created(vec![NodeId(1), NodeId(2)], vec![NodeId(1), NodeId(2)]);
    records.extend((0..partitions).map(|partition| MetadataRecord::PartitionCreated {
        topic_id,
        partition,
        state: state(),
    }));
    records
}

/// Node 2 left the in-sync set.
fn shrunk(image: &MetadataImage, number: u8, partition: i32) -> MetadataRecord {
    let topic_id = TopicId([number; 16]);
    let mut state = image.partition(topic_id, partition).expect("there").clone();
    state.in_sync.retain(|node| *node != NodeId(2));
    state.partition_epoch = PartitionEpoch(state.partition_epoch.0 + 1);
    MetadataRecord::PartitionChanged { topic_id, partition, state }
}

fn config(resource: ConfigResource, value: &str) -> MetadataRecord {
    MetadataRecord::ConfigSet { resource, name: "retention.ms".to_owned(), value: value.to_owned() }
}

fn registered(registration_epoch: i64) -> MetadataRecord {
    let host = "h".to_owned();
    MetadataRecord::LoneNodeStarted { node_id: NodeId(9), registration_epoch, host, port: 1, rack: None }
}

/// The names and numbers of changes: nodes, configurations of all, deleted, created, configured, partitions.
type Told = (bool, bool, Vec<String>, Vec<String>, Vec<String>, Vec<(String, i32)>);

fn told(changes: &ImageChanges<'_>) -> Told {
    let names = |topics: &[&Arc<TopicImage>]| topics.iter().map(|topic| topic.name.to_string()).collect();
    let partitions = changes.partitions.iter().map(|(topic, index, _)| (topic.name.to_string(), *index));
    let topics = (names(&changes.deleted), names(&changes.created), names(&changes.configured));
    (changes.nodes, changes.shared_configs, topics.0, topics.1, topics.2, partitions.collect())
}

/// By a look at everything.
fn compared(before: &MetadataImage, after: &MetadataImage) -> Told {
    let has = |image: &MetadataImage, topic: &TopicImage| image.topic_by_id(topic.id).is_some();
    let name = |topic: &Arc<TopicImage>| topic.name.to_string();
    let overrides = |image: &MetadataImage, topic: &TopicImage| image.topic_overrides(&topic.name).clone();
    let of_all = |image: &MetadataImage| {
        [ConfigResource::Cluster, ConfigResource::Node(NodeId(1))]
            .map(|resource| image.configs(&resource).clone())
    };
    let configured = after
        .topics()
        .filter(|topic| has(before, topic) && overrides(before, topic) != overrides(after, topic));
    let changed =
        after.partitions().filter(|(topic, index, state)| before.partition(topic.id, *index) != Some(*state));
    (
        before.nodes() != after.nodes(),
        of_all(before) != of_all(after),
        before.topics().filter(|topic| !has(after, topic)).map(name).collect(),
        after.topics().filter(|topic| !has(before, topic)).map(name).collect(),
        configured.map(name).collect(),
        changed.map(|(topic, index, _)| (topic.name.to_string(), index)).collect(),
    )
}

#[test]
fn changes_are_what_a_look_at_everything_finds() {
    let first = MetadataImage::default()
        .after(&[created(1, "a", 3), created(2, "b", 2), created(3, "c", 1)].concat())
        .expect("applies");
    let deleted = |number| MetadataRecord::TopicDeleted { topic_id: TopicId([number; 16]) };
    let of_topic = |name: &str, value| config(ConfigResource::Topic(name.to_owned()), value);
    let steps: Vec<Vec<MetadataRecord>> = vec![
        vec![],
        vec![shrunk(&first, 1, 1)],
        vec![shrunk(&first, 1, 0), shrunk(&first, 2, 1)],
        vec![registered(1)],
        vec![of_topic("b", "5")],
        vec![config(ConfigResource::Cluster, "7")],
        vec![config(ConfigResource::Node(NodeId(1)), "7")],
        vec![deleted(2)],
        [vec![deleted(2)], created(7, "b", 1), vec![of_topic("b", "6")]].concat(),
        created(8, "d", 2),
        [vec![deleted(1), deleted(2), deleted(3)], created(9, "z", 1)].concat(),
    ];
    for records in steps {
        let after = first.after(&records).expect("applies");
        assert_eq!(told(&after.changes_since(&first)), compared(&first, &after), "{records:?}");
        // Also backwards, and between images that share nothing.
        assert_eq!(told(&first.changes_since(&after)), compared(&after, &first), "{records:?}");
        let alone = MetadataImage::from_snapshot(&after.to_records(), after.version()).expect("applies");
        assert_eq!(told(&alone.changes_since(&first)), compared(&first, &after), "{records:?}");
        assert_eq!(told(&alone.changes_since(&after)), told(&ImageChanges::default()), "{records:?}");
    }
}

#[test]
fn a_change_of_one_partition_copies_no_other() {
    let first = MetadataImage::default().after(&created(1, "a", 3)).expect("applies");
    let after = first.after(&[shrunk(&first, 1, 1)]).expect("applies");
    let shared: Vec<bool> = (0..3)
        .map(|index| {
            let of = |image: &MetadataImage| Arc::clone(&image.topic("a").expect("there").partitions[index]);
            Arc::ptr_eq(&of(&first), &of(&after))
        })
        .collect();
    assert_eq!(shared, [true, false, true]);
}

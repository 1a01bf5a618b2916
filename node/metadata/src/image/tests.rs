//! The image against its records: order, sharing, snapshots.

use proptest::prelude::*;

use super::*;
use crate::{LeaderEpoch, PartitionEpoch};

pub(crate) fn topic_id(number: u8) -> TopicId {
    TopicId([number; 16])
}

fn created(number: u8, name: &str, partitions: i32) -> Vec<MetadataRecord> {
    let mut records =
        vec![MetadataRecord::TopicCreated { topic_id: topic_id(number), name: name.to_owned() }];
    records.extend((0..partitions).map(|partition| partition_created(number, partition)));
    records
}

fn partition_created(number: u8, partition: i32) -> MetadataRecord {
    MetadataRecord::PartitionCreated {
        topic_id: topic_id(number),
        partition,
        state: PartitionImage::created(vec![NodeId(1)], vec![NodeId(1)]),
    }
}

fn registered(registration_epoch: i64) -> MetadataRecord {
    MetadataRecord::LoneNodeStarted {
        node_id: NodeId(1),
        registration_epoch,
        host: "localhost".to_owned(),
        port: 9092,
        rack: None,
    }
}

fn config_set(topic: &str, name: &str, value: &str) -> MetadataRecord {
    MetadataRecord::ConfigSet {
        resource: ConfigResource::Topic(topic.to_owned()),
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn topics_are_found_by_name_and_by_id() {
    let image = MetadataImage::default().after(&created(1, "orders", 2)).expect("applies");
    assert_eq!(image.topic("orders").map(|topic| topic.partitions.len()), Some(2));
    assert_eq!(image.topic_by_id(topic_id(1)).map(|topic| &*topic.name), Some("orders"));
    assert_eq!((image.partition_count(), image.version()), (2, 3));
    assert!(image.topic("other").is_none());
}

#[test]
fn a_change_leaves_the_old_image_and_shares_the_rest() {
    let before = MetadataImage::default().after(&created(1, "a", 1)).expect("applies");
    let before = before.after(&created(2, "b", 1)).expect("applies");
    let after = before.after(&[partition_created(1, 1)]).expect("applies");
    assert_eq!(before.topic("a").map(|topic| topic.partitions.len()), Some(1));
    assert_eq!(after.topic("a").map(|topic| topic.partitions.len()), Some(2));
    let (old, new) = (before.topic("b").expect("there"), after.topic("b").expect("there"));
    assert!(Arc::ptr_eq(old, new));
}

#[test]
fn a_deleted_topic_takes_its_configs_along() {
    let image = MetadataImage::default().after(&created(1, "a", 3)).expect("applies");
    let image = image.after(&[config_set("a", "retention.ms", "1")]).expect("applies");
    assert_eq!(image.topic_overrides("a").len(), 1);
    let image = image.after(&[MetadataRecord::TopicDeleted { topic_id: topic_id(1) }]).expect("applies");
    let image = image.after(&created(2, "a", 1)).expect("applies");
    assert!(image.topic_overrides("a").is_empty());
    assert_eq!(image.partition_count(), 1);
    assert!(image.topic_by_id(topic_id(1)).is_none());
}

#[test]
fn a_start_of_the_leader_begins_a_new_leader_epoch() {
    let image = MetadataImage::default().after(&[registered(1)]).expect("applies");
    let image = image.after(&created(1, "a", 2)).expect("applies");
    let image = image.after(&[registered(2)]).expect("applies");
    let epochs: Vec<_> = image
        .topic("a")
        .expect("there")
        .partitions
        .iter()
        .map(|p| (p.leader_epoch, p.partition_epoch))
        .collect();
    assert_eq!(epochs, [(LeaderEpoch::new(1), PartitionEpoch(1)); 2]);
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let image = MetadataImage::default().after(&created(1, "a", 1)).expect("applies");
    let refused = |record: MetadataRecord| image.after(&[record]).expect_err("refused");
    let again = MetadataRecord::TopicCreated { topic_id: topic_id(2), name: "a".to_owned() };
    assert_eq!(refused(again), ApplyError::TopicExists("a".to_owned()));
    assert_eq!(refused(partition_created(9, 0)), ApplyError::UnknownTopic(topic_id(9)));
    assert_eq!(
        refused(partition_created(1, 5)),
        ApplyError::PartitionOrder { topic_id: topic_id(1), expected: 1, got: 5 }
    );
    let gone = MetadataRecord::TopicDeleted { topic_id: topic_id(9) };
    assert_eq!(refused(gone), ApplyError::UnknownTopic(topic_id(9)));
    let ids = |next| MetadataRecord::ProducerIdsAllocated { node_id: NodeId(1), next };
    let image = image.after(&[ids(2000)]).expect("applies");
    assert_eq!(image.after(&[ids(1000)]), Err(ApplyError::ProducerIdsGoBack { current: 2000, got: 1000 }));
}

/// Whoever leads the quorum later is to know whose votes nobody waits for.
#[test]
fn who_was_taken_out_is_remembered_until_it_comes_back() {
    let image = MetadataImage::default().after(&[registered(1)]).expect("applies");
    assert!(!image.was_taken_out(NodeId(1)));
    let gone = MetadataRecord::NodeUnregistered { node_id: NodeId(1), registration_epoch: 1 };
    let image = image.after(&[gone]).expect("applies");
    assert!(image.was_taken_out(NodeId(1)) && image.nodes().is_empty());
    let restored = MetadataImage::from_snapshot(&image.to_records(), image.version()).expect("applies");
    assert_eq!(restored, image);
    let image = image.after(&[registered(2)]).expect("applies");
    assert!(!image.was_taken_out(NodeId(1)));
}

#[test]
fn an_impossible_partition_is_refused() {
    let image = MetadataImage::default().after(&created(1, "a", 1)).expect("applies");
    let before = image.partition(topic_id(1), 0).expect("there").clone();
    type Change = fn(&mut PartitionImage);
    let raised = |change: Change| {
        let mut state = before.clone();
        state.partition_epoch = PartitionEpoch(1);
        change(&mut state);
        let record = MetadataRecord::PartitionChanged { topic_id: topic_id(1), partition: 0, state };
        image.after(&[record]).map(|_| ()).map_err(|error| match error {
            ApplyError::Partition { problem, .. } => problem,
            other => panic!("{other}"),
        })
    };
    assert_eq!(raised(|_| {}), Ok(()));
    let table: [(Change, &str); 10] = [
        (|p| p.last_known_leader = Some(NodeId(2)), "its last leader keeps no replica"),
        (|p| p.replicas.clear(), "nobody keeps a replica"),
        (|p| p.replicas = vec![NodeId(1), NodeId(1)], "a node is named twice"),
        (
            |p| p.in_sync.push(NodeId(2)),
            "a node that keeps no replica is in sync, eligible, added or removed",
        ),
        (|p| p.eligible.push(NodeId(1)), "a node is in sync and eligible"),
        (|p| p.in_sync.clear(), "its leader is not in sync"),
        (|p| p.partition_epoch = PartitionEpoch(0), "its partition epoch does not rise"),
        (|p| p.leader_epoch = LeaderEpoch::new(-1), "its leader epoch goes back"),
        (|p| p.leader = None, "its leader changes without its leader epoch"),
        (
            |p| {
                p.replicas.push(NodeId(2));
                p.adding.push(NodeId(2));
                p.removing.push(NodeId(2));
            },
            "a node is added and removed",
        ),
    ];
    for (change, problem) in table {
        assert_eq!(raised(change), Err(problem));
    }
}

#[test]
fn a_registration_is_only_followed_by_a_newer_one() {
    let node = |registration_epoch, incarnation| NodeImage {
        registration_epoch,
        incarnation_id: crate::IncarnationId([incarnation; 16]),
        endpoints: Vec::new(),
        rack: None,
        peer: None,
        levels: crate::LevelRange { least: 0, most: 1 },
        fenced: true,
        stopping_since: None,
    };
    let registered = |epoch, incarnation| MetadataRecord::NodeRegistered {
        node_id: NodeId(1),
        node: node(epoch, incarnation),
    };
    let image = MetadataImage::default().after(&[registered(5, 1)]).expect("applies");
    assert!(image.after(&[registered(5, 1)]).is_ok(), "the same start with other addresses");
    assert!(image.after(&[registered(6, 2)]).is_ok());
    let back = ApplyError::RegistrationGoesBack { node_id: NodeId(1), current: 5, got: 5 };
    assert_eq!(image.after(&[registered(5, 2)]), Err(back));
    let changed = |registration_epoch| MetadataRecord::NodeChanged {
        node_id: NodeId(1),
        registration_epoch,
        fenced: false,
        stopping_since: None,
    };
    assert!(!image.is_active(NodeId(1)));
    assert!(image.after(&[changed(5)]).expect("applies").is_active(NodeId(1)));
    let stale = ApplyError::UnknownRegistration { node_id: NodeId(1), registration_epoch: 4 };
    assert_eq!(image.after(&[changed(4)]), Err(stale));
}

proptest! {
    /// Random changes; after each the snapshot of the image gives the image again.
    #[test]
    fn a_snapshot_gives_the_same_image(steps in proptest::collection::vec((0_u8..6, 0_u8..4, 0_u8..3), 0..40)) {
        let mut image = MetadataImage::default()
            .after(&[MetadataRecord::ClusterCreated { cluster_id: "c".to_owned() }, registered(0)])
            .expect("applies");
        for (index, (action, topic, detail)) in (0_i64..).zip(steps) {
            let name = format!("t{topic}");
            let records = match action {
                0 => created(topic, &name, i32::from(detail)),
                1 => vec![MetadataRecord::TopicDeleted { topic_id: topic_id(topic) }],
                2 => vec![config_set(&name, &format!("c{detail}"), "v")],
                3 => vec![MetadataRecord::ConfigRemoved {
                    resource: ConfigResource::Topic(name),
                    name: format!("c{detail}"),
                }],
                4 => vec![registered(index)],
                _ => vec![MetadataRecord::ProducerIdsAllocated { node_id: NodeId(1), next: index * 1000 }],
            };
            // What does not fit the image leaves it alone.
            if let Ok(after) = image.after(&records) {
                image = after;
            }
            let again = MetadataImage::from_snapshot(&image.to_records(), image.version());
            prop_assert_eq!(again.as_ref(), Ok(&image));
        }
    }
}

//! What is told of partitions whose replicas are not all there.

use super::*;
use crate::metadata::{LeaderEpoch, MetadataRecord, PartitionEpoch};

const TOPIC_ID: TopicId = TopicId([7; 16]);

/// Three nodes, the third of them fenced, and a topic whose partitions are given.
fn image(partitions: Vec<PartitionImage>) -> MetadataImage {
    let started = |id: i32| MetadataRecord::LoneNodeStarted {
        node_id: NodeId(id),
        registration_epoch: i64::from(id),
        host: format!("host-{id}"),
        port: 9092,
        rack: Some(format!("rack-{id}")),
    };
    let mut records: Vec<MetadataRecord> = (1..=3).map(started).collect();
    records.push(MetadataRecord::NodeChanged {
        node_id: NodeId(3),
        registration_epoch: 3,
        fenced: true,
        stopping_since: None,
    });
    records.push(MetadataRecord::TopicCreated { topic_id: TOPIC_ID, name: "orders".to_owned() });
    records.extend((0..).zip(partitions).map(|(partition, state)| MetadataRecord::PartitionCreated {
        topic_id: TOPIC_ID,
        partition,
        state,
    }));
    MetadataImage::default().after(&records).expect("these records fit each other")
}

fn partition(leader: Option<i32>) -> PartitionImage {
    let in_sync: Vec<NodeId> = leader.into_iter().filter(|id| *id != 3).chain([3]).map(NodeId).collect();
    PartitionImage {
        leader: leader.map(NodeId),
        leader_epoch: LeaderEpoch::new(4),
        partition_epoch: PartitionEpoch(9),
        ..PartitionImage::created(vec![NodeId(1), NodeId(3), NodeId(2)], in_sync)
    }
}

fn told(version: i16, state: PartitionImage) -> MetadataPartition {
    let image = image(vec![state]);
    let state = image.partition(TOPIC_ID, 0).expect("it was just made").clone();
    described_partition(version, &image, 0, &state)
}

#[test]
fn fenced_nodes_are_offline_replicas_and_no_brokers() {
    let image = image(Vec::new());
    let brokers: Vec<i32> = nodes::unfenced(&image).map(|node| node.id).collect();
    assert_eq!(brokers, [1, 2]);
    let told = told(12, partition(Some(1)));
    assert_eq!((told.error_code, told.leader_id, told.leader_epoch), (ErrorCode::NONE, 1, 4));
    assert_eq!((told.replica_nodes, told.isr_nodes), (vec![1, 3, 2], vec![1, 3]));
    assert_eq!(told.offline_replicas, [3]);
}

#[test]
fn without_a_leader_the_partition_has_an_error_and_its_epoch() {
    let told = told(12, partition(None));
    assert_eq!(told.error_code, ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!((told.leader_id, told.leader_epoch), (NO_LEADER, 4));
    assert_eq!(told.isr_nodes, [3]);
}

#[test]
fn the_first_version_hears_only_of_replicas_that_can_be_reached() {
    let told = told(0, partition(Some(1)));
    assert_eq!(told.error_code, ErrorCode::REPLICA_NOT_AVAILABLE);
    assert_eq!((told.leader_id, told.replica_nodes, told.isr_nodes), (1, vec![1, 2], vec![1]));
}

#[test]
fn a_leader_that_is_fenced_is_none() {
    assert_eq!(told(12, partition(Some(3))).leader_id, NO_LEADER);
}

//! Every kind there and back, damage, and bytes that earlier versions wrote.

use proptest::prelude::*;

use super::*;
use crate::record::ConfigResource;
use crate::{Endpoint, IncarnationId, LeaderEpoch, LevelRange, NodeId, NodeImage, PeerEndpoints, TopicId};

fn resource() -> impl Strategy<Value = ConfigResource> {
    prop_oneof![
        ".{0,20}".prop_map(ConfigResource::Topic),
        any::<i32>().prop_map(|id| ConfigResource::Node(NodeId(id))),
        Just(ConfigResource::Cluster),
    ]
}

fn nodes() -> impl Strategy<Value = Vec<NodeId>> {
    proptest::collection::vec(any::<i32>().prop_map(NodeId), 0..5)
}

fn node() -> impl Strategy<Value = NodeImage> {
    let endpoint = (".{0,9}", ".{0,9}", any::<u16>()).prop_map(|(listener, host, port)| Endpoint {
        listener,
        host,
        port,
    });
    let peer = (".{0,9}", any::<u16>(), proptest::collection::vec(any::<u16>(), 0..4))
        .prop_map(|(host, control_port, data_ports)| PeerEndpoints { host, control_port, data_ports });
    let identity = (any::<i64>(), any::<[u8; 16]>(), any::<[i16; 2]>());
    let addresses = (
        proptest::collection::vec(endpoint, 0..3),
        proptest::option::of(".{0,9}"),
        proptest::option::of(peer),
    );
    let state = (any::<bool>(), any::<Option<u64>>());
    (identity, addresses, state).prop_map(|(identity, (endpoints, rack, peer), state)| NodeImage {
        registration_epoch: identity.0,
        incarnation_id: IncarnationId(identity.1),
        endpoints,
        rack,
        peer,
        levels: LevelRange { least: identity.2[0], most: identity.2[1] },
        fenced: state.0,
        stopping_since: state.1,
    })
}

fn partition() -> impl Strategy<Value = PartitionImage> {
    let node_id = || any::<i32>().prop_map(NodeId);
    let sets = (nodes(), nodes(), nodes(), nodes(), nodes());
    let leaders = (proptest::option::of(node_id()), proptest::option::of(node_id()), any::<bool>());
    (sets, leaders, -1..i32::MAX, any::<i32>()).prop_map(|(sets, leaders, leader_epoch, partition_epoch)| {
        PartitionImage {
            replicas: sets.0,
            in_sync: sets.1,
            eligible: sets.2,
            adding: sets.3,
            removing: sets.4,
            last_known_leader: leaders.0,
            leader: leaders.1,
            recovering: leaders.2,
            leader_epoch: LeaderEpoch::new(leader_epoch),
            partition_epoch: PartitionEpoch(partition_epoch),
        }
    })
}

fn record() -> impl Strategy<Value = MetadataRecord> {
    prop_oneof![old_record(), new_record()]
}

fn new_record() -> impl Strategy<Value = MetadataRecord> {
    let topic_id = || any::<[u8; 16]>().prop_map(TopicId);
    prop_oneof![
        (any::<i32>(), node())
            .prop_map(|(id, node)| MetadataRecord::NodeRegistered { node_id: NodeId(id), node }),
        (any::<i32>(), any::<i64>(), any::<bool>(), any::<Option<u64>>()).prop_map(
            |(node, registration_epoch, fenced, stopping_since)| MetadataRecord::NodeChanged {
                node_id: NodeId(node),
                registration_epoch,
                fenced,
                stopping_since,
            }
        ),
        (any::<i32>(), any::<i64>()).prop_map(|(node, registration_epoch)| {
            MetadataRecord::NodeUnregistered { node_id: NodeId(node), registration_epoch }
        }),
        (topic_id(), any::<i32>(), partition()).prop_map(|(topic_id, partition, state)| {
            MetadataRecord::PartitionCreated { topic_id, partition, state }
        }),
        (topic_id(), any::<i32>(), partition()).prop_map(|(topic_id, partition, state)| {
            MetadataRecord::PartitionChanged { topic_id, partition, state }
        }),
        (".{0,20}", any::<i16>())
            .prop_map(|(feature, level)| MetadataRecord::FeatureLevelSet { feature, level }),
    ]
}

fn old_record() -> impl Strategy<Value = MetadataRecord> {
    let topic_id = || any::<[u8; 16]>().prop_map(TopicId);
    prop_oneof![
        ".{0,30}".prop_map(|cluster_id| MetadataRecord::ClusterCreated { cluster_id }),
        (any::<i32>(), any::<i64>(), ".{0,20}", any::<u16>(), proptest::option::of(".{0,9}")).prop_map(
            |(node, registration_epoch, host, port, rack)| MetadataRecord::LoneNodeStarted {
                node_id: NodeId(node),
                registration_epoch,
                host,
                port,
                rack,
            }
        ),
        (topic_id(), ".{0,30}").prop_map(|(topic_id, name)| MetadataRecord::TopicCreated { topic_id, name }),
        topic_id().prop_map(|topic_id| MetadataRecord::TopicDeleted { topic_id }),
        (resource(), ".{0,20}", ".{0,20}").prop_map(|(resource, name, value)| MetadataRecord::ConfigSet {
            resource,
            name,
            value
        }),
        (resource(), ".{0,20}").prop_map(|(resource, name)| MetadataRecord::ConfigRemoved { resource, name }),
        (any::<i32>(), any::<i64>())
            .prop_map(|(node, next)| MetadataRecord::ProducerIdsAllocated { node_id: NodeId(node), next }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in record()) {
        prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn a_flipped_bit_is_found(record in record(), bit in any::<prop::sample::Index>()) {
        let mut bytes = record.encode();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(MetadataRecord::decode(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        // With a good checksum, so that the fields are reached.
        let mut bytes = bytes;
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        if let Ok(record) = MetadataRecord::decode(&bytes) {
            // An old kind is written as the new one that took its place.
            let is_old = bytes[1] == kind::LED_PARTITION_CREATED;
            prop_assert!(is_old || record.encode() == bytes);
            prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
        }
    }
}

#[test]
fn zeros_and_other_versions_are_refused() {
    let sealed = |body: &[u8]| {
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes
    };
    assert_eq!(MetadataRecord::decode(&[]), Err(RecordError::Truncated));
    assert_eq!(MetadataRecord::decode(&sealed(&[0, 0])), Err(RecordError::Version(0)));
    assert_eq!(MetadataRecord::decode(&sealed(&[2, 1])), Err(RecordError::Version(2)));
    assert_eq!(MetadataRecord::decode(&sealed(&[1, 0])), Err(RecordError::Kind(0)));
    assert_eq!(MetadataRecord::decode(&sealed(&[1, 99])), Err(RecordError::Kind(99)));
    let mut too_long = vec![1, kind::TOPIC_DELETED];
    too_long.extend_from_slice(&[7; 17]);
    assert_eq!(MetadataRecord::decode(&sealed(&too_long)), Err(RecordError::Leftover(1)));
    let endless_text = [1, kind::CLUSTER_CREATED, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(MetadataRecord::decode(&sealed(&endless_text)), Err(RecordError::Truncated));
}

/// The bytes of version 1, which stay readable.
#[test]
fn the_format_does_not_drift() {
    let record = MetadataRecord::ConfigSet {
        resource: ConfigResource::Topic("t".to_owned()),
        name: "retention.ms".to_owned(),
        value: "1".to_owned(),
    };
    let expected = [
        &[1, 6, 1, 1, 0, 0, 0, b't', 12, 0, 0, 0][..],
        b"retention.ms",
        &[1, 0, 0, 0, b'1'],
        &0xb824_500b_u32.to_le_bytes(),
    ]
    .concat();
    assert_eq!(record.encode(), expected);
}

/// Bytes as the first release wrote them, which are read for ever.
#[test]
fn what_the_first_release_wrote_is_read() {
    let topic_id = TopicId(core::array::from_fn(|index| index as u8));
    let topic = || ConfigResource::Topic("orders".to_owned());
    let mut led = PartitionImage::created(vec![NodeId(1), NodeId(2)], vec![NodeId(1)]);
    led.leader_epoch = LeaderEpoch::new(3);
    led.partition_epoch = PartitionEpoch(5);
    let started = |node, registration_epoch, host: &str, port, rack: Option<&str>| {
        let (host, rack) = (host.to_owned(), rack.map(str::to_owned));
        MetadataRecord::LoneNodeStarted { node_id: NodeId(node), registration_epoch, host, port, rack }
    };
    let set = |resource, name: &str, value: &str| MetadataRecord::ConfigSet {
        resource,
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let fixtures = [
        (
            "0101160000007131487330547132526b43386d336e5877597a4162515ffcffe8",
            MetadataRecord::ClusterCreated { cluster_id: "q1Hs0Tq2RkC8m3nXwYzAbQ".to_owned() },
        ),
        (
            "0102010000000400000000000000090000006c6f63616c686f7374842301020000007231e1d2acbe",
            started(1, 4, "localhost", 9092, Some("r1")),
        ),
        ("01020200000000000000000000000100000062010000f0f74ccd", started(2, 0, "b", 1, None)),
        (
            "0103000102030405060708090a0b0c0d0e0f060000006f7264657273320cd835",
            MetadataRecord::TopicCreated { topic_id, name: "orders".to_owned() },
        ),
        (
            "0104000102030405060708090a0b0c0d0e0f00000000020000000100000002000000010000000100000001000000030000000500\
             00008290a9b6",
            MetadataRecord::PartitionCreated { topic_id, partition: 0, state: led },
        ),
        ("0105000102030405060708090a0b0c0d0e0ffd3c925e", MetadataRecord::TopicDeleted { topic_id }),
        (
            "010601060000006f72646572730c000000726574656e74696f6e2e6d730100000031f96383ec",
            set(topic(), "retention.ms", "1"),
        ),
        (
            "01060201000000100000006c6f672e726574656e74696f6e2e6d7301000000320e8feeaa",
            set(ConfigResource::Node(NodeId(1)), "log.retention.ms", "2"),
        ),
        (
            "010703100000006c6f672e726574656e74696f6e2e6d739a818126",
            MetadataRecord::ConfigRemoved {
                resource: ConfigResource::Cluster,
                name: "log.retention.ms".to_owned(),
            },
        ),
        (
            "010801000000d007000000000000214fa84e",
            MetadataRecord::ProducerIdsAllocated { node_id: NodeId(1), next: 2000 },
        ),
    ];
    for (hex, record) in fixtures {
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        assert_eq!(MetadataRecord::decode(&bytes), Ok(record), "{hex}");
    }
}

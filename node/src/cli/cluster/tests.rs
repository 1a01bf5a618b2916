//! Judgements and plans, of clusters as they might describe themselves.

use std::collections::BTreeMap;

use super::decommission::substitution;
use super::drain;
use super::health::{Findings, Health, could_lead, lacking};
use super::moving::Plan;
use super::snapshot::Snapshot;
use super::{counted, named, numbers};
use crate::client::{MemberLag, MoveView, NodeView, NodesView, Placement, QuorumView, TopicPartition};
use crate::config::HostPort;

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: "orders".to_owned(), index }
}

/// A partition whose first node in sync leads.
fn placed(index: i32, replicas: &[i32], in_sync: &[i32]) -> Placement {
    Placement {
        partition: partition(index),
        topic_id: [0; 16],
        leader: in_sync.first().copied(),
        leader_epoch: 3,
        replicas: replicas.to_vec(),
        in_sync: in_sync.to_vec(),
        eligible: Some(Vec::new()),
        last_leader: None,
    }
}

/// A cluster of these nodes, in racks if there are letters, where a minus stands for a fenced one.
fn cluster(nodes: &[(i32, &str)], partitions: Vec<Placement>) -> Snapshot {
    let node = |(id, rack): &(i32, &str)| {
        let view = NodeView {
            address: HostPort { host: "127.0.0.1".to_owned(), port: 9092 },
            rack: Some((*rack).to_owned()).filter(|rack| !rack.is_empty()),
            is_fenced: *id < 0,
        };
        (id.abs(), view)
    };
    let nodes: BTreeMap<i32, NodeView> = nodes.iter().map(node).collect();
    let voter = |node_id: i32| MemberLag { node_id, lag: 0, behind_ms: Some(10) };
    Snapshot {
        nodes: NodesView { cluster_id: "c".to_owned(), controller: Some(1), nodes, names_fenced: true },
        quorum: Some(QuorumView {
            leader: Some(1),
            term: 2,
            high_watermark: 9,
            voters: [1, 2, 3].map(voter).to_vec(),
            observers: Vec::new(),
        }),
        partitions,
        moves: Some(Vec::new()),
        min_in_sync: BTreeMap::new(),
    }
}

const THREE: [(i32, &str); 3] = [(1, ""), (2, ""), (3, "")];

fn plan(moves: &[(i32, &[i32])]) -> Plan {
    moves.iter().map(|(index, replicas)| (partition(*index), replicas.to_vec())).collect()
}

#[test]
fn a_cluster_with_everything_in_sync_is_healthy() {
    let snapshot = cluster(&THREE, vec![placed(0, &[1, 2, 3], &[1, 2, 3]), placed(1, &[2, 3], &[3, 2])]);
    let findings = Findings::of(&snapshot);
    assert_eq!(findings.health(), Health::Healthy);
    assert_eq!(findings.advice(), Vec::<String>::new());
    // A leader other than the preferred one is no fault.
    assert_eq!(findings.led_elsewhere.len(), 1);
}

#[test]
fn a_node_that_is_down_degrades_and_is_named() {
    let down = [(1, ""), (2, ""), (-3, "")];
    let snapshot = cluster(&down, vec![placed(0, &[1, 2, 3], &[1, 2])]);
    let findings = Findings::of(&snapshot);
    assert_eq!((findings.health(), findings.fenced.as_slice()), (Health::Degraded, [3].as_slice()));
    assert_eq!(lacking(&snapshot, &snapshot.partitions[0]), [3]);
    let [advice] = findings.advice().try_into().expect("one line");
    assert!(advice.contains("node 3 is down") && advice.contains("cluster replace 3 NEW"), "{advice}");
    // Unregistered, with replicas left: missing.
    let snapshot = cluster(&THREE[..2], vec![placed(0, &[1, 2, 3], &[1, 2])]);
    let findings = Findings::of(&snapshot);
    assert_eq!((findings.health(), findings.missing.as_slice()), (Health::Degraded, [3].as_slice()));
}

#[test]
fn a_partition_without_a_leader_names_who_could_lead() {
    let mut lost = placed(4, &[2, 3, 1], &[]);
    lost.eligible = Some(vec![3]);
    let snapshot = cluster(&[(1, ""), (-2, ""), (-3, "")], vec![placed(0, &[1], &[1]), lost]);
    let findings = Findings::of(&snapshot);
    assert_eq!(findings.health(), Health::NotAvailable);
    assert_eq!((findings.leaderless.len(), findings.with_eligible.len()), (1, 1));
    assert!(findings.advice()[0].contains("nobody leads orders-4"), "{:?}", findings.advice());
    assert!(findings.advice()[0].contains("Start node 3,"), "{:?}", findings.advice());
    // Where nobody tells who is eligible, each replica may be.
    let unknown = Placement { eligible: None, ..placed(5, &[2, 3], &[]) };
    assert_eq!(could_lead(&unknown), [2, 3]);
}

#[test]
fn too_few_in_sync_for_acks_all_is_not_available() {
    let mut snapshot = cluster(&THREE, vec![placed(0, &[1, 2, 3], &[1])]);
    assert_eq!(Findings::of(&snapshot).health(), Health::Degraded);
    snapshot.min_in_sync.insert("orders".to_owned(), 2);
    let findings = Findings::of(&snapshot);
    assert_eq!(findings.health(), Health::NotAvailable);
    assert!(findings.advice()[0].contains("refuse records with acks=all"), "{:?}", findings.advice());
    // More than there are replicas cannot be asked for.
    snapshot.partitions = vec![placed(0, &[1], &[1])];
    assert_eq!(Findings::of(&snapshot).health(), Health::Healthy);
}

#[test]
fn without_a_controller_nothing_changes() {
    let mut snapshot = cluster(&THREE, vec![placed(0, &[1, 2, 3], &[1, 2, 3])]);
    snapshot.quorum.as_mut().expect("there").leader = None;
    let findings = Findings::of(&snapshot);
    assert_eq!(findings.health(), Health::NotAvailable);
    assert!(findings.advice()[0].starts_with("no node is the controller"), "{:?}", findings.advice());
}

#[test]
fn replicas_that_are_being_added_are_not_missed() {
    let mut snapshot = cluster(&THREE, vec![placed(0, &[1, 3, 2], &[1, 2])]);
    snapshot.moves = Some(vec![MoveView {
        partition: partition(0),
        replicas: vec![1, 3, 2],
        adding: vec![3],
        removing: vec![2],
    }]);
    assert_eq!(Findings::of(&snapshot).health(), Health::Healthy);
    assert_eq!(snapshot.moves.as_ref().expect("there")[0].target(), [1, 3]);
}

#[test]
fn a_drain_moves_to_the_emptiest_node_of_another_rack() {
    let nodes = [(1, "a"), (2, "b"), (3, "b"), (4, "a"), (5, "c")];
    let partitions =
        vec![placed(0, &[1, 2], &[1, 2]), placed(1, &[5, 1], &[5, 1]), placed(2, &[5, 2], &[5, 2])];
    let snapshot = cluster(&nodes, partitions);
    // Node 4 is in the rack of nobody else; 5 has two replicas already. Of partition 1 only b is another rack than c.
    let expected = plan(&[(0, &[4, 2]), (1, &[5, 3])]);
    assert_eq!(drain::plan(&snapshot, 1, false).expect("planned"), expected);
}

#[test]
fn a_drain_without_another_node_is_refused_or_shrinks() {
    let snapshot = cluster(&THREE, vec![placed(0, &[1, 2, 3], &[1, 2, 3]), placed(1, &[3], &[3])]);
    let refused = drain::plan(&snapshot, 3, false).expect_err("refused").to_string();
    assert!(refused.contains("no other node for the replicas of 1 partition: orders-0"), "{refused}");
    assert!(refused.contains("--shrink") && refused.contains("cluster replace 3 NEW"), "{refused}");
    let shrunk = drain::plan(&snapshot, 3, true).expect("planned");
    assert_eq!(shrunk, plan(&[(0, &[1, 2]), (1, &[1])]));
    let alone = cluster(&[(3, "")], vec![placed(0, &[3], &[3])]);
    let refused = drain::plan(&alone, 3, true).expect_err("refused").to_string();
    assert!(refused.contains("has the only replica of orders-0"), "{refused}");
}

#[test]
fn a_replacement_takes_the_same_places() {
    let nodes = [(1, ""), (2, ""), (-3, ""), (4, ""), (5, "")];
    let partitions = vec![
        placed(0, &[1, 2, 3], &[1, 2]),
        placed(1, &[3, 1, 2], &[1, 2]),
        placed(2, &[4, 3, 1], &[4, 1]),
        placed(3, &[1, 2], &[1, 2]),
    ];
    let snapshot = cluster(&nodes, partitions);
    // Partition 2 is on node 4 already, so another one takes the place there.
    let expected = plan(&[(0, &[1, 2, 4]), (1, &[4, 1, 2]), (2, &[4, 5, 1])]);
    assert_eq!(substitution(&snapshot, 3, 4).expect("planned"), expected);
}

#[test]
fn texts_stay_short() {
    let many: Vec<TopicPartition> = (0..7).map(partition).collect();
    assert_eq!(named(&many[..2]), "orders-0, orders-1");
    assert!(named(&many).ends_with("orders-4 and 2 more"), "{}", named(&many));
    assert_eq!((numbers(&[]), numbers(&[3, 1])), ("-".to_owned(), "3,1".to_owned()));
    assert_eq!((counted(1, "node"), counted(2, "node")), ("1 node".to_owned(), "2 nodes".to_owned()));
}

//! Each rule of the cluster by itself.

use super::cluster::{Cluster, TIMEOUT_MS, registration};
use crate::controller::{
    AlterConfigs, AlterPartition, AlterPartitions, ConfigChange, ConfigTarget, CreateTopic, ElectionKind,
    Heartbeat, LevelChange, METADATA_FEATURE, Reassignment, Refusal, Surviving, UpdateFeature,
};
use crate::{LeaderEpoch, MetadataRecord, NodeId, PartitionEpoch, PartitionImage, Sessions, TopicId};

const UNCLEAN: (&str, &str) = ("unclean.leader.election.enable", "true");
const MIN_TWO: (&str, &str) = ("min.insync.replicas", "2");

fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

/// Leader, in-sync set, eligible replicas.
fn led(partition: &PartitionImage) -> (Option<i32>, Vec<i32>, Vec<i32>) {
    (partition.leader.map(|leader| leader.0), ids(&partition.in_sync), ids(&partition.eligible))
}

fn name_of<T>(result: &Result<T, Refusal>) -> &'static str {
    result.as_ref().map_or_else(|refusal| refusal.code.name().unwrap_or("?"), |_| "NONE")
}

#[test]
fn a_node_is_fenced_until_it_has_seen_its_registration() {
    let mut cluster = Cluster::new();
    let epoch = cluster.start(registration(1, 1, None)).expect("registers");
    assert_eq!(epoch, 2, "the number of records before it");
    assert!(!cluster.image.is_active(NodeId(1)));
    let heartbeat = |version| Heartbeat {
        node_id: NodeId(1),
        registration_epoch: epoch,
        version,
        wants_fence: false,
        wants_stop: false,
    };
    let behind = cluster.controller().heartbeat(&cluster.sessions, &heartbeat(2)).answer.expect("accepted");
    assert_eq!((behind.caught_up, behind.fenced), (false, true));
    let decision = cluster.controller().heartbeat(&cluster.sessions, &heartbeat(3));
    let answer = cluster.commit(decision).expect("accepted");
    assert_eq!((answer.caught_up, answer.fenced, answer.may_stop), (true, false, false));
    assert!(cluster.image.is_active(NodeId(1)));
    let stale = Heartbeat { registration_epoch: 1, ..heartbeat(3) };
    assert_eq!(
        name_of(&cluster.controller().heartbeat(&cluster.sessions, &stale).answer),
        "STALE_BROKER_EPOCH"
    );
    let unknown = Heartbeat { node_id: NodeId(9), ..heartbeat(3) };
    assert_eq!(
        name_of(&cluster.controller().heartbeat(&cluster.sessions, &unknown).answer),
        "STALE_BROKER_EPOCH"
    );
}

#[test]
fn registrations_are_refused_as_kafka_does() {
    let mut cluster = Cluster::of(2);
    let good = || registration(1, 7, None);
    let table = [
        (
            crate::controller::RegisterNode { cluster_id: "other".to_owned(), ..good() },
            "INCONSISTENT_CLUSTER_ID",
        ),
        (good(), "DUPLICATE_BROKER_REGISTRATION"),
        (registration(-1, 1, None), "INVALID_REGISTRATION"),
        (
            crate::controller::RegisterNode { endpoints: Vec::new(), ..registration(3, 1, None) },
            "INVALID_REGISTRATION",
        ),
        (
            crate::controller::RegisterNode {
                levels: crate::LevelRange { least: 0, most: 0 },
                ..registration(3, 1, None)
            },
            "UNSUPPORTED_VERSION",
        ),
        (registration(1, 1, Some("moved")), "NONE"),
        (registration(3, 1, None), "NONE"),
    ];
    for (request, expected) in table {
        assert_eq!(name_of(&cluster.start(request.clone())), expected, "{request:?}");
    }
    assert!(cluster.image.is_active(NodeId(1)), "the same start stays what it was");
    assert_eq!(cluster.image.nodes()[&NodeId(1)].rack.as_deref(), Some("moved"));
    cluster.silence(&[1]);
    let before = cluster.image.nodes()[&NodeId(1)].registration_epoch;
    assert!(cluster.start(good()).expect("the other start is silent") > before);
}

#[test]
fn a_new_start_leads_in_a_new_epoch() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", &[1], &[]);
    let previous = vec![cluster.image.nodes()[&NodeId(1)].incarnation_id];
    cluster.now_ms += TIMEOUT_MS + 1;
    let again = crate::controller::RegisterNode { previous, ..registration(1, 2, None) };
    cluster.start(again).expect("registers");
    let partition = cluster.partition("t");
    assert_eq!((led(&partition), partition.last_known_leader), ((None, vec![], vec![1]), Some(NodeId(1))));
    cluster.beat(1);
    let partition = cluster.partition("t");
    assert_eq!(led(&partition), (Some(1), vec![1], vec![]));
    assert_eq!((partition.leader_epoch, partition.recovering), (LeaderEpoch::new(2), false));
    assert_eq!(partition.last_known_leader, None);
}

/// KIP-966, as one story: two of three must have a record.
#[test]
fn who_left_a_set_that_was_too_small_is_eligible() {
    let mut cluster = Cluster::of(3);
    cluster.topic("t", &[1, 2, 3], &[MIN_TWO]);
    cluster.silence(&[3]);
    assert_eq!(
        led(&cluster.partition("t")),
        (Some(1), vec![1, 2], vec![]),
        "two are enough: 3 may miss some"
    );
    cluster.silence(&[2, 3]);
    assert_eq!(led(&cluster.partition("t")), (Some(1), vec![1], vec![2]));
    cluster.silence(&[1, 2, 3]);
    assert_eq!(led(&cluster.partition("t")), (None, vec![], vec![1, 2]));
    cluster.beat(3);
    assert_eq!(led(&cluster.partition("t")), (None, vec![], vec![1, 2]), "3 may miss some");
    cluster.beat(2);
    assert_eq!(led(&cluster.partition("t")), (Some(2), vec![2], vec![1]));
    assert!(!cluster.partition("t").recovering);
}

#[test]
fn a_lost_disk_is_not_eligible() {
    let mut cluster = Cluster::of(3);
    cluster.topic("t", &[1, 2, 3], &[MIN_TWO]);
    cluster.silence(&[3]);
    cluster.silence(&[2, 3]);
    cluster.silence(&[1, 2, 3]);
    let epoch = |cluster: &Cluster, node| cluster.image.nodes()[&NodeId(node)].registration_epoch;
    let (first, second) = (epoch(&cluster, 1), cluster.image.nodes()[&NodeId(2)].incarnation_id);
    // An empty disk has no previous registration; an old copy has an older one.
    cluster.start(registration(1, 2, None)).expect("registers");
    assert_eq!(led(&cluster.partition("t")), (None, vec![], vec![2]));
    let damaged = crate::controller::RegisterNode {
        previous: vec![second],
        surviving: Surviving::Unknown,
        ..registration(2, 2, None)
    };
    cluster.start(damaged).expect("registers");
    assert_eq!(led(&cluster.partition("t")), (None, vec![], vec![]));
    (1..=3).for_each(|node| cluster.beat(node));
    assert_eq!(led(&cluster.partition("t")).0, None, "the last leader's disk is gone, the others miss some");
    assert!(epoch(&cluster, 1) > first);
    let decision = cluster.controller().elect_leaders(ElectionKind::Unclean, None);
    assert_eq!(name_of(&cluster.commit(decision)[0].result), "NONE");
    let partition = cluster.partition("t");
    assert_eq!((led(&partition), partition.recovering), ((Some(1), vec![1], vec![]), true));
}

#[test]
fn power_loss_spares_what_was_flushed() {
    for (configs, eligible) in
        [(vec![MIN_TWO], vec![1, 2]), (vec![MIN_TWO, ("write.caching", "true")], vec![2])]
    {
        let mut cluster = Cluster::of(2);
        cluster.topic("t", &[1, 2], &configs);
        cluster.silence(&[1, 2]);
        let previous = vec![cluster.image.nodes()[&NodeId(1)].incarnation_id];
        let surviving = Surviving::Flushed;
        let again = crate::controller::RegisterNode { previous, surviving, ..registration(1, 2, None) };
        cluster.start(again).expect("registers");
        assert_eq!(led(&cluster.partition("t")).2, eligible, "{configs:?}");
    }
}

#[test]
fn anybody_leads_only_where_the_topic_allows_it() {
    for (configs, leader) in [(vec![], None), (vec![UNCLEAN], Some(2))] {
        let mut cluster = Cluster::of(2);
        cluster.topic("t", &[1, 2], &configs);
        cluster.silence(&[2]);
        cluster.beat(2);
        cluster.silence(&[1]);
        let partition = cluster.partition("t");
        assert_eq!(led(&partition).0, leader, "{configs:?}");
        assert_eq!(partition.recovering, leader.is_some());
    }
    let mut cluster = Cluster::of(2);
    cluster.topic("t", &[1, 2], &[]);
    cluster.silence(&[2]);
    cluster.beat(2);
    cluster.silence(&[1]);
    let changes =
        AlterConfigs::Changes(vec![(UNCLEAN.0.to_owned(), ConfigChange::Set(Some(UNCLEAN.1.to_owned())))]);
    let target = ConfigTarget::Topic("t".to_owned());
    let decision = cluster.controller().alter_configs(&[(target, changes)], false);
    cluster.commit(decision);
    assert_eq!(cluster.partition("t").leader, None);
    let decision = cluster.controller().elect_unclean_leaders();
    assert_eq!(cluster.commit(decision), 0, "nobody is without");
    assert_eq!(cluster.partition("t").leader, Some(NodeId(2)));
}

#[test]
fn a_node_that_stops_hands_over_first() {
    let mut cluster = Cluster::of(3);
    cluster.topic("t", &[1, 2, 3], &[]);
    let answer = cluster.heartbeat(1, true);
    assert_eq!((answer.stopping, answer.may_stop, answer.fenced), (true, false, false));
    assert_eq!(led(&cluster.partition("t")), (Some(2), vec![2, 3], vec![]));
    assert!(!cluster.heartbeat(1, true).may_stop, "2 and 3 have not said that they know");
    cluster.beat(2);
    assert!(!cluster.heartbeat(1, true).may_stop, "3 has not said that it knows");
    cluster.beat(3);
    let answer = cluster.heartbeat(1, true);
    assert_eq!((answer.may_stop, answer.fenced), (true, true));
    assert!(cluster.heartbeat(1, true).may_stop);
    cluster.beat(1);
    assert!(!cluster.image.is_active(NodeId(1)), "it starts again before it leads");
    // One that leads nothing stops at once.
    cluster.topic("u", &[2], &[]);
    assert!(cluster.heartbeat(3, true).may_stop);
    // The last replica stops, too: what it leads is without a leader until it is back.
    assert!(cluster.heartbeat(2, true).stopping);
    assert!(cluster.heartbeat(2, true).may_stop);
    assert_eq!(led(&cluster.partition("u")), (None, vec![], vec![2]));
}

#[test]
fn a_new_controller_gives_everybody_a_whole_timeout() {
    let mut cluster = Cluster::of(2);
    cluster.now_ms += 10 * TIMEOUT_MS;
    assert_eq!(cluster.sessions.silent(&cluster.image, cluster.now_ms), [NodeId(1), NodeId(2)]);
    cluster.sessions = Sessions::begin(&cluster.image, TIMEOUT_MS, cluster.now_ms);
    assert_eq!(cluster.sessions.silent(&cluster.image, cluster.now_ms + TIMEOUT_MS), []);
    assert_eq!(cluster.sessions.next_end_ms(&cluster.image), Some(cluster.now_ms + TIMEOUT_MS));
    assert_eq!(cluster.sessions.lowest_version(&cluster.image), 0, "nobody has said what it has seen");
}

/// Node 1 leads node 2, 3 and the fenced 4 in leader epoch 0 and partition epoch 1.
fn altering() -> (Cluster, AlterPartition) {
    let mut cluster = Cluster::of(4);
    let topic_id = cluster.topic("t", &[1, 2, 3, 4], &[]);
    cluster.silence(&[4]);
    let epoch = |node| cluster.image.nodes()[&NodeId(node)].registration_epoch;
    let in_sync = [1, 2].map(|node| (NodeId(node), epoch(node))).to_vec();
    let item = AlterPartition {
        topic_id,
        partition: 0,
        leader_epoch: LeaderEpoch::ZERO,
        partition_epoch: PartitionEpoch(1),
        in_sync,
        recovering: false,
    };
    (cluster, item)
}

#[test]
fn in_sync_sets_change_as_kafka_lets_them() {
    let (cluster, item) = altering();
    let epoch = |node: i32| cluster.image.nodes()[&NodeId(node)].registration_epoch;
    let with = |nodes: &[(i32, i64)]| AlterPartition {
        in_sync: nodes.iter().map(|(node, epoch)| (NodeId(*node), *epoch)).collect(),
        ..item.clone()
    };
    let table = [
        (1, item.clone(), "NONE"),
        (1, AlterPartition { topic_id: TopicId([9; 16]), ..item.clone() }, "UNKNOWN_TOPIC_ID"),
        (1, AlterPartition { partition: 7, ..item.clone() }, "UNKNOWN_TOPIC_OR_PARTITION"),
        (1, AlterPartition { leader_epoch: LeaderEpoch::new(1), ..item.clone() }, "NOT_CONTROLLER"),
        (1, AlterPartition { partition_epoch: PartitionEpoch(2), ..item.clone() }, "NOT_CONTROLLER"),
        (1, AlterPartition { leader_epoch: LeaderEpoch::new(-1), ..item.clone() }, "FENCED_LEADER_EPOCH"),
        (2, item.clone(), "INVALID_REQUEST"),
        (1, AlterPartition { partition_epoch: PartitionEpoch(0), ..item.clone() }, "INVALID_UPDATE_VERSION"),
        (1, with(&[(2, epoch(2))]), "INVALID_REQUEST"),
        (1, with(&[(1, epoch(1)), (1, epoch(1))]), "INVALID_REQUEST"),
        (1, with(&[(1, epoch(1)), (9, 0)]), "INVALID_REQUEST"),
        (1, with(&[(1, epoch(1)), (4, epoch(4))]), "INELIGIBLE_REPLICA"),
        (1, with(&[(1, epoch(1)), (3, epoch(3) + 1)]), "INELIGIBLE_REPLICA"),
        (1, AlterPartition { recovering: true, ..with(&[(1, epoch(1))]) }, "INVALID_REQUEST"),
        (1, with(&[(1, epoch(1)), (3, epoch(3))]), "NONE"),
    ];
    for (node, item, expected) in table {
        let registration_epoch = epoch(node);
        let request = AlterPartitions { node_id: NodeId(node), registration_epoch, partitions: vec![item] };
        let decision = cluster.controller().alter_partitions(&request);
        let answer = decision.answer.expect("registered").remove(0);
        assert_eq!(name_of(&answer), expected, "{request:?}");
        assert_eq!(decision.records.len(), usize::from(expected == "NONE"));
        if let Ok(altered) = answer {
            assert_eq!(altered.state.partition_epoch, PartitionEpoch(2));
            assert_eq!(altered.state.leader_epoch, LeaderEpoch::ZERO, "no new leadership");
            assert_eq!(altered.version, cluster.image.version() + 1);
        }
    }
    let stale = AlterPartitions { node_id: NodeId(1), registration_epoch: 0, partitions: vec![item] };
    assert_eq!(name_of(&cluster.controller().alter_partitions(&stale).answer), "STALE_BROKER_EPOCH");
}

#[test]
fn a_partition_named_twice_is_changed_once() {
    let (cluster, item) = altering();
    let registration_epoch = cluster.image.nodes()[&NodeId(1)].registration_epoch;
    let partitions = vec![item.clone(), item];
    let request = AlterPartitions { node_id: NodeId(1), registration_epoch, partitions };
    let decision = cluster.controller().alter_partitions(&request);
    let answers: Vec<_> = decision.answer.expect("registered").iter().map(name_of).collect();
    assert_eq!((answers, decision.records.len()), (vec!["NONE", "INVALID_UPDATE_VERSION"], 1));
}

fn reassign(cluster: &mut Cluster, replicas: Option<&[i32]>) -> &'static str {
    let replicas = replicas.map(<[i32]>::to_vec);
    let item = Reassignment { topic: "t".to_owned(), partition: 0, replicas };
    let decision = cluster.controller().reassign(&[item]);
    name_of(&cluster.commit(decision)[0])
}

/// The leader lets these nodes into the in-sync set.
fn alter(cluster: &mut Cluster, nodes: &[i32]) -> &'static str {
    let epoch = |node: i32| cluster.image.nodes()[&NodeId(node)].registration_epoch;
    let (topic_id, before) = (cluster.image.topic("t").expect("there").id, cluster.partition("t"));
    let leader = before.leader.expect("led");
    let item = AlterPartition {
        topic_id,
        partition: 0,
        leader_epoch: before.leader_epoch,
        partition_epoch: before.partition_epoch,
        in_sync: nodes.iter().map(|node| (NodeId(*node), epoch(*node))).collect(),
        recovering: false,
    };
    let (node_id, registration_epoch) = (leader, epoch(leader.0));
    let request = AlterPartitions { node_id, registration_epoch, partitions: vec![item] };
    let decision = cluster.controller().alter_partitions(&request);
    name_of(&cluster.commit(decision).expect("registered")[0])
}

#[test]
fn replicas_move_when_the_new_ones_are_in_sync() {
    let mut cluster = Cluster::of(4);
    cluster.topic("t", &[1, 2], &[]);
    assert_eq!(reassign(&mut cluster, Some(&[3, 4])), "NONE");
    let under_way = cluster.controller().reassignments(None);
    assert_eq!(
        (ids(&under_way[0].replicas), ids(&under_way[0].adding), ids(&under_way[0].removing)),
        (vec![3, 4, 1, 2], vec![3, 4], vec![1, 2])
    );
    assert_eq!(alter(&mut cluster, &[1, 2, 3]), "NONE");
    assert!(cluster.partition("t").is_reassigning());
    assert_eq!(alter(&mut cluster, &[1, 2, 3, 4]), "NEW_LEADER_ELECTED");
    let partition = cluster.partition("t");
    assert_eq!((ids(&partition.replicas), partition.is_reassigning()), (vec![3, 4], false));
    assert_eq!(led(&partition), (Some(3), vec![3, 4], vec![]));
    assert_eq!(partition.leader_epoch, LeaderEpoch::new(1));
    assert_eq!(cluster.controller().reassignments(None), []);
    assert_eq!(reassign(&mut cluster, Some(&[4, 3])), "NONE", "another order needs no copies");
    assert_eq!(ids(&cluster.partition("t").replicas), [4, 3]);
    assert_eq!(cluster.partition("t").leader, Some(NodeId(3)), "until leaders are balanced");
    let decision = cluster.controller().balance_leaders();
    assert_eq!(cluster.commit(decision), 0);
    assert_eq!(cluster.partition("t").leader, Some(NodeId(4)));
}

#[test]
fn a_reassignment_is_cancelled_or_refused() {
    let mut cluster = Cluster::of(4);
    cluster.topic("t", &[1, 2], &[]);
    let before = cluster.partition("t");
    for (replicas, expected) in [
        (None, "NO_REASSIGNMENT_IN_PROGRESS"),
        (Some(&[][..]), "INVALID_REPLICA_ASSIGNMENT"),
        (Some(&[1, 1][..]), "INVALID_REPLICA_ASSIGNMENT"),
        (Some(&[1, 9][..]), "INVALID_REPLICA_ASSIGNMENT"),
        (Some(&[1, 2][..]), "NONE"),
    ] {
        assert_eq!(reassign(&mut cluster, replicas), expected);
        assert_eq!(cluster.partition("t"), before);
    }
    assert_eq!(reassign(&mut cluster, Some(&[1, 3])), "NONE");
    assert_eq!(alter(&mut cluster, &[1, 2]), "NONE");
    assert_eq!(reassign(&mut cluster, None), "NONE");
    let after = cluster.partition("t");
    assert_eq!((ids(&after.replicas), ids(&after.in_sync)), (vec![1, 2], vec![1, 2]));
    assert!(!after.is_reassigning() && after.leader_epoch > before.leader_epoch, "a replica was dropped");
    // Only the new one has everything.
    assert_eq!(reassign(&mut cluster, Some(&[3])), "NONE");
    let other = Reassignment { topic: "no".to_owned(), partition: 0, replicas: None };
    let unknown = Reassignment { topic: "t".to_owned(), partition: 5, replicas: None };
    for item in [other, unknown] {
        let answer = cluster.controller().reassign(&[item]).answer;
        assert_eq!(name_of(&answer[0]), "UNKNOWN_TOPIC_OR_PARTITION");
    }
}

/// Seed 19087: a leader that was only being added is taken away; if it is added again it has nothing.
#[test]
fn a_last_leader_without_replica_is_forgotten() {
    let mut cluster = Cluster::of(3);
    cluster.topic("t", &[1, 2], &[MIN_TWO]);
    assert_eq!(reassign(&mut cluster, Some(&[1, 3, 2])), "NONE");
    assert_eq!(alter(&mut cluster, &[1, 3]), "NONE");
    cluster.silence(&[1]);
    assert_eq!(led(&cluster.partition("t")), (Some(3), vec![3], vec![1]));
    assert_eq!(reassign(&mut cluster, None), "NONE");
    let partition = cluster.partition("t");
    assert_eq!((led(&partition), partition.last_known_leader), ((None, vec![], vec![1]), None));
}

#[test]
fn leaders_are_elected_as_kafka_does() {
    let mut cluster = Cluster::of(3);
    cluster.topic("t", &[1, 2], &[]);
    let elect = |cluster: &mut Cluster, kind, partition| {
        let named = [("t".to_owned(), partition)];
        let decision = cluster.controller().elect_leaders(kind, Some(&named));
        name_of(&cluster.commit(decision)[0].result)
    };
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred, 0), "ELECTION_NOT_NEEDED");
    assert_eq!(elect(&mut cluster, ElectionKind::Unclean, 0), "ELECTION_NOT_NEEDED");
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred, 5), "UNKNOWN_TOPIC_OR_PARTITION");
    cluster.silence(&[1]);
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred, 0), "PREFERRED_LEADER_NOT_AVAILABLE");
    cluster.beat(1);
    assert_eq!(
        elect(&mut cluster, ElectionKind::Preferred, 0),
        "PREFERRED_LEADER_NOT_AVAILABLE",
        "not in sync"
    );
    assert_eq!(alter(&mut cluster, &[2, 1]), "NONE");
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred, 0), "NONE");
    assert_eq!(cluster.partition("t").leader, Some(NodeId(1)));
    cluster.silence(&[1, 2]);
    assert_eq!(elect(&mut cluster, ElectionKind::Unclean, 0), "ELIGIBLE_LEADERS_NOT_AVAILABLE");
    assert!(cluster.controller().elect_leaders(ElectionKind::Preferred, None).answer.len() == 1);
}

#[test]
fn an_unregistered_node_is_as_gone_as_its_disk() {
    let mut cluster = Cluster::of(3);
    cluster.topic("t", &[1, 2, 3], &[MIN_TWO]);
    cluster.silence(&[3]);
    cluster.silence(&[2, 3]);
    assert_eq!(led(&cluster.partition("t")), (Some(1), vec![1], vec![2]));
    let decision = cluster.controller().unregister_node(NodeId(2));
    assert_eq!(name_of(&cluster.commit(decision)), "NONE");
    assert_eq!(led(&cluster.partition("t")), (Some(1), vec![1], vec![]));
    assert!(!cluster.image.nodes().contains_key(&NodeId(2)));
    let again = cluster.controller().unregister_node(NodeId(2)).answer;
    assert_eq!(name_of(&again), "BROKER_ID_NOT_REGISTERED");
}

#[test]
fn fewer_replicas_that_are_enough_end_eligibility() {
    for (to, eligible) in [("1", vec![]), ("3", vec![2])] {
        let mut cluster = Cluster::of(3);
        cluster.topic("t", &[1, 2, 3], &[MIN_TWO]);
        cluster.silence(&[3]);
        cluster.silence(&[2, 3]);
        let change = (MIN_TWO.0.to_owned(), ConfigChange::Set(Some(to.to_owned())));
        let target = ConfigTarget::Topic("t".to_owned());
        let decision =
            cluster.controller().alter_configs(&[(target, AlterConfigs::Changes(vec![change]))], false);
        cluster.commit(decision);
        assert_eq!(led(&cluster.partition("t")), (Some(1), vec![1], eligible), "{to}");
    }
    // For all topics without a setting of their own.
    let mut cluster = Cluster::of(3);
    let set = |value: &str| {
        let change = (MIN_TWO.0.to_owned(), ConfigChange::Set(Some(value.to_owned())));
        [(ConfigTarget::Broker(String::new()), AlterConfigs::Changes(vec![change]))]
    };
    let decision = cluster.controller().alter_configs(&set("2"), false);
    cluster.commit(decision);
    cluster.topic("t", &[1, 2, 3], &[]);
    cluster.silence(&[3]);
    cluster.silence(&[2, 3]);
    assert_eq!(led(&cluster.partition("t")).2, [2]);
    let decision = cluster.controller().alter_configs(&set("1"), false);
    cluster.commit(decision);
    assert!(led(&cluster.partition("t")).2.is_empty());
}

fn in_racks(racks: &[&str]) -> Cluster {
    let mut cluster = Cluster::new();
    for (node, rack) in (1..).zip(racks) {
        cluster.start(registration(node, 1, Some(rack))).expect("registers");
        cluster.beat(node);
    }
    cluster
}

#[test]
fn replicas_lie_in_different_racks_and_leaders_take_turns() {
    for racks in [&["a", "a", "b", "b", "c", "c"][..], &["a", "a", "a", "b", "c"], &["a", "b", "c"]] {
        let mut cluster = in_racks(racks);
        let count = racks.len() as i32 * 4;
        let topic =
            CreateTopic { partitions: count, replication_factor: 3, ..CreateTopic::with_defaults("t") };
        assert!(cluster.create(&[topic])[0].is_ok());
        let mut leads = vec![0; racks.len()];
        let mut pairs = std::collections::BTreeSet::new();
        for partition in &cluster.image.topic("t").expect("made").partitions {
            let nodes = ids(&partition.replicas);
            let spread: std::collections::BTreeSet<_> =
                nodes.iter().map(|n| racks[*n as usize - 1]).collect();
            assert_eq!(spread.len(), 3, "{nodes:?}");
            leads[nodes[0] as usize - 1] += 1;
            pairs.insert(nodes);
        }
        assert!(leads.iter().all(|led| *led == 4), "{racks:?}: {leads:?}");
        assert!(pairs.len() > racks.len() || racks.len() == 3, "followers shift");
    }
}

#[test]
fn fenced_and_stopping_nodes_get_nothing_they_cannot_keep() {
    let mut cluster = Cluster::of(4);
    cluster.silence(&[3]);
    cluster.topic("u", &[4], &[]);
    cluster.heartbeat(4, true);
    let sized = |name: &str, replication_factor| CreateTopic {
        partitions: 4,
        replication_factor,
        ..CreateTopic::with_defaults(name)
    };
    assert_eq!(name_of(&cluster.create(&[sized("four", 4)])[0]), "INVALID_REPLICATION_FACTOR");
    assert_eq!(name_of(&cluster.create(&[sized("three", 3)])[0]), "NONE");
    for partition in &cluster.image.topic("three").expect("made").partitions {
        let (leader, in_sync, _) = led(partition);
        assert_eq!((partition.replicas[2], in_sync.len()), (NodeId(3), 2));
        assert!(leader.is_some_and(|leader| leader < 3));
    }
    let assigned = |name: &str, node| CreateTopic {
        assignments: vec![(0, vec![node])],
        ..CreateTopic::with_defaults(name)
    };
    let refused = cluster.create(&[assigned("fenced", 3)]).remove(0).expect_err("refused");
    assert_eq!(
        refused.message.as_deref(),
        Some(
            "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled \
             shutdown."
        )
    );
}

#[test]
fn a_drained_node_keeps_nothing() {
    let mut cluster = in_racks(&["a", "b", "c", "c"]);
    for topic in ["t", "u", "v"] {
        cluster.topic(topic, &[3, 1, 2], &[]);
    }
    let plan = cluster.controller().drain(NodeId(3));
    assert!(plan.stuck.is_empty());
    let targets: Vec<_> =
        plan.reassignments.iter().map(|item| item.replicas.clone().unwrap_or_default()).collect();
    assert_eq!(targets, vec![vec![4, 1, 2]; 3], "the other node of the same rack");
    let decision = cluster.controller().reassign(&plan.reassignments);
    assert!(cluster.commit(decision).iter().all(Result::is_ok));
    assert!(cluster.controller().drain(NodeId(3)).reassignments.is_empty(), "all are under way");
    let mut cluster = Cluster::of(3);
    cluster.topic("t", &[3, 1, 2], &[]);
    assert_eq!(cluster.controller().drain(NodeId(1)).stuck, [("t".to_owned(), 0)], "there is no fourth node");
}

#[test]
fn levels_change_as_kafka_lets_them() {
    let cluster = Cluster::of(1);
    let update = |feature: &str, level, change| UpdateFeature { feature: feature.to_owned(), level, change };
    let table = [
        (update(METADATA_FEATURE, 1, LevelChange::Upgrade), "NONE"),
        (update(METADATA_FEATURE, 2, LevelChange::Upgrade), "INVALID_UPDATE_VERSION"),
        (update(METADATA_FEATURE, 0, LevelChange::Upgrade), "INVALID_UPDATE_VERSION"),
        (update(METADATA_FEATURE, 0, LevelChange::UnsafeDowngrade), "INVALID_UPDATE_VERSION"),
        (update(METADATA_FEATURE, -1, LevelChange::SafeDowngrade), "INVALID_UPDATE_VERSION"),
        (update(METADATA_FEATURE, 1, LevelChange::Unknown), "INVALID_UPDATE_VERSION"),
        (update("kraft.version", 1, LevelChange::Upgrade), "INVALID_UPDATE_VERSION"),
    ];
    for (update, expected) in table {
        let decision = cluster.controller().update_features(std::slice::from_ref(&update), false);
        assert_eq!(name_of(&decision.answer), expected, "{update:?}");
        assert_eq!(decision.records, [], "nothing changes");
    }
    let mut lone = Cluster::new();
    let down = MetadataRecord::FeatureLevelSet { feature: METADATA_FEATURE.to_owned(), level: 0 };
    lone.image = lone.image.after(&[down]).expect("applies");
    let up = update(METADATA_FEATURE, 1, LevelChange::Upgrade);
    assert!(lone.controller().update_features(std::slice::from_ref(&up), true).records.is_empty());
    let decision = lone.controller().update_features(&[up], false);
    assert_eq!(name_of(&lone.commit(decision)), "NONE");
    assert_eq!(lone.image.feature_level(METADATA_FEATURE), 1);
}

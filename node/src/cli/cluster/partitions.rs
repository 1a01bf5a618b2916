//! `cluster partitions`: where each partition is, who leads, who is in sync, how far the others are behind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::health::{could_lead, lacking};
use super::snapshot::Snapshot;
use super::{client, numbers};
use crate::cli::arguments::ClusterPartitionsArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json, table};
use crate::client::{Client, Placement, TopicPartition};

/// Where the log of each partition ends, by node, of those that answer.
type Ends = BTreeMap<i32, BTreeMap<TopicPartition, i64>>;

/// Shows partitions.
pub(super) fn partitions(arguments: &ClusterPartitionsArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    if !arguments.topic.is_empty() {
        // A name that is wrong is told, not shown as nothing.
        let names: Vec<&str> = arguments.topic.iter().map(String::as_str).collect();
        client.placements(Some(&names))?;
    }
    let snapshot = Snapshot::gather(&mut client)?;
    let shown: Vec<&Placement> =
        snapshot.partitions.iter().filter(|placement| is_wanted(&snapshot, placement, arguments)).collect();
    let ends = ends(&mut client, &snapshot, &shown);
    if arguments.json {
        return print_json(&shown.iter().map(|placement| as_json(&snapshot, &ends, placement)).collect());
    }
    if shown.is_empty() {
        return print("There are no such partitions.\n");
    }
    let rows: Vec<Vec<String>> = shown.iter().map(|placement| row(&snapshot, &ends, placement)).collect();
    let heading =
        ["TOPIC", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC", "ELIGIBLE", "BEHIND", "NOTE"];
    print(&table(&heading, &rows))
}

fn is_wanted(snapshot: &Snapshot, placement: &Placement, arguments: &ClusterPartitionsArguments) -> bool {
    (arguments.topic.is_empty() || arguments.topic.contains(&placement.partition.topic))
        && arguments.node.is_none_or(|node| placement.replicas.contains(&node))
        && (!arguments.under_replicated || !lacking(snapshot, placement).is_empty())
        && (!arguments.leaderless || placement.leader.is_none())
}

/// Asks every active node for its ends: once for what it leads, then for what it follows, so that a follower that keeps up
/// is not shown behind.
fn ends(client: &mut Client, snapshot: &Snapshot, shown: &[&Placement]) -> Ends {
    let mut ends = Ends::new();
    for leading in [true, false] {
        for node in snapshot.nodes.active() {
            let wanted = shown.iter().filter(|placement| {
                placement.replicas.contains(&node) && (placement.leader == Some(node)) == leading
            });
            let wanted: BTreeSet<&TopicPartition> = wanted.map(|placement| &placement.partition).collect();
            if !wanted.is_empty() {
                ends.entry(node).or_default().extend(client.ends_on(node, &wanted));
            }
        }
    }
    ends
}

/// How many records each follower is behind the leader; `None` when one of them does not tell.
fn behind(ends: &Ends, placement: &Placement) -> Vec<(i32, Option<i64>)> {
    let end = |node: i32| ends.get(&node)?.get(&placement.partition).copied();
    let followers = placement.replicas.iter().filter(|node| placement.leader != Some(**node));
    let lag = |node: i32| Some((end(placement.leader?)? - end(node)?).max(0));
    followers.map(|node| (*node, lag(*node))).collect()
}

fn note(snapshot: &Snapshot, placement: &Placement) -> String {
    let mut notes = Vec::new();
    if placement.leader.is_none() {
        notes.push(format!("nobody leads; start node {}", numbers(&could_lead(placement))));
    }
    if let Some(moving) = snapshot.move_of(placement) {
        notes.push(format!("moves to {}", numbers(&moving.target())));
    }
    notes.join("; ")
}

fn row(snapshot: &Snapshot, ends: &Ends, placement: &Placement) -> Vec<String> {
    let behind = behind(ends, placement).into_iter().filter_map(|(node, lag)| match lag {
        Some(0) => None,
        Some(lag) => Some(format!("{node}:{lag}")),
        None => Some(format!("{node}:?")),
    });
    let behind: Vec<String> = behind.collect();
    vec![
        placement.partition.topic.clone(),
        placement.partition.index.to_string(),
        placement.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
        placement.leader_epoch.to_string(),
        numbers(&placement.replicas),
        numbers(&placement.in_sync),
        placement.eligible.as_deref().map_or_else(|| "?".to_owned(), numbers),
        if behind.is_empty() { "-".to_owned() } else { behind.join(" ") },
        note(snapshot, placement),
    ]
}

fn as_json(snapshot: &Snapshot, ends: &Ends, placement: &Placement) -> Value {
    let behind: serde_json::Map<String, Value> =
        behind(ends, placement).into_iter().map(|(node, lag)| (node.to_string(), json!(lag))).collect();
    json!({
        "topic": placement.partition.topic,
        "partition": placement.partition.index,
        "leader": placement.leader,
        "leader_epoch": placement.leader_epoch,
        "replicas": placement.replicas,
        "in_sync": placement.in_sync,
        "not_in_sync": lacking(snapshot, placement),
        "eligible": placement.eligible,
        "last_leader": placement.last_leader,
        "behind": behind,
        "moves_to": snapshot.move_of(placement).map(|moving| moving.target()),
    })
}

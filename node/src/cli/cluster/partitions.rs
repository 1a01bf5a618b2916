//! `cluster partitions`: where each partition is, who leads, who is in sync, how far the others are behind.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::health::{could_lead, lacking};
use super::snapshot::Snapshot;
use super::{client, numbers};
use crate::cli::arguments::ClusterPartitionsArguments;
use crate::cli::client::{LogDirsView, Placement};
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json, table};

/// What each node keeps, of those that answer.
type Kept = BTreeMap<i32, LogDirsView>;

/// Shows partitions.
pub(super) fn partitions(arguments: &ClusterPartitionsArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    if !arguments.topic.is_empty() {
        // A name that is wrong is told, not shown as nothing.
        let names: Vec<&str> = arguments.topic.iter().map(String::as_str).collect();
        client.placements(Some(&names))?;
    }
    let snapshot = Snapshot::gather(&mut client)?;
    let mut kept = Kept::new();
    for node_id in snapshot.nodes.active() {
        if let Some(view) = client.log_dirs(node_id)? {
            kept.insert(node_id, view);
        }
    }
    let shown: Vec<&Placement> =
        snapshot.partitions.iter().filter(|placement| is_wanted(&snapshot, placement, arguments)).collect();
    if arguments.json {
        return print_json(&shown.iter().map(|placement| as_json(&snapshot, &kept, placement)).collect());
    }
    if shown.is_empty() {
        return print("There are no such partitions.\n");
    }
    let rows: Vec<Vec<String>> = shown.iter().map(|placement| row(&snapshot, &kept, placement)).collect();
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

/// How far each follower is behind; `None` when its node does not answer.
fn behind(kept: &Kept, placement: &Placement) -> Vec<(i32, Option<i64>)> {
    let followers = placement.replicas.iter().filter(|node| placement.leader != Some(**node));
    let lag = |node: &i32| {
        let view = kept.get(node)?;
        Some(view.logs.get(&placement.partition)?.lag)
    };
    followers.map(|node| (*node, lag(node))).collect()
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

fn row(snapshot: &Snapshot, kept: &Kept, placement: &Placement) -> Vec<String> {
    let behind = behind(kept, placement).into_iter().filter_map(|(node, lag)| match lag {
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

fn as_json(snapshot: &Snapshot, kept: &Kept, placement: &Placement) -> Value {
    let behind: serde_json::Map<String, Value> =
        behind(kept, placement).into_iter().map(|(node, lag)| (node.to_string(), json!(lag))).collect();
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

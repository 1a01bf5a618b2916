//! `cluster leaders`: leadership back to the preferred replicas, or by force to one that is left.

use serde_json::json;

use super::health::{could_lead, is_led_elsewhere};
use super::snapshot::Snapshot;
use super::{client, counted, numbers};
use crate::cli::arguments::{ClusterBalanceArguments, ClusterForceArguments};
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json, table};
use crate::client::{Election, Placement, TopicPartition};

/// Elects preferred leaders where they could lead and do not.
pub(super) fn balance(arguments: &ClusterBalanceArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let names: Vec<&str> = arguments.topic.iter().map(String::as_str).collect();
    let placements = client.placements(if names.is_empty() { None } else { Some(&names) })?;
    let wanted: Vec<&Placement> = placements.iter().filter(|placement| is_led_elsewhere(placement)).collect();
    let mut refused = Vec::new();
    if !arguments.dry_run && !wanted.is_empty() {
        let partitions: Vec<TopicPartition> =
            wanted.iter().map(|placement| placement.partition.clone()).collect();
        let outcomes = client.elect(Election::Preferred, &partitions)?;
        refused.extend(outcomes.into_values().filter_map(Result::err));
    }
    let rows = wanted.iter().map(|placement| {
        let preferred = Snapshot::preferred_leader(placement).into_iter().collect::<Vec<_>>();
        let now = placement.leader.into_iter().collect::<Vec<_>>();
        let TopicPartition { topic, index } = &placement.partition;
        (topic, index, now, preferred)
    });
    if arguments.json {
        let items = rows.map(|(topic, index, now, preferred)| {
            json!({ "topic": topic, "partition": index, "leader": now.first(), "preferred": preferred.first() })
        });
        print_json(&items.collect())?;
    } else if wanted.is_empty() {
        print("Every partition whose preferred leader is in sync is led by it.\n")?;
    } else if arguments.dry_run {
        let cells = rows.map(|(topic, index, now, preferred)| {
            vec![topic.clone(), index.to_string(), numbers(&now), numbers(&preferred)]
        });
        print(&table(&["TOPIC", "PARTITION", "LEADER", "WOULD BE"], &cells.collect::<Vec<_>>()))?;
    } else {
        let moved = wanted.len() - refused.len();
        print(&format!("{} got back the preferred leader.\n", counted(moved, "partition")))?;
    }
    let count = refused.len();
    match refused.into_iter().next() {
        Some(first) => Err(Failure::Other(format!("{} did not: {first}", counted(count, "partition")))),
        None => Ok(()),
    }
}

/// Lets somebody lead who is not in sync.
pub(super) fn force(arguments: &ClusterForceArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let nodes = client.cluster_nodes()?;
    let placements = client.placements(Some(&[arguments.topic.as_str()]))?;
    let placement = placements.iter().find(|placement| placement.partition.index == arguments.partition);
    let Some(placement) = placement else {
        return Err(Failure::Other(format!(
            "the topic '{}' has no partition {}; it has {}",
            arguments.topic,
            arguments.partition,
            counted(placements.len(), "partition")
        )));
    };
    let partition = &placement.partition;
    if let Some(leader) = placement.leader {
        return Err(Failure::Other(format!("node {leader} leads {partition}; nothing is to be forced")));
    }
    let could: Vec<i32> = placement.replicas.iter().copied().filter(|node| nodes.is_active(*node)).collect();
    if could.is_empty() {
        return Err(Failure::Other(format!(
            "no node with a replica of {partition} is active (it is on {}); start one of them",
            numbers(&placement.replicas)
        )));
    }
    let lost = format!(
        "what only node {} has is lost, and node {} leads from what is left",
        numbers(&could_lead(placement)),
        numbers(&could)
    );
    if arguments.dry_run {
        return print(&format!("{partition}: {lost}. Nothing was changed.\n"));
    }
    let outcomes = client.elect(Election::Unclean, std::slice::from_ref(partition))?;
    outcomes.into_values().collect::<Result<Vec<()>, _>>()?;
    print(&format!("{partition}: {lost}.\n"))
}

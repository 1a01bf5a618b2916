//! `cluster decommission` and `cluster replace`: a node leaves for good, and another may take its place.
//!
//! 1. Its replicas move: to the nodes with the fewest, or to the one that takes its place.
//! 2. If it runs, whoever runs this is told to stop it, and it is waited for. What it was given meanwhile moves too.
//! 3. It is unregistered.
//!
//! Failure: a step that does not succeed changes nothing more, and says what to do; the command can be run again.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::drain::{self, check_known, target};
use super::health::could_lead;
use super::moving::Plan;
use super::snapshot::Snapshot;
use super::{client, counted, named, numbers};
use crate::cli::arguments::{ClusterDecommissionArguments, ClusterReplaceArguments, MoveArguments};
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::client::{Client, Placement};

/// How often it is looked whether a node has stopped.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How long a node that is to be stopped by hand is waited for.
const STOP_PATIENCE: Duration = Duration::from_secs(3600);

/// Takes a node out; others get its replicas.
pub(super) fn decommission(arguments: &ClusterDecommissionArguments) -> Result<(), Failure> {
    let node = arguments.node;
    let mut client = client(&arguments.moves.cluster)?;
    let snapshot = Snapshot::gather(&mut client)?;
    check_known(&snapshot, node)?;
    let is_active = snapshot.nodes.is_active(node);
    if arguments.dead && is_active {
        return Err(Failure::Other(format!(
            "node {node} is active: it answers the controller. Leave out --dead and it is drained first, or stop it"
        )));
    }
    if !arguments.dead && !is_active {
        return Err(Failure::Other(format!(
            "node {node} is down. Start it, so that nothing depends on the other replicas alone; or say --dead if it \
             will not come back"
        )));
    }
    take_out(&mut client, node, &arguments.moves, |snapshot| drain::plan(snapshot, node, arguments.shrink))
}

/// Puts a node in the place of another.
pub(super) fn replace(arguments: &ClusterReplaceArguments) -> Result<(), Failure> {
    let (old, new) = (arguments.old, arguments.new);
    if old == new {
        return Err(Failure::Other(format!(
            "node {old} cannot take its own place. If its disk is new, just start it: it fills up by itself"
        )));
    }
    let mut client = client(&arguments.moves.cluster)?;
    let snapshot = Snapshot::gather(&mut client)?;
    check_known(&snapshot, old)?;
    if !snapshot.nodes.is_active(new) {
        return Err(Failure::Other(format!(
            "node {new} is not active; start it first: make its certificate with 'ringmain cert node --node-id {new}', \
             give it the same cluster.voters as the others, and wait until 'ringmain cluster nodes' shows it"
        )));
    }
    take_out(&mut client, old, &arguments.moves, |snapshot| substitution(snapshot, old, new))
}

/// The plan by which one node gets every replica of another. Where it has one already, the node with the fewest gets it.
pub(super) fn substitution(snapshot: &Snapshot, old: i32, new: i32) -> Result<Plan, Failure> {
    let mut plan = Plan::new();
    let mut has_both = false;
    for placement in &snapshot.partitions {
        let target = target(snapshot, placement);
        if !target.contains(&old) {
            continue;
        }
        if target.contains(&new) {
            has_both = true;
            continue;
        }
        let replaced = target.into_iter().map(|node| if node == old { new } else { node });
        plan.insert(placement.partition.clone(), replaced.collect());
    }
    if has_both {
        for (partition, replicas) in drain::plan(snapshot, old, true)? {
            plan.entry(partition).or_insert(replicas);
        }
    }
    Ok(plan)
}

fn take_out(
    client: &mut Client,
    node: i32,
    arguments: &MoveArguments,
    plan: impl Fn(&Snapshot) -> Result<Plan, Failure>,
) -> Result<(), Failure> {
    let movable = |snapshot: &Snapshot| {
        let mut plan = plan(snapshot)?;
        // Without a leader there is nobody to copy from: it would move for ever.
        let stuck: BTreeSet<_> = lost(snapshot, node).map(|placement| &placement.partition).collect();
        plan.retain(|partition, _| !stuck.contains(partition));
        Ok(plan)
    };
    if !drain::empty(client, node, arguments, movable)? {
        return Ok(());
    }
    let snapshot = Snapshot::gather(client)?;
    let lost: Vec<&Placement> = lost(&snapshot, node).collect();
    if !lost.is_empty() {
        let wanted: BTreeSet<i32> = lost.iter().flat_map(|placement| could_lead(placement)).collect();
        let wanted: Vec<i32> = wanted.into_iter().collect();
        return Err(Failure::Other(format!(
            "node {node} is still needed: {} {} no leader, and node {} may have the only copy of what was acknowledged: \
             {}. Start it; or accept the loss with 'ringmain cluster leaders force', and run this again",
            counted(lost.len(), "partition"),
            if lost.len() == 1 { "has" } else { "have" },
            numbers(&wanted),
            named(lost.iter().map(|placement| &placement.partition))
        )));
    }
    if snapshot.nodes.is_active(node) {
        wait_for_stop(client, node, arguments)?;
        drain::empty(client, node, arguments, movable)?;
    }
    let was_voter =
        snapshot.quorum.is_some_and(|quorum| quorum.voters.iter().any(|voter| voter.node_id == node));
    // Where fenced nodes are not told, one that stopped may be forgotten already.
    client.unregister(node)?;
    if arguments.json {
        return print(&format!("{}\n", serde_json::json!({ "unregistered": node })));
    }
    print(&format!("Node {node} is out of the cluster; its data directory can go.\n"))?;
    if was_voter {
        print(
            "It was a voter: take it out of cluster.voters in the files of all nodes, put the one that takes its place \
             there, and restart them one after the other when it suits.\n",
        )?;
    }
    Ok(())
}

/// Partitions of a node that nobody leads.
fn lost(snapshot: &Snapshot, node: i32) -> impl Iterator<Item = &Placement> {
    let placements = snapshot.partitions.iter();
    placements.filter(move |placement| placement.leader.is_none() && placement.replicas.contains(&node))
}

fn wait_for_stop(client: &mut Client, node: i32, arguments: &MoveArguments) -> Result<(), Failure> {
    if !arguments.json {
        print(&format!(
            "Node {node} keeps no replica any more. Stop it now (SIGTERM to its process); it is waited for.\n"
        ))?;
    }
    let deadline = Instant::now() + STOP_PATIENCE;
    while client.cluster_nodes()?.is_active(node) {
        if Instant::now() > deadline {
            return Err(Failure::Other(format!(
                "node {node} was not stopped within an hour; it is empty and still part of the cluster. Stop it, and \
                 run this again with --dead"
            )));
        }
        thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

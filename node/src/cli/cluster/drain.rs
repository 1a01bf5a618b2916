//! `cluster drain`: everything moves off a node. The plan is the controller's own ([`Controller::drain`]).

use ringmain_metadata::NodeId;
use ringmain_metadata::controller::Controller;

use super::moving::{self, Plan};
use super::snapshot::Snapshot;
use super::{client, counted, image, named, numbers};
use crate::cli::arguments::{ClusterDrainArguments, MoveArguments};
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::client::{Client, Placement, TopicPartition};

/// Plans made anew because partitions were made on the node meanwhile; more of them would be a race that is lost.
const ROUNDS_MAX: usize = 5;

/// Moves everything off a node.
pub(super) fn drain(arguments: &ClusterDrainArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.moves.cluster)?;
    let node = arguments.node;
    let emptied =
        empty(&mut client, node, &arguments.moves, |snapshot| plan(snapshot, node, arguments.shrink))?;
    if emptied && !arguments.moves.json {
        print(&format!("Node {node} keeps no replica any more. It is still part of the cluster.\n"))?;
    }
    Ok(())
}

/// Moves what a plan says until it says nothing. False when it was only shown.
pub(super) fn empty(
    client: &mut Client,
    node: i32,
    arguments: &MoveArguments,
    plan: impl Fn(&Snapshot) -> Result<Plan, Failure>,
) -> Result<bool, Failure> {
    for _ in 0..ROUNDS_MAX {
        let snapshot = Snapshot::gather(client)?;
        check_known(&snapshot, node)?;
        let plan = plan(&snapshot)?;
        if arguments.dry_run {
            moving::show(&plan, &snapshot, arguments.json)?;
            return Ok(false);
        }
        if plan.is_empty() {
            return Ok(true);
        }
        moving::run(client, &plan, arguments)?;
    }
    Err(Failure::Other(format!(
        "node {node} was given new replicas as fast as others were moved off; stop what makes topics, and try again"
    )))
}

/// Where the replicas of a node shall go.
pub(super) fn plan(snapshot: &Snapshot, node: i32, shrink: bool) -> Result<Plan, Failure> {
    let image = image::of(snapshot)?;
    let options = image::options();
    let drained = Controller::new(&image, &options).drain(NodeId(node));
    let mut plan = Plan::new();
    for item in drained.reassignments {
        let partition = TopicPartition { topic: item.topic, index: item.partition };
        plan.extend(item.replicas.map(|replicas| (partition, replicas)));
    }
    let stuck: Vec<TopicPartition> =
        drained.stuck.into_iter().map(|(topic, index)| TopicPartition { topic, index }).collect();
    if stuck.is_empty() {
        return Ok(plan);
    }
    if !shrink {
        let others: Vec<i32> = snapshot.nodes.active().filter(|other| *other != node).collect();
        let others = if others.is_empty() { "none".to_owned() } else { numbers(&others) };
        return Err(Failure::Other(format!(
            "there is no other node for the replicas of {}: {}. Active besides node {node}: {}. Start one more node \
             ('ringmain cluster replace {node} NEW' then puts it in this one's place), or keep one replica fewer with \
             --shrink. Nothing was changed",
            counted(stuck.len(), "partition"),
            named(&stuck),
            others
        )));
    }
    for partition in stuck {
        let placement = placement(snapshot, &partition);
        let rest: Vec<i32> =
            placement.map(|placement| without(snapshot, placement, node)).unwrap_or_default();
        if rest.is_empty() {
            return Err(Failure::Other(format!(
                "node {node} has the only replica of {partition}, and no other node is active; start one more node. \
                 Nothing was changed"
            )));
        }
        plan.insert(partition, rest);
    }
    Ok(plan)
}

/// The replicas that a partition will have, without one node.
pub(super) fn without(snapshot: &Snapshot, placement: &Placement, node: i32) -> Vec<i32> {
    target(snapshot, placement).into_iter().filter(|other| *other != node).collect()
}

/// The replicas that a partition will have once its move is done.
pub(super) fn target(snapshot: &Snapshot, placement: &Placement) -> Vec<i32> {
    snapshot.move_of(placement).map_or_else(|| placement.replicas.clone(), |moving| moving.target())
}

fn placement<'a>(snapshot: &'a Snapshot, partition: &TopicPartition) -> Option<&'a Placement> {
    snapshot.partitions.iter().find(|placement| placement.partition == *partition)
}

/// Refuses a number that nobody has.
pub(super) fn check_known(snapshot: &Snapshot, node: i32) -> Result<(), Failure> {
    let keeps = snapshot.partitions.iter().any(|placement| placement.replicas.contains(&node));
    if keeps || snapshot.nodes.nodes.contains_key(&node) || !snapshot.nodes.names_fenced {
        return Ok(());
    }
    let known: Vec<i32> = snapshot.nodes.nodes.keys().copied().collect();
    Err(Failure::Other(format!("node {node} is not part of the cluster; its nodes are {}", numbers(&known))))
}

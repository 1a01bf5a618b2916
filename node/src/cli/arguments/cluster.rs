//! The arguments of the `cluster` commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ClusterArguments, WatchArguments};
use crate::config::quantity::parse_milliseconds;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClusterCommand {
    /// Say whether everything is well, and if not, what is wrong and what to do
    Status(ClusterStatusArguments),
    /// Show the nodes: who is there, what each leads and keeps
    Nodes(ClusterNodesArguments),
    /// Show where partitions are: leader, in sync, eligible, how far behind
    Partitions(ClusterPartitionsArguments),
    /// Move everything off a node, which stays in the cluster
    Drain(ClusterDrainArguments),
    /// Take a node out of the cluster for good
    Decommission(ClusterDecommissionArguments),
    /// Put a node in the place of another, dead or alive, and take that one out
    Replace(ClusterReplaceArguments),
    /// Choose who leads
    #[command(subcommand)]
    Leaders(ClusterLeadersCommand),
    /// Choose on which nodes the replicas of partitions are; without arguments, show the moves under way
    Reassign(ClusterReassignArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Healthy: every partition has a leader and all its replicas are in sync, and no node is fenced.
Degraded: all partitions serve, but one more loss may be one too many.
Not available: some partition has no leader, or too few replicas in sync for acks=all.

Examples:
  ringmain cluster status
  ringmain cluster status --watch                    again every 2 seconds
  ringmain cluster status --wait 120                 until it is healthy: between the steps of a rolling restart
  ringmain cluster status --json | jq -r .health"
)]
pub(in crate::cli) struct ClusterStatusArguments {
    /// Wait so many seconds for the cluster to be healthy, and fail if it is not
    #[arg(long, value_name = "SECONDS", conflicts_with = "watch")]
    pub(in crate::cli) wait: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) watch: WatchArguments,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain cluster nodes
  ringmain cluster nodes --json | jq '.[] | select(.state != \"active\")'")]
pub(in crate::cli) struct ClusterNodesArguments {
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "BEHIND is how many records each follower is behind the leader, by node; '?' when a node does not answer.
ELIGIBLE are replicas that left the in-sync set and still have everything that was acknowledged with acks=all.

Examples:
  ringmain cluster partitions --under-replicated
  ringmain cluster partitions --topic orders --topic returns
  ringmain cluster partitions --node 3 --json"
)]
pub(in crate::cli) struct ClusterPartitionsArguments {
    /// Only partitions of this topic; can be repeated
    #[arg(long, short, value_name = "NAME")]
    pub(in crate::cli) topic: Vec<String>,
    /// Only partitions that this node keeps
    #[arg(long, value_name = "NODE")]
    pub(in crate::cli) node: Option<i32>,
    /// Only partitions some of whose replicas are not in sync
    #[arg(long)]
    pub(in crate::cli) under_replicated: bool,
    /// Only partitions without a leader
    #[arg(long)]
    pub(in crate::cli) leaderless: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

/// How replicas are moved.
#[derive(Debug, Args)]
pub(in crate::cli) struct MoveArguments {
    /// Only show what would be done
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Partitions that move at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(in crate::cli) at_once: u16,
    /// Give up when no move made progress for so long; what is under way goes on
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub(in crate::cli) patience: Duration,
    /// Print JSON: a line for each step
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each replica moves to the active node with the fewest, in another rack than its siblings where there is one.
Clients go on; the node stays registered and may be given new partitions. It can be interrupted: run it again and it
takes up what is left.

Examples:
  ringmain cluster drain 3 --dry-run
  ringmain cluster drain 3
  ringmain cluster drain 3 --shrink                  where there is no other node, keep one replica fewer"
)]
pub(in crate::cli) struct ClusterDrainArguments {
    /// The node to empty
    #[arg(value_name = "NODE")]
    pub(in crate::cli) node: i32,
    /// Where no other node can take a replica, keep one fewer
    #[arg(long)]
    pub(in crate::cli) shrink: bool,
    #[command(flatten)]
    pub(in crate::cli) moves: MoveArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A node that runs is drained first, then it waits for you to stop it, then it is taken out. A dead one is taken out once
others have its replicas. To put a new node in its place, see 'ringmain cluster replace'.

Examples:
  ringmain cluster decommission 3                    drains it, says when to stop it, takes it out
  ringmain cluster decommission 3 --dead             its host is gone and will not come back
  ringmain cluster decommission 3 --dead --shrink    and there is no other node for some replicas"
)]
pub(in crate::cli) struct ClusterDecommissionArguments {
    /// The node to take out
    #[arg(value_name = "NODE")]
    pub(in crate::cli) node: i32,
    /// The node is down and will not come back
    #[arg(long)]
    pub(in crate::cli) dead: bool,
    /// Where no other node can take a replica, keep one fewer
    #[arg(long)]
    pub(in crate::cli) shrink: bool,
    #[command(flatten)]
    pub(in crate::cli) moves: MoveArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Start the new node first: a number of its own, its own certificate ('ringmain cert node --node-id NEW'), the same
cluster.voters as the others. Then this command gives it every replica of the old one, and takes that one out. If the old
one runs, it says when to stop it. It can be interrupted: run it again and it takes up what is left.

A host that comes back with its number and an empty disk needs no command: start it, and it fills up by itself.

Examples:
  ringmain cluster replace 3 4                       node 3 is dead, node 4 takes its place
  ringmain cluster replace 3 4 --dry-run"
)]
pub(in crate::cli) struct ClusterReplaceArguments {
    /// The node that goes
    #[arg(value_name = "OLD")]
    pub(in crate::cli) old: i32,
    /// The node that takes its place
    #[arg(value_name = "NEW")]
    pub(in crate::cli) new: i32,
    #[command(flatten)]
    pub(in crate::cli) moves: MoveArguments,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClusterLeadersCommand {
    /// Give leadership back to the first replica of each partition, where that is in sync
    Balance(ClusterBalanceArguments),
    /// Let a replica lead that is not in sync: what it misses is lost
    Force(ClusterForceArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Nodes do this by themselves after a while; this does it now.

Examples:
  ringmain cluster leaders balance
  ringmain cluster leaders balance --topic orders --dry-run")]
pub(in crate::cli) struct ClusterBalanceArguments {
    /// Only partitions of this topic; can be repeated
    #[arg(long, short, value_name = "NAME")]
    pub(in crate::cli) topic: Vec<String>,
    /// Only show what would be done
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The last resort for a partition without a leader, when the nodes that have everything will not come back.
'ringmain cluster partitions --leaderless' shows which they are. Start them instead if there is any way to.

Examples:
  ringmain cluster leaders force --topic orders --partition 3 --dry-run
  ringmain cluster leaders force --topic orders --partition 3 --accept-loss"
)]
pub(in crate::cli) struct ClusterForceArguments {
    /// The topic
    #[arg(long, short, value_name = "NAME")]
    pub(in crate::cli) topic: String,
    /// The partition
    #[arg(long, short, value_name = "N")]
    pub(in crate::cli) partition: i32,
    /// Records that only the missing nodes have may be lost
    #[arg(long, required_unless_present = "dry_run")]
    pub(in crate::cli) accept_loss: bool,
    /// Only show what would be done
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "The file is that of kafka-reassign-partitions:
  {\"version\": 1, \"partitions\": [{\"topic\": \"orders\", \"partition\": 0, \"replicas\": [1, 2, 3]}]}

Examples:
  ringmain cluster reassign                                      the moves under way
  ringmain cluster reassign --topic orders --partition 0 --replicas 2,3,1
  ringmain cluster reassign --file moves.json --dry-run
  ringmain cluster reassign --topic orders --partition 0 --cancel
  ringmain cluster reassign --cancel                             all that are under way")]
pub(in crate::cli) struct ClusterReassignArguments {
    /// The topic of the partition that moves
    #[arg(long, short, value_name = "NAME", requires = "partition", conflicts_with = "file")]
    pub(in crate::cli) topic: Option<String>,
    /// The partition that moves
    #[arg(long, short, value_name = "N", requires = "topic")]
    pub(in crate::cli) partition: Option<i32>,
    /// Where its replicas shall be, the preferred leader first
    #[arg(
        long,
        value_name = "NODE,..",
        value_delimiter = ',',
        requires = "topic",
        conflicts_with = "cancel"
    )]
    pub(in crate::cli) replicas: Vec<i32>,
    /// Moves in Kafka's JSON; '-' is standard input
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Stop moves and go back to where the replicas were
    #[arg(long)]
    pub(in crate::cli) cancel: bool,
    /// Start the moves and do not wait for them
    #[arg(long)]
    pub(in crate::cli) no_wait: bool,
    #[command(flatten)]
    pub(in crate::cli) moves: MoveArguments,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_milliseconds(text).map(Duration::from_millis)
}

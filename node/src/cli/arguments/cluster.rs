//! The arguments of the `cluster` commands.

use clap::{Args, Subcommand};

use super::{ClusterArguments, WatchArguments};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClusterCommand {
    /// Say whether everything is well, and if not, what is wrong and what to do
    Status(ClusterStatusArguments),
    /// Show the nodes: who is there, what each leads and keeps
    Nodes(ClusterNodesArguments),
    /// Show where partitions are: leader, in sync, eligible, how far behind
    Partitions(ClusterPartitionsArguments),
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
    after_help = "BEHIND is how many records each follower is behind what is in sync, by node; '?' when a node does not answer.
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

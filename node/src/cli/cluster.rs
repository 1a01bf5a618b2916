//! The `cluster` commands: how the cluster is, who leads, where replicas are, and nodes that come and go.
//!
//! An ordinary client of any cluster that speaks the protocol. What must hold: a command that changes something shows the
//! same plan with `--dry-run`, can be interrupted, and takes up what is left when it is run again.

mod balance;
mod decommission;
mod drain;
mod health;
mod image;
mod moving;
mod nodes;
mod partitions;
mod reassign;
mod snapshot;
mod status;

use std::time::Duration;

use super::arguments::{ClusterArguments, ClusterCommand, ClusterLeadersCommand};
use super::failure::Failure;
use crate::client::{Client, ClientError, TopicPartition};
use crate::config::HostPort;

/// Partitions that a line of text names; more would hide what it says.
const NAMED_MAX: usize = 5;

/// Does what a `cluster` command says.
pub(super) fn run(command: ClusterCommand) -> Result<(), Failure> {
    match command {
        ClusterCommand::Status(arguments) => status::status(&arguments),
        ClusterCommand::Nodes(arguments) => nodes::nodes(&arguments),
        ClusterCommand::Partitions(arguments) => partitions::partitions(&arguments),
        ClusterCommand::Drain(arguments) => drain::drain(&arguments),
        ClusterCommand::Decommission(arguments) => decommission::decommission(&arguments),
        ClusterCommand::Replace(arguments) => decommission::replace(&arguments),
        ClusterCommand::Leaders(ClusterLeadersCommand::Balance(arguments)) => balance::balance(&arguments),
        ClusterCommand::Leaders(ClusterLeadersCommand::Force(arguments)) => balance::force(&arguments),
        ClusterCommand::Reassign(arguments) => reassign::reassign(&arguments),
    }
}

/// What `cluster status --json` prints, asked of one broker.
pub(super) fn status_json(broker: &HostPort, timeout: Duration) -> Result<serde_json::Value, Failure> {
    let mut client = Client::new(&[broker.to_string()], timeout)?;
    Ok(status::as_json(&snapshot::Snapshot::gather(&mut client)?))
}

fn client(arguments: &ClusterArguments) -> Result<Client, ClientError> {
    Client::new(&arguments.brokers, Duration::from_secs(arguments.timeout))
}

/// `orders-0, orders-1 and 7 more`.
fn named<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let names: Vec<String> = partitions.into_iter().map(ToString::to_string).collect();
    let shown = names[..names.len().min(NAMED_MAX)].join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1,2,3`, or a dash.
fn numbers(nodes: &[i32]) -> String {
    if nodes.is_empty() {
        return "-".to_owned();
    }
    nodes.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// A count with its noun: `1 partition`, `2 partitions`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests;

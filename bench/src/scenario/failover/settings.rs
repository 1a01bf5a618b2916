//! What to kill, how often, and what runs meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::scenario::options::{Driver, Size};

/// How a leader is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// kill -9, and started again afterwards: its connections are reset.
    Kill,
    /// Stopped, and continued afterwards: it is silent, as behind a cut cable.
    Freeze,
}

/// What to kill, how often, and what runs meanwhile.
#[derive(Debug, Clone, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct FailoverSettings {
    /// A file with a line "node ID pid PID kafka HOST:PORT" for each node of the cluster, as
    /// `bench/cluster.sh` and `ringmain dev --nodes 3` print them.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(super) nodes: PathBuf,
    /// Command that starts a node that was killed, {node} stands for its id; it prints the node's line
    /// and ends once the node is started.
    #[arg(long, value_name = "COMMAND", required_if_eq("how", "kill"))]
    #[serde(skip)]
    pub(super) restart: Option<String>,
    /// How a leader is taken away.
    #[arg(long, value_enum, default_value = "kill")]
    pub(super) how: How,
    /// How often. Leaders that are not the controller, and leaders that are, take turns.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) kills: u32,
    /// The producer: our own, which asks for the new leader at once and all the time, or librdkafka as its
    /// users have it.
    #[arg(long, value_enum, default_value = "wire")]
    pub(super) driver: Driver,
    /// Records a second, sent on a schedule whatever the cluster does.
    #[arg(long, default_value_t = 1000.0)]
    pub(super) rate: f64,
    /// Size of a record's value.
    #[arg(long, value_name = "SIZE", default_value = "100")]
    pub(super) record_size: Size,
    /// Partitions of the topic; each kill is of the leader of one of them.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) partitions: u32,
    /// Replicas of each.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i16).range(2..=100))]
    pub(super) replication_factor: i16,
    /// Seconds before a kill, and up to as many again at random, so that kills fall anywhere between
    /// the cluster's own clocks.
    #[arg(long, default_value_t = 2.0)]
    pub(super) seconds_before: f64,
    /// Seconds behind the first acknowledgement of the new leader that count to the kill.
    #[arg(long, default_value_t = 2.0)]
    pub(super) seconds_after: f64,
}

impl FailoverSettings {
    pub(super) fn before(&self) -> Duration {
        seconds(self.seconds_before)
    }

    pub(super) fn after(&self) -> Duration {
        seconds(self.seconds_after)
    }

    /// A rate that a single connection can carry.
    pub(super) fn rate(&self) -> f64 {
        self.rate.clamp(1.0, 100_000.0)
    }
}

fn seconds(number: f64) -> Duration {
    Duration::from_secs_f64(if number.is_finite() { number.clamp(0.1, 600.0) } else { 1.0 })
}

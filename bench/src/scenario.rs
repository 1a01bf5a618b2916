//! What is measured: one file a scenario, each of which turns a broker into an outcome.
//!
//! A scenario verifies what it did (offsets, counts, checksums): a run in which anything went wrong
//! is an error and has no outcome. Topics that it created are deleted, also then.

mod cold_files;
mod connections;
mod consume;
pub(crate) mod disk;
mod end_to_end;
pub(crate) mod failover;
mod fan_out;
#[cfg(feature = "librdkafka")]
pub(crate) mod librdkafka;
mod many_partitions;
mod mixed;
pub(crate) mod options;
mod produce;
mod replicated;
mod session;
pub(crate) mod settings;
mod soak;
mod topic;
pub(crate) mod transport;

pub(crate) use consume::COLD_FROM_DEVICES;

use std::cell::Cell;
use std::io;
use std::time::Instant;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::context::broker::Terms;
use crate::context::disk::DeviceCounters;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::scenario::options::{Driver, ReadFrom};
use crate::scenario::settings::Settings;
use crate::target::Target;

/// The scenarios that measure a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Send the same encoded batch as fast as the broker answers, or at a rate.
    Produce,
    /// As produce, to a cluster: acknowledged by all replicas, at the cost of all nodes.
    Replicated,
    /// Produce on a schedule and consume at once: the time from one to the other.
    EndToEnd,
    /// Read a topic from its start to its end: from memory, from disk, or while it is produced.
    Consume,
    /// Producers alone, then beside readers that fetch an older topic from disk.
    Mixed,
    /// Several consumers, each of which gets every record while it is produced.
    FanOut,
    /// The same bytes to one partition, then over many.
    ManyPartitions,
    /// Many connections that idle, beside producers.
    Connections,
    /// A steady load for long, and what drifts meanwhile.
    Soak,
}

impl Kind {
    /// As the command line names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Replicated => "replicated",
            Self::EndToEnd => "end-to-end",
            Self::Consume => "consume",
            Self::Mixed => "mixed",
            Self::FanOut => "fan-out",
            Self::ManyPartitions => "many-partitions",
            Self::Connections => "connections",
            Self::Soak => "soak",
        }
    }
}

/// A scenario and its settings.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) kind: Kind,
    pub(crate) settings: Settings,
}

impl Scenario {
    /// What its acknowledgements are worth, and how its topic is configured, depends on these.
    pub(crate) fn terms(&self) -> Terms<'_> {
        let settings = &self.settings;
        // What a consumer reads from a topic of its own was produced before the measurement.
        let only_reads = self.kind == Kind::Consume && settings.from != ReadFrom::Tail;
        Terms {
            acks: (!only_reads).then_some(settings.acks.on_wire()),
            topic: settings.topic.as_deref(),
            configs: &settings.configs,
        }
    }
}

/// What all runs of one invocation share.
#[derive(Debug)]
pub(crate) struct Context {
    /// Processors of this machine.
    pub(crate) processor_count: usize,
    /// Told where a run stands.
    pub(crate) progress: Progress,
    topics: Cell<u64>,
}

impl Context {
    /// Nothing has run yet.
    pub(crate) fn new(processor_count: usize, progress: Progress) -> Self {
        Self { processor_count, progress, topics: Cell::new(0) }
    }

    /// The name of a topic that nobody used before: brokers delete at their leisure.
    fn next_topic(&self) -> String {
        self.topics.set(self.topics.get() + 1);
        format!("ringmain-bench-{}-{}", std::process::id(), self.topics.get())
    }
}

/// Runs a scenario once against a broker. If that runs on this machine, what the disks did meanwhile is
/// added to what the scenario found.
pub(crate) fn run(scenario: &Scenario, target: &Target, context: &Context) -> io::Result<Outcome> {
    let run = match scenario.kind {
        Kind::Produce => produce::run,
        Kind::Replicated => replicated::run,
        Kind::EndToEnd => end_to_end::run,
        Kind::Consume => consume::run,
        Kind::Mixed => mixed::run,
        Kind::FanOut => fan_out::run,
        Kind::ManyPartitions => many_partitions::run,
        Kind::Connections => connections::run,
        Kind::Soak => soak::run,
    };
    let counters = || target.processes.first().and_then(|_| DeviceCounters::of_this_machine());
    let (began, before) = (Instant::now(), counters());
    let mut outcome = match scenario.settings.driver {
        Driver::Wire => run(target, &scenario.settings, context)?,
        Driver::Librdkafka => run_through_librdkafka(scenario, target, context)?,
    };
    if let (Some(before), Some(after)) = (before, counters()) {
        outcome.facts.extend(after.since(before).facts(began.elapsed().as_secs_f64()));
    }
    Ok(outcome)
}

#[cfg(feature = "librdkafka")]
fn run_through_librdkafka(scenario: &Scenario, target: &Target, context: &Context) -> io::Result<Outcome> {
    librdkafka::run(scenario.kind, target, &scenario.settings, context)
}

#[cfg(not(feature = "librdkafka"))]
fn run_through_librdkafka(_: &Scenario, _: &Target, _: &Context) -> io::Result<Outcome> {
    Err(without_librdkafka())
}

#[cfg(not(feature = "librdkafka"))]
fn without_librdkafka() -> io::Error {
    let words = "this program was built without librdkafka: cargo build --features librdkafka";
    io::Error::new(io::ErrorKind::Unsupported, words)
}

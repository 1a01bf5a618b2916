//! What is measured: one file a scenario, each of which turns a broker into an outcome.
//!
//! A scenario verifies what it did (offsets, counts): a run in which anything went wrong is an
//! error and has no outcome. Topics that it created are deleted, also then.

pub(crate) mod consume;
pub(crate) mod disk;
pub(crate) mod end_to_end;
pub(crate) mod produce;

use std::io;

use serde::Serialize;

use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::scenario::consume::ConsumeSettings;
use crate::scenario::disk::DiskSettings;
use crate::scenario::produce::ProduceSettings;
use crate::target::Target;

/// A scenario and its settings.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Send the same encoded batch as fast as the broker answers, or at a rate.
    Produce(ProduceSettings),
    /// Read a topic from its start to its end.
    Consume(ConsumeSettings),
    /// Produce on a schedule and consume at once.
    EndToEnd(ProduceSettings),
    /// Write and read files; no broker takes part.
    Disk(DiskSettings),
}

impl Scenario {
    /// As the command line names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Produce(_) => "produce",
            Self::Consume(_) => "consume",
            Self::EndToEnd(_) => "end-to-end",
            Self::Disk(_) => "disk",
        }
    }
}

/// What all runs of one invocation share.
#[derive(Debug)]
pub(crate) struct Context {
    /// Processors of this machine.
    pub(crate) processor_count: usize,
    /// What the names of this invocation's topics begin with.
    pub(crate) topic_prefix: String,
    /// Told where a run stands.
    pub(crate) progress: Progress,
}

/// Runs a scenario once against a broker.
pub(crate) fn run(scenario: &Scenario, target: &Target, context: &Context) -> io::Result<Outcome> {
    match scenario {
        Scenario::Produce(settings) => produce::run(target, settings, context),
        Scenario::Consume(settings) => consume::run(target, settings, context),
        Scenario::EndToEnd(settings) => end_to_end::run(target, settings, context),
        Scenario::Disk(settings) => disk::run(settings, context),
    }
}

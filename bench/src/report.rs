//! Reports: lines to read, or one line of JSON.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use crate::compare::{Comparison, Spread};
use crate::context::machine::{self, Machine};
use crate::measure::{Figures, Latency};
use crate::outcome::Outcome;
use crate::target::Target;

/// Everything that a report tells, in whatever form.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What was measured.
    pub(crate) scenario: &'static str,
    /// Its settings, as TOML.
    pub(crate) workload: String,
    /// How this program was called.
    pub(crate) command_line: String,
    /// What the caller wants to be kept.
    pub(crate) note: Option<String>,
    /// This program's version.
    pub(crate) version: &'static str,
    /// What was measured on.
    pub(crate) machine: Machine,
    /// The brokers.
    pub(crate) targets: Vec<TargetFacts>,
    /// What came of it.
    pub(crate) result: Result,
    /// Why it is not to be trusted; none if it is.
    pub(crate) doubts: Vec<String>,
}

/// What is known of a broker.
#[derive(Debug, Serialize)]
pub(crate) struct TargetFacts {
    #[serde(flatten)]
    pub(crate) target: Target,
    pub(crate) rss_bytes: Option<u64>,
}

/// Of one broker, or of several.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Result {
    Outcome(Outcome),
    Comparison(Comparison),
}

impl TargetFacts {
    /// Looks at a broker that is still running.
    pub(crate) fn of(target: &Target) -> io::Result<Self> {
        let rss_bytes = target.pid.map(machine::process_rss_bytes).transpose()?;
        Ok(Self { target: target.clone(), rss_bytes })
    }
}

impl Report {
    /// One line of JSON.
    pub(crate) fn to_json(&self) -> io::Result<String> {
        serde_json::to_string(self).map_err(io::Error::other)
    }

    /// Lines to read.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text).expect("a string takes everything");
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        let Machine { processor, processor_count, kernel, memory_bytes } = &self.machine;
        writeln!(text, "scenario    {}", self.scenario)?;
        writeln!(
            text,
            "machine     {processor_count} x {processor}, {} GiB, Linux {kernel}",
            memory_bytes >> 30
        )?;
        for line in self.workload.lines() {
            writeln!(text, "settings    {line}")?;
        }
        if let Some(note) = &self.note {
            writeln!(text, "note        {note}")?;
        }
        for TargetFacts { target, rss_bytes } in &self.targets {
            let rss = rss_bytes.map_or_else(String::new, |bytes| format!(", {} MiB RSS", bytes >> 20));
            writeln!(text, "broker      {} at {}{rss}", target.name, target.address)?;
        }
        match &self.result {
            Result::Outcome(outcome) => write_outcome(text, outcome)?,
            Result::Comparison(comparison) => write_comparison(text, comparison)?,
        }
        self.doubts.iter().try_for_each(|doubt| writeln!(text, "DOUBT       {doubt}"))
    }
}

fn write_outcome(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    for phase in &outcome.phases {
        writeln!(text, "{}", phase.name)?;
        write_figures(text, &phase.figures)?;
        for latency in &phase.latencies {
            write_latency(text, latency.name, &latency.summary)?;
        }
    }
    for fact in &outcome.facts {
        writeln!(text, "{:<24} {:.3} {}", fact.name, fact.value, fact.unit)?;
    }
    Ok(())
}

fn write_figures(text: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(
        text,
        "throughput  {:.1} MB/s, {:.0} requests/s over {:.2} s",
        figures.megabytes_per_second, figures.requests_per_second, figures.seconds
    )?;
    if let Some(broker) = figures.broker {
        writeln!(
            text,
            "broker CPU  {:.3} s/GB ({:.3} s user, {:.3} s system), {:.2} us a request, {:.2} processors busy",
            broker.cpu_seconds_per_gigabyte,
            broker.user_seconds,
            broker.system_seconds,
            broker.cpu_microseconds_per_request,
            broker.busy_processors
        )?;
    }
    let client = figures.client;
    writeln!(
        text,
        "client CPU  {:.3} s/GB, {:.2} processors busy",
        client.cpu_seconds_per_gigabyte, client.busy_processors
    )?;
    let percent = |share: f64| share * 100.0;
    let others =
        figures.others_share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", percent(share)));
    writeln!(
        text,
        "others      {others} of the machine; its host took {:.1} %",
        percent(figures.stolen_share)
    )
}

fn write_latency(text: &mut String, name: &str, latency: &Latency) -> std::fmt::Result {
    writeln!(
        text,
        "{name:<15} p50 {:.0} us, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}, mean {:.0}",
        latency.p50, latency.p90, latency.p99, latency.p999, latency.max, latency.mean
    )
}

fn write_comparison(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let (counted, disturbed) = (comparison.rounds.len(), comparison.disturbed_rounds);
    writeln!(text, "rounds      {counted} counted, {disturbed} disturbed and repeated")?;
    let spread = |spread: Spread| format!("{:.3} ({:.3} to {:.3})", spread.median, spread.min, spread.max);
    for metric in &comparison.metrics {
        writeln!(text, "{} {}, {}; ratio to the first", metric.phase, metric.name, metric.unit)?;
        for target in &metric.targets {
            writeln!(text, "  {:<14} {:<32} {}", target.name, spread(target.value), spread(target.ratio))?;
        }
        writeln!(text, "  {:<14} {:<32} {}", "control", "", spread(metric.control))?;
    }
    Ok(())
}

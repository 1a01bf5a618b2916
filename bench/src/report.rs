//! Reports: lines to read, or one line of JSON.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use serde::Serialize;

use crate::compare::{Comparison, Ratios, Spread, Target};
use crate::context::machine::{self, Machine};
use crate::measure::{Figures, Latency};
use crate::scenario::consume::{ConsumeResult, ConsumeSettings};
use crate::scenario::end_to_end::EndToEndResult;
use crate::scenario::produce::{ProduceResult, ProduceSettings};

/// Above this share of a processor the client is likely what limits the run.
const CLIENT_BUSY_MAX: f64 = 0.9;
/// Above this share of the machine others make a run doubtful.
const OTHERS_SHARE_MAX: f64 = 0.1;

/// What every report begins with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Heading {
    scenario: &'static str,
    version: &'static str,
    machine: Machine,
    note: Option<String>,
    broker_rss_bytes: Option<u64>,
}

impl Heading {
    /// The heading of a scenario that has just run against the broker.
    pub(crate) fn new(
        scenario: &'static str,
        note: Option<String>,
        broker_pid: Option<u32>,
    ) -> io::Result<Self> {
        Ok(Self {
            scenario,
            version: env!("CARGO_PKG_VERSION"),
            machine: machine::machine()?,
            note,
            broker_rss_bytes: broker_pid.map(machine::process_rss_bytes).transpose()?,
        })
    }
}

/// A report in both forms.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Report<'a> {
    /// Of `produce` and `self`.
    Produce {
        #[serde(flatten)]
        heading: Heading,
        settings: &'a ProduceSettings,
        result: &'a ProduceResult,
    },
    /// Of `consume`.
    Consume {
        #[serde(flatten)]
        heading: Heading,
        settings: &'a ConsumeSettings,
        result: &'a ConsumeResult,
    },
    /// Of `end-to-end`.
    EndToEnd {
        #[serde(flatten)]
        heading: Heading,
        settings: &'a ProduceSettings,
        result: &'a EndToEndResult,
    },
    /// Of `compare`.
    Compare {
        #[serde(flatten)]
        heading: Heading,
        settings: &'a ProduceSettings,
        targets: &'a [Target],
        result: &'a Comparison,
    },
}

impl Report<'_> {
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
        match self {
            Self::Produce { heading, settings, result } => {
                write_heading(text, heading)?;
                write_load(text, settings)?;
                writeln!(
                    text,
                    "request     {} record(s), {} B of batch",
                    result.records_per_request, result.batch_bytes
                )?;
                write_figures(text, &result.figures)?;
                write_latency(text, "ack latency", result.acknowledgement_us)
            }
            Self::Consume { heading, settings, result } => {
                write_heading(text, heading)?;
                writeln!(
                    text,
                    "load        {} connection(s), {} pass(es)",
                    settings.connections, settings.passes
                )?;
                write_figures(text, &result.figures)?;
                write_latency(text, "response", result.response_us)
            }
            Self::EndToEnd { heading, settings, result } => {
                write_heading(text, heading)?;
                write_load(text, settings)?;
                write_figures(text, &result.figures)?;
                write_latency(text, "ack latency", result.acknowledgement_us)?;
                write_latency(text, "end to end", result.end_to_end_us)
            }
            Self::Compare { heading, settings, targets, result } => {
                write_heading(text, heading)?;
                write_load(text, settings)?;
                write_comparison(text, targets, result)
            }
        }
    }
}

fn write_heading(text: &mut String, heading: &Heading) -> std::fmt::Result {
    let Machine { processor, processor_count, kernel, memory_bytes } = &heading.machine;
    writeln!(text, "scenario    {}", heading.scenario)?;
    writeln!(
        text,
        "machine     {processor_count} x {processor}, {} GiB, Linux {kernel}",
        memory_bytes >> 30
    )?;
    if let Some(note) = &heading.note {
        writeln!(text, "note        {note}")?;
    }
    if let Some(bytes) = heading.broker_rss_bytes {
        writeln!(text, "broker RSS  {} MiB", bytes >> 20)?;
    }
    Ok(())
}

fn write_load(text: &mut String, settings: &ProduceSettings) -> std::fmt::Result {
    let acks = if settings.acks == -1 { "all".to_owned() } else { settings.acks.to_string() };
    let pace = settings.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate} requests/s"));
    writeln!(
        text,
        "load        acks={acks}, {} connection(s) x {} in flight, {} partition(s), {pace}",
        settings.connections, settings.in_flight, settings.partitions
    )?;
    for (name, value) in &settings.configs {
        writeln!(text, "config      {name}={value}")?;
    }
    Ok(())
}

fn write_figures(text: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(
        text,
        "throughput  {:.1} MB/s, {:.0} requests/s, {:.0} records/s over {:.2} s",
        figures.megabytes_per_second,
        figures.requests_per_second,
        rate(figures.records, figures.seconds),
        figures.seconds
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
    if client.busy_processors > CLIENT_BUSY_MAX {
        writeln!(text, "WARNING     the client was busy all the time: it may be what limited the run")?;
    }
    let percent = |share: f64| share * 100.0;
    let others =
        figures.others_share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", percent(share)));
    writeln!(
        text,
        "others      {others} of the machine; its host took {:.1} %",
        percent(figures.stolen_share)
    )?;
    if figures.others_share.is_some_and(|share| share > OTHERS_SHARE_MAX) {
        writeln!(text, "WARNING     others used the machine: repeat this run")?;
    }
    Ok(())
}

fn write_latency(text: &mut String, name: &str, latency: Option<Latency>) -> std::fmt::Result {
    let Some(latency) = latency else { return Ok(()) };
    writeln!(
        text,
        "{name:<11} p50 {:.0} us, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}, mean {:.0}",
        latency.p50, latency.p90, latency.p99, latency.p999, latency.max, latency.mean
    )
}

fn write_comparison(text: &mut String, targets: &[Target], comparison: &Comparison) -> std::fmt::Result {
    let (counted, disturbed) = (comparison.rounds.len(), comparison.disturbed_rounds);
    writeln!(text, "rounds      {counted} counted, {disturbed} disturbed and repeated")?;
    for (index, target) in targets.iter().enumerate() {
        let runs = || comparison.rounds.iter().map(|round| &round.results[index].figures);
        let throughput = runs().map(|run| run.megabytes_per_second).fold(0.0, f64::max);
        let requests = runs().map(|run| run.requests_per_second).fold(0.0, f64::max);
        let costs = runs().filter_map(|run| run.broker.map(|broker| broker.cpu_seconds_per_gigabyte));
        let cost = costs.reduce(f64::min).map_or_else(|| "-".to_owned(), |cost| format!("{cost:.3}"));
        write!(
            text,
            "{:<11} best {throughput:.0} MB/s, {requests:.0} requests/s, {cost} CPU-s/GB",
            target.name
        )?;
        for (name, value) in &target.configs {
            write!(text, ", {name}={value}")?;
        }
        writeln!(text)?;
    }
    writeln!(text, "ratios to {} (median, min to max)", targets[0].name)?;
    for (target, ratios) in targets[1..].iter().zip(&comparison.against_baseline) {
        write_ratios(text, &target.name, ratios)?;
    }
    write_ratios(text, "control", &comparison.control)?;
    if !comparison.is_valid {
        writeln!(text, "NO RESULT   the baseline differs from itself by more than a tenth")?;
    }
    Ok(())
}

fn write_ratios(text: &mut String, name: &str, ratios: &Ratios) -> std::fmt::Result {
    let spread = |spread: Spread| format!("{:.2} ({:.2} to {:.2})", spread.median, spread.min, spread.max);
    let cpu = ratios.cpu.map_or_else(|| "-".to_owned(), spread);
    writeln!(text, "{name:<11} throughput {}, CPU {cpu}", spread(ratios.throughput))
}

fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// Durations are reported in seconds.
pub(crate) fn as_seconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

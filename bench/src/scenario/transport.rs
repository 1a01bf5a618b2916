//! Scenario `transport`: frames between two ends on this machine, by the nodes' QUIC and by plain TCP. No broker takes part.
//!
//! Each end has a thread on a processor of its own. "bulk" sends frames one after the other; "echo" sends one and waits for its
//! answer. CPU is that of both ends together, the kernel's work for their calls included.
//!
//! What must hold: everything that was sent arrived, counted by the other end, or the run has no result. The path is warm:
//! what is measured begins when QUIC has found its datagram size.

mod quic;
mod settings;
mod tcp;

use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::measure::{Figures, Sample, Work, latency_histogram, nanoseconds};
use crate::outcome::{NamedLatency, Outcome, Phase};
use crate::processes::Processes;
use crate::scenario::Context;

use self::settings::Link;
pub(crate) use self::settings::TransportSettings;

/// Time before each measurement: QUIC's search for the datagram size and the growth of windows need some of it.
const WARM_UP: Duration = Duration::from_millis(500);

/// First byte of a frame: that it is to be counted, or answered.
const COUNT: u8 = 0;
const ANSWER: u8 = 1;

/// What one row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bulk,
    Echo,
}

/// What a row gave.
struct Measured {
    start: Sample,
    end: Sample,
    work: Work,
    latencies: Histogram<u64>,
}

/// The clocks of a row: warm first, then measured.
struct Stopwatch {
    warm_at: Instant,
    end_at: Instant,
    start: Option<Sample>,
}

impl Stopwatch {
    fn begin(duration: Duration) -> Self {
        let warm_at = Instant::now() + WARM_UP;
        Self { warm_at, end_at: warm_at + duration, start: None }
    }

    /// Whether what is done now counts; `None`: the row is over.
    fn counts(&mut self, now: Instant) -> io::Result<Option<bool>> {
        if now >= self.end_at {
            return Ok(None);
        }
        if self.start.is_none() && now >= self.warm_at {
            self.start = Some(Sample::begin(&Processes::default())?);
        }
        Ok(Some(self.start.is_some()))
    }

    fn finish(self, work: Work, latencies: Histogram<u64>) -> io::Result<Measured> {
        let end = Sample::end(&Processes::default())?;
        let start = self.start.ok_or_else(|| io::Error::other("the row was over before it was warm"))?;
        Ok(Measured { start, end, work, latencies })
    }
}

/// A frame that differs from others in its first bytes.
fn frame(length: usize, purpose: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|at| (at * 131 % 251) as u8).collect();
    bytes[0] = purpose;
    bytes
}

/// Measures all rows.
pub(crate) fn run(settings: &TransportSettings, context: &Context) -> io::Result<Outcome> {
    let mut phases = Vec::new();
    let certificates = quic::Certificates::make()?;
    for kind in [Kind::Bulk, Kind::Echo] {
        for link in &settings.links {
            let sizes = if *link == Link::Quic { settings.datagram_bytes.as_slice() } else { &[0] };
            for &size in sizes {
                let what = if kind == Kind::Bulk { "bulk" } else { "echo" };
                let name = match link {
                    Link::Tcp => format!("{what} tcp"),
                    Link::Quic => format!("{what} quic {size}"),
                };
                context.progress.tick(Instant::now(), || name.clone());
                let measured = match link {
                    Link::Tcp => tcp::measure(kind, settings)?,
                    Link::Quic => quic::measure(kind, settings, size, &certificates)?,
                };
                let figures =
                    Figures::new(measured.work, &measured.start, &measured.end, context.processor_count);
                phases.push(Phase {
                    name: name.into(),
                    figures,
                    latencies: NamedLatency::of("answer", &measured.latencies).into_iter().collect(),
                    timeline: Vec::new(),
                });
            }
        }
    }
    Ok(Outcome { phases, facts: Vec::new() })
}

/// The rows as one table.
pub(crate) fn table(outcome: &Outcome) -> String {
    let mut text = format!(
        "{:16}  {:>8}  {:>8}  {:>12}  {:>12}  {:>8}  {:>8}\n",
        "", "MB/s", "1/s", "CPU-s a GB", "CPU us each", "p50 us", "p99 us"
    );
    for phase in &outcome.phases {
        let figures = &phase.figures;
        let cpu_each =
            figures.client.busy_processors * figures.seconds * 1e6 / figures.requests.max(1) as f64;
        let latency = phase.latencies.first().map(|latency| latency.summary);
        let microseconds = |of: fn(&crate::measure::Latency) -> f64| {
            latency.as_ref().map_or_else(|| "-".to_owned(), |latency| format!("{:.0}", of(latency)))
        };
        writeln!(
            text,
            "{:16}  {:>8.0}  {:>8.0}  {:>12.2}  {:>12.1}  {:>8}  {:>8}",
            phase.name,
            figures.megabytes_per_second,
            figures.requests_per_second,
            figures.client.cpu_seconds_per_gigabyte,
            cpu_each,
            microseconds(|latency| latency.p50),
            microseconds(|latency| latency.p99),
        )
        .expect("a string takes everything");
    }
    text
}

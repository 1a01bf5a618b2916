//! The rows as one table: a report with a block of lines for each would hide what is to be compared.

use std::fmt::{self, Write};

use crate::outcome::{Outcome, Phase};

/// Columns behind the row's name.
const HEADINGS: [&str; 6] = ["MB/s", "1/s", "p50 us", "p99 us", "max us", "CPU us each"];
/// Room for a figure.
const FIGURE_WIDTH: usize = 11;

/// The table.
pub(crate) fn table(outcome: &Outcome) -> String {
    let mut text = String::new();
    write_table(&mut text, outcome).expect("a string takes everything");
    text
}

fn write_table(out: &mut String, outcome: &Outcome) -> fmt::Result {
    let name_width = outcome.phases.iter().map(|phase| phase.name.len()).max().unwrap_or(0);
    write!(out, "{:name_width$}", "")?;
    for heading in HEADINGS {
        write!(out, "  {heading:>FIGURE_WIDTH$}")?;
    }
    writeln!(out)?;
    for phase in &outcome.phases {
        write!(out, "{:name_width$}", phase.name)?;
        for figure in figures(phase) {
            write!(out, "  {figure:>FIGURE_WIDTH$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn figures(phase: &Phase) -> [String; HEADINGS.len()] {
    let figures = &phase.figures;
    let cpu = figures.client.busy_processors * figures.seconds * 1e6 / figures.requests.max(1) as f64;
    let latency = phase.latencies.first().map(|latency| latency.summary);
    let microseconds = |of: fn(&crate::measure::Latency) -> f64| {
        latency.as_ref().map_or_else(|| "-".into(), |latency| format!("{:.0}", of(latency)))
    };
    [
        format!("{:.0}", figures.megabytes_per_second),
        format!("{:.0}", figures.requests_per_second),
        microseconds(|latency| latency.p50),
        microseconds(|latency| latency.p99),
        microseconds(|latency| latency.max),
        format!("{cpu:.1}"),
    ]
}

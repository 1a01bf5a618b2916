//! The page's plots: which numbers of a report go into which picture.

use super::section;
use super::tables::in_words;
use crate::compare::Spread;
use crate::outcome::{Better, Interval, NamedLatency, Phase};
use crate::report::Report;
use crate::report::columns::{Column, Row, round_starts};
use crate::report::numbers::microseconds;
use crate::report::plot::axis::{Axis, Scale, Unit};
use crate::report::plot::lanes::{self, Bar, Dots};
use crate::report::plot::lines::{self, Curve};
use crate::report::plot::{escape, legend_sample};
use crate::report::verdict::direction;

/// With more phases than these (the rows of `disk`) each is a bar rather than a section of its own.
const PHASES_MAX: usize = 4;
/// Of requests above this size the throughput says what their number would say.
const LARGE_REQUEST_BYTES: u64 = 16 << 10;
/// Points of a curve of percentiles for each tenfold of the tail.
const POINTS_PER_NINE: usize = 12;
/// Beyond this many samples above it, a percentile is drawn.
const SAMPLES_ABOVE_MIN: f64 = 1.0;

/// The paired ratios of a comparison, with the control beside them.
pub(super) fn ratios(report: &Report) -> String {
    let columns = report.columns();
    let Some((control, baseline)) = report.control().zip(columns.first()) else { return String::new() };
    let figures: String = report
        .rows()
        .iter()
        .filter(|row| row.better != Better::Neither)
        .map(|row| ratio_figure(row, &columns, &control, baseline))
        .collect();
    let lead = format!(
        "<p>Each mark is one round: the target's number divided by that of {} in the same round, on a log axis. The \
         upright stroke is the median. The shaded band is how far {} lies from itself (the control, hollow marks): \
         a ratio within it says nothing.</p>\n",
        escape(baseline.name),
        escape(baseline.name)
    );
    section("ratios", "Paired ratios", &if figures.is_empty() { figures } else { lead + &grid(&figures) })
}

fn ratio_figure(row: &Row, columns: &[Column<'_>], control: &Column<'_>, baseline: &Column<'_>) -> String {
    let lane = |style, name: &str, column: &Column<'_>| {
        let values = column.ratios(baseline, row);
        let spread = Spread::of(values.clone())?;
        Some(Dots {
            style,
            name: name.to_owned(),
            words: in_words(Some(spread)),
            values,
            median: spread.median,
        })
    };
    let mut lanes: Vec<Dots> = columns
        .iter()
        .enumerate()
        .skip(1)
        .filter_map(|(style, column)| lane(Some(style), column.name, column))
        .collect();
    if lanes.is_empty() {
        return String::new();
    }
    let name = format!("control: {} again", baseline.name);
    let steady = Spread::of(control.ratios(baseline, row)).map(|spread| (spread.min, spread.max));
    lanes.extend(lane(None, &name, control));
    let values: Vec<f64> = lanes.iter().flat_map(|lane| lane.values.clone()).collect();
    let axis = Axis::new("ratio", Scale::ratios(values.iter().copied()), Unit::Number);
    let is_only_phase = columns.iter().all(|column| column.outcomes.iter().all(|run| run.phases.len() < 2));
    let title = if is_only_phase || row.phase.is_empty() {
        row.name.clone()
    } else {
        format!("{}: {}", row.phase, row.name)
    };
    let drawn = lanes::dots(&axis, &lanes, steady, &format!("ratios of {title}, one a round"));
    figure(&title, direction(row.better), "", &drawn)
}

/// What each phase looked like: latency, what it cost, and how it went over time.
pub(super) fn phases(report: &Report) -> String {
    let columns = report.columns();
    let mut sections = vec![costs(report, &columns)];
    let names = report.phases();
    if names.len() > PHASES_MAX {
        sections.push(phases_side_by_side(&names, &columns));
        return sections.concat();
    }
    for phase in names {
        let mut figures = String::new();
        for name in latency_names(&columns, &phase) {
            figures += &percentiles(&columns, &phase, &name);
        }
        let is_large =
            |phase: &&Phase| phase.figures.payload_bytes > phase.figures.requests * LARGE_REQUEST_BYTES;
        let all_large = columns.iter().all(|column| column.phase(&phase).iter().all(is_large));
        for series in SERIES.iter().filter(|series| !(all_large && series.counts_requests)) {
            figures += &over_time(&columns, &phase, series);
        }
        sections.push(section("plots", &format!("Phase: {phase}"), &grid_with_legend(&columns, &figures)));
    }
    sections.concat()
}

/// Many phases, a bar each.
fn phases_side_by_side(names: &[String], columns: &[Column<'_>]) -> String {
    type Value = fn(&Phase) -> Option<f64>;
    let numbers: [(&str, &str, &str, Unit, Value); 2] = [
        ("Throughput of each phase", "MB/s", "more is better", Unit::Number, |phase| {
            Some(phase.figures.megabytes_per_second)
        }),
        ("99th percentile of each phase", "p99", "less is better", Unit::Microseconds, |phase| {
            phase.latencies.first().map(|latency| latency.summary.p99)
        }),
    ];
    let mut figures = String::new();
    for (title, label, better, unit, value) in numbers {
        let mut bars = Vec::new();
        for name in names {
            for (style, column) in columns.iter().enumerate() {
                let values: Option<Vec<f64>> = column.phase(name).iter().map(|phase| value(phase)).collect();
                let Some(spread) = values.and_then(Spread::of) else { continue };
                let lane = if columns.len() > 1 { format!("{name}, {}", column.name) } else { name.clone() };
                bars.push(Bar {
                    style,
                    name: lane,
                    words: if unit == Unit::Number {
                        in_words(Some(spread))
                    } else {
                        microseconds(spread.median)
                    },
                    parts: vec![spread.median],
                    range: (spread.min < spread.max).then_some((spread.min, spread.max)),
                });
            }
        }
        if !bars.is_empty() {
            let axis = Axis::new(label, Scale::from_zero(bars.iter().map(|bar| bar.parts[0])), unit);
            figures += &figure(title, better, "", &lanes::bars(&axis, &bars, title));
        }
    }
    section("plots", "The phases side by side", &grid(&figures))
}

fn latency_names(columns: &[Column<'_>], phase: &str) -> Vec<String> {
    let mut names = Vec::new();
    for column in columns {
        for latency in column.phase(phase).iter().flat_map(|phase| &phase.latencies) {
            if !names.contains(&latency.name.to_string()) {
                names.push(latency.name.to_string());
            }
        }
    }
    names
}

/// Latency over the quantile, where each nine has the same room.
fn percentiles(columns: &[Column<'_>], phase: &str, name: &str) -> String {
    let mut curves = Vec::new();
    for (style, column) in columns.iter().enumerate() {
        let rounds = column.latencies(phase, name);
        let each: Vec<Vec<(f64, f64)>> = rounds.iter().map(|latency| curve_points(latency)).collect();
        if each.len() > 1 {
            curves.push(Curve { style, pieces: vec![medians(&each)], is_faint: false });
        }
        let is_faint = each.len() > 1;
        curves.extend(each.into_iter().map(|points| Curve { style, pieces: vec![points], is_faint }));
    }
    let values: Vec<f64> =
        curves.iter().flat_map(|curve| curve.pieces.iter().flatten()).map(|point| point.1).collect();
    let quantiles = curves.iter().flat_map(|curve| curve.pieces.iter().flatten()).map(|point| point.0);
    let greatest = quantiles.fold(0.9, f64::max);
    if values.is_empty() {
        return String::new();
    }
    let across = Axis::new(
        "share of requests that were at least as fast",
        Scale::Tail { nines: -(1.0 - greatest).log10() },
        Unit::Number,
    );
    let up = Axis::new("latency", Scale::fitting(values.iter().copied()), Unit::Microseconds);
    let drawn = lines::draw(&across, &up, &curves, &[], &format!("percentiles of {name} latency"));
    let rounds = columns.iter().map(|column| column.latencies(phase, name).len()).max().unwrap_or(0);
    let how = if rounds > 1 { "thin: each round, thick: their median" } else { "" };
    figure(&format!("Latency: {name}"), "less is better", how, &drawn)
}

/// A latency at quantiles that lie evenly on the axis, as far as its samples reach.
fn curve_points(latency: &NamedLatency) -> Vec<(f64, f64)> {
    let nines = (latency.summary.samples as f64 / SAMPLES_ABOVE_MIN).log10().max(0.0);
    let steps = (nines * POINTS_PER_NINE as f64).floor() as usize;
    let quantile = |step: usize| 1.0 - 10_f64.powf(-(step as f64) / POINTS_PER_NINE as f64);
    let at = |quantile: f64| {
        let reaching = latency.percentiles.iter().find(|(reached, _)| *reached >= quantile - 1e-12);
        reaching.or(latency.percentiles.last()).map(|(_, microseconds)| (quantile, *microseconds))
    };
    (0..=steps).filter_map(|step| at(quantile(step))).collect()
}

/// The median of all rounds at each quantile that all of them reach.
fn medians(rounds: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let shortest = rounds.iter().map(Vec::len).min().unwrap_or(0);
    let at = |index: usize| {
        let values = rounds.iter().map(|points| points[index].1).collect();
        Some((rounds[0][index].0, Spread::of(values)?.median))
    };
    (0..shortest).filter_map(at).collect()
}

/// Something that is drawn over time.
struct Series {
    title: &'static str,
    label: &'static str,
    better: &'static str,
    unit: Unit,
    counts_requests: bool,
    value: fn(&Interval) -> Option<f64>,
}

const SERIES: [&Series; 5] = [
    &Series {
        title: "Throughput over time",
        label: "MB/s",
        better: "more is better",
        unit: Unit::Number,
        counts_requests: false,
        value: |interval| (interval.megabytes_per_second > 0.0).then_some(interval.megabytes_per_second),
    },
    &Series {
        title: "Requests over time",
        label: "requests/s",
        better: "more is better",
        unit: Unit::Number,
        counts_requests: true,
        value: |interval| Some(interval.requests_per_second),
    },
    &Series {
        title: "99th percentile over time",
        label: "p99 of a slice",
        better: "less is better",
        unit: Unit::Microseconds,
        counts_requests: false,
        value: |interval| interval.p99_us,
    },
    &Series {
        title: "Broker's processors over time",
        label: "processors busy",
        better: "",
        unit: Unit::Number,
        counts_requests: false,
        value: |interval| interval.broker_busy_processors,
    },
    &Series {
        title: "Broker's memory over time",
        label: "RSS, MiB",
        better: "less is better",
        unit: Unit::Number,
        counts_requests: false,
        value: |interval| interval.broker_rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)),
    },
];

fn over_time(columns: &[Column<'_>], phase: &str, series: &Series) -> String {
    let starts = round_starts(columns, phase);
    let curves: Vec<Curve> = columns
        .iter()
        .enumerate()
        .map(|(style, column)| Curve {
            style,
            pieces: column.over_time(phase, &starts, series.value),
            is_faint: false,
        })
        .collect();
    let values: Vec<f64> =
        curves.iter().flat_map(|curve| curve.pieces.iter().flatten()).map(|point| point.1).collect();
    if values.is_empty() {
        return String::new();
    }
    let end = starts.last().copied().unwrap_or(0.0);
    let scale = match series.unit {
        Unit::Microseconds => Scale::fitting(values.iter().copied()),
        Unit::Number => Scale::from_zero(values.iter().copied()),
    };
    let across = Axis::new(
        "seconds measured",
        Scale::Linear { min: 0.0, max: end.max(f64::MIN_POSITIVE) },
        Unit::Number,
    );
    let up = Axis::new(series.label, scale, series.unit);
    let between = starts.get(1..starts.len().saturating_sub(1)).unwrap_or_default();
    let how = if between.is_empty() { "" } else { "rounds one behind another" };
    figure(series.title, series.better, how, &lines::draw(&across, &up, &curves, between, series.title))
}

/// CPU that the work cost the broker, user and system time apart.
fn costs(report: &Report, columns: &[Column<'_>]) -> String {
    let mut per_gigabyte = Vec::new();
    let mut per_request = Vec::new();
    let phases = report.phases();
    for phase in &phases {
        for (style, column) in columns.iter().enumerate() {
            let name =
                if phases.len() > 1 { format!("{}, {phase}", column.name) } else { column.name.to_owned() };
            per_gigabyte.extend(cost_bar(style, &name, column, phase, |phase| {
                phase.figures.payload_bytes as f64 / 1e9
            }));
            per_request
                .extend(cost_bar(style, &name, column, phase, |phase| phase.figures.requests as f64 / 1e6));
        }
    }
    let mut figures = String::new();
    for (title, label, bars) in [
        ("Broker CPU for a gigabyte", "CPU-seconds/GB", per_gigabyte),
        ("Broker CPU for a request", "CPU-\u{b5}s/request", per_request),
    ] {
        let greatest =
            bars.iter().map(|bar: &Bar| bar.range.map_or(bar.parts.iter().sum(), |(_, greatest)| greatest));
        let greatest: Vec<f64> = greatest.collect();
        if !bars.is_empty() {
            let axis = Axis::new(label, Scale::from_zero(greatest.into_iter()), Unit::Number);
            let parts = "solid: user, faded: system; the stroke reaches from the least to the greatest round";
            figures += &figure(title, "less is better", parts, &lanes::bars(&axis, &bars, title));
        }
    }
    if figures.is_empty() {
        if report.heading.targets.is_empty() {
            return String::new();
        }
        figures = "<p>Not measured: the process of the broker was not given.</p>\n".to_owned();
        return section("plots", "What it cost the broker", &figures);
    }
    section("plots", "What it cost the broker", &grid(&figures))
}

/// The median round's cost for each `work` done; `None` if it is not known.
fn cost_bar(
    style: usize,
    name: &str,
    column: &Column<'_>,
    phase: &str,
    work: impl Fn(&Phase) -> f64,
) -> Option<Bar> {
    let cost = |phase: &&Phase| {
        let (broker, work) = (phase.figures.broker?, work(phase));
        (work > 0.0).then(|| (broker.user_seconds / work, broker.system_seconds / work))
    };
    let mut rounds = column.phase(phase).iter().map(cost).collect::<Option<Vec<_>>>()?;
    rounds.sort_by(|left, right| (left.0 + left.1).total_cmp(&(right.0 + right.1)));
    let totals = Spread::of(rounds.iter().map(|(user, system)| user + system).collect())?;
    // Parts are those of the round in the middle; the words say the median of the totals.
    let (user, system) = *rounds.get(rounds.len() / 2)?;
    Some(Bar {
        style,
        name: name.to_owned(),
        words: in_words(Some(totals)),
        parts: vec![user, system],
        range: (rounds.len() > 1).then_some((totals.min, totals.max)),
    })
}

fn figure(title: &str, better: &str, how: &str, drawn: &str) -> String {
    let aside: Vec<&str> = [better, how].into_iter().filter(|words| !words.is_empty()).collect();
    format!(
        "<figure>\n<figcaption>{}<small>{}</small></figcaption>\n{drawn}\n</figure>\n",
        escape(title),
        escape(&aside.join("; "))
    )
}

fn grid(figures: &str) -> String {
    format!("<div class=\"grid\">\n{figures}</div>\n")
}

fn grid_with_legend(columns: &[Column<'_>], figures: &str) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let entry = |(style, column): (usize, &Column<'_>)| {
        format!("<li>{}{}</li>\n", legend_sample(style), escape(column.name))
    };
    let entries: String = columns.iter().enumerate().map(entry).collect();
    format!("<ul class=\"legend\">\n{entries}</ul>\n{}", grid(figures))
}

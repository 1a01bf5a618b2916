//! The report as lines to read: what speaks against the result, what was measured on and against,
//! the numbers.

use std::fmt::{self, Write};

use super::columns::{Column, Row};
use super::numbers::{bytes, count, number, spread};
use super::verdict::{Verdict, direction};
use super::{Measured, Report};
use crate::compare::Spread;
use crate::context::broker::TargetFacts;
use crate::context::configuration::Setting;
use crate::context::disk::Disk;
use crate::measure::OthersSource;
use crate::outcome::{Better, Phase};

/// The greatest number of Kafka's widest type: the default of limits that are off.
const NEVER: &str = "9223372036854775807";
/// Width of what a line is about.
const LABEL_WIDTH: usize = 12;

/// The whole text.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    write_report(&mut text, report).expect("a string takes everything");
    text
}

fn write_report(text: &mut String, report: &Report) -> fmt::Result {
    let heading = &report.heading;
    let harness = &heading.harness;
    let commit = harness.commit.as_deref().map_or("commit unknown", |commit| &commit[..commit.len().min(12)]);
    let changed = if harness.is_dirty { ", changed" } else { "" };
    labelled(text, "scenario", heading.scenario)?;
    labelled(text, "began", &heading.started)?;
    labelled(text, "harness", &format!("ringmain-bench {} ({commit}{changed})", harness.version))?;
    if let Some(note) = &heading.note {
        labelled(text, "note", note)?;
    }
    labelled(text, "machine", &machine_line(report))?;
    heading.workload.lines().try_for_each(|line| labelled(text, "settings", line))?;
    for target in &heading.targets {
        write_target(text, target)?;
    }
    if let Measured::Comparison(comparison) = &report.measured {
        let (counted, disturbed) = (comparison.rounds.len(), comparison.disturbed_rounds);
        labelled(text, "rounds", &format!("{counted} counted, {disturbed} disturbed and repeated"))?;
    }
    report.notes.iter().try_for_each(|note| labelled(text, "note", note))?;
    writeln!(text)?;
    text.push_str(&aligned(&number_table(report)));
    writeln!(text)?;
    write_samples(text, report)?;
    grouped(&report.doubts).iter().try_for_each(|doubt| labelled(text, "DOUBT", doubt))?;
    if report.doubts.is_empty() {
        labelled(text, "doubts", "none that the harness looks for")?;
    }
    Ok(())
}

fn labelled(text: &mut String, label: &str, line: &str) -> fmt::Result {
    writeln!(text, "{label:<LABEL_WIDTH$}{line}")
}

/// The machine in a line.
pub(super) fn machine_line(report: &Report) -> String {
    let machine = &report.heading.machine;
    let under = machine.virtualisation.as_ref().map(|name| format!(", under {name}")).unwrap_or_default();
    let governor = machine.governor.as_ref().map(|name| format!(", governor {name}")).unwrap_or_default();
    format!(
        "{} x {}{governor}, {} of memory ({} available), Linux {}{under}",
        machine.processor_count,
        machine.processor,
        bytes(machine.memory_bytes),
        bytes(machine.memory_available_bytes),
        machine.kernel,
    )
}

fn write_target(text: &mut String, target: &TargetFacts) -> fmt::Result {
    labelled(text, "broker", &format!("{}: {} at {}", target.name, software_line(target), target.address))?;
    labelled(text, "", &target.durability.sentence)?;
    labelled(text, "", &format!("(from {})", target.durability.grounds))?;
    if let Some(line) = process_line(target) {
        labelled(text, "", &line)?;
    }
    if let Some(disk) = &target.disk {
        labelled(text, "", &disk_line(disk))?;
    }
    for (of, settings) in [("topic", &target.topic_configuration), ("broker", &target.broker_configuration)] {
        let set: Vec<String> = settings.iter().map(setting).collect();
        if !set.is_empty() {
            labelled(text, "", &format!("{of}: {}", set.join(", ")))?;
        }
    }
    target.unknown.iter().try_for_each(|unknown| labelled(text, "", &format!("unknown: {unknown}")))
}

/// Name, version and commit.
pub(super) fn software_line(target: &TargetFacts) -> String {
    let software = &target.software;
    let version = software.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let commit = software.commit.as_ref().map(|commit| format!(" ({commit})")).unwrap_or_default();
    format!("{}{version}{commit}", software.name)
}

/// Where and how its process runs, and its memory.
pub(super) fn process_line(target: &TargetFacts) -> Option<String> {
    let process = target.process.as_ref()?;
    let kinds = |kinds: &std::collections::BTreeMap<String, usize>| match kinds.len() {
        1 => kinds.keys().next().cloned().unwrap_or_default(),
        _ => kinds
            .iter()
            .map(|(kind, threads)| format!("{kind} ({threads} threads)"))
            .collect::<Vec<_>>()
            .join(" and "),
    };
    let after =
        target.rss_after_bytes.map(|rss| format!(" before, {} after", bytes(rss))).unwrap_or_default();
    let others = match &target.other_processes[..] {
        [] => String::new(),
        pids => format!(" (and {}, whose costs are added)", join(pids)),
    };
    Some(format!(
        "pid {}{others} on processors {}, {}, memory {}{after}",
        process.pid,
        kinds(&process.allowed_processors),
        kinds(&process.scheduling),
        bytes(process.rss_bytes)
    ))
}

/// Process ids as a list.
pub(super) fn join(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// What a data directory lies on.
pub(super) fn disk_line(disk: &Disk) -> String {
    let device = disk.device.as_ref().map(|device| {
        let part = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(", {name} {value}")).unwrap_or_default()
        };
        let (scheduler, cache) =
            (part("scheduler", &device.scheduler), part("write cache", &device.write_cache));
        format!(" on {}{scheduler}{cache}", device.name)
    });
    format!(
        "data in {}: {} ({}){}, {} of {} free",
        disk.path.display(),
        disk.filesystem,
        disk.mount_options,
        device.unwrap_or_default(),
        bytes(disk.free_bytes),
        bytes(disk.size_bytes)
    )
}

fn setting(setting: &Setting) -> String {
    format!("{}={}", setting.name, setting_value(setting))
}

/// Its value; the number by which Kafka writes "never" is said in words too.
pub(super) fn setting_value(setting: &Setting) -> String {
    match setting.value.as_deref() {
        None => "(not told)".to_owned(),
        Some(value) if value == NEVER => format!("{value} = never"),
        Some(value) => value.to_owned(),
    }
}

/// The numbers: a row each, with the ratio of each target to the first.
fn number_table(report: &Report) -> Vec<Vec<String>> {
    let columns = report.columns();
    let control = report.control();
    let mut head = vec![String::new(), "unit".to_owned()];
    for (index, column) in columns.iter().enumerate() {
        head.push(column.name.to_owned());
        if index > 0 {
            head.push(format!("ratio to {}", columns[0].name));
        }
    }
    if control.is_some() {
        head.push("control".to_owned());
    }
    head.push("better".to_owned());
    let mut table = vec![head];
    let mut phase = None;
    for row in report.rows() {
        if phase.as_ref() != Some(&row.phase) {
            phase = Some(row.phase.clone());
            let name = if row.phase.is_empty() { "whole run" } else { &row.phase };
            table.push(vec![format!("[{name}]")]);
        }
        table.push(number_row(&row, &columns, control.as_ref()));
    }
    table
}

fn number_row(row: &Row, columns: &[Column<'_>], control: Option<&Column<'_>>) -> Vec<String> {
    let shown = |value: Option<Spread>| value.map_or_else(String::new, spread);
    let ratio = |column: &Column<'_>| {
        // A number without a direction is a condition of the run, not a result to compare.
        let ratios = (row.better != Better::Neither).then(|| column.ratios(&columns[0], row));
        ratios.and_then(Spread::of)
    };
    let steady = control.and_then(ratio);
    let mut cells = vec![row.name.clone(), row.unit.clone()];
    for (index, column) in columns.iter().enumerate() {
        cells.push(shown(column.spread(row)));
        if index > 0 {
            let ratio = ratio(column);
            let verdict =
                ratio.zip(steady).map(|(ratio, steady)| Verdict::of(ratio, steady, row.better).words());
            let verdict = verdict.filter(|words| !words.is_empty()).map(|words| format!(" {words}"));
            cells.push(shown(ratio) + &verdict.unwrap_or_default());
        }
    }
    if control.is_some() {
        cells.push(shown(steady));
    }
    cells.push(direction(row.better).trim_end_matches(" is better").to_owned());
    cells
}

/// Columns of equal width; a row of one cell is a heading.
fn aligned(table: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let rows = table.iter().filter(|row| row.len() > 1);
        rows.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Doubts that differ only in their numbers, as one: what holds for one round mostly holds for more.
pub(super) fn grouped(doubts: &[String]) -> Vec<String> {
    let mut groups: Vec<(String, &String, usize)> = Vec::new();
    for doubt in doubts {
        let words: String = doubt.chars().filter(|character| !character.is_ascii_digit()).collect();
        match groups.iter_mut().find(|(known, _, _)| *known == words) {
            Some((_, _, count)) => *count += 1,
            None => groups.push((words, doubt, 1)),
        }
    }
    let told = |(_, doubt, count): (String, &String, usize)| match count {
        1 => doubt.clone(),
        _ => format!("{doubt} (the first of {count} alike)"),
    };
    groups.into_iter().map(told).collect()
}

/// What the numbers rest on.
fn write_samples(text: &mut String, report: &Report) -> fmt::Result {
    for column in report.columns() {
        for name in report.phases() {
            let phases = column.phase(&name);
            let seconds: f64 = phases.iter().map(|phase| phase.figures.seconds).sum();
            let requests = phases.iter().map(|phase| phase.figures.requests).sum();
            let samples =
                phases.iter().flat_map(|phase| phase.latencies.first()).map(|l| l.summary.samples).sum();
            let greatest =
                |share: &dyn Fn(&&Phase) -> Option<f64>| phases.iter().filter_map(share).reduce(f64::max);
            let percent = |share: Option<f64>| {
                share.map_or_else(|| "unknown".to_owned(), |share| format!("{} %", number(share * 100.0)))
            };
            let client = greatest(&|phase| Some(phase.figures.client.busy_processors));
            let is_seen = phases.iter().all(|phase| phase.figures.others_source == OthersSource::Processes);
            let sources = if is_seen { "by the time of all processes" } else { "by clock ticks" };
            writeln!(
                text,
                "{:<LABEL_WIDTH$}{}, {name}: {} requests in {} s over {} run(s), {} latencies; at most: client busy {}, \
                 others {} of the machine ({sources}), kernel's threads {}, stolen {}",
                "rests on",
                column.name,
                count(requests),
                number(seconds),
                phases.len(),
                count(samples),
                percent(client),
                percent(greatest(&|phase| phase.figures.others_share)),
                percent(greatest(&|phase| Some(phase.figures.kernel_share))),
                percent(greatest(&|phase| Some(phase.figures.stolen_share))),
            )?;
        }
    }
    Ok(())
}

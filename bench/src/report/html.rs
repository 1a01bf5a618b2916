//! The report as one HTML page: no script, no file beside it, no network.
//!
//! What must hold: every text that came from outside (names, configurations, command lines, a broker's
//! error messages) is escaped; the page's own policy forbids it to load anything.

mod base64;
mod brokers;
mod figures;
mod tables;

use self::base64::encode;

use super::plot::escape;
use super::text::{disk_line, grouped, machine_line};
use super::{Measured, Report};

/// Colours, layout, print.
const STYLE: &str = include_str!("html/style.css");

/// The whole page; `json` is the same report, to take away.
pub(super) fn render(report: &Report, json: &str) -> String {
    let heading = &report.heading;
    let names: Vec<&str> = report.columns().iter().map(|column| column.name).collect();
    let title = format!("{}: {}", heading.scenario, names.join(", "));
    let title = if heading.targets.is_empty() { heading.scenario.to_owned() } else { title };
    let sections = [
        header(report, &title),
        doubts(report),
        list("notes", "Know this before you read on", &report.notes),
        tables::results(report),
        figures::ratios(report),
        figures::phases(report),
        brokers::side_by_side(report),
        conditions(report),
        tables::rounds(report),
        method(report),
        take_away(json),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        escape(&title),
        sections.concat()
    )
}

/// A section with a heading; nothing if it is empty.
fn section(class: &str, title: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("<section class=\"{class}\">\n<h2>{}</h2>\n{body}</section>\n", escape(title))
}

/// A section that is a list; nothing if there are no lines.
fn list(class: &str, title: &str, lines: &[String]) -> String {
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    if items.is_empty() { items } else { section(class, title, &format!("<ul>\n{items}</ul>\n")) }
}

fn header(report: &Report, title: &str) -> String {
    let heading = &report.heading;
    let harness = &heading.harness;
    let commit = harness.commit.as_deref().unwrap_or("unknown");
    let changed = if harness.is_dirty { ", with changes" } else { "" };
    let note = heading.note.as_ref().map(|note| format!("<p class=\"note\">{}</p>\n", escape(note)));
    format!(
        "<header>\n<p class=\"kind\">Broker benchmark</p>\n<h1>{}</h1>\n\
         <p class=\"when\">{} &middot; ringmain-bench {}, commit <code>{}</code>{changed}<br>{}</p>\n{}</header>\n",
        escape(title),
        escape(&heading.started),
        escape(&harness.version),
        escape(&commit[..commit.len().min(12)]),
        escape(&machine_line(report)),
        note.unwrap_or_default()
    )
}

/// What speaks against the result stands before it.
fn doubts(report: &Report) -> String {
    if !report.doubts.is_empty() {
        return list("doubts bad", "What speaks against this result", &grouped(&report.doubts));
    }
    let looked_for = match &report.measured {
        Measured::Outcome(_) => {
            "The client was not the bottleneck, nothing else used the machine, both sides were pinned and \
             scheduled alike, and the log grew by what was sent. One run is no comparison, though."
        }
        Measured::Comparison(_) => {
            "In every round that counts the client was not the bottleneck, nothing else used the machine, both \
             sides were pinned and scheduled alike, the logs grew by what was sent, and the baseline agreed with \
             itself."
        }
    };
    section("doubts good", "No doubts that the harness looks for", &format!("<p>{looked_for}</p>\n"))
}

/// Machine, workload, and how to repeat it.
fn conditions(report: &Report) -> String {
    let heading = &report.heading;
    let machine = &heading.machine;
    let load = machine.load_average.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
    let rows = [
        ("Processors", format!("{} x {}", machine.processor_count, machine.processor)),
        ("Frequency governor", machine.governor.clone().unwrap_or_else(|| "not told".to_owned())),
        ("Hypervisor", machine.virtualisation.clone().unwrap_or_else(|| "none: bare metal".to_owned())),
        ("Memory", super::numbers::bytes(machine.memory_bytes)),
        ("Memory available before the run", super::numbers::bytes(machine.memory_available_bytes)),
        (
            "Gives free pages back to its host",
            if machine.reports_free_pages { "yes" } else { "no" }.to_owned(),
        ),
        ("Kernel", format!("Linux {}", machine.kernel)),
        ("Load average before the run", load),
    ];
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><th scope=\"row\">{name}</th><td>{}</td></tr>\n", escape(value)))
        .collect();
    let disk = heading.disk.as_ref().map(|disk| format!("<p>Measured: {}.</p>\n", escape(&disk_line(disk))));
    let disk = disk.unwrap_or_default();
    let command: Vec<String> = heading.command_line.iter().map(|word| quoted(word)).collect();
    let body = format!(
        "<h3>Machine</h3>\n<div class=\"wide\"><table class=\"facts\">\n{rows}</table></div>\n\
         {disk}<h3>Workload</h3>\n<pre>{}</pre>\n<h3>Command</h3>\n<pre class=\"wrap\">{}</pre>\n",
        escape(&heading.workload),
        escape(&command.join(" "))
    );
    section("conditions", "Conditions, and how to repeat it", &body)
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How each number came about.
fn method(report: &Report) -> String {
    let mut lines = vec![
        "Throughput counts the bytes of record batches; MB and GB are decimal, MiB and GiB binary.",
        "Broker CPU is user plus system time of all threads of its process, read from /proc at both ends of the \
         measurement, in steps of 10 ms. What the kernel does in threads of its own (write-back, completions) is in \
         no broker's figure; the table of what the numbers rest on shows it.",
        "Latencies are kept in a histogram of three digits. With a rate they count from the moment at which a \
         request was due, so a stall is seen by every request that it delays; without one, from handing the \
         request to the socket.",
        "Others are all that used the machine beside broker, client and the kernel's own threads, as a share of all its processors; stolen \
         is what the host took.",
        "Flushes and writes of all disks are the kernel's counters over the whole run, warm-up included: they show \
         whether a broker that says it flushes does, and whoever else wrote is in them.",
        "Durability is what the broker promises, derived from its software and its configuration; the harness does \
         not cut the power.",
    ];
    if matches!(report.measured, Measured::Comparison(_)) {
        lines.push(
            "Each round runs every target once and the first one again. A ratio is taken within its round; the \
             control is the first target's second run against its first. A target is called better or worse only \
             if none of its ratios lies within the control's range.",
        );
    }
    let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    list("method", "What was measured how", &lines)
}

/// The raw numbers, within the page.
fn take_away(json: &str) -> String {
    let body = format!(
        "<p><a class=\"button\" download=\"report.json\" href=\"data:application/json;base64,{}\">Save \
         report.json</a> Everything above in JSON (schema {}), with every latency percentile and every slice of time.</p>\n",
        encode(json.as_bytes()),
        super::SCHEMA
    );
    section("raw", "Raw data", &body)
}

#[cfg(test)]
mod tests;

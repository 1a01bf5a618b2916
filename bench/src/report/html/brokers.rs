//! The brokers side by side: what each is, what its acknowledgements are worth, how it is configured,
//! how it runs. Rows in which they differ are marked.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::section;
use crate::compare::Spread;
use crate::context::broker::TargetFacts;
use crate::context::configuration::Setting;
use crate::context::disk::{DEVICE_FLUSHES, DEVICE_WRITES, Disk};
use crate::context::process::Process;
use crate::outcome::Outcome;
use crate::report::Report;
use crate::report::columns::Column;
use crate::report::numbers::{bytes, number};
use crate::report::plot::escape;
use crate::report::text::{join, setting_value, software_line};

/// What stands in a cell where nothing is known.
const NOT_KNOWN: &str = "not known";

/// The section.
pub(super) fn side_by_side(report: &Report) -> String {
    let targets = &report.heading.targets;
    if targets.is_empty() {
        return String::new();
    }
    let mut table = Table { targets, body: String::new() };
    table.row("Software", software_line);
    table.row("Known from", |target| target.software.grounds.clone());
    table.row("Acknowledgement", |target| target.durability.sentence.clone());
    table.row("Derived from", |target| target.durability.grounds.clone());
    let columns = report.columns();
    table.row("Seen meanwhile", |target| {
        let column = columns.iter().find(|column| column.name == target.name);
        column.and_then(seen).unwrap_or_else(|| NOT_KNOWN.to_owned())
    });
    table.row("Address", |target| target.address.to_string());
    table.heading("Process");
    table.process("Command line", |process| process.command_line.join(" "));
    table.process("Program changed", |process| or_unknown(process.executable_modified.as_ref()));
    table.process("Threads", |process| process.scheduling.values().sum::<usize>().to_string());
    table.process("Processors it may run on", |process| kinds(&process.allowed_processors));
    table.process("Scheduling", |process| kinds(&process.scheduling));
    table.process("Limits of its control group", |process| match &process.limits[..] {
        [] => "none".to_owned(),
        limits => limits.join(", "),
    });
    table.row("Other nodes' processes, whose costs are added", |target| match &target.other_processes[..] {
        [] => "none".to_owned(),
        pids => join(pids),
    });
    table.process("Memory (RSS) before", |process| bytes(process.rss_bytes));
    table.row("Memory (RSS) after", |target| or_unknown(target.rss_after_bytes.map(bytes).as_ref()));
    table.heading("Disk");
    table.disk("Data directory", |disk| disk.path.display().to_string());
    table.disk("File system", |disk| format!("{} on {}", disk.filesystem, disk.mount_point));
    table.disk("Mount options", |disk| disk.mount_options.clone());
    table.disk("Device", device);
    table.disk("Free", |disk| format!("{} of {}", bytes(disk.free_bytes), bytes(disk.size_bytes)));
    table.heading("Topic: what bears on durability or is not default");
    table.settings(|target| &target.topic_configuration);
    table.heading("Broker: what bears on durability or is not default");
    table.settings(|target| &target.broker_configuration);
    if targets.iter().any(|target| !target.unknown.is_empty()) {
        table.heading("Could not be known");
        table.row("", |target| target.unknown.join("; "));
    }
    let head: String =
        targets.iter().map(|target| format!("<th scope=\"col\">{}</th>", escape(&target.name))).collect();
    let lead = if targets.len() > 1 { "<p>Rows in which they differ are marked.</p>\n" } else { "" };
    let body = format!(
        "{lead}<div class=\"wide\"><table class=\"brokers\">\n<thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
        table.body
    );
    section("brokers", if targets.len() > 1 { "The brokers side by side" } else { "The broker" }, &body)
}

struct Table<'r> {
    targets: &'r [TargetFacts],
    body: String,
}

impl Table<'_> {
    fn heading(&mut self, title: &str) {
        let (title, columns) = (escape(title), self.targets.len() + 1);
        self.push(format_args!(
            "<tr class=\"phase\"><th scope=\"rowgroup\" colspan=\"{columns}\">{title}</th></tr>\n"
        ));
    }

    fn row(&mut self, name: &str, value: impl Fn(&TargetFacts) -> String) {
        let values: Vec<String> = self.targets.iter().map(value).collect();
        let differs = values.iter().any(|value| *value != values[0]);
        let class = if differs { " class=\"differs\"" } else { "" };
        let cells: String = values.iter().map(|value| format!("<td>{}</td>", escape(value))).collect();
        self.push(format_args!("<tr{class}><th scope=\"row\">{}</th>{cells}</tr>\n", breakable(name)));
    }

    fn process(&mut self, name: &str, value: impl Fn(&Process) -> String) {
        self.row(name, |target| target.process.as_ref().map_or_else(|| NOT_KNOWN.to_owned(), &value));
    }

    fn disk(&mut self, name: &str, value: impl Fn(&Disk) -> String) {
        self.row(name, |target| target.disk.as_ref().map_or_else(|| NOT_KNOWN.to_owned(), &value));
    }

    /// A row for each setting that one of them has.
    fn settings(&mut self, of: impl for<'t> Fn(&'t TargetFacts) -> &'t Vec<Setting>) {
        let all = self.targets.iter().flat_map(&of);
        let names: BTreeMap<String, bool> =
            all.map(|setting| (setting.name.clone(), setting.bears_on_durability)).collect();
        let (bearing, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|(_, bears)| *bears);
        for (name, _) in bearing.into_iter().chain(others) {
            self.row(&name, |target| match of(target).iter().find(|setting| setting.name == name) {
                Some(setting) => {
                    format!("{} ({})", setting_value(setting), setting.source.words())
                }
                None => "\u{2013}".to_owned(),
            });
        }
    }

    fn push(&mut self, row: std::fmt::Arguments<'_>) {
        self.body.write_fmt(row).expect("a string takes everything");
    }
}

/// A name of parts that may stand on lines of their own: `log.flush.interval.ms`.
fn breakable(name: &str) -> String {
    escape(name).replace('.', ".<wbr>")
}

/// What the disks did while the target was measured: the median of its runs.
fn seen(column: &Column<'_>) -> Option<String> {
    let fact = |name: &str| {
        let found =
            |outcome: &&Outcome| outcome.facts.iter().find(|fact| fact.name == name).map(|fact| fact.value);
        Spread::of(column.outcomes.iter().map(found).collect::<Option<Vec<f64>>>()?)
    };
    let (flushes, writes) = (fact(DEVICE_FLUSHES)?, fact(DEVICE_WRITES)?);
    Some(format!(
        "all disks of this machine: {} flushes/s, {} MB/s written, whoever caused them",
        number(flushes.median),
        number(writes.median)
    ))
}

fn or_unknown(value: Option<&String>) -> String {
    value.cloned().unwrap_or_else(|| NOT_KNOWN.to_owned())
}

/// The one kind of all threads, or each with its number.
fn kinds(kinds: &BTreeMap<String, usize>) -> String {
    if let (1, Some(kind)) = (kinds.len(), kinds.keys().next()) {
        return format!("{kind} (all threads)");
    }
    let each = kinds.iter().map(|(kind, threads)| match threads {
        1 => format!("{kind} (1 thread)"),
        _ => format!("{kind} ({threads} threads)"),
    });
    each.collect::<Vec<_>>().join("; ")
}

fn device(disk: &Disk) -> String {
    let Some(device) = &disk.device else { return NOT_KNOWN.to_owned() };
    let mut parts = vec![device.name.clone(), bytes(device.size_bytes)];
    parts.extend(device.model.clone());
    parts.extend(device.scheduler.as_ref().map(|scheduler| format!("scheduler {scheduler}")));
    parts.extend(device.write_cache.as_ref().map(|cache| format!("write cache: {cache}")));
    parts.extend(
        device.is_rotational.map(|turns| if turns { "rotational" } else { "not rotational" }.to_owned()),
    );
    if !device.made_of.is_empty() {
        parts.push(format!("made of {}", device.made_of.join(" and ")));
    }
    parts.join(", ")
}

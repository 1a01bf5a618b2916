//! The page's tables of numbers: the result, and every round on its own.

use std::fmt::Write;

use super::section;
use crate::compare::Spread;
use crate::outcome::Better;
use crate::report::columns::{Column, Row};
use crate::report::numbers::{count, number, spread};
use crate::report::plot::escape;
use crate::report::verdict::{Verdict, direction};
use crate::report::{Measured, Report};

/// All numbers of all targets, and the ratios of a comparison.
pub(super) fn results(report: &Report) -> String {
    let columns = report.columns();
    let Some(baseline) = columns.first() else { return String::new() };
    let control = report.control();
    let mut head = String::from("<th scope=\"col\">Number</th>");
    for (index, column) in columns.iter().enumerate() {
        push(&mut head, format_args!("<th scope=\"col\" class=\"number\">{}</th>", escape(column.name)));
        if index > 0 {
            let name = escape(baseline.name);
            push(&mut head, format_args!("<th scope=\"col\" class=\"number\">Ratio to {name}</th>"));
        }
    }
    if control.is_some() {
        head.push_str("<th scope=\"col\" class=\"number\">Control</th>");
    }
    let mut body = String::new();
    let mut phase = None;
    for row in report.rows() {
        if phase.as_ref() != Some(&row.phase) {
            let name = if row.phase.is_empty() { "whole run" } else { &row.phase };
            push(
                &mut body,
                format_args!(
                    "<tr class=\"phase\"><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>\n",
                    2 * columns.len() + usize::from(control.is_some()),
                    escape(name)
                ),
            );
            phase = Some(row.phase.clone());
        }
        push(&mut body, format_args!("<tr>{}</tr>\n", cells(&row, &columns, control.as_ref())));
    }
    let table = format!(
        "{}<div class=\"wide\"><table class=\"numbers\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n{}",
        rounds_line(report),
        samples(report, &columns)
    );
    section("results", "Result", &table)
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

fn cells(row: &Row, columns: &[Column<'_>], control: Option<&Column<'_>>) -> String {
    let mut text = format!(
        "<th scope=\"row\">{}<small>{}</small></th>",
        escape(&row.name),
        escape(&unit_and_direction(row))
    );
    let ratio = |column: &Column<'_>| {
        // A number without a direction is a condition of the run, not a result to compare.
        let ratios = (row.better != Better::Neither).then(|| column.ratios(&columns[0], row));
        ratios.and_then(Spread::of)
    };
    let steady = control.and_then(ratio);
    for (index, column) in columns.iter().enumerate() {
        push(&mut text, format_args!("<td class=\"number\">{}</td>", shown(column.spread(row))));
        if index > 0 {
            let ratio = ratio(column);
            let verdict = ratio.zip(steady).map(|(ratio, steady)| Verdict::of(ratio, steady, row.better));
            push(
                &mut text,
                format_args!("<td class=\"number ratio\">{}{}</td>", shown(ratio), badge(verdict)),
            );
        }
    }
    if control.is_some() {
        push(&mut text, format_args!("<td class=\"number\">{}</td>", shown(steady)));
    }
    text
}

/// `MB/s, more is better`.
fn unit_and_direction(row: &Row) -> String {
    let unit = if row.unit == "us" { "\u{b5}s" } else { &row.unit };
    let parts = [unit, direction(row.better)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The median, and below it least and greatest.
fn shown(value: Option<Spread>) -> String {
    let Some(value) = value else { return String::new() };
    if value.min == value.max {
        return number(value.median);
    }
    format!("<b>{}</b><small>{} to {}</small>", number(value.median), number(value.min), number(value.max))
}

fn badge(verdict: Option<Verdict>) -> String {
    let (class, words) = match verdict {
        Some(verdict @ Verdict::Better) => ("better", verdict.words()),
        Some(verdict @ Verdict::Worse) => ("worse", verdict.words()),
        Some(verdict @ Verdict::NoDifference) => ("same", verdict.words()),
        Some(Verdict::Neither) | None => return String::new(),
    };
    format!("<span class=\"verdict {class}\">{words}</span>")
}

fn rounds_line(report: &Report) -> String {
    let Measured::Comparison(comparison) = &report.measured else { return String::new() };
    format!(
        "<p>Median over the rounds, with the least and the greatest below it. Rounds that count: {}; thrown away \
         because others used the machine: {}.</p>\n",
        comparison.rounds.len(),
        comparison.disturbed_rounds
    )
}

/// What the numbers rest on: how long, how many, how busy the client and others were.
fn samples(report: &Report, columns: &[Column<'_>]) -> String {
    let mut body = String::new();
    for name in report.phases() {
        for column in columns {
            let phases = column.phase(&name);
            let greatest = |share: &dyn Fn(&crate::measure::Figures) -> Option<f64>| {
                let shares = phases.iter().filter_map(|phase| share(&phase.figures));
                shares
                    .reduce(f64::max)
                    .map_or_else(|| "unknown".to_owned(), |share| format!("{} %", number(share * 100.0)))
            };
            let seconds: f64 = phases.iter().map(|phase| phase.figures.seconds).sum();
            let requests = phases.iter().map(|phase| phase.figures.requests).sum();
            let records = phases.iter().map(|phase| phase.figures.records).sum();
            let latencies = phases.iter().flat_map(|phase| phase.latencies.first());
            push(
                &mut body,
                format_args!(
                    "<tr><th scope=\"row\">{}<small>{}</small></th><td class=\"number\">{}</td>\
                     <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
                     <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
                     <td class=\"number\">{}</td></tr>\n",
                    escape(column.name),
                    escape(&name),
                    number(seconds),
                    count(requests),
                    count(records),
                    count(latencies.map(|latency| latency.summary.samples).sum()),
                    greatest(&|figures| Some(figures.client.busy_processors)),
                    greatest(&|figures| figures.others_share),
                    greatest(&|figures| Some(figures.kernel_share)),
                    greatest(&|figures| Some(figures.stolen_share)),
                ),
            );
        }
    }
    format!(
        "<h3>What these rest on</h3>\n<div class=\"wide\"><table class=\"numbers\">\n<thead><tr><th scope=\"col\">Target</th>\
         <th scope=\"col\" class=\"number\">Seconds</th><th scope=\"col\" class=\"number\">Requests</th>\
         <th scope=\"col\" class=\"number\">Records</th><th scope=\"col\" class=\"number\">Latencies</th>\
         <th scope=\"col\" class=\"number\">Client busy<small>of a processor, at most</small></th>\
         <th scope=\"col\" class=\"number\">Others<small>of the machine, at most</small></th>\
         <th scope=\"col\" class=\"number\">Kernel's threads<small>of the machine, at most</small></th>\
         <th scope=\"col\" class=\"number\">Stolen<small>by the host, at most</small></th></tr></thead>\n\
         <tbody>\n{body}</tbody>\n</table></div>\n"
    )
}

/// Every round's numbers and ratios, folded away.
pub(super) fn rounds(report: &Report) -> String {
    let columns = report.columns();
    let Some((control, baseline)) = report.control().zip(columns.first()) else { return String::new() };
    let mut body = String::new();
    for row in report.rows() {
        let title =
            if row.phase.is_empty() { row.name.clone() } else { format!("{}: {}", row.phase, row.name) };
        let mut lines = String::new();
        for (index, column) in columns.iter().chain([&control]).enumerate() {
            let name = if index == columns.len() { "control (first target again)" } else { column.name };
            push(
                &mut lines,
                format_args!(
                    "<tr><th scope=\"row\">{}</th>{}</tr>\n",
                    escape(name),
                    numbers(&column.values(&row))
                ),
            );
            if index > 0 {
                push(
                    &mut lines,
                    format_args!(
                        "<tr class=\"ratio\"><th scope=\"row\">ratio</th>{}</tr>\n",
                        numbers(&column.ratios(baseline, &row))
                    ),
                );
            }
        }
        push(
            &mut body,
            format_args!(
                "<h4>{}, {}</h4>\n<div class=\"wide\"><table class=\"numbers\">\n{lines}</table></div>\n",
                escape(&title),
                escape(&row.unit)
            ),
        );
    }
    let body = format!("<details>\n<summary>Every number of every round</summary>\n{body}</details>\n");
    section("rounds", "Rounds", &body)
}

fn numbers(values: &[f64]) -> String {
    values.iter().map(|value| format!("<td class=\"number\">{}</td>", number(*value))).collect()
}

/// A number of a column in words, for a figure.
pub(super) fn in_words(value: Option<Spread>) -> String {
    value.map_or_else(|| "-".to_owned(), spread)
}

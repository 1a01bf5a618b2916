//! What a measurement is shown as: lines to read, JSON, and one HTML page with plots.
//!
//! The page is written for a sceptic: what speaks against the result stands first, and everything
//! that was measured on, against and with stands in it. All three forms are made of [`Report`] alone.

mod columns;
mod html;
mod notes;
mod numbers;
mod plot;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

use std::io;

use serde::Serialize;

use crate::compare::Comparison;
use crate::context::broker::{self, TargetFacts, Terms};
use crate::context::disk::Disk;
use crate::context::harness::Harness;
use crate::context::machine::Machine;
use crate::context::time::now_rfc3339;
use crate::outcome::Outcome;
use crate::target::Target;

/// Version of the JSON: it grows when a name changes its meaning or goes, not when one comes.
const SCHEMA: u32 = 1;

/// Everything that a report tells, in whatever form.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: u32,
    #[serde(flatten)]
    pub(crate) heading: Heading,
    /// Why the result is not to be trusted; none if it is.
    pub(crate) doubts: Vec<String>,
    /// What does not speak against the result, but must be known to read it.
    pub(crate) notes: Vec<String>,
    /// What came of it.
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

/// Everything that is known before the measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Heading {
    /// What is measured.
    pub(crate) scenario: &'static str,
    /// Its settings, as TOML.
    pub(crate) workload: String,
    /// When it began, in UTC.
    pub(crate) started: String,
    /// How this program was called: arguments, the program first.
    pub(crate) command_line: Vec<String>,
    /// What the caller wants to be kept.
    pub(crate) note: Option<String>,
    pub(crate) harness: Harness,
    pub(crate) machine: Machine,
    /// The brokers; of a comparison, the baseline first.
    pub(crate) targets: Vec<TargetFacts>,
    /// The disk that was measured, if no broker was.
    pub(crate) disk: Option<Disk>,
}

/// Of one broker, or of several.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measured {
    Outcome(Outcome),
    Comparison(Comparison),
}

impl Heading {
    /// Describes what is about to be measured; the brokers are asked for their configuration.
    pub(crate) fn new(
        scenario: &'static str,
        workload: String,
        terms: &Terms<'_>,
        targets: &[Target],
        note: Option<String>,
    ) -> io::Result<Self> {
        Ok(Self {
            scenario,
            workload,
            started: now_rfc3339(),
            command_line: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            note,
            harness: Harness::of_this_program(),
            machine: Machine::here()?,
            targets: targets.iter().map(|target| broker::describe(target, terms)).collect(),
            disk: None,
        })
    }

    /// The report of what came of it.
    pub(crate) fn report(mut self, measured: Measured, doubts: Vec<String>) -> Report {
        self.targets.iter_mut().for_each(TargetFacts::look_again);
        let notes = notes::of(&self, &measured);
        Report { schema: SCHEMA, heading: self, doubts, notes, measured }
    }
}

impl Report {
    /// One line of JSON.
    pub(crate) fn to_json(&self) -> io::Result<String> {
        serde_json::to_string(self).map_err(io::Error::other)
    }

    /// Lines to read.
    pub(crate) fn to_text(&self) -> String {
        text::render(self)
    }

    /// A page that needs nothing beside itself.
    pub(crate) fn to_html(&self) -> io::Result<String> {
        Ok(html::render(self, &self.to_json()?))
    }
}

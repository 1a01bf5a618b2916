//! Scenario `disk`: what a device can do in the writes and reads that a log makes. No broker takes part.
//!
//! One thread keeps a raw io_uring busy, as a shard does, so that what is measured is the file system
//! and the device. It is not the node's own disk, which needs the node's executor to run: a figure of
//! both together would not say which of them was the limit.
//!
//! Each row does one kind of work at one size and depth for a short time: writes into ranges that were
//! written before, into a growing file, into allocated but unwritten ranges, into zeros written just
//! ahead; each without a flush, with `fdatasync` behind each write, and with `O_DSYNC`; reads past the
//! page cache, through it when it holds nothing of the file, and when it holds all. Then many files:
//! a block for each of them and a flush for each, or one for all, or one journal write in their place.
//!
//! What must hold: an operation counts when it is complete, flush included; a short or failed one ends
//! the run without a result. Everything lies in a folder of this scenario's own, which it removes.

mod folder;
mod many_files;
mod matrix;
mod positions;
mod ring;
mod settings;
mod stream;
mod table;

use std::io;
use std::time::Instant;

use crate::outcome::{NamedLatency, Outcome, Phase};
use crate::scenario::Context;

pub(crate) use self::settings::DiskSettings;
pub(crate) use self::table::table;

use self::folder::Folder;
use self::matrix::Row;

/// Above this share of the machine, taken by its host, a row is doubtful.
const STOLEN_SHARE_MAX: f64 = 0.1;

/// Measures all rows.
pub(crate) fn run(settings: &DiskSettings, context: &Context) -> io::Result<Outcome> {
    let rows = matrix::rows(settings);
    if rows.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no row has the kinds of work named"));
    }
    settings.check(&rows)?;
    let folder = Folder::create(&settings.directory, settings.space_bytes())?;
    let mut written = None;
    let mut phases = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let name = row.to_string();
        let line = || format!("row {} of {}: {name}", index + 1, rows.len());
        context.progress.tick(Instant::now(), line);
        let measured = match row {
            Row::Stream(row) => {
                let written = match &written {
                    Some(path) => path,
                    None => written.insert(stream::prepare_written(&folder, settings.file_size)?),
                };
                stream::measure(row, written, &folder, settings)?
            }
            Row::Many(row) => many_files::measure(row, &folder, settings)?,
        };
        phases.push(Phase {
            name: name.into(),
            figures: measured.figures(context.processor_count),
            latencies: NamedLatency::of(row.latency_name(), &measured.latencies).into_iter().collect(),
            timeline: Vec::new(),
        });
    }
    folder.remove()?;
    Ok(Outcome { phases, facts: Vec::new() })
}

/// Why the rows are not to be trusted; none if they are.
pub(crate) fn doubts(outcome: &Outcome) -> Vec<String> {
    let is_stolen = |phase: &&Phase| phase.figures.stolen_share > STOLEN_SHARE_MAX;
    let stolen = outcome.phases.iter().filter(is_stolen).count();
    let rows = outcome.phases.len();
    (stolen > 0)
        .then(|| format!("in {stolen} of {rows} rows the host took a tenth of the machine or more"))
        .into_iter()
        .collect()
}

//! `check disk`: what the device of the data directory gives, in the way that a node writes, and what that means.
//!
//! It uses the node's own disk and executor, so a figure is one that a shard can have: direct I/O through io_uring, over
//! zeros that were written before, each write durable in one operation; for many partitions one flush.

mod meaning;
mod measure;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ringmain_storage::disk::direct::{DiskFacts, probe_disk};
use serde_json::{Value, json};

use self::measure::Measured;
use super::{Subject, SystemFiles, Unusable};
use crate::cli::arguments::CheckDiskArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{grouped, print, print_json, table};

/// Measures and tells.
pub(super) fn run(arguments: &CheckDiskArguments) -> Result<(), Failure> {
    let directory = directory(arguments)?;
    let unusable = |error| Failure::Other(format!("{} cannot be measured: {error}", directory.display()));
    let facts = probe_disk(&directory).map_err(unusable)?;
    let duration = Duration::from_secs(arguments.seconds);
    let rows = measure::all(&directory, facts, duration)?;
    if arguments.json {
        print_json(&as_json(&directory, facts, &rows))
    } else {
        print(&as_text(&directory, facts, &rows))
    }
}

/// The data directory, or the nearest one above that exists: the device is the same.
fn directory(arguments: &CheckDiskArguments) -> Result<PathBuf, Failure> {
    let subject = Subject::find(&arguments.subject, &SystemFiles::new(Path::new("/")));
    let config = subject.config.map_err(|unusable| {
        let (Unusable::Wrong(reason) | Unusable::NotAllowed(reason)) = unusable;
        Failure::Other(format!("the configuration cannot be used (--data-dir needs none):\n{reason}"))
    })?;
    let absolute = std::path::absolute(&config.data_dir).unwrap_or(config.data_dir);
    let existing = absolute.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    Ok(existing.to_owned())
}

fn as_text(directory: &Path, facts: DiskFacts, rows: &[Measured]) -> String {
    let direct = if facts.direct_io { "direct I/O" } else { "no direct I/O" };
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.row.to_string(),
                milliseconds(row.percentile(50.0)),
                milliseconds(row.percentile(99.0)),
                milliseconds(row.longest()),
                grouped(row.per_second() as u64),
                grouped((row.bytes_per_second() / 1e6) as u64),
            ]
        })
        .collect();
    let heading = ["WHAT", "P50 ms", "P99 ms", "MAX ms", "A SECOND", "MB/s"];
    let mut text =
        format!("{} ({}, {direct})\n\n{}\n", directory.display(), facts.file_system, table(&heading, &cells));
    for sentence in meaning::sentences(rows, facts) {
        text.push_str(&format!("- {sentence}\n"));
    }
    text
}

fn as_json(directory: &Path, facts: DiskFacts, rows: &[Measured]) -> Value {
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "what": row.row.to_string(),
                "operations": row.operations(),
                "p50_us": row.percentile(50.0).as_micros() as u64,
                "p99_us": row.percentile(99.0).as_micros() as u64,
                "max_us": row.longest().as_micros() as u64,
                "per_second": row.per_second(),
                "bytes_per_second": row.bytes_per_second(),
            })
        })
        .collect();
    json!({
        "directory": directory.display().to_string(),
        "file_system": facts.file_system.to_string(),
        "direct_io": facts.direct_io,
        "rows": items,
        "meaning": meaning::sentences(rows, facts),
    })
}

/// With as many digits as say something.
fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    if milliseconds < 10.0 { format!("{milliseconds:.3}") } else { format!("{milliseconds:.1}") }
}

//! The data directory from outside: names and sizes, and the small files that say where logs begin and end.
//!
//! Segments, journals and the metadata store are never opened: they hold what users wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ringmain_storage::inspect::describe;

use super::Context;
use crate::cli::time;

/// Files that are listed; a node may have more than anybody reads.
const FILES_MAX: usize = 200_000;
/// Folders in folders: journals lie two deep.
const DEPTH_MAX: usize = 3;
/// Checkpoints that are described.
const CHECKPOINTS_MAX: usize = 5_000;
/// The longest that is read; the usual one has a few hundred bytes.
const CHECKPOINT_BYTES_MAX: u64 = 4 << 20;
/// The small files of a partition's folder.
const CHECKPOINTS: [&str; 2] = ["partition.id", "partition.checkpoint"];

/// Every file, with its size and when it was last written.
pub(super) fn files(context: &Context) -> Result<String, String> {
    let directory = &context.config()?.data_dir;
    let mut text = format!("{}\n", directory.display());
    let (listed, is_complete) = list(directory)?;
    let mut total = 0;
    for (path, bytes, written_ms) in &listed {
        total += bytes;
        let shown = path.strip_prefix(directory).unwrap_or(path).display();
        text.push_str(&format!("{bytes:>14}  {}  {shown}\n", time::shown(*written_ms)));
    }
    let more = if is_complete { "" } else { ", and more that are not listed" };
    text.push_str(&format!("{} files, {total} bytes{more}\n", listed.len()));
    Ok(text)
}

type Listed = (Vec<(PathBuf, u64, i64)>, bool);

/// Everything below the directory.
fn list(directory: &Path) -> Result<Listed, String> {
    fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut found = Vec::new();
    let mut folders = vec![(directory.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        // A folder may go while we look.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && depth < DEPTH_MAX {
                folders.push((entry.path(), depth + 1));
            } else if metadata.is_file() {
                if found.len() == FILES_MAX {
                    return Ok((found, false));
                }
                let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let written = written.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
                found.push((entry.path(), metadata.len(), written));
            }
        }
    }
    found.sort_unstable();
    Ok((found, true))
}

/// Version of the directory, cluster id, node id.
pub(super) fn format(context: &Context) -> Result<String, String> {
    let path = context.config()?.data_dir.join("format");
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What the checkpoints say, as `ringmain inspect checkpoint` shows it, on one line a section.
pub(super) fn checkpoints(context: &Context) -> Result<String, String> {
    let directory = &context.config()?.data_dir;
    let (listed, _) = list(directory)?;
    let is_checkpoint =
        |path: &Path| CHECKPOINTS.iter().any(|name| path.file_name().is_some_and(|it| it == *name));
    let checkpoints = listed.iter().filter(|(path, ..)| is_checkpoint(path));
    let mut text = String::new();
    for (path, bytes, _) in checkpoints.take(CHECKPOINTS_MAX) {
        let shown = path.strip_prefix(directory).unwrap_or(path).display().to_string();
        let described = if *bytes > CHECKPOINT_BYTES_MAX {
            Err(format!("{bytes} bytes are too many"))
        } else {
            section_lines(path)
        };
        match described {
            Ok(lines) => text.push_str(&format!("{shown}\n{lines}")),
            Err(error) => text.push_str(&format!("{shown}\n  {error}\n")),
        }
    }
    Ok(text)
}

fn section_lines(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let described = describe(&path.display().to_string(), &bytes).ok_or("none of our own files")?;
    let sections = described.map_err(|damage| damage.to_string())?;
    let lines = sections.iter().map(|section| {
        let fields: Vec<String> =
            section.fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
        format!("  {}: {}\n", section.title, fields.join(", "))
    });
    Ok(lines.collect())
}

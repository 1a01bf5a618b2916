//! The rows: each kind of work with each way to make it durable, at each size and depth.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use super::settings::DiskSettings;

/// Kinds of work, as the command line names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WorkKind {
    /// Writes into ranges that were written before.
    Overwrite,
    /// Writes at the end of a file.
    Growing,
    /// Writes into ranges that were allocated, but never written.
    Allocated,
    /// Writes into zeros that were written shortly before.
    ZerosAhead,
    /// Reads past the page cache.
    ReadDirect,
    /// Reads through a page cache that holds nothing of the file.
    ReadCold,
    /// Reads through a page cache that holds all of the file.
    ReadCached,
    /// A block for each of many files.
    ManyFiles,
}

/// How a write is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Not at all: what the device has may lie in its cache.
    None,
    /// `fdatasync` behind each write, submitted together with it.
    FlushEach,
    /// The file is open with `O_DSYNC`.
    Synchronous,
}

/// Work on one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamRow {
    pub(crate) work: WorkKind,
    pub(crate) durability: Durability,
    pub(crate) size: usize,
    pub(crate) depth: usize,
}

/// How a round of blocks for many files becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gathering {
    /// Each file grows, and each is flushed.
    GrowingEach,
    /// Ranges were written before, and each file is flushed.
    WrittenEach,
    /// Ranges were written before; when all writes are complete, one file is flushed.
    WrittenOneFlush,
    /// The blocks go into one write to a file of their own, with one flush.
    Journal,
}

/// A block for each of many files, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ManyRow {
    pub(crate) gathering: Gathering,
    pub(crate) size: usize,
    pub(crate) files: usize,
}

impl ManyRow {
    /// Bytes of a round, over all files.
    pub(super) fn round_bytes(&self) -> usize {
        self.size * self.files
    }

    /// Files that the blocks go to.
    pub(super) fn file_count(&self) -> usize {
        if self.gathering == Gathering::Journal { 1 } else { self.files }
    }
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    Stream(StreamRow),
    Many(ManyRow),
}

impl Row {
    /// What its latency is of.
    pub(crate) fn latency_name(&self) -> &'static str {
        match self {
            Self::Stream(StreamRow { durability: Durability::None, .. }) => "completion",
            Self::Stream(_) => "durable",
            Self::Many(_) => "durable round",
        }
    }
}

/// All rows that the settings ask for, in the order in which they run.
pub(crate) fn rows(settings: &DiskSettings) -> Vec<Row> {
    use Durability::{FlushEach, None, Synchronous};
    let wants = |work| settings.work.is_empty() || settings.work.contains(&work);
    let writes = [WorkKind::Overwrite, WorkKind::Growing, WorkKind::Allocated, WorkKind::ZerosAhead];
    let reads = [WorkKind::ReadDirect, WorkKind::ReadCold, WorkKind::ReadCached];
    let kinds = writes
        .into_iter()
        .flat_map(|work| [None, FlushEach, Synchronous].map(|durability| (work, durability)))
        .chain(reads.map(|work| (work, None)))
        .filter(|(work, _)| wants(*work));
    let mut rows = Vec::new();
    for (work, durability) in kinds {
        for size in settings.sizes.iter().copied() {
            for depth in settings.depths.iter().copied() {
                rows.push(Row::Stream(StreamRow { work, durability, size, depth }));
            }
        }
    }
    // Small blocks are what many files are about: large ones are better off with writes of their own.
    if let Some(size) = settings.sizes.iter().copied().min().filter(|_| wants(WorkKind::ManyFiles)) {
        use Gathering::{GrowingEach, Journal, WrittenEach, WrittenOneFlush};
        for gathering in [GrowingEach, WrittenEach, WrittenOneFlush, Journal] {
            rows.push(Row::Many(ManyRow { gathering, size, files: settings.files }));
        }
    }
    rows
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(row) => {
                write!(f, "{}, {} x {}{}", row.work, Size(row.size), row.depth, row.durability)
            }
            Self::Many(row) => write!(f, "{} files, {} each: {}", row.files, Size(row.size), row.gathering),
        }
    }
}

impl fmt::Display for WorkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overwrite => "overwrite",
            Self::Growing => "growing file",
            Self::Allocated => "allocated range",
            Self::ZerosAhead => "zeros ahead",
            Self::ReadDirect => "read, direct",
            Self::ReadCold => "read, cold",
            Self::ReadCached => "read, cached",
            Self::ManyFiles => "many files",
        })
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::FlushEach => ", fdatasync each",
            Self::Synchronous => ", O_DSYNC",
        })
    }
}

impl fmt::Display for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GrowingEach => "growing, fdatasync each",
            Self::WrittenEach => "overwrite, fdatasync each",
            Self::WrittenOneFlush => "overwrite, one fdatasync",
            Self::Journal => "one journal write, one fdatasync",
        })
    }
}

/// A size in its largest whole unit.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes => write!(f, "{} KiB", bytes >> 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: DiskSettings,
    }

    fn settings(arguments: &[&str]) -> DiskSettings {
        let line = ["disk", "--directory", "d"].iter().chain(arguments);
        Line::parse_from(line).settings
    }

    #[test]
    fn rows_are_every_combination_once() {
        let rows = rows(&settings(&[]));
        assert_eq!(rows.len(), (4 * 3 + 3) * 3 * 3 + 4);
        let mut names: Vec<String> = rows.iter().map(Row::to_string).collect();
        assert_eq!(names[0], "overwrite, 4 KiB x 1");
        assert_eq!(names[9], "overwrite, 4 KiB x 1, fdatasync each");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), rows.len(), "a name stands for one row");
    }

    #[test]
    fn work_can_be_chosen() {
        let some = rows(&settings(&["--work", "growing,read-cold", "--sizes", "64KiB", "--depths", "2"]));
        let names: Vec<String> = some.iter().map(Row::to_string).collect();
        assert_eq!(
            names,
            [
                "growing file, 64 KiB x 2",
                "growing file, 64 KiB x 2, fdatasync each",
                "growing file, 64 KiB x 2, O_DSYNC",
                "read, cold, 64 KiB x 2"
            ]
        );
    }
}

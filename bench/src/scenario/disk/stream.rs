//! Rows on one file: operations one behind the other, so many under way at once.
//!
//! The file is prepared before the clock starts and removed behind it, so a row pays for nothing but
//! its own operations. The file that was written before serves all rows that need such a one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::measure::{Figures, Sample, Work, latency_histogram, nanoseconds};
use crate::processes::Processes;
use crate::system;

use super::folder::{Folder, at, create_file, open_file};
use super::matrix::{Durability, StreamRow, WorkKind};
use super::positions::{Next, Positions};
use super::ring::{DiskRing, FileIndex, Operation};
use super::settings::DiskSettings;

/// Size of the writes that prepare a file.
const PREPARE_BYTES: usize = 1 << 20;
/// How many of them are under way.
const PREPARE_DEPTH: usize = 4;

/// What a row gave.
pub(super) struct Measured {
    start: Sample,
    end: Sample,
    work: Work,
    pub(super) latencies: Histogram<u64>,
}

impl Measured {
    pub(super) fn new(start: Sample, end: Sample, work: Work, latencies: Histogram<u64>) -> Self {
        Self { start, end, work, latencies }
    }

    pub(super) fn figures(&self, processor_count: usize) -> Figures {
        Figures::new(self.work, &self.start, &self.end, processor_count)
    }
}

/// Writes a file that rows then overwrite and read.
pub(super) fn prepare_written(folder: &Folder, file_size: usize) -> io::Result<PathBuf> {
    let path = folder.new_path();
    let mut ring = DiskRing::new(&[PREPARE_BYTES; PREPARE_DEPTH])?;
    let file = ring.add_file(create_file(&path, 0)?);
    let mut positions = Positions::once(PREPARE_BYTES, file_size);
    let mut free: Vec<usize> = (0..PREPARE_DEPTH).collect();
    loop {
        while let Some(slot) = free.pop() {
            match positions.next() {
                Next::At(position) => ring.begin(slot, file, Operation::Write { position })?,
                Next::Wait | Next::End => {
                    free.push(slot);
                    break;
                }
            }
        }
        if ring.is_idle() {
            break;
        }
        ring.wait(&mut free)?;
    }
    ring.begin(0, file, Operation::Flush)?;
    ring.wait(&mut Vec::new())?;
    Ok(path)
}

/// Measures one row; `written` is the file that was written before.
pub(super) fn measure(
    row: &StreamRow,
    written: &Path,
    folder: &Folder,
    settings: &DiskSettings,
) -> io::Result<Measured> {
    let flags = if row.durability == Durability::Synchronous { libc::O_DSYNC } else { 0 };
    let path = if row.work.needs_new_file() { &folder.new_path() } else { written };
    let file = match row.work {
        WorkKind::Overwrite | WorkKind::ReadDirect => open_file(path, flags)?,
        WorkKind::ReadCold | WorkKind::ReadCached => File::open(path).map_err(|error| at(path, error))?,
        WorkKind::Growing | WorkKind::ZerosAhead => create_file(path, flags)?,
        WorkKind::Allocated => allocate(create_file(path, flags)?, settings.file_size)?,
        WorkKind::ManyFiles => unreachable!("such rows are not streams"),
    };
    match row.work {
        WorkKind::ReadCold => system::evict_from_page_cache(&file)?,
        WorkKind::ReadCached => drop(io::copy(&mut &file, &mut io::sink())?),
        _ => {}
    }
    let measured = Stream::new(row, file, settings)?.run(settings.row_duration)?;
    if row.work.needs_new_file() {
        fs::remove_file(path)?;
    }
    Ok(measured)
}

impl WorkKind {
    fn needs_new_file(self) -> bool {
        matches!(self, Self::Growing | Self::Allocated | Self::ZerosAhead)
    }

    fn is_read(self) -> bool {
        matches!(self, Self::ReadDirect | Self::ReadCold | Self::ReadCached)
    }
}

/// Gives the file all its space, and its length, without writing to it.
fn allocate(file: File, file_size: usize) -> io::Result<File> {
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, file_size as u64)?;
    file.sync_all()?;
    Ok(file)
}

/// A row under way.
struct Stream {
    row: StreamRow,
    ring: DiskRing,
    file: FileIndex,
    positions: Positions,
    /// Slots that have nothing under way.
    free: Vec<usize>,
    /// When each slot's operation began.
    begun: Vec<Instant>,
}

impl Stream {
    fn new(row: &StreamRow, file: File, settings: &DiskSettings) -> io::Result<Self> {
        let (size, file_size) = (row.size, settings.file_size);
        let positions = match row.work {
            WorkKind::Overwrite | WorkKind::ReadDirect | WorkKind::ReadCached => {
                Positions::around(size, file_size)
            }
            WorkKind::ZerosAhead => Positions::behind_zeros(size, file_size, settings.zeros_ahead),
            _ => Positions::once(size, file_size),
        };
        let mut lengths = vec![size; row.depth];
        // The last slot is for zeros.
        lengths.push(settings.zeros_ahead);
        let mut ring = DiskRing::new(&lengths)?;
        ring.clear(row.depth);
        let file = ring.add_file(file);
        let begun = vec![Instant::now(); row.depth];
        Ok(Self { row: *row, ring, file, positions, free: (0..row.depth).collect(), begun })
    }

    fn run(mut self, duration: Duration) -> io::Result<Measured> {
        let mut latencies = latency_histogram();
        let mut ended = Vec::with_capacity(self.row.depth + 1);
        let start = Sample::begin(&Processes::default())?;
        let began = Instant::now();
        loop {
            let now = Instant::now();
            // A device that is slow once must not leave a row empty.
            if latencies.is_empty() || now.duration_since(began) < duration {
                self.begin_all(now)?;
            }
            if self.ring.is_idle() {
                break;
            }
            self.ring.wait(&mut ended)?;
            let now = Instant::now();
            for slot in ended.drain(..) {
                if slot == self.row.depth {
                    self.positions.zeros_written();
                } else {
                    latencies.saturating_record(nanoseconds(now.duration_since(self.begun[slot])));
                    self.free.push(slot);
                }
            }
        }
        let end = Sample::end(&Processes::default())?;
        let requests = latencies.len();
        let work = Work { requests, records: requests, bytes: requests * self.row.size as u64 };
        Ok(Measured::new(start, end, work, latencies))
    }

    /// Begins whatever may be begun now.
    fn begin_all(&mut self, now: Instant) -> io::Result<()> {
        if let Some(position) = self.positions.next_zeros() {
            self.ring.begin(self.row.depth, self.file, Operation::WriteAndFlush { position })?;
        }
        while let Some(slot) = self.free.pop() {
            let Next::At(position) = self.positions.next() else {
                self.free.push(slot);
                return Ok(());
            };
            let operation = match self.row.durability {
                _ if self.row.work.is_read() => Operation::Read { position },
                Durability::FlushEach => Operation::WriteAndFlush { position },
                Durability::None | Durability::Synchronous => Operation::Write { position },
            };
            self.ring.begin(slot, self.file, operation)?;
            self.begun[slot] = now;
        }
        Ok(())
    }
}

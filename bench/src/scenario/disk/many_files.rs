//! Rows on many files: in each round every file gets a block, and then all of them are durable.
//!
//! What a broker of many partitions does under small requests. The last way writes the same bytes to
//! one file: a journal, from which the blocks can be moved to their files later, in large writes.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crate::measure::{Sample, Work, latency_histogram, nanoseconds};
use crate::processes::Processes;

use super::folder::{Folder, create_file};
use super::matrix::{Gathering, ManyRow};
use super::ring::{DiskRing, FileIndex, Operation};
use super::settings::DiskSettings;
use super::stream::Measured;

/// Writes under way at once.
const DEPTH: usize = 16;

/// Blocks of each file that rounds go through before they begin again, where the file does not grow.
const WRITTEN_BLOCKS: u64 = 16;

/// Measures one row.
pub(super) fn measure(row: &ManyRow, folder: &Folder, settings: &DiskSettings) -> io::Result<Measured> {
    let paths: Vec<PathBuf> = (0..row.file_count()).map(|_| folder.new_path()).collect();
    let measured = measure_rounds(row, &paths, settings)?;
    paths.iter().try_for_each(fs::remove_file)?;
    Ok(measured)
}

fn measure_rounds(row: &ManyRow, paths: &[PathBuf], settings: &DiskSettings) -> io::Result<Measured> {
    let mut rounds = Rounds::new(row, paths)?;
    let grows = row.gathering == Gathering::GrowingEach;
    // What grows must not use more than the file of other rows would.
    let blocks = if grows { settings.file_size as u64 / row.round_bytes() as u64 } else { WRITTEN_BLOCKS };
    if !grows {
        for round in 0..blocks {
            rounds.write(round)?;
        }
        rounds.flush_each()?;
    }
    let mut latencies = latency_histogram();
    let start = Sample::begin(&Processes::default())?;
    let began = Instant::now();
    let mut now = began;
    let mut count = 0;
    while now.duration_since(began) < settings.row_duration && (!grows || count < blocks) {
        rounds.write_durably(count % blocks)?;
        let end = Instant::now();
        latencies.saturating_record(nanoseconds(end.duration_since(now)));
        now = end;
        count += 1;
    }
    let end = Sample::end(&Processes::default())?;
    let records = count * row.files as u64;
    let work = Work { requests: records, records, bytes: count * row.round_bytes() as u64 };
    Ok(Measured::new(start, end, work, latencies))
}

struct Rounds {
    row: ManyRow,
    ring: DiskRing,
    files: Vec<FileIndex>,
    ended: Vec<usize>,
}

impl Rounds {
    fn new(row: &ManyRow, paths: &[PathBuf]) -> io::Result<Self> {
        let lengths = match row.gathering {
            Gathering::Journal => vec![row.round_bytes()],
            _ => vec![row.size; DEPTH],
        };
        let mut ring = DiskRing::new(&lengths)?;
        let files =
            paths.iter().map(|path| Ok(ring.add_file(create_file(path, 0)?))).collect::<io::Result<_>>()?;
        Ok(Self { row: *row, ring, files, ended: Vec::new() })
    }

    fn write_durably(&mut self, round: u64) -> io::Result<()> {
        match self.row.gathering {
            Gathering::GrowingEach | Gathering::WrittenEach | Gathering::Journal => {
                self.each(|block| Operation::WriteAndFlush { position: round * block })
            }
            Gathering::WrittenOneFlush => {
                self.write(round)?;
                self.ring.begin(0, self.files[0], Operation::Flush)?;
                self.ring.wait(&mut self.ended)?;
                self.ended.clear();
                Ok(())
            }
        }
    }

    fn write(&mut self, round: u64) -> io::Result<()> {
        self.each(|block| Operation::Write { position: round * block })
    }

    fn flush_each(&mut self) -> io::Result<()> {
        self.each(|_block| Operation::Flush)
    }

    /// Does one operation on each file, told how long a block is, and waits for all.
    fn each(&mut self, operation: impl Fn(u64) -> Operation) -> io::Result<()> {
        let is_journal = self.row.gathering == Gathering::Journal;
        let block = if is_journal { self.row.round_bytes() as u64 } else { self.row.size as u64 };
        let mut free: Vec<usize> = (0..if is_journal { 1 } else { DEPTH }).collect();
        for file in &self.files {
            if free.is_empty() {
                self.ring.wait(&mut free)?;
            }
            let slot = free.pop().expect("one has just ended");
            self.ring.begin(slot, *file, operation(block))?;
        }
        while !self.ring.is_idle() {
            self.ring.wait(&mut free)?;
        }
        Ok(())
    }
}

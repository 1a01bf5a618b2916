//! The rows of `check disk`, one kind of work each, one after the other.
//!
//! What must hold: a file has no name any more when it is measured, so nothing stays behind however the process ends; an
//! operation counts when it is complete; the ranges that are overwritten were written, and flushed, before the clock starts.

use std::fmt;
use std::path::Path;
use std::process;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use ringmain_storage::disk::direct::{DirectDisk, DirectFile, DiskFacts, Executor, RingOptions};
use ringmain_storage::disk::{BufferPoolOptions, BufferSlice, Disk, DiskError, DiskFile, OpenMode};

use crate::cli::failure::Failure;

/// What is overwritten and read; larger than the cache of a small drive's controller would need minutes on a slow one.
const FILE_BYTES: u64 = 64 << 20;
/// Partitions that get a block each and share a flush.
const FILES: usize = 64;
/// Blocks of each of them that rounds go through.
const BLOCKS: u64 = 16;
const BLOCK_BYTES: usize = 4 << 10;
const LARGE_BYTES: usize = 1 << 20;
/// Operations under way at once where throughput is asked for.
const DEPTH: usize = 4;
/// Enough for any percentile; a fast device must not take all memory.
const LATENCIES_MAX: usize = 1 << 20;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// A write of so many bytes that is durable when it ends.
    DurableWrite(usize),
    /// The flush behind a small write.
    Flush,
    /// A block for each of many files, then one flush.
    ManyFiles,
    /// Large writes, some at once, without a flush.
    Write,
    /// Large reads, some at once.
    Read,
}

/// All of them, in the order of the table.
const ROWS: [Row; 7] = [
    Row::DurableWrite(BLOCK_BYTES),
    Row::DurableWrite(64 << 10),
    Row::DurableWrite(LARGE_BYTES),
    Row::Flush,
    Row::ManyFiles,
    Row::Write,
    Row::Read,
];

impl Row {
    /// Bytes of one operation.
    fn bytes(self) -> usize {
        match self {
            Self::DurableWrite(bytes) => bytes,
            Self::Flush => 0,
            Self::ManyFiles => BLOCK_BYTES * FILES,
            Self::Write | Self::Read => LARGE_BYTES * DEPTH,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DurableWrite(bytes) if *bytes >= 1 << 20 => write!(f, "write {} MiB, durable", bytes >> 20),
            Self::DurableWrite(bytes) => write!(f, "write {} KiB, durable", bytes >> 10),
            Self::Flush => f.write_str("flush alone"),
            Self::ManyFiles => write!(f, "{FILES} files, {} KiB each, one flush", BLOCK_BYTES >> 10),
            Self::Write => write!(f, "write {DEPTH} x {} MiB, no flush", LARGE_BYTES >> 20),
            Self::Read => write!(f, "read {DEPTH} x {} MiB in order", LARGE_BYTES >> 20),
        }
    }
}

/// What a row gave.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) row: Row,
    /// In order of length; at least one.
    latencies: Vec<Duration>,
    operations: u64,
    elapsed: Duration,
}

impl Measured {
    /// The longest of that many percent of the operations.
    pub(super) fn percentile(&self, percent: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let rank = (self.latencies.len() as f64 * percent / 100.0).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1).min(last)).copied().unwrap_or_default()
    }

    pub(super) fn longest(&self) -> Duration {
        self.latencies.last().copied().unwrap_or_default()
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    pub(super) fn bytes_per_second(&self) -> f64 {
        self.per_second() * self.row.bytes() as f64
    }
}

/// Measures all rows, in so much time together, beside what preparing the files takes.
pub(super) fn all(directory: &Path, facts: DiskFacts, duration: Duration) -> Result<Vec<Measured>, Failure> {
    let executor =
        Executor::new(RingOptions::default()).map_err(|error| Failure::Other(error.to_string()))?;
    let disk = DirectDisk::new(directory, facts, executor.ring().clone(), BufferPoolOptions::default());
    let each = duration / ROWS.len() as u32;
    let measured = executor.run(async move {
        let bench = Bench::prepare(disk).await?;
        let mut measured = Vec::with_capacity(ROWS.len());
        for row in ROWS {
            measured.push(bench.measure(row, each).await?);
        }
        Ok::<_, DiskError>(measured)
    });
    measured.map_err(|error| Failure::Other(format!("measure {}: {error}", directory.display())))
}

/// The files, and what is written to them.
struct Bench {
    disk: DirectDisk,
    large: DirectFile,
    many: Vec<DirectFile>,
    /// As long as the largest write; shorter ones are its beginning.
    content: BufferSlice,
}

impl Bench {
    async fn prepare(disk: DirectDisk) -> Result<Self, DiskError> {
        let zeros = slice(&disk, &vec![0; LARGE_BYTES]).await;
        let large = written(&disk, "large", &zeros, FILE_BYTES).await?;
        let mut many = Vec::with_capacity(FILES);
        for number in 0..FILES {
            let blocks = zeros.slice(0..BLOCK_BYTES * BLOCKS as usize);
            many.push(written(&disk, &number.to_string(), &blocks, blocks.len() as u64).await?);
        }
        let content = slice(&disk, &noise(LARGE_BYTES)).await;
        Ok(Self { disk, large, many, content })
    }

    async fn measure(&self, row: Row, duration: Duration) -> Result<Measured, DiskError> {
        let mut latencies = Vec::new();
        let mut operations = 0;
        let began = Instant::now();
        // A device that is slow once must not leave a row empty.
        while operations == 0 || began.elapsed() < duration {
            let latency = self.operate(row, operations).await?;
            operations += 1;
            if latencies.len() < LATENCIES_MAX {
                latencies.push(latency);
            }
        }
        let elapsed = began.elapsed();
        latencies.sort_unstable();
        Ok(Measured { row, latencies, operations, elapsed })
    }

    /// Does it once; how long it took.
    async fn operate(&self, row: Row, number: u64) -> Result<Duration, DiskError> {
        let mut begin = Instant::now();
        match row {
            Row::DurableWrite(bytes) => {
                let position = number * bytes as u64 % FILE_BYTES;
                self.large.write_at_and_flush(position, self.content.slice(0..bytes)).await?;
            }
            Row::Flush => {
                let position = number * BLOCK_BYTES as u64 % FILE_BYTES;
                self.large.write_at(position, self.content.slice(0..BLOCK_BYTES)).await?;
                begin = Instant::now();
                self.large.flush().await?;
            }
            Row::ManyFiles => self.write_to_many(number).await?,
            Row::Write => {
                let writes =
                    positions(number).map(|position| self.large.write_at(position, self.content.clone()));
                try_join_all(writes).await?;
            }
            Row::Read => {
                try_join_all(positions(number).map(|position| self.large.read_at(position, LARGE_BYTES)))
                    .await?;
            }
        }
        Ok(begin.elapsed())
    }

    async fn write_to_many(&self, number: u64) -> Result<(), DiskError> {
        let position = number % BLOCKS * BLOCK_BYTES as u64;
        let block = self.content.slice(0..BLOCK_BYTES);
        try_join_all(self.many.iter().map(|file| file.write_at(position, block.clone()))).await?;
        if self.disk.one_flush_covers_all() {
            return self.many[0].flush().await;
        }
        try_join_all(self.many.iter().map(DiskFile::flush)).await.map(drop)
    }
}

/// Where the large operations of one round are.
fn positions(round: u64) -> impl Iterator<Item = u64> {
    let large = LARGE_BYTES as u64;
    (0..DEPTH as u64).map(move |index| (round * DEPTH as u64 + index) * large % FILE_BYTES)
}

/// A file full of zeros that are durable, which has no name.
async fn written(
    disk: &DirectDisk,
    name: &str,
    zeros: &BufferSlice,
    bytes: u64,
) -> Result<DirectFile, DiskError> {
    let path = format!("disk-check.{}.{name}.tmp", process::id());
    let file = disk.open(&path, OpenMode::CreateNew).await?;
    disk.remove(&path).await?;
    for position in (0..bytes).step_by(zeros.len()) {
        file.write_at(position, zeros.clone()).await?;
    }
    file.flush().await?;
    Ok(file)
}

async fn slice(disk: &DirectDisk, bytes: &[u8]) -> BufferSlice {
    let mut buffer = disk.buffers().take(bytes.len()).await;
    buffer.append(bytes);
    buffer.freeze(0..bytes.len())
}

/// Bytes that no device can take for zeros, or press together.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = (0..bytes / 8).flat_map(|_| {
        // Xorshift: cheap, and no two words of a run are alike.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A row in which every operation took so long.
    pub(in super::super) fn row(row: Row, each: Duration) -> Measured {
        Measured { row, latencies: vec![each; 100], operations: 100, elapsed: each * 100 }
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let latencies: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        let measured =
            Measured { row: Row::Flush, latencies, operations: 100, elapsed: Duration::from_secs(1) };
        assert_eq!(measured.percentile(50.0), Duration::from_micros(50));
        assert_eq!(measured.percentile(99.0), Duration::from_micros(99));
        assert_eq!((measured.longest(), measured.per_second()), (Duration::from_micros(100), 100.0));
    }

    #[test]
    fn large_operations_stay_within_the_file() {
        for round in [0, 15, 16, 1_000_003] {
            assert!(positions(round).all(|position| position + LARGE_BYTES as u64 <= FILE_BYTES));
        }
        assert_eq!(noise(64).len(), 64);
    }
}

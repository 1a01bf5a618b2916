//! `topic produce`: lines in, batches out, in constant memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringmain_protocol::records::{Compression, RecordBatchBuilder};
use serde_json::json;

use super::client;
use super::lines::{Lines, Next};
use super::partitioner::partition_of_key;
use super::progress::Progress;
use super::sender::Sender;
use crate::cli::arguments::{CompressionArgument, ProduceArguments};
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json};
use crate::client::TopicView;

/// Records in a batch: bounds what a broker does for one batch of empty lines.
const BATCH_RECORDS_MAX: i32 = 1_000_000;

/// Lines between looks at the clock.
const LINES_PER_CLOCK_READ: u64 = 64;

/// Writes each line of a file or a pipe as a record.
pub(super) fn produce(arguments: &ProduceArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let topic = client.topic(&arguments.name)?;
    if let Some(wanted) = arguments.partition
        && !topic.partitions.iter().any(|partition| partition.index == wanted)
    {
        return Err(Failure::Other(format!(
            "the topic '{}' has no partition {wanted}; it has {}",
            topic.name,
            topic.partitions.len()
        )));
    }
    // Opened before a producer id is taken: a mistyped name is told first.
    let lines = open(arguments.file.as_deref())?;
    let sender = Sender::new(client, &topic, arguments.acks)?;
    let mut producer = Producer::new(arguments, &topic, sender);
    producer.run(lines)?;
    producer.progress.clear();
    let progress = &producer.progress;
    if arguments.json {
        return print_json(&json!({
            "topic": topic.name,
            "records": progress.records,
            "bytes": progress.bytes,
            "seconds": progress.seconds(),
        }));
    }
    if arguments.quiet {
        Ok(())
    } else {
        print(&format!("Wrote {} to '{}'.\n", progress.summary(), topic.name))
    }
}

fn open(file: Option<&Path>) -> Result<Lines, Failure> {
    let source: Box<dyn Read + Send> = match file {
        Some(path) if path.as_os_str() != "-" => {
            let failed = |error| Failure::Io { operation: format!("open {}", path.display()), error };
            Box::new(File::open(path).map_err(failed)?)
        }
        _ => Box::new(io::stdin()),
    };
    Lines::of(source).map_err(|error| Failure::Io { operation: "read the input".to_owned(), error })
}

/// Gathers lines to batches.
struct Producer<'a> {
    arguments: &'a ProduceArguments,
    sender: Sender,
    progress: Progress,
    /// The partitions that are written to, each with the batch that is being filled.
    batches: Vec<OpenBatch>,
    /// Where lines without a key go until the batch there is sent.
    current: usize,
    now_ms: i64,
    last_line: u64,
}

struct OpenBatch {
    partition: i32,
    /// With at least one record, or none.
    records: Option<RecordBatchBuilder>,
    /// When it is sent although it is not full.
    due: Instant,
}

impl<'a> Producer<'a> {
    fn new(arguments: &'a ProduceArguments, topic: &TopicView, sender: Sender) -> Self {
        let partitions: Vec<i32> = match arguments.partition {
            Some(partition) => vec![partition],
            None => topic.partitions.iter().map(|partition| partition.index).collect(),
        };
        let due = Instant::now();
        let open = |partition| OpenBatch { partition, records: None, due };
        Self {
            arguments,
            sender,
            progress: Progress::new(!arguments.quiet),
            batches: partitions.into_iter().map(open).collect(),
            current: 0,
            now_ms: unix_ms(),
            last_line: 0,
        }
    }

    fn run(&mut self, mut lines: Lines) -> Result<(), Failure> {
        let failed = |error| Failure::Io { operation: "read the input".to_owned(), error };
        loop {
            let deadline =
                self.batches.iter().filter(|batch| batch.records.is_some()).map(|batch| batch.due).min();
            match lines.next(deadline).map_err(failed)? {
                Next::Line(line) => self.take(line)?,
                Next::Pause => {
                    self.send_due()?;
                    continue;
                }
                Next::End => break,
            }
            self.last_line = lines.count();
            if self.last_line.is_multiple_of(LINES_PER_CLOCK_READ) {
                self.now_ms = unix_ms();
                self.progress.update();
                self.send_due()?;
            }
        }
        for index in 0..self.batches.len() {
            self.send(index)?;
        }
        Ok(self.sender.finish()?)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        let (key, value) = match &self.arguments.key_separator {
            Some(separator) => split_key(line, separator.as_bytes()),
            None => (None, line),
        };
        let index = match key {
            Some(key) if self.batches.len() > 1 => partition_of_key(key, self.batches.len()),
            _ => self.current,
        };
        // The record's own bytes and a little for lengths: what decides is the size after it is added.
        let size = line.len() + 32;
        let is_full = |records: &RecordBatchBuilder| {
            records.size_bytes() + size > self.arguments.batch_bytes
                || records.record_count() >= BATCH_RECORDS_MAX
        };
        if self.batches[index].records.as_ref().is_some_and(is_full) {
            self.send(index)?;
            if key.is_none() {
                self.current = (self.current + 1) % self.batches.len();
            }
            return self.add(if key.is_none() { self.current } else { index }, key, value);
        }
        self.add(index, key, value)
    }

    fn add(&mut self, index: usize, key: Option<&[u8]>, value: &[u8]) -> Result<(), Failure> {
        let compression = compression(self.arguments.compression);
        let batch = &mut self.batches[index];
        if batch.records.is_none() {
            self.now_ms = unix_ms();
            batch.due = Instant::now() + Duration::from_millis(self.arguments.linger);
        }
        let records = batch.records.get_or_insert_with(|| RecordBatchBuilder::new().compression(compression));
        records.push(self.now_ms, key, Some(value));
        self.progress.records += 1;
        self.progress.bytes += (key.map_or(0, <[u8]>::len) + value.len()) as u64;
        Ok(())
    }

    /// Sends the batches that have waited for long enough.
    fn send_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        for index in 0..self.batches.len() {
            if self.batches[index].records.is_some() && self.batches[index].due <= now {
                self.send(index)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, index: usize) -> Result<(), Failure> {
        let batch = &mut self.batches[index];
        let Some(records) = batch.records.take() else { return Ok(()) };
        Ok(self.sender.send(batch.partition, records, self.last_line)?)
    }
}

fn split_key<'l>(line: &'l [u8], separator: &[u8]) -> (Option<&'l [u8]>, &'l [u8]) {
    match memchr::memmem::find(line, separator) {
        Some(at) => (Some(&line[..at]), &line[at + separator.len()..]),
        None => (None, line),
    }
}

fn compression(argument: CompressionArgument) -> Compression {
    match argument {
        CompressionArgument::None => Compression::None,
        CompressionArgument::Gzip => Compression::Gzip,
        CompressionArgument::Snappy => Compression::Snappy,
        CompressionArgument::Lz4 => Compression::Lz4,
        CompressionArgument::Zstd => Compression::Zstd,
    }
}

fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_the_first_separator() {
        assert_eq!(split_key(b"k\tv\tw", b"\t"), (Some(&b"k"[..]), &b"v\tw"[..]));
        assert_eq!(split_key(b"\tv", b"\t"), (Some(&b""[..]), &b"v"[..]));
        assert_eq!(split_key(b"plain", b"\t"), (None, &b"plain"[..]));
        assert_eq!(split_key(b"a::b", b"::"), (Some(&b"a"[..]), &b"b"[..]));
    }
}

//! Scenario `consume`: reads every partition of a topic from its start to the end it had when the
//! run began, as fast as the broker answers.
//!
//! Each connection reads its share of the partitions, one request in flight, as consumers do. Of
//! the records only the batches' headers are looked at (and their checksums, if asked for).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use ringmain_protocol::messages::{EARLIEST_TIMESTAMP, FetchPartition, LATEST_TIMESTAMP};
use ringmain_protocol::records;
use serde::Serialize;

use crate::driver::wire::client::{Client, SILENCE_MAX, other};
use crate::driver::wire::fetcher::{FETCH_WAIT_MAX, Fetcher};
use crate::measure::{Figures, Sample, Work, latency_histogram, nanoseconds};
use crate::outcome::{NamedLatency, Outcome, Phase};
use crate::scenario::Context;
use crate::system::{self, Interest};
use crate::target::Target;

/// What to read, and how.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ConsumeSettings {
    /// The topic; it exists.
    pub(crate) topic: String,
    /// Directory of the broker whose files are taken out of the page cache first.
    pub(crate) evict: Option<PathBuf>,
    /// Connections, each with its share of the partitions.
    pub(crate) connections: usize,
    /// Bytes asked for from each partition in a request.
    pub(crate) partition_max_bytes: i32,
    /// Bytes asked for in a request.
    pub(crate) max_bytes: i32,
    /// How often all is read.
    pub(crate) passes: u32,
    /// Whether each batch's checksum is computed.
    pub(crate) verify_checksums: bool,
}

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &ConsumeSettings, context: &Context) -> io::Result<Outcome> {
    if let Some(directory) = settings.evict.as_ref().or(target.data_dir.as_ref()) {
        evict_directory(directory)?;
    }
    let (topic, address) = (&settings.topic, target.address);
    let mut client = Client::connect(address)?;
    let partition_count = client.partition_count(topic)?;
    let starts = client.offsets(topic, partition_count, EARLIEST_TIMESTAMP)?;
    let ends = client.offsets(topic, partition_count, LATEST_TIMESTAMP)?;
    let ranges: Vec<Range> = (0_i32..)
        .zip(starts.into_iter().zip(ends))
        .map(|(partition, (start, end))| Range { partition, start, next: start, end })
        .collect();
    let mut tally = Tally { work: Work::default(), latencies: latency_histogram() };
    let mut consumers = share(ranges, settings.connections)
        .into_iter()
        .map(|ranges| Ok(Consumer { topic, settings, fetcher: Fetcher::connect(address)?, ranges }))
        .collect::<io::Result<Vec<_>>>()?;
    let begin = Sample::take(target.pid)?;
    for _ in 0..settings.passes {
        read_to_ends(&mut consumers, &mut tally)?;
    }
    let end = Sample::take(target.pid)?;
    let phase = Phase {
        name: "consume".into(),
        figures: Figures::new(tally.work, &begin, &end, context.processor_count),
        latencies: NamedLatency::of("response", &tally.latencies).into_iter().collect(),
        timeline: Vec::new(),
    };
    Ok(Outcome { phases: vec![phase], facts: Vec::new() })
}

/// Takes the files below `directory` out of the page cache, so that a broker must read its disk.
fn evict_directory(directory: &Path) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", directory.display()));
    for entry in fs::read_dir(directory).map_err(named)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            evict_directory(&entry.path())?;
        } else if kind.is_file() {
            system::evict_from_page_cache(&File::open(entry.path())?)?;
        }
    }
    Ok(())
}

/// What is left to read of one partition: `next..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    partition: i32,
    start: i64,
    next: i64,
    end: i64,
}

/// Deals the ranges that hold something out to at most `connections` readers.
fn share(ranges: Vec<Range>, connections: usize) -> Vec<Vec<Range>> {
    let mut shares = vec![Vec::new(); connections];
    for (index, range) in ranges.into_iter().filter(|range| range.start < range.end).enumerate() {
        shares[index % connections].push(range);
    }
    shares.retain(|share| !share.is_empty());
    shares
}

#[derive(Debug)]
struct Tally {
    work: Work,
    latencies: Histogram<u64>,
}

fn read_to_ends(consumers: &mut [Consumer<'_>], tally: &mut Tally) -> io::Result<()> {
    for consumer in consumers.iter_mut() {
        consumer.rewind();
        consumer.request()?;
    }
    loop {
        let mut busy: Vec<&mut Consumer<'_>> =
            consumers.iter_mut().filter(|consumer| consumer.fetcher.is_waiting()).collect();
        if busy.is_empty() {
            return Ok(());
        }
        let mut interests: Vec<Interest> =
            busy.iter().map(|consumer| Interest::new(consumer.fetcher.fd(), false)).collect();
        if system::poll(&mut interests, SILENCE_MAX)? == 0 {
            return Err(other(format!("the broker has said nothing for {} s", SILENCE_MAX.as_secs())));
        }
        for (consumer, interest) in busy.iter_mut().zip(&interests) {
            if interest.is_readable() && consumer.fetcher.receive()? {
                consumer.accept(tally)?;
                consumer.request()?;
            }
        }
    }
}

/// One connection and what it reads.
#[derive(Debug)]
struct Consumer<'a> {
    topic: &'a str,
    settings: &'a ConsumeSettings,
    fetcher: Fetcher,
    ranges: Vec<Range>,
}

impl Consumer<'_> {
    fn rewind(&mut self) {
        for range in &mut self.ranges {
            range.next = range.start;
        }
    }

    /// Asks for what is left, if anything is.
    fn request(&mut self) -> io::Result<()> {
        let wanted = self.ranges.iter().filter(|range| range.next < range.end);
        let partitions: Vec<FetchPartition> = wanted
            .map(|range| FetchPartition {
                partition: range.partition,
                fetch_offset: range.next,
                partition_max_bytes: self.settings.partition_max_bytes,
                ..Default::default()
            })
            .collect();
        if partitions.is_empty() {
            return Ok(());
        }
        self.fetcher.request(self.topic, partitions, self.settings.max_bytes)
    }

    /// Looks at a whole response and moves on behind it.
    fn accept(&mut self, tally: &mut Tally) -> io::Result<()> {
        let (response, waited) = self.fetcher.take_response(self.topic)?;
        let before = tally.work;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let index = partition.partition_index;
            let range = self.ranges.iter_mut().find(|range| range.partition == index);
            let range = range.ok_or_else(|| other(format!("partition {index} was not asked for")))?;
            let bytes = partition.records.unwrap_or_default();
            advance(range, bytes, self.settings.verify_checksums, &mut tally.work)?;
        }
        if tally.work.bytes == before.bytes && waited >= FETCH_WAIT_MAX {
            return Err(other(format!("{} has records that the broker does not return", self.topic)));
        }
        tally.work.requests += 1;
        tally.latencies.saturating_record(nanoseconds(waited));
        Ok(())
    }
}

/// Counts the whole batches in `bytes`, each of which must continue the range.
fn advance(range: &mut Range, bytes: &[u8], verify_checksums: bool, work: &mut Work) -> io::Result<()> {
    for batch in records::batches(bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            // Brokers may cut the last batch at the limit.
            Err(records::BatchError::Truncated { .. }) => break,
            Err(error) => return Err(io::Error::other(error)),
        };
        if batch.base_offset() > range.next || batch.last_offset() < range.next {
            let (partition, next) = (range.partition, range.next);
            let (base, last) = (batch.base_offset(), batch.last_offset());
            return Err(other(format!(
                "partition {partition}: offset {next} was due, {base} to {last} came"
            )));
        }
        if verify_checksums {
            batch.verify_checksum().map_err(io::Error::other)?;
        }
        range.next = batch.last_offset() + 1;
        work.records += u64::try_from(batch.header().record_count.get()).map_err(io::Error::other)?;
        work.bytes += batch.bytes().len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::wire::batch::Batch;

    fn range(partition: i32, start: i64, end: i64) -> Range {
        Range { partition, start, next: start, end }
    }

    fn batch_at(base_offset: i64) -> Vec<u8> {
        let mut bytes = Batch::of_count(10, 100, 0).expect("fits").bytes;
        records::stamp(&mut bytes, base_offset, 0);
        bytes
    }

    #[test]
    fn partitions_are_dealt_out_and_empty_ones_left_out() {
        let ranges = vec![range(0, 0, 5), range(1, 7, 7), range(2, 0, 5), range(3, 0, 5)];
        let shares = share(ranges.clone(), 2);
        assert_eq!(shares, [vec![ranges[0], ranges[3]], vec![ranges[2]]]);
        assert_eq!(share(vec![range(1, 7, 7)], 2), Vec::<Vec<Range>>::new());
    }

    #[test]
    fn batches_continue_the_range_and_a_cut_one_is_left() {
        let mut bytes = [batch_at(0), batch_at(10)].concat();
        let whole = bytes.len();
        bytes.extend_from_slice(&batch_at(20)[..300]);
        let (mut range, mut work) = (range(0, 3, 30), Work::default());
        advance(&mut range, &bytes, true, &mut work).expect("continues");
        assert_eq!(range.next, 20);
        assert_eq!((work.records, work.bytes), (20, whole as u64));
    }

    #[test]
    fn gaps_repetitions_and_flipped_bits_are_errors() {
        let mut work = Work::default();
        assert!(advance(&mut range(0, 0, 30), &batch_at(10), true, &mut work).is_err());
        assert!(advance(&mut range(0, 20, 30), &batch_at(0), true, &mut work).is_err());
        let mut flipped = batch_at(0);
        flipped[200] ^= 1;
        assert!(advance(&mut range(0, 0, 30), &flipped, true, &mut work).is_err());
    }
}

//! One connection that reads its share of a topic's partitions, one request in flight, as consumers do.
//!
//! Of the records only the batches' headers are looked at, and the checksums of some or all. Offsets
//! must follow one another without a gap: a broker that loses or repeats records is an error.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use ringmain_protocol::messages::FetchPartition;
use ringmain_protocol::records;
use serde::Serialize;

use crate::driver::wire::client::other;
use crate::driver::wire::fetcher::{FETCH_WAIT_MAX, Fetcher};

/// Of so many batches one checksum is computed where not all are: corruption shows, at a cost that
/// does not.
const SPOT_CHECK_INTERVAL: u64 = 16;

/// How a connection asks.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ReaderSettings {
    /// Bytes asked for from each partition in a request.
    pub(crate) partition_max_bytes: i32,
    /// Bytes asked for in a request.
    pub(crate) max_bytes: i32,
    /// Whether each batch's checksum is computed.
    pub(crate) verify_checksums: bool,
}

/// What is left to read of one partition: `next..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) partition: i32,
    pub(crate) start: i64,
    pub(crate) next: i64,
    /// `i64::MAX` to follow the log.
    pub(crate) end: i64,
}

impl Range {
    /// All offsets from `start` up to `end`.
    pub(crate) fn new(partition: i32, start: i64, end: i64) -> Self {
        Self { partition, start, next: start, end }
    }
}

/// Deals the ranges that hold something out to at most `connections` readers.
pub(crate) fn share(ranges: Vec<Range>, connections: usize) -> Vec<Vec<Range>> {
    let mut shares = vec![Vec::new(); connections];
    for (index, range) in ranges.into_iter().filter(|range| range.start < range.end).enumerate() {
        shares[index % connections].push(range);
    }
    shares.retain(|share| !share.is_empty());
    shares
}

/// A batch that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) partition: i32,
    pub(crate) base_offset: i64,
    pub(crate) record_count: u64,
    pub(crate) bytes: u64,
}

/// The connection and what it reads.
#[derive(Debug)]
pub(crate) struct Reader {
    topic: String,
    settings: ReaderSettings,
    fetcher: Fetcher,
    /// In the order of their partitions.
    ranges: Vec<Range>,
    batches_seen: u64,
}

impl Reader {
    /// Connects; asks for nothing yet.
    pub(crate) fn connect(
        address: SocketAddr,
        topic: &str,
        ranges: Vec<Range>,
        settings: ReaderSettings,
    ) -> io::Result<Self> {
        assert!(ranges.is_sorted_by_key(|range| range.partition), "ranges are dealt out in order");
        Ok(Self {
            topic: topic.to_owned(),
            settings,
            fetcher: Fetcher::connect(address)?,
            ranges,
            batches_seen: 0,
        })
    }

    /// To wait for it.
    pub(crate) fn fd(&self) -> RawFd {
        self.fetcher.fd()
    }

    /// Whether a request is in flight.
    pub(crate) fn is_waiting(&self) -> bool {
        self.fetcher.is_waiting()
    }

    /// Whether it follows the log rather than read to an end.
    pub(crate) fn follows(&self) -> bool {
        self.ranges.iter().any(|range| range.end == i64::MAX)
    }

    /// Begins anew.
    pub(crate) fn rewind(&mut self) {
        for range in &mut self.ranges {
            range.next = range.start;
        }
    }

    /// Asks for what is left, if anything is.
    pub(crate) fn request(&mut self) -> io::Result<()> {
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
        self.fetcher.request(&self.topic, partitions, self.settings.max_bytes)
    }

    /// Reads what has come. With a whole response `arrived` is told of its batches, and the time
    /// since the request is returned; the caller asks for more.
    pub(crate) fn receive(&mut self, mut arrived: impl FnMut(Arrival)) -> io::Result<Option<Duration>> {
        if !self.fetcher.is_waiting() || !self.fetcher.receive()? {
            return Ok(None);
        }
        let (response, waited) = self.fetcher.take_response(&self.topic)?;
        let mut is_empty = true;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let index = partition.partition_index;
            let found = self.ranges.binary_search_by_key(&index, |range| range.partition);
            let found = found.map_err(|_| other(format!("partition {index} was not asked for")))?;
            let bytes = partition.records.unwrap_or_default();
            let check_all = self.settings.verify_checksums;
            let seen = &mut self.batches_seen;
            advance(&mut self.ranges[found], bytes, check_all, seen, &mut |arrival| {
                is_empty = false;
                arrived(arrival);
            })?;
        }
        let misses_some = self.ranges.iter().any(|range| range.next < range.end && range.end != i64::MAX);
        if is_empty && misses_some && waited >= FETCH_WAIT_MAX {
            return Err(other(format!("{} has records that the broker does not return", self.topic)));
        }
        Ok(Some(waited))
    }
}

/// Goes over the whole batches in `bytes`, each of which must continue the range.
fn advance(
    range: &mut Range,
    bytes: &[u8],
    check_all: bool,
    seen: &mut u64,
    arrived: &mut impl FnMut(Arrival),
) -> io::Result<()> {
    for batch in records::batches(bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            // Brokers may cut the last batch at the limit.
            Err(records::BatchError::Truncated { .. }) => break,
            Err(error) => return Err(io::Error::other(error)),
        };
        let (base_offset, last_offset) = (batch.base_offset(), batch.last_offset());
        if base_offset > range.next || last_offset < range.next {
            let (partition, next) = (range.partition, range.next);
            return Err(other(format!(
                "partition {partition}: offset {next} was due, {base_offset} to {last_offset} came"
            )));
        }
        if check_all || seen.is_multiple_of(SPOT_CHECK_INTERVAL) {
            batch.verify_checksum().map_err(io::Error::other)?;
        }
        *seen += 1;
        range.next = last_offset + 1;
        arrived(Arrival {
            partition: range.partition,
            base_offset,
            record_count: u64::try_from(batch.header().record_count.get()).map_err(io::Error::other)?,
            bytes: batch.bytes().len() as u64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::wire::batch::{Batch, RecordSettings};

    fn batch_at(base_offset: i64) -> Vec<u8> {
        let mut bytes = Batch::of_count(10, RecordSettings::random(100), 0).expect("fits").bytes;
        records::stamp(&mut bytes, base_offset, 0);
        bytes
    }

    fn read(range: &mut Range, bytes: &[u8], check_all: bool) -> io::Result<Vec<Arrival>> {
        let mut arrivals = Vec::new();
        advance(range, bytes, check_all, &mut 1, &mut |arrival| arrivals.push(arrival))?;
        Ok(arrivals)
    }

    #[test]
    fn partitions_are_dealt_out_and_empty_ones_left_out() {
        let ranges = [(0, 0, 5), (1, 7, 7), (2, 0, 5), (3, 0, 5)];
        let ranges: Vec<Range> =
            ranges.into_iter().map(|(p, start, end)| Range::new(p, start, end)).collect();
        let shares = share(ranges.clone(), 2);
        assert_eq!(shares, [vec![ranges[0], ranges[3]], vec![ranges[2]]]);
        assert_eq!(share(vec![Range::new(1, 7, 7)], 2), Vec::<Vec<Range>>::new());
    }

    #[test]
    fn batches_continue_the_range_and_a_cut_one_is_left() {
        let mut bytes = [batch_at(0), batch_at(10)].concat();
        let whole = bytes.len() as u64;
        bytes.extend_from_slice(&batch_at(20)[..300]);
        let mut range = Range { next: 3, ..Range::new(0, 0, 30) };
        let arrivals = read(&mut range, &bytes, true).expect("continues");
        assert_eq!(range.next, 20);
        assert_eq!(arrivals.iter().map(|arrival| arrival.record_count).sum::<u64>(), 20);
        assert_eq!(arrivals.iter().map(|arrival| arrival.bytes).sum::<u64>(), whole);
    }

    #[test]
    fn gaps_repetitions_and_flipped_bits_are_errors() {
        assert!(read(&mut Range::new(0, 0, 30), &batch_at(10), true).is_err());
        assert!(read(&mut Range { next: 20, ..Range::new(0, 0, 30) }, &batch_at(0), true).is_err());
        let mut flipped = batch_at(0);
        flipped[200] ^= 1;
        assert!(read(&mut Range::new(0, 0, 30), &flipped, true).is_err());
        assert!(read(&mut Range::new(0, 0, 30), &flipped, false).is_ok(), "this one is not looked at");
    }
}

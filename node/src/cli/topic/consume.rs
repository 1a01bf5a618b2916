//! `topic consume`: batches in, records out, in constant memory.
//!
//! In steps: the offsets to begin and to stop at are asked for once; then each leader is asked for all its partitions,
//! and while the records of one answer are printed the next one is under way. Batches are checked against their
//! checksums. Failure modes: a broken connection or a leader that moved is looked up again and reading goes on at the
//! record after the last one printed; an offset that is gone by retention goes on at the log's start, with a warning.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    EARLIEST_TIMESTAMP, FetchPartition, FetchRequest, FetchResponse, FetchTopic, LATEST_TIMESTAMP,
};
use ringmain_protocol::records::{RecordBatch, batches};

use super::client;
use super::describe::offsets;
use super::format::Format;
use crate::cli::arguments::{ConsumeArguments, StartPosition};
use crate::cli::failure::Failure;
use crate::cli::output::wait_until_closed;
use crate::client::{Answer, Client, ClientError, Connection, TopicView};

/// How long a broker may wait for records before it answers with none.
const FETCH_WAIT_MS: i32 = 500;

/// The largest answer: bounds memory, and is large enough that the request costs little beside it.
const FETCH_BYTES_MAX: i32 = 16 << 20;

/// Of one partition, so that several share an answer.
const PARTITION_BYTES_MAX: i32 = 4 << 20;

/// The largest batch after decompression that is taken: a batch of a few bytes must not fill the memory.
const DECOMPRESSED_BYTES_MAX: usize = 512 << 20;

/// Records gathered for one write to standard output.
const OUTPUT_BYTES: usize = 256 << 10;

/// Reads records to standard output.
pub(super) fn consume(arguments: &ConsumeArguments) -> Result<(), Failure> {
    let format = match (&arguments.format, arguments.json) {
        (Some(format), _) => Format::parse(format).map_err(Failure::Other)?,
        (None, true) => Format::Json,
        (None, false) => Format::Lines,
    };
    let mut client = client(&arguments.cluster)?;
    let mut topic = client.topic(&arguments.name)?;
    if let Some(wanted) = arguments.partition {
        let count = topic.partitions.len();
        topic.partitions.retain(|partition| partition.index == wanted);
        if topic.partitions.is_empty() {
            let name = &arguments.name;
            return Err(Failure::Other(format!(
                "the topic '{name}' has no partition {wanted}; it has {count}"
            )));
        }
    }
    let positions = positions(&mut client, &topic, arguments)?;
    let mut consumer = Consumer {
        client,
        topic: topic.name.clone(),
        positions,
        links: BTreeMap::new(),
        printer: Printer {
            output: BufWriter::with_capacity(OUTPUT_BYTES, io::stdout()),
            format,
            left: arguments.count,
            holds_newline: arguments.no_final_newline,
            held_newline: false,
        },
    };
    consumer.learn_leaders(&topic);
    consumer.run()
}

/// Where reading stands in a partition.
#[derive(Debug)]
struct Position {
    leader: i32,
    /// The offset of the next record.
    next: i64,
    /// Where to stop, if at the end.
    end: Option<i64>,
}

impl Position {
    fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

fn positions(
    client: &mut Client,
    topic: &TopicView,
    arguments: &ConsumeArguments,
) -> Result<BTreeMap<i32, Position>, Failure> {
    let earliest = offsets(client, topic, EARLIEST_TIMESTAMP)?;
    let latest = offsets(client, topic, LATEST_TIMESTAMP)?;
    let by_time = match arguments.from {
        StartPosition::Timestamp(time) => offsets(client, topic, time)?,
        _ => BTreeMap::new(),
    };
    let mut positions = BTreeMap::new();
    for partition in &topic.partitions {
        let index = partition.index;
        let at = |offsets: &BTreeMap<i32, i64>| offsets.get(&index).copied().unwrap_or(0);
        let next = match arguments.from {
            StartPosition::Earliest => at(&earliest),
            StartPosition::Latest => at(&latest),
            // No record is as late: those to come are.
            StartPosition::Timestamp(_) => match at(&by_time) {
                -1 => at(&latest),
                offset => offset,
            },
            StartPosition::Offset(offset) if (at(&earliest)..=at(&latest)).contains(&offset) => offset,
            StartPosition::Offset(offset) => {
                return Err(Failure::Other(format!(
                    "offset {offset} is not in {}-{index}: it begins at {} and ends before {}",
                    topic.name,
                    at(&earliest),
                    at(&latest)
                )));
            }
        };
        let end = arguments.until_end.then(|| at(&latest));
        positions.insert(index, Position { leader: partition.leader, next, end });
    }
    Ok(positions)
}

struct Consumer {
    client: Client,
    topic: String,
    positions: BTreeMap<i32, Position>,
    links: BTreeMap<i32, Connection>,
    printer: Printer,
}

impl Consumer {
    fn run(&mut self) -> Result<(), Failure> {
        while !self.is_done() {
            let outcome = self.ask_all().and_then(|()| self.take_all());
            match outcome {
                Ok(()) => {}
                Err(Failure::Client(error)) if error.is_retriable(true) => self.find_leaders()?,
                Err(failure) => return Err(failure),
            }
        }
        self.printer.finish()
    }

    fn is_done(&self) -> bool {
        self.printer.left == Some(0) || self.positions.values().all(Position::is_done)
    }

    /// Has a request under way to each leader that has something to give.
    fn ask_all(&mut self) -> Result<(), Failure> {
        let leaders: Vec<i32> =
            self.positions.values().filter(|position| !position.is_done()).map(|p| p.leader).collect();
        for leader in leaders {
            self.ask(leader)?;
        }
        Ok(())
    }

    fn ask(&mut self, leader: i32) -> Result<(), Failure> {
        let partitions: Vec<FetchPartition> = self
            .positions
            .iter()
            .filter(|(_, position)| position.leader == leader && !position.is_done())
            .map(|(index, position)| FetchPartition {
                partition: *index,
                fetch_offset: position.next,
                partition_max_bytes: PARTITION_BYTES_MAX,
                ..Default::default()
            })
            .collect();
        if partitions.is_empty() {
            return Ok(());
        }
        if !self.links.contains_key(&leader) {
            let connection = self.client.connect(leader)?;
            self.links.insert(leader, connection);
        }
        let Some(link) = self.links.get_mut(&leader) else { return Ok(()) };
        if link.waiting_count() > 0 {
            return Ok(());
        }
        link.send(&FetchRequest {
            max_wait_ms: FETCH_WAIT_MS,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX,
            topics: vec![FetchTopic { topic: &self.topic, partitions, ..Default::default() }],
            ..Default::default()
        })?;
        Ok(())
    }

    /// Takes the answer of each leader that was asked; its next one is under way while the records are printed.
    fn take_all(&mut self) -> Result<(), Failure> {
        let leaders: Vec<i32> = self.links.keys().copied().collect();
        for leader in leaders {
            let Some(link) = self.links.get_mut(&leader).filter(|link| link.waiting_count() > 0) else {
                continue;
            };
            // Whoever watches a slow topic sees each record as it comes.
            self.printer.output.flush().map_err(Failure::output)?;
            // And when they stop watching, the topic may stay silent for ever: no write would fail.
            wait_until_closed(Duration::ZERO)?;
            let answer = link.receive()?;
            self.take(leader, &answer)?;
            if self.is_done() {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, leader: i32, answer: &Answer) -> Result<(), Failure> {
        let response: FetchResponse<'_, &[u8]> = answer.decode()?;
        let failed = |code, partition: i32| {
            ClientError::refused(code, None, format!("read {}-{partition}", self.topic))
        };
        if response.error_code != ErrorCode::NONE {
            return Err(failed(response.error_code, 0).into());
        }
        let mut taken = Vec::new();
        // Returned after printing: what was found before it is not lost.
        let mut failure: Option<ClientError> = None;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let index = partition.partition_index;
            let Some(position) = self.positions.get_mut(&index) else { continue };
            match partition.error_code {
                ErrorCode::NONE => {}
                ErrorCode::OFFSET_OUT_OF_RANGE if partition.log_start_offset > position.next => {
                    let start = partition.log_start_offset;
                    eprintln!(
                        "ringmain: {}-{index}: records {} to {} were deleted before they were read; going on at \
                         {start}",
                        self.topic,
                        position.next,
                        start - 1
                    );
                    position.next = start;
                    continue;
                }
                code => {
                    failure = failure.or(Some(failed(code, index)));
                    continue;
                }
            }
            let from = position.next;
            let mut found = Vec::new();
            for batch in batches(partition.records.unwrap_or_default()) {
                // The last batch may be cut off by the limit of the answer.
                let Ok(batch) = batch else { break };
                if batch.last_offset() < position.next {
                    continue;
                }
                position.next = batch.last_offset().saturating_add(1);
                found.push(batch);
            }
            let until = position.end.unwrap_or(i64::MAX);
            taken.push((index, from, until, found));
        }
        // Before printing: the broker works while we do.
        let asked = if failure.is_none() { self.ask(leader) } else { Ok(()) };
        for (index, from, until, found) in taken {
            for batch in found {
                self.printer.print_batch(&self.topic, index, &batch, from..until)?;
            }
        }
        failure.map_or(asked, |error| Err(error.into()))
    }

    /// Looks the leaders up again; what was under way is asked for again from where printing stands.
    fn find_leaders(&mut self) -> Result<(), Failure> {
        self.links.clear();
        let topic = self.client.topic(&self.topic)?;
        self.learn_leaders(&topic);
        Ok(())
    }

    fn learn_leaders(&mut self, topic: &TopicView) {
        for partition in &topic.partitions {
            if let Some(position) = self.positions.get_mut(&partition.index) {
                position.leader = partition.leader;
            }
        }
    }
}

/// Prints records, as many as are wanted.
struct Printer {
    output: BufWriter<io::Stdout>,
    format: Format,
    left: Option<u64>,
    /// Newlines stand between records and not after them.
    holds_newline: bool,
    held_newline: bool,
}

impl Printer {
    fn print_batch(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &RecordBatch<'_>,
        offsets: std::ops::Range<i64>,
    ) -> Result<(), Failure> {
        let damaged = |error: &dyn std::fmt::Display| {
            Failure::Other(format!(
                "the batch at offset {} of {topic}-{partition} is damaged: {error}",
                batch.base_offset()
            ))
        };
        batch.verify_checksum().map_err(|error| damaged(&error))?;
        // The marks of transactions are for consumers, not for people.
        if batch.attributes().is_control() {
            return Ok(());
        }
        let uncompressed = batch.decompress(DECOMPRESSED_BYTES_MAX).map_err(|error| damaged(&error))?;
        for record in batch.records(&uncompressed) {
            let record = record.map_err(|error| damaged(&error))?;
            if !offsets.contains(&record.offset) {
                continue;
            }
            match &mut self.left {
                Some(0) => return Ok(()),
                Some(left) => *left -= 1,
                None => {}
            }
            if self.holds_newline {
                if std::mem::replace(&mut self.held_newline, true) {
                    self.output.write_all(b"\n").map_err(Failure::output)?;
                }
                self.output.write_all(record.value.unwrap_or_default()).map_err(Failure::output)?;
            } else {
                self.format.write(&mut self.output, topic, partition, &record).map_err(Failure::output)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.output.flush().map_err(Failure::output)
    }
}

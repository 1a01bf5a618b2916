//! Reads some records of a partition from whoever leads it, for people to look at.
//!
//! In steps: where the log begins and ends is asked for, and which offset belongs to a time; then batches are fetched,
//! checked and decompressed until there are enough records, the log ends, or a bound is met. What must hold: one look
//! reads at most [`FETCHED_BYTES_MAX`] within [`TIME_MAX`], and says where to go on. Failure modes: a batch that is damaged
//! or too large is told in words, after what was read before it.

use std::time::{Duration, Instant};

use ringmain_protocol::{
    ErrorCode,
    messages::{
        EARLIEST_TIMESTAMP, FetchPartition, FetchRequest, FetchResponse, FetchTopic, LATEST_TIMESTAMP,
    },
    records::{Record, RecordBatch, batches},
};

use crate::{
    client::{Answer, Asker, ClientError, Connection, TopicPartition, offsets_on},
    config::HostPort,
};

/// Of all answers: what a person may wait for, and what five at a time may take of the memory.
const FETCHED_BYTES_MAX: usize = 16 << 20;
/// Of one answer; a batch that is larger comes whole.
const ANSWER_BYTES_MAX: i32 = 1 << 20;
/// A batch of a few bytes must not fill the memory.
const DECOMPRESSED_BYTES_MAX: usize = 32 << 20;
/// For one look, and for one answer in it.
const TIME_MAX: Duration = Duration::from_secs(4);
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// How long the leader may wait: what lies below the high watermark is there.
const FETCH_WAIT_MS: i32 = 100;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Offset(i64),
    /// The first record at or after a time, in milliseconds.
    Time(i64),
    /// So many before the end.
    Last(i64),
}

/// What was read.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) start: i64,
    pub(super) high_watermark: i64,
    /// The first offset that was looked at.
    pub(super) from: i64,
    /// Where to go on.
    pub(super) next: i64,
    pub(super) records: Vec<T>,
    /// Records that were looked at, whether wanted or not.
    pub(super) scanned: u64,
    /// Why it ends before it should.
    pub(super) problem: Option<String>,
}

/// Reads until `take` gave so many records.
pub(super) fn read<T>(
    leader: &HostPort,
    partition: &TopicPartition,
    from: Begin,
    count: usize,
    mut take: impl FnMut(&Record<'_>) -> Option<T>,
) -> Result<Read<T>, ClientError> {
    let begun = Instant::now();
    let mut connection = Connection::open(leader, ANSWER_TIME)?;
    let mut offset = |asker, timestamp| {
        let offsets = offsets_on(&mut connection, asker, timestamp, std::iter::once(partition))?;
        let refused = || {
            let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
            ClientError::refused(code, None, format!("find offsets of {partition}"))
        };
        offsets.get(partition).copied().ok_or_else(refused)
    };
    let start = offset(Asker::Consumer, EARLIEST_TIMESTAMP)?;
    let high_watermark = offset(Asker::Consumer, LATEST_TIMESTAMP)?.max(start);
    let first = match from {
        Begin::Offset(offset) => offset,
        Begin::Last(count) => high_watermark.saturating_sub(count),
        Begin::Time(timestamp) => match offset(Asker::Consumer, timestamp.max(0))? {
            offset if offset < 0 => high_watermark,
            offset => offset,
        },
    };
    let first = first.clamp(start, high_watermark);
    let mut read = Read {
        start,
        high_watermark,
        from: first,
        next: first,
        records: Vec::new(),
        scanned: 0,
        problem: None,
    };
    let mut fetched = 0;
    while read.next < high_watermark && read.records.len() < count && read.problem.is_none() {
        if fetched >= FETCHED_BYTES_MAX || begun.elapsed() > TIME_MAX {
            break;
        }
        let answer = fetch(&mut connection, partition, read.next)?;
        let before = read.next;
        fetched += read.take_answer(&answer, partition, count, &mut take)?;
        if read.next == before && read.problem.is_none() {
            read.problem = Some(format!("nothing could be read at offset {before}"));
        }
    }
    Ok(read)
}

fn fetch(
    connection: &mut Connection,
    partition: &TopicPartition,
    offset: i64,
) -> Result<Answer, ClientError> {
    let wanted = FetchPartition {
        partition: partition.index,
        fetch_offset: offset,
        partition_max_bytes: ANSWER_BYTES_MAX,
        ..Default::default()
    };
    connection.call(&FetchRequest {
        replica_id: -1,
        max_wait_ms: FETCH_WAIT_MS,
        min_bytes: 1,
        max_bytes: ANSWER_BYTES_MAX,
        session_epoch: -1,
        topics: vec![FetchTopic { topic: &partition.topic, partitions: vec![wanted], ..Default::default() }],
        ..Default::default()
    })
}

impl<T> Read<T> {
    /// Takes the records of an answer; its bytes.
    fn take_answer(
        &mut self,
        answer: &Answer,
        partition: &TopicPartition,
        count: usize,
        take: &mut impl FnMut(&Record<'_>) -> Option<T>,
    ) -> Result<usize, ClientError> {
        let response: FetchResponse<'_, &[u8]> = answer.decode()?;
        let refused = |code| ClientError::refused(code, None, format!("read {partition}"));
        if response.error_code != ErrorCode::NONE {
            return Err(refused(response.error_code));
        }
        let mut bytes = 0;
        for told in response.responses.iter().flat_map(|topic| &topic.partitions) {
            match told.error_code {
                ErrorCode::NONE => {}
                ErrorCode::OFFSET_OUT_OF_RANGE if told.log_start_offset > self.next => {
                    // Retention was faster.
                    self.next = told.log_start_offset;
                    continue;
                }
                code => return Err(refused(code)),
            }
            let records = told.records.unwrap_or_default();
            bytes += records.len();
            for batch in batches(records) {
                // The last batch may be cut off by the limit of the answer.
                let Ok(batch) = batch else { break };
                if batch.last_offset() < self.next {
                    continue;
                }
                if let Err(problem) = self.take_batch(&batch, count, take) {
                    self.problem = Some(format!("the batch at offset {}: {problem}", batch.base_offset()));
                    return Ok(bytes);
                }
                if self.records.len() >= count {
                    return Ok(bytes);
                }
            }
        }
        Ok(bytes)
    }

    fn take_batch(
        &mut self,
        batch: &RecordBatch<'_>,
        count: usize,
        take: &mut impl FnMut(&Record<'_>) -> Option<T>,
    ) -> Result<(), String> {
        batch.verify_checksum().map_err(|error| error.to_string())?;
        // The marks of transactions are for consumers, not for people.
        if !batch.attributes().is_control() {
            let uncompressed = batch.decompress(DECOMPRESSED_BYTES_MAX).map_err(|error| error.to_string())?;
            for record in batch.records(&uncompressed) {
                let record = record.map_err(|error| error.to_string())?;
                if record.offset < self.next || record.offset >= self.high_watermark {
                    continue;
                }
                self.scanned += 1;
                self.records.extend(take(&record));
                self.next = record.offset + 1;
                if self.records.len() >= count {
                    return Ok(());
                }
            }
        }
        self.next = batch.last_offset().saturating_add(1).min(self.high_watermark);
        Ok(())
    }
}

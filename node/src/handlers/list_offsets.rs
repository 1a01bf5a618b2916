//! ListOffsets: the first offset at or after a time, or an end of the log.
//!
//! What must hold: a consumer is told nothing at or above the high watermark, and no end of the log before a new leader
//! knows how much of it is committed; a time is found record by record, not batch by batch.

use std::{collections::BTreeSet, rc::Rc};

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        EARLIEST_LOCAL_TIMESTAMP, EARLIEST_TIMESTAMP, LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP,
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
        ListOffsetsTopicResponse, MAX_TIMESTAMP,
    },
    records::{BatchError, RecordBatch},
};
use ringmain_storage::{LeaderEpoch, Offset};

use super::RequestInfo;
use crate::shard::{Partition, Shard, read_error};

/// The oldest special timestamp that each version may ask for; from which version on.
const SPECIAL_TIMESTAMPS: [(i16, i64); 3] =
    [(9, LATEST_TIERED_TIMESTAMP), (8, EARLIEST_LOCAL_TIMESTAMP), (7, MAX_TIMESTAMP)];
/// In place of a timestamp or offset that there is none of.
const NONE: i64 = -1;

/// The first version that is told that a new leader does not know an offset yet.
const NOT_AVAILABLE_FROM_VERSION: i16 = 5;

/// Who asks, which decides how much of the log there is for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// Sees what is committed, and asks the leader.
    Consumer,
    /// Sees all of the log, and asks the leader. Replicas of other kinds than ours would ask so.
    Replica,
    /// Sees all of the log of whatever replica it asks: so operators see who lags behind.
    Debugger,
}

impl Asker {
    fn new(replica_id: i32) -> Self {
        match replica_id {
            DEBUGGING_REPLICA => Self::Debugger,
            replica if replica >= 0 => Self::Replica,
            _ => Self::Consumer,
        }
    }
}

/// A `replica_id` that is none, for tools.
const DEBUGGING_REPLICA: i32 = -2;

/// An offset, and the timestamp and leader epoch of its record where the question was about one.
#[derive(Debug, Clone, Copy)]
struct Found {
    timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &ListOffsetsRequest<'a>,
) -> ListOffsetsResponse<'a> {
    let asker = Asker::new(request.replica_id);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        let twice = named_twice(&topic.partitions);
        let mut answered = BTreeSet::new();
        for asked in topic.partitions.iter().filter(|asked| answered.insert(asked.partition_index)) {
            let partition_index = asked.partition_index;
            let found = if twice.contains(&partition_index) {
                Err(ErrorCode::INVALID_REQUEST)
            } else {
                find(shard, info, asker, topic.name, asked).await
            };
            partitions.push(match found {
                Ok(Found { timestamp, offset, leader_epoch }) => ListOffsetsPartitionResponse {
                    partition_index,
                    timestamp,
                    offset,
                    leader_epoch,
                    ..Default::default()
                },
                Err(error_code) => {
                    ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() }
                }
            });
        }
        topics.push(ListOffsetsTopicResponse { name: Text::Borrowed(topic.name), partitions });
    }
    ListOffsetsResponse { topics, ..Default::default() }
}

/// Partitions that stand more than once in a request: Kafka cannot tell which is meant.
fn named_twice(partitions: &[ListOffsetsPartition]) -> BTreeSet<i32> {
    let mut seen = BTreeSet::new();
    partitions.iter().map(|asked| asked.partition_index).filter(|index| !seen.insert(*index)).collect()
}

async fn find(
    shard: &Rc<Shard>,
    info: RequestInfo,
    asker: Asker,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<Found, ErrorCode> {
    let (timestamp, claimed_epoch) = (asked.timestamp, asked.current_leader_epoch);
    let special = SPECIAL_TIMESTAMPS.iter().find(|(from_version, _)| info.version >= *from_version);
    if timestamp < special.map_or(EARLIEST_TIMESTAMP, |(_, oldest)| *oldest) {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let key = shard.key(topic, asked.partition_index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let found = shard.on_partition(key, async move |partition| {
        match asker {
            Asker::Consumer | Asker::Replica => partition.check_leader(claimed_epoch)?,
            Asker::Debugger => partition.check_leader_epoch(claimed_epoch)?,
        }
        match timestamp {
            LATEST_TIMESTAMP if is_behind(&partition, asker) => Err(ErrorCode::OFFSET_NOT_AVAILABLE),
            LATEST_TIMESTAMP => Ok(end_of_log(&partition, asker)),
            // Nothing lies in remote storage, so all that there is is local.
            EARLIEST_TIMESTAMP | EARLIEST_LOCAL_TIMESTAMP => Ok(start_of_log(&partition)),
            LATEST_TIERED_TIMESTAMP => Ok(NOTHING),
            MAX_TIMESTAMP => match partition.log().max_timestamp() {
                Some((timestamp, _)) => by_time(&partition, asker, timestamp).await,
                None => Ok(NOTHING),
            },
            _ => by_time(&partition, asker, timestamp).await,
        }
    });
    found.await.map_err(|error| match error {
        ErrorCode::OFFSET_NOT_AVAILABLE if info.version < NOT_AVAILABLE_FROM_VERSION => {
            ErrorCode::LEADER_NOT_AVAILABLE
        }
        error => error,
    })
}

const NOTHING: Found = Found { timestamp: NONE, offset: NONE, leader_epoch: -1 };

/// A new leader does not know yet how much of what it has was committed by those before it: what a consumer was told of
/// the end may lie above its high watermark.
fn is_behind(partition: &Partition, asker: Asker) -> bool {
    let start = partition.leadership_start();
    asker == Asker::Consumer && start.is_some_and(|start| partition.high_watermark() < start)
}

/// The end of what the asker may know of.
fn end(partition: &Partition, asker: Asker) -> Offset {
    match asker {
        Asker::Consumer => partition.high_watermark(),
        Asker::Replica | Asker::Debugger => partition.log().log_end_offset(),
    }
}

fn end_of_log(partition: &Partition, asker: Asker) -> Found {
    let offset = end(partition, asker).value();
    Found { timestamp: NONE, offset, leader_epoch: partition.leader_epoch().value() }
}

fn start_of_log(partition: &Partition) -> Found {
    let start = partition.log().log_start_offset();
    let ends_after_start = |epoch| {
        let (epoch, end) = partition.log().end_offset_for_epoch(LeaderEpoch::new(epoch))?;
        (end > start).then_some(epoch.value())
    };
    let leader_epoch = (0..=partition.leader_epoch().value())
        .find_map(ends_after_start)
        .unwrap_or(partition.leader_epoch().value());
    Found { timestamp: NONE, offset: start.value(), leader_epoch }
}

/// The first record at or after `timestamp`, below the end of what the asker may know of.
async fn by_time(partition: &Partition, asker: Asker, timestamp: i64) -> Result<Found, ErrorCode> {
    let up_to = end(partition, asker);
    let bytes = partition.log().batch_for_time(timestamp, up_to).await.map_err(|error| read_error(&error))?;
    let Some(bytes) = bytes else {
        let is_behind = is_behind(partition, asker);
        return if is_behind { Err(ErrorCode::OFFSET_NOT_AVAILABLE) } else { Ok(NOTHING) };
    };
    first_in(&bytes, timestamp, partition.log().log_start_offset()).map_err(|error| error.error_code())
}

/// The index found the batch by its largest timestamp. Without such a record its header lied, and there is nothing to
/// tell: later batches can only have later records.
fn first_in(bytes: &[u8], timestamp: i64, log_start_offset: Offset) -> Result<Found, BatchError> {
    let (batch, _) = RecordBatch::parse(bytes)?;
    let records = batch.decompress(DECOMPRESSED_BYTES_MAX)?;
    for record in batch.records(&records) {
        let record = record?;
        if record.timestamp >= timestamp && record.offset >= log_start_offset.value() {
            let leader_epoch = batch.header().partition_leader_epoch.get();
            return Ok(Found { timestamp: record.timestamp, offset: record.offset, leader_epoch });
        }
    }
    Ok(NOTHING)
}

/// A batch decompressed for a look-up by time: as much as a batch that was validated could hold.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

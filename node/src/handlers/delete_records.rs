//! DeleteRecords: moves the log start offset, durably, before it answers, and waits until the replicas that are alive have
//! moved theirs. The answer is the least of them, as in Kafka; when the time is up the leader's has moved nevertheless.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
    },
};
use ringmain_storage::{ChangeError, Offset};

use crate::{
    metadata::is_internal_topic,
    runtime,
    shard::{Partition, Shard},
};

/// The request names no leader epoch.
const ANY_EPOCH: i32 = -1;
/// How often is looked whether the followers are there: they hear of it with their next fetch, half a second at most.
const LOOK_PERIOD: Duration = Duration::from_millis(20);
/// In place of an offset: everything below the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    request: &DeleteRecordsRequest<'a>,
) -> DeleteRecordsResponse<'a> {
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0).unsigned_abs().into());
    let topics = request.topics.iter().map(async |topic| {
        let partitions = topic.partitions.iter().map(async |asked| {
            let partition_index = asked.partition_index;
            match delete(shard, topic.name, partition_index, asked.offset, deadline).await {
                Ok(low_watermark) => {
                    DeleteRecordsPartitionResult { partition_index, low_watermark, ..Default::default() }
                }
                Err(error_code) => {
                    DeleteRecordsPartitionResult { partition_index, error_code, ..Default::default() }
                }
            }
        });
        let partitions = join_all(partitions).await;
        DeleteRecordsTopicResult { name: Text::Borrowed(topic.name), partitions }
    });
    let topics = join_all(topics).await;
    DeleteRecordsResponse { topics, ..Default::default() }
}

async fn delete(
    shard: &Rc<Shard>,
    topic: &str,
    partition: i32,
    offset: i64,
    deadline: Instant,
) -> Result<i64, ErrorCode> {
    let key = shard.key(topic, partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if is_internal_topic(topic) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let deletable = shard.topic(topic).is_some_and(|topic| topic.config().cleanup_policy.delete);
    if !deletable {
        // As Kafka: a compacted topic keeps the last value of each key.
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let job = move |shard: Rc<Shard>| async move {
        let partition = shard.open_partition(key)?;
        let offset = delete_below(&shard, &partition, offset).await?;
        wait_for_followers(&partition, offset, deadline).await
    };
    shard.run_on(shard.owner(key), job).await
}

/// Moves this leader's start. Returns what was asked for as an offset.
async fn delete_below(shard: &Shard, partition: &Partition, offset: i64) -> Result<Offset, ErrorCode> {
    partition.check_leader(ANY_EPOCH)?;
    let high_watermark = partition.high_watermark();
    let offset = match offset {
        HIGH_WATERMARK => high_watermark,
        offset => Offset::try_new(offset)
            .filter(|offset| *offset <= high_watermark)
            .ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?,
    };
    let log = partition.log();
    if offset > log.log_start_offset() {
        log.advance_log_start(offset).await.map_err(|error| {
            tracing::error!(topic = partition.topic(), partition = partition.key().partition, %error, "delete records");
            match error {
                ChangeError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
                ChangeError::Disk(_) | ChangeError::Corrupt(_) | ChangeError::Offline(_) => {
                    ErrorCode::KAFKA_STORAGE_ERROR
                }
            }
        })?;
        partition.log_start_advanced(shard);
        partition.wake_fetches();
    }
    Ok(offset)
}

/// Waits until no replica that is alive has records below `offset`.
async fn wait_for_followers(
    partition: &Partition,
    offset: Offset,
    deadline: Instant,
) -> Result<i64, ErrorCode> {
    loop {
        partition.check_leader(ANY_EPOCH)?;
        let low_watermark = partition.low_watermark();
        if low_watermark >= offset {
            return Ok(low_watermark.value());
        }
        if Instant::now() >= deadline {
            return Err(ErrorCode::REQUEST_TIMED_OUT);
        }
        runtime::sleep(LOOK_PERIOD).await;
    }
}

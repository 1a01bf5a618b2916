//! DeleteRecords: moves the log start offset, durably, before it answers.

use std::rc::Rc;

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
    shard::{Partition, Shard},
};

/// The request names no leader epoch.
const ANY_EPOCH: i32 = -1;
/// In place of an offset: everything below the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    request: &DeleteRecordsRequest<'a>,
) -> DeleteRecordsResponse<'a> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let partition_index = asked.partition_index;
            partitions.push(match delete(shard, topic.name, partition_index, asked.offset).await {
                Ok(low_watermark) => {
                    DeleteRecordsPartitionResult { partition_index, low_watermark, ..Default::default() }
                }
                Err(error_code) => {
                    DeleteRecordsPartitionResult { partition_index, error_code, ..Default::default() }
                }
            });
        }
        topics.push(DeleteRecordsTopicResult { name: Text::Borrowed(topic.name), partitions });
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

async fn delete(shard: &Rc<Shard>, topic: &str, partition: i32, offset: i64) -> Result<i64, ErrorCode> {
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
        delete_below(&shard, &partition, offset).await
    };
    shard.run_on(shard.owner(key), job).await
}

async fn delete_below(shard: &Shard, partition: &Partition, offset: i64) -> Result<i64, ErrorCode> {
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
    Ok(log.log_start_offset().value())
}

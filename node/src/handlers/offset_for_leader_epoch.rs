//! OffsetForLeaderEpoch: where an epoch ends here, by which a consumer notices that its log was cut (KIP-320).

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
        OffsetForLeaderPartitionResult, OffsetForLeaderTopicResult,
    },
};
use ringmain_storage::LeaderEpoch;

use crate::shard::{Partition, Shard};

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    request: &OffsetForLeaderEpochRequest<'a>,
) -> OffsetForLeaderEpochResponse<'a> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let partition = asked.partition;
            partitions.push(match find(shard, topic.topic, asked).await {
                Ok(Some((epoch, end_offset))) => OffsetForLeaderPartitionResult {
                    partition,
                    leader_epoch: epoch.value(),
                    end_offset,
                    ..Default::default()
                },
                Ok(None) => OffsetForLeaderPartitionResult { partition, ..Default::default() },
                Err(error_code) => {
                    OffsetForLeaderPartitionResult { partition, error_code, ..Default::default() }
                }
            });
        }
        topics.push(OffsetForLeaderTopicResult { topic: Text::Borrowed(topic.topic), partitions });
    }
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}

async fn find(
    shard: &Rc<Shard>,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, i64)>, ErrorCode> {
    let (claimed_epoch, epoch) = (asked.current_leader_epoch, asked.leader_epoch);
    let key = shard.key(topic, asked.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    shard
        .on_partition(key, async move |partition| {
            partition.check_leader(claimed_epoch)?;
            Ok(end_of(&partition, epoch))
        })
        .await
}

/// `None` for an epoch that is newer than all that this log knows, or negative.
fn end_of(partition: &Partition, epoch: i32) -> Option<(LeaderEpoch, i64)> {
    let epoch = LeaderEpoch::try_new(epoch).filter(|epoch| epoch.value() >= 0)?;
    if epoch == partition.leader_epoch() {
        // The current epoch may have no record yet; it ends where the log does.
        return Some((epoch, partition.log().log_end_offset().value()));
    }
    if epoch > partition.leader_epoch() {
        return None;
    }
    partition.log().end_offset_for_epoch(epoch).map(|(epoch, end)| (epoch, end.value()))
}

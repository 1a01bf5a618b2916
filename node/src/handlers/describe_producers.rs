//! DescribeProducers: the idempotent producers that each partition remembers (KIP-664). There are no transactions, so
//! none is ever open, and no transaction coordinator has written.

use std::rc::Rc;

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        DescribeProducersPartitionResponse, DescribeProducersRequest, DescribeProducersResponse,
        DescribeProducersTopicResponse, ProducerState,
    },
};
use ringmain_storage::ProducerSnapshot;

use crate::{
    metadata::controller::{Refusal, check_topic_name},
    shard::{Partition, Shard},
};

/// The request names no leader epoch.
const ANY_EPOCH: i32 = -1;
/// There has been no transaction coordinator.
const NO_COORDINATOR_EPOCH: i32 = -1;
/// No transaction is open.
const NO_TRANSACTION_OFFSET: i64 = -1;

pub(super) async fn answer<'a>(
    shard: &Rc<Shard>,
    request: &DescribeProducersRequest<'a>,
) -> DescribeProducersResponse<'a> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for &partition_index in &topic.partition_indexes {
            let described = match describe(shard, topic.name, partition_index).await {
                Ok(active_producers) => {
                    DescribeProducersPartitionResponse { active_producers, ..Default::default() }
                }
                Err(Refusal { code, message }) => DescribeProducersPartitionResponse {
                    error_code: code,
                    error_message: message.map(Text::Owned),
                    ..Default::default()
                },
            };
            partitions.push(DescribeProducersPartitionResponse { partition_index, ..described });
        }
        topics.push(DescribeProducersTopicResponse { name: Text::Borrowed(topic.name), partitions });
    }
    DescribeProducersResponse { topics, ..Default::default() }
}

async fn describe(shard: &Rc<Shard>, topic: &str, partition: i32) -> Result<Vec<ProducerState>, Refusal> {
    check_topic_name(topic)?;
    if shard.topic(topic).is_none() {
        let message = format!("The topic '{topic}' does not exist.");
        return Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message));
    }
    let key = shard.key(topic, partition).ok_or(Refusal::of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
    let of_leader = async |partition: Rc<Partition>| {
        partition.check_leader(ANY_EPOCH)?;
        Ok(partition.log().producers())
    };
    Ok(shard.on_partition(key, of_leader).await.map_err(Refusal::of)?.into_iter().map(state).collect())
}

fn state(producer: ProducerSnapshot) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch.into(),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: NO_COORDINATOR_EPOCH,
        current_txn_start_offset: NO_TRANSACTION_OFFSET,
    }
}

//! The request that nearly all are: one batch, for a partition that this shard owns.
//!
//! What must hold: it is answered in the same bytes as on the way of all others (`handlers/produce.rs`), which takes what
//! is not sure to be accepted here. Nothing is allocated for it between the decoded request and its answer.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use ringmain_protocol::{ErrorCode, messages::ProduceRequest};
use ringmain_replication::Acks;
use ringmain_storage::LogKey;

use super::{FIRST_VERSION_WITH_BATCHES, layout, validate};
use crate::{
    handlers::RequestInfo,
    metadata::is_internal_topic,
    observability::Stage,
    server::{Appended, Response, Slot},
    shard::{Partition, ProduceAnswer, ProduceOperation, Reply, RequestBytesGuard, Shard},
};

/// A request that waits for its batch.
pub(crate) struct LoneRequest {
    info: RequestInfo,
    acks: Acks,
    topic: Arc<str>,
    partition: i32,
    slot: Slot,
    shard: Rc<Shard>,
    _counted: RequestBytesGuard,
}

/// Appends the batch of a request that has only this one. Gives the slot back if it has another number of them, or
/// anything about it asks for a closer look.
pub(super) fn begin(
    shard: &Rc<Shard>,
    info: RequestInfo,
    request: &ProduceRequest<'_, &[u8]>,
    body: &Bytes,
    slot: Slot,
) -> Option<Slot> {
    let began = shard.clock().recent();
    let Some((partition, acks, valid)) = accept(shard, info.version, request, body) else {
        return Some(slot);
    };
    let arrived = shard.clock().read();
    shard.stages().add(Stage::Parse, shard.clock().nanoseconds(began, arrived), 1);
    let lone = LoneRequest {
        info,
        acks,
        topic: partition.topic_name().clone(),
        partition: partition.key().partition,
        slot,
        shard: shard.clone(),
        _counted: shard.request_bytes().add(body.len()),
    };
    let operation = ProduceOperation {
        batch: valid.batch,
        acks,
        timeout_ms: request.timeout_ms,
        log_append_time: valid.log_append_time,
        arrived,
        reply: Reply::Alone(lone),
    };
    partition.produce(shard, operation);
    None
}

/// The partition of the one batch of a request, if both are here and nothing speaks against it.
fn accept(
    shard: &Shard,
    version: i16,
    request: &ProduceRequest<'_, &[u8]>,
    body: &Bytes,
) -> Option<(Rc<Partition>, Acks, validate::Valid)> {
    let [topic] = request.topics.as_slice() else { return None };
    let [sent] = topic.partitions.as_slice() else { return None };
    let is_special = version < FIRST_VERSION_WITH_BATCHES
        || request.transactional_id.is_some()
        || is_internal_topic(topic.name);
    if is_special {
        return None;
    }
    let acks = Acks::from_wire(request.acks)?;
    let found = shard.topic(topic.name).filter(|found| found.has_partition(sent.index))?;
    let key = LogKey { topic_id: found.topic_id(), partition: sent.index };
    if shard.owner(key) != shard.id() {
        return None;
    }
    let partition = shard.partition(key)?;
    let at = validate::At { version, now_ms: shard.clock().unix_ms() };
    let valid = validate::by_header(found.config(), at, sent.records?, body)?;
    Some((partition, acks, valid))
}

impl LoneRequest {
    /// Fills the place of the answer.
    pub(crate) fn answer(self, answer: ProduceAnswer) {
        let ready = self.shard.clock().recent();
        let response = match (self.acks, answer.error) {
            // As for other requests: such a client hears nothing, and an error ends the connection.
            (Acks::None, ErrorCode::NONE) => Response::none(),
            (Acks::None, _) => Response::close(),
            (_, ErrorCode::NONE) => Response::appended(Appended {
                header: self.info.response_header(self.info.version),
                topic: self.topic,
                partition: self.partition,
                base_offset: answer.base_offset,
                log_append_time_ms: answer.log_append_time_ms,
                log_start_offset: answer.log_start_offset,
            }),
            _ => layout::encode_one(self.info, &self.topic, self.partition, answer).unwrap_or_else(|error| {
                tracing::error!(%error, "answer a produce request");
                Response::close()
            }),
        };
        self.slot.fill(response.produced(ready, 1));
    }
}

//! Produce: each batch validated here, on the core that received it, and appended by the shard that owns its partition.
//!
//! What must hold: batches of one connection reach a partition in the order of their requests; with `acks=0` nothing is
//! answered; a request that names nothing is answered at once; what the coordinators keep is not written by clients.

mod layout;
mod lone;
mod validate;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use bytes::Bytes;
use ringmain_protocol::{
    ErrorCode,
    codec::Reader,
    messages::{ProduceRequest, decode_request},
};
use ringmain_replication::Acks;
use ringmain_storage::{LogKey, ShardId};

pub(crate) use self::lone::LoneRequest;
use self::{layout::Layout, validate::Valid};
use super::{RequestError, RequestInfo};
use crate::{
    metadata::is_internal_topic,
    observability::Stage,
    runtime::{self, Ticks},
    server::{Response, Slot},
    shard::{Gather, ProduceAnswer, ProduceOperation, Reply, Shard},
};

/// Versions below carry message sets, which are older than record batches.
const FIRST_VERSION_WITH_BATCHES: i16 = 3;

/// The name of the clients that may write to internal topics: Kafka's own tools have it.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// A batch on its way to its partition, or the refusal of one, which the owner completes with where the log starts.
struct Routed {
    key: LogKey,
    valid: Result<Valid, Box<ProduceAnswer>>,
    part: usize,
}

/// What decides which batches a client may write.
#[derive(Clone, Copy)]
struct Writer {
    version: i16,
    may_write_internal_topics: bool,
}

/// When batches were on the shard of their partitions.
#[derive(Debug, Clone, Copy)]
struct Visit {
    arrived: Ticks,
    answered: Ticks,
}

/// What all batches of a request share.
#[derive(Clone, Copy)]
struct Terms {
    acks: Acks,
    timeout_ms: i32,
}

/// Sends the batches of a request to their shards; the answer fills `slot` when the last of them is done.
pub(super) async fn begin(
    shard: &Rc<Shard>,
    info: RequestInfo,
    client_id: Option<&str>,
    body: Bytes,
    slot: Slot,
) -> Result<(), (RequestError, Slot)> {
    let mut request: ProduceRequest<'_, &[u8]> = match decode_request(&mut Reader::new(&body), info.version) {
        Ok(request) => request,
        Err(error) => return Err((error.into(), slot)),
    };
    let Some(slot) = lone::begin(shard, info, &request, &body, slot) else { return Ok(()) };
    keep_last(&mut request);
    let acks = Acks::from_wire(request.acks);
    let layout = Layout::new(&request);
    let parts = layout.parts();
    if parts == 0 {
        slot.fill(finish(info, acks, &layout, Vec::new()));
        return Ok(());
    }
    let counted = shard.request_bytes().add(body.len());
    let (began, answering) = (shard.clock().recent(), shard.clone());
    let answers = Rc::new(Gather::new(parts, move |answers| {
        drop(counted);
        let ready = answering.clock().recent();
        slot.fill(finish(info, acks, &layout, answers).produced(ready, parts));
    }));
    let terms = match acks {
        _ if info.version < FIRST_VERSION_WITH_BATCHES => Err(ErrorCode::UNSUPPORTED_VERSION),
        // Transactions are not served: no client can have begun one here.
        _ if request.transactional_id.is_some() => Err(ErrorCode::INVALID_TXN_STATE),
        None => Err(ErrorCode::INVALID_REQUIRED_ACKS),
        Some(acks) => Ok(Terms { acks, timeout_ms: request.timeout_ms }),
    };
    let terms = match terms {
        Ok(terms) => terms,
        Err(error) => {
            (0..parts).for_each(|part| answers.put(part, ProduceAnswer::error(error)));
            return Ok(());
        }
    };
    let may_write_internal_topics = client_id == Some(ADMIN_CLIENT_ID);
    let writer = Writer { version: info.version, may_write_internal_topics };
    let routes = route(shard, writer, &request, &body, &answers).await;
    let parsed = shard.clock().read();
    shard.stages().add(Stage::Parse, shard.clock().nanoseconds(began, parsed), parts as u64);
    for (owner, routed) in routes {
        if owner == shard.id() {
            append_here(shard, routed, terms, &answers);
        } else {
            append_there(shard, owner, routed, terms, answers.clone()).await;
        }
    }
    Ok(())
}

/// Validates each batch and finds its shard; what is invalid is answered.
async fn route(
    shard: &Rc<Shard>,
    writer: Writer,
    request: &ProduceRequest<'_, &[u8]>,
    body: &Bytes,
    answers: &Gather<ProduceAnswer>,
) -> BTreeMap<ShardId, Vec<Routed>> {
    let mut routes: BTreeMap<ShardId, Vec<Routed>> = BTreeMap::new();
    let mut parts = 0..;
    for topic in &request.topics {
        let found = shard.topic(topic.name);
        let is_forbidden = is_internal_topic(topic.name) && !writer.may_write_internal_topics;
        for partition in &topic.partitions {
            let part = parts.next().expect("an open range has no end");
            let Some(found) = found.as_ref().filter(|found| found.has_partition(partition.index)) else {
                answers.put(part, ProduceAnswer::error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
                continue;
            };
            if is_forbidden {
                answers.put(part, ProduceAnswer::error(ErrorCode::INVALID_TOPIC_EXCEPTION));
                continue;
            }
            let key = LogKey { topic_id: found.topic_id(), partition: partition.index };
            let at = validate::At { version: writer.version, now_ms: shard.clock().unix_ms() };
            let valid = validate::batch(found.config(), at, partition.records, body).await;
            routes.entry(shard.owner(key)).or_default().push(Routed { key, valid, part });
        }
    }
    routes
}

fn append_here(shard: &Rc<Shard>, routed: Vec<Routed>, terms: Terms, answers: &Rc<Gather<ProduceAnswer>>) {
    let Terms { acks, timeout_ms } = terms;
    let arrived = shard.clock().recent();
    for Routed { key, valid, part } in routed {
        let Valid { batch, log_append_time } = match valid {
            Ok(valid) => valid,
            Err(refusal) => {
                answers.put(part, with_log_start(shard, key, *refusal));
                continue;
            }
        };
        let answers = answers.clone();
        let reply = Reply::Part(answers, part);
        let operation = ProduceOperation { batch, acks, timeout_ms, log_append_time, arrived, reply };
        match shard.partition(key) {
            Some(partition) => partition.produce(shard, operation),
            None => operation.answer(ProduceAnswer::error(shard.absent(key))),
        }
    }
}

/// Kafka tells where the log starts with what it finds wrong inside a batch, not with what it finds wrong around it.
fn with_log_start(shard: &Shard, key: LogKey, mut refusal: ProduceAnswer) -> ProduceAnswer {
    let inside = matches!(refusal.error, ErrorCode::INVALID_RECORD | ErrorCode::INVALID_TIMESTAMP);
    if let Some(partition) = shard.partition(key).filter(|_| inside) {
        refusal.log_start_offset = partition.log().log_start_offset().value();
    }
    refusal
}

/// Of a partition that a request names more than once, the last batch counts; the others are not answered.
fn keep_last(request: &mut ProduceRequest<'_, &[u8]>) {
    if let [topic] = request.topics.as_slice()
        && topic.partitions.len() < 2
    {
        return;
    }
    let mut seen = BTreeSet::new();
    for topic in request.topics.iter_mut().rev() {
        topic.partitions.reverse();
        topic.partitions.retain(|partition| seen.insert((topic.name, partition.index)));
        topic.partitions.reverse();
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
}

async fn append_there(
    shard: &Rc<Shard>,
    owner: ShardId,
    routed: Vec<Routed>,
    terms: Terms,
    answers: Rc<Gather<ProduceAnswer>>,
) {
    let parts: Vec<usize> = routed.iter().map(|routed| routed.part).collect();
    let sent = shard.clock().recent();
    let call = shard.call(owner, move |owner, reply| {
        let (arrived, answering) = (owner.clock().read(), owner.clone());
        let finish = move |answers: Vec<ProduceAnswer>| {
            let there = Visit { arrived, answered: answering.clock().recent() };
            // The connection may end before the answers come: nobody needs them then.
            drop(reply.send((there, answers)));
        };
        let answers = Rc::new(Gather::new(routed.len(), finish));
        let routed = routed.into_iter().enumerate().map(|(part, routed)| Routed { part, ..routed });
        append_here(owner, routed.collect(), terms, &answers);
    });
    let call = call.await;
    let shard = shard.clone();
    runtime::spawn(async move {
        let (there, found) = call.value().await;
        let clock = shard.clock();
        let ways = clock.nanoseconds(sent, there.arrived) + clock.nanoseconds(there.answered, clock.read());
        shard.stages().add(Stage::CrossCore, ways, parts.len() as u64);
        for (part, answer) in parts.into_iter().zip(found) {
            answers.put(part, answer);
        }
    });
}

fn finish(info: RequestInfo, acks: Option<Acks>, layout: &Layout, answers: Vec<ProduceAnswer>) -> Response {
    if acks == Some(Acks::None) {
        // Such a client hears nothing; that the connection ends is Kafka's way to tell it of an error.
        let failed = answers.iter().any(|answer| answer.error != ErrorCode::NONE);
        return if failed { Response::close() } else { Response::none() };
    }
    layout.encode(info, answers).unwrap_or_else(|error| {
        tracing::error!(%error, "answer a produce request");
        Response::close()
    })
}

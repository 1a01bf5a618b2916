//! The answer to a fetch: which partitions it names, and their records by reference.

use ringmain_protocol::{
    ErrorCode,
    codec::{Payload, Text, Uuid},
    frame::{self, tallied_response_chunks},
    messages::{EpochAndOffset, FetchPartitionResponse, FetchTopicResponse},
};

use super::{
    Answer,
    session::{NamedTopic, Session},
};
use crate::{
    handlers::{RequestError, RequestInfo, leader_hints::LeaderHints},
    server::{Chunk, Response},
    shard::{PartitionFetched, Shard},
};

/// The first version that tells who leads (KIP-951).
const HINTS_FROM_VERSION: i16 = 16;

/// Records of one partition, from where they are.
#[derive(Debug, Default)]
pub(super) struct Records {
    chunks: Vec<Chunk>,
    length: usize,
}

impl Payload for Records {
    fn size_bytes(&self) -> usize {
        self.length
    }
}

/// Answers with those partitions that the session has to hear of.
pub(super) fn assemble(
    shard: &Shard,
    version: i16,
    session: Session,
    fetched: Vec<PartitionFetched>,
) -> Answer {
    let read_committed = session.is_read_committed();
    let finished = shard.fetch_sessions().finish(session, &fetched);
    let mut responses: Vec<FetchTopicResponse<'static, Records>> = Vec::new();
    let mut hints = LeaderHints::new(shard);
    let mut last = None;
    for (wanted, fetched) in finished.partitions.into_iter().zip(fetched) {
        let Some(wanted) = wanted else { continue };
        let mut partition = partition(wanted.partition, read_committed, fetched);
        if version >= HINTS_FROM_VERSION
            && let NamedTopic::Id(topic_id) = wanted.topic
        {
            partition.current_leader = hints.of(partition.error_code, topic_id, wanted.partition);
        }
        if last.as_ref() != Some(&wanted.topic) {
            responses.push(topic(&wanted.topic));
            last = Some(wanted.topic);
        }
        responses.last_mut().expect("there is one for this topic").partitions.push(partition);
    }
    let node_endpoints = hints.endpoints();
    Answer { session_id: finished.session_id, responses, node_endpoints, ..Default::default() }
}

/// An answer about no partition yet.
fn topic(named: &NamedTopic) -> FetchTopicResponse<'static, Records> {
    match named {
        NamedTopic::Name(name) => FetchTopicResponse {
            topic: Text::Owned(name.as_ref().to_owned()),
            topic_id: Uuid::NIL,
            partitions: Vec::new(),
        },
        NamedTopic::Id(topic_id) => FetchTopicResponse {
            topic: Text::Borrowed(""),
            topic_id: Uuid(topic_id.0),
            partitions: Vec::new(),
        },
    }
}

fn partition(
    partition_index: i32,
    read_committed: bool,
    fetched: PartitionFetched,
) -> FetchPartitionResponse<Records> {
    // As Kafka: these never reach the code that knows the isolation level.
    let is_unknown =
        matches!(fetched.error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID);
    let diverging = fetched.diverging_epoch.map(|(epoch, end_offset)| EpochAndOffset { epoch, end_offset });
    FetchPartitionResponse {
        partition_index,
        error_code: fetched.error,
        high_watermark: fetched.high_watermark,
        // Without transactions everything below the high watermark is stable.
        last_stable_offset: fetched.high_watermark,
        log_start_offset: fetched.log_start_offset,
        diverging_epoch: diverging.unwrap_or_default(),
        preferred_read_replica: fetched.preferred_replica.map_or(-1, |replica| replica.0),
        aborted_transactions: (read_committed || is_unknown).then(Vec::new),
        records: Some(Records { chunks: fetched.chunks, length: fetched.length }),
        ..Default::default()
    }
}

/// The frame as chunks: bytes of ours, and ranges of memory and files between them.
pub(super) fn encode(info: RequestInfo, answer: Answer) -> Result<Response, RequestError> {
    let mut chunks = Vec::new();
    let (parts, errors) = tallied_response_chunks(&info.response_header(info.version), answer)?;
    for chunk in parts {
        match chunk {
            frame::Chunk::Bytes(bytes) => chunks.push(Chunk::Memory(bytes)),
            frame::Chunk::Payload(records) => chunks.extend(records.chunks),
        }
    }
    Ok(Response::chunks(chunks).telling(errors))
}

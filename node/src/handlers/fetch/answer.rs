//! The answer to a fetch: which partitions it names, and their records by reference.

use ringmain_protocol::{
    ErrorCode,
    codec::{Payload, Text},
    frame::{self, response_chunks},
    messages::{EpochAndOffset, FetchPartitionResponse, FetchTopicResponse},
};

use super::{Answer, session::Session};
use crate::{
    handlers::{RequestError, RequestInfo},
    server::{Chunk, Response},
    shard::{PartitionFetched, Shard},
};

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
pub(super) fn assemble(shard: &Shard, session: Session, fetched: Vec<PartitionFetched>) -> Answer {
    let read_committed = session.is_read_committed();
    let finished = shard.fetch_sessions().finish(session, &fetched);
    let mut responses: Vec<FetchTopicResponse<'static, Records>> = Vec::new();
    for (wanted, fetched) in finished.partitions.into_iter().zip(fetched) {
        let Some(wanted) = wanted else { continue };
        let partition = partition(wanted.partition, read_committed, fetched);
        match responses.last_mut() {
            Some(last) if last.topic == *wanted.topic => last.partitions.push(partition),
            _ => {
                let topic = Text::Owned(wanted.topic.as_ref().to_owned());
                responses.push(FetchTopicResponse { topic, partitions: vec![partition] });
            }
        }
    }
    Answer { session_id: finished.session_id, responses, ..Default::default() }
}

fn partition(
    partition_index: i32,
    read_committed: bool,
    fetched: PartitionFetched,
) -> FetchPartitionResponse<Records> {
    // As Kafka: these never reach the code that knows the isolation level.
    let is_unknown = fetched.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let diverging = fetched.diverging_epoch.map(|(epoch, end_offset)| EpochAndOffset { epoch, end_offset });
    FetchPartitionResponse {
        partition_index,
        error_code: fetched.error,
        high_watermark: fetched.high_watermark,
        // Without transactions everything below the high watermark is stable.
        last_stable_offset: fetched.high_watermark,
        log_start_offset: fetched.log_start_offset,
        diverging_epoch: diverging.unwrap_or_default(),
        aborted_transactions: (read_committed || is_unknown).then(Vec::new),
        records: Some(Records { chunks: fetched.chunks, length: fetched.length }),
        ..Default::default()
    }
}

/// The frame as chunks: bytes of ours, and ranges of memory and files between them.
pub(super) fn encode(info: RequestInfo, answer: Answer) -> Result<Response, RequestError> {
    let mut chunks = Vec::new();
    for chunk in response_chunks(&info.response_header(info.version), answer)? {
        match chunk {
            frame::Chunk::Bytes(bytes) => chunks.push(Chunk::Memory(bytes)),
            frame::Chunk::Payload(records) => chunks.extend(records.chunks),
        }
    }
    Ok(Response::chunks(chunks))
}

//! The order and grouping of a produce request's batches, and the answer in the same.

use ringmain_protocol::{
    codec::Text,
    messages::{
        ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic, ProduceTopicResponse,
        RecordError,
    },
};

use crate::{
    handlers::{RequestError, RequestInfo},
    server::Response,
    shard::ProduceAnswer,
};

/// The topics and partitions of a request, which outlive its frame.
pub(super) struct Layout(Vec<(Box<str>, Vec<i32>)>);

impl Layout {
    pub(super) fn new(request: &ProduceRequest<'_, &[u8]>) -> Self {
        let topic = |topic: &ProduceTopic<'_, &[u8]>| {
            (topic.name.into(), topic.partitions.iter().map(|partition| partition.index).collect())
        };
        Self(request.topics.iter().map(topic).collect())
    }

    /// Batches of the request.
    pub(super) fn parts(&self) -> usize {
        self.0.iter().map(|(_, partitions)| partitions.len()).sum()
    }

    /// The answer; one of `answers` for each part.
    pub(super) fn encode(
        &self,
        info: RequestInfo,
        answers: Vec<ProduceAnswer>,
    ) -> Result<Response, RequestError> {
        let mut answers = answers.into_iter();
        let responses = self.0.iter().map(|(name, partitions)| {
            let partitions = partitions.iter().zip(&mut answers);
            ProduceTopicResponse {
                name: Text::Borrowed(name),
                partitions: partitions.map(|(&index, answer)| partition(index, answer)).collect(),
            }
        });
        info.answer(&ProduceResponse { responses: responses.collect(), ..Default::default() })
    }
}

/// The answer to a request of a single batch.
pub(super) fn encode_one(
    info: RequestInfo,
    topic: &str,
    index: i32,
    answer: ProduceAnswer,
) -> Result<Response, RequestError> {
    let partitions = vec![partition(index, answer)];
    let topic = ProduceTopicResponse { name: Text::Borrowed(topic), partitions };
    info.answer(&ProduceResponse { responses: vec![topic], ..Default::default() })
}

fn partition(index: i32, answer: ProduceAnswer) -> ProducePartitionResponse<'static> {
    let record_errors = answer.record_errors.into_iter().map(|(batch_index, message)| RecordError {
        batch_index,
        batch_index_error_message: message.map(Text::Owned),
    });
    ProducePartitionResponse {
        index,
        error_code: answer.error,
        base_offset: answer.base_offset,
        log_append_time_ms: answer.log_append_time_ms,
        log_start_offset: answer.log_start_offset,
        record_errors: record_errors.collect(),
        error_message: answer.message.map(Text::Owned),
        ..Default::default()
    }
}

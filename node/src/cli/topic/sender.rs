//! Sends batches: several ahead of their acknowledgements, each exactly once and in order within its partition.
//!
//! In steps: a batch gets its partition's next sequence numbers and is kept until it is acknowledged; up to
//! [`IN_FLIGHT_MAX`] requests are on a connection at once. Failure modes: when a connection breaks or a broker gives an
//! error that passes, what is under way on that connection is drained, the leaders are looked up anew, and every batch
//! of it that is not acknowledged is sent again in order with the same sequence numbers; a broker that has one already
//! answers with success. An error that stays ends the sending.

use std::collections::{BTreeMap, VecDeque};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringmain_protocol::ErrorCode;
use ringmain_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProduceRequest, ProduceResponse,
    ProduceTopic,
};
use ringmain_protocol::records::{ProducerState, RecordBatchBuilder};

use crate::cli::arguments::AcksArgument;
use crate::client::{Answer, Client, ClientError, Connection, TopicView};

/// Requests under way on a connection: brokers remember five batches of an idempotent producer, no more, to recognise
/// one that is sent again.
const IN_FLIGHT_MAX: usize = 5;

/// Longest pause before everything is sent again.
const BACKOFF_LONGEST: Duration = Duration::from_secs(1);

/// Sends batches to the partitions of one topic.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    topic: String,
    acks: AcksArgument,
    /// Of an idempotent producer.
    producer: Option<(i64, i16)>,
    partitions: BTreeMap<i32, Partition>,
    links: BTreeMap<i32, Link>,
}

/// A partition as the sender sees it.
#[derive(Debug, Default)]
struct Partition {
    leader: i32,
    next_sequence: i32,
}

/// A connection to a leader, and what is under way on it, oldest first.
#[derive(Debug)]
struct Link {
    connection: Connection,
    under_way: VecDeque<Batch>,
}

/// A batch that is not acknowledged.
#[derive(Debug, Clone)]
struct Batch {
    partition: i32,
    bytes: Bytes,
    /// The number of the last line in it, to say how far it went.
    last_line: u64,
}

impl Sender {
    /// Prepares to send; takes a producer id unless the acknowledgements cannot be relied on.
    pub(super) fn new(
        mut client: Client,
        topic: &TopicView,
        acks: AcksArgument,
    ) -> Result<Self, ClientError> {
        let producer = match acks {
            AcksArgument::All => Some(init_producer_id(&mut client)?),
            AcksArgument::Leader | AcksArgument::None => None,
        };
        let mut sender = Self {
            client,
            topic: topic.name.clone(),
            acks,
            producer,
            partitions: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        sender.learn_leaders(topic);
        Ok(sender)
    }

    /// Sends a batch; waits while too many are under way.
    pub(super) fn send(
        &mut self,
        partition: i32,
        records: RecordBatchBuilder,
        last_line: u64,
    ) -> Result<(), ClientError> {
        let state = self.partitions.entry(partition).or_default();
        let producer = match self.producer {
            Some((producer_id, producer_epoch)) => {
                let base_sequence = state.next_sequence;
                state.next_sequence = sequence_after(base_sequence, records.record_count());
                ProducerState { producer_id, producer_epoch, base_sequence }
            }
            None => ProducerState::NONE,
        };
        let leader = state.leader;
        let bytes = Bytes::from(records.producer(producer).finish());
        let batch = Batch { partition, bytes, last_line };
        while self.links.get(&leader).is_some_and(|link| link.under_way.len() >= IN_FLIGHT_MAX) {
            self.settle_oldest(leader)?;
        }
        match self.transmit(leader, batch.clone()) {
            Ok(()) => Ok(()),
            Err(error) => self.send_again(leader, error, Some(batch)),
        }
    }

    /// Waits until everything is acknowledged.
    pub(super) fn finish(&mut self) -> Result<(), ClientError> {
        while let Some(leader) = self.busy_leader() {
            self.settle_oldest(leader)?;
        }
        Ok(())
    }

    fn busy_leader(&self) -> Option<i32> {
        self.links.iter().find(|(_, link)| !link.under_way.is_empty()).map(|(leader, _)| *leader)
    }

    /// Takes the acknowledgement of the oldest batch on a link.
    fn settle_oldest(&mut self, leader: i32) -> Result<(), ClientError> {
        let Some(link) = self.links.get_mut(&leader) else { return Ok(()) };
        match link.connection.receive().and_then(|answer| link.settle(&answer, &self.topic)) {
            Ok(()) => Ok(()),
            Err(error) => self.send_again(leader, error, None),
        }
    }

    /// After a failure on a link: brings everything of it under way again, in order.
    fn send_again(
        &mut self,
        leader: i32,
        error: ClientError,
        unsent: Option<Batch>,
    ) -> Result<(), ClientError> {
        let mut batches = VecDeque::new();
        if let Some(mut link) = self.links.remove(&leader) {
            // A later batch may have been taken although an earlier one was not: all of them are asked for again.
            link.drain(&self.topic);
            batches = link.under_way;
        }
        batches.extend(unsent);
        let mut deadline = Instant::now() + self.client.timeout();
        let mut pause = Duration::from_millis(50);
        let mut error = error;
        while !batches.is_empty() {
            if !may_pass(&error) || Instant::now() >= deadline {
                return Err(self.explained(error, batches.front()));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(BACKOFF_LONGEST);
            let topic = self.client.topic(&self.topic);
            let topic = topic.map_err(|error| self.explained(error, batches.front()))?;
            self.learn_leaders(&topic);
            // Leaders may have changed, so links may hold older batches of other partitions; each partition's batches
            // are all in this list, and one after the other keeps their order.
            let before = batches.len();
            match self.send_one_by_one(&mut batches) {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
            if batches.len() < before {
                deadline = Instant::now() + self.client.timeout();
            }
        }
        Ok(())
    }

    /// Sends each batch and waits for its acknowledgement; leaves those that are not acknowledged.
    fn send_one_by_one(&mut self, batches: &mut VecDeque<Batch>) -> Result<(), ClientError> {
        while let Some(batch) = batches.front() {
            let leader = self.partitions.get(&batch.partition).map_or(-1, |partition| partition.leader);
            // What is under way to that leader goes first, so that the next answer is this batch's.
            while self.links.get(&leader).is_some_and(|link| !link.under_way.is_empty()) {
                let Some(link) = self.links.get_mut(&leader) else { break };
                if let Err(error) =
                    link.connection.receive().and_then(|answer| link.settle(&answer, &self.topic))
                {
                    if let Some(mut link) = self.links.remove(&leader) {
                        link.drain(&self.topic);
                        batches.extend(link.under_way);
                    }
                    return Err(error);
                }
            }
            let batch = batch.clone();
            let sent = self.transmit(leader, batch).and_then(|()| match self.links.get_mut(&leader) {
                Some(link) if self.acks != AcksArgument::None => {
                    link.connection.receive().and_then(|answer| link.settle(&answer, &self.topic))
                }
                _ => Ok(()),
            });
            if let Err(error) = sent {
                self.links.remove(&leader);
                return Err(error);
            }
            batches.pop_front();
        }
        Ok(())
    }

    fn transmit(&mut self, leader: i32, batch: Batch) -> Result<(), ClientError> {
        if !self.links.contains_key(&leader) {
            let connection = self.client.connect(leader)?;
            self.links.insert(leader, Link { connection, under_way: VecDeque::new() });
        }
        let Some(link) = self.links.get_mut(&leader) else { return Err(ClientError::UnknownNode(leader)) };
        let request = ProduceRequest {
            acks: match self.acks {
                AcksArgument::All => -1,
                AcksArgument::Leader => 1,
                AcksArgument::None => 0,
            },
            timeout_ms: self.client.timeout_ms(),
            topics: vec![ProduceTopic {
                name: &self.topic,
                partitions: vec![ProducePartition {
                    index: batch.partition,
                    records: Some(batch.bytes.clone()),
                }],
            }],
            ..Default::default()
        };
        link.connection.send_produce(request)?;
        if self.acks != AcksArgument::None {
            link.under_way.push_back(batch);
        }
        Ok(())
    }

    fn learn_leaders(&mut self, topic: &TopicView) {
        for partition in &topic.partitions {
            self.partitions.entry(partition.index).or_default().leader = partition.leader;
        }
    }

    /// The error with what a person can do about it.
    fn explained(&self, error: ClientError, oldest: Option<&Batch>) -> ClientError {
        let ClientError::Refused { action, code, message } = error else { return error };
        let line = oldest.map_or(0, |batch| batch.last_line);
        let hint = match code {
            ErrorCode::MESSAGE_TOO_LARGE => {
                let bytes = oldest.map_or(0, |batch| batch.bytes.len());
                format!(
                    "; the batch up to line {line} has {bytes} bytes: raise the topic's limit with 'ringmain topic \
                     alter {} --set max.message.bytes=N', or lower --batch-bytes",
                    self.topic
                )
            }
            _ => format!("; the batch up to line {line} is the first that was not acknowledged"),
        };
        ClientError::Refused { action, code, message: format!("{message}{hint}") }
    }
}

impl Link {
    /// Takes an answer: the oldest batch is acknowledged, or it stays and the error is returned.
    fn settle(&mut self, answer: &Answer, topic: &str) -> Result<(), ClientError> {
        let response: ProduceResponse<'_> = answer.decode()?;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            match partition.error_code {
                // It was taken before, and only its acknowledgement was lost.
                ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {}
                code => {
                    let action = format!("write to {topic}-{}", partition.index);
                    return Err(ClientError::refused(code, partition.error_message.as_deref(), action));
                }
            }
        }
        self.under_way.pop_front();
        Ok(())
    }

    /// Takes the answers that still come, so that what was taken is not sent again where it can be known.
    fn drain(&mut self, topic: &str) {
        // The answer that failed is gone from the connection, its batch is not: answers belong to the batches after it.
        let answers = self.connection.waiting_count();
        let failed = self.under_way.len().saturating_sub(answers);
        let mut kept: VecDeque<Batch> = self.under_way.drain(..failed).collect();
        while let Some(batch) = self.under_way.front().cloned() {
            let settled = self.connection.receive().and_then(|answer| self.settle(&answer, topic));
            match settled {
                Ok(()) => {}
                Err(ClientError::Refused { .. }) => {
                    self.under_way.pop_front();
                    kept.push_back(batch);
                }
                Err(_) => break,
            }
        }
        kept.extend(self.under_way.drain(..));
        self.under_way = kept;
    }
}

fn init_producer_id(client: &mut Client) -> Result<(i64, i16), ClientError> {
    client.retry(|client| {
        let answer = client.ask_any(&InitProducerIdRequest {
            transaction_timeout_ms: i32::MAX,
            producer_epoch: -1,
            ..Default::default()
        })?;
        let response: InitProducerIdResponse = answer.decode()?;
        match response.error_code {
            ErrorCode::NONE => Ok((response.producer_id, response.producer_epoch)),
            code => Err(ClientError::refused(code, None, "get a producer id")),
        }
    })
}

/// Whether a batch that was refused so may be taken later. The brokers told of the partition, so a leader that does not know it
/// has yet to open it; that the topic is gone they tell whoever asks for its leaders again.
fn may_pass(error: &ClientError) -> bool {
    let is_unknown =
        matches!(error, ClientError::Refused { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, .. });
    error.is_retriable(true) || is_unknown
}

/// Sequence numbers go up to the largest 32-bit integer and on from 0.
fn sequence_after(base: i32, count: i32) -> i32 {
    let next = i64::from(base) + i64::from(count);
    let wrapped = next % (i64::from(i32::MAX) + 1);
    i32::try_from(wrapped).expect("a remainder of 2^31 fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(0, 5), 5);
        assert_eq!(sequence_after(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 2, 5), 2);
    }
}

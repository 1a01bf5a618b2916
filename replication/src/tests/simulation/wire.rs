//! Messages between nodes as the bytes that they are in the node: what does not come through is not said.

use bytes::Bytes;
use ringmain_storage::{LogKey, TopicId};

use super::log::Record;
use super::message::Message;
use crate::message::{FetchAnswers, FetchRequest, Message as Framed, PartitionAnswer, PartitionFetch};
use crate::{AnsweredFetch, FetchId, OutgoingFetch};

/// Bytes of a record here.
const RECORD_BYTES: usize = 20;

fn log(partition: usize) -> LogKey {
    LogKey { topic_id: TopicId([9; 16]), partition: i32::try_from(partition).expect("few") }
}

fn there_and_back(framed: Framed) -> Framed {
    let frame = Bytes::from(framed.encode().expect("it fits").concat());
    Framed::decode(&frame).expect("what is sent can be read")
}

/// The message as it arrives.
pub(super) fn carried(message: Message) -> Message {
    match message {
        Message::Fetch { partition, from, fetch } => {
            let fetches = vec![PartitionFetch::new(log(partition), &fetch)];
            let request = FetchRequest { node_epoch: fetch.fetch.node_epoch, fetches, forgotten: Vec::new() };
            let Framed::FetchRequest(request) = there_and_back(Framed::FetchRequest(request)) else {
                panic!("a request");
            };
            let event = request.fetches[0].event(from, request.node_epoch, None);
            let fetch = OutgoingFetch {
                leader: fetch.leader,
                leader_epoch: event.leader_epoch,
                fetch: event.fetch,
                position: event.position,
                last_epoch: event.last_epoch,
                persisted: event.persisted,
                log_start: event.log_start,
                high_watermark: event.high_watermark,
            };
            Message::Fetch { partition, from, fetch }
        }
        Message::Fetched { partition, answer, records } => {
            let bytes = records.iter().map(|record| Bytes::from(encode(record))).collect();
            let node_epoch = answer.fetch.node_epoch;
            let answers = vec![PartitionAnswer::new(log(partition), &answer, bytes)];
            let answers = FetchAnswers { node_epoch, answers };
            let Framed::FetchAnswers(answers) = there_and_back(Framed::FetchAnswers(answers)) else {
                panic!("answers");
            };
            let back = &answers.answers[0];
            let records =
                back.records.iter().flat_map(|bytes| bytes.chunks(RECORD_BYTES)).map(decode).collect();
            let answer = AnsweredFetch {
                to: answer.to,
                leader_epoch: back.leader_epoch,
                fetch: FetchId { node_epoch: answers.node_epoch, number: back.number },
                position: back.position,
                high_watermark: back.high_watermark,
                log_start: back.log_start,
                outcome: back.outcome,
            };
            Message::Fetched { partition, answer, records }
        }
        // Of the clients, and of the control connection.
        other => other,
    }
}

fn encode(record: &Record) -> Vec<u8> {
    let mut bytes = record.epoch.to_be_bytes().to_vec();
    bytes.extend((record.client as u64).to_be_bytes());
    bytes.extend((record.sequence as u64).to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Record {
    let number = |range: std::ops::Range<usize>| {
        bytes[range].iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    Record {
        epoch: i32::try_from(number(0..4)).expect("an epoch"),
        client: number(4..12),
        sequence: number(12..20),
    }
}

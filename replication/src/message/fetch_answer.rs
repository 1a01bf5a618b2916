//! A leader answers fetches, each when there is something to say: answers come in any order and number.

use alloc::vec;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};
use ringmain_storage::{LeaderEpoch, LogKey, Offset};

use super::MessageError;
use super::codec::{self, LOG_KEY_BYTES, Take};
use crate::identity::NodeEpoch;
use crate::partition::{AnsweredFetch, EpochEnd, FetchAnswer, FetchId, FetchOutcome, FetchRefusal, Fetched};

/// Bytes of a [`PartitionAnswer`] without its records.
const ANSWER_BYTES: usize = LOG_KEY_BYTES + 4 + 8 + 3 * 8 + 1 + 12 + 4;

/// Answers to one follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchAnswers {
    /// The registration of the process that asked.
    pub node_epoch: NodeEpoch,
    /// By partition.
    pub answers: Vec<PartitionAnswer>,
}

/// The answer for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionAnswer {
    /// Which.
    pub log: LogKey,
    /// In which leadership it is answered.
    pub leader_epoch: LeaderEpoch,
    /// The fetch.
    pub number: u64,
    /// Its position.
    pub position: Offset,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// Where the leader's log starts.
    pub log_start: Offset,
    /// The answer.
    pub outcome: FetchOutcome,
    /// Whole record batches, with the outcome [`FetchOutcome::Records`].
    pub records: Vec<Bytes>,
}

impl PartitionAnswer {
    /// A leader's answer with what its log had.
    pub fn new(log: LogKey, answer: &AnsweredFetch, records: Vec<Bytes>) -> Self {
        Self {
            log,
            leader_epoch: answer.leader_epoch,
            number: answer.fetch.number,
            position: answer.position,
            high_watermark: answer.high_watermark,
            log_start: answer.log_start,
            outcome: answer.outcome,
            records,
        }
    }

    /// As the follower's partition takes it. `base`: of the first batch, if there are records. `own_end`: what the
    /// follower's log says of the epoch where the histories part.
    pub fn event(
        &self,
        node_epoch: NodeEpoch,
        base: Option<Offset>,
        own_end: impl FnOnce(LeaderEpoch) -> Option<EpochEnd>,
    ) -> FetchAnswer {
        let outcome = match self.outcome {
            FetchOutcome::Records => base.map_or(Fetched::Nothing, |base| Fetched::Records { base }),
            FetchOutcome::Nothing => Fetched::Nothing,
            FetchOutcome::Diverged(leader) => Fetched::Diverged { leader, own: own_end(leader.epoch) },
            FetchOutcome::OutOfRange => Fetched::OutOfRange,
            FetchOutcome::Refused(refusal) => Fetched::Refused(refusal),
        };
        FetchAnswer {
            leader_epoch: self.leader_epoch,
            fetch: FetchId { node_epoch, number: self.number },
            position: self.position,
            high_watermark: self.high_watermark,
            log_start: self.log_start,
            outcome,
        }
    }

    fn encode(&self, body: &mut BytesMut, records: &mut Vec<Bytes>) {
        codec::put_log(body, self.log);
        body.put_i32(self.leader_epoch.value());
        body.put_u64(self.number);
        for offset in [self.position, self.high_watermark, self.log_start] {
            body.put_i64(offset.value());
        }
        let (code, parts) = outcome_code(self.outcome);
        body.put_u8(code);
        body.put_i32(parts.map_or(-1, |parts| parts.epoch.value()));
        body.put_i64(parts.map_or(-1, |parts| parts.end.value()));
        let record_bytes: usize = self.records.iter().map(Bytes::len).sum();
        codec::put_count(body, record_bytes);
        records.extend(self.records.iter().cloned());
    }

    fn decode(take: &mut Take<'_>, records: &mut Bytes) -> Result<Self, MessageError> {
        let mut answer = Self {
            log: take.log()?,
            leader_epoch: take.leader_epoch()?,
            number: take.u64()?,
            position: take.offset()?,
            high_watermark: take.offset()?,
            log_start: take.offset()?,
            outcome: outcome(take)?,
            records: Vec::new(),
        };
        let record_bytes = take.u32()? as usize;
        if record_bytes > records.len() || (record_bytes > 0) != (answer.outcome == FetchOutcome::Records) {
            return Err(MessageError::Field("length of records"));
        }
        if answer.log_start > answer.high_watermark {
            return Err(MessageError::Field("log start"));
        }
        if record_bytes > 0 {
            answer.records = vec![records.split_to(record_bytes)];
        }
        Ok(answer)
    }
}

fn outcome_code(outcome: FetchOutcome) -> (u8, Option<EpochEnd>) {
    match outcome {
        FetchOutcome::Records => (0, None),
        FetchOutcome::Nothing => (1, None),
        FetchOutcome::Diverged(parts) => (2, Some(parts)),
        FetchOutcome::OutOfRange => (3, None),
        FetchOutcome::Refused(FetchRefusal::NotLeader) => (4, None),
        FetchOutcome::Refused(FetchRefusal::FencedLeaderEpoch) => (5, None),
        FetchOutcome::Refused(FetchRefusal::UnknownLeaderEpoch) => (6, None),
        FetchOutcome::Refused(FetchRefusal::NotReplica) => (7, None),
    }
}

fn outcome(take: &mut Take<'_>) -> Result<FetchOutcome, MessageError> {
    let (code, epoch, end) = (take.u8()?, take.optional_leader_epoch()?, take.i64()?);
    let outcome = match (code, epoch, Offset::try_new(end)) {
        (2, Some(epoch), Some(end)) => return Ok(FetchOutcome::Diverged(EpochEnd { epoch, end })),
        (0, None, None) => FetchOutcome::Records,
        (1, None, None) => FetchOutcome::Nothing,
        (3, None, None) => FetchOutcome::OutOfRange,
        (4, None, None) => FetchOutcome::Refused(FetchRefusal::NotLeader),
        (5, None, None) => FetchOutcome::Refused(FetchRefusal::FencedLeaderEpoch),
        (6, None, None) => FetchOutcome::Refused(FetchRefusal::UnknownLeaderEpoch),
        (7, None, None) => FetchOutcome::Refused(FetchRefusal::NotReplica),
        _ => return Err(MessageError::Field("outcome")),
    };
    if end == -1 { Ok(outcome) } else { Err(MessageError::Field("outcome")) }
}

impl FetchAnswers {
    pub(super) fn encode(&self, body: &mut BytesMut, records: &mut Vec<Bytes>) {
        body.reserve(12 + self.answers.len() * ANSWER_BYTES);
        codec::put_node_epoch(body, self.node_epoch);
        codec::put_count(body, self.answers.len());
        self.answers.iter().for_each(|answer| answer.encode(body, records));
    }

    pub(super) fn decode(mut take: Take<'_>, records: &Bytes) -> Result<Self, MessageError> {
        let mut records = records.clone();
        let node_epoch = take.node_epoch()?;
        let answers =
            (0..take.count(ANSWER_BYTES)?).map(|_| PartitionAnswer::decode(&mut take, &mut records));
        let answers = answers.collect::<Result<_, _>>()?;
        take.end()?;
        if records.is_empty() {
            Ok(Self { node_epoch, answers })
        } else {
            Err(MessageError::Field("records"))
        }
    }
}

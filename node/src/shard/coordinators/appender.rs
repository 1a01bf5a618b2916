//! The writes of one coordinator on their way into its partition of the offsets topic.
//!
//! One batch is under way at a time; what is written meanwhile gathers for the next, so that a busy coordinator costs the
//! log one append a round however many commits there are. What must hold: writes are appended in their order, each as a
//! whole in one batch; each is reported once, in order, after its records are durable as the topic demands.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use bytes::Bytes;
use ringmain_group::{Record, WriteError, WriteToken};
use ringmain_protocol::{
    ErrorCode,
    records::{BATCH_HEADER_BYTES, RecordBatchBuilder},
};

/// Bytes after which a batch takes no further write: a consumer of the topic, or the next load, decodes it as a whole.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// The largest write: the metadata of one whole group. A log writes so much in one round.
const WRITE_BYTES_MAX: usize = 8 << 20;
/// What a record takes besides key and value: lengths, deltas, attributes.
const RECORD_OVERHEAD_BYTES: usize = 24;

/// Writes that wait and those that are under way.
#[derive(Default)]
pub(super) struct Appender {
    waiting: RefCell<VecDeque<Write>>,
    under_way: RefCell<Vec<WriteToken>>,
    /// How the batch under way ended, until it is reported.
    ended: Cell<Option<Result<(), WriteError>>>,
}

struct Write {
    token: WriteToken,
    records: Vec<Record>,
    bytes: usize,
}

/// What to do next.
pub(super) enum Next {
    /// Append this batch.
    Append(Bytes),
    /// Report these writes.
    Report(Vec<WriteToken>, Result<(), WriteError>),
    /// Nothing, or wait for the batch under way.
    Wait,
}

impl Appender {
    /// Takes a write.
    pub(super) fn push(&self, token: WriteToken, records: Vec<Record>) {
        let bytes = records.iter().map(record_bytes).sum();
        self.waiting.borrow_mut().push_back(Write { token, records, bytes });
    }

    /// Forgets the writes that wait; what is under way ends as it may.
    pub(super) fn abandon(&self) {
        self.waiting.borrow_mut().clear();
    }

    /// The batch under way ended.
    pub(super) fn ended(&self, result: Result<(), WriteError>) {
        let before = self.ended.replace(Some(result));
        assert!(before.is_none(), "a batch ends once");
    }

    /// The next step, if there is one now.
    pub(super) fn next(&self, now_ms: i64) -> Next {
        if let Some(result) = self.ended.take() {
            return Next::Report(self.under_way.take(), result);
        }
        if !self.under_way.borrow().is_empty() {
            return Next::Wait;
        }
        let mut waiting = self.waiting.borrow_mut();
        let Some(first) = waiting.front() else { return Next::Wait };
        if first.bytes > WRITE_BYTES_MAX {
            let refused = waiting.pop_front().map(|write| write.token);
            return Next::Report(refused.into_iter().collect(), Err(WriteError::TooLarge));
        }
        let mut builder = RecordBatchBuilder::new();
        let mut under_way = self.under_way.borrow_mut();
        let fits =
            |size: usize, write: &Write| size == BATCH_HEADER_BYTES || size + write.bytes <= BATCH_BYTES_MAX;
        while let Some(write) = waiting.pop_front_if(|write| fits(builder.size_bytes(), write)) {
            for record in &write.records {
                builder.push(now_ms, Some(&record.key), record.value.as_deref());
            }
            under_way.push(write.token);
        }
        Next::Append(Bytes::from(builder.finish()))
    }
}

fn record_bytes(record: &Record) -> usize {
    RECORD_OVERHEAD_BYTES + record.key.len() + record.value.as_ref().map_or(0, Bytes::len)
}

/// What a failed append means to a group. `leads`: the log is sound, and would take the next append.
pub(super) fn write_error(error: ErrorCode, leads: bool) -> WriteError {
    match error {
        ErrorCode::REQUEST_TIMED_OUT => WriteError::TimedOut,
        ErrorCode::RECORD_LIST_TOO_LARGE | ErrorCode::MESSAGE_TOO_LARGE => WriteError::TooLarge,
        ErrorCode::NOT_LEADER_OR_FOLLOWER => WriteError::NotLeader,
        // A full disk: the log is sound, and there may be room later.
        ErrorCode::KAFKA_STORAGE_ERROR if leads => WriteError::Unavailable,
        ErrorCode::KAFKA_STORAGE_ERROR => WriteError::NotLeader,
        _ => WriteError::Unavailable,
    }
}

//! A produce request's way through the shards: one operation for each batch, one answer for each operation.
//!
//! What must hold: request bytes under way on a shard are bounded; an operation answers exactly once.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use ringmain_protocol::ErrorCode;
use ringmain_replication::Acks;

use super::Gather;
use crate::{
    handlers::LoneRequest,
    runtime::{self, Ticks},
};

/// One batch for one partition, validated.
pub(crate) struct ProduceOperation {
    /// One record batch, offsets as the client set them.
    pub(crate) batch: Bytes,
    pub(crate) acks: Acks,
    pub(crate) timeout_ms: i32,
    /// The topic stamps the time of the append; the answer carries it.
    pub(crate) log_append_time: bool,
    /// When this shard was given it.
    pub(crate) arrived: Ticks,
    pub(crate) reply: Reply,
}

/// Who is told what became of a batch.
pub(crate) enum Reply {
    /// A request of this batch alone.
    Alone(LoneRequest),
    /// Whoever gathers the answers of several, and which of them this is.
    Part(Rc<Gather<ProduceAnswer>>, usize),
}

impl ProduceOperation {
    /// Gives the answer.
    pub(crate) fn answer(self, answer: ProduceAnswer) {
        match self.reply {
            Reply::Alone(request) => request.answer(answer),
            Reply::Part(answers, part) => answers.put(part, answer),
        }
    }
}

/// What the client is told of one batch.
#[derive(Debug, Clone)]
pub(crate) struct ProduceAnswer {
    pub(crate) error: ErrorCode,
    /// -1 with an error.
    pub(crate) base_offset: i64,
    /// -1 unless the topic stamps the time of the append.
    pub(crate) log_append_time_ms: i64,
    /// -1 with an error.
    pub(crate) log_start_offset: i64,
    /// Records that made the batch invalid: index in the batch, why.
    pub(crate) record_errors: Vec<(i32, Option<String>)>,
    pub(crate) message: Option<String>,
}

impl Default for ProduceAnswer {
    fn default() -> Self {
        Self {
            error: ErrorCode::NONE,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            message: None,
        }
    }
}

impl ProduceAnswer {
    /// Nothing was appended.
    pub(crate) fn error(error: ErrorCode) -> Self {
        Self { error, ..Self::default() }
    }
}

/// Request bytes under way on one shard, over all its connections.
pub(crate) struct RequestBytes {
    in_flight: Cell<usize>,
    max: usize,
    waiting: RefCell<VecDeque<Waker>>,
}

impl RequestBytes {
    pub(crate) fn new(max: usize) -> Self {
        Self { in_flight: Cell::new(0), max, waiting: RefCell::default() }
    }

    /// Waits until the shard may take another request. A request that is alone is always taken.
    pub(crate) async fn room(&self) {
        poll_fn(|context| {
            if self.in_flight.get() < self.max {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push_back(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// As [`RequestBytes::room`], at most so long. False: there was none.
    pub(crate) async fn room_within(&self, wait: Duration) -> bool {
        if self.in_flight.get() < self.max {
            return true;
        }
        let timer = runtime::timer(wait);
        matches!(select(pin!(self.room()), timer).await, Either::Left(_))
    }

    /// How many there are, and how many there may be.
    pub(crate) fn in_flight(&self) -> (usize, usize) {
        (self.in_flight.get(), self.max)
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn add(self: &Rc<Self>, bytes: usize) -> RequestBytesGuard {
        self.in_flight.set(self.in_flight.get() + bytes);
        RequestBytesGuard { counted: self.clone(), bytes }
    }
}

/// Request bytes that are under way.
pub(crate) struct RequestBytesGuard {
    counted: Rc<RequestBytes>,
    bytes: usize,
}

impl Drop for RequestBytesGuard {
    fn drop(&mut self) {
        let counted = &self.counted;
        counted.in_flight.set(counted.in_flight.get() - self.bytes);
        if counted.in_flight.get() < counted.max {
            counted.waiting.borrow_mut().drain(..).for_each(Waker::wake);
        }
    }
}

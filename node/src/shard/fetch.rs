//! Reads of partitions on the core that owns them, and the waiting of long polls.
//!
//! What must hold: nothing at or above the high watermark is read; a fetch that waits is woken when the high watermark of
//! one of its partitions moves, by the shard that moved it, never by polling.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};

use futures_util::task::AtomicWaker;
use ringmain_protocol::ErrorCode;
use ringmain_storage::{LogKey, Offset, Piece, ReadError};

use super::{Partition, Shard};
use crate::server::Chunk;

/// What to read of one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartitionFetch {
    pub(crate) key: LogKey,
    pub(crate) offset: i64,
    /// -1 where the client does not say.
    pub(crate) leader_epoch: i32,
    /// -1 where the client does not say.
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: usize,
}

/// What was read of one partition.
#[derive(Debug)]
pub(crate) struct PartitionFetched {
    pub(crate) error: ErrorCode,
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
    /// The client's log diverged: its last epoch ends here.
    pub(crate) diverging_epoch: Option<(i32, i64)>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) length: usize,
    /// There is more to be read than what a single read gives.
    pub(crate) has_more: bool,
}

impl PartitionFetched {
    pub(crate) fn error(error: ErrorCode) -> Self {
        Self {
            error,
            high_watermark: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            chunks: Vec::new(),
            length: 0,
            has_more: false,
        }
    }
}

/// Wakes a long poll, from any shard.
#[derive(Clone)]
pub(crate) struct FetchWaiter {
    /// Unique on the node; names the fetch when it stops waiting.
    fetch: u64,
    signal: Arc<Signal>,
}

#[derive(Default)]
struct Signal {
    woken: AtomicBool,
    waker: AtomicWaker,
}

impl FetchWaiter {
    pub(crate) fn new(fetch: u64) -> Self {
        Self { fetch, signal: Arc::default() }
    }

    pub(crate) fn fetch(&self) -> u64 {
        self.fetch
    }

    /// Something changed.
    pub(crate) fn wake(&self) {
        self.signal.woken.store(true, Ordering::Release);
        self.signal.waker.wake();
    }

    /// Waits for [`FetchWaiter::wake`] since the last wait, at most until the timer ends. True: woken.
    pub(crate) async fn woken(&self, timer: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        poll_fn(|context| {
            self.signal.waker.register(context.waker());
            if self.signal.woken.swap(false, Ordering::AcqRel) {
                return Poll::Ready(true);
            }
            Pin::new(&mut *timer).poll(context).map(|()| false)
        })
        .await
    }
}

impl Shard {
    /// Reads partitions of this shard, in order, at most `max_bytes` together; the first one that has data gives at
    /// least one batch even if that is larger. A waiter is registered before anything is read.
    pub(crate) async fn fetch(
        self: Rc<Self>,
        fetches: Vec<PartitionFetch>,
        mut max_bytes: usize,
        waiter: Option<FetchWaiter>,
    ) -> Vec<PartitionFetched> {
        let mut at_least_one = true;
        let mut results = Vec::with_capacity(fetches.len());
        for fetch in fetches {
            let fetched = match self.partition(fetch.key) {
                Some(partition) => partition.fetch(fetch, max_bytes, at_least_one, waiter.as_ref()).await,
                None => PartitionFetched::error(self.absent(fetch.key)),
            };
            if fetched.length > 0 {
                at_least_one = false;
                max_bytes = max_bytes.saturating_sub(fetched.length);
            }
            results.push(fetched);
        }
        results
    }

    /// Why a partition of this shard is not open.
    pub(crate) fn absent(&self, key: LogKey) -> ErrorCode {
        if self.is_damaged(key) {
            ErrorCode::KAFKA_STORAGE_ERROR
        } else if self.image().topic_by_id(key.topic_id).is_some() {
            // It is opening, or another start is needed.
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        } else {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        }
    }
}

impl Partition {
    async fn fetch(
        &self,
        fetch: PartitionFetch,
        max_bytes: usize,
        at_least_one: bool,
        waiter: Option<&FetchWaiter>,
    ) -> PartitionFetched {
        if !self.is_leading() {
            return PartitionFetched::error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if let Err(error) = self.check_leader_epoch(fetch.leader_epoch) {
            return PartitionFetched::error(error);
        }
        if let Some(waiter) = waiter {
            self.wait(waiter);
        }
        let high_watermark = self.high_watermark();
        let mut fetched = PartitionFetched {
            error: ErrorCode::NONE,
            high_watermark: high_watermark.value(),
            log_start_offset: self.log().log_start_offset().value(),
            diverging_epoch: None,
            chunks: Vec::new(),
            length: 0,
            has_more: false,
        };
        if fetch.last_fetched_epoch > self.leader_epoch().value() {
            return PartitionFetched::error(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        if let Some(diverging) = self.diverging_epoch(fetch) {
            fetched.diverging_epoch = Some(diverging);
            return fetched;
        }
        let in_range = Offset::try_new(fetch.offset)
            .filter(|offset| (self.log().log_start_offset()..=self.log().log_end_offset()).contains(offset));
        let Some(offset) = in_range else {
            return PartitionFetched::error(ErrorCode::OFFSET_OUT_OF_RANGE);
        };
        if offset >= high_watermark {
            return fetched;
        }
        let limit = fetch.max_bytes.min(max_bytes);
        if limit == 0 && !at_least_one {
            return fetched;
        }
        match self.log().read(offset, high_watermark, limit, at_least_one).await {
            Ok(read) => {
                fetched.length = read.length;
                fetched.has_more = read.length > 0 && read.next_offset < high_watermark;
                fetched.chunks = read.pieces.into_iter().map(chunk).collect();
                fetched
            }
            Err(error) => {
                let code = read_error(&error);
                if code == ErrorCode::KAFKA_STORAGE_ERROR || code == ErrorCode::CORRUPT_MESSAGE {
                    let partition = self.key().partition;
                    tracing::error!(topic = self.topic(), partition, offset = fetch.offset, %error, "read");
                }
                PartitionFetched::error(code)
            }
        }
    }

    /// KIP-595: where the epoch of the client's last record ends here, if the client has more of it than we do.
    fn diverging_epoch(&self, fetch: PartitionFetch) -> Option<(i32, i64)> {
        let last = ringmain_storage::LeaderEpoch::try_new(fetch.last_fetched_epoch)?;
        if last.value() < 0 {
            return None;
        }
        let (epoch, end) = self.log().end_offset_for_epoch(last)?;
        let diverged = epoch < last || end.value() < fetch.offset;
        diverged.then_some((epoch.value(), end.value()))
    }
}

fn chunk(piece: Piece) -> Chunk {
    match piece {
        Piece::Memory(bytes) => Chunk::Memory(bytes),
        Piece::File(range) => Chunk::File(range),
    }
}

/// What a client is told of a read that failed.
pub(crate) fn read_error(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        ReadError::Corrupt(_) => ErrorCode::CORRUPT_MESSAGE,
        ReadError::Disk(_) => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}

/// Numbers the fetches of one shard, unique on the node.
pub(crate) struct FetchNumbers(RefCell<u64>);

impl FetchNumbers {
    pub(crate) fn new(shard: u16) -> Self {
        Self(RefCell::new(u64::from(shard) << 48))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut number = self.0.borrow_mut();
        *number += 1;
        *number
    }
}

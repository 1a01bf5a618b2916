//! Reads of partitions on the core that owns them, and the waiting of long polls.
//!
//! What must hold: nothing at or above the high watermark is read, from the leader or a follower; a fetch that waits is woken when the high watermark of
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
use crate::{
    metadata::{MetadataImage, NodeId, PartitionImage},
    server::Chunk,
};

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

/// Who reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consumer {
    /// Its request is of a version whose clients read from followers too.
    pub(crate) reads_followers: bool,
    /// Where it is: a replica there serves it best. `None` where it does not say.
    pub(crate) rack: Option<Arc<str>>,
}

/// What was read of one partition.
#[derive(Debug)]
pub(crate) struct PartitionFetched {
    pub(crate) error: ErrorCode,
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
    /// The client's log diverged: its last epoch ends here.
    pub(crate) diverging_epoch: Option<(i32, i64)>,
    /// Nothing was read: this replica, in the consumer's rack, serves it better.
    pub(crate) preferred_replica: Option<NodeId>,
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
            preferred_replica: None,
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
        consumer: Consumer,
        waiter: Option<FetchWaiter>,
    ) -> Vec<PartitionFetched> {
        let mut at_least_one = true;
        let mut results = Vec::with_capacity(fetches.len());
        for fetch in fetches {
            let fetched = match self.partition(fetch.key) {
                Some(partition) => match self.preferred_replica(&partition, &consumer, fetch) {
                    Some(replica) => partition.points_to(replica),
                    None => {
                        let reads_followers = consumer.reads_followers;
                        let waiter = waiter.as_ref();
                        partition.fetch(fetch, max_bytes, at_least_one, reads_followers, waiter).await
                    }
                },
                None => PartitionFetched::error(self.absent(fetch.key)),
            };
            if fetched.length > 0 {
                if let Some(partition) = self.partition(fetch.key) {
                    self.count_fetched(&partition, &fetched);
                }
                at_least_one = false;
                max_bytes = max_bytes.saturating_sub(fetched.length);
            }
            results.push(fetched);
        }
        results
    }

    /// The replica that serves this consumer better than this leader does, if it says where it is (KIP-392). Whoever is in
    /// sync has everything below the high watermark, so the consumer finds there what it asks for.
    fn preferred_replica(
        &self,
        partition: &Partition,
        consumer: &Consumer,
        fetch: PartitionFetch,
    ) -> Option<NodeId> {
        let rack = consumer.rack.as_ref()?;
        partition.check_leader(fetch.leader_epoch).ok()?;
        let offset = Offset::try_new(fetch.offset)?;
        let has = (partition.log().log_start_offset()..=partition.high_watermark()).contains(&offset);
        let image = self.image();
        let key = partition.key();
        in_rack(&image, image.partition(key.topic_id, key.partition)?, rack).filter(|_| has)
    }

    /// Why a partition of this shard is not open.
    pub(crate) fn absent(&self, key: LogKey) -> ErrorCode {
        if self.is_refused(key) {
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
        reads_followers: bool,
        waiter: Option<&FetchWaiter>,
    ) -> PartitionFetched {
        let admitted = match reads_followers {
            true => self.check_replica(fetch.leader_epoch),
            false => self.check_leader(fetch.leader_epoch),
        };
        if let Err(error) = admitted {
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
            preferred_replica: None,
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

    /// Nothing, and where to ask.
    fn points_to(&self, replica: NodeId) -> PartitionFetched {
        PartitionFetched {
            high_watermark: self.high_watermark().value(),
            log_start_offset: self.log().log_start_offset().value(),
            preferred_replica: Some(replica),
            ..PartitionFetched::error(ErrorCode::NONE)
        }
    }

    /// KIP-595: where the epoch of the client's last record ends here, if the client has more of it than we do. A follower
    /// may have less than a client that read from another replica: that is no divergence.
    fn diverging_epoch(&self, fetch: PartitionFetch) -> Option<(i32, i64)> {
        if !self.is_leading() {
            return None;
        }
        let last = ringmain_storage::LeaderEpoch::try_new(fetch.last_fetched_epoch)?;
        if last.value() < 0 {
            return None;
        }
        let (epoch, end) = self.log().end_offset_for_epoch(last)?;
        let diverged = epoch < last || end.value() < fetch.offset;
        diverged.then_some((epoch.value(), end.value()))
    }
}

/// An in-sync replica in a rack that the leader is not in.
fn in_rack(image: &MetadataImage, partition: &PartitionImage, rack: &str) -> Option<NodeId> {
    let is_there = |node: &NodeId| {
        let node = image.nodes().get(node);
        node.is_some_and(|node| node.is_active() && node.rack.as_deref() == Some(rack))
    };
    if partition.leader.as_ref().is_some_and(is_there) {
        return None;
    }
    partition.in_sync.iter().copied().find(is_there)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::MetadataRecord;

    /// Nodes 1 and 4 in rack a, 2 in b, 3 in c; the third is fenced.
    fn image() -> MetadataImage {
        let started = |(id, rack): (i32, &str)| MetadataRecord::LoneNodeStarted {
            node_id: NodeId(id),
            registration_epoch: i64::from(id),
            host: "localhost".to_owned(),
            port: 9092,
            rack: Some(rack.to_owned()),
        };
        let mut records: Vec<_> = [(1, "a"), (2, "b"), (3, "c"), (4, "a")].map(started).into();
        records.push(MetadataRecord::NodeChanged {
            node_id: NodeId(3),
            registration_epoch: 3,
            fenced: true,
            stopping_since: None,
        });
        MetadataImage::default().after(&records).expect("these records fit each other")
    }

    fn partition(in_sync: &[i32]) -> PartitionImage {
        let replicas = [1, 2, 3, 4].map(NodeId).into();
        PartitionImage::created(replicas, in_sync.iter().copied().map(NodeId).collect())
    }

    #[test]
    fn a_consumer_is_pointed_at_its_own_rack() {
        let preferred = |in_sync: &[i32], rack| in_rack(&image(), &partition(in_sync), rack);
        assert_eq!(preferred(&[1, 2, 3], "b"), Some(NodeId(2)));
        assert_eq!(preferred(&[1, 3], "b"), None, "who is not in sync lags behind");
        assert_eq!(preferred(&[1, 2, 3], "c"), None, "it is fenced");
        assert_eq!(preferred(&[1, 2, 4], "a"), None, "the leader is there itself");
        assert_eq!(preferred(&[2, 4], "a"), Some(NodeId(4)));
        assert_eq!(preferred(&[1, 2, 3], "elsewhere"), None);
    }
}

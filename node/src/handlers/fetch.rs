//! Fetch: reads of many partitions in one answer, long polls, incremental sessions (KIP-227).
//!
//! What must hold: an answer is at most as long as asked for, but for one batch; a long poll ends as soon as enough is
//! there, something failed, or its time is up; while it waits it costs nothing.

mod answer;
mod session;

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use ringmain_protocol::{
    ErrorCode,
    codec::Reader,
    messages::{FetchRequest, FetchResponse, decode_request},
};
use ringmain_storage::{LogKey, ShardId};

pub(crate) use session::FetchSessions;

use self::session::Wanted;
use super::{RequestError, RequestInfo};
use crate::{
    runtime,
    server::Response,
    shard::{FetchWaiter, PartitionFetch, PartitionFetched, Shard},
};

/// Answers a fetch, after as long a wait as the client allows.
pub(super) async fn answer(
    shard: &Rc<Shard>,
    info: RequestInfo,
    body: Bytes,
) -> Result<Response, RequestError> {
    let request: FetchRequest<'_> = decode_request(&mut Reader::new(&body), info.version)?;
    let session = match shard.fetch_sessions().begin(&request, runtime::unix_ms()) {
        Ok(session) => session,
        Err(error_code) => {
            let refused = FetchResponse { error_code, ..Default::default() };
            return answer::encode(info, refused);
        }
    };
    let poll = Poll::new(shard, &request, session.wanted());
    drop(request);
    let fetched = poll.run().await;
    answer::encode(info, answer::assemble(shard, session, fetched))
}

/// One fetch while it reads and waits.
struct Poll {
    shard: Rc<Shard>,
    /// By the shard that owns them; partitions that are not known have no entry.
    by_owner: BTreeMap<ShardId, Vec<(usize, PartitionFetch)>>,
    partitions: usize,
    /// The client says that it is a replica, and it is none of ours.
    from_replica: bool,
    min_bytes: usize,
    max_bytes: usize,
    max_wait: Duration,
}

impl Poll {
    fn new(shard: &Rc<Shard>, request: &FetchRequest<'_>, wanted: &[Wanted]) -> Self {
        let limits = &shard.config().limits;
        let mut by_owner: BTreeMap<ShardId, Vec<(usize, PartitionFetch)>> = BTreeMap::new();
        for (index, wanted) in wanted.iter().enumerate() {
            let topic = shard.topic(&wanted.topic).filter(|topic| topic.has_partition(wanted.partition));
            let Some(topic) = topic else { continue };
            let key = LogKey { topic_id: topic.topic_id(), partition: wanted.partition };
            let fetch = PartitionFetch {
                key,
                offset: wanted.offset,
                leader_epoch: wanted.leader_epoch,
                last_fetched_epoch: wanted.last_fetched_epoch,
                max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0),
            };
            by_owner.entry(shard.owner(key)).or_default().push((index, fetch));
        }
        let max_wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0);
        Self {
            shard: shard.clone(),
            by_owner,
            partitions: wanted.len(),
            from_replica: request.replica_id >= 0,
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(limits.fetch_bytes_max),
            max_wait: Duration::from_millis(max_wait_ms).min(Duration::from_millis(limits.fetch_wait_ms_max)),
        }
    }

    /// What each partition gives in the end, in the order asked for.
    async fn run(self) -> Vec<PartitionFetched> {
        let first = self.read(None).await;
        if self.max_wait.is_zero() || self.partitions == 0 || self.is_enough(&first) {
            return first;
        }
        let waiter = FetchWaiter::new(self.shard.next_fetch_number());
        let mut timer = runtime::timer(self.max_wait);
        // Registered before it reads again, so that no change between the two is missed.
        let last = loop {
            let fetched = self.read(Some(&waiter)).await;
            if self.is_enough(&fetched) || self.shard.is_stopping() {
                break fetched;
            }
            if !waiter.woken(&mut timer).await {
                break self.read(None).await;
            }
        };
        self.stop_waiting(waiter.fetch()).await;
        last
    }

    /// As Kafka decides: enough bytes, an error, or a log that diverged. Where more lies ready than one read gives (it
    /// ends at a batch, a cold one at a piece), there is nothing to wait for.
    fn is_enough(&self, fetched: &[PartitionFetched]) -> bool {
        let length: usize = fetched.iter().map(|fetched| fetched.length).sum();
        let urgent = |fetched: &PartitionFetched| {
            fetched.error != ErrorCode::NONE || fetched.diverging_epoch.is_some() || fetched.has_more
        };
        length >= self.min_bytes || fetched.iter().any(urgent)
    }

    async fn read(&self, waiter: Option<&FetchWaiter>) -> Vec<PartitionFetched> {
        if self.from_replica {
            let refused = || PartitionFetched::error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            return (0..self.partitions).map(|_| refused()).collect();
        }
        let reads = self.by_owner.iter().map(|(&owner, fetches)| {
            let partitions: Vec<PartitionFetch> = fetches.iter().map(|(_, fetch)| *fetch).collect();
            let (waiter, max_bytes) = (waiter.cloned(), self.max_bytes);
            self.shard.run_on(owner, move |shard| shard.fetch(partitions, max_bytes, waiter))
        });
        let mut results: Vec<Option<PartitionFetched>> = (0..self.partitions).map(|_| None).collect();
        for (fetches, fetched) in self.by_owner.values().zip(join_all(reads).await) {
            for ((index, _), fetched) in fetches.iter().zip(fetched) {
                results[*index] = Some(fetched);
            }
        }
        let unknown = || PartitionFetched::error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let mut results: Vec<_> = results.into_iter().map(|result| result.unwrap_or_else(unknown)).collect();
        self.trim(&mut results);
        results
    }

    /// Each shard read as if it were alone: what is over the limit together goes, later partitions first.
    fn trim(&self, results: &mut [PartitionFetched]) {
        if self.by_owner.len() < 2 {
            return;
        }
        let mut limits = vec![0; results.len()];
        for (index, fetch) in self.by_owner.values().flatten() {
            limits[*index] = fetch.max_bytes;
        }
        let mut length = 0;
        for (fetched, limit) in results.iter_mut().zip(limits) {
            // Only the first batch of all may exceed its partition's limit.
            let exceeds = fetched.length > limit || length + fetched.length > self.max_bytes;
            if fetched.length > 0 && length > 0 && exceeds {
                fetched.length = 0;
                fetched.chunks = Vec::new();
            }
            length += fetched.length;
        }
    }

    async fn stop_waiting(&self, fetch: u64) {
        for (&owner, fetches) in &self.by_owner {
            let keys: Arc<[LogKey]> = fetches.iter().map(|(_, fetch)| fetch.key).collect();
            self.shard
                .run_on(owner, move |shard| async move {
                    keys.iter().filter_map(|key| shard.partition(*key)).for_each(|it| it.stop_waiting(fetch));
                })
                .await;
        }
    }
}

/// A fetch answer before it is encoded.
type Answer = FetchResponse<'static, answer::Records>;

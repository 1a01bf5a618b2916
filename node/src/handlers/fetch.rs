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

use self::session::{NamedTopic, Wanted};
use super::{RequestError, RequestInfo};
use crate::{
    runtime,
    server::Response,
    shard::{Consumer, FetchWaiter, PartitionFetch, PartitionFetched, Shard},
};

/// The first version whose clients read from followers too (KIP-392).
const FOLLOWERS_FROM_VERSION: i16 = 11;

/// Answers a fetch, after as long a wait as the client allows.
pub(super) async fn answer(
    shard: &Rc<Shard>,
    info: RequestInfo,
    body: Bytes,
) -> Result<Response, RequestError> {
    let request: FetchRequest<'_> = decode_request(&mut Reader::new(&body), info.version)?;
    let name_of = |topic_id| shard.topic_name(topic_id);
    let sessions = shard.fetch_sessions();
    let session = match sessions.begin(info.version, &request, &name_of, runtime::unix_ms()) {
        Ok(session) => session,
        Err(error_code) => {
            let refused = FetchResponse { error_code, ..Default::default() };
            return answer::encode(info, refused);
        }
    };
    let poll = Poll::new(shard, info.version, &request, session.wanted());
    drop(request);
    let fetched = poll.run().await;
    answer::encode(info, answer::assemble(shard, info.version, session, fetched))
}

/// One fetch while it reads and waits.
struct Poll {
    shard: Rc<Shard>,
    /// By the shard that owns them.
    by_owner: BTreeMap<ShardId, Vec<(usize, PartitionFetch)>>,
    /// Partitions that are not known, and what the consumer is told of them.
    unknown: Vec<(usize, ErrorCode)>,
    partitions: usize,
    /// The client says that it is a replica, and it is none of ours.
    from_replica: bool,
    consumer: Consumer,
    min_bytes: usize,
    max_bytes: usize,
    max_wait: Duration,
}

impl Poll {
    fn new(shard: &Rc<Shard>, version: i16, request: &FetchRequest<'_>, wanted: &[Wanted]) -> Self {
        let limits = &shard.config().limits;
        let mut by_owner: BTreeMap<ShardId, Vec<(usize, PartitionFetch)>> = BTreeMap::new();
        let mut unknown = Vec::new();
        for (index, wanted) in wanted.iter().enumerate() {
            let key = match locate(shard, wanted) {
                Ok(key) => key,
                Err(error) => {
                    unknown.push((index, error));
                    continue;
                }
            };
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
            unknown,
            partitions: wanted.len(),
            from_replica: request.asking_replica_id() >= 0,
            consumer: Consumer {
                reads_followers: version >= FOLLOWERS_FROM_VERSION,
                rack: (!request.rack_id.is_empty()).then(|| request.rack_id.into()),
            },
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

    /// As Kafka decides: enough bytes, an error, a log that diverged, or another replica to ask. Where more lies ready than one read gives (it
    /// ends at a batch, a cold one at a piece), there is nothing to wait for.
    fn is_enough(&self, fetched: &[PartitionFetched]) -> bool {
        let length: usize = fetched.iter().map(|fetched| fetched.length).sum();
        let urgent = |fetched: &PartitionFetched| {
            fetched.error != ErrorCode::NONE
                || fetched.diverging_epoch.is_some()
                || fetched.preferred_replica.is_some()
                || fetched.has_more
        };
        length >= self.min_bytes || fetched.iter().any(urgent)
    }

    async fn read(&self, waiter: Option<&FetchWaiter>) -> Vec<PartitionFetched> {
        if self.from_replica {
            let refused = || PartitionFetched::error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            let mut results: Vec<_> = (0..self.partitions).map(|_| refused()).collect();
            for &(index, error) in &self.unknown {
                results[index] = PartitionFetched::error(error);
            }
            return results;
        }
        let reads = self.by_owner.iter().map(|(&owner, fetches)| {
            let partitions: Vec<PartitionFetch> = fetches.iter().map(|(_, fetch)| *fetch).collect();
            let (waiter, consumer, max_bytes) = (waiter.cloned(), self.consumer.clone(), self.max_bytes);
            self.shard.run_on(owner, move |shard| shard.fetch(partitions, max_bytes, consumer, waiter))
        });
        let mut results: Vec<Option<PartitionFetched>> = (0..self.partitions).map(|_| None).collect();
        for (fetches, fetched) in self.by_owner.values().zip(join_all(reads).await) {
            for ((index, _), fetched) in fetches.iter().zip(fetched) {
                results[*index] = Some(fetched);
            }
        }
        for &(index, error) in &self.unknown {
            results[index] = Some(PartitionFetched::error(error));
        }
        let told = |result: Option<_>| result.expect("a partition has an owner, or it is unknown");
        let mut results: Vec<_> = results.into_iter().map(told).collect();
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

/// The partition that is meant, or why there is none.
fn locate(shard: &Shard, wanted: &Wanted) -> Result<LogKey, ErrorCode> {
    let partition = wanted.partition;
    let (name, topic_id) = match (&wanted.topic, &wanted.known_as) {
        (NamedTopic::Name(name), _) => (name, None),
        (NamedTopic::Id(topic_id), Some(name)) => (name, Some(*topic_id)),
        // It never had a name, as far as this session knows.
        (NamedTopic::Id(_), None) => return Err(ErrorCode::UNKNOWN_TOPIC_ID),
    };
    let topic = shard.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !topic.has_partition(partition) {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    if topic_id.is_some_and(|topic_id| topic_id != topic.topic_id()) {
        // Its name is another topic's now.
        return Err(ErrorCode::INCONSISTENT_TOPIC_ID);
    }
    Ok(LogKey { topic_id: topic.topic_id(), partition })
}

/// A fetch answer before it is encoded.
type Answer = FetchResponse<'static, answer::Records>;

//! A follower asks one leader's shard for the partitions that it follows there.
//!
//! Fetches are incremental: a request names the partitions about which there is something new to say. What a leader was
//! asked before stays asked, until it is answered or forgotten; so several requests are under way at once, and an
//! idle partition costs nothing.

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};
use ringmain_storage::{LeaderEpoch, LogKey, Offset};

use super::MessageError;
use super::codec::{self, LOG_KEY_BYTES, Take};
use crate::identity::{NodeEpoch, NodeId};
use crate::partition::{EpochEnd, FetchId, FollowerFetch, OutgoingFetch, Persisted};

/// Bytes of a [`PartitionFetch`].
const FETCH_BYTES: usize = LOG_KEY_BYTES + 4 + 8 + 8 + 4 + 4 * 8;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The registration of the follower's process.
    pub node_epoch: NodeEpoch,
    /// What is asked anew.
    pub fetches: Vec<PartitionFetch>,
    /// What is not followed here any more: not to be answered.
    pub forgotten: Vec<LogKey>,
}

/// What is asked for one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionFetch {
    /// Which.
    pub log: LogKey,
    /// In whose leadership.
    pub leader_epoch: LeaderEpoch,
    /// Names the fetch, together with the request's node epoch.
    pub number: u64,
    /// The end of the follower's log.
    pub position: Offset,
    /// Leader epoch of the record before `position`, if there is one.
    pub last_epoch: Option<LeaderEpoch>,
    /// How much of the follower's log would survive; at most `position`.
    pub persisted: Persisted,
    /// Where the follower's log starts.
    pub log_start: Offset,
    /// The high watermark that it knows.
    pub high_watermark: Offset,
}

impl PartitionFetch {
    /// What a follower asks now.
    pub fn new(log: LogKey, fetch: &OutgoingFetch) -> Self {
        Self {
            log,
            leader_epoch: fetch.leader_epoch,
            number: fetch.fetch.number,
            position: fetch.position,
            last_epoch: fetch.last_epoch,
            persisted: fetch.persisted,
            log_start: fetch.log_start,
            high_watermark: fetch.high_watermark,
        }
    }

    /// As the leader's partition takes it; `own_end` is what the leader's log says of `last_epoch`.
    pub fn event(&self, from: NodeId, node_epoch: NodeEpoch, own_end: Option<EpochEnd>) -> FollowerFetch {
        FollowerFetch {
            from,
            leader_epoch: self.leader_epoch,
            fetch: FetchId { node_epoch, number: self.number },
            position: self.position,
            last_epoch: self.last_epoch,
            persisted: self.persisted,
            log_start: self.log_start,
            high_watermark: self.high_watermark,
            own_end,
        }
    }

    fn encode(&self, body: &mut BytesMut) {
        codec::put_log(body, self.log);
        body.put_i32(self.leader_epoch.value());
        body.put_u64(self.number);
        body.put_i64(self.position.value());
        body.put_i32(self.last_epoch.map_or(-1, LeaderEpoch::value));
        for offset in [self.persisted.written, self.persisted.flushed, self.log_start, self.high_watermark] {
            body.put_i64(offset.value());
        }
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, MessageError> {
        let fetch = Self {
            log: take.log()?,
            leader_epoch: take.leader_epoch()?,
            number: take.u64()?,
            position: take.offset()?,
            last_epoch: take.optional_leader_epoch()?,
            persisted: Persisted { written: take.offset()?, flushed: take.offset()? },
            log_start: take.offset()?,
            high_watermark: take.offset()?,
        };
        let Persisted { written, flushed } = fetch.persisted;
        if flushed > written || written > fetch.position {
            return Err(MessageError::Field("persisted offset"));
        }
        if fetch.log_start > fetch.position || fetch.high_watermark > fetch.position {
            return Err(MessageError::Field("position"));
        }
        if fetch.last_epoch > Some(fetch.leader_epoch) {
            return Err(MessageError::Field("last epoch"));
        }
        Ok(fetch)
    }
}

impl FetchRequest {
    pub(super) fn encode(&self, body: &mut BytesMut) {
        body.reserve(16 + self.fetches.len() * FETCH_BYTES + self.forgotten.len() * LOG_KEY_BYTES);
        codec::put_node_epoch(body, self.node_epoch);
        codec::put_count(body, self.fetches.len());
        self.fetches.iter().for_each(|fetch| fetch.encode(body));
        codec::put_count(body, self.forgotten.len());
        self.forgotten.iter().for_each(|log| codec::put_log(body, *log));
    }

    pub(super) fn decode(take: &mut Take<'_>) -> Result<Self, MessageError> {
        let node_epoch = take.node_epoch()?;
        let fetches =
            (0..take.count(FETCH_BYTES)?).map(|_| PartitionFetch::decode(take)).collect::<Result<_, _>>()?;
        let forgotten = (0..take.count(LOG_KEY_BYTES)?).map(|_| take.log()).collect::<Result<_, _>>()?;
        Ok(Self { node_epoch, fetches, forgotten })
    }
}

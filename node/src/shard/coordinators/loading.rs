//! A coordinator reads its partition of the offsets topic from beginning to end, before it answers anything about groups.
//!
//! In steps: wait until all that the leaders before this one appended is committed: what a follower may still cut must not
//! be told to anybody; read up to a megabyte of whole batches below the high watermark, hand each record to the groups in order,
//! let others have their turn every so many records, again until the end; then tell the groups of topics that were deleted
//! in the meantime, and begin the sessions of their members anew.
//! What must hold: nothing else of the shard waits for a load. Failure modes: a record that cannot be read is left out,
//! counted and reported; a log that cannot be read leaves the coordinator loading (clients try again), and it tries again
//! too: half of the groups would make consumers begin where they must not. While too few replicas are in sync, nothing more
//! is committed, and the coordinator waits with them.

use std::{collections::BTreeSet, io, rc::Rc, time::Duration, time::Instant};

use bytes::Bytes;
use ringmain_group::{Event, GroupListing, Loaded};
use ringmain_protocol::records::{BatchError, RecordBatch, batches};
use ringmain_storage::{Offset, Piece, ReadError};

use super::{super::file_range::read_range, Coordinator};
use crate::{
    runtime,
    shard::{FetchWaiter, Shard},
};

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;
/// What the records of one batch may decompress to, as for batches that clients send. Ours are not compressed.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;
/// Records handed to the groups before others get their turn: some 100 microseconds.
const RECORDS_IN_A_TURN: u64 = 128;
/// Unreadable records that are reported one by one; of more there is only the count.
const REPORTS_MAX: u64 = 10;
/// How long a coordinator waits after a log that it could not read: short at first, since its groups stand still, and twice as
/// long each time, since a log that is damaged stays so.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// What a load found.
#[derive(Debug, Default)]
struct Found {
    records: u64,
    /// Of kinds that belong to groups of newer protocols.
    ignored: u64,
    unreadable: u64,
}

/// Why a log cannot be read to its end.
#[derive(Debug, thiserror::Error)]
enum LoadFailure {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error("read the pages of a segment: {0}")]
    Pages(#[from] io::Error),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("nothing can be read from offset {} on, below the high watermark", .0.value())]
    Stuck(Offset),
}

impl Coordinator {
    /// Waits until everything that was in the log when the leadership began is committed. False: the leadership ended.
    pub(super) async fn is_log_committed(&self, shard: &Rc<Shard>) -> bool {
        let partition = self.partition();
        let waiter = FetchWaiter::new(shard.next_fetch_number());
        while self.leads() && !self.has_ended() && !shard.is_stopping() {
            partition.wait(&waiter);
            if partition.leadership_start().is_some_and(|start| partition.high_watermark() >= start) {
                partition.stop_waiting(waiter.fetch());
                return true;
            }
            waiter.woken(&mut std::future::pending()).await;
        }
        partition.stop_waiting(waiter.fetch());
        false
    }

    /// Reads the log and begins to answer. Ends early if the coordinator does.
    pub(super) async fn load(self: &Rc<Self>, shard: &Rc<Shard>) {
        let began = Instant::now();
        let partition = self.key().partition;
        let mut retry = RETRY_MIN;
        loop {
            if self.has_ended() || shard.is_stopping() {
                return;
            }
            self.begin_anew();
            match self.read_log(shard).await {
                Ok(_) if self.has_ended() => return,
                Ok(found) => {
                    self.begin_to_answer(shard);
                    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    let load_ms = &shard.coordinators.load_ms;
                    load_ms.set(load_ms.get() + elapsed_ms);
                    report(partition, &found, elapsed_ms);
                    return;
                }
                Err(error) => {
                    tracing::error!(partition, %error, "read committed offsets: their groups wait; try again");
                    runtime::sleep(retry).await;
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn read_log(self: &Rc<Self>, shard: &Rc<Shard>) -> Result<Found, LoadFailure> {
        let mut found = Found::default();
        let log = self.partition().log();
        let mut next = log.log_start_offset();
        // Read anew each time: a client may write into the topic as Kafka's tools do.
        while next < self.partition().high_watermark() && !self.has_ended() {
            let read = log.read(next, self.partition().high_watermark(), READ_BYTES, true).await?;
            if read.next_offset <= next {
                return Err(LoadFailure::Stuck(next));
            }
            let bytes = joined(read.pieces).await?;
            self.load_batches(shard, &bytes, next, &mut found).await?;
            next = read.next_offset;
        }
        Ok(found)
    }

    /// Hands every record at or after `from` to the groups.
    async fn load_batches(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        bytes: &Bytes,
        from: Offset,
        found: &mut Found,
    ) -> Result<(), LoadFailure> {
        if self.has_ended() {
            return Ok(());
        }
        for batch in batches(bytes) {
            let batch: RecordBatch<'_> = batch?;
            if batch.attributes().is_control() {
                continue;
            }
            let records = match batch.decompress(DECOMPRESSED_BYTES_MAX) {
                Ok(records) => records,
                Err(error) => {
                    // Its checksum was right: somebody wrote it so, and it will never be otherwise.
                    self.report_unreadable(found, batch.base_offset(), &error);
                    continue;
                }
            };
            for record in batch.records(&records) {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => {
                        self.report_unreadable(found, batch.base_offset(), &error);
                        break;
                    }
                };
                if record.offset < from.value() {
                    continue;
                }
                let key = record.key.unwrap_or_default();
                match self.load_record(key, record.value) {
                    Ok(Loaded::Applied) => {}
                    Ok(Loaded::Ignored) => found.ignored += 1,
                    Err(error) => self.report_unreadable(found, record.offset, &error),
                }
                found.records += 1;
                if found.records.is_multiple_of(RECORDS_IN_A_TURN) {
                    self.account(shard);
                    runtime::yield_to_reactor().await;
                    if self.has_ended() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn report_unreadable(&self, found: &mut Found, offset: i64, error: &dyn std::fmt::Display) {
        found.unreadable += 1;
        if found.unreadable <= REPORTS_MAX {
            let partition = self.key().partition;
            tracing::warn!(partition, offset, %error, "leave out what cannot be read of committed offsets");
        }
    }

    fn begin_to_answer(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.loaded(shard);
        let image = shard.image();
        let topics = self.read(|groups| {
            let mut topics = BTreeSet::new();
            for GroupListing { group, .. } in groups.groups() {
                for (topic, _, _) in groups.committed_offsets(&group) {
                    if image.topic(topic).is_none() && !topics.contains(topic) {
                        topics.insert(topic.to_owned());
                    }
                }
            }
            topics
        });
        let gone: Vec<&str> = topics.iter().flatten().map(String::as_str).collect();
        if !gone.is_empty() {
            self.step(shard, Event::TopicsDeleted { topics: &gone });
        }
    }
}

/// The bytes of all parts as one: only together are they whole batches, a batch may begin in one part and end in the next.
async fn joined(pieces: Vec<Piece>) -> io::Result<Bytes> {
    let mut parts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        parts.push(match piece {
            Piece::Memory(bytes) => bytes,
            Piece::File(range) => read_range(range).await?,
        });
    }
    Ok(match <[Bytes; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) => parts.concat().into(),
    })
}

fn report(partition: i32, found: &Found, elapsed_ms: u64) {
    let Found { records, ignored, unreadable } = *found;
    if unreadable > 0 {
        tracing::warn!(partition, records, unreadable, "some committed offsets could not be read");
    }
    if records > 0 {
        tracing::info!(partition, records, ignored, elapsed_ms, "read committed offsets and groups");
    } else {
        tracing::debug!(partition, elapsed_ms, "no committed offsets yet");
    }
}

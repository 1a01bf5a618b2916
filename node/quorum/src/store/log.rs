//! The log and the vote, as openraft asks for them.
//!
//! An append in steps: the entries enter the mirror, where they are readable at once; their bytes go to the writer; it
//! tells openraft when they are durable, and only then does this member count for them. A vote is awaited. `committed` is
//! written with whatever is written next, or after a moment in which nothing was: it only says how far a member may apply its
//! own log after a start, before it has heard from a leader. A start that knows too little of what it applied before would
//! skip what came to be and went since, and leave what belonged to it behind.
//!
//! Failure: the first error of the file is the last thing that is answered; openraft stops the member.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};

use super::mirror::LogMirror;
use super::writer::{Write, Writes};
use crate::codec::{Coded, seal};
use crate::raft::{Entry, LogId, Types, Vote};

/// Bytes of entries that are read at once for a follower: a few hundred usual ones, and a message stays small beside the
/// heartbeats on the same connection. An entry that is larger is read alone.
pub(crate) const READ_BYTES_MAX: usize = 1 << 20;

/// How far the log is committed is written after so long without another write: no flush more while there are many.
const NOTE_DELAY: Duration = Duration::from_millis(50);

/// Writes and reads.
pub(crate) struct LogStore {
    mirror: Arc<Mutex<LogMirror>>,
    writes: Writes,
    /// Whether it is about to be written.
    is_noting: Arc<AtomicBool>,
}

/// Reads.
#[derive(Clone)]
pub(crate) struct LogReader(Arc<Mutex<LogMirror>>);

impl LogStore {
    pub(super) fn new(mirror: LogMirror, writes: Writes) -> Self {
        Self { mirror: Arc::new(Mutex::new(mirror)), writes, is_noting: Arc::default() }
    }
}

/// No holder panics between two changes that belong together.
fn lock(mirror: &Mutex<LogMirror>) -> MutexGuard<'_, LogMirror> {
    mirror.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(lock(&self.0).entries(range, usize::MAX))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(lock(&self.0).vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        Ok(lock(&self.0).entries(start..end, READ_BYTES_MAX))
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let mirror = lock(&self.mirror);
        Ok(LogState { last_purged_log_id: mirror.purged(), last_log_id: mirror.last_log_id() })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader(Arc::clone(&self.mirror))
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.writes.durably(|done| Write::Vote { sealed: seal(&vote.to_bytes()), done }).await?;
        lock(&self.mirror).vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        lock(&self.mirror).committed = committed;
        let Some(committed) = committed else { return Ok(()) };
        self.writes.send(Write::Committed { sealed: seal(&committed.to_bytes()) }).await?;
        if !self.is_noting.swap(true, Ordering::Relaxed) {
            let (writes, is_noting) = (self.writes.clone(), Arc::clone(&self.is_noting));
            tokio::spawn(async move {
                tokio::time::sleep(NOTE_DELAY).await;
                is_noting.store(false, Ordering::Relaxed);
                // The thread that writes has ended: it wrote this last.
                let _ = writes.send(Write::NoteCommitted).await;
            });
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(lock(&self.mirror).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut sealed = Vec::new();
        {
            let mut mirror = lock(&self.mirror);
            for entry in entries {
                sealed.push((entry.log_id.index, seal(&entry.to_bytes())));
                mirror.append(entry).map_err(|expected| {
                    io::Error::other(format!("the quorum appends beside entry {expected} of its log"))
                })?;
            }
        }
        self.writes.send(Write::Append { sealed, done: callback }).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = lock(&self.mirror).truncate_after(last_log_id);
        self.writes.durably(|done| Write::TruncateFrom { index: from, done }).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        lock(&self.mirror).purge(log_id);
        let sealed = seal(&log_id.to_bytes());
        self.writes.durably(|done| Write::Purge { up_to: log_id.index, sealed, done }).await
    }
}

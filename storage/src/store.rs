//! All logs of one shard on one disk, and the journal they share.
//!
//! The store spawns nothing and keeps no timer. The node drives it: one task of the shard loops over
//! [`Store::pending`], [`Store::begin_round`], [`Round::write`], [`Round::flush`]; one over [`Store::write_zeros_ahead`],
//! one over [`Store::settle_beside`]; another calls [`Store::maintain`] about once a second. Clones share the store.
pub(crate) mod cold_memory;
mod maintain;
mod settle;
pub(crate) mod shared;
mod stats;
mod zeros;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use self::shared::Shared;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::{Disk, DiskError};
use crate::error::{ChangeError, OpenError, StoreError};
use crate::identity::{LogIdentity, LogKey, ShardId};
use crate::journal::Journal;
use crate::log::recovered::RecoveredLogs;
use crate::log::{Log, recover};
use crate::offset::Offset;
use crate::partition_id::PartitionId;

pub use self::stats::StoreStats;
pub use crate::group_commit::Round;
pub use crate::journal::replay::{ReplayReport, replay_journals};

/// All logs of one shard on one disk.
pub struct Store<D: Disk> {
    shared: Rc<Shared<D>>,
    logs: Rc<RefCell<Logs<D>>>,
}

struct Logs<D: Disk> {
    open: BTreeMap<LogKey, Log<D>>,
    /// Logs that are being opened.
    opening: BTreeSet<LogKey>,
    /// Logs that need not be recovered from their folders.
    recovered: RecoveredLogs,
    /// Where the upkeep goes on: it takes a part of the logs at a time.
    upkeep_next: Option<LogKey>,
}

/// How far one log got, or what stopped it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The log.
    pub log: LogKey,
    /// The new written or flushed offset. After a recoverable error (full disk) the bytes stay pending and are tried again;
    /// after any other the log is offline.
    pub result: Result<Offset, DiskError>,
}

impl<D: Disk> Clone for Store<D> {
    fn clone(&self) -> Self {
        Store { shared: self.shared.clone(), logs: self.logs.clone() }
    }
}

impl<D: Disk> Store<D> {
    /// Opens the store of one shard. The journals were replayed before: see [`replay_journals`].
    pub async fn open(disk: D, shard: ShardId, options: StoreOptions) -> Result<Store<D>, StoreError> {
        let shared = Rc::new(Shared::new(disk, options));
        let journal = Journal::open(shared.disk.clone(), shard, &options, shared.block_bytes).await?;
        shared.set_journal(journal);
        Ok(Store::new(shared))
    }

    /// A store that writes no journal.
    pub(crate) fn without_journal(disk: D, options: StoreOptions) -> Store<D> {
        Store::new(Rc::new(Shared::new(disk, options)))
    }

    fn new(shared: Rc<Shared<D>>) -> Store<D> {
        let logs = Logs {
            open: BTreeMap::new(),
            opening: BTreeSet::new(),
            recovered: RecoveredLogs::default(),
            upkeep_next: None,
        };
        Store { shared, logs: Rc::new(RefCell::new(logs)) }
    }

    /// Takes over the logs that a replay has opened, for [`Store::open_log`]. Until they are opened or forgotten nobody may
    /// touch their folders.
    pub fn take_over(&self, recovered: RecoveredLogs) {
        self.logs.borrow_mut().recovered = recovered;
    }

    /// Forgets the logs that were taken over and not opened: whoever opens one later finds out again how it is.
    pub fn forget_recovered(&self) {
        drop(self.take_back());
    }

    /// The logs that were taken over and not opened.
    pub(crate) fn take_back(&self) -> RecoveredLogs {
        core::mem::take(&mut self.logs.borrow_mut().recovered)
    }

    /// Opens a log: creates it, or recovers it.
    pub async fn open_log(
        &self,
        identity: LogIdentity,
        config: LogConfig,
        now_ms: i64,
    ) -> Result<Log<D>, OpenError> {
        self.open_with(identity, None, config, now_ms).await
    }

    /// The same for a log whose id was just read.
    pub(crate) async fn open_known(
        &self,
        identity: LogIdentity,
        id: PartitionId,
        config: LogConfig,
        now_ms: i64,
    ) -> Result<Log<D>, OpenError> {
        self.open_with(identity, Some(id), config, now_ms).await
    }

    async fn open_with(
        &self,
        identity: LogIdentity,
        id: Option<PartitionId>,
        config: LogConfig,
        now_ms: i64,
    ) -> Result<Log<D>, OpenError> {
        if !identity.is_safe() {
            return Err(OpenError::UnsafeName(identity.topic));
        }
        let key = identity.key();
        let recovered = {
            let mut logs = self.logs.borrow_mut();
            if logs.open.contains_key(&key) || !logs.opening.insert(key) {
                return Err(OpenError::AlreadyOpen(identity.folder()));
            }
            logs.recovered.remove(&identity)
        };
        let shared = self.shared.clone();
        let opened = match recovered {
            Some(recovered) => Ok(recovered.open(shared, config, now_ms)),
            None => recover::open_log(shared, identity, id, config, now_ms).await,
        };
        let mut logs = self.logs.borrow_mut();
        logs.opening.remove(&key);
        let log = opened?;
        logs.open.insert(key, log.clone());
        Ok(log)
    }

    /// Deletes a log. What readers hold stays readable; everything else about it fails from now on.
    pub async fn delete_log(&self, log: &Log<D>) -> Result<(), ChangeError> {
        let deleted = log.delete_files().await;
        self.logs.borrow_mut().open.remove(&log.key());
        if let Some(journal) = self.shared.journal() {
            journal.forget(log.key());
        }
        deleted
    }

    /// Whether something waits to be written or settled.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.shared.queue.borrow().is_empty()
    }

    /// Resolves when something waits to be written or settled and it is the turn of a round; [`Store::begin_round`] may be
    /// called at once then. Whoever else wants the rounds to stand still takes turns with them.
    pub async fn pending(&self) {
        let shared = &self.shared;
        loop {
            shared.work.until(|| !shared.queue.borrow().is_empty()).await;
            drop(shared.round.acquire().await);
            if !shared.queue.borrow().is_empty() {
                return;
            }
        }
    }

    /// Takes what is there now.
    ///
    /// # Panics
    /// When another round is under way: call it right after [`Store::pending`].
    #[must_use]
    pub fn begin_round(&self) -> Round<D> {
        let guard = self.shared.round.take_before_others().expect("one round at a time");
        Round::begin(self.shared.clone(), guard)
    }

    /// Whether so many bytes may be appended now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.shared.has_room(bytes)
    }

    /// Resolves when so many bytes may be appended.
    pub async fn room(&self, bytes: usize) {
        self.shared.room.until(|| self.shared.has_room(bytes)).await;
    }

    /// Bytes that were appended and are not written yet.
    #[must_use]
    pub fn unwritten_bytes(&self) -> usize {
        self.shared.unwritten_bytes.get()
    }

    /// Memory that the tails hold.
    #[must_use]
    pub fn tail_bytes(&self) -> usize {
        self.shared.tail_bytes.get()
    }

    /// Segment files that are open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.shared.open_files()
    }

    /// Lets go of all logs, so that none of them keeps the store alive. It is of no use afterwards.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        let shared = &self.shared;
        for queue in [&shared.queue, &shared.stalled, &shared.zeros_queue] {
            queue.borrow_mut().clear();
        }
        shared.settle_queue.borrow_mut().clear();
        self.logs.borrow_mut().open.clear();
    }

    fn all_logs(&self) -> Vec<Log<D>> {
        self.logs.borrow().open.values().cloned().collect()
    }
}

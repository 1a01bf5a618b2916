//! All logs of one shard on one disk, and the journal they share.
use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::config::{LogConfig, StoreOptions};
use crate::disk::{Disk, DiskError};
use crate::error::{ChangeError, OpenError, StoreError};
use crate::identity::{LogIdentity, LogKey, ShardId};
use crate::log::Log;
use crate::offset::Offset;

/// SKELETON
#[derive(Clone)]
pub struct Store<D: Disk>(PhantomData<D>);

/// How far one log got, or what stopped it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The log.
    pub log: LogKey,
    /// The new written or flushed offset. A recoverable error (full disk): the bytes stay pending and are tried again.
    /// Any other error: the log is offline from now on.
    pub result: Result<Offset, DiskError>,
}

/// What a start found in the journals.
#[derive(Clone, Debug, Default)]
pub struct ReplayReport {
    /// Frames read.
    pub frames: u64,
    /// Bytes that were brought to their segments.
    pub bytes_applied: u64,
    /// Logs that miss bytes which were durable; they refuse to open.
    pub damaged: Vec<LogKey>,
}

/// Once per start, before any store opens.
pub async fn replay_journals<D: Disk>(
    _disk: &D,
    _options: StoreOptions,
    _shards: u16,
    _now_ms: i64,
) -> Result<ReplayReport, StoreError> {
    unreachable!()
}

impl<D: Disk> Store<D> {
    /// Opens the store of one shard.
    pub async fn open(_disk: D, _shard: ShardId, _options: StoreOptions) -> Result<Store<D>, StoreError> {
        unreachable!()
    }
    /// Opens a log: creates or recovers it.
    pub async fn open_log(
        &self,
        _identity: LogIdentity,
        _config: LogConfig,
        _now_ms: i64,
    ) -> Result<Log<D>, OpenError> {
        unreachable!()
    }
    /// Deletes a log. What readers hold stays readable.
    pub async fn delete_log(&self, _log: &Log<D>) -> Result<(), ChangeError> {
        unreachable!()
    }
    /// Resolves when something waits to be written and no round is under way.
    pub async fn pending(&self) {
        unreachable!()
    }
    /// Takes what is there now.
    pub fn begin_round(&self) -> Round<D> {
        unreachable!()
    }
    /// Whether so many bytes may be appended now.
    pub fn has_room(&self, _bytes: usize) -> bool {
        unreachable!()
    }
    /// Resolves when so many bytes may be appended.
    pub async fn room(&self, _bytes: usize) {
        unreachable!()
    }
    /// A bounded amount of upkeep; call it every second. Returns what could not be kept up, for the operator's log.
    pub async fn maintain(&self, _now_ms: i64) -> Result<(), StoreError> {
        unreachable!()
    }
    /// Flushes what `write.caching` left.
    pub async fn flush_cached(&self) -> Result<Vec<Progress>, StoreError> {
        unreachable!()
    }
    /// Settles and checkpoints everything.
    pub async fn close(self, _now_ms: i64) -> Result<(), StoreError> {
        unreachable!()
    }
}

/// One round of group commit.
pub struct Round<D: Disk>(PhantomData<D>);

impl<D: Disk> Round<D> {
    /// Writes what the round took.
    pub async fn write(&mut self) -> Vec<Progress> {
        unreachable!()
    }
    /// Makes it durable. Empty when only logs with `write.caching` took part.
    pub async fn flush(&mut self) -> Vec<Progress> {
        unreachable!()
    }
}

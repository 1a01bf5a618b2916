//! The logs of one shard on one disk: segments, journal, group commit, recovery.
//!
//! The crate knows no cluster and no network, spawns nothing and reads no clock: its futures await only
//! [`disk::Disk`], and time is an argument. Without the feature `direct` it is `no_std` + `alloc`.
#![cfg_attr(not(feature = "direct"), no_std)]
extern crate alloc;

mod batch;
mod checkpoint;
mod codec;
mod config;
pub mod disk;
mod error;
mod group_commit;
mod identity;
pub mod inspect;
mod journal;
mod log;
mod offset;
mod partition_id;
mod planted;
mod segment;
mod signal;
mod small_file;
mod store;
#[cfg(test)]
mod tests;

pub use self::{
    config::{CompactionConfig, LogConfig, StoreOptions},
    error::{
        AppendError, ChangeError, CompactionError, Corruption, OpenError, ProducerError, ReadError,
        StoreError,
    },
    identity::{LogIdentity, LogKey, ShardId, TopicId, parse_folder},
    journal::JournalStats,
    log::compaction::{Compaction, CompactionNeed, CompactionReport, CompactionStep},
    log::recovered::RecoveredLogs,
    log::{Appended, Fetched, Log, Piece, ProducerCheck, ProducerSnapshot, RetentionReport},
    offset::{LeaderEpoch, Offset},
    store::{Progress, ReplayReport, Round, Store, StoreStats, replay_journals},
};

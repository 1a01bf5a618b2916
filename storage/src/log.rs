//! One partition's log.
use alloc::vec::Vec;
use bytes::Bytes;
use core::marker::PhantomData;

use crate::config::LogConfig;
use crate::disk::{Disk, FileRange};
use crate::error::{AppendError, ChangeError, ProducerError, ReadError};
use crate::identity::{LogIdentity, LogKey};
use crate::offset::{LeaderEpoch, Offset};

/// SKELETON
#[derive(Clone)]
pub struct Log<D: Disk>(PhantomData<D>);

/// What an append assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
}

/// One part of what was read, in the log's order.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes of the tail, or bytes that were just read.
    Memory(Bytes),
    /// A range of a segment file whose bytes were verified and are in the page cache.
    File(FileRange),
}

/// Whole batches, from the one that holds the offset asked for.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The parts, in order.
    pub pieces: Vec<Piece>,
    /// Bytes of all parts.
    pub length: usize,
    /// Offset behind the last record of the parts; the offset asked for when there are none.
    pub next_offset: Option<Offset>,
}

/// What the log knows of the producer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerCheck {
    /// Append it.
    New,
    /// It is in the log already; answer as the first time.
    Duplicate {
        /// Offset that its first record got.
        base_offset: Offset,
        /// Largest timestamp of the batch, which is its append time where the topic says so.
        append_time_ms: i64,
    },
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Segments deleted.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The log's start afterwards.
    pub log_start_offset: Offset,
}

/// What is known of a producer, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSnapshot {
    /// Its id.
    pub producer_id: i64,
    /// Its newest epoch.
    pub producer_epoch: i16,
    /// Last sequence number.
    pub last_sequence: i32,
    /// When it appended last, by this node's clock.
    pub last_append_ms: i64,
}

impl<D: Disk> Log<D> {
    /// Who it is.
    pub fn identity(&self) -> &LogIdentity {
        unreachable!()
    }
    /// Who it is, short.
    pub fn key(&self) -> LogKey {
        unreachable!()
    }
    /// First offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        unreachable!()
    }
    /// Offset of the next record to come.
    pub fn log_end_offset(&self) -> Offset {
        unreachable!()
    }
    /// Below it everything was written by direct I/O: it survives the end of the process.
    pub fn written_offset(&self) -> Offset {
        unreachable!()
    }
    /// Below it everything is durable.
    pub fn flushed_offset(&self) -> Offset {
        unreachable!()
    }
    /// Bytes of all batches.
    pub fn size_bytes(&self) -> u64 {
        unreachable!()
    }
    /// Whether an append needs no read before it.
    pub fn is_active(&self) -> bool {
        unreachable!()
    }
    /// Reads the partly filled last block back, so that the log can be appended to.
    pub async fn activate(&self) -> Result<(), AppendError> {
        unreachable!()
    }
    /// Whether a validated batch follows what its producer wrote. `batch` begins with its header.
    pub fn check_producer(&self, _batch: &[u8], _now_ms: i64) -> Result<ProducerCheck, ProducerError> {
        unreachable!()
    }
    /// Appends one validated batch.
    pub fn append(
        &self,
        _batch: &[u8],
        _leader_epoch: LeaderEpoch,
        _now_ms: i64,
    ) -> Result<Appended, AppendError> {
        unreachable!()
    }
    /// Whole batches from `from` on, below `up_to`.
    pub async fn read(
        &self,
        _from: Offset,
        _up_to: Offset,
        _max_bytes: usize,
        _at_least_one: bool,
    ) -> Result<Fetched, ReadError> {
        unreachable!()
    }
    /// The first batch whose largest timestamp is at least `timestamp_ms`, as bytes.
    pub async fn batch_for_time(
        &self,
        _timestamp_ms: i64,
        _up_to: Offset,
    ) -> Result<Option<Bytes>, ReadError> {
        unreachable!()
    }
    /// The largest timestamp, and the last offset of the first batch that has it.
    pub fn max_timestamp(&self) -> Option<(i64, Offset)> {
        unreachable!()
    }
    /// The largest epoch not above the one asked for, and where it ends.
    pub fn end_offset_for_epoch(&self, _epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        unreachable!()
    }
    /// The newest epoch in the log.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        unreachable!()
    }
    /// Drops everything from `offset` on. Durable when it returns.
    pub async fn truncate(&self, _offset: Offset) -> Result<(), ChangeError> {
        unreachable!()
    }
    /// Drops everything below `offset`. Durable when it returns.
    pub async fn advance_log_start(&self, _offset: Offset) -> Result<(), ChangeError> {
        unreachable!()
    }
    /// Deletes sealed segments that time or size lets go, none that reaches the high watermark.
    pub async fn apply_retention(
        &self,
        _now_ms: i64,
        _high_watermark: Offset,
    ) -> Result<RetentionReport, ChangeError> {
        unreachable!()
    }
    /// Takes other settings from now on.
    pub fn set_config(&self, _config: LogConfig) {
        unreachable!()
    }
    /// What is known of the producers.
    pub fn producers(&self) -> Vec<ProducerSnapshot> {
        unreachable!()
    }
}

//! What can go wrong with logs, each error in terms of what the caller does next.
//!
//! Broken invariants are not here: they crash. Bytes that came from a disk are outside bytes: when they are
//! wrong the error names the file, the position, what was expected and what was found.
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::disk::DiskError;
use crate::identity::TopicId;
use crate::offset::Offset;

/// Bytes of a file that cannot be what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at position {position}: expected {expected}, got {got}")]
pub struct Corruption {
    /// The file, relative to the data directory.
    pub file: String,
    /// Byte in the file where the damaged thing begins.
    pub position: u64,
    /// What stands there in an intact file.
    pub expected: String,
    /// What stands there.
    pub got: String,
}

/// Why a store cannot work at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file that belongs to the whole shard is damaged.
    #[error(transparent)]
    Corrupt(Box<Corruption>),
    /// What a journal holds could not be appended to its log.
    #[error("a journal cannot be applied: {0}")]
    Replay(AppendError),
    /// The data directory was written by a later version.
    #[error("{file} has format version {found}, this version reads up to {supported}")]
    UnknownVersion {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
}

/// Why one log cannot be opened. Every other log of the shard can.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Durable bytes are damaged. The log stays closed until an operator decides.
    #[error(transparent)]
    Corrupt(Box<Corruption>),
    /// The folder belongs to another topic of the same name: one that was deleted, or somebody else's.
    #[error("folder {folder} belongs to topic id {found}, expected {expected}")]
    OtherTopic {
        /// The folder, relative to the data directory.
        folder: String,
        /// The topic id that was asked for.
        expected: TopicId,
        /// The topic id that the folder has.
        found: TopicId,
    },
    /// The journal proves that more was durable than the log holds.
    #[error("{folder} ends at offset {found}, but was durable up to {expected}")]
    Missing {
        /// The folder, relative to the data directory.
        folder: String,
        /// Offset below which everything was durable.
        expected: Offset,
        /// Where the log ends.
        found: Offset,
    },
    /// A topic name that cannot be a folder.
    #[error("{0:?} cannot be the name of a folder")]
    UnsafeName(String),
    /// The log is open already.
    #[error("{0} is open already")]
    AlreadyOpen(String),
}

/// Why a batch was not appended. Nothing of it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A write or flush of this log failed: what is on disk is not known any more. Until the next start.
    #[error("the log is offline: {0}")]
    Offline(DiskError),
    /// The disk is full. Passes when space is freed.
    #[error("the disk is full")]
    Full,
    /// The shard holds as many unwritten bytes as it may: wait for [`crate::Store::room`].
    #[error("too many bytes wait to be written")]
    NoRoom,
    /// The partly filled last block is not in memory: call [`crate::Log::activate`] right before.
    #[error("the log is idle")]
    Inactive,
    /// The log is being cut or deleted.
    #[error("the log is being changed")]
    Busy,
    /// The bytes are not exactly one batch: the caller has not validated them.
    #[error("not a record batch: {0}")]
    Malformed(&'static str),
    /// The batch is larger than a segment can be.
    #[error("a batch of {0} bytes does not fit into a segment")]
    TooLarge(usize),
    /// The leader epoch lies below one that the log has.
    #[error("leader epoch {found} is older than {latest}")]
    StaleLeaderEpoch {
        /// The epoch of the append.
        found: i32,
        /// The newest epoch in the log.
        latest: i32,
    },
}

/// Why a batch of an idempotent producer must not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A batch is missing before this one.
    #[error("sequence {found} does not follow {last}")]
    OutOfOrderSequence {
        /// The last sequence number in the log, -1 when a new epoch has to begin at 0.
        last: i32,
        /// The first sequence number of the batch.
        found: i32,
    },
    /// A newer instance of this producer has written.
    #[error("producer epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        /// The newest epoch in the log.
        current: i16,
        /// The epoch of the batch.
        found: i16,
    },
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The offset lies below the log's start or above its end.
    #[error("offset {asked} is outside of {start}..={end}")]
    OutOfRange {
        /// The offset asked for.
        asked: Offset,
        /// First offset that can be read.
        start: Offset,
        /// Offset of the next record to come.
        end: Offset,
    },
    /// Damaged bytes stand where the batch should be; they are never served.
    #[error(transparent)]
    Corrupt(Box<Corruption>),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a log could not be cut, advanced or cleaned.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The offset lies outside of the log.
    #[error("offset {asked} is outside of {start}..={end}")]
    OutOfRange {
        /// The offset asked for.
        asked: Offset,
        /// First offset of the log.
        start: Offset,
        /// Offset of the next record to come.
        end: Offset,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Damaged bytes were met.
    #[error(transparent)]
    Corrupt(Box<Corruption>),
    /// An earlier error stopped the log.
    #[error("the log is offline: {0}")]
    Offline(DiskError),
}

/// Why a pass of compaction ended early. The log itself goes on.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// Damaged bytes were met: the log is not compacted any more until the next start.
    #[error(transparent)]
    Corrupt(Box<Corruption>),
    /// The disk refused. When it was full the log is compacted again later, otherwise after the next start.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

macro_rules! from_damage {
    ($($error:ty),*) => {$(
        impl From<Damage> for $error {
            fn from(damage: Damage) -> Self {
                match damage {
                    Damage::Disk(error) => Self::Disk(error),
                    Damage::Corrupt(corruption) => Self::Corrupt(corruption),
                }
            }
        }
    )*};
}
from_damage!(StoreError, OpenError, ReadError, ChangeError, CompactionError);

/// What reading own files can meet; every public error can hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Disk(DiskError),
    Corrupt(Box<Corruption>),
}

impl From<DiskError> for Damage {
    fn from(error: DiskError) -> Damage {
        Damage::Disk(error)
    }
}

impl From<Corruption> for Damage {
    fn from(corruption: Corruption) -> Damage {
        Damage::Corrupt(Box::new(corruption))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Disk(error) => error.fmt(formatter),
            Damage::Corrupt(corruption) => corruption.fmt(formatter),
        }
    }
}

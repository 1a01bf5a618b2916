//! `partition.id`: whose folder this is, and whether an operation on it is unfinished.
//!
//! ```text
//! | frame of small files, magic "RMpartid" | topic id 16 | partition i32 | incarnation u64 | state u32 | offset i64 |
//! ```
//! The incarnation changes whenever bytes may vanish from the log's end. Journal entries name the incarnation they were
//! written for, so replay never brings back what was cut. It begins with the time of creation, so that a log that is
//! deleted and created again does not meet its former self.
use alloc::format;
use alloc::vec::Vec;

use crate::codec::{Put, Take};
use crate::error::Corruption;
use crate::identity::{LogKey, TopicId};
use crate::offset::Offset;
use crate::small_file::{self, Kind};

/// The file's name in the folder of its partition.
pub(crate) const FILE_NAME: &str = "partition.id";

/// Largest file of this kind.
pub(crate) const FILE_BYTES_MAX: usize = 4096;

const PARTITION_ID_FILE: Kind = Kind { magic: *b"RMpartid", version: 1 };

/// Truncations that fit between the first incarnations of two logs created a millisecond apart.
const TRUNCATIONS_BITS: u32 = 20;

/// The incarnation of a log that is created now: above those of a former self, whatever was cut from it.
pub(crate) fn first_incarnation(now_ms: i64) -> u64 {
    now_ms.unsigned_abs() << TRUNCATIONS_BITS
}

/// What a folder says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionId {
    pub(crate) key: LogKey,
    pub(crate) incarnation: u64,
    pub(crate) state: FolderState,
}

/// What has to happen before the log may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FolderState {
    /// Nothing.
    Settled,
    /// Everything from this offset on has to go: a truncation began.
    Truncating(Offset),
    /// It misses durable bytes below this offset; an operator has to decide.
    Missing(Offset),
    /// Everything has to go, and the log begins again at this offset.
    Restarting(Offset),
}

impl PartitionId {
    /// The file.
    pub(crate) fn to_file(self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put(&self.key.topic_id.0);
        body.put_i32(self.key.partition);
        body.put_u64(self.incarnation);
        let (state, offset) = match self.state {
            FolderState::Settled => (1, 0),
            FolderState::Truncating(offset) => (2, offset.value()),
            FolderState::Missing(offset) => (3, offset.value()),
            FolderState::Restarting(offset) => (4, offset.value()),
        };
        body.put_u32(state);
        body.put_i64(offset);
        small_file::seal(&PARTITION_ID_FILE, &body)
    }

    /// Reads the file.
    pub(crate) fn from_file(path: &str, file: &[u8]) -> Result<PartitionId, Corruption> {
        let body = small_file::open(&PARTITION_ID_FILE, path, file)?;
        PartitionId::decode(body).ok_or_else(|| Corruption {
            file: path.into(),
            position: 20,
            expected: "topic id, partition, incarnation and state".into(),
            got: format!("{body:02x?}"),
        })
    }

    fn decode(body: &[u8]) -> Option<PartitionId> {
        let mut fields = Take(body);
        let key = LogKey { topic_id: TopicId(fields.id()?), partition: fields.i32()? };
        let incarnation = fields.u64()?;
        let (state, offset) = (fields.u32()?, Offset::try_new(fields.i64()?)?);
        let state = match state {
            1 => FolderState::Settled,
            2 => FolderState::Truncating(offset),
            3 => FolderState::Missing(offset),
            4 => FolderState::Restarting(offset),
            _ => return None,
        };
        fields.0.is_empty().then_some(PartitionId { key, incarnation, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_file() {
        let offset = Offset::new(77);
        let unfinished = [FolderState::Truncating, FolderState::Missing, FolderState::Restarting];
        for state in unfinished.map(|state| state(offset)).into_iter().chain([FolderState::Settled]) {
            let key = LogKey { topic_id: TopicId([9; 16]), partition: 4 };
            let id = PartitionId { key, incarnation: 12, state };
            assert_eq!(PartitionId::from_file("p", &id.to_file()), Ok(id));
        }
    }
}

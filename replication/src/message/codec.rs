//! Fixed-width fields: written one after the other, and read with an eye on what is left.

use bytes::{BufMut, BytesMut};
use ringmain_storage::{LeaderEpoch, LogKey, Offset, TopicId};

use super::MessageError;
use crate::identity::NodeEpoch;

/// Bytes of a [`LogKey`].
pub(super) const LOG_KEY_BYTES: usize = 20;

pub(super) fn put_log(body: &mut BytesMut, log: LogKey) {
    body.put_slice(&log.topic_id.0);
    body.put_i32(log.partition);
}

pub(super) fn put_count(body: &mut BytesMut, count: usize) {
    // A body that long would be refused for its length.
    body.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
}

pub(super) fn put_node_epoch(body: &mut BytesMut, epoch: NodeEpoch) {
    body.put_i64(epoch.0);
}

/// Reads fields from the front of some bytes.
pub(super) struct Take<'a>(&'a [u8]);

macro_rules! integers {
    ($($name:ident),*) => {
        $(pub(super) fn $name(&mut self) -> Result<$name, MessageError> {
            let (bytes, rest) = self.0.split_first_chunk().ok_or(MessageError::Body("too short"))?;
            self.0 = rest;
            Ok($name::from_be_bytes(*bytes))
        })*
    };
}

impl<'a> Take<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    integers!(u8, u16, u32, u64, i32, i64);

    /// A count of things that take at least so many bytes each: there are as many bytes left.
    pub(super) fn count(&mut self, least_bytes: usize) -> Result<usize, MessageError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / least_bytes {
            return Err(MessageError::Body("too short for what it counts"));
        }
        Ok(count)
    }

    pub(super) fn log(&mut self) -> Result<LogKey, MessageError> {
        let (topic_id, rest) = self.0.split_first_chunk().ok_or(MessageError::Body("too short"))?;
        let topic_id = TopicId(*topic_id);
        self.0 = rest;
        let partition = self.i32()?;
        if partition < 0 { Err(MessageError::Field("partition")) } else { Ok(LogKey { topic_id, partition }) }
    }

    pub(super) fn offset(&mut self) -> Result<Offset, MessageError> {
        Offset::try_new(self.i64()?).ok_or(MessageError::Field("offset"))
    }

    /// Never "unknown".
    pub(super) fn leader_epoch(&mut self) -> Result<LeaderEpoch, MessageError> {
        self.optional_leader_epoch()?.ok_or(MessageError::Field("leader epoch"))
    }

    pub(super) fn optional_leader_epoch(&mut self) -> Result<Option<LeaderEpoch>, MessageError> {
        let epoch = LeaderEpoch::try_new(self.i32()?).ok_or(MessageError::Field("leader epoch"))?;
        Ok(Some(epoch).filter(|epoch| epoch.value() >= 0))
    }

    pub(super) fn node_epoch(&mut self) -> Result<NodeEpoch, MessageError> {
        let epoch = self.i64()?;
        if epoch < 0 { Err(MessageError::Field("node epoch")) } else { Ok(NodeEpoch(epoch)) }
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Result<(), MessageError> {
        if self.0.is_empty() { Ok(()) } else { Err(MessageError::Body("too long")) }
    }
}

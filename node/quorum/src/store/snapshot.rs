//! The one snapshot in the file.
//!
//! Its bytes are the state machine's; they are read back when the member starts and when a follower is far behind, not kept
//! in memory. `meta` carries the checksum of the data beside its own.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use redb::{Database, ReadableDatabase};

use super::StoreError;
use super::tables::SNAPSHOT;
use super::writer::{Write, Writes};
use crate::codec::{Coded, DecodeError, Reader, seal, unseal};
use crate::raft::{Snapshot, SnapshotMeta};

/// Reads and replaces the snapshot.
#[derive(Clone)]
pub(crate) struct SnapshotFile {
    database: Arc<Database>,
    writes: Writes,
    path: Arc<Path>,
}

impl SnapshotFile {
    pub(super) fn new(database: Arc<Database>, writes: Writes, path: Arc<Path>) -> Self {
        Self { database, writes, path }
    }

    /// Puts it in place of the one before. Durable when this returns.
    pub(crate) async fn replace(&self, meta: &SnapshotMeta, data: Bytes) -> Result<(), io::Error> {
        let mut bytes = meta.to_bytes();
        bytes.put_u32(crc32fast::hash(&data));
        let meta = seal(&bytes);
        self.writes.durably(|done| Write::Snapshot { meta, data, done }).await
    }

    /// The snapshot, if there is one.
    pub(crate) fn read(&self) -> Result<Option<Snapshot>, StoreError> {
        let failed = |error: redb::Error| StoreError::of("read", &self.path, error);
        let damaged = |error: DecodeError| StoreError::damaged(&self.path, format!("its snapshot: {error}"));
        let read = self.database.begin_read().map_err(|e| failed(e.into()))?;
        let table = read.open_table(SNAPSHOT).map_err(|e| failed(e.into()))?;
        let meta = table.get("meta").map_err(|e| failed(e.into()))?;
        let data = table.get("data").map_err(|e| failed(e.into()))?;
        let (Some(meta), Some(data)) = (meta, data) else { return Ok(None) };
        let mut reader = Reader::new(unseal(meta.value()).map_err(damaged)?);
        let meta = SnapshotMeta::decode(&mut reader).map_err(damaged)?;
        let found = reader.u32("a checksum").map_err(damaged)?;
        reader.finish().map_err(damaged)?;
        let expected = crc32fast::hash(data.value());
        if found != expected {
            return Err(damaged(DecodeError::Checksum { expected, found }));
        }
        Ok(Some(Snapshot { meta, snapshot: Bytes::copy_from_slice(data.value()) }))
    }
}

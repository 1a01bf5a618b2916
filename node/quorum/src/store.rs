//! What a member promised, in a file: its identity, its vote, its log, its snapshot.
//!
//! One redb file. [`QuorumStore::open`] reads it into [`LogMirror`]; from then on the file is only written, by one thread
//! (`store/writer.rs`) in the order of the promises, and read from memory. The file is as large as the log since the last
//! snapshot, and the snapshot; the disk gives it room ahead (`store/room.rs`).
//!
//! What must hold:
//! - A vote, an appended entry, a cut of the log and a snapshot are durable before they are answered.
//! - The log has no gap: its indexes are those after the last purged one, one by one. `open` refuses anything else.
//! - The identity never changes. A file of another cluster or another node is refused before anything is answered.
//!
//! Crashes and damage. A redb transaction is one flush: pages are written beside the old ones, each with a checksum, then
//! the new root; after a crash the root is used only if everything under it has its checksum, else the one before it. A
//! torn transaction is therefore one that never was, and it was not answered either. redb looks at the checksums after a
//! crash only; here they are checked at every open, and each value has a checksum of its own that is checked when it is
//! read, so that a bit that flipped is a refusal with a sentence, not a vote that was never cast.

mod error;
mod log;
mod mirror;
mod room;
mod snapshot;
mod tables;
mod writer;

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use ringmain_replication::NodeId;

use crate::codec::{Coded, DecodeError, unseal};
use crate::raft::{Entry, LogId, Vote};
use crate::replica_id::{DirectoryId, ReplicaId};

pub use error::StoreError;
pub(crate) use log::{LogStore, READ_BYTES_MAX};
use mirror::LogMirror;
pub(crate) use mirror::entry_size_bytes;
pub use room::Room;
pub(crate) use snapshot::SnapshotFile;

use tables::{IDENTITY, LAYOUT, LOG, PROMISES};

/// Memory for pages of the file: it is read once, at the start.
const CACHE_BYTES: usize = 2 << 20;
/// Bytes of a cluster id at most; certificates hold no longer names.
pub const CLUSTER_ID_BYTES_MAX: usize = 64;

/// The file of one member of the quorum.
#[derive(Debug)]
pub struct QuorumStore {
    database: Database,
    replica: ReplicaId,
    mirror: LogMirror,
    path: Arc<Path>,
}

/// The parts of an open store, as openraft wants them.
pub(crate) struct StoreParts {
    pub(crate) log: LogStore,
    pub(crate) snapshots: SnapshotFile,
    pub(crate) thread: std::thread::JoinHandle<()>,
}

impl QuorumStore {
    /// Opens or makes the file for this node of this cluster. A new file gets a new directory id.
    pub fn open(path: &Path, cluster_id: &str, node: NodeId) -> Result<Self, StoreError> {
        if cluster_id.is_empty() || cluster_id.len() > CLUSTER_ID_BYTES_MAX {
            return Err(StoreError::ClusterId { cluster_id: cluster_id.to_owned() });
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let is_new = !path.exists();
        let database = builder.create(path).map_err(|error| StoreError::of("open", path, error.into()))?;
        if is_new {
            flush_name(path).map_err(|error| StoreError::of("make", path, redb::Error::Io(error)))?;
        }
        make_tables(&database, cluster_id, node).map_err(|error| StoreError::of("prepare", path, error))?;
        let replica = read_identity(&database, path, cluster_id, node)?;
        let mirror = read_log(&database, path)?;
        Ok(Self { database, replica, mirror, path: path.into() })
    }

    /// Whose file it is.
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// The numbers of the log entries in it, first to last; `None` if there are none.
    pub fn log_range(&self) -> Option<(u64, u64)> {
        Some((self.mirror.first_index()?, self.mirror.last_log_id()?.index))
    }

    /// Starts the thread that writes.
    pub(crate) fn start(self) -> Result<StoreParts, StoreError> {
        let database = Arc::new(self.database);
        let path = Arc::clone(&self.path);
        let (writes, thread) = writer::start(Arc::clone(&database), Arc::clone(&path))
            .map_err(|error| StoreError::of("start the thread of", &path, redb::Error::Io(error)))?;
        let log = LogStore::new(self.mirror, writes.clone());
        let snapshots = SnapshotFile::new(database, writes, path);
        Ok(StoreParts { log, snapshots, thread })
    }
}

/// A file that was made is there after a power cut only if its directory was flushed.
fn flush_name(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::File::open(parent)?.sync_all(),
        _ => std::fs::File::open(".")?.sync_all(),
    }
}

fn make_tables(database: &Database, cluster_id: &str, node: NodeId) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        write.open_table(LOG)?;
        write.open_table(PROMISES)?;
        write.open_table(tables::SNAPSHOT)?;
        let mut identity = write.open_table(IDENTITY)?;
        if identity.is_empty()? {
            let replica = ReplicaId { node, directory: DirectoryId::random().map_err(redb::Error::Io)? };
            identity.insert("layout", tables::sealed(&LAYOUT.to_be_bytes()).as_slice())?;
            identity.insert("cluster", tables::sealed(cluster_id.as_bytes()).as_slice())?;
            identity.insert("replica", tables::sealed(&replica.to_bytes()).as_slice())?;
        }
    }
    write.commit()?;
    Ok(())
}

fn read_identity(
    database: &Database,
    path: &Path,
    cluster_id: &str,
    node: NodeId,
) -> Result<ReplicaId, StoreError> {
    let failed = |error: redb::Error| StoreError::of("read", path, error);
    let read = database.begin_read().map_err(|e| failed(e.into()))?;
    let identity = read.open_table(IDENTITY).map_err(|e| failed(e.into()))?;
    let value = |key: &str| {
        let sealed = identity.get(key).map_err(|e| failed(e.into()))?;
        let sealed = sealed.ok_or_else(|| StoreError::damaged(path, format!("its {key} is missing")))?;
        unseal(sealed.value()).map_err(|error| StoreError::damaged(path, format!("its {key}: {error}")))
    };
    let layout = value("layout")?;
    if layout.as_ref() != LAYOUT.to_be_bytes() {
        return Err(StoreError::Layout { path: path.to_owned(), found: format!("{layout:?}") });
    }
    let found = value("cluster")?;
    if found.as_ref() != cluster_id.as_bytes() {
        return Err(StoreError::OtherCluster {
            path: path.to_owned(),
            found: String::from_utf8_lossy(&found).into_owned(),
            expected: cluster_id.to_owned(),
        });
    }
    let replica = ReplicaId::from_bytes(value("replica")?)
        .map_err(|error| StoreError::damaged(path, format!("its identity: {error}")))?;
    if replica.node != node {
        return Err(StoreError::OtherNode { path: path.to_owned(), found: replica.node, expected: node });
    }
    Ok(replica)
}

fn read_log(database: &Database, path: &Path) -> Result<LogMirror, StoreError> {
    let failed = |error: redb::Error| StoreError::of("read", path, error);
    let read = database.begin_read().map_err(|e| failed(e.into()))?;
    let promises = read.open_table(PROMISES).map_err(|e| failed(e.into()))?;
    let vote: Option<Vote> = read_promise(&promises, "vote", path)?;
    let committed: Option<LogId> = read_promise(&promises, "committed", path)?;
    let purged: Option<LogId> = read_promise(&promises, "purged", path)?;
    let log = read.open_table(LOG).map_err(|e| failed(e.into()))?;
    let mut mirror = LogMirror::new(vote, committed, purged);
    for entry in log.iter().map_err(|e| failed(e.into()))? {
        let (index, sealed) = entry.map_err(|e| failed(e.into()))?;
        let index = index.value();
        let damaged =
            |error: DecodeError| StoreError::damaged(path, format!("entry {index} of its log: {error}"));
        let entry = Entry::from_bytes(unseal(sealed.value()).map_err(damaged)?).map_err(damaged)?;
        if entry.log_id.index != index {
            let problem = format!("entry {index} of its log says that it is {}", entry.log_id);
            return Err(StoreError::damaged(path, problem));
        }
        mirror
            .push(entry)
            .map_err(|expected| StoreError::damaged(path, format!("its log lacks entry {expected}")))?;
    }
    Ok(mirror)
}

fn read_promise<T: Coded>(
    promises: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &'static str,
    path: &Path,
) -> Result<Option<T>, StoreError> {
    let sealed = promises.get(key).map_err(|error| StoreError::of("read", path, error.into()))?;
    let damaged = |error: DecodeError| StoreError::damaged(path, format!("its {key}: {error}"));
    sealed.map(|sealed| T::from_bytes(unseal(sealed.value()).map_err(damaged)?).map_err(damaged)).transpose()
}

#[cfg(test)]
mod tests;

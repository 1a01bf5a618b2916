//! The one thread that writes the file.
//!
//! In steps: it takes what waits, up to a bound, writes all of it in one transaction in its order, flushes once, then
//! answers each. While it flushes, more gathers: a busy quorum pays one flush for many entries, an idle one a flush each.
//! A transaction that fails is answered to all of it and to everything after it: what reached the disk is unknown, and the
//! next flush may succeed and prove nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use openraft::storage::IOFlushed;
use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::room::Room;
use super::tables::{LOG, PROMISES, SNAPSHOT};
use crate::raft::Types;

/// Writes that wait at most; openraft waits before it asks for more.
const WRITES_WAITING_MAX: usize = 256;
/// Writes of one transaction at most: all that can wait.
const WRITES_A_TRANSACTION_MAX: usize = WRITES_WAITING_MAX;
/// Room of the file beyond its length. The 4,096 entries after which a snapshot takes the place of the log are usually a
/// fortieth of it.
const SPARE_BYTES: u64 = 16 << 20;

type Done = oneshot::Sender<Result<(), io::Error>>;

/// One change of the file. Values are sealed already: the thread does nothing but I/O.
pub(super) enum Write {
    /// The vote.
    Vote { sealed: Vec<u8>, done: Done },
    /// Entries after the last.
    Append { sealed: Vec<(u64, Vec<u8>)>, done: IOFlushed<Types> },
    /// Drops the entries from this one on.
    TruncateFrom { index: u64, done: Done },
    /// Drops the entries up to and with this one.
    Purge { up_to: u64, sealed: Vec<u8>, done: Done },
    /// A snapshot in place of the one before.
    Snapshot { meta: Vec<u8>, data: Bytes, done: Done },
    /// How far the log is committed; goes with the next write.
    Committed { sealed: Vec<u8> },
    /// That is written now, if it was not yet.
    NoteCommitted,
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Writes(mpsc::Sender<Write>);

/// The thread has ended: the file failed, or the quorum is stopping.
#[derive(Debug, thiserror::Error)]
#[error("the quorum's store has stopped")]
pub(crate) struct StoreStopped;

impl Writes {
    pub(super) async fn send(&self, write: Write) -> Result<(), io::Error> {
        self.0.send(write).await.map_err(|_| io::Error::other(StoreStopped))
    }

    pub(super) async fn durably(&self, write: impl FnOnce(Done) -> Write) -> Result<(), io::Error> {
        let (done, outcome) = oneshot::channel();
        self.send(write(done)).await?;
        outcome.await.unwrap_or_else(|_| Err(io::Error::other(StoreStopped)))
    }
}

pub(super) fn start(database: Arc<Database>, path: Arc<Path>) -> io::Result<(Writes, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel(WRITES_WAITING_MAX);
    let thread = std::thread::Builder::new()
        .name("quorum-store".to_owned())
        .spawn(move || run(&database, &path, receiver))?;
    Ok((Writes(sender), thread))
}

fn run(database: &Database, path: &Path, mut writes: mpsc::Receiver<Write>) {
    let mut committed = None;
    let mut room = Room::new(path.to_path_buf(), SPARE_BYTES);
    room.keep();
    while let Some(first) = writes.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < WRITES_A_TRANSACTION_MAX
            && let Ok(next) = writes.try_recv()
        {
            batch.push(next);
        }
        batch.retain(|write| match write {
            Write::Committed { sealed } => {
                committed = Some(sealed.clone());
                false
            }
            Write::NoteCommitted => committed.is_some(),
            _ => true,
        });
        if batch.is_empty() {
            continue;
        }
        let written = write_all(database, &batch, committed.take());
        let failed = written.as_ref().err().map(ToString::to_string);
        batch.into_iter().for_each(|write| write.answer(failed.as_deref()));
        room.keep();
        if let Some(problem) = failed {
            tracing::error!("cannot write the quorum's store {}: {problem}", path.display());
            writes.close();
            while let Some(write) = writes.blocking_recv() {
                write.answer(Some(&problem));
            }
            return;
        }
    }
    if let Some(committed) = committed
        && let Err(error) = write_all(database, &[], Some(committed))
    {
        tracing::warn!("cannot note in {} how far its log is committed: {error}", path.display());
    }
}

fn write_all(database: &Database, batch: &[Write], committed: Option<Vec<u8>>) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut log = transaction.open_table(LOG)?;
        let mut promises = transaction.open_table(PROMISES)?;
        for write in batch {
            match write {
                Write::Vote { sealed, .. } => {
                    promises.insert("vote", sealed.as_slice())?;
                }
                Write::Append { sealed, .. } => {
                    for (index, sealed) in sealed {
                        log.insert(index, sealed.as_slice())?;
                    }
                }
                Write::TruncateFrom { index, .. } => log.retain_in(*index.., |_, _| false)?,
                Write::Purge { up_to, sealed, .. } => {
                    promises.insert("purged", sealed.as_slice())?;
                    log.retain_in(..=*up_to, |_, _| false)?;
                }
                Write::Snapshot { meta, data, .. } => {
                    let mut snapshot = transaction.open_table(SNAPSHOT)?;
                    snapshot.insert("meta", meta.as_slice())?;
                    snapshot.insert("data", data.as_ref())?;
                }
                Write::Committed { .. } | Write::NoteCommitted => {}
            }
        }
        if let Some(committed) = committed {
            promises.insert("committed", committed.as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

impl Write {
    fn answer(self, failed: Option<&str>) {
        let outcome = || failed.map_or(Ok(()), |problem| Err(io::Error::other(problem.to_owned())));
        match self {
            Self::Append { done, .. } => done.io_completed(outcome()),
            // Who asked may be gone: then nobody relies on it.
            Self::Vote { done, .. }
            | Self::TruncateFrom { done, .. }
            | Self::Purge { done, .. }
            | Self::Snapshot { done, .. } => drop(done.send(outcome())),
            Self::Committed { .. } | Self::NoteCommitted => {}
        }
    }
}

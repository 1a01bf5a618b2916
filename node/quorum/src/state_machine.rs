//! The state that the committed records make, and its snapshots.
//!
//! The node gives a [`StateMachine`]; [`Applier`] drives it for openraft. The state lives in memory: at a start it is the
//! snapshot from the file and the committed entries after it.
//!
//! What must hold: entries are applied in the order of their indexes, each once; a proposal is answered after it was
//! applied; a snapshot is durable before it takes the place of log entries, and before a follower says that it has it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::Notify;

use crate::raft::{LogId, Payload, Snapshot, SnapshotMeta, StoredMembership, Types};
use crate::store::SnapshotFile;

/// Committed records of one proposal.
#[derive(Debug)]
pub struct CommittedRecords<'a> {
    /// The place in the log: rises, but not by one, since the quorum's own entries have places too.
    pub index: u64,
    /// The term of the leader that decided.
    pub term: u64,
    /// The number that the proposer gave.
    pub proposal_id: u64,
    /// Encoded metadata records.
    pub records: &'a [Bytes],
}

/// Committed records, or a snapshot, that the state machine cannot take. The member stops: going on would make its state
/// another one than everybody's.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}: {problem}")]
pub struct StateMachineError {
    /// A verb and its object.
    pub operation: &'static str,
    /// What is wrong, with the place.
    pub problem: String,
}

/// What the quorum agrees about. It must do the same everywhere: no clock, no randomness, nothing of this node.
pub trait StateMachine: Send + 'static {
    /// Takes committed records.
    fn apply(&mut self, committed: CommittedRecords<'_>) -> Result<(), StateMachineError>;

    /// All of the state, as bytes.
    fn snapshot(&self) -> Bytes;

    /// Becomes the state that [`StateMachine::snapshot`] gave at `index`.
    fn restore(&mut self, index: u64, snapshot: Bytes) -> Result<(), StateMachineError>;
}

/// Drives the state machine for openraft.
pub(crate) struct Applier {
    // A mutex only because openraft asks for `Sync`; one task holds it.
    state_machine: Mutex<Box<dyn StateMachine>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshots: SnapshotFile,
    /// Bytes of records since the last snapshot, and how many are enough for the next.
    bytes: u64,
    bytes_max: u64,
    snapshot_wanted: Arc<Notify>,
}

/// A snapshot that is taken, and not yet in the file.
pub(crate) struct TakenSnapshot {
    meta: SnapshotMeta,
    data: Bytes,
    snapshots: SnapshotFile,
}

impl Applier {
    /// Tells `snapshot_wanted` when records of `bytes_max` bytes were applied since the last snapshot.
    pub(crate) fn new(
        state_machine: Box<dyn StateMachine>,
        snapshots: SnapshotFile,
        bytes_max: u64,
        snapshot_wanted: Arc<Notify>,
    ) -> Self {
        Self {
            state_machine: Mutex::new(state_machine),
            applied: None,
            membership: StoredMembership::default(),
            snapshots,
            bytes: 0,
            bytes_max,
            snapshot_wanted,
        }
    }

    fn state_machine(&self) -> MutexGuard<'_, Box<dyn StateMachine>> {
        self.state_machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_entry(&mut self, entry: &crate::raft::Entry) -> Result<(), io::Error> {
        let log_id = entry.log_id;
        let last = self.applied.map(|applied| applied.index);
        assert!(last < Some(log_id.index), "entry {log_id} is to be applied after {last:?}");
        match &entry.payload {
            Payload::Blank => {}
            Payload::Normal(proposal) => {
                let committed = CommittedRecords {
                    index: log_id.index,
                    term: log_id.leader_id.term,
                    proposal_id: proposal.proposal_id,
                    records: &proposal.records,
                };
                self.state_machine().apply(committed).map_err(io::Error::other)?;
                self.bytes += proposal.size_bytes() as u64;
                if self.bytes > self.bytes_max {
                    self.bytes = 0;
                    self.snapshot_wanted.notify_one();
                }
            }
            Payload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership.clone());
            }
        }
        self.applied = Some(log_id);
        Ok(())
    }
}

impl RaftStateMachine<Types> for Applier {
    type SnapshotData = Bytes;
    type SnapshotBuilder = TakenSnapshot;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            self.apply_entry(&entry)?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> TakenSnapshot {
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        let data = self.state_machine().snapshot();
        self.bytes = 0;
        TakenSnapshot { meta, data, snapshots: self.snapshots.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> Result<(), io::Error> {
        // At a start it is the file's own snapshot that is installed.
        let from_file = self.applied.is_none() && {
            let stored = self.snapshots.read().map_err(io::Error::other)?;
            stored.is_some_and(|stored| stored.meta == *meta)
        };
        if !from_file {
            self.snapshots.replace(meta, snapshot.clone()).await?;
        }
        let index = meta.last_log_id.map_or(0, |last| last.index);
        self.state_machine().restore(index, snapshot).map_err(io::Error::other)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        self.snapshots.read().map_err(io::Error::other)
    }
}

impl RaftSnapshotBuilder<Types> for TakenSnapshot {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        self.snapshots.replace(&self.meta, self.data.clone()).await?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: self.data.clone() })
    }
}

/// Lets several tests and a node share one.
impl<T: StateMachine> StateMachine for Arc<Mutex<T>> {
    fn apply(&mut self, committed: CommittedRecords<'_>) -> Result<(), StateMachineError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).apply(committed)
    }

    fn snapshot(&self) -> Bytes {
        self.lock().unwrap_or_else(PoisonError::into_inner).snapshot()
    }

    fn restore(&mut self, index: u64, snapshot: Bytes) -> Result<(), StateMachineError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).restore(index, snapshot)
    }
}

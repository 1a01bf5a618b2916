//! Drop everything and begin again, empty, at another offset: a follower whose log has nothing in common with its leader's.
//!
//! In steps that a crash may interrupt anywhere:
//! 1. `partition.id` gets the next incarnation and the state "restarting": from here on what the log had is gone. Journal
//!    entries of the old incarnation are void, and a start finishes what follows.
//! 2. All segments go, with the files beside them and what compaction left; the folder is flushed.
//! 3. The checkpoint is replaced by that of an empty log, then `partition.id` says "settled".
//!
//! Nothing is settled before: what was not written is given up. Rounds, settling, zeros and indexes wait meanwhile.
//!
//! Failure modes: a disk that is full at the first step leaves the log as it was, to be asked again. Any later error stops
//! the log: the next start finishes. Readers that are under way end with what they have, or out of range.
use alloc::format;
use alloc::rc::Rc;

use crate::config::LogConfig;
use crate::disk::{Disk, DiskError};
use crate::error::{ChangeError, OpenError};
use crate::identity::LogIdentity;
use crate::log::change::{Unfinished, remove_if_there};
use crate::log::{Log, LogState};
use crate::offset::Offset;
use crate::partition_id::{FolderState, PartitionId};
use crate::segment;
use crate::store::shared::Shared;

impl<D: Disk> Log<D> {
    /// Drops every record and begins again, empty, at `offset`: above, below or inside of what the log had. Producers and
    /// leader epochs are those of a new log. Durable when it returns.
    pub async fn restart_at(&self, offset: Offset) -> Result<(), ChangeError> {
        self.while_busy(self.restart_exclusively(offset)).await
    }

    async fn restart_exclusively(&self, offset: Offset) -> Result<(), ChangeError> {
        let shared = &self.0.shared;
        let _changes = self.0.changes.acquire().await;
        let _round = shared.round.acquire().await;
        self.end_settling().await;
        let _zeros = self.0.zeros.acquire().await;
        let _index_files = self.0.index_files.acquire().await;
        let incarnation = self.begin_change(FolderState::Restarting(offset)).await?;
        let unfinished = Unfinished::new(self);
        self.forget_everything(offset, incarnation);
        unfinished.end(self.finish_restart(offset, incarnation).await.map_err(ChangeError::from))
    }

    /// Takes back in memory what the files are about to lose.
    fn forget_everything(&self, offset: Offset, incarnation: u64) {
        let shared = &self.0.shared;
        self.give_up_unwritten();
        let mut state = self.0.state.borrow_mut();
        let freed = state.tail.discard();
        let created_ms = state.last_append_ms;
        *state = LogState {
            changes_begun: state.changes_begun,
            is_compacting: state.is_compacting,
            // What readers and compaction found out before does not hold any more.
            layout: state.layout + 1,
            ..LogState::empty_at(offset, state.config, incarnation, shared.block_bytes, created_ms)
        };
        state.check();
        drop(state);
        shared.gave_memory(freed);
        if let Some(journal) = shared.journal() {
            journal.forget(self.key());
        }
    }

    /// Makes the folder that of a log which is empty at `offset`.
    async fn finish_restart(&self, offset: Offset, incarnation: u64) -> Result<(), DiskError> {
        let shared = &self.0.shared;
        if !crate::planted::is("restart-keeps-segments") {
            remove_segments(shared, &self.0.folder).await?;
        }
        shared.forget_files(self.key());
        let draft = self.draw_up_checkpoint(&mut self.0.state.borrow_mut());
        shared.disk.replace(&self.checkpoint_path(), &draft.file, true).await?;
        {
            let mut state = self.0.state.borrow_mut();
            state.checkpointed_offset = offset;
            state.checkpointed_segment = offset;
            state.walk_bytes.checkpoint_written(draft.walk_bytes);
        }
        self.write_id(incarnation, FolderState::Settled).await
    }
}

/// Opens a log whose restart a crash interrupted: it is empty, and begins at `offset`.
pub(super) async fn open_restarted<D: Disk>(
    shared: Rc<Shared<D>>,
    identity: LogIdentity,
    id: PartitionId,
    offset: Offset,
    config: LogConfig,
    now_ms: i64,
) -> Result<Log<D>, OpenError> {
    let state = LogState::empty_at(offset, config, id.incarnation, shared.block_bytes, now_ms);
    let log = Log::new(shared, identity, state);
    log.finish_restart(offset, id.incarnation).await?;
    Ok(log)
}

/// Removes all segments of a folder, the files beside them and what compaction has not put into its place. Durable.
async fn remove_segments<D: Disk>(shared: &Shared<D>, folder: &str) -> Result<(), DiskError> {
    for entry in shared.disk.list(folder).await? {
        if segment::parse_name(&entry.name).is_some() || segment::is_staged_name(&entry.name) {
            remove_if_there(&shared.disk, &format!("{folder}/{}", entry.name)).await?;
        }
    }
    shared.disk.flush_directory(folder).await
}

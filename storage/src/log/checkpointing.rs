//! Write the log's checkpoint, and let an idle log go: no memory, no descriptor.
use alloc::vec::Vec;

use crate::checkpoint::{self, Checkpoint, FILE_BYTES_MAX};
use crate::disk::{Disk, DiskError, DiskFile};
use crate::error::{Corruption, Damage};
use crate::journal::Journal;
use crate::log::{Draft, Log};
use crate::offset::Offset;

/// Bytes of a log, counted since it was opened or since before, as far as a start would have to walk them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WalkBytes {
    counted: u64,
    /// How many there were when the last checkpoint was drawn up.
    drawn_up: u64,
    /// How many there were when the checkpoint on disk was drawn up.
    checkpointed: u64,
}

impl WalkBytes {
    /// So much would have to be walked from the beginning.
    pub(super) fn new(bytes: u64) -> WalkBytes {
        WalkBytes { counted: bytes, ..WalkBytes::default() }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.counted += bytes;
    }

    /// A checkpoint is drawn up that makes all of them needless once it is on disk. Returns what to tell
    /// [`WalkBytes::checkpoint_written`] then.
    pub(super) fn draw_up_checkpoint(&mut self) -> u64 {
        self.drawn_up = self.counted;
        self.counted
    }

    pub(super) fn checkpoint_written(&mut self, drawn_up: u64) {
        self.checkpointed = self.checkpointed.max(drawn_up);
    }

    /// What a start would have to walk.
    pub(super) fn since_checkpoint(&self) -> u64 {
        self.counted - self.checkpointed
    }

    /// What it would have to walk once the last checkpoint that was drawn up is on disk.
    pub(super) fn since_drawn_up(&self) -> u64 {
        self.counted - self.drawn_up
    }
}

impl<D: Disk> Log<D> {
    pub(super) fn checkpoint_path(&self) -> alloc::string::String {
        alloc::format!("{}/{}", self.0.folder, checkpoint::FILE_NAME)
    }

    /// Writes the checkpoint that waits. Says whether there was one.
    pub(crate) async fn write_draft(&self) -> Result<bool, Damage> {
        let _changes = self.0.changes.acquire().await;
        let Some(draft) = self.0.state.borrow_mut().draft.take() else { return Ok(false) };
        self.write_checkpoint(draft).await?;
        Ok(true)
    }

    /// Replaces the checkpoint. The caller holds the lock for changes.
    pub(super) async fn write_checkpoint(&self, draft: Draft) -> Result<(), Damage> {
        if let Some(error) = self.stopped() {
            // What is on disk is not known any more, and least of all to this checkpoint.
            return Err(error.into());
        }
        let is_old = draft.layout != self.0.state.borrow().layout;
        if draft.log_start_offset < self.log_start_offset() || is_old {
            // The start moved after it was drawn up, or segments were replaced; it would bring deleted records back.
            self.request_checkpoint();
            return Ok(());
        }
        self.0.shared.disk.replace(&self.checkpoint_path(), &draft.file, true).await?;
        let mut state = self.0.state.borrow_mut();
        state.checkpointed_offset = draft.recovery_point;
        state.checkpointed_segment = draft.open_segment;
        state.walk_bytes.checkpoint_written(draft.walk_bytes);
        state.has_replacement = false;
        drop(state);
        Ok(())
    }

    /// The checkpoint as it is on disk.
    pub(super) async fn read_checkpoint(&self) -> Result<Checkpoint, Damage> {
        let path = self.checkpoint_path();
        let file = self.0.shared.disk.read_small(&path, FILE_BYTES_MAX).await?;
        let read: Result<Checkpoint, Corruption> = Checkpoint::from_file(&path, &file);
        Ok(read?)
    }

    /// Whether nothing was appended since `before_ms`.
    pub(crate) fn is_idle_since(&self, before_ms: i64) -> bool {
        let state = self.0.state.borrow();
        state.last_append_ms <= before_ms && state.stopped.is_none() && !state.is_busy()
    }

    /// Whether all that was appended is durable in the segments.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.0.state.borrow();
        state.settled_offset == state.log_end_offset
    }

    /// Whether everything below the end is in a checkpoint, and which segment is open.
    pub(crate) fn is_checkpointed(&self) -> bool {
        let state = self.0.state.borrow();
        state.checkpointed_offset == state.log_end_offset
            && state.checkpointed_segment == state.open_segment().summary.base_offset
            && state.draft.is_none()
    }

    /// Bytes that a start would have to walk now.
    pub(crate) fn walk_bytes(&self) -> u64 {
        self.0.state.borrow().walk_bytes.since_checkpoint()
    }

    /// Asks the next round that brings everything to the segments to draw up a checkpoint.
    pub(crate) fn request_checkpoint(&self) {
        self.0.state.borrow_mut().checkpoint_requested = true;
    }

    /// Draws up the checkpoint of a settled log and writes it.
    pub(crate) async fn checkpoint_now(&self) -> Result<(), Damage> {
        let _changes = self.0.changes.acquire().await;
        let draft = {
            let mut state = self.0.state.borrow_mut();
            if state.settled_offset != state.log_end_offset {
                return Ok(());
            }
            state.draft = None;
            self.draw_up_checkpoint(&mut state)
        };
        self.write_checkpoint(draft).await
    }

    /// Gives back the memory and the descriptors of a settled log.
    pub(crate) fn let_go(&self) {
        let freed = {
            let mut state = self.0.state.borrow_mut();
            if state.tail.unsettled_bytes() > 0 {
                return;
            }
            state.tail.clear()
        };
        self.0.shared.gave_memory(freed);
        self.0.shared.close_files(self.key());
    }

    /// Cuts off what stands behind the log's end, once nobody appends any more.
    pub(crate) async fn cut_at_stop(&self) -> Result<(), Damage> {
        let _changes = self.0.changes.acquire().await;
        self.cut_padding().await
    }

    /// Cuts off, durably, the padding of the last write and the zeros behind it: the next start sees at once that nothing
    /// follows. No round runs meanwhile, and the caller holds the lock for changes.
    pub(super) async fn cut_padding(&self) -> Result<(), Damage> {
        let _zeros = self.0.zeros.acquire().await;
        let (base_offset, size_bytes, has_file) = {
            let state = self.0.state.borrow();
            let open = state.open_segment();
            (open.summary.base_offset, open.summary.size_bytes, open.has_file)
        };
        if !has_file || !self.is_settled() {
            return Ok(());
        }
        let file = self.0.shared.file(&self.0.folder, self.key(), base_offset).await?;
        if file.length().await? > size_bytes {
            file.set_length(size_bytes).await?;
            file.flush().await?;
        }
        self.0.state.borrow_mut().open_segment_mut().durable_length = size_bytes;
        Ok(())
    }

    /// Whether something was written and not flushed.
    pub(crate) fn has_unflushed(&self) -> bool {
        let state = self.0.state.borrow();
        state.flushed_offset < state.written_offset && state.stopped.is_none()
    }

    /// Makes durable what was settled and not flushed. Nobody appends any more, and no round runs.
    pub(crate) async fn flush_settled(&self, journal: Option<&Journal<D>>) -> Result<(), DiskError> {
        let is_unflushed = self.0.state.borrow().settled_unflushed_bytes > 0;
        if is_unflushed {
            self.flush_written(journal).await?;
        }
        Ok(())
    }

    /// Makes durable what was written. The caller holds the round, and has flushed the journal.
    pub(crate) async fn flush_written(&self, journal: Option<&Journal<D>>) -> Result<Offset, DiskError> {
        self.end_settling().await;
        let dirty: Vec<(Offset, bool)> = {
            let state = self.0.state.borrow();
            let dirty = state.segments.iter().filter(|segment| segment.is_dirty);
            dirty.map(|segment| (segment.summary.base_offset, segment.name_is_durable)).collect()
        };
        for (base_offset, name_is_durable) in dirty {
            let file = self.0.shared.file(&self.0.folder, self.key(), base_offset).await?;
            file.flush().await?;
            if !name_is_durable {
                self.0.shared.disk.flush_directory(&self.0.folder).await?;
            }
            let mut state = self.0.state.borrow_mut();
            if let Some(index) = state.segment_index(base_offset) {
                let segment = &mut state.segments[index];
                segment.is_dirty = false;
                segment.name_is_durable = true;
                segment.durable_length = segment.durable_length.max(segment.written_length);
            }
        }
        let mut state = self.0.state.borrow_mut();
        state.flushed_offset = state.written_offset;
        state.unflushed_bytes = 0;
        state.settled_unflushed_bytes = 0;
        if state.tail.unsettled_bytes() == 0 {
            state.settled_offset = state.log_end_offset;
            if let (Some(since), Some(journal)) = (state.journal_since.take(), journal) {
                journal.not_needed(since, self.key());
            }
        }
        state.check();
        Ok(state.flushed_offset)
    }

    /// Whether it holds memory of the tail.
    pub(crate) fn holds_memory(&self) -> bool {
        self.0.state.borrow().tail.memory_bytes() > 0
    }

    /// Forgets producers that were silent for too long.
    pub(crate) fn expire_producers(&self, now_ms: i64) {
        let mut state = self.0.state.borrow_mut();
        let expiration_ms = state.config.producer_id_expiration_ms;
        state.producers.expire(now_ms, expiration_ms);
    }
}

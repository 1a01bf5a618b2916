//! Put a new segment into the place of those that it was made of, wholly or not at all.
//!
//! 1. The new segment is durable under a provisional name.
//! 2. The checkpoint is replaced: it tells of the new segment in place of the old ones, and of which. From here on the
//!    replacement happens, now or at the next start.
//! 3. The indexes of the old segments go, the new file gets the name of the first old one, the folder is flushed; the other
//!    old files go, the folder is flushed.
//! 4. The checkpoint is replaced again, without the replacement.
//!
//! Without a checkpoint the files speak for themselves: the new segment spans the offsets of those that it replaced, so a
//! segment that begins inside of another goes; a provisional file that nothing tells of goes.
//!
//! Readers: what they hold of an old file stays; the new name is theirs at the same moment as the new positions (see
//! [`crate::store::shared::Shared::hold_file`]).
use alloc::format;

use super::output::Output;
use crate::checkpoint::{Checkpoint, FILE_NAME};
use crate::disk::{DirectoryEntry, Disk, DiskError, OpenMode, Operation};
use crate::error::Damage;
use crate::log::Log;
use crate::log::change::remove_if_there;
use crate::offset::Offset;
use crate::segment::{
    Segment, SegmentSummary, index_path, is_staged_name, log_path, producers_path, staged_path,
};
use crate::store::shared::Shared;

impl<D: Disk> Log<D> {
    /// Puts a new segment into the place of `old`. `false` when the log does not have these any more.
    pub(super) async fn replace_segments(
        &self,
        old: &[SegmentSummary],
        output: Output<D>,
        incarnation: u64,
    ) -> Result<bool, Damage> {
        let _changes = self.0.changes.acquire().await;
        let disk = &self.0.shared.disk;
        let is_same = self.stopped().is_none()
            && self.0.state.borrow().incarnation == incarnation
            && old.iter().all(|segment| self.has_segment(segment));
        let checkpoint = match self.read_checkpoint().await {
            Ok(checkpoint) if is_same => checkpoint,
            _ => {
                // Nothing to put it into the place of, or nothing that could say so durably.
                if self.stopped().is_none() {
                    remove_if_there(disk, output.path()).await?;
                }
                return Ok(false);
            }
        };
        if !self.commit(checkpoint, old, &output).await? {
            remove_if_there(disk, output.path()).await?;
            return Ok(false);
        }
        let mut unfinished = Unfinished { log: self, is_done: false };
        let staged = staged_path(&self.0.folder, old[0].base_offset);
        let result = self.change_places(old, output.into_segment(), &staged).await;
        unfinished.is_done = true;
        if let Err(damage) = &result {
            self.stop_for(damage);
        }
        result.map(|()| true)
    }

    /// Makes the name of the new file durable, then the checkpoint that tells of it.
    async fn commit(
        &self,
        mut checkpoint: Checkpoint,
        old: &[SegmentSummary],
        output: &Output<D>,
    ) -> Result<bool, Damage> {
        let disk = &self.0.shared.disk;
        if !checkpoint.replace(old, output.summary()) {
            return Ok(false);
        }
        if !crate::planted::is("staged-name-not-flushed") {
            disk.flush_directory(&self.0.folder).await?;
        }
        if crate::planted::is("replacement-not-told") {
            return Ok(true);
        }
        match disk.replace(&self.checkpoint_path(), &checkpoint.to_file(), true).await {
            Ok(()) => {}
            // Whether the new one is there nobody knows after other errors.
            Err(error) if !error.is_recoverable() => {
                self.stop_for(&error.clone().into());
                return Err(error.into());
            }
            Err(error) => {
                let is_there = self.read_checkpoint().await.is_ok_and(|found| found.replacement.is_some());
                if !is_there {
                    remove_if_there(disk, output.path()).await?;
                    return Err(error.into());
                }
            }
        }
        let mut state = self.0.state.borrow_mut();
        state.has_replacement = true;
        // Checkpoints that were drawn up before would bring the old segments back.
        state.layout += 1;
        Ok(true)
    }

    async fn change_places(&self, old: &[SegmentSummary], new: Segment, staged: &str) -> Result<(), Damage> {
        let (shared, folder) = (&self.0.shared, &self.0.folder);
        let first = old[0].base_offset;
        let old_file = shared.file(folder, self.key(), first).await?;
        let index_file = new.index.as_ref().map(|index| index.to_file(first));
        {
            let _files = self.0.index_files.acquire().await;
            for segment in old {
                remove_if_there(&shared.disk, &index_path(folder, segment.base_offset)).await?;
            }
            shared.hold_file(self.key(), first, old_file);
            let renamed = self.rename_staged(first, staged).await;
            match renamed {
                Ok(file) => self.take_over(old, new, file),
                Err(error) => {
                    shared.release_file(None);
                    return Err(error.into());
                }
            }
        }
        // The new segment first: even if the checkpoint is lost, no offset is in no segment.
        shared.disk.flush_directory(folder).await?;
        remove_replaced(shared, folder, old[1..].iter().map(|segment| segment.base_offset)).await?;
        shared.disk.flush_directory(folder).await?;
        if let Some(index_file) = index_file {
            let _files = self.0.index_files.acquire().await;
            shared.disk.replace(&index_path(folder, first), &index_file, false).await?;
        }
        match self.clear_replacement().await {
            // It is carried out, and once more does no harm; nothing else is provisional before it is cleared.
            Err(Damage::Disk(error)) if error.is_recoverable() => Ok(()),
            cleared => cleared,
        }
    }

    /// Takes the last replacement, which is carried out, out of the checkpoint. The caller holds the lock for changes.
    pub(in crate::log) async fn clear_replacement(&self) -> Result<(), Damage> {
        if self.0.state.borrow().has_replacement {
            self.rewrite_checkpoint(|checkpoint| checkpoint.replacement = None).await?;
            self.0.state.borrow_mut().has_replacement = false;
        }
        Ok(())
    }

    async fn rename_staged(&self, first: Offset, staged: &str) -> Result<D::File, DiskError> {
        let disk = &self.0.shared.disk;
        let path = log_path(&self.0.folder, first);
        disk.rename(staged, &path).await?;
        disk.open(&path, OpenMode::ReadWrite).await
    }

    /// From here on, in one moment, the log consists of the new segment.
    fn take_over(&self, old: &[SegmentSummary], new: Segment, file: D::File) {
        let mut state = self.0.state.borrow_mut();
        let first = state.segment_index(old[0].base_offset).expect("nobody else changes segments");
        let last_append_ms = state.last_append_ms;
        state.segments.drain(first..first + old.len());
        state.segments.insert(first, Segment { index_used_ms: last_append_ms, ..new });
        let after = state.segments[first + 1].summary.base_offset;
        assert_eq!(
            state.segments[first].summary.next_offset, after,
            "the new segment ends where the old ones did"
        );
        let freed = state.tail.forget_before(after);
        state.read_ends.clear();
        state.layout += 1;
        state.check();
        drop(state);
        self.0.shared.gave_memory(freed);
        self.0.shared.release_file(Some(file));
        for segment in &old[1..] {
            self.0.shared.close_file(self.key(), segment.base_offset);
        }
    }

    /// Below `end` the log is compacted: notes it, durably.
    pub(super) async fn finish_compaction(&self, end: Offset, incarnation: u64) -> Result<(), Damage> {
        let _changes = self.0.changes.acquire().await;
        {
            let mut state = self.0.state.borrow_mut();
            if state.stopped.is_some() || state.incarnation != incarnation {
                return Ok(());
            }
            state.compacted_offset = state.compacted_offset.max(end);
            // A checkpoint that was drawn up before does not know it.
            state.layout += 1;
        }
        self.rewrite_checkpoint(|checkpoint| {
            checkpoint.compacted_offset = checkpoint.compacted_offset.max(end)
        })
        .await
    }

    /// Changes the checkpoint on disk. The caller holds the lock for changes.
    async fn rewrite_checkpoint(&self, change: impl FnOnce(&mut Checkpoint)) -> Result<(), Damage> {
        let mut checkpoint = self.read_checkpoint().await?;
        change(&mut checkpoint);
        self.0.shared.disk.replace(&self.checkpoint_path(), &checkpoint.to_file(), true).await?;
        Ok(())
    }

    /// Stops the log: what is on disk is not known any more.
    fn stop_for(&self, damage: &Damage) {
        let error = match damage {
            Damage::Disk(error) => error.clone(),
            Damage::Corrupt(_) => DiskError::new(
                crate::disk::DiskErrorKind::NotFound,
                Operation::Replace,
                &self.checkpoint_path(),
            ),
        };
        self.stop(&error);
        self.give_up_unwritten();
    }
}

/// Stops the log when a replacement that has begun is not carried to its end: its future was dropped.
struct Unfinished<'a, D: Disk> {
    log: &'a Log<D>,
    is_done: bool,
}

impl<D: Disk> Drop for Unfinished<'_, D> {
    fn drop(&mut self) {
        if !self.is_done {
            let kind = crate::disk::DiskErrorKind::NotFound;
            self.log.stop_for(&DiskError::new(kind, Operation::Rename, &self.log.0.folder).into());
        }
    }
}

/// Carries out a replacement that a checkpoint tells of, and removes provisional files that none tells of.
pub(crate) async fn finish_replacement<D: Disk>(
    shared: &Shared<D>,
    folder: &str,
    checkpoint: Option<Checkpoint>,
    entries: &[DirectoryEntry],
) -> Result<(Option<Checkpoint>, bool), DiskError> {
    let replacement = checkpoint.as_ref().and_then(|checkpoint| checkpoint.replacement.clone());
    let own = replacement.as_ref().map(|replacement| staged_path(folder, replacement.replaced[0]));
    let (mut has_own, mut is_changed) = (false, false);
    for entry in entries {
        let path = format!("{folder}/{}", entry.name);
        if own.as_ref() == Some(&path) {
            has_own = true;
        } else if is_staged_name(&entry.name) {
            remove_if_there(&shared.disk, &path).await?;
            is_changed = true;
        }
    }
    let (Some(mut checkpoint), Some(replacement), Some(own)) = (checkpoint.clone(), replacement, own) else {
        return Ok((checkpoint, is_changed));
    };
    for base_offset in &replacement.replaced {
        remove_if_there(&shared.disk, &index_path(folder, *base_offset)).await?;
    }
    if has_own {
        shared.disk.rename(&own, &log_path(folder, replacement.replaced[0])).await?;
    }
    remove_replaced(shared, folder, replacement.replaced[1..].iter().copied()).await?;
    shared.disk.flush_directory(folder).await?;
    checkpoint.replacement = None;
    shared.disk.replace(&format!("{folder}/{FILE_NAME}"), &checkpoint.to_file(), true).await?;
    Ok((Some(checkpoint), true))
}

/// Removes the files of segments that another has replaced.
async fn remove_replaced<D: Disk>(
    shared: &Shared<D>,
    folder: &str,
    replaced: impl Iterator<Item = Offset>,
) -> Result<(), DiskError> {
    for base_offset in replaced {
        for path in [index_path, producers_path, log_path].map(|path| path(folder, base_offset)) {
            remove_if_there(&shared.disk, &path).await?;
        }
    }
    Ok(())
}

//! Compaction: of all records with one key only the newest stays. `docs/decisions/0013-compaction.md` has the reasons.
//!
//! A pass reads the part of the log that no pass read before (from the *dirty point* on) and notes the newest offset of each
//! key ([`key_map`]). Then it walks the log from its beginning to the end of that part, takes out what has a newer record,
//! and puts new segments into the place of the old ones ([`replace`]). The caller drives it by [`Compaction::step`]: each
//! step does a bounded amount of work, so that requests get their turn in between.
//!
//! What must hold:
//! - Offsets never change, and batches of which nothing goes stay as they are, byte by byte.
//! - Base offsets go on following each other without a gap: where batches are gone a batch without records stands for
//!   their offsets. So recovery and readers notice a missing batch here as anywhere.
//! - Only sealed segments below the high watermark that a checkpoint knows are touched, and each replacement happens wholly
//!   or not at all, whenever the power fails.
//! - A mark of a deleted key goes only in a pass after the one that took out everything which it deletes, and not before
//!   the time that its batch states.
//! - The newest batch of a producer stays, if need be without records.
//!
//! Does not do: transactions. A batch that belongs to one stays as it is, takes no older record's place, and is not read.
//! Failure modes: damaged bytes end the pass, are reported with their place, and the log is not compacted any more until
//! the next start; a full disk ends the pass, which begins anew later; an error while segments change places stops the log.
mod clean;
mod key_hash;
pub(crate) mod key_map;
mod mapping;
mod need;
mod output;
mod replace;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use self::clean::Cleaning;
use self::key_map::KeyMap;
use self::mapping::Mapping;
use crate::disk::Disk;
use crate::error::{CompactionError, Corruption, Damage};
use crate::log::Log;
use crate::offset::Offset;
use crate::segment::scan::Scan;
use crate::segment::{SegmentSummary, log_path};
use ringmain_protocol::records::{BatchError, RecordBatch};

pub use self::need::CompactionNeed;
pub(crate) use self::replace::finish_replacement;

/// Records that one step looks at: some 0.3 us each, with all that belongs to them.
const STEP_RECORDS: usize = 1_000;

/// Bytes of batches after which a step ends.
const STEP_BYTES: u64 = 128 << 10;

/// What the records of one batch may decompress to, as everywhere.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// A pass over one log.
pub struct Compaction<D: Disk> {
    log: Log<D>,
    now_ms: i64,
    delete_retention_ms: i64,
    incarnation: u64,
    stage: Stage<D>,
    report: CompactionReport,
}

enum Stage<D: Disk> {
    /// Keys are noted.
    Mapping(Box<Mapping<D>>),
    /// Segments are made anew.
    Cleaning(Box<Cleaning<D>>),
    Over,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionStep {
    /// Bytes read from the disk.
    pub bytes_read: u64,
    /// Bytes written to it.
    pub bytes_written: u64,
    /// Whether the pass is over.
    pub is_over: bool,
}

/// What a pass did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Where the part began that no pass had read.
    pub dirty_offset: i64,
    /// Where it ended: below it the log is compacted now.
    pub end_offset: i64,
    /// Keys in that part.
    pub keys: usize,
    /// Bytes read, for the keys and for the new segments.
    pub bytes_read: u64,
    /// Bytes of new segments.
    pub bytes_written: u64,
    /// Records that were looked at in the walk from the beginning.
    pub records_read: u64,
    /// Of these, those that went.
    pub records_removed: u64,
    /// Of these, those that had no key.
    pub records_without_key: u64,
    /// Segments that others were put into the place of.
    pub segments_replaced: usize,
    /// The log was cut, deleted or stopped meanwhile, and the pass ended early.
    pub is_abandoned: bool,
}

impl<D: Disk> Log<D> {
    /// Begins a pass if there is something to compact and none is under way. Whether it is worth it says
    /// [`Log::compaction_need`].
    pub fn begin_compaction(&self, now_ms: i64, high_watermark: Offset) -> Option<Compaction<D>> {
        let mut state = self.0.state.borrow_mut();
        let config = state.config.compaction?;
        if state.is_compacting {
            return None;
        }
        let dirty = state.cleanable(now_ms, high_watermark)?;
        state.is_compacting = true;
        let report = CompactionReport { dirty_offset: dirty.start.value(), ..CompactionReport::default() };
        let sources = state.sources(dirty.start, dirty.end);
        let incarnation = state.incarnation;
        drop(state);
        let map = KeyMap::new(self.0.shared.options.key_map_bytes_max);
        Some(Compaction {
            log: self.clone(),
            now_ms,
            delete_retention_ms: config.delete_retention_ms,
            incarnation,
            stage: Stage::Mapping(Box::new(Mapping::new(dirty, sources, map))),
            report,
        })
    }
}

impl<D: Disk> Compaction<D> {
    /// Goes on a little. After an error the pass is over.
    pub async fn step(&mut self) -> Result<CompactionStep, CompactionError> {
        let before = self.report;
        let result = self.go_on().await;
        if let Err(damage) = result {
            if let Stage::Cleaning(cleaning) = &mut self.stage {
                cleaning.give_up(&self.log).await;
            }
            self.end();
            return self.failed(damage).map(|()| self.step_since(&before));
        }
        Ok(self.step_since(&before))
    }

    fn step_since(&self, before: &CompactionReport) -> CompactionStep {
        CompactionStep {
            bytes_read: self.report.bytes_read - before.bytes_read,
            bytes_written: self.report.bytes_written - before.bytes_written,
            is_over: matches!(self.stage, Stage::Over),
        }
    }

    /// What it did so far.
    #[must_use]
    pub fn report(&self) -> CompactionReport {
        self.report
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log<D> {
        &self.log
    }

    async fn go_on(&mut self) -> Result<(), Damage> {
        if self.is_log_changed() {
            self.abandon().await;
            return Ok(());
        }
        match &mut self.stage {
            Stage::Mapping(mapping) => {
                if !mapping.step(&self.log, &mut self.report).await? {
                    return Ok(());
                }
                let Stage::Mapping(mapping) = core::mem::replace(&mut self.stage, Stage::Over) else {
                    unreachable!("it was just looked at")
                };
                self.begin_cleaning(*mapping);
            }
            Stage::Cleaning(cleaning) => {
                let terms = clean::Terms {
                    now_ms: self.now_ms,
                    delete_retention_ms: self.delete_retention_ms,
                    incarnation: self.incarnation,
                };
                if cleaning.step(&self.log, terms, &mut self.report).await? {
                    let end = cleaning.end();
                    self.log.finish_compaction(end, self.incarnation).await?;
                    self.end();
                }
            }
            Stage::Over => {}
        }
        Ok(())
    }

    fn begin_cleaning(&mut self, mapping: Mapping<D>) {
        let (map, end) = mapping.into_map();
        self.report.end_offset = end.value();
        self.report.keys = map.len();
        let groups = self.log.0.state.borrow().groups_below(end);
        self.stage = Stage::Cleaning(Box::new(Cleaning::new(groups, map, end)));
    }

    /// Whether the log is not what the pass began with: cut, being cut, deleted or stopped.
    fn is_log_changed(&self) -> bool {
        let state = self.log.0.state.borrow();
        state.stopped.is_some()
            || state.is_busy()
            || state.incarnation != self.incarnation
            || state.config.compaction.is_none()
    }

    async fn abandon(&mut self) {
        if let Stage::Cleaning(cleaning) = &mut self.stage {
            cleaning.give_up(&self.log).await;
        }
        self.report.is_abandoned = true;
        self.end();
    }

    fn end(&mut self) {
        self.stage = Stage::Over;
        self.log.0.state.borrow_mut().is_compacting = false;
    }

    /// What an error means: the log was cut or deleted under the pass, the disk is full, or bytes are damaged.
    fn failed(&mut self, damage: Damage) -> Result<(), CompactionError> {
        let is_full = matches!(&damage, Damage::Disk(error) if error.is_recoverable());
        if self.is_log_changed() {
            self.report.is_abandoned = true;
            return Ok(());
        }
        if !is_full {
            self.log.0.state.borrow_mut().is_uncleanable = true;
        }
        Err(damage.into())
    }
}

impl<D: Disk> Drop for Compaction<D> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.log.0.state.try_borrow_mut()
            && !matches!(self.stage, Stage::Over)
        {
            state.is_compacting = false;
        }
    }
}

impl<D: Disk> Log<D> {
    /// A walk over a segment from its beginning, or from a batch at or before `from`; `None` when the log does not have it
    /// any more.
    async fn walk_source(
        &self,
        source: &SegmentSummary,
        from: Offset,
    ) -> Result<Option<Scan<D::File>>, Damage> {
        if !self.has_segment(source) {
            return Ok(None);
        }
        let begins_inside = from > source.base_offset;
        if begins_inside {
            self.load_index(source.base_offset).await?;
        }
        let file = match self.0.shared.file(&self.0.folder, self.key(), source.base_offset).await {
            Err(_) if !self.has_segment(source) => return Ok(None),
            file => file?,
        };
        let state = self.0.state.borrow();
        let segment = state.segment_index(source.base_offset).map(|at| &state.segments[at]);
        let index = segment.and_then(|segment| segment.index.as_ref()).filter(|_| begins_inside);
        let place = index.map(|index| index.place_for_offset(from.since(source.base_offset)));
        let (position, skipped) = place.map_or((0, 0), |place| (place.position, place.relative_offset));
        let base_offset = source.base_offset.value() + skipped.cast_signed();
        let block_bytes = self.0.shared.block_bytes as u64;
        Ok(Some(Scan::new(&file, block_bytes, source.size_bytes, position, base_offset, -1)))
    }

    /// Whether a segment is as it was.
    fn has_segment(&self, source: &SegmentSummary) -> bool {
        let state = self.0.state.borrow();
        let at = state.segment_index(source.base_offset);
        at.is_some_and(|at| state.segments[at].summary.is_same(source) && state.segments[at].is_sealed)
    }

    /// The error for what stands in a segment in place of a batch, or of the records of one.
    fn damaged_source(&self, source: &SegmentSummary, position: u64, expected: &str, got: String) -> Damage {
        let file = log_path(&self.0.folder, source.base_offset);
        Corruption { file, position, expected: String::from(expected), got }.into()
    }
}

/// Uncompressed records of a batch, where they are not the batch's own bytes.
fn decompressed(batch: &RecordBatch<'_>) -> Result<Option<Vec<u8>>, BatchError> {
    match batch.decompress(DECOMPRESSED_BYTES_MAX)? {
        Cow::Borrowed(_) => Ok(None),
        Cow::Owned(records) => Ok(Some(records)),
    }
}

/// A batch of which a pass reads no record: it belongs to a transaction, or is a marker of one.
fn is_left_alone(batch: &RecordBatch<'_>) -> bool {
    batch.attributes().is_control() || batch.attributes().is_transactional()
}

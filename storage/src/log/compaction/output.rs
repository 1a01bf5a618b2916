//! What a group of segments becomes: one new segment, under a provisional name until it is whole and durable.
//!
//! As long as nothing changes nothing is written: when the only segment of a group stays as it is, it costs one read. At the
//! first change what came before is copied from the old file.
//! What must hold: base offsets follow each other; where batches go, one batch without records stands for their offsets, for
//! each leader epoch one.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use ringmain_protocol::records::gap_batch;

use crate::batch::BatchHeader;
use crate::config::SEGMENT_BYTES_MAX;
use crate::disk::{Disk, DiskErrorKind, DiskFile, OpenMode};
use crate::error::{Corruption, Damage};
use crate::log::Log;
use crate::log::change::remove_if_there;
use crate::segment::{Segment, SegmentSummary, log_path, staged_path};

/// Bytes of one write, and of one read of what is copied.
const WRITE_BYTES: usize = 1 << 20;

pub(super) struct Output<D: Disk> {
    path: String,
    interval_bytes: u32,
    /// What it is so far: summary and index.
    segment: Segment,
    gap: Option<Gap>,
    /// Bytes of the group's only segment that are as they were, while nothing has changed.
    unchanged: Option<u64>,
    /// What has to be copied from the old file before anything else is written.
    copied: Range<u64>,
    /// The old file, while the group has only one.
    source: Option<D::File>,
    file: Option<D::File>,
    /// Bytes that were written.
    written: u64,
    /// Bytes that are to be.
    pending: Vec<u8>,
}

/// Offsets whose batches are gone.
struct Gap {
    base_offset: i64,
    next_offset: i64,
    leader_epoch: i32,
    /// It is one batch that stood there already.
    is_old: bool,
}

impl<D: Disk> Output<D> {
    pub(super) fn new(log: &Log<D>, segments: &[SegmentSummary]) -> Output<D> {
        let base_offset = segments[0].base_offset;
        // As Kafka: what replaces others is as old as the youngest of them.
        let created_ms = segments.iter().map(|segment| segment.created_ms).max().unwrap_or_default();
        Output {
            path: staged_path(&log.0.folder, base_offset),
            interval_bytes: log.0.state.borrow().config.index_interval_bytes,
            segment: Segment::new(base_offset, created_ms),
            gap: None,
            unchanged: (segments.len() == 1).then_some(0),
            copied: 0..0,
            source: None,
            file: None,
            written: 0,
            pending: Vec::new(),
        }
    }

    /// What stays as it is comes from this file, as long as nothing else came.
    pub(super) fn copies_from(&mut self, source: &D::File) {
        self.source = self.unchanged.map(|_| source.clone());
    }

    /// What it is so far.
    pub(super) fn summary(&self) -> SegmentSummary {
        self.segment.summary
    }

    /// Whether everything is as it was.
    pub(super) fn is_unchanged(&self) -> bool {
        self.unchanged.is_some()
    }

    /// The path that it has until it is put into its place.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The new segment, complete and durable.
    pub(super) fn into_segment(self) -> Segment {
        let Segment { summary, index, .. } = self.segment;
        Segment { is_sealed: true, ..Segment::found(summary, index, summary.size_bytes) }
    }

    /// The next batch stays as it is.
    pub(super) fn keep(&mut self, batch: &[u8]) -> Result<(), Damage> {
        self.close_gap();
        self.put(batch, true)
    }

    /// Other bytes take the place of the next batch.
    pub(super) fn replace(&mut self, batch: &[u8]) -> Result<(), Damage> {
        self.close_gap();
        self.put(batch, false)
    }

    /// The next batch goes.
    pub(super) fn drop_batch(&mut self, batch: &BatchHeader) {
        let was_gap = !batch.has_records() && !batch.has_producer();
        if let Some(gap) = &mut self.gap {
            let span = batch.next_offset() - gap.base_offset;
            if gap.leader_epoch == batch.leader_epoch && i32::try_from(span).is_ok() {
                gap.next_offset = batch.next_offset();
                gap.is_old = false;
                return;
            }
        }
        self.close_gap();
        self.gap = Some(Gap {
            base_offset: batch.base_offset,
            next_offset: batch.next_offset(),
            leader_epoch: batch.leader_epoch,
            is_old: was_gap,
        });
    }

    /// Puts a batch without records where batches went.
    pub(super) fn close_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
        if crate::planted::is("gap-left-open") {
            return;
        }
        let batch = gap_batch(gap.base_offset, gap.next_offset, gap.leader_epoch);
        self.put(&batch, gap.is_old).expect("a gap is not larger than what it stands for");
    }

    fn put(&mut self, batch: &[u8], is_old: bool) -> Result<(), Damage> {
        let header = BatchHeader::parse(batch).expect("it was parsed, or made here");
        let position = self.segment.summary.size_bytes;
        if position + batch.len() as u64 > SEGMENT_BYTES_MAX {
            let expected =
                format!("at most {SEGMENT_BYTES_MAX} bytes, though batches grew when they were made anew");
            let got = format!("a batch of {} bytes more", batch.len());
            return Err(Corruption { file: self.path.clone(), position, expected, got }.into());
        }
        self.segment.note(&header, self.interval_bytes);
        match &mut self.unchanged {
            Some(unchanged) if is_old => *unchanged += batch.len() as u64,
            unchanged => {
                if let Some(same) = unchanged.take() {
                    self.copied = 0..same;
                }
                self.pending.extend_from_slice(batch);
            }
        }
        Ok(())
    }

    /// Writes a piece if there is enough for one. Returns its bytes.
    pub(super) async fn write_some(&mut self, log: &Log<D>) -> Result<u64, Damage> {
        if !self.copied.is_empty() {
            return self.copy_some(log).await;
        }
        if self.pending.len() < WRITE_BYTES {
            return Ok(0);
        }
        self.write(log, WRITE_BYTES).await?;
        Ok(WRITE_BYTES as u64)
    }

    /// Copies a piece of the old file, which stands before what is pending.
    async fn copy_some(&mut self, log: &Log<D>) -> Result<u64, Damage> {
        let file = self.source.clone().expect("what is copied was read before");
        let piece = file.read_at(self.copied.start, WRITE_BYTES).await?;
        let wanted =
            usize::try_from(self.copied.end - self.copied.start).unwrap_or(usize::MAX).min(WRITE_BYTES);
        let Some(bytes) = piece.as_slice().get(..wanted) else {
            let expected = format!("{wanted} bytes that were there before");
            let got = format!("{}", piece.len());
            let file = log_path(&log.0.folder, self.segment.summary.base_offset);
            return Err(Corruption { file, position: self.copied.start, expected, got }.into());
        };
        if wanted == WRITE_BYTES {
            self.copied.start += wanted as u64;
            self.write_piece(log, bytes).await?;
        } else {
            let rest = core::mem::take(&mut self.pending);
            self.pending.extend_from_slice(bytes);
            self.pending.extend_from_slice(&rest);
            self.copied = 0..0;
        }
        Ok(wanted as u64)
    }

    async fn write(&mut self, log: &Log<D>, length: usize) -> Result<(), Damage> {
        let bytes: Vec<u8> = self.pending.drain(..length).collect();
        self.write_piece(log, &bytes).await
    }

    async fn write_piece(&mut self, log: &Log<D>, bytes: &[u8]) -> Result<(), Damage> {
        let file = self.file(log).await?;
        let shared = &log.0.shared;
        let mut buffer = shared.disk.buffers().take(bytes.len().next_multiple_of(shared.block_bytes)).await;
        buffer.append(bytes);
        buffer.pad_to(shared.block_bytes);
        let length = buffer.len();
        file.write_at(self.written, buffer.freeze(0..length)).await?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// The file, created at the first write. A file that an earlier attempt left is not this one.
    async fn file(&mut self, log: &Log<D>) -> Result<D::File, Damage> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        // Names belong to whoever holds the lock: the folder may be another log's once this one is deleted.
        let _changes = log.0.changes.acquire().await;
        if let Some(error) = log.stopped() {
            return Err(error.into());
        }
        log.clear_replacement().await?;
        let disk = &log.0.shared.disk;
        let file = match disk.open(&self.path, OpenMode::CreateNew).await {
            Err(error) if error.kind == DiskErrorKind::Exists => {
                remove_if_there(disk, &self.path).await?;
                disk.open(&self.path, OpenMode::CreateNew).await?
            }
            file => file?,
        };
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Writes the rest and makes all of it durable. Returns the bytes of the rest.
    pub(super) async fn finish(&mut self, log: &Log<D>) -> Result<u64, Damage> {
        let rest = self.pending.len();
        if rest > 0 {
            self.write(log, rest).await?;
        }
        let file = self.file(log).await?;
        let size_bytes = self.segment.summary.size_bytes;
        assert_eq!(self.written, size_bytes, "what was noted is what was written");
        file.set_length(size_bytes).await?;
        if !crate::planted::is("compacted-not-flushed") {
            file.flush().await?;
        }
        Ok(rest as u64)
    }

    /// Removes the file. If that fails, the next attempt or the next start does it.
    pub(super) async fn discard(self, log: &Log<D>) {
        if self.file.is_none() {
            return;
        }
        let _changes = log.0.changes.acquire().await;
        if log.stopped().is_none() {
            let _left_for_later = remove_if_there(&log.0.shared.disk, &self.path).await;
        }
    }
}

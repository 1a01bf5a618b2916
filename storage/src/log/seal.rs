//! Finish segments that were rolled: cut the file to its batches, write its index, and load or make indexes again.
//!
//! Rolling itself only opens the next segment in memory. Once a round has brought the old segment's last bytes to its file
//! and flushed them, the file is cut to its exact size (the last write was padded to a block) and flushed, and the small
//! files beside it are written. They are not flushed: each has a checksum and can be made again.
use alloc::vec::Vec;

use crate::codec::Take;
use crate::disk::{Disk, DiskFile};
use crate::error::Damage;
use crate::log::producers::Producers;
use crate::log::{Log, LogState};
use crate::offset::Offset;
use crate::segment::index::{INDEX_FILE_BYTES_MAX, SegmentIndex};
use crate::segment::scan::{Found, Scan, corruption};
use crate::segment::{Segment, index_path, log_path, producers_path};
use crate::small_file::{self, Kind};

pub(crate) const PRODUCERS_FILE: Kind = Kind { magic: *b"RMproduc", version: 1 };

/// Largest file of producers that is read: ten thousand of them with five batches each.
pub(super) const PRODUCERS_FILE_BYTES_MAX: usize = 16 << 20;

impl<D: Disk> Log<D> {
    /// Finishes one segment that is complete and durable. Says whether there was one.
    pub(crate) async fn seal_one(&self) -> Result<bool, Damage> {
        let _changes = self.0.changes.acquire().await;
        let Some((base_offset, size_bytes)) = self.0.state.borrow().segment_to_seal() else {
            return Ok(false);
        };
        let disk = &self.0.shared.disk;
        // It is not the open one any more: no further zeros are written into it.
        self.0.zeros.free().await;
        let file = self.0.shared.file(&self.0.folder, self.key(), base_offset).await?;
        file.set_length(size_bytes).await?;
        file.flush().await?;
        let index_file = self.0.state.borrow().index_file(base_offset);
        if let Some(index_file) = index_file {
            disk.replace(&index_path(&self.0.folder, base_offset), &index_file, false).await?;
        }
        self.write_producers().await?;
        let mut state = self.0.state.borrow_mut();
        if let Some(index) = state.segment_index(base_offset) {
            let segment = &mut state.segments[index];
            segment.is_sealed = true;
            segment.durable_length = size_bytes;
        }
        Ok(true)
    }

    /// Writes the producers as they were when segments began.
    async fn write_producers(&self) -> Result<(), Damage> {
        let waiting = core::mem::take(&mut self.0.state.borrow_mut().producer_files);
        for (base_offset, body) in waiting {
            let path = producers_path(&self.0.folder, base_offset);
            self.0.shared.disk.replace(&path, &small_file::seal(&PRODUCERS_FILE, &body), false).await?;
        }
        Ok(())
    }

    /// The producers as they were when a segment began, if that is still known.
    pub(super) async fn producers_at(&self, base_offset: Offset) -> Option<Producers> {
        let waiting = {
            let state = self.0.state.borrow();
            let waiting = state.producer_files.iter().find(|(base, _)| *base == base_offset);
            waiting.map(|(_, body)| body.clone())
        };
        let body: Vec<u8> = match waiting {
            Some(body) => body,
            None => {
                let path = producers_path(&self.0.folder, base_offset);
                let file = self.0.shared.disk.read_small(&path, PRODUCERS_FILE_BYTES_MAX).await.ok()?;
                small_file::open(&PRODUCERS_FILE, &path, &file).ok()?.to_vec()
            }
        };
        Producers::decode(&mut Take(&body))
    }

    /// Brings the index of a sealed segment into memory; makes it again when its file is missing or damaged.
    pub(super) async fn load_index(&self, base_offset: Offset) -> Result<(), Damage> {
        let path = index_path(&self.0.folder, base_offset);
        let layout = self.layout();
        let disk = &self.0.shared.disk;
        let from_file = match disk.read_small(&path, INDEX_FILE_BYTES_MAX).await {
            Ok(file) => SegmentIndex::from_file(&path, &file, base_offset).ok(),
            Err(_) => None,
        };
        let index = match from_file {
            Some(index) => index,
            None => {
                let index = self.index_again(base_offset).await?;
                let _files = self.0.index_files.acquire().await;
                if self.layout() != layout {
                    return Ok(()); // It is the index of a segment that is not there any more.
                }
                disk.replace(&path, &index.to_file(base_offset), false).await?;
                index
            }
        };
        let mut state = self.0.state.borrow_mut();
        if state.layout != layout {
            return Ok(());
        }
        let Some(at) = state.segment_index(base_offset) else { return Ok(()) };
        state.segments[at].index.get_or_insert(index);
        Ok(())
    }

    async fn index_again(&self, base_offset: Offset) -> Result<SegmentIndex, Damage> {
        let (summary, interval) = {
            let state = self.0.state.borrow();
            let Some(at) = state.segment_index(base_offset) else { return Ok(SegmentIndex::default()) };
            (state.segments[at].summary, state.config.index_interval_bytes)
        };
        let file = self.0.shared.file(&self.0.folder, self.key(), base_offset).await?;
        let mut walked = Segment::new(base_offset, summary.created_ms);
        let block_bytes = self.0.shared.block_bytes as u64;
        let mut scan = Scan::new(&file, block_bytes, summary.size_bytes, 0, base_offset.value(), -1);
        loop {
            match scan.next().await? {
                Found::Batch(header) => walked.note(&header, interval),
                Found::End => break,
                // What is before the damage can be read; reading on meets it again and reports it.
                Found::Bad { .. } => break,
            }
        }
        if walked.summary.size_bytes == 0 && summary.size_bytes > 0 {
            let expected = alloc::format!("a batch with base offset {base_offset}");
            let file = log_path(&self.0.folder, base_offset);
            return Err(corruption(&file, 0, expected, "damaged bytes".into()).into());
        }
        Ok(walked.index.unwrap_or_default())
    }

    /// Drops indexes of sealed segments that nobody used for `idle_ms`, as far as earlier calls saw.
    pub(crate) fn drop_idle_indexes(&self, now_ms: i64, idle_ms: i64) {
        let mut state = self.0.state.borrow_mut();
        let open = state.open_segment().summary.base_offset;
        for segment in &mut state.segments {
            if core::mem::take(&mut segment.index_was_used) {
                segment.index_used_ms = now_ms;
            }
            let is_idle = segment.index_used_ms < now_ms - idle_ms;
            if segment.is_sealed && segment.summary.base_offset != open && is_idle {
                segment.index = None;
            }
        }
    }
}

impl LogState {
    /// The oldest segment that is complete and durable in its file, and not finished yet: base offset and size.
    fn segment_to_seal(&self) -> Option<(Offset, u64)> {
        let complete = self.segments.len() - 1;
        let next = self.segments.iter().take(complete).find(|segment| !segment.is_sealed)?;
        let is_durable = next.summary.next_offset <= self.settled_offset && next.has_file;
        is_durable.then_some((next.summary.base_offset, next.summary.size_bytes))
    }

    fn index_file(&self, base_offset: Offset) -> Option<Vec<u8>> {
        let at = self.segment_index(base_offset)?;
        self.segments[at].index.as_ref().map(|index| index.to_file(base_offset))
    }
}

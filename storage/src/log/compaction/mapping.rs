//! The first half of a pass: the newest offset of each key in the part of the log that no pass has read.
//!
//! When the map is full the part ends with the record that found no place, and the next pass begins there.
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;
use ringmain_protocol::records::{RecordBatch, RecordCursor};

use super::key_hash::hash;
use super::key_map::KeyMap;
use super::{CompactionReport, STEP_BYTES, STEP_RECORDS, decompressed, is_left_alone};
use crate::disk::Disk;
use crate::error::Damage;
use crate::log::Log;
use crate::offset::Offset;
use crate::segment::SegmentSummary;
use crate::segment::scan::{Found, Scan};

pub(super) struct Mapping<D: Disk> {
    dirty: Range<Offset>,
    /// Those still to be read; the first is being read while there is a walk.
    sources: VecDeque<SegmentSummary>,
    walk: Option<Scan<D::File>>,
    /// The batch that the walk found last, as long as not all of its records were looked at.
    batch: Option<HalfRead>,
    map: KeyMap,
    /// Below it every record was looked at.
    end: Offset,
}

/// A batch of which some records were looked at.
struct HalfRead {
    uncompressed: Option<Vec<u8>>,
    cursor: RecordCursor,
}

impl<D: Disk> Mapping<D> {
    pub(super) fn new(dirty: Range<Offset>, sources: VecDeque<SegmentSummary>, map: KeyMap) -> Mapping<D> {
        let end = dirty.start;
        Mapping { dirty, sources, walk: None, batch: None, map, end }
    }

    /// The keys, and the end of the part of which they are.
    pub(super) fn into_map(self) -> (KeyMap, Offset) {
        (self.map, self.end)
    }

    /// Goes on a little. Says whether the map is complete.
    pub(super) async fn step(&mut self, log: &Log<D>, report: &mut CompactionReport) -> Result<bool, Damage> {
        let (mut bytes, mut records_left) = (0, STEP_RECORDS);
        while bytes < STEP_BYTES && records_left > 0 {
            if self.batch.is_some() {
                if self.read_records(log, &mut records_left)? {
                    return Ok(true);
                }
                continue;
            }
            if self.walk.is_none() && !self.open_next(log).await? {
                return Ok(true);
            }
            bytes += self.next_batch(log).await?;
        }
        report.bytes_read += bytes;
        Ok(false)
    }

    /// Opens the next segment; `false` after the last.
    async fn open_next(&mut self, log: &Log<D>) -> Result<bool, Damage> {
        while let Some(source) = self.sources.front() {
            self.walk = log.walk_source(source, self.dirty.start).await?;
            if self.walk.is_some() {
                return Ok(true);
            }
            // The log starts behind it by now.
            self.end = self.end.max(source.next_offset);
            self.sources.pop_front();
        }
        Ok(false)
    }

    /// Finds the next batch. Returns its bytes.
    async fn next_batch(&mut self, log: &Log<D>) -> Result<u64, Damage> {
        let (Some(walk), Some(source)) = (&mut self.walk, self.sources.front()) else { return Ok(0) };
        let position = walk.position();
        match walk.next().await? {
            Found::Batch(header) => {
                let (batch, _) = RecordBatch::parse(walk.last_batch()).expect("its header was parsed");
                if header.has_records() && !is_left_alone(&batch) {
                    let uncompressed = decompressed(&batch).map_err(|error| {
                        log.damaged_source(source, position, "records that can be read", format!("{error}"))
                    })?;
                    self.batch = Some(HalfRead { uncompressed, cursor: RecordCursor::default() });
                } else {
                    self.end = Offset::new(header.next_offset()).max(self.end);
                }
                Ok(header.length as u64)
            }
            Found::End if walk.next_offset() == source.next_offset.value() => {
                self.end = source.next_offset;
                self.walk = None;
                self.sources.pop_front();
                Ok(0)
            }
            Found::End => {
                Err(log.damaged_source(source, position, "a record batch", "zeros or the end".into()))
            }
            Found::Bad { position, expected, got } => {
                Err(log.damaged_source(source, position, &expected, got))
            }
        }
    }

    /// Looks at records of the batch. Says whether the map is full.
    fn read_records(&mut self, log: &Log<D>, records_left: &mut usize) -> Result<bool, Damage> {
        let (Some(walk), Some(half), Some(source)) = (&self.walk, &mut self.batch, self.sources.front())
        else {
            return Ok(false);
        };
        let secret = log.0.shared.options.key_hash_secret;
        let (batch, _) = RecordBatch::parse(walk.last_batch()).expect("its header was parsed");
        let position = walk.position() - batch.bytes().len() as u64;
        let uncompressed = half.uncompressed.as_deref().unwrap_or(batch.records_bytes());
        while *records_left > 0 {
            let Some(next) = half.cursor.next(&batch, uncompressed) else {
                self.end = Offset::new(batch.last_offset() + 1).max(self.end);
                self.batch = None;
                return Ok(false);
            };
            let (record, _) = next.map_err(|error| {
                log.damaged_source(source, position, "records that can be read", format!("{error}"))
            })?;
            *records_left -= 1;
            let Some(key) = record.key.filter(|_| record.offset >= self.dirty.start.value()) else {
                continue;
            };
            if self.map.put(hash(secret, key), record.offset).is_err() {
                self.end = Offset::new(record.offset);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

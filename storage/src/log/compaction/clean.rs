//! The second half of a pass: segments are read again, records that have a newer one go, the rest becomes new segments.
//!
//! Decides batch by batch what stays. How that gets to the disk is the business of [`super::output`], and how it comes into
//! the place of the old segments that of [`super::replace`].
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use ringmain_protocol::records::{Record, RecordBatch, Sieve, empty_batch};

use super::key_hash::hash;
use super::key_map::KeyMap;
use super::output::Output;
use super::{CompactionReport, STEP_BYTES, STEP_RECORDS, decompressed, is_left_alone};
use crate::batch::BatchHeader;
use crate::disk::Disk;
use crate::error::Damage;
use crate::log::Log;
use crate::offset::Offset;
use crate::segment::SegmentSummary;
use crate::segment::scan::{Found, Scan};

/// What holds for the whole pass.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
    pub(super) incarnation: u64,
}

pub(super) struct Cleaning<D: Disk> {
    groups: VecDeque<Vec<SegmentSummary>>,
    current: Option<Group<D>>,
    map: KeyMap,
    /// The map knows the records below it.
    end: Offset,
}

/// Segments that become one.
struct Group<D: Disk> {
    segments: Vec<SegmentSummary>,
    /// Those still to be read; the first is being read while there is a walk.
    left: VecDeque<SegmentSummary>,
    walk: Option<Scan<D::File>>,
    /// The batch that the walk found last, as long as not all of its records were judged.
    batch: Option<HalfJudged>,
    output: Output<D>,
    /// The log does not have all of the segments any more.
    is_gone: bool,
}

/// A batch of which some records were judged.
struct HalfJudged {
    header: BatchHeader,
    uncompressed: Option<Vec<u8>>,
    sieve: Sieve,
}

impl<D: Disk> Cleaning<D> {
    pub(super) fn new(groups: VecDeque<Vec<SegmentSummary>>, map: KeyMap, end: Offset) -> Cleaning<D> {
        Cleaning { groups, current: None, map, end }
    }

    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// Removes what was written and is in nobody's place.
    pub(super) async fn give_up(&mut self, log: &Log<D>) {
        if let Some(group) = self.current.take() {
            group.output.discard(log).await;
        }
    }

    /// Goes on a little. Says whether all groups are done.
    pub(super) async fn step(
        &mut self,
        log: &Log<D>,
        terms: Terms,
        report: &mut CompactionReport,
    ) -> Result<bool, Damage> {
        let Some(group) = &mut self.current else {
            let Some(segments) = self.groups.pop_front() else { return Ok(true) };
            self.current =
                segments.iter().all(|segment| log.has_segment(segment)).then(|| Group::new(log, segments));
            return Ok(false);
        };
        let judge =
            Judge { map: &self.map, end: self.end, terms, secret: log.0.shared.options.key_hash_secret };
        let (mut bytes, mut records_left) = (0, STEP_RECORDS);
        while bytes < STEP_BYTES && records_left > 0 {
            let written = group.output.write_some(log).await?;
            report.bytes_written += written;
            if written > 0 {
                return Ok(false);
            }
            if group.batch.is_some() {
                group.judge_records(log, &judge, &mut records_left, report)?;
                continue;
            }
            if group.walk.is_none() && !group.open_next(log).await? {
                break;
            }
            let read = group.next_batch(log, &judge).await?;
            report.bytes_read += read;
            bytes += read;
        }
        if group.is_gone {
            self.give_up(log).await;
        } else if group.is_read() {
            self.finish_group(log, terms, report).await?;
        }
        Ok(false)
    }

    async fn finish_group(
        &mut self,
        log: &Log<D>,
        terms: Terms,
        report: &mut CompactionReport,
    ) -> Result<(), Damage> {
        let Some(group) = &mut self.current else { return Ok(()) };
        group.output.close_gap();
        if group.output.is_unchanged() {
            self.current = None;
            return Ok(());
        }
        let written = group.output.write_some(log).await?;
        report.bytes_written += written;
        if written > 0 {
            return Ok(()); // There may be more; the next step comes here again.
        }
        report.bytes_written += group.output.finish(log).await?;
        let Some(group) = self.current.take() else { return Ok(()) };
        if log.replace_segments(&group.segments, group.output, terms.incarnation).await? {
            report.segments_replaced += group.segments.len();
        }
        Ok(())
    }
}

impl<D: Disk> Group<D> {
    fn new(log: &Log<D>, segments: Vec<SegmentSummary>) -> Group<D> {
        let output = Output::new(log, &segments);
        Group {
            left: segments.iter().copied().collect(),
            segments,
            walk: None,
            batch: None,
            output,
            is_gone: false,
        }
    }

    /// Whether every record was judged.
    fn is_read(&self) -> bool {
        self.left.is_empty() && self.batch.is_none()
    }

    /// Opens the next segment; `false` after the last.
    async fn open_next(&mut self, log: &Log<D>) -> Result<bool, Damage> {
        let Some(source) = self.left.front() else { return Ok(false) };
        self.walk = log.walk_source(source, source.base_offset).await?;
        match &self.walk {
            Some(walk) => self.output.copies_from(walk.file()),
            // The log starts behind it by now: what was made of the group is not put into any place.
            None => self.is_gone = true,
        }
        Ok(self.walk.is_some())
    }

    /// Finds the next batch, and decides where its header is enough. Returns its bytes.
    async fn next_batch(&mut self, log: &Log<D>, judge: &Judge<'_>) -> Result<u64, Damage> {
        let (Some(walk), Some(source)) = (&mut self.walk, self.left.front()) else { return Ok(0) };
        let position = walk.position();
        let header = match walk.next().await? {
            Found::Batch(header) => header,
            Found::End if walk.next_offset() == source.next_offset.value() => {
                self.walk = None;
                self.left.pop_front();
                return Ok(0);
            }
            Found::End => {
                return Err(log.damaged_source(
                    source,
                    position,
                    "a record batch",
                    "zeros or the end".into(),
                ));
            }
            Found::Bad { position, expected, got } => {
                return Err(log.damaged_source(source, position, &expected, got));
            }
        };
        let (batch, _) = RecordBatch::parse(walk.last_batch()).expect("its header was parsed");
        if !header.has_records() {
            if log.is_newest_of_producer(&header) {
                self.output.keep(batch.bytes())?;
            } else {
                self.output.drop_batch(&header);
            }
        } else if is_left_alone(&batch) || header.base_offset >= judge.end.value() {
            self.output.keep(batch.bytes())?;
        } else {
            let uncompressed = decompressed(&batch).map_err(|error| {
                log.damaged_source(source, position, "records that can be read", format!("{error}"))
            })?;
            self.batch = Some(HalfJudged { header, uncompressed, sieve: Sieve::default() });
        }
        Ok(header.length as u64)
    }

    /// Judges records of the batch; after the last one the batch's fate is decided.
    fn judge_records(
        &mut self,
        log: &Log<D>,
        judge: &Judge<'_>,
        records_left: &mut usize,
        report: &mut CompactionReport,
    ) -> Result<(), Damage> {
        let (Some(walk), Some(half), Some(source)) = (&self.walk, &mut self.batch, self.left.front()) else {
            return Ok(());
        };
        let (batch, _) = RecordBatch::parse(walk.last_batch()).expect("its header was parsed");
        let position = walk.position() - batch.bytes().len() as u64;
        let uncompressed = half.uncompressed.as_deref().unwrap_or(batch.records_bytes());
        let before = half.sieve.kept_count() + half.sieve.removed_count();
        let horizon = delete_horizon(&batch);
        let judged = half.sieve.judge(&batch, uncompressed, *records_left, |record| {
            report.records_without_key += u64::from(record.key.is_none());
            judge.keeps(record, horizon)
        });
        let damaged =
            |error| log.damaged_source(source, position, "records that can be read", format!("{error}"));
        let is_whole = judged.map_err(damaged)?;
        let looked_at = (half.sieve.kept_count() + half.sieve.removed_count() - before).unsigned_abs();
        *records_left = records_left.saturating_sub(looked_at as usize);
        if !is_whole {
            return Ok(());
        }
        // A batch without records that could be read costs a place in the step too.
        *records_left = records_left.saturating_sub(1);
        let Some(half) = self.batch.take() else { return Ok(()) };
        report.records_read += u64::from(half.header.record_count.unsigned_abs());
        report.records_removed += u64::from(half.sieve.removed_count().unsigned_abs());
        let sets_horizon = judge.sets_horizon(&half, horizon);
        if half.sieve.kept_count() == 0 {
            if log.is_newest_of_producer(&half.header) && !crate::planted::is("newest-batch-dropped") {
                self.output.replace(&empty_batch(&batch))?;
            } else {
                self.output.drop_batch(&half.header);
            }
        } else if half.sieve.removed_count() == 0 && sets_horizon.is_none() {
            self.output.keep(batch.bytes())?;
        } else {
            self.output.replace(&half.sieve.finish(&batch, sets_horizon).map_err(damaged)?)?;
        }
        Ok(())
    }
}

/// Says of each record whether it stays.
struct Judge<'a> {
    map: &'a KeyMap,
    /// The map knows the records below it.
    end: Offset,
    terms: Terms,
    secret: [u64; 2],
}

impl Judge<'_> {
    fn keeps(&self, record: &Record<'_>, delete_horizon_ms: Option<i64>) -> bool {
        if record.offset >= self.end.value() {
            return true;
        }
        // As Kafka: what was written before the topic was compacted may have no key, and goes.
        let Some(key) = record.key else { return false };
        let newest = self.map.get(hash(self.secret, key));
        if newest.is_some_and(|newest| record.offset < newest) {
            return false;
        }
        record.value.is_some()
            || match delete_horizon_ms {
                Some(horizon) => self.terms.now_ms < horizon,
                None => !crate::planted::is("tombstone-gone-at-once"),
            }
    }

    /// When the tombstones of a batch may go, if this pass is the first to see them all.
    fn sets_horizon(&self, half: &HalfJudged, horizon: Option<i64>) -> Option<i64> {
        let sees_all = half.header.next_offset() <= self.end.value();
        let sets = half.sieve.keeps_tombstone() && horizon.is_none() && sees_all;
        sets.then(|| self.terms.now_ms.saturating_add(self.terms.delete_retention_ms))
    }
}

/// When the tombstones of a batch may go, as far as it says so.
fn delete_horizon(batch: &RecordBatch<'_>) -> Option<i64> {
    batch.attributes().has_delete_horizon().then(|| batch.header().base_timestamp.get())
}

impl<D: Disk> Log<D> {
    fn is_newest_of_producer(&self, header: &BatchHeader) -> bool {
        self.0.state.borrow().producers.is_newest(header)
    }
}

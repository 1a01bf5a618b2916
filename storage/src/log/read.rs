//! Read: whole batches, from the tail in memory or from a segment's file.
//!
//! A batch that is in the tail is shared as it is. One that is only in the file is brought in and checked (`cold_read.rs`).
//! Ranges that were checked are remembered; while they stay in the page cache they are handed out as they are, for sendfile.
//!
//! What must hold: nothing that was not checked is handed out; what is handed out begins and ends between two batches.
//! Failure modes: damaged bytes end a read before them; when nothing is before them the read fails with the place.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::batch::{self, BATCH_HEADER_BYTES, BatchHeader};
use crate::disk::{Disk, DiskFile};
use crate::error::{Corruption, Damage, ReadError};
use crate::log::{Fetched, Log, LogState, Piece};
use crate::offset::Offset;
use crate::segment;
use crate::segment::scan::BATCH_BYTES_MAX;

/// Readers whose place is remembered; more only search the index again.
const READ_ENDS: usize = 16;

/// Where the last reads ended.
#[derive(Debug, Default)]
pub(super) struct ReadEnds {
    ends: [Option<(Offset, Place)>; READ_ENDS],
    next: usize,
}

/// Where a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Base offset of its segment.
    pub(super) segment: Offset,
    pub(super) position: u64,
    /// Its base offset.
    pub(super) offset: Offset,
}

impl ReadEnds {
    fn get(&self, offset: Offset) -> Option<Place> {
        self.ends.iter().flatten().find(|(known, _)| *known == offset).map(|(_, place)| *place)
    }

    fn put(&mut self, place: Place) {
        if self.get(place.offset).is_none() {
            self.ends[self.next] = Some((place.offset, place));
            self.next = (self.next + 1) % READ_ENDS;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = ReadEnds::default();
    }
}

/// A read under way.
pub(super) struct Reading {
    pub(super) up_to: Offset,
    /// Bytes that may still be added.
    pub(super) budget: usize,
    /// The first batch is added even if it is larger than the budget.
    pub(super) takes_any: bool,
    fetched: Fetched,
}

/// What to do next for a read; decided without waiting.
pub(super) enum Step {
    /// Everything that was asked for is there.
    Done,
    /// The index of this segment has to be loaded.
    LoadIndex(Offset),
    /// The batch that holds the offset is somewhere behind this place, in the file.
    Seek(Place),
    /// The file has to be read and checked from this place on; the log's bytes in it end at `end`.
    Load { place: Place, end: u64 },
    /// A part was added; there may be more.
    Added,
    /// These bytes are checked, and may be in the page cache.
    Verified { place: Place, border: Place },
}

impl<D: Disk> Log<D> {
    /// Whole batches from the one that holds `from`, as far as they lie below `up_to` (exclusive) and fit into `max_bytes`.
    /// With `at_least_one` the first is returned however large it is. Empty at the end of what may be read.
    pub async fn read(
        &self,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Fetched, ReadError> {
        let fetched = Fetched { pieces: Vec::new(), length: 0, next_offset: from };
        let mut reading = Reading { up_to, budget: max_bytes, takes_any: at_least_one, fetched };
        self.check_range(from)?;
        let first_layout = self.layout();
        loop {
            let layout = self.layout();
            if layout != first_layout && reading.fetched.length > 0 {
                // The batch that holds the next offset now may have begun before what was read already.
                return Ok(reading.fetched);
            }
            let step = self.step(&mut reading);
            let result = match step {
                Step::Added => Ok(true),
                Step::Done => Ok(false),
                Step::LoadIndex(segment) => self.load_index(segment).await.map(|()| true),
                Step::Seek(place) => self.seek(place, reading.fetched.next_offset).await.map(|()| true),
                Step::Load { place, end } => self.load(&mut reading, place, end).await,
                Step::Verified { place, border } => self.add_verified(&mut reading, place, border).await,
            };
            match result {
                Ok(true) => {}
                Ok(false) => return Ok(reading.fetched),
                // Segments were put into the place of others while we waited: look again.
                Err(_) if self.layout() != layout => {}
                Err(_) if reading.fetched.length > 0 => return Ok(reading.fetched),
                Err(error) => {
                    // The log may have been cut or advanced while we waited: then that is the answer.
                    self.check_range(from)?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Whether the batch that holds `offset` is in memory and its place is known: a read from there needs no disk.
    #[must_use]
    pub fn is_in_memory(&self, offset: Offset) -> bool {
        let mut state = self.0.state.borrow_mut();
        if offset < state.log_start_offset || offset >= state.log_end_offset {
            return offset == state.log_end_offset;
        }
        let Ok(place) = state.place_of(offset) else { return false };
        state.tail.start_in(place.segment).is_some_and(|start| place.position >= start)
    }

    /// Does what a step asks for to find the batch that holds `offset`.
    pub(super) async fn make_progress(&self, step: Step, offset: Offset) -> Result<(), Damage> {
        match step {
            Step::LoadIndex(segment) => self.load_index(segment).await,
            Step::Seek(place) => self.seek(place, offset).await,
            Step::Done | Step::Load { .. } | Step::Added | Step::Verified { .. } => {
                unreachable!("finding a batch needs its index and a walk")
            }
        }
    }

    fn check_range(&self, from: Offset) -> Result<(), ReadError> {
        let state = self.0.state.borrow();
        let (start, end) = (state.log_start_offset, state.log_end_offset);
        if from < start || from > end {
            Err(ReadError::OutOfRange { asked: from, start, end })
        } else {
            Ok(())
        }
    }

    fn step(&self, reading: &mut Reading) -> Step {
        let mut state = self.0.state.borrow_mut();
        let next = reading.fetched.next_offset;
        let up_to = reading.up_to.min(state.log_end_offset);
        if next >= up_to || (reading.budget == 0 && !reading.takes_any) {
            return Step::Done;
        }
        if next < state.log_start_offset {
            return Step::Done;
        }
        let place = match state.place_of(next) {
            Ok(place) => place,
            Err(step) => return step,
        };
        let tail_start = state.tail.start_in(place.segment);
        if tail_start.is_some_and(|start| place.position >= start) {
            return state.add_from_tail(reading, place, up_to);
        }
        let index = state.segment_index(place.segment).expect("the place was just found");
        let summary = state.segments[index].summary;
        let end = state.tail.settled_end_in(place.segment).unwrap_or(summary.size_bytes);
        let Some(verified_end) = state.segments[index].verified.end_of_range_at(place.position) else {
            return Step::Load { place, end };
        };
        let available = verified_end.min(end);
        let reach = (place.position + reading.budget as u64).min(available);
        let relative = up_to.since(place.segment);
        let segment = &mut state.segments[index];
        segment.index_was_used = true;
        let Some(index) = &segment.index else { return Step::LoadIndex(place.segment) };
        let whole = available == summary.size_bytes && reach == available && summary.next_offset <= up_to;
        if whole {
            let border = Place { segment: place.segment, position: reach, offset: summary.next_offset };
            return Step::Verified { place, border };
        }
        if let Some(border) = index.border(place.position, reach, relative) {
            let offset = Offset::new(place.segment.value() + border.relative_offset.cast_signed());
            let border = Place { segment: place.segment, position: border.position, offset };
            return Step::Verified { place, border };
        }
        if reading.fetched.length > 0 && reach < available {
            // Batches that may still fit are smaller than what the index tells apart: not worth reading the file.
            return Step::Done;
        }
        let border = index.position_after(place.position);
        Step::Load { place, end: border.map_or(end, |border| border.min(end)) }
    }

    /// Walks headers in the file from `place` to the batch that holds `offset`, and remembers where it begins.
    async fn seek(&self, mut place: Place, offset: Offset) -> Result<(), Damage> {
        let layout = self.layout();
        let file = self.0.shared.file(&self.0.folder, self.key(), place.segment).await?;
        loop {
            if self.layout() != layout {
                return Ok(());
            }
            if self.finish_seek_in_tail(place, offset) {
                return Ok(());
            }
            let (tail_start, end) = self.file_bounds(place.segment);
            let length = usize::try_from(end.saturating_sub(place.position)).unwrap_or(usize::MAX);
            let bytes = file.read_cached(place.position, length.min(SEEK_BYTES)).await?;
            if self.layout() != layout {
                return Ok(());
            }
            let mut rest = &bytes[..];
            while rest.len() >= BATCH_HEADER_BYTES && place.position < tail_start {
                let header = self.check_header(place, rest)?;
                if header.next_offset() > offset.value() {
                    self.remember(offset, place);
                    return Ok(());
                }
                place.position += header.length as u64;
                place.offset = Offset::new(header.next_offset());
                rest = rest.get(header.length..).unwrap_or_default();
            }
            if bytes.len() < BATCH_HEADER_BYTES {
                return Err(self
                    .corrupt(place, "a record batch".into(), "the end of the file".into())
                    .into());
            }
        }
    }

    /// Where the tail of a segment begins, and up to where its file holds the log's bytes.
    fn file_bounds(&self, segment: Offset) -> (u64, u64) {
        let state = self.0.state.borrow();
        let size = state.segment_index(segment).map_or(0, |index| state.segments[index].summary.size_bytes);
        let end = state.tail.settled_end_in(segment).unwrap_or(size);
        (state.tail.start_in(segment).unwrap_or(u64::MAX), end)
    }

    /// When the walk has reached the tail, it ends there.
    fn finish_seek_in_tail(&self, mut place: Place, offset: Offset) -> bool {
        let mut state = self.0.state.borrow_mut();
        if state.tail.start_in(place.segment).is_none_or(|start| place.position < start) {
            return false;
        }
        while place.offset < state.log_end_offset {
            let header = state.tail_header(place);
            if header.next_offset() > offset.value() {
                state.read_ends.put_at(offset, place);
                break;
            }
            place.position += header.length as u64;
            place.offset = Offset::new(header.next_offset());
        }
        true
    }

    fn remember(&self, offset: Offset, place: Place) {
        self.0.state.borrow_mut().read_ends.put_at(offset, place);
    }

    /// Checks what the checksum does not cover: that the batch is the one which belongs here.
    pub(super) fn check_header(&self, place: Place, bytes: &[u8]) -> Result<BatchHeader, Corruption> {
        let header = BatchHeader::parse(bytes)
            .map_err(|reason| self.corrupt(place, "a record batch".into(), String::from(reason)))?;
        if header.base_offset != place.offset.value() {
            let expected = format!("base offset {}", place.offset);
            return Err(self.corrupt(place, expected, format!("{}", header.base_offset)));
        }
        let epoch = self.0.state.borrow().leader_epochs.at(place.offset);
        match epoch {
            Some(epoch) if epoch.value() != header.leader_epoch => {
                let expected = format!("leader epoch {epoch}");
                Err(self.corrupt(place, expected, format!("{}", header.leader_epoch)))
            }
            _ => Ok(header),
        }
    }

    pub(super) fn corrupt(&self, place: Place, expected: String, got: String) -> Corruption {
        let file = segment::log_path(&self.0.folder, place.segment);
        Corruption { file, position: place.position, expected, got }
    }

    /// Adds checked bytes of the file if they are in the page cache; otherwise brings the next piece in again.
    async fn add_verified(&self, reading: &mut Reading, place: Place, border: Place) -> Result<bool, Damage> {
        let layout = self.layout();
        let file = self.0.shared.file(&self.0.folder, self.key(), place.segment).await?;
        if self.layout() != layout {
            return Ok(true); // What was checked is not in this file.
        }
        let length = border.position - place.position;
        if !file.is_cached(place.position, length) {
            return self.load(reading, place, border.position).await;
        }
        let range = file.range(place.position, length)?;
        self.add(reading, Piece::File(range), usize::try_from(length).expect("within the budget"), border);
        Ok(true)
    }

    pub(super) fn add(&self, reading: &mut Reading, piece: Piece, length: usize, border: Place) {
        self.0.state.borrow_mut().add(reading, [piece], length, border);
    }
}

/// Bytes read to walk headers.
const SEEK_BYTES: usize = 16 << 10;

impl ReadEnds {
    /// The batch that holds `offset` begins at `place`.
    fn put_at(&mut self, offset: Offset, place: Place) {
        self.ends[self.next] = Some((offset, place));
        self.next = (self.next + 1) % READ_ENDS;
    }
}

impl LogState {
    /// Where the batch that holds an offset begins, or what has to be done to find out.
    pub(super) fn place_of(&mut self, offset: Offset) -> Result<Place, Step> {
        if let Some(place) = self.read_ends.get(offset) {
            let at = self.segment_index(place.segment);
            if at.is_some_and(|index| place.position < self.segments[index].summary.size_bytes) {
                return Ok(place);
            }
        }
        let holding = self.segment_holding(offset);
        let segment = &mut self.segments[holding];
        let base_offset = segment.summary.base_offset;
        segment.index_was_used = true;
        let Some(index) = &segment.index else { return Err(Step::LoadIndex(base_offset)) };
        let found = index.place_for_offset(offset.since(base_offset));
        let mut place = Place {
            segment: base_offset,
            position: found.position,
            offset: Offset::new(base_offset.value() + found.relative_offset.cast_signed()),
        };
        if place.offset == offset {
            return Ok(place);
        }
        if self.tail.start_in(base_offset).is_none_or(|start| place.position < start) {
            return Err(Step::Seek(place));
        }
        loop {
            let header = self.tail_header(place);
            if header.next_offset() > offset.value() {
                return Ok(place);
            }
            place.position += header.length as u64;
            place.offset = Offset::new(header.next_offset());
        }
    }

    /// The header of a batch in the tail.
    fn tail_header(&self, place: Place) -> BatchHeader {
        let mut head = [0; BATCH_HEADER_BYTES];
        self.tail.copy_out(place.segment, place.position, &mut head);
        let header = BatchHeader::parse(&head).expect("the tail holds batches that were checked");
        assert_eq!(header.base_offset, place.offset.value(), "batches in the tail follow each other");
        header
    }

    fn add_from_tail(&mut self, reading: &mut Reading, place: Place, up_to: Offset) -> Step {
        let end_of_segment = self.segments[self.segment_holding(place.offset)].summary.size_bytes;
        let mut border = place;
        while border.position < end_of_segment {
            let header = self.tail_header(border);
            let length = border.position + header.length as u64 - place.position;
            let fits = length <= reading.budget as u64 || (reading.takes_any && border == place);
            if !fits || header.next_offset() > up_to.value() {
                break;
            }
            border.position += header.length as u64;
            border.offset = Offset::new(header.next_offset());
        }
        if border == place {
            return Step::Done;
        }
        let pieces = self.tail.share(place.segment, place.position, border.position);
        let length = usize::try_from(border.position - place.position).expect("bytes in memory");
        self.add(reading, pieces.into_iter().map(Piece::Memory), length, border);
        Step::Added
    }

    fn add(
        &mut self,
        reading: &mut Reading,
        pieces: impl IntoIterator<Item = Piece>,
        length: usize,
        border: Place,
    ) {
        reading.fetched.pieces.extend(pieces);
        reading.fetched.length += length;
        reading.fetched.next_offset = border.offset;
        reading.budget = reading.budget.saturating_sub(length);
        reading.takes_any = false;
        let segment = self.segment_index(border.segment).map(|index| &self.segments[index].summary);
        if segment.is_some_and(|summary| {
            border.position < summary.size_bytes || summary.next_offset == self.log_end_offset
        }) {
            self.read_ends.put(border);
        }
    }
}

impl<D: Disk> Log<D> {
    /// Counts how often segments were put into the place of others. What was found out about files before an await holds
    /// only if it is the same after it.
    pub(super) fn layout(&self) -> u64 {
        self.0.state.borrow().layout
    }

    /// One whole, checked batch that begins at `place`, copied together if it lies in parts.
    pub(super) async fn batch_at(&self, place: Place) -> Result<Option<Bytes>, Damage> {
        let from_tail = {
            let mut state = self.0.state.borrow_mut();
            let is_in_tail = state.tail.start_in(place.segment).is_some_and(|start| place.position >= start);
            is_in_tail.then(|| {
                let length = state.tail_header(place).length as u64;
                state.tail.share(place.segment, place.position, place.position + length)
            })
        };
        if let Some(parts) = from_tail {
            return Ok(Some(match <[Bytes; 1]>::try_from(parts) {
                Ok([whole]) => whole,
                Err(parts) => Bytes::from(parts.concat()),
            }));
        }
        let file = self.0.shared.file(&self.0.folder, self.key(), place.segment).await?;
        let head = file.read_cached(place.position, BATCH_HEADER_BYTES).await?;
        let header = self.check_header(place, &head)?;
        if header.length > BATCH_BYTES_MAX {
            return Err(self
                .corrupt(place, "a batch of at most 128 MiB".into(), format!("{}", header.length))
                .into());
        }
        let bytes = file.read_cached(place.position, header.length).await?;
        if bytes.len() < header.length || !batch::checksum_holds(&bytes) {
            return Err(self.corrupt(place, "a batch with a good checksum".into(), "another".into()).into());
        }
        Ok(Some(bytes))
    }
}

//! The newest bytes of a log, in memory: appended to once, written from there, read from there.
//!
//! A tail is a list of extents. An extent is a run of bytes of one segment inside one aligned buffer; it begins at a block
//! of the file and at a block of the memory, so that it can be written by direct I/O as it is. Only the last extent is
//! open. Before bytes are handed to the device the open extent is closed: it is padded with zeros to a whole block, and the
//! next extent begins with a copy of that block's content (its *prefix*). So a buffer under I/O never changes, and a block
//! that is written again has the same prefix as before.
//!
//! What must hold:
//! - Extents follow each other without a gap; `count` counts the bytes appended since the log was opened.
//! - Extents are settled (written into their segment) from the front: never an unsettled one before a settled one.
//! - What is not settled is never dropped.
//!
//! It does no I/O and knows no offsets but those it is given as labels.
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::disk::{AlignedBuffer, BUFFER_BYTES_MAX, BUFFER_BYTES_MIN, BufferPool, BufferSlice};
use crate::offset::Offset;

/// Up to here a log's next buffer is twice the one before; above, it is at most this share of what the log holds.
const DOUBLED_BYTES_MAX: usize = 64 << 10;

/// The share, as a divisor.
const UNUSED_SHARE: usize = 4;

/// Where the next byte of a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Base offset of the open segment.
    pub(crate) segment: Offset,
    /// Position in its file.
    pub(crate) position: u64,
}

/// One direct write that settles a part of the tail.
#[derive(Clone, Debug)]
pub(crate) struct SegmentWrite {
    pub(crate) segment: Offset,
    /// Position of the first byte of `bytes`, on a block.
    pub(crate) position: u64,
    /// Whole blocks.
    pub(crate) bytes: BufferSlice,
}

/// What [`Tail::take_unsettled`] took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) writes: Vec<SegmentWrite>,
    /// Count of bytes that is settled once all is written.
    pub(crate) settles: u64,
    /// Count of bytes up to the last whole batch among them.
    pub(crate) whole_batches: u64,
    /// Offset behind that batch.
    pub(crate) next_offset: Offset,
}

#[derive(Debug)]
struct TailBuffer {
    id: u64,
    memory: AlignedBuffer,
}

#[derive(Debug)]
struct Extent {
    buffer: u64,
    /// Where it begins in the buffer.
    memory_start: usize,
    /// Bytes at the front that the extent before it has too.
    prefix: usize,
    /// Bytes of the log in it, prefix included, padding not.
    length: usize,
    segment: Offset,
    /// Position of its first byte in the segment.
    position: u64,
    /// Count of the first byte behind the prefix.
    first: u64,
    /// Count of bytes up to the last batch that ends in this extent or before it.
    whole_batches: u64,
    /// Offset behind that batch.
    next_offset: Offset,
    settled: bool,
}

impl Extent {
    fn end(&self) -> u64 {
        self.first + (self.length - self.prefix) as u64
    }

    fn end_position(&self) -> u64 {
        self.position + self.length as u64
    }
}

/// The tail of one log.
#[derive(Debug)]
pub(crate) struct Tail {
    block_bytes: usize,
    buffers: VecDeque<TailBuffer>,
    next_buffer_id: u64,
    extents: VecDeque<Extent>,
    /// Whether the last extent may grow.
    open: bool,
    /// Bytes appended since the log was opened.
    count: u64,
}

/// Memory is short: the caller waits until some comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory;

impl Tail {
    /// An empty tail. `block_bytes` is what positions of direct writes are multiples of.
    pub(crate) fn new(block_bytes: usize) -> Tail {
        assert!(block_bytes.is_power_of_two() && block_bytes <= BUFFER_BYTES_MIN);
        Tail {
            block_bytes,
            buffers: VecDeque::new(),
            next_buffer_id: 0,
            extents: VecDeque::new(),
            open: false,
            count: 0,
        }
    }

    /// Bytes appended since the log was opened.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Bytes that are in no segment yet.
    pub(crate) fn unsettled_bytes(&self) -> u64 {
        self.first_unsettled().map_or(0, |extent| self.count - extent.first)
    }

    /// Base offset of the segment that the oldest unsettled byte belongs to.
    pub(crate) fn first_unsettled_segment(&self) -> Option<Offset> {
        self.first_unsettled().map(|extent| extent.segment)
    }

    fn first_unsettled(&self) -> Option<&Extent> {
        let settled = self.extents.partition_point(|extent| extent.settled);
        self.extents.get(settled)
    }

    /// Whether bytes can be appended at `end` without reading the partly filled block from the file.
    pub(crate) fn can_append_at(&self, end: End) -> bool {
        self.prefix_length(end) == 0 || self.holds_end(end)
    }

    fn prefix_length(&self, end: End) -> usize {
        usize::try_from(end.position % self.block_bytes as u64).expect("less than a block")
    }

    fn holds_end(&self, end: End) -> bool {
        self.extents
            .back()
            .is_some_and(|last| last.segment == end.segment && last.end_position() == end.position)
    }

    /// Appends one batch at `end`, given in parts; all of it or nothing. Returns the memory it took from the pool.
    pub(crate) fn append(
        &mut self,
        end: End,
        parts: [&[u8]; 2],
        next_offset: Offset,
        pool: &BufferPool,
    ) -> Result<usize, OutOfMemory> {
        assert!(self.can_append_at(end), "the log was not activated");
        let taken = self.reserve(end, parts[0].len() + parts[1].len(), pool)?;
        for part in parts {
            self.copy_in(end, part, next_offset);
        }
        let last = self.extents.back_mut().expect("a batch is never empty");
        last.whole_batches = self.count;
        last.next_offset = next_offset;
        Ok(taken)
    }

    /// Makes the memory for `length` more bytes ready, so that the copy cannot stop half-way.
    fn reserve(&mut self, end: End, length: usize, pool: &BufferPool) -> Result<usize, OutOfMemory> {
        let needed = length + if self.is_open_at(end) { 0 } else { self.prefix_length(end) };
        let available = self.buffers.back().map_or(0, |buffer| self.room_in(buffer));
        if needed <= available {
            return Ok(0);
        }
        let last_capacity = self.buffers.back().map_or(0, |buffer| buffer.memory.capacity());
        let mut missing = needed - available;
        let mut fresh = Vec::new();
        while missing > 0 {
            // Of many logs that share the memory each shall not keep half of its own unused.
            let share = (self.memory_bytes() / UNUSED_SHARE).max(DOUBLED_BYTES_MAX);
            let wished = missing.max(share.min(last_capacity * 2)).clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
            let memory = pool.try_take(wished).ok_or(OutOfMemory)?;
            missing = missing.saturating_sub(memory.capacity());
            fresh.push(memory);
        }
        let taken = fresh.iter().map(AlignedBuffer::capacity).sum();
        for memory in fresh {
            self.buffers.push_back(TailBuffer { id: self.next_buffer_id, memory });
            self.next_buffer_id += 1;
        }
        Ok(taken)
    }

    /// Room that an open extent or a new one finds in a buffer: what the closed extents padded is gone.
    fn room_in(&self, buffer: &TailBuffer) -> usize {
        buffer.memory.remaining()
    }

    fn is_open_at(&self, end: End) -> bool {
        self.open && self.holds_end(end)
    }

    fn copy_in(&mut self, end: End, mut bytes: &[u8], next_offset: Offset) {
        while !bytes.is_empty() {
            // `end` is where the batch begins; what was copied already has moved the last extent's end.
            let at = if self.open { None } else { Some(self.end_or(end)) };
            if let Some(at) = at {
                self.open_extent(at, next_offset);
            }
            let extent = self.extents.back_mut().expect("an extent is open");
            let index = usize::try_from(extent.buffer - self.buffers[0].id).expect("few buffers");
            let memory = &mut self.buffers[index].memory;
            let fits = bytes.len().min(memory.remaining());
            memory.append(&bytes[..fits]);
            extent.length += fits;
            self.count += fits as u64;
            bytes = &bytes[fits..];
            if memory.remaining() == 0 {
                self.open = false;
            }
        }
    }

    /// Where the next extent begins: behind the last one of this segment, or where the log says.
    fn end_or(&self, end: End) -> End {
        match self.extents.back() {
            Some(last) if last.segment == end.segment && last.end_position() >= end.position => {
                End { segment: end.segment, position: last.end_position() }
            }
            _ => end,
        }
    }

    /// Begins an extent at `end`, with a copy of the partly filled block before it.
    fn open_extent(&mut self, end: End, next_offset: Offset) {
        let prefix = self.prefix_length(end);
        let block: Vec<u8> = if prefix == 0 { Vec::new() } else { self.last_bytes(prefix).to_vec() };
        let (whole_batches, next_offset) = self
            .extents
            .back()
            .map_or((self.count, next_offset), |last| (last.whole_batches, last.next_offset));
        let buffer = self
            .buffers
            .iter_mut()
            .find(|buffer| {
                buffer.memory.remaining() > 0
                    && Some(buffer.id) >= self.extents.back().map(|last| last.buffer)
            })
            .expect("memory was reserved before");
        let memory_start = buffer.memory.len();
        assert_eq!(memory_start % self.block_bytes, 0, "an extent begins on a block of memory");
        buffer.memory.append(&block);
        self.extents.push_back(Extent {
            buffer: buffer.id,
            memory_start,
            prefix,
            length: prefix,
            segment: end.segment,
            position: end.position - prefix as u64,
            first: self.count,
            whole_batches,
            next_offset,
            settled: false,
        });
        self.open = true;
    }

    /// The last `count` bytes of the last extent.
    fn last_bytes(&self, count: usize) -> &[u8] {
        let last = self.extents.back().expect("the log was activated");
        let end = last.memory_start + last.length;
        &self.memory_of(last)[end - count..end]
    }

    fn memory_of(&self, extent: &Extent) -> &[u8] {
        self.buffers[self.buffer_index(extent.buffer)].memory.as_slice()
    }

    fn buffer_index(&self, id: u64) -> usize {
        usize::try_from(id - self.buffers[0].id).expect("few buffers")
    }

    /// Takes back the partly filled block of an idle log, so that it can be appended to.
    pub(crate) fn activate(
        &mut self,
        end: End,
        block: &[u8],
        next_offset: Offset,
        pool: &BufferPool,
    ) -> Result<usize, OutOfMemory> {
        assert_eq!(block.len(), self.prefix_length(end), "exactly the filled part of the block");
        assert!(self.extents.is_empty() || self.extents.iter().all(|extent| extent.settled));
        self.clear();
        let mut memory = pool.try_take(BUFFER_BYTES_MIN).ok_or(OutOfMemory)?;
        memory.append(block);
        memory.pad_to(self.block_bytes);
        let taken = memory.capacity();
        let id = self.next_buffer_id;
        self.next_buffer_id += 1;
        self.buffers.push_back(TailBuffer { id, memory });
        self.extents.push_back(Extent {
            buffer: id,
            memory_start: 0,
            prefix: block.len(),
            length: block.len(),
            segment: end.segment,
            position: end.position - block.len() as u64,
            first: self.count,
            whole_batches: self.count,
            next_offset,
            settled: true,
        });
        Ok(taken)
    }

    /// Closes the open extent: nothing is added to its last block any more.
    pub(crate) fn close_extent(&mut self) {
        if self.open {
            let buffer = self.extents.back().expect("an extent is open").buffer;
            let index = self.buffer_index(buffer);
            self.buffers[index].memory.pad_to(self.block_bytes);
            self.open = false;
        }
    }

    /// Closes the open extent and takes the oldest unsettled ones, as writes: whole extents until they reach `bytes_max`.
    pub(crate) fn take_unsettled(&mut self, bytes_max: usize) -> Option<Taken> {
        self.close_extent();
        let from = self.extents.partition_point(|extent| extent.settled);
        let mut taken: Option<Taken> = None;
        let mut bytes = 0;
        for index in from..self.extents.len() {
            if bytes >= bytes_max {
                break;
            }
            let extent = &self.extents[index];
            let padded = extent.length.next_multiple_of(self.block_bytes);
            let range = extent.memory_start..extent.memory_start + padded;
            let buffer = self.buffer_index(extent.buffer);
            let write = SegmentWrite {
                segment: extent.segment,
                position: extent.position,
                bytes: self.buffers[buffer].memory.freeze(range),
            };
            bytes += padded;
            let writes = taken.map_or_else(Vec::new, |taken: Taken| taken.writes);
            let mut writes = writes;
            writes.push(write);
            let extent = &self.extents[index];
            taken = Some(Taken {
                writes,
                settles: extent.end(),
                whole_batches: extent.whole_batches,
                next_offset: extent.next_offset,
            });
        }
        taken
    }

    /// Everything up to `count` is in its segment now.
    pub(crate) fn settle(&mut self, count: u64) {
        let from = self.extents.partition_point(|extent| extent.settled);
        for extent in self.extents.range_mut(from..).take_while(|extent| extent.end() <= count) {
            extent.settled = true;
        }
    }

    /// The bytes from `count` on, in order.
    pub(crate) fn bytes_from(&self, count: u64) -> impl Iterator<Item = &[u8]> {
        let from = self.extents.partition_point(|extent| extent.end() <= count);
        self.extents.range(from..).map(move |extent| {
            let skip =
                extent.prefix + usize::try_from(count.saturating_sub(extent.first)).expect("bytes in memory");
            &self.memory_of(extent)[extent.memory_start + skip..extent.memory_start + extent.length]
        })
    }

    /// Position from which on all bytes of a segment up to its end are here; `None` when none are.
    pub(crate) fn start_in(&self, segment: Offset) -> Option<u64> {
        let from = self.extents.partition_point(|extent| extent.segment < segment);
        let extent = self.extents.get(from).filter(|extent| extent.segment == segment)?;
        Some(extent.position + extent.prefix as u64)
    }

    /// Copies the bytes at `position` of a segment; all of `into` lies in the tail.
    pub(crate) fn copy_out(&self, segment: Offset, position: u64, into: &mut [u8]) {
        let mut filled = 0;
        self.for_each_part(segment, position, into.len(), |extent, start, length| {
            let memory = self.memory_of(extent);
            into[filled..filled + length].copy_from_slice(&memory[start..start + length]);
            filled += length;
        });
        assert_eq!(filled, into.len(), "the tail holds what is asked of it");
    }

    /// The bytes at `position..end` of a segment, for readers; all of them lie in the tail.
    pub(crate) fn share(&mut self, segment: Offset, position: u64, end: u64) -> Vec<Bytes> {
        let length = usize::try_from(end - position).expect("bytes in memory");
        let mut parts = Vec::new();
        self.for_each_part(segment, position, length, |extent, start, length| {
            parts.push((self.buffer_index(extent.buffer), start, length));
        });
        let share = |(buffer, start, length): (usize, usize, usize)| {
            self.buffers[buffer].memory.freeze(start..start + length).into_bytes()
        };
        parts.into_iter().map(share).collect()
    }

    /// Calls `part(extent, start in memory, length)` for the parts of a range, in order.
    fn for_each_part<'a>(
        &'a self,
        segment: Offset,
        mut position: u64,
        mut length: usize,
        mut part: impl FnMut(&'a Extent, usize, usize),
    ) {
        let from = self
            .extents
            .partition_point(|extent| (extent.segment, extent.end_position()) <= (segment, position));
        for extent in self.extents.range(from..) {
            if length == 0 || extent.segment != segment {
                break;
            }
            let skip = usize::try_from(position - extent.position).expect("a position inside the extent");
            assert!(skip >= extent.prefix, "extents follow each other without a gap");
            let here = length.min(extent.length - skip);
            part(extent, extent.memory_start + skip, here);
            position += here as u64;
            length -= here;
        }
        assert_eq!(length, 0, "the tail holds what is asked of it");
    }

    /// Drops the oldest buffer if all of it is settled, with the whole of every batch that begins in it, and the log's end is
    /// elsewhere. Returns the memory given back.
    pub(crate) fn drop_oldest(&mut self) -> Option<usize> {
        let first = self.extents.front()?.buffer;
        let stays = self.extents.iter().find(|extent| extent.buffer != first)?;
        // The last batch that begins in the buffer may end in a later one: then it is read from the file.
        let batch_end =
            self.extents.iter().map(|extent| extent.whole_batches).find(|end| *end >= stays.first);
        (batch_end.unwrap_or(self.count) <= self.settled_count()).then_some(())?;
        while self.extents.front().is_some_and(|extent| extent.buffer == first) {
            self.extents.pop_front();
        }
        let front = self.buffers.pop_front().expect("its extents were there");
        assert_eq!(front.id, first, "buffers are used in order");
        Some(front.memory.capacity())
    }

    /// Drops what belongs to segments before the one with this base offset: their files changed. Returns the memory given
    /// back.
    ///
    /// # Panics
    /// When something of it is not settled.
    pub(crate) fn forget_before(&mut self, segment: Offset) -> usize {
        let goes = self.extents.partition_point(|extent| extent.segment < segment);
        assert!(self.extents.range(..goes).all(|extent| extent.settled), "a sealed segment is settled");
        if goes == self.extents.len() {
            return self.discard();
        }
        self.extents.drain(..goes);
        let first = self.extents[0].buffer;
        let mut freed = 0;
        while self.buffers.front().is_some_and(|buffer| buffer.id != first) {
            freed += self.buffers.pop_front().map_or(0, |buffer| buffer.memory.capacity());
        }
        freed
    }

    /// Count of bytes that are in their segments.
    fn settled_count(&self) -> u64 {
        self.first_unsettled().map_or(self.count, |extent| extent.first)
    }

    /// Position up to which the file of a segment holds the log's bytes; `None` when it holds all that there are.
    pub(crate) fn settled_end_in(&self, segment: Offset) -> Option<u64> {
        let mut unsettled = self.extents.iter().filter(|extent| !extent.settled && extent.segment == segment);
        unsettled.next().map(|extent| extent.position + extent.prefix as u64)
    }

    /// Drops everything. Returns the memory given back.
    ///
    /// # Panics
    /// When something is not settled.
    pub(crate) fn clear(&mut self) -> usize {
        assert!(self.extents.iter().all(|extent| extent.settled), "what is not settled is never dropped");
        self.discard()
    }

    /// Drops everything, settled or not: the log was cut, or is offline. Returns the memory given back.
    pub(crate) fn discard(&mut self) -> usize {
        let memory = self.memory_bytes();
        self.extents.clear();
        self.buffers.clear();
        self.open = false;
        memory
    }

    /// Drops everything but the partly filled block at the log's end, so that it can be appended to; that too when nothing
    /// else is there, or no memory for it. Returns the memory given back.
    ///
    /// # Panics
    /// When something is not settled.
    pub(crate) fn keep_last_block(&mut self, pool: &BufferPool) -> usize {
        let before = self.memory_bytes();
        let last = self
            .extents
            .back()
            .map(|last| (End { segment: last.segment, position: last.end_position() }, last.next_offset));
        let Some((end, next_offset)) = last.filter(|_| before > BUFFER_BYTES_MIN) else {
            return self.clear();
        };
        let filled = self.prefix_length(end);
        if filled == 0 {
            return self.clear();
        }
        let block = self.last_bytes(filled).to_vec();
        before - self.activate(end, &block, next_offset, pool).unwrap_or(0)
    }

    /// How many buffers it holds.
    pub(crate) fn buffer_count(&self) -> usize {
        self.buffers.len()
    }

    /// Memory that it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.buffers.iter().map(|buffer| buffer.memory.capacity()).sum()
    }
}

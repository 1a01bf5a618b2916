//! Aligned memory with one appender and any number of readers.
//!
//! An [`AlignedBuffer`] grows at its end; [`AlignedBuffer::freeze`] hands out parts of what it holds as [`BufferSlice`]s,
//! which may travel to the device and to other cores. What must hold: bytes below `frozen` never change again, readers see
//! only bytes below `frozen`, and the appender writes only from `frozen` on. So the two never meet, without a lock.
//!
//! The memory goes back to its pool with the last handle, from whatever thread that is dropped on.
#![expect(
    unsafe_code,
    reason = "hands out disjoint parts of one block; each block says why they are disjoint"
)]

use alloc::{boxed::Box, sync::Arc};
use core::{
    fmt,
    ops::{Deref, Range},
};

use bytes::Bytes;

use super::{memory::Block, pool::BlockHome};

/// A checked-out block; drops back into the pool that it came from.
pub(super) struct Memory {
    /// `None` only while being dropped.
    block: Option<Box<Block>>,
    home: Arc<BlockHome>,
}

impl Memory {
    pub(super) fn new(block: Box<Block>, home: Arc<BlockHome>) -> Memory {
        Memory { block: Some(block), home }
    }

    fn block(&self) -> &Block {
        self.block.as_ref().expect("a block leaves its memory only in drop")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.home.take_back(block);
        }
    }
}

/// Aligned memory that is appended to by its one owner.
pub struct AlignedBuffer {
    memory: Arc<Memory>,
    /// Bytes that are in use, from the start.
    filled: usize,
    /// Bytes that have been handed out and never change again; at most `filled`.
    frozen: usize,
}

impl AlignedBuffer {
    pub(super) fn new(memory: Memory) -> AlignedBuffer {
        AlignedBuffer { memory: Arc::new(memory), filled: 0, frozen: 0 }
    }

    /// How many bytes it can hold.
    pub fn capacity(&self) -> usize {
        self.memory.block().size()
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// How many bytes can still be appended.
    pub fn remaining(&self) -> usize {
        self.capacity() - self.filled
    }

    /// How many of its bytes, from the start, have been handed out and cannot change any more.
    pub fn frozen_len(&self) -> usize {
        self.frozen
    }

    /// All bytes it holds.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: below `frozen` nobody writes; from there on only `&mut self` does, which this borrow excludes.
        unsafe { self.memory.block().bytes(0..self.filled) }
    }

    /// Appends a copy of `bytes`.
    ///
    /// # Panics
    /// When they do not fit: the caller has asked [`AlignedBuffer::remaining`].
    pub fn append(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() <= self.remaining(),
            "{} bytes do not fit into {}",
            bytes.len(),
            self.remaining()
        );
        self.spare_mut()[..bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    /// Appends zeros until the length is a multiple of `alignment`, a power of two that divides the capacity.
    pub fn pad_to(&mut self, alignment: usize) {
        let padding = self.filled.next_multiple_of(alignment) - self.filled;
        self.spare_mut()[..padding].fill(0);
        self.filled += padding;
    }

    /// The part behind what it holds, with old content, to be written into before [`AlignedBuffer::advance`].
    pub fn spare_mut(&mut self) -> &mut [u8] {
        // SAFETY: from `filled` on nothing was handed out (`frozen <= filled`), and `&mut self` excludes other users.
        unsafe { self.memory.block().bytes_mut(self.filled..self.capacity()) }
    }

    /// Counts `count` bytes of [`AlignedBuffer::spare_mut`] as held.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining(), "cannot hold more than the capacity");
        self.filled += count;
    }

    /// A part that has not been handed out yet, to be changed in place.
    ///
    /// # Panics
    /// When part of it is frozen or not held.
    pub fn unfrozen_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(self.frozen <= range.start && range.end <= self.filled, "{range:?} is frozen or not held");
        // SAFETY: from `frozen` on nothing was handed out, and `&mut self` excludes other users.
        unsafe { self.memory.block().bytes_mut(range) }
    }

    /// Hands out a part, and freezes it with everything before it.
    ///
    /// # Panics
    /// When it is not held.
    pub fn freeze(&mut self, range: Range<usize>) -> BufferSlice {
        assert!(range.start <= range.end && range.end <= self.filled, "{range:?} of {} bytes", self.filled);
        self.frozen = self.frozen.max(range.end);
        BufferSlice { memory: self.memory.clone(), start: range.start, length: range.len() }
    }

    /// Forgets all bytes from `length` on that were not handed out.
    ///
    /// # Panics
    /// When some of them were.
    pub fn truncate(&mut self, length: usize) {
        assert!(length >= self.frozen, "cannot forget frozen bytes");
        self.filled = self.filled.min(length);
    }

    /// Where the spare part starts, for a device that fills it.
    #[cfg(feature = "direct")]
    pub(super) fn spare_start(&mut self) -> *mut u8 {
        // SAFETY: `filled` is at most the size of the block.
        unsafe { self.memory.block().start().add(self.filled) }
    }

    /// Under which number a device knows the memory, 0 for none; the meaning is the device's.
    #[cfg(feature = "direct")]
    pub(super) fn registration(&self) -> u64 {
        self.memory.block().registration()
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuffer({} of {} bytes, {} frozen)", self.filled, self.capacity(), self.frozen)
    }
}

/// A part of an [`AlignedBuffer`] that never changes again and keeps its memory alive.
#[derive(Clone)]
pub struct BufferSlice {
    memory: Arc<Memory>,
    start: usize,
    length: usize,
}

impl BufferSlice {
    /// A part of this part.
    ///
    /// # Panics
    /// When it lies outside.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> BufferSlice {
        assert!(range.start <= range.end && range.end <= self.length, "{range:?} of {} bytes", self.length);
        BufferSlice { memory: self.memory.clone(), start: self.start + range.start, length: range.len() }
    }

    /// The same bytes for a reader; cheap to clone and to cut.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// Under which number a device knows the memory, 0 for none; the meaning is the device's.
    #[cfg(feature = "direct")]
    pub(super) fn registration(&self) -> u64 {
        self.memory.block().registration()
    }
}

impl Deref for BufferSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the whole part lies below its buffer's `frozen`, where nobody writes any more.
        unsafe { self.memory.block().bytes(self.start..self.start + self.length) }
    }
}

impl AsRef<[u8]> for BufferSlice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for BufferSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferSlice({}..{})", self.start, self.start + self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::pool::{BufferPool, BufferPoolOptions},
        *,
    };

    fn buffer() -> AlignedBuffer {
        let pool = BufferPool::new(BufferPoolOptions::default());
        pool.try_take(4096).expect("the pool is empty")
    }

    #[test]
    fn a_reader_keeps_its_bytes_while_the_owner_appends() {
        let mut buffer = buffer();
        buffer.append(b"one");
        let one = buffer.freeze(0..3);
        buffer.append(b"two");
        buffer.unfrozen_mut(3..6)[0] = b'T';
        let bytes = one.clone().into_bytes();
        assert_eq!((&*one, &bytes[..], buffer.as_slice()), (&b"one"[..], &b"one"[..], &b"oneTwo"[..]));
    }

    #[test]
    #[should_panic(expected = "frozen")]
    fn frozen_bytes_cannot_be_changed() {
        let mut buffer = buffer();
        buffer.append(b"one");
        let _one = buffer.freeze(1..3);
        buffer.unfrozen_mut(0..1);
    }

    #[test]
    fn padding_is_zero_even_in_used_memory() {
        let pool = BufferPool::new(BufferPoolOptions { budget_bytes: 4096, ..BufferPoolOptions::default() });
        for _ in 0..2 {
            let mut buffer = pool.try_take(4096).expect("the last buffer came back");
            buffer.append(b"x");
            buffer.pad_to(512);
            assert_eq!(buffer.len(), 512);
            assert!(buffer.as_slice()[1..].iter().all(|byte| *byte == 0));
            buffer.spare_mut().fill(0xff);
            buffer.truncate(0);
            buffer.advance(4096);
            buffer.unfrozen_mut(0..4096).fill(0xff);
        }
    }

    #[test]
    #[cfg(feature = "direct")]
    fn handles_may_be_read_and_dropped_on_another_thread() {
        let mut buffer = buffer();
        buffer.append(&[7; 100]);
        let slice = buffer.freeze(0..100);
        let sum: u32 = std::thread::spawn(move || slice.iter().map(|byte| u32::from(*byte)).sum())
            .join()
            .expect("the reader does not panic");
        assert_eq!(sum, 700);
    }
}

//! The raw memory under the aligned buffers: where it comes from, and how it finds its way home.
//!
//! A [`Block`] is one aligned allocation. Its bytes are reached through raw ranges, because one appender and any number of
//! readers use disjoint parts of it at the same time; `buffer.rs` is the only caller and keeps the parts apart.
//! The [`ReturnStack`] takes blocks back from any thread and gives them to the one thread that owns the pool.
//!
//! Blocks are zeroed when they are made, so every byte is initialised for ever; a reused block holds old content.
#![expect(unsafe_code, reason = "this file owns raw memory; each block says why it is sound")]

use alloc::{alloc::Layout, boxed::Box};
use core::{
    ops::Range,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

/// One aligned allocation.
pub(super) struct Block {
    start: NonNull<u8>,
    layout: Layout,
    /// Where the device knows this memory by number: see [`Block::set_registration`]. 0: nowhere.
    registration: AtomicU64,
    /// The next block on a [`ReturnStack`]; meaningless anywhere else.
    next: *mut Block,
}

// SAFETY: a block owns its allocation alone; `next` is only touched by the one thread that holds the `Box`.
unsafe impl Send for Block {}
// SAFETY: through `&Block` the bytes are reached only by the unsafe methods below, whose callers keep ranges disjoint.
unsafe impl Sync for Block {}

impl Block {
    /// `None` when the system has no memory.
    pub(super) fn allocate(size: usize, alignment: usize) -> Option<Box<Block>> {
        assert!(size > 0, "a block of no bytes is never asked for");
        let layout = Layout::from_size_align(size, alignment).ok()?;
        let start = system::allocate_zeroed(layout)?;
        Some(Box::new(Block { start, layout, registration: AtomicU64::new(0), next: ptr::null_mut() }))
    }

    pub(super) fn size(&self) -> usize {
        self.layout.size()
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// # Safety
    /// Nobody writes to `range` while the result lives.
    pub(super) unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.size(), "range outside of the block");
        // SAFETY: inside the allocation (asserted), initialised since `alloc_zeroed`; not written to, says the caller.
        unsafe { slice::from_raw_parts(self.start().add(range.start), range.len()) }
    }

    /// # Safety
    /// Nobody else reads or writes `range` while the result lives.
    #[expect(clippy::mut_from_ref, reason = "disjoint ranges of one block are used at the same time")]
    pub(super) unsafe fn bytes_mut(&self, range: Range<usize>) -> &mut [u8] {
        assert!(range.start <= range.end && range.end <= self.size(), "range outside of the block");
        // SAFETY: inside the allocation (asserted), initialised since `alloc_zeroed`; used by nobody else, says the caller.
        unsafe { slice::from_raw_parts_mut(self.start().add(range.start), range.len()) }
    }

    /// Remembers under which number a device knows this memory; the meaning of the number is the device's.
    pub(super) fn set_registration(&self, registration: u64) {
        self.registration.store(registration, Ordering::Relaxed);
    }

    pub(super) fn registration(&self) -> u64 {
        self.registration.load(Ordering::Relaxed)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout, and a `Box<Block>` being dropped means that nobody refers to it.
        unsafe { system::free(self.start, self.layout) }
    }
}

/// Where the memory comes from. Large blocks are mappings of their own, so that a freed one really leaves the process and
/// one that is only partly used is only partly resident; an allocator promises neither.
mod system {
    use alloc::alloc::{Layout, alloc_zeroed, dealloc};
    use core::ptr::NonNull;

    pub(super) fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
        #[cfg(feature = "direct")]
        if mapping::is_for(layout) {
            return mapping::map(layout.size());
        }
        // SAFETY: no block is empty.
        NonNull::new(unsafe { alloc_zeroed(layout) })
    }

    /// # Safety
    /// `start` came from [`allocate_zeroed`] with this layout, and nobody refers to the memory.
    pub(super) unsafe fn free(start: NonNull<u8>, layout: Layout) {
        #[cfg(feature = "direct")]
        if mapping::is_for(layout) {
            // SAFETY: promised by the caller.
            return unsafe { mapping::unmap(start, layout.size()) };
        }
        // SAFETY: promised by the caller.
        unsafe { dealloc(start.as_ptr(), layout) }
    }

    #[cfg(feature = "direct")]
    mod mapping {
        use core::{
            alloc::Layout,
            ptr::{self, NonNull},
        };

        /// From this size on a mapping of its own costs little beside the page faults.
        const MAPPED_BYTES_MIN: usize = 64 * 1024;
        /// Mappings start on a page; every page size we run on is at least this.
        const MAPPING_ALIGNMENT: usize = 4096;

        pub(super) fn is_for(layout: Layout) -> bool {
            layout.size() >= MAPPED_BYTES_MIN && layout.align() <= MAPPING_ALIGNMENT
        }

        pub(super) fn map(size: usize) -> Option<NonNull<u8>> {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
            let start = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
            if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
        }

        /// # Safety
        /// `start` came from [`map`] with this size, and nobody refers to the memory.
        pub(super) unsafe fn unmap(start: NonNull<u8>, size: usize) {
            // SAFETY: promised by the caller.
            let result = unsafe { libc::munmap(start.as_ptr().cast(), size) };
            assert_eq!(result, 0, "a mapping that we made can be taken back");
        }
    }
}

/// Blocks on their way back: pushed by any thread, taken all at once by one.
///
/// Taking everything with one exchange is what keeps it simple: no block can be pushed and popped behind somebody's back.
pub(super) struct ReturnStack {
    head: AtomicPtr<Block>,
}

impl ReturnStack {
    pub(super) const fn new() -> ReturnStack {
        ReturnStack { head: AtomicPtr::new(ptr::null_mut()) }
    }

    pub(super) fn push(&self, block: Box<Block>) {
        let block = Box::into_raw(block);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: `block` came from `Box::into_raw` above and is not yet visible to anybody else.
            unsafe { (*block).next = head };
            match self.head.compare_exchange_weak(head, block, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes everything that was pushed so far.
    pub(super) fn take_all(&self) -> Returned {
        if self.head.load(Ordering::Relaxed).is_null() {
            return Returned(ptr::null_mut());
        }
        Returned(self.head.swap(ptr::null_mut(), Ordering::Acquire))
    }
}

impl Drop for ReturnStack {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

/// Blocks that were taken from a [`ReturnStack`].
pub(super) struct Returned(*mut Block);

impl Iterator for Returned {
    type Item = Box<Block>;

    fn next(&mut self) -> Option<Box<Block>> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the chain was taken off the stack as a whole, so every block of it belongs to this iterator alone, and each
        // came from `Box::into_raw`.
        let block = unsafe { Box::from_raw(self.0) };
        self.0 = block.next;
        Some(block)
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_aligned_and_zero() {
        let block = Block::allocate(8192, 4096).expect("memory for a test");
        assert_eq!(block.start() as usize % 4096, 0);
        // SAFETY: nobody else uses the block.
        let bytes = unsafe { block.bytes(0..8192) };
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    #[cfg(feature = "direct")]
    fn blocks_pushed_by_many_threads_all_come_back() {
        let stack = ReturnStack::new();
        let mut seen = 0;
        std::thread::scope(|scope| {
            let pushers: alloc::vec::Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..500 {
                            stack.push(Block::allocate(64, 64).expect("memory for a test"));
                        }
                    })
                })
                .collect();
            while pushers.iter().any(|pusher| !pusher.is_finished()) {
                seen += stack.take_all().count();
            }
        });
        seen += stack.take_all().count();
        assert_eq!(seen, 4 * 500);
    }
}

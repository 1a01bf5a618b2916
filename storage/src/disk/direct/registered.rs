//! Large buffers that the kernel knows by number: it then need not look up and pin their pages for every write.
//!
//! Locked memory is limited for most processes. What does not fit is simply not registered: it is counted in
//! [`RingCounters::buffers_refused`](super::RingCounters), and its writes cost more.
#![expect(unsafe_code, reason = "tells the kernel where buffers lie")]

use std::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use super::{
    super::{memory::Block, pool::MemoryRegistrar},
    ring::Ring,
};

/// From this size on a registration saves more than it costs (84 to 30 us CPU a write of 1 MiB, nothing at 4 KiB).
const REGISTERED_BYTES_MIN: usize = 256 * 1024;
/// Most buffers that are registered; at the smallest size they cover the default budget of a pool.
const REGISTERED_COUNT_MAX: u16 = 256;

/// Tells rings apart, because a buffer of one disk may be written by another.
static NEXT_RING: AtomicU32 = AtomicU32::new(1);

/// What all rings of the process have registered together: they share one limit of locked memory.
static PROCESS_BYTES: AtomicUsize = AtomicUsize::new(0);

/// The registered buffers of one ring.
pub(super) struct RegisteredBuffers {
    ring: Ring,
    number: u32,
    free_slots: RefCell<Vec<u16>>,
    /// Registered here; part of [`PROCESS_BYTES`].
    bytes: Cell<usize>,
    /// What the process may register.
    process_bytes_max: usize,
    /// The kernel refused one; not asked again before one was taken back.
    refused: Cell<bool>,
}

impl RegisteredBuffers {
    pub(super) fn new(ring: Ring) -> RegisteredBuffers {
        let number = NEXT_RING.fetch_add(1, Ordering::Relaxed);
        let table = ring
            .with_submitter(|submitter| submitter.register_buffers_sparse(u32::from(REGISTERED_COUNT_MAX)));
        let free_slots = match table {
            Ok(()) => (0..REGISTERED_COUNT_MAX).rev().collect(),
            Err(_not_offered) => {
                ring.count(|counters| counters.buffers_refused += 1);
                Vec::new()
            }
        };
        RegisteredBuffers {
            ring,
            number,
            free_slots: RefCell::new(free_slots),
            bytes: Cell::new(0),
            process_bytes_max: process_bytes_max(),
            refused: Cell::new(false),
        }
    }

    /// The slot of a registration that was made here.
    pub(super) fn slot(&self, registration: u64) -> Option<u16> {
        if registration >> 32 != u64::from(self.number) {
            return None;
        }
        u16::try_from(registration & 0xffff_ffff).ok()
    }

    /// Takes `bytes` from what the process may register.
    fn reserve(&self, bytes: usize) -> bool {
        let before = PROCESS_BYTES.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.set(self.bytes.get() + bytes);
        let fits = before.saturating_add(bytes) <= self.process_bytes_max;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        PROCESS_BYTES.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes.set(self.bytes.get() - bytes);
    }

    fn refuse(&self) -> u64 {
        self.refused.set(true);
        self.ring.count(|counters| counters.buffers_refused += 1);
        0
    }

    fn update(&self, slot: u16, start: *mut u8, length: usize) -> bool {
        let memory = [libc::iovec { iov_base: start.cast(), iov_len: length }];
        self.ring
            // SAFETY: the memory stays mapped until `unregister`, which its pool calls before it frees the block; a pool
            // that is gone leaves the pages pinned by the kernel, and the slot is never used again.
            .with_submitter(|submitter| unsafe {
                submitter.register_buffers_update(u32::from(slot), &memory, None)
            })
            .is_ok()
    }
}

impl MemoryRegistrar for RegisteredBuffers {
    fn register(&self, block: &Block) -> u64 {
        if block.size() < REGISTERED_BYTES_MIN || self.refused.get() {
            return 0;
        }
        let Some(slot) = self.free_slots.borrow_mut().pop() else { return 0 };
        if !self.reserve(block.size()) {
            self.free_slots.borrow_mut().push(slot);
            return self.refuse();
        }
        if !self.update(slot, block.start(), block.size()) {
            self.free_slots.borrow_mut().push(slot);
            self.give_back(block.size());
            return self.refuse();
        }
        self.ring.count(|counters| counters.buffers_registered += 1);
        u64::from(self.number) << 32 | u64::from(slot)
    }

    fn unregister(&self, registration: u64, bytes: usize) {
        let Some(slot) = self.slot(registration) else {
            return;
        };
        self.ring.count(|counters| counters.buffers_registered -= 1);
        // A slot that could not be emptied keeps its pages pinned and is left alone.
        if self.update(slot, std::ptr::null_mut(), 0) {
            self.free_slots.borrow_mut().push(slot);
            self.give_back(bytes);
            self.refused.set(false);
        }
    }
}

impl Drop for RegisteredBuffers {
    fn drop(&mut self) {
        // The kernel lets go of everything with the ring.
        PROCESS_BYTES.fetch_sub(self.bytes.get(), Ordering::Relaxed);
    }
}

/// Half of what the process may lock: the other half is for glommio's executors, which do not start without.
fn process_bytes_max() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is the one that the call fills, and outlives it.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } == 0;
    // SAFETY: no memory is involved.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !known {
        return 0;
    }
    if is_root || limit.rlim_cur == libc::RLIM_INFINITY {
        return usize::MAX;
    }
    usize::try_from(limit.rlim_cur / 2).unwrap_or(usize::MAX)
}

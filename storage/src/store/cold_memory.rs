//! How much memory readers of old records may hold: buffers that were read past the page cache and are not sent yet.
//!
//! A client that takes nothing keeps its piece until its connection is given up. Without a bound such clients would use up
//! the buffers that appends need.
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Memory of all readers of a shard together.
const COLD_BYTES_MAX: usize = 8 << 20;

/// Of a small pool they get this share at most.
const COLD_SHARE: usize = 8;

/// The bound, and what is in use.
pub(crate) struct ColdMemory {
    bytes_max: usize,
    used: Arc<AtomicUsize>,
}

/// Memory in use until it is dropped, on any thread.
pub(crate) struct Lease {
    bytes: usize,
    used: Arc<AtomicUsize>,
}

impl ColdMemory {
    /// Of a pool with this budget.
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self { bytes_max: COLD_BYTES_MAX.min(budget_bytes / COLD_SHARE), used: Arc::default() }
    }

    /// So much more, if that stays within the bound. Only the shard's own thread leases, so nothing is added in between.
    pub(crate) fn lease(&self, bytes: usize) -> Option<Lease> {
        if self.used.load(Ordering::Relaxed) + bytes > self.bytes_max {
            return None;
        }
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Some(Lease { bytes, used: self.used.clone() })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_can_be_leased_again() {
        let memory = ColdMemory::new(80);
        let (first, _second) = (memory.lease(4), memory.lease(6));
        assert!(first.is_some() && memory.lease(1).is_none());
        drop(first);
        assert!(memory.lease(4).is_some());
    }
}

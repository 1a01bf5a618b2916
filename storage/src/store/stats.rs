//! What a store holds at one moment, as plain numbers; the node knows how they are exported.

use super::Store;
use crate::disk::{BufferPoolStats, Disk};
use crate::journal::JournalStats;

/// Memory, files and the journal of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes that were appended and are not written yet.
    pub unwritten_bytes: usize,
    /// How many there may be.
    pub unwritten_bytes_max: usize,
    /// Memory that the tails hold.
    pub tail_bytes: usize,
    /// How much they may hold.
    pub tail_bytes_max: usize,
    /// All buffers.
    pub buffers: BufferPoolStats,
    /// Segment files that are open.
    pub open_files: usize,
    /// Logs that found the disk full and wait for space.
    pub logs_stalled: usize,
    /// The journal; nothing while there is none.
    pub journal: JournalStats,
}

impl<D: Disk> Store<D> {
    /// What it holds now. Costs no walk over logs.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        StoreStats {
            unwritten_bytes: shared.unwritten_bytes.get(),
            unwritten_bytes_max: shared.options.unwritten_bytes_max,
            tail_bytes: shared.tail_bytes.get(),
            tail_bytes_max: shared.options.tail_bytes_max,
            buffers: shared.disk.buffers().stats(),
            open_files: shared.open_files(),
            logs_stalled: shared.stalled.borrow().len(),
            journal: shared.journal().map(|journal| journal.stats()).unwrap_or_default(),
        }
    }
}

//! Keeps the machine's free memory from going back to its host.
//!
//! A virtual machine may report free blocks of 2 MiB to its host, which takes them away; the next
//! use of such memory costs a fault in the host, 0.3 to 4 CPU-seconds a gigabyte. A broker that
//! writes through the page cache pays that for all fresh pages, one with fixed buffers does not, and
//! a comparison would measure the host. So all but every 64th page of some gibibytes that were
//! touched is given back: the pages that stay keep free ones from joining into whole blocks.

use std::io;

use crate::system::AnonymousMemory;

/// One page of so many stays: eight in each 2 MiB.
const STAYING_PAGE_INTERVAL: usize = 64;

/// Holds the scattered pages until it is dropped.
#[derive(Debug)]
pub(crate) struct SteadyMemory {
    _memory: AnonymousMemory,
}

impl SteadyMemory {
    /// Touches so many bytes, and gives most of them back. They must be free at that moment.
    pub(crate) fn scatter(bytes: usize) -> io::Result<Self> {
        let mut memory = AnonymousMemory::map(bytes)?;
        memory.touch();
        for page in (0..memory.page_count()).step_by(STAYING_PAGE_INTERVAL) {
            let end = memory.page_count().min(page + STAYING_PAGE_INTERVAL);
            memory.give_back(page + 1..end)?;
        }
        Ok(Self { _memory: memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::clocks::process_rss_bytes;

    #[test]
    fn most_pages_are_given_back() {
        const BYTES: usize = 256 << 20;
        let rss = || process_rss_bytes(std::process::id()).expect("readable");
        let before = rss();
        let held = SteadyMemory::scatter(BYTES).expect("there is memory");
        let grown = rss().saturating_sub(before);
        assert!(grown < BYTES as u64 / 4, "{grown} bytes stay");
        drop(held);
    }
}

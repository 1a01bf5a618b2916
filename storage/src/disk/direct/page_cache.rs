//! The page cache: which pages of a file are in memory (cachestat(2), Linux 6.5), and reading ahead.
#![expect(unsafe_code, reason = "system calls that std does not have")]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// The number of cachestat(2); the same on every architecture.
const SYS_CACHESTAT: libc::c_long = 451;

#[repr(C)]
struct CachestatRange {
    position: u64,
    length: u64,
}

#[repr(C)]
#[derive(Default)]
struct Cachestat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Whether every page of a range is in memory. An error when the kernel or a seccomp profile does not let us know.
pub(super) fn is_cached(descriptor: BorrowedFd<'_>, position: u64, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let range = CachestatRange { position, length };
    let mut found = Cachestat::default();
    // SAFETY: both structures are laid out as the kernel defines them and outlive the call; flags have to be 0.
    let result = unsafe {
        libc::syscall(SYS_CACHESTAT, descriptor.as_raw_fd(), &raw const range, &raw mut found, 0u32)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(found.cached >= page_count(position, length, page_size()))
}

/// Turns the kernel's reading ahead on or off. It reads up to some megabytes beyond what is asked for, and writes queue up
/// behind them at the device.
pub(super) fn set_read_ahead(descriptor: BorrowedFd<'_>, on: bool) {
    let advice = if on { libc::POSIX_FADV_NORMAL } else { libc::POSIX_FADV_RANDOM };
    // SAFETY: no memory is involved; the descriptor is open.
    let refused = unsafe { libc::posix_fadvise(descriptor.as_raw_fd(), 0, 0, advice) };
    debug_assert_eq!(refused, 0, "advice on a regular file is always taken");
}

/// How many pages a range touches.
fn page_count(position: u64, length: u64, page: u64) -> u64 {
    (position + length).div_ceil(page) - position / page
}

fn page_size() -> u64 {
    // SAFETY: no memory is involved.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("every system has a page size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_touches_the_pages_at_both_ends() {
        assert_eq!(
            [(0, 1), (4095, 1), (4095, 2), (0, 8192)].map(|(at, n)| page_count(at, n, 4096)),
            [1, 1, 2, 2]
        );
    }
}

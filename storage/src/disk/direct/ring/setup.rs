//! How a ring is set up with the kernel.
#![expect(unsafe_code, reason = "opens an eventfd")]

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

use io_uring::IoUring;

use super::RingError;

/// Completions that fit into the queue, for each entry of the submission queue: sockets are waited for in large numbers.
const COMPLETIONS_PER_ENTRY: u32 = 8;

/// How a ring is set up.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Entries of the submission queue; a power of two. Costs 64 bytes each, and 16 for each of eight times as many
    /// completions.
    pub entries: u32,
    /// Disk operations under way at once. More do not make a device faster, they only make each one slower.
    pub operations_max: usize,
}

impl Default for RingOptions {
    fn default() -> RingOptions {
        RingOptions { entries: 256, operations_max: 128 }
    }
}

pub(super) fn build(entries: u32) -> Result<IoUring, RingError> {
    let completions = entries.saturating_mul(COMPLETIONS_PER_ENTRY);
    let quiet = IoUring::builder()
        .setup_cqsize(completions)
        .setup_coop_taskrun()
        .setup_single_issuer()
        .setup_submit_all()
        .build(entries);
    match quiet {
        // A kernel before 6.0 knows none or not all of the last three; they only save interrupts.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            IoUring::builder().setup_cqsize(completions).build(entries)
        }
        other => other,
    }
    .map_err(RingError::from_setup)
}

/// Blocking on purpose: reading a non-blocking one through io_uring ends with EAGAIN instead of waiting.
pub(super) fn blocking_eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

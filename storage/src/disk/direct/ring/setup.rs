//! How a ring is set up with the kernel.

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
    let mut deferring = IoUring::builder();
    deferring.setup_cqsize(completions).setup_submit_all().setup_single_issuer();
    deferring.setup_defer_taskrun().setup_taskrun_flag();
    let mut plain = IoUring::builder();
    plain.setup_cqsize(completions);
    match deferring.build(entries) {
        // A kernel before 6.1 completes operations whenever it likes, which costs interruptions and nothing else.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => plain.build(entries),
        other => other,
    }
    .map_err(RingError::from_setup)
}

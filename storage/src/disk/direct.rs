//! The real disk: O_DIRECT files through a companion io_uring inside a glommio executor.
//!
//! glommio's own file type costs two to three times the CPU of a raw ring for each operation, cannot link a write with its
//! flush, and cannot reuse a buffer at another length; so each shard has a [`Ring`] of its own beside glommio's, and
//! glommio only tells it when completions wait. What is rare and slow (names, folders, lengths) runs on glommio's pool of
//! blocking threads: give executors a `PoolPlacement::Unbound(n)`, the default pins it to the shard's own core.
//!
//! - [`Ring`]: submissions, completions, readiness of any descriptor.
//! - [`probe_ring`], [`probe_disk`]: what this machine allows, before an executor starts, as sentences for an operator.
//! - [`DirectDisk`], [`DirectFile`]: the implementation of the traits.

mod blocking;
mod directory;
mod file;
mod page_cache;
mod probe;
mod registered;
mod ring;

pub use self::{
    directory::DirectDisk,
    file::DirectFile,
    probe::{DiskFacts, FileSystem, probe_disk, probe_ring},
    ring::{PollFuture, Ring, RingCounters, RingError, RingOptions},
};

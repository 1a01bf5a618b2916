//! The real disk: O_DIRECT files through io_uring, and the executor whose thread waits there.
//!
//! An operation on a raw ring costs a half to a third of the CPU that glommio's files take, a write can be durable when
//! it ends, and buffers can be used again at another length. The ring is also where the shard's thread waits for everything
//! else (decision 15): glommio's own wait costs some forty requests to the kernel for each message at low rates.
//! What is rare and slow (names, folders, lengths) runs on blocking threads.
//!
//! - [`Executor`]: tasks, timers, the turn.
//! - [`Ring`]: submissions, completions, readiness of any descriptor.
//! - [`probe_ring`], [`probe_disk`]: what this machine allows, before an executor starts, as sentences for an operator.
//! - [`DirectDisk`], [`DirectFile`]: the implementation of the traits.

mod blocking;
mod directory;
mod executor;
mod file;
mod page_cache;
mod probe;
mod registered;
mod ring;

pub use self::{
    directory::DirectDisk,
    executor::{Executor, Timer, run_blocking, sleep, spawn, yield_turn},
    file::DirectFile,
    probe::{DiskFacts, FileSystem, probe_disk, probe_ring},
    ring::{PollFuture, Ring, RingCounters, RingError, RingOptions},
};

//! Scenario `disk`: what a device can do in the writes and reads that a log makes. No broker takes part.
//!
//! One thread keeps a raw io_uring busy, as a shard does, so that what is measured is the file system
//! and the device. It is not the node's own disk, which needs the node's executor to run: a figure of
//! both together would not say which of them was the limit.
//!
//! Each row does one kind of work at one size and depth for a short time: writes into ranges that were
//! written before, into a growing file, into allocated but unwritten ranges, into zeros written just
//! ahead; each without a flush, with `fdatasync` behind each write, and with `O_DSYNC`; reads past the
//! page cache, through it when it holds nothing of the file, and when it holds all. Then many files:
//! a block for each of them and a flush for each, or one for all, or one journal write in their place.
//!
//! What must hold: an operation counts when it is complete, flush included; a short or failed one ends
//! the run without a result. Everything lies in a folder of this scenario's own, which it removes.

mod folder;
mod matrix;
mod positions;
mod settings;

pub(crate) use self::settings::DiskSettings;

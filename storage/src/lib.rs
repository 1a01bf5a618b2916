//! The logs of one shard on one disk: segments, journal, group commit, recovery.
//!
//! The crate knows no cluster and no network, spawns nothing and reads no clock: its futures await only
//! [`disk::Disk`], and time is an argument. Without the feature `direct` it is `no_std` + `alloc`.
#![cfg_attr(not(feature = "direct"), no_std)]
extern crate alloc;

pub mod disk;

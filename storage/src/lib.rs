//! The logs of one shard on one disk.
#![cfg_attr(not(feature = "direct"), no_std)]
extern crate alloc;

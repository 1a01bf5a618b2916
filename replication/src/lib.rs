//! Who leads, who is in sync, what is committed.
#![no_std]
extern crate alloc;

//! The Ringmain node.

pub mod config;

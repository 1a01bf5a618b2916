//! The Ringmain node.

pub mod config;
pub mod metadata;

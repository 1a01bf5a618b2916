//! The Ringmain node: sockets, cores, configuration, operators.

mod admin;
mod base64;
pub mod cli;
mod client;
pub mod config;
mod handlers;
pub mod metadata;
mod observability;
mod runtime;
pub mod server;
mod shard;
pub mod supervision;

pub use observability::{init_logging, metrics_reference};
pub use runtime::prepare_process;

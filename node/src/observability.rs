//! What operators see of a running node: diagnostics, health, counters, histograms.
//!
//! What must hold: looking never disturbs serving; an endpoint that cannot be bound does not keep a node from starting
//! unless the operator asked for it.

mod admin;
mod histogram;
mod logging;
mod metrics;
mod stages;

pub(crate) use admin::AdminServer;
pub use logging::init as init_logging;
pub(crate) use stages::{Stage, StageValues, Stages};

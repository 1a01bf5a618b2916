//! What operators see of a running node: diagnostics, health, counters, histograms.
//!
//! What must hold: looking never disturbs serving. Does not do: how operators reach it (`admin`).

mod histogram;
mod logging;
mod metrics;
mod stages;

pub use logging::init as init_logging;
pub(crate) use logging::{log_level, set_log_level};
pub(crate) use metrics::render as render_metrics;
pub(crate) use stages::{Stage, StageValues, Stages};

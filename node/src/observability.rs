//! What operators see of a running node: diagnostics, health, counters, histograms.
//!
//! What must hold: looking never disturbs serving. Does not do: how operators reach it (`admin`).

mod histogram;
mod logging;
mod metrics;
pub(crate) mod snapshot;
mod stages;

pub(crate) use histogram::{Histogram, HistogramValues};
pub use logging::init as init_logging;
pub(crate) use logging::{log_level, set_log_level};
pub(crate) use metrics::answer as metrics_answer;
pub use metrics::reference as metrics_reference;
pub(crate) use snapshot::Snapshots;
pub(crate) use stages::{Stage, StageValues, Stages};

//! What the tests stand on.

mod certificates;
mod cluster;
mod directory;
mod ledger;
mod member;
mod relay;

pub(crate) use certificates::ClusterCards;
pub(crate) use cluster::{Cluster, eventually, runtime};
pub(crate) use directory::TestDirectory;
pub(crate) use ledger::Ledger;
pub(crate) use member::proposal;
pub(crate) use relay::Relay;

/// For what must not fail because the machine is busy.
pub(crate) const LONG: std::time::Duration = std::time::Duration::from_secs(20);

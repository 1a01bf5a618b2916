//! What a replica is told when it is made.

use ringmain_storage::{LeaderEpoch, Offset};

/// Times that every partition of a node has in common. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A replica that has not caught up for so long leaves the in-sync set (`replica.lag.time.max.ms`). Must be well above
    /// `fetch_wait_ms_max`, or idle followers would count as lagging.
    pub lag_ms_max: i64,
    /// How long a leader keeps a fetch for which it has nothing (`replica.fetch.wait.max.ms`).
    pub fetch_wait_ms_max: i64,
    /// How long a follower waits for an answer before it asks again; above `fetch_wait_ms_max` by more than the
    /// slowest way there and back.
    pub fetch_timeout_ms: i64,
    /// How long a follower waits after a refusal (`replica.fetch.backoff.ms`).
    pub fetch_retry_ms: i64,
    /// How long a leader waits for the controller before it proposes an in-sync set again.
    pub proposal_retry_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lag_ms_max: 30_000,
            fetch_wait_ms_max: 500,
            fetch_timeout_ms: 2_000,
            fetch_retry_ms: 100,
            proposal_retry_ms: 1_000,
        }
    }
}

/// The log as recovery found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveredLog {
    /// Its first offset.
    pub start: Offset,
    /// Its end.
    pub end: Offset,
    /// Leader epoch of its last record.
    pub last_epoch: Option<LeaderEpoch>,
}

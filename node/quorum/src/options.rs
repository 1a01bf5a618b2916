//! What a quorum is started with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use ringmain_replication::NodeId;

use crate::replica_id::Address;

/// Entries that a follower receives in one message at most; their bytes are bounded too.
const APPEND_ENTRIES_MAX: u64 = 300;
/// A piece of a snapshot that takes longer to arrive or to be installed is tried again.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between attempts to reach a member that is away: it comes back in seconds, and a try costs a packet.
const BACKOFF: &str = "50ms 100ms ...500ms";

/// When members act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// How long it waits for the answer of a member before it says so anew.
    pub answer: Duration,
    /// After the lease of a silent leader a member waits between this ...
    pub election_min: Duration,
    /// ... and this, which is also the lease, before it asks for votes.
    pub election_max: Duration,
}

/// When the log is replaced by a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// Entries since the last one.
    pub entries: u64,
    /// Bytes of records since the last one.
    pub bytes: u64,
    /// Entries that stay in the log all the same, for followers that are a little behind.
    pub kept_entries: u64,
}

/// What a quorum is started with.
#[derive(Clone, Debug)]
pub struct QuorumOptions {
    /// The cluster; the same as the store's.
    pub cluster_id: String,
    /// Where the others reach this member.
    pub address: Address,
    /// The nodes that form the cluster when it is new, with their addresses; later, whom to ask for it.
    pub voters: BTreeMap<NodeId, Address>,
    /// When members act; the same on all of them.
    pub timing: Timing,
    /// When the log is replaced by a snapshot.
    pub snapshot: SnapshotOptions,
}

/// Options that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("the quorum's options make no sense: {0}")]
pub struct OptionsError(String);

impl Default for Timing {
    /// A killed leader is replaced after the lease of 500 ms and 225 to 500 ms more. Three heartbeats fit into the shortest
    /// wait, so that one lost packet and one slow turn of the thread are no election; two slow answers and a heartbeat fit
    /// into the lease, so that members that get little of a core do not end a leadership by being late.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(75),
            answer: Duration::from_millis(180),
            election_min: Duration::from_millis(225),
            election_max: Duration::from_millis(500),
        }
    }
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { entries: 4096, bytes: 16 << 20, kept_entries: 256 }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl QuorumOptions {
    /// openraft's options.
    pub(crate) fn config(&self) -> Result<Arc<Config>, OptionsError> {
        let Timing { heartbeat, answer, election_min, election_max } = self.timing;
        if heartbeat.is_zero() || heartbeat * 3 > election_min {
            return Err(OptionsError("three heartbeats must fit before an election".to_owned()));
        }
        if answer < heartbeat || answer * 2 + heartbeat > election_max {
            return Err(OptionsError("two slow answers must fit into the lease".to_owned()));
        }
        if self.voters.is_empty() {
            return Err(OptionsError("there are no voters".to_owned()));
        }
        let config = Config {
            cluster_name: self.cluster_id.clone(),
            // Only how long it waits: how often is up to `heartbeat.rs`.
            heartbeat_interval: milliseconds(answer),
            election_timeout_min: milliseconds(election_min),
            election_timeout_max: milliseconds(election_max),
            install_snapshot_timeout: milliseconds(SNAPSHOT_TIMEOUT),
            max_payload_entries: APPEND_ENTRIES_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot.entries),
            max_in_snapshot_log_to_keep: self.snapshot.kept_entries,
            // A follower that is further behind than the log is long gets the snapshot in any case.
            replication_lag_threshold: self.snapshot.entries.saturating_mul(2),
            enable_pre_vote: Some(true),
            // A term belongs to one life of a leader: what it knew before it restarted is gone.
            enable_leader_restore: Some(false),
            backoff: BACKOFF.to_owned(),
            ..Config::default()
        };
        config.validate().map(Arc::new).map_err(|error| OptionsError(error.to_string()))
    }
}

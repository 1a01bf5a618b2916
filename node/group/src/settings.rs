//! What an operator may set about groups and committed offsets, with the limits that keep a coordinator small.
//!
//! Defaults are Kafka's where Kafka has the setting.

/// Settings of one coordinator. They may change while it runs ([`crate::Event::Configure`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Most members of one group (`group.max.size`); the next one is refused with `GROUP_MAX_SIZE_REACHED`.
    pub group_members_max: usize,
    /// Shortest session timeout that a member may ask for (`group.min.session.timeout.ms`): shorter ones would let a
    /// pause of the garbage collector look like death.
    pub session_timeout_ms_min: i32,
    /// Longest session timeout that a member may ask for (`group.max.session.timeout.ms`): for so long a dead
    /// member's partitions are not read.
    pub session_timeout_ms_max: i32,
    /// How long the first rebalance of an empty group waits for more members
    /// (`group.initial.rebalance.delay.ms`); each newcomer prolongs it, up to the rebalance timeout.
    pub initial_rebalance_delay_ms: i32,
    /// How long a new member may wait for its first join answer before it counts as gone: it cannot send heartbeats
    /// before it knows its id.
    pub new_member_join_timeout_ms: i32,
    /// Longest metadata text of a committed offset (`offset.metadata.max.bytes`), in UTF-16 units: so Kafka counts,
    /// in spite of the name.
    pub offset_metadata_length_max: usize,
    /// How long offsets are kept once nobody uses them (`offsets.retention.minutes`).
    pub offsets_retention_ms: i64,
    /// How often expired offsets are looked for (`offsets.retention.check.interval.ms`).
    pub offsets_retention_check_interval_ms: i64,
    /// Most bytes that the members of one group hold: metadata, assignments, ids. A join beyond is refused with
    /// `GROUP_MAX_SIZE_REACHED`: a member may bring megabytes, and all of them go to the leader in one answer.
    pub group_bytes_max: usize,
    /// Most members of one group that were given an id and have not come back with it (KIP-394); beyond, a newcomer
    /// is refused with `GROUP_MAX_SIZE_REACHED` as if they were members.
    pub pending_members_max: usize,
    /// Most groups of one coordinator; a further one is refused with `COORDINATOR_NOT_AVAILABLE`, so that a client
    /// that makes up group ids cannot fill the memory.
    pub groups_max: usize,
    /// Most bytes that one coordinator holds for all its groups ([`crate::Coordinator::held_bytes`]); what would
    /// add to them beyond is refused with `COORDINATOR_NOT_AVAILABLE`.
    pub held_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        const MEBIBYTE: usize = 1 << 20;
        Self {
            group_members_max: i32::MAX as usize,
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            new_member_join_timeout_ms: 300_000,
            offset_metadata_length_max: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
            group_bytes_max: 64 * MEBIBYTE,
            pending_members_max: 10_000,
            groups_max: 100_000,
            held_bytes_max: 256 * MEBIBYTE,
        }
    }
}

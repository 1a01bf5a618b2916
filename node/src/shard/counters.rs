//! What a shard counts: plain fields of their owner. Only the observability code knows how they are exported.

use std::cell::Cell;

use ringmain_group::GroupState;

use super::{Shard, coordinators::GroupValues, replication::ReplicationValues};
use crate::observability::StageValues;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.set(self.0.get().wrapping_add(count));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Events of one shard.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections_accepted: Counter,
    /// Closed at once: the node has as many as it may have.
    pub(crate) connections_refused: Counter,
    /// Closed after `connections.max.idle.ms`.
    pub(crate) connections_idle_closed: Counter,
    /// Frames with an impossible length.
    pub(crate) frames_refused: Counter,
    pub(crate) requests: Counter,
    /// Requests that ended their connection.
    pub(crate) requests_refused: Counter,
    /// Passes of compaction that came to their end.
    pub(crate) compaction_passes: Counter,
    /// Passes that an error ended.
    pub(crate) compaction_failures: Counter,
    pub(crate) compaction_bytes_read: Counter,
    pub(crate) compaction_bytes_written: Counter,
    pub(crate) compaction_records_removed: Counter,
}

/// The numbers of one shard at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CounterValues {
    connections_accepted: u64,
    connections_refused: u64,
    connections_idle_closed: u64,
    connections_open: u64,
    frames_refused: u64,
    requests: u64,
    requests_refused: u64,
    compaction_passes: u64,
    compaction_failures: u64,
    compaction_bytes_read: u64,
    compaction_bytes_written: u64,
    compaction_records_removed: u64,
    partitions: u64,
    partitions_damaged: u64,
    partitions_uncleanable: u64,
    disk_bytes_written: u64,
    disk_bytes_read: u64,
    disk_flushes: u64,
    disk_operations: u64,
    groups: GroupValues,
    replication: ReplicationValues,
}

/// How one of the numbers is exported.
pub(crate) struct Metric {
    /// Without the prefix `ringmain_` and the suffix of counters.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    /// Only grows; otherwise a gauge.
    pub(crate) is_counter: bool,
    pub(crate) value: fn(&CounterValues) -> u64,
}

impl CounterValues {
    /// All of them.
    #[rustfmt::skip]
    pub(crate) const METRICS: [Metric; 60] = [
        Metric { name: "connections_accepted", help: "Connections accepted.", is_counter: true, value: |it| it.connections_accepted },
        Metric { name: "connections_refused", help: "Connections closed at once: the node had as many as it may have.", is_counter: true, value: |it| it.connections_refused },
        Metric { name: "connections_idle_closed", help: "Connections closed because nothing moved for limits.connection_idle_ms.", is_counter: true, value: |it| it.connections_idle_closed },
        Metric { name: "connections_open", help: "Connections that are open.", is_counter: false, value: |it| it.connections_open },
        Metric { name: "frames_refused", help: "Frames of impossible length, each of which ended its connection.", is_counter: true, value: |it| it.frames_refused },
        Metric { name: "requests", help: "Requests received.", is_counter: true, value: |it| it.requests },
        Metric { name: "requests_refused", help: "Requests that could not be answered and ended their connection.", is_counter: true, value: |it| it.requests_refused },
        Metric { name: "partitions", help: "Partitions that the shard serves.", is_counter: false, value: |it| it.partitions },
        Metric { name: "partitions_damaged", help: "Partitions that could not be opened and are refused; the log says why.", is_counter: false, value: |it| it.partitions_damaged },
        Metric { name: "partitions_uncleanable", help: "Partitions that are not compacted any more until the next start: an error ended a pass.", is_counter: false, value: |it| it.partitions_uncleanable },
        Metric { name: "compaction_passes", help: "Passes of compaction that came to their end.", is_counter: true, value: |it| it.compaction_passes },
        Metric { name: "compaction_failures", help: "Passes of compaction that an error ended.", is_counter: true, value: |it| it.compaction_failures },
        Metric { name: "compaction_read_bytes", help: "Bytes that compaction read.", is_counter: true, value: |it| it.compaction_bytes_read },
        Metric { name: "compaction_written_bytes", help: "Bytes of segments that compaction wrote.", is_counter: true, value: |it| it.compaction_bytes_written },
        Metric { name: "compaction_records_removed", help: "Records that compaction took out.", is_counter: true, value: |it| it.compaction_records_removed },
        Metric { name: "disk_written_bytes", help: "Bytes written by direct I/O.", is_counter: true, value: |it| it.disk_bytes_written },
        Metric { name: "disk_read_bytes", help: "Bytes read from files.", is_counter: true, value: |it| it.disk_bytes_read },
        Metric { name: "disk_flushes", help: "Flushes of files.", is_counter: true, value: |it| it.disk_flushes },
        Metric { name: "disk_operations", help: "Operations given to the kernel by the shard's ring.", is_counter: true, value: |it| it.disk_operations },
        Metric { name: "groups_empty", help: "Consumer groups without members.", is_counter: false, value: |it| it.groups.in_state(GroupState::Empty) },
        Metric { name: "groups_preparing_rebalance", help: "Consumer groups whose members are asked to join again.", is_counter: false, value: |it| it.groups.in_state(GroupState::PreparingRebalance) },
        Metric { name: "groups_completing_rebalance", help: "Consumer groups that wait for their leader's assignment.", is_counter: false, value: |it| it.groups.in_state(GroupState::CompletingRebalance) },
        Metric { name: "groups_stable", help: "Consumer groups whose members have their assignments.", is_counter: false, value: |it| it.groups.in_state(GroupState::Stable) },
        Metric { name: "group_members", help: "Members of all consumer groups.", is_counter: false, value: |it| it.groups.members },
        Metric { name: "groups_held_bytes", help: "Memory that groups, members and committed offsets take, of memory.groups_bytes_per_shard.", is_counter: false, value: |it| it.groups.held_bytes },
        Metric { name: "group_rebalances", help: "Generations that were formed.", is_counter: true, value: |it| it.groups.counters.rebalances },
        Metric { name: "group_members_expired", help: "Members removed because they were silent or did not join in time.", is_counter: true, value: |it| it.groups.counters.members_expired },
        Metric { name: "group_offsets_committed", help: "Offsets committed.", is_counter: true, value: |it| it.groups.counters.offsets_committed },
        Metric { name: "group_offsets_expired", help: "Offsets removed after groups.offsets_retention_ms.", is_counter: true, value: |it| it.groups.counters.offsets_expired },
        Metric { name: "groups_expired", help: "Groups removed because nothing was left of them.", is_counter: true, value: |it| it.groups.counters.groups_expired },
        Metric { name: "group_writes_failed", help: "Writes of groups or offsets that failed; their clients try again.", is_counter: true, value: |it| it.groups.counters.writes_failed },
        Metric { name: "group_coordinators_loading", help: "Partitions of __consumer_offsets that are being read; their groups wait.", is_counter: false, value: |it| it.groups.loading },
        Metric { name: "group_load_milliseconds", help: "Time spent reading partitions of __consumer_offsets.", is_counter: true, value: |it| it.groups.load_ms },
        Metric { name: "replication_sent_bytes", help: "Record bytes sent to followers.", is_counter: true, value: |it| it.replication.bytes_sent },
        Metric { name: "replication_catch_up_sent_bytes", help: "Record bytes sent to followers that were read from disk.", is_counter: true, value: |it| it.replication.catch_up_bytes_sent },
        Metric { name: "replication_received_bytes", help: "Record bytes received from leaders.", is_counter: true, value: |it| it.replication.bytes_received },
        Metric { name: "replication_batches_appended", help: "Record batches appended as a follower.", is_counter: true, value: |it| it.replication.batches_appended },
        Metric { name: "replication_fetches_received", help: "Fetches of followers, counted by partition.", is_counter: true, value: |it| it.replication.fetches_received },
        Metric { name: "replication_answers_sent", help: "Answers to followers, counted by partition.", is_counter: true, value: |it| it.replication.answers_sent },
        Metric { name: "replication_answers_received", help: "Answers of leaders, counted by partition.", is_counter: true, value: |it| it.replication.answers_received },
        Metric { name: "replication_answers_failed", help: "Answers of leaders that were damaged or could not be appended.", is_counter: true, value: |it| it.replication.answers_failed },
        Metric { name: "replication_in_sync_changes", help: "In-sync sets that the controller changed for leaders of the shard.", is_counter: true, value: |it| it.replication.in_sync_changes },
        Metric { name: "replication_truncations", help: "Logs cut because the leader has another history.", is_counter: true, value: |it| it.replication.truncations },
        Metric { name: "replication_restarts", help: "Logs begun anew because the leader's begins later.", is_counter: true, value: |it| it.replication.restarts },
        Metric { name: "partitions_led", help: "Partitions that the shard leads.", is_counter: false, value: |it| it.replication.partitions_led },
        Metric { name: "partitions_followed", help: "Partitions that the shard follows.", is_counter: false, value: |it| it.replication.partitions_followed },
        Metric { name: "partitions_under_replicated", help: "Partitions led here of which a replica is not in sync.", is_counter: false, value: |it| it.replication.partitions_under_replicated },
        Metric { name: "replication_follower_lag_records_max", help: "The most records that a follower lacks of a partition led here.", is_counter: false, value: |it| it.replication.follower_lag_records_max },
        Metric { name: "replication_follower_lag_milliseconds_max", help: "The longest time that a follower which lacks records has not had everything.", is_counter: false, value: |it| it.replication.follower_lag_ms_max },
        Metric { name: "quic_received_bytes", help: "Bytes of datagrams received from other nodes.", is_counter: true, value: |it| it.replication.quic.bytes_received },
        Metric { name: "quic_sent_bytes", help: "Bytes of datagrams sent to other nodes.", is_counter: true, value: |it| it.replication.quic.bytes_sent },
        Metric { name: "quic_datagrams_received", help: "Datagrams received.", is_counter: true, value: |it| it.replication.quic.datagrams_received },
        Metric { name: "quic_datagrams_sent", help: "Datagrams sent.", is_counter: true, value: |it| it.replication.quic.datagrams_sent },
        Metric { name: "quic_datagrams_ignored", help: "Datagrams that belonged to no connection and began none.", is_counter: true, value: |it| it.replication.quic.datagrams_ignored },
        Metric { name: "quic_sends_delayed", help: "Times that the kernel took no more datagrams.", is_counter: true, value: |it| it.replication.quic.sends_delayed },
        Metric { name: "quic_stalls", help: "Times that the shard came so late that its peers had to be asked whether they are there.", is_counter: true, value: |it| it.replication.quic.stalls },
        Metric { name: "quic_connections_established", help: "Connections between nodes that came about, in both directions.", is_counter: true, value: |it| it.replication.quic.connections_established },
        Metric { name: "quic_connections_refused", help: "Connections that did not come about.", is_counter: true, value: |it| it.replication.quic.connections_refused },
        Metric { name: "quic_connections_ended", help: "Connections that ended.", is_counter: true, value: |it| it.replication.quic.connections_ended },
        Metric { name: "quic_peers_silent", help: "Connections that ended because the peer fell silent.", is_counter: true, value: |it| it.replication.quic.peers_silent },
    ];
}

impl Shard {
    /// The histograms of stages, for whoever exports them.
    pub(crate) fn stage_values(&self) -> StageValues {
        self.stages().values()
    }

    /// All numbers, for whoever exports them.
    pub(crate) fn counter_values(&self) -> CounterValues {
        let (counters, ring) = (self.counters(), self.ring().counters());
        CounterValues {
            connections_accepted: counters.connections_accepted.get(),
            connections_refused: counters.connections_refused.get(),
            connections_idle_closed: counters.connections_idle_closed.get(),
            connections_open: self.connections().count() as u64,
            frames_refused: counters.frames_refused.get(),
            requests: counters.requests.get(),
            requests_refused: counters.requests_refused.get(),
            compaction_passes: counters.compaction_passes.get(),
            compaction_failures: counters.compaction_failures.get(),
            compaction_bytes_read: counters.compaction_bytes_read.get(),
            compaction_bytes_written: counters.compaction_bytes_written.get(),
            compaction_records_removed: counters.compaction_records_removed.get(),
            partitions: self.partition_count() as u64,
            partitions_damaged: self.damaged_count() as u64,
            partitions_uncleanable: self.uncleanable_partitions() as u64,
            disk_bytes_written: ring.bytes_written,
            disk_bytes_read: ring.bytes_read,
            disk_flushes: ring.flushes,
            disk_operations: ring.operations,
            groups: self.group_values(),
            replication: self.replication_values(),
        }
    }
}

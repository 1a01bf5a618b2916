//! Consumer groups that this node coordinates: `metrics.groups_max` of them by name, all others together.

use ringmain_group::GroupState;

use super::{
    super::family::{Family, Kind},
    NodeSnapshot,
};
use crate::observability::snapshot::GroupLag;

/// In the order of the reference.
pub(super) static FAMILIES: [Family; 19] = [
    Family {
        name: "ringmain_groups_empty",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Consumer groups without members.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.groups.in_state(GroupState::Empty)),
    },
    Family {
        name: "ringmain_groups_preparing_rebalance",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Consumer groups whose members are asked to join again.",
        look: "consumers stand still: many groups here for long wait for members",
        write: |it, to| to.shards(it, |shard| shard.groups.in_state(GroupState::PreparingRebalance)),
    },
    Family {
        name: "ringmain_groups_completing_rebalance",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Consumer groups that wait for their leader's assignment.",
        look: "as above",
        write: |it, to| to.shards(it, |shard| shard.groups.in_state(GroupState::CompletingRebalance)),
    },
    Family {
        name: "ringmain_groups_stable",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Consumer groups whose members have their assignments.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.groups.in_state(GroupState::Stable)),
    },
    Family {
        name: "ringmain_group_members",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Members of all consumer groups.",
        look: "it falls without a deployment: consumers die",
        write: |it, to| to.shards(it, |shard| shard.groups.members),
    },
    Family {
        name: "ringmain_groups_held_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Memory that groups, members and committed offsets take, of memory.groups_bytes_per_shard.",
        look: "it comes near its limit: then new groups and members are refused",
        write: |it, to| to.shards(it, |shard| shard.groups.held_bytes),
    },
    Family {
        name: "ringmain_group_rebalances",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Generations that were formed.",
        look: "it grows steadily: members die or are too slow between polls",
        write: |it, to| to.shards(it, |shard| shard.groups.counters.rebalances),
    },
    Family {
        name: "ringmain_group_members_expired",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Members removed because they were silent or did not join in time.",
        look: "as above",
        write: |it, to| to.shards(it, |shard| shard.groups.counters.members_expired),
    },
    Family {
        name: "ringmain_group_offsets_committed",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Offsets committed.",
        look: "consumers commit more often than they need to: each commit is a write",
        write: |it, to| to.shards(it, |shard| shard.groups.counters.offsets_committed),
    },
    Family {
        name: "ringmain_group_offsets_expired",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Offsets removed after groups.offsets_retention_ms.",
        look: "offsets are missing",
        write: |it, to| to.shards(it, |shard| shard.groups.counters.offsets_expired),
    },
    Family {
        name: "ringmain_groups_expired",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Groups removed because nothing was left of them.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.groups.counters.groups_expired),
    },
    Family {
        name: "ringmain_group_writes_failed",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Writes of groups or offsets that failed; their clients try again.",
        look: "it grows at all: full disk or failed log; the log has a line every ten seconds",
        write: |it, to| to.shards(it, |shard| shard.groups.counters.writes_failed),
    },
    Family {
        name: "ringmain_group_coordinators_loading",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Partitions of __consumer_offsets that are being read; their groups wait.",
        look: "consumers wait after a start (COORDINATOR_LOAD_IN_PROGRESS)",
        write: |it, to| to.shards(it, |shard| shard.groups.loading),
    },
    Family {
        name: "ringmain_group_load_seconds",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Time spent reading partitions of __consumer_offsets.",
        look: "as above",
        write: |it, to| {
            for shard in &it.shards {
                to.put(&[&shard.shard], shard.groups.load_ms as f64 / 1e3);
            }
        },
    },
    Family {
        name: "ringmain_group_lag_records",
        kind: Kind::Gauge,
        labels: &["group"],
        help: "Records between what the group committed and the end of the partitions, of all partitions of which this node keeps a replica; an empty group is all without metrics of their own.",
        look: "it grows: the consumers are slower than the producers",
        write: |it, to| {
            by_group(it).for_each(|group| to.count(&[&group.group], group.records.unwrap_or(0)));
            if let Some(rest) = rest(it) {
                to.count(&[&""], rest.iter().filter_map(|group| group.records).sum());
            }
        },
    },
    Family {
        name: "ringmain_group_lag_records_max",
        kind: Kind::Gauge,
        labels: &["group"],
        help: "The most of one partition.",
        look: "it is nearly the whole lag: one member is slow, or many records share a key",
        write: |it, to| {
            by_group(it).for_each(|group| to.count(&[&group.group], group.records_max));
            if let Some(rest) = rest(it) {
                to.count(&[&""], rest.iter().map(|group| group.records_max).max().unwrap_or(0));
            }
        },
    },
    Family {
        name: "ringmain_group_size_members",
        kind: Kind::Gauge,
        labels: &["group"],
        help: "Members of the group.",
        look: "it is 0 while the lag grows: nobody reads",
        write: |it, to| {
            by_group(it).for_each(|group| to.count(&[&group.group], group.members as u64));
            if let Some(rest) = rest(it) {
                to.count(&[&""], rest.iter().map(|group| group.members as u64).sum());
            }
        },
    },
    Family {
        name: "ringmain_group_state",
        kind: Kind::Info,
        labels: &["group", "state"],
        help: "The state of the group, as `ringmain group list` names it.",
        look: "",
        write: |it, to| by_group(it).for_each(|group| to.count(&[&group.group, &group.state.name()], 1)),
    },
    Family {
        name: "ringmain_groups_without_lag",
        kind: Kind::Gauge,
        labels: &[],
        help: "Groups with committed offsets of partitions of which this node keeps no replica, or with too many to look at: their lag is too small.",
        look: "it is above 0: the lag of those groups is told by `ringmain group describe`",
        write: |it, to| {
            let is_unknown = |group: &&GroupLag| group.records.is_none() || group.partitions_elsewhere > 0;
            to.count(&[], it.groups.iter().filter(is_unknown).count() as u64);
        },
    },
];

/// The groups that have metrics of their own.
fn by_group(snapshot: &NodeSnapshot) -> impl Iterator<Item = &GroupLag> {
    snapshot.groups.iter().take(snapshot.groups_max)
}

/// All others, if there are any.
fn rest(snapshot: &NodeSnapshot) -> Option<&[GroupLag]> {
    snapshot.groups.get(snapshot.groups_max..).filter(|rest| !rest.is_empty())
}

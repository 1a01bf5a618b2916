//! The cluster as the metadata of this node has it (each node tells the same), and the quorum that keeps it.

use ringmain_quorum::{QuorumStatus, Role};

use super::{
    super::{
        family::{Family, Kind},
        text::Samples,
    },
    NodeSnapshot,
};
use crate::metadata::MetadataEventValues;

/// In the order of the reference.
pub(super) static FAMILIES: [Family; 26] = [
    Family {
        name: "ringmain_cluster_metadata_version",
        kind: Kind::Gauge,
        labels: &[],
        help: "Records that the metadata of this node has seen.",
        look: "it stays behind that of the others: the node does not hear the controller",
        write: |it, to| to.count(&[], it.cluster.version),
    },
    Family {
        name: "ringmain_cluster_nodes",
        kind: Kind::Gauge,
        labels: &["state"],
        help: "Registered nodes, by what they are: active, fenced, stopping.",
        look: "a node is fenced",
        write: |it, to| {
            to.count(&[&"active"], it.cluster.nodes_active);
            to.count(&[&"fenced"], it.cluster.nodes_fenced);
            to.count(&[&"stopping"], it.cluster.nodes_stopping);
        },
    },
    Family {
        name: "ringmain_cluster_topics",
        kind: Kind::Gauge,
        labels: &[],
        help: "Topics of the cluster.",
        look: "",
        write: |it, to| to.count(&[], it.cluster.topics),
    },
    Family {
        name: "ringmain_cluster_partitions",
        kind: Kind::Gauge,
        labels: &[],
        help: "Partitions of the cluster.",
        look: "",
        write: |it, to| to.count(&[], it.cluster.partitions),
    },
    Family {
        name: "ringmain_cluster_partitions_offline",
        kind: Kind::Gauge,
        labels: &[],
        help: "Partitions that nobody leads: nobody can write to them or read them.",
        look: "it is above 0",
        write: |it, to| to.count(&[], it.cluster.offline),
    },
    Family {
        name: "ringmain_cluster_partitions_under_replicated",
        kind: Kind::Gauge,
        labels: &[],
        help: "Partitions of which a replica is not in sync.",
        look: "it is above 0 for longer than a restart takes",
        write: |it, to| to.count(&[], it.cluster.under_replicated),
    },
    Family {
        name: "ringmain_cluster_partitions_under_min_in_sync",
        kind: Kind::Gauge,
        labels: &[],
        help: "Partitions with fewer replicas in sync than min.insync.replicas: acks=all is refused.",
        look: "it is above 0",
        write: |it, to| to.count(&[], it.cluster.under_min_in_sync),
    },
    Family {
        name: "ringmain_cluster_partitions_reassigning",
        kind: Kind::Gauge,
        labels: &[],
        help: "Partitions whose replicas are being moved.",
        look: "",
        write: |it, to| to.count(&[], it.cluster.reassigning),
    },
    Family {
        name: "ringmain_cluster_partitions_not_preferred",
        kind: Kind::Gauge,
        labels: &[],
        help: "Partitions led by another node than their first replica.",
        look: "it stays above 0 long after a restart",
        write: |it, to| to.count(&[], it.cluster.not_led_by_preferred),
    },
    Family {
        name: "ringmain_cluster_partitions_led",
        kind: Kind::Gauge,
        labels: &["node"],
        help: "Partitions that each node leads.",
        look: "one leads far more than the others",
        write: |it, to| it.cluster.led_by.iter().for_each(|(node, led)| to.count(&[node], *led)),
    },
    Family {
        name: "ringmain_cluster_leader_elections",
        kind: Kind::Counter,
        labels: &[],
        help: "Partitions that got another leader, since this node was registered.",
        look: "it grows without a restart of a node",
        write: |it, to| of_events(it, to, |events| events.leader_elections),
    },
    Family {
        name: "ringmain_cluster_unclean_elections",
        kind: Kind::Counter,
        labels: &[],
        help: "Of those, the ones whose new leader was not in sync: acknowledged records may be lost.",
        look: "it grows at all",
        write: |it, to| of_events(it, to, |events| events.unclean_elections),
    },
    Family {
        name: "ringmain_cluster_leaders_lost",
        kind: Kind::Counter,
        labels: &[],
        help: "Partitions that lost their leader and got none.",
        look: "",
        write: |it, to| of_events(it, to, |events| events.leaders_lost),
    },
    Family {
        name: "ringmain_cluster_in_sync_shrinks",
        kind: Kind::Counter,
        labels: &[],
        help: "In-sync sets that lost a replica.",
        look: "it grows without a restart of a node",
        write: |it, to| of_events(it, to, |events| events.in_sync_shrinks),
    },
    Family {
        name: "ringmain_cluster_in_sync_expands",
        kind: Kind::Counter,
        labels: &[],
        help: "In-sync sets that got a replica.",
        look: "",
        write: |it, to| of_events(it, to, |events| events.in_sync_expands),
    },
    Family {
        name: "ringmain_cluster_nodes_registered",
        kind: Kind::Counter,
        labels: &[],
        help: "Starts of nodes.",
        look: "",
        write: |it, to| of_events(it, to, |events| events.nodes_registered),
    },
    Family {
        name: "ringmain_cluster_fencings",
        kind: Kind::Counter,
        labels: &[],
        help: "Nodes that were fenced without having asked to stop.",
        look: "it grows again and again: a node is slow, starved or badly connected",
        write: |it, to| of_events(it, to, |events| events.nodes_fenced),
    },
    Family {
        name: "ringmain_quorum_has_leader",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 when this node knows who leads the quorum.",
        look: "it is 0 for longer than an election: metadata cannot change",
        write: |it, to| of_quorum(it, to, |quorum| u64::from(quorum.leader.is_some())),
    },
    Family {
        name: "ringmain_quorum_is_controller",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 on the node that leads the quorum and decides about metadata.",
        look: "the sum over all nodes is not 1",
        write: |it, to| of_quorum(it, to, |quorum| u64::from(quorum.role == Role::Leader)),
    },
    Family {
        name: "ringmain_quorum_term",
        kind: Kind::Gauge,
        labels: &[],
        help: "The newest term of the quorum that this node knows.",
        look: "it grows: elections of a controller",
        write: |it, to| of_quorum(it, to, |quorum| quorum.term),
    },
    Family {
        name: "ringmain_quorum_last_index",
        kind: Kind::Gauge,
        labels: &[],
        help: "The last entry of this node's log of metadata.",
        look: "",
        write: |it, to| of_quorum(it, to, |quorum| quorum.last_index.unwrap_or(0)),
    },
    Family {
        name: "ringmain_quorum_committed_index",
        kind: Kind::Gauge,
        labels: &[],
        help: "The last entry that this node knows to be committed.",
        look: "it stands still while the last entry grows: there is no majority",
        write: |it, to| of_quorum(it, to, |quorum| quorum.committed_index.unwrap_or(0)),
    },
    Family {
        name: "ringmain_quorum_applied_index",
        kind: Kind::Gauge,
        labels: &[],
        help: "The last entry that this node applied.",
        look: "it stays behind the committed one",
        write: |it, to| of_quorum(it, to, |quorum| quorum.applied_index.unwrap_or(0)),
    },
    Family {
        name: "ringmain_quorum_voters",
        kind: Kind::Gauge,
        labels: &[],
        help: "Members that vote, as this node knows them.",
        look: "it is not what cluster.voters has",
        write: |it, to| {
            of_quorum(it, to, |quorum| quorum.members.iter().filter(|member| member.is_voter).count() as u64)
        },
    },
    Family {
        name: "ringmain_quorum_member_lag_entries",
        kind: Kind::Gauge,
        labels: &["node"],
        help: "Entries that a member lacks; told by the controller only.",
        look: "it grows: the member is gone or cannot follow",
        write: |it, to| {
            let Some(quorum) = it.quorum.as_ref().filter(|quorum| quorum.role == Role::Leader) else {
                return;
            };
            for member in &quorum.members {
                let lag = quorum.last_index.unwrap_or(0).saturating_sub(member.matched_index.unwrap_or(0));
                to.count(&[&member.replica.node], lag);
            }
        },
    },
    Family {
        name: "ringmain_quorum_member_silent_seconds",
        kind: Kind::Gauge,
        labels: &["node"],
        help: "How long ago a member answered the controller last; told by the controller only, and not of members that never did.",
        look: "it is above a second: the member is gone",
        write: |it, to| {
            for member in it.quorum.iter().flat_map(|quorum| &quorum.members) {
                if let Some(ago) = member.answered_ago {
                    to.put(&[&member.replica.node], ago.as_secs_f64());
                }
            }
        },
    },
];

fn of_events(snapshot: &NodeSnapshot, to: &mut Samples<'_>, value: fn(&MetadataEventValues) -> u64) {
    if let Some(events) = &snapshot.events {
        to.count(&[], value(events));
    }
}

fn of_quorum(snapshot: &NodeSnapshot, to: &mut Samples<'_>, value: fn(&QuorumStatus) -> u64) {
    if let Some(quorum) = &snapshot.quorum {
        to.count(&[], value(quorum));
    }
}

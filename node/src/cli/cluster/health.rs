//! What is wrong with a cluster, and what to do about it: a judgement of one snapshot. Pure.

use std::collections::BTreeSet;

use super::snapshot::Snapshot;
use super::{counted, named, numbers};
use crate::client::{Placement, TopicPartition};

/// A voter that has not caught up for so long is told: heartbeats are far more frequent.
const VOTER_BEHIND_MS: i64 = 5_000;

/// How well the cluster is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    Healthy,
    Degraded,
    NotAvailable,
}

impl Health {
    /// As scripts compare it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::NotAvailable => "not available",
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone)]
pub(super) struct Findings<'a> {
    pub(super) fenced: Vec<i32>,
    /// Nodes that keep replicas and are neither there nor told as fenced.
    pub(super) missing: Vec<i32>,
    pub(super) leaderless: Vec<&'a Placement>,
    pub(super) under_min_in_sync: Vec<&'a Placement>,
    pub(super) under_replicated: Vec<&'a Placement>,
    pub(super) with_eligible: Vec<&'a Placement>,
    /// Led by another than the preferred leader, which could.
    pub(super) led_elsewhere: Vec<&'a Placement>,
    pub(super) voters_behind: Vec<i32>,
    pub(super) has_controller: bool,
}

impl<'a> Findings<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let nodes = &snapshot.nodes;
        let which = |holds: &dyn Fn(&Placement) -> bool| -> Vec<&'a Placement> {
            snapshot.partitions.iter().filter(|placement| holds(placement)).collect()
        };
        let keepers: BTreeSet<i32> =
            snapshot.partitions.iter().flat_map(|placement| placement.replicas.iter().copied()).collect();
        let quorum = snapshot.quorum.as_ref();
        let voters = quorum.iter().flat_map(|quorum| &quorum.voters);
        Self {
            fenced: nodes.nodes.iter().filter(|(_, node)| node.is_fenced).map(|(id, _)| *id).collect(),
            missing: keepers.into_iter().filter(|node| !nodes.nodes.contains_key(node)).collect(),
            leaderless: which(&|placement| placement.leader.is_none()),
            under_min_in_sync: which(&|placement| is_under_min_in_sync(snapshot, placement)),
            under_replicated: which(&|placement| !lacking(snapshot, placement).is_empty()),
            with_eligible: which(&|placement| {
                placement.eligible.as_ref().is_some_and(|eligible| !eligible.is_empty())
            }),
            led_elsewhere: which(&|placement| is_led_elsewhere(placement)),
            voters_behind: voters
                .filter(|voter| voter.behind_ms.is_some_and(|behind| behind > VOTER_BEHIND_MS))
                .map(|voter| voter.node_id)
                .collect(),
            has_controller: snapshot.controller().is_some(),
        }
    }

    pub(super) fn health(&self) -> Health {
        if !self.leaderless.is_empty() || !self.under_min_in_sync.is_empty() || !self.has_controller {
            Health::NotAvailable
        } else if !self.fenced.is_empty()
            || !self.missing.is_empty()
            || !self.under_replicated.is_empty()
            || !self.voters_behind.is_empty()
        {
            Health::Degraded
        } else {
            Health::Healthy
        }
    }

    /// What to do, the most urgent first.
    pub(super) fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if !self.has_controller {
            advice.push(
                "no node is the controller: a majority of the voters is down or cannot reach each other. Partitions \
                 that have a leader serve on, nothing else changes. Start the voters (cluster.voters in a node's file)"
                    .to_owned(),
            );
        }
        if !self.leaderless.is_empty() {
            let wanted: BTreeSet<i32> =
                self.leaderless.iter().flat_map(|placement| could_lead(placement)).collect();
            let wanted: Vec<i32> = wanted.into_iter().collect();
            advice.push(format!(
                "nobody leads {}: clients cannot use them. Start node {}, which may have everything that was \
                 acknowledged ('ringmain cluster partitions --leaderless' shows which for each)",
                named(partitions(&self.leaderless)),
                numbers(&wanted)
            ));
        }
        let only_short: Vec<&Placement> =
            self.under_min_in_sync.iter().copied().filter(|placement| placement.leader.is_some()).collect();
        if !only_short.is_empty() {
            advice.push(format!(
                "{} refuse records with acks=all, because fewer replicas are in sync than min.insync.replicas says: {}",
                counted(only_short.len(), "partition"),
                named(partitions(&only_short))
            ));
        }
        let gone: Vec<i32> = self.fenced.iter().chain(&self.missing).copied().collect();
        for node in &gone {
            advice.push(format!(
                "node {node} is down, or cannot reach the controller. Start it: it catches up by itself. If it is gone \
                 for good, start another with a number of its own and run 'ringmain cluster replace {node} NEW'"
            ));
        }
        if gone.is_empty() && !self.under_replicated.is_empty() {
            advice.push(
                "replicas are catching up, or cannot: 'ringmain cluster partitions --under-replicated' shows how far \
                 they are behind"
                    .to_owned(),
            );
        }
        for voter in self.voters_behind.iter().filter(|voter| !gone.contains(voter)) {
            advice.push(format!(
                "voter {voter} does not follow the metadata; another loss among the voters may stop all changes"
            ));
        }
        advice
    }
}

/// Replicas that should be in sync and are not; those that are only being added are not expected to be.
pub(super) fn lacking(snapshot: &Snapshot, placement: &Placement) -> Vec<i32> {
    let adding = snapshot.move_of(placement).map_or(&[][..], |moving| &moving.adding);
    let expected = placement.replicas.iter().filter(|node| !adding.contains(node));
    expected.copied().filter(|node| !placement.in_sync.contains(node)).collect()
}

/// Who may have everything that was acknowledged, where nobody leads.
pub(super) fn could_lead(placement: &Placement) -> Vec<i32> {
    let eligible = placement.eligible.iter().flatten();
    let last = placement.last_leader.iter().flatten();
    let known: BTreeSet<i32> = placement.in_sync.iter().chain(eligible).chain(last).copied().collect();
    if known.is_empty() { placement.replicas.clone() } else { known.into_iter().collect() }
}

fn is_under_min_in_sync(snapshot: &Snapshot, placement: &Placement) -> bool {
    let Some(configured) = snapshot.min_in_sync.get(&placement.partition.topic) else { return false };
    let adding = snapshot.move_of(placement).map_or(0, |moving| moving.adding.len());
    let most = placement.replicas.len().saturating_sub(adding).max(1);
    placement.in_sync.len() < (*configured).clamp(1, most)
}

/// Whether the preferred leader could lead and does not.
pub(super) fn is_led_elsewhere(placement: &Placement) -> bool {
    let preferred = Snapshot::preferred_leader(placement);
    placement.leader.is_some()
        && placement.leader != preferred
        && preferred.is_some_and(|preferred| placement.in_sync.contains(&preferred))
}

/// The names of partitions.
pub(super) fn partitions<'a>(placements: &[&'a Placement]) -> impl Iterator<Item = &'a TopicPartition> {
    placements.iter().map(|placement| &placement.partition)
}

//! `cluster nodes`: who is there, what each leads and keeps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::client;
use super::snapshot::Snapshot;
use crate::cli::arguments::ClusterNodesArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json, sized, table};
use crate::client::{LogDirsView, NodeView};

/// A node as it is shown.
struct Row<'a> {
    node_id: i32,
    node: Option<&'a NodeView>,
    roles: Vec<&'static str>,
    leads: usize,
    replicas: usize,
    in_sync: usize,
    kept: Option<&'a LogDirsView>,
}

/// Shows the nodes.
pub(super) fn nodes(arguments: &ClusterNodesArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    let snapshot = Snapshot::gather(&mut client)?;
    let mut kept = BTreeMap::new();
    for node_id in snapshot.nodes.active() {
        if let Some(view) = client.log_dirs(node_id)? {
            kept.insert(node_id, view);
        }
    }
    let rows = rows(&snapshot, &kept);
    if arguments.json { print_json(&rows.iter().map(Row::as_json).collect()) } else { print(&as_text(&rows)) }
}

fn rows<'a>(snapshot: &'a Snapshot, kept: &'a BTreeMap<i32, LogDirsView>) -> Vec<Row<'a>> {
    let known = snapshot.nodes.nodes.keys().copied();
    let keepers = snapshot.partitions.iter().flat_map(|placement| placement.replicas.iter().copied());
    let all: BTreeSet<i32> = known.chain(keepers).collect();
    let count = |holds: &dyn Fn(&crate::client::Placement) -> bool| {
        snapshot.partitions.iter().filter(|placement| holds(placement)).count()
    };
    let row = |node_id: i32| Row {
        node_id,
        node: snapshot.nodes.nodes.get(&node_id),
        roles: roles(snapshot, node_id),
        leads: count(&|placement| placement.leader == Some(node_id)),
        replicas: count(&|placement| placement.replicas.contains(&node_id)),
        in_sync: count(&|placement| placement.in_sync.contains(&node_id)),
        kept: kept.get(&node_id),
    };
    all.into_iter().map(row).collect()
}

fn roles(snapshot: &Snapshot, node_id: i32) -> Vec<&'static str> {
    let mut roles = Vec::new();
    if snapshot.controller() == Some(node_id) {
        roles.push("controller");
    }
    if let Some(quorum) = &snapshot.quorum {
        if quorum.voters.iter().any(|member| member.node_id == node_id) {
            roles.push("voter");
        } else if quorum.observers.iter().any(|member| member.node_id == node_id) {
            roles.push("learner");
        }
    }
    roles
}

impl Row<'_> {
    fn state(&self) -> &'static str {
        match self.node {
            None => "missing",
            Some(node) if node.is_fenced => "fenced",
            Some(_) => "active",
        }
    }

    fn bytes(&self) -> Option<i64> {
        self.kept.map(|view| view.logs.values().map(|log| log.bytes).sum())
    }

    fn as_json(&self) -> Value {
        json!({
            "node": self.node_id,
            "address": self.node.map(|node| node.address.to_string()),
            "rack": self.node.and_then(|node| node.rack.as_ref()),
            "state": self.state(),
            "roles": self.roles,
            "leads": self.leads,
            "replicas": self.replicas,
            "in_sync": self.in_sync,
            "bytes": self.bytes(),
            "usable_bytes": self.kept.and_then(|view| view.usable_bytes),
        })
    }
}

fn as_text(rows: &[Row<'_>]) -> String {
    // Shown to people: what a float cannot hold exactly is not shown either.
    let size = |bytes: Option<i64>| bytes.map_or_else(|| "?".to_owned(), |bytes| sized(bytes as f64));
    let cells = rows.iter().map(|row| {
        let dash = || "-".to_owned();
        vec![
            row.node_id.to_string(),
            row.node.map_or_else(dash, |node| node.address.to_string()),
            row.node.and_then(|node| node.rack.clone()).unwrap_or_else(dash),
            row.state().to_owned(),
            if row.roles.is_empty() { dash() } else { row.roles.join(", ") },
            row.leads.to_string(),
            row.replicas.to_string(),
            row.in_sync.to_string(),
            size(row.bytes()),
            size(row.kept.and_then(|view| view.usable_bytes)),
        ]
    });
    let heading =
        ["NODE", "ADDRESS", "RACK", "STATE", "ROLES", "LEADS", "REPLICAS", "IN SYNC", "DATA", "ROOM"];
    table(&heading, &cells.collect::<Vec<_>>())
}

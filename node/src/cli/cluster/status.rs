//! `cluster status`: one page that says whether everything is well.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client;
use super::health::{Findings, Health, partitions};
use super::snapshot::Snapshot;
use super::{counted, named, numbers};
use crate::cli::arguments::ClusterStatusArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{print, print_json};
use crate::cli::watch::{Look, Shown, watch};
use crate::client::{Client, MemberLag, Placement, QuorumView};

/// How often a cluster that is waited for is looked at.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);

/// Shows how the cluster is.
pub(super) fn status(arguments: &ClusterStatusArguments) -> Result<(), Failure> {
    let mut client = client(&arguments.cluster)?;
    if let Some(seconds) = arguments.wait {
        return wait(&mut client, seconds, arguments.json);
    }
    watch(arguments.watch, || {
        let snapshot = Snapshot::gather(&mut client)?;
        let shown =
            if arguments.json { Shown::Json(as_json(&snapshot)) } else { Shown::Text(as_text(&snapshot)) };
        Ok(Look { shown, failure: None })
    })
}

/// Waits until the cluster is healthy. Nobody may answer meanwhile: that is what is waited through.
fn wait(client: &mut Client, seconds: u64, as_json: bool) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let is_over = Instant::now() >= deadline;
        match Snapshot::gather(client) {
            Ok(snapshot) => {
                let health = Findings::of(&snapshot).health();
                if health == Health::Healthy {
                    return show(&snapshot, as_json);
                }
                if is_over {
                    show(&snapshot, as_json)?;
                    let name = health.name();
                    return Err(Failure::Other(format!("the cluster is {name} after {seconds} seconds")));
                }
            }
            Err(error) if is_over || !error.is_of_connection() => return Err(error.into()),
            Err(_) => {}
        }
        thread::sleep(WAIT_INTERVAL);
    }
}

fn show(snapshot: &Snapshot, as_json_text: bool) -> Result<(), Failure> {
    if as_json_text { print_json(&as_json(snapshot)) } else { print(&as_text(snapshot)) }
}

fn as_text(snapshot: &Snapshot) -> String {
    let findings = Findings::of(snapshot);
    let nodes = &snapshot.nodes;
    let mut text = format!("Cluster {} is {}\n", nodes.cluster_id, findings.health().name());
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<12} {value}\n"));
    line(
        "controller",
        snapshot.controller().map_or_else(|| "none".to_owned(), |node| format!("node {node}")),
    );
    line("quorum", snapshot.quorum.as_ref().map_or_else(|| "not known".to_owned(), quorum_text));
    let active: Vec<i32> = nodes.active().collect();
    let mut states = vec![format!("{} active ({})", active.len(), numbers(&active))];
    for (nodes, state) in [(&findings.fenced, "fenced"), (&findings.missing, "missing")] {
        if !nodes.is_empty() {
            states.push(format!("{} {state} ({})", nodes.len(), numbers(nodes)));
        }
    }
    line("nodes", states.join(", "));
    let mut topics: Vec<&str> =
        snapshot.partitions.iter().map(|placement| placement.partition.topic.as_str()).collect();
    topics.dedup();
    let count = counted(snapshot.partitions.len(), "partition");
    line("topics", format!("{}, {count}", topics.len()));
    let problems = [
        ("without a leader", &findings.leaderless),
        ("fewer in sync than min.insync.replicas", &findings.under_min_in_sync),
        ("with a replica that is not in sync", &findings.under_replicated),
        ("with eligible replicas", &findings.with_eligible),
        ("not led by the preferred leader", &findings.led_elsewhere),
    ];
    for (name, found) in problems {
        let names = if found.is_empty() { String::new() } else { format!("  {}", named(partitions(found))) };
        text.push_str(&format!("    {name:<39} {:>4}{names}\n", found.len()));
    }
    let moves = match &snapshot.moves {
        None => "not known".to_owned(),
        Some(moves) if moves.is_empty() => "none under way".to_owned(),
        Some(moves) => {
            let names = named(moves.iter().map(|moving| &moving.partition));
            format!("{} under way: {names}", counted(moves.len(), "partition"))
        }
    };
    text.push_str(&format!("  {:<12} {moves}\n", "moves"));
    let advice = findings.advice();
    if !advice.is_empty() {
        text.push_str("\nWhat to do:\n");
        for line in advice {
            text.push_str(&format!("  - {line}\n"));
        }
    }
    text
}

fn quorum_text(quorum: &QuorumView) -> String {
    let leader = match quorum.leader {
        Some(leader) => format!("node {leader} leads in term {}", quorum.term),
        None => "nobody leads".to_owned(),
    };
    let members = |members: &[MemberLag]| {
        let texts = members.iter().map(|member| match member.lag {
            0 => member.node_id.to_string(),
            lag => format!("{} ({lag} records behind)", member.node_id),
        });
        texts.collect::<Vec<_>>().join(", ")
    };
    let mut text = format!("{leader}; voters {}", members(&quorum.voters));
    if !quorum.observers.is_empty() {
        text.push_str(&format!("; learners {}", members(&quorum.observers)));
    }
    text
}

pub(super) fn as_json(snapshot: &Snapshot) -> Value {
    let findings = Findings::of(snapshot);
    let listed = |placements: &[&Placement]| {
        let items = placements.iter().map(
            |placement| json!({ "topic": placement.partition.topic, "partition": placement.partition.index }),
        );
        items.collect::<Value>()
    };
    let members = |members: &[MemberLag]| {
        let items = members.iter().map(
            |member| json!({ "node": member.node_id, "lag": member.lag, "behind_ms": member.behind_ms }),
        );
        items.collect::<Value>()
    };
    let quorum = snapshot.quorum.as_ref().map(|quorum| {
        json!({
            "leader": quorum.leader,
            "term": quorum.term,
            "high_watermark": quorum.high_watermark,
            "voters": members(&quorum.voters),
            "learners": members(&quorum.observers),
        })
    });
    let moves = snapshot.moves.as_ref().map(|moves| {
        let items = moves.iter().map(|moving| {
            json!({
                "topic": moving.partition.topic,
                "partition": moving.partition.index,
                "replicas": moving.target(),
                "adding": moving.adding,
                "removing": moving.removing,
            })
        });
        items.collect::<Value>()
    });
    json!({
        "cluster": snapshot.nodes.cluster_id,
        "health": findings.health().name(),
        "controller": snapshot.controller(),
        "quorum": quorum,
        "nodes": {
            "active": snapshot.nodes.active().collect::<Vec<i32>>(),
            "fenced": findings.fenced,
            "missing": findings.missing,
        },
        "partitions": snapshot.partitions.len(),
        "leaderless": listed(&findings.leaderless),
        "under_min_in_sync": listed(&findings.under_min_in_sync),
        "under_replicated": listed(&findings.under_replicated),
        "with_eligible": listed(&findings.with_eligible),
        "led_elsewhere": listed(&findings.led_elsewhere),
        "moves": moves,
        "advice": findings.advice(),
    })
}

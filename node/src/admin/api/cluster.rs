//! `GET /api/v1/cluster`: the nodes, sums over everything, and what is wrong.

use serde::Serialize;

use super::{Problem, ms_since, respond, unix_ms};
use crate::{
    admin::{AdminState, Request, Response, health, standing::Standing, survey::Seen},
    client::TopicPartition,
    metadata::{NodeId, NodeImage},
};

#[derive(Serialize)]
struct Cluster<'a> {
    now_ms: u64,
    /// The node that answers.
    node_id: i32,
    version: &'static str,
    cluster_id: &'a str,
    is_alone: bool,
    /// The node that decides, as far as this one knows.
    controller: Option<i32>,
    /// Why this node sends clients elsewhere, if it does.
    unready: Option<String>,
    nodes: Vec<Node<'a>>,
    topics: usize,
    sums: Sums,
    groups: Option<usize>,
    records_per_second: Option<f64>,
    health: &'static str,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Node<'a> {
    id: i32,
    address: String,
    rack: Option<&'a str>,
    /// `active`, `fenced` or `stopping`, as the metadata has it.
    state: &'static str,
    shards: Option<usize>,
    /// Whether it answered when it was asked last.
    answers: Option<bool>,
    answered_ms_ago: Option<u64>,
    problem: Option<&'a str>,
    problem_ms: Option<u64>,
    leads: usize,
    keeps: usize,
    /// Of those that it keeps.
    in_sync: usize,
    bytes: Option<i64>,
    usable_bytes: Option<i64>,
    groups: Option<usize>,
    records_per_second: Option<f64>,
}

/// Of all partitions.
#[derive(Debug, Default, Serialize)]
struct Sums {
    partitions: usize,
    leaderless: usize,
    under_min_in_sync: usize,
    under_replicated: usize,
    moving: usize,
    led_elsewhere: usize,
}

#[derive(Serialize)]
struct Finding {
    /// `bad`: something is not served; `warning`: one more loss may be one too many.
    severity: &'static str,
    text: String,
    /// Where the console shows it.
    link: &'static str,
}

/// Answers.
pub(in crate::admin) fn cluster(_: &Request, state: &AdminState) -> Response {
    let seen = state.survey.look();
    respond::<Cluster<'_>>(gathered(state, &seen))
}

fn gathered<'a>(state: &AdminState, seen: &'a Seen) -> Result<Cluster<'a>, Problem> {
    let image = &seen.image;
    let mut nodes: Vec<Node<'_>> =
        image.nodes().iter().map(|(id, node)| described(seen, *id, node)).collect();
    let mut sums = Sums::default();
    for (topic, _, partition) in image.partitions() {
        let standing = Standing::of(image, topic, partition);
        sums.partitions += 1;
        sums.leaderless += usize::from(standing == Standing::Leaderless);
        sums.under_min_in_sync += usize::from(standing == Standing::UnderMinInSync);
        sums.under_replicated += usize::from(standing != Standing::Fine);
        sums.moving += usize::from(partition.is_reassigning());
        let preferred = partition.preferred_leader();
        sums.led_elsewhere += usize::from(partition.leader.is_some() && partition.leader != preferred);
        for node in &mut nodes {
            let id = NodeId(node.id);
            node.leads += usize::from(partition.leader == Some(id));
            node.keeps += usize::from(partition.replicas.contains(&id));
            node.in_sync += usize::from(partition.in_sync.contains(&id));
        }
    }
    let controller = state.node.metadata.controller_id().map(|id| id.0);
    let findings = findings(&nodes, &sums, controller);
    let health = match findings.iter().map(|finding| finding.severity).min() {
        None => "healthy",
        Some("bad") => "not available",
        Some(_) => "degraded",
    };
    let told_groups = nodes.iter().filter_map(|node| node.groups);
    Ok(Cluster {
        now_ms: unix_ms(),
        node_id: state.node.config.node_id,
        version: env!("CARGO_PKG_VERSION"),
        cluster_id: image.cluster_id(),
        is_alone: state.node.metadata.cluster().is_none(),
        controller,
        unready: health::unready(&state.node),
        topics: image.topics().len(),
        sums,
        groups: told_groups.reduce(|one, other| one + other),
        records_per_second: seen.rates.sum(None),
        health,
        findings,
        nodes,
    })
}

fn described<'a>(seen: &'a Seen, id: NodeId, node: &'a NodeImage) -> Node<'a> {
    let report = seen.reports.get(&id.0);
    let problem = report.and_then(|report| report.problem.as_ref());
    let answered_at = report.and_then(|report| report.answered_at);
    let sizes = report.iter().flat_map(|report| report.replicas.values()).filter_map(|replica| replica.bytes);
    Node {
        id: id.0,
        address: address(node),
        rack: node.rack.as_deref(),
        state: match (node.fenced, node.stopping_since) {
            (true, _) => "fenced",
            (false, Some(_)) => "stopping",
            (false, None) => "active",
        },
        shards: node.peer.as_ref().map(|peer| peer.data_ports.len()),
        answers: report.map(|report| report.problem.is_none()),
        answered_ms_ago: answered_at.map(ms_since),
        problem: problem.map(|problem| problem.what.as_str()),
        problem_ms: problem.map(|problem| ms_since(problem.since)),
        leads: 0,
        keeps: 0,
        in_sync: 0,
        bytes: answered_at.map(|_| sizes.sum()),
        usable_bytes: report.and_then(|report| report.usable_bytes),
        // Others coordinate them as soon as it is gone.
        groups: report.filter(|_| problem.is_none()).and_then(|report| Some(report.groups.as_ref()?.len())),
        records_per_second: seen.rates.sum(Some(id.0)),
    }
}

fn address(node: &NodeImage) -> String {
    crate::config::HostPort { host: node.host().to_owned(), port: node.port() }.to_string()
}

/// What is wrong, the most urgent first.
fn findings(nodes: &[Node<'_>], sums: &Sums, controller: Option<i32>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |severity, holds: bool, text: String, link| {
        if holds {
            findings.push(Finding { severity, text, link });
        }
    };
    let text = "No node is the controller, as far as this node knows: nothing can change, and what is shown of other \
                nodes is as it was last heard.";
    find("bad", controller.is_none(), text.to_owned(), "#/nodes");
    let text = format!(
        "{}: clients cannot use them.",
        counted(sums.leaderless, "partition has no leader", "partitions have no leader")
    );
    find("bad", sums.leaderless > 0, text, "#/partitions?only=leaderless");
    let short = counted(
        sums.under_min_in_sync,
        "partition has fewer replicas in sync than min.insync.replicas",
        "partitions have fewer replicas in sync than min.insync.replicas",
    );
    find(
        "bad",
        sums.under_min_in_sync > 0,
        format!("{short}: acks=all is refused."),
        "#/partitions?only=short",
    );
    for node in nodes {
        match (node.state, node.answers) {
            ("fenced", _) => {
                let text = format!("Node {} is fenced: it is down, cut off, or has not caught up.", node.id);
                find("warning", true, text, "#/nodes");
            }
            ("stopping", _) => find("warning", true, format!("Node {} is stopping.", node.id), "#/nodes"),
            (_, Some(false)) => {
                find("warning", true, format!("Node {} does not answer this node.", node.id), "#/nodes");
            }
            _ => {}
        }
    }
    let behind = sums.under_replicated - sums.leaderless - sums.under_min_in_sync;
    let text = counted(
        behind,
        "partition has a replica that is not in sync.",
        "partitions have a replica that is not in sync.",
    );
    find("warning", behind > 0, text, "#/partitions?only=behind");
    findings
}

fn counted(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
}

/// The partition's name as the survey has it.
pub(super) fn key(topic: &str, index: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_owned(), index }
}

//! The scenarios of clusters, tiny, against three nodes that the script for users starts: what was
//! counted must be sound, how fast it was is no matter.

#[path = "node/cluster.rs"]
mod cluster;
#[expect(dead_code, reason = "a lone node is what the other tests start")]
mod node;

use cluster::Cluster;
use node::{bench, report};
use serde_json::Value;

fn fact(report: &Value, name: &str) -> f64 {
    let facts = report["outcome"]["facts"].as_array().expect("there are facts");
    let fact = facts.iter().find(|fact| fact["name"] == name);
    fact.and_then(|fact| fact["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {facts:?}"))
}

#[test]
fn three_nodes_are_measured_and_lose_a_leader() {
    let cluster = Cluster::start("cluster");
    let pids = cluster.script(&["pids", &cluster.folder()]).trim().replace(',', "+");
    assert_eq!(pids.split('+').count(), 3, "{pids}");
    let address = cluster.address();
    let short =
        ["--json", "--seconds", "0.3", "--warm-up", "0.1", "--broker", &address, "--broker-pid", &pids];
    let run = |arguments: &[&str]| {
        let output = bench(&[arguments, &short].concat()).output().expect("the program starts");
        report(&output)
    };

    let replicated = run(&["replicated", "--connections", "3", "--partitions", "3"]);
    assert_eq!(fact(&replicated, "replicas"), 3.0);
    assert!(fact(&replicated, "share of the busiest node in it") <= 1.0);
    let figures = &replicated["outcome"]["phases"][0]["figures"];
    assert!(figures["records"].as_u64().is_some_and(|count| count > 0), "{figures}");
    assert_eq!(replicated["targets"][0]["other_processes"].as_array().map(Vec::len), Some(2));

    let latency = run(&["end-to-end", "--replication-factor", "3", "--rate", "100"]);
    assert_eq!(latency["outcome"]["phases"][0]["name"], "end to end");

    let nodes = cluster.folder() + "/nodes";
    std::fs::write(&nodes, cluster.script(&["nodes", &cluster.folder()])).expect("the folder is writable");
    let (restart, before, after) = (cluster.restart(), "0.2", "0.2");
    let mut failover = vec!["failover", "--json", "--kills", "1", "--nodes", &nodes, "--restart", &restart];
    failover.extend(["--rate", "200", "--seconds-before", before, "--seconds-after", after]);
    let killed = report(&bench(&failover).output().expect("the program starts"));
    let (median, worst) = (fact(&killed, "longest gap: median"), fact(&killed, "longest gap: worst"));
    assert!(median > 0.0 && median == worst, "one kill has one gap: {median}, {worst}");
    let records = killed["outcome"]["phases"][0]["figures"]["records"].as_u64();
    assert!(records.is_some_and(|records| records > 100), "it went on: {records:?}");
    assert_eq!(cluster.script(&["nodes", &cluster.folder()]).lines().count(), 3, "the node is back");
}

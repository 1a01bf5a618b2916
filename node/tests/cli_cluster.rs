//! The `cluster` commands of the real binary, on nodes that are drained, die and are replaced while a topic is read.

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::local_cluster::{LocalCluster, ports_in_a_row, scratch, send, until};

/// Lines of the topic that must be there at the end.
const LINES: usize = 20_000;

/// Writes a topic on nodes 1 to 3; where its lines are.
fn fill(cluster: &LocalCluster, data_dir: &Path) -> String {
    let lines = data_dir.join("lines");
    fs::write(&lines, (0..LINES).map(|number| format!("line {number}\n")).collect::<String>())
        .expect("written");
    let path = lines.to_str().expect("the tests' paths are UTF-8").to_owned();
    cluster.printed(&["topic", "create", "kept", "--partitions", "4", "--replication-factor", "3"]);
    cluster.printed(&["topic", "produce", "kept", &path, "--partition", "0", "--quiet"]);
    cluster.printed(&["topic", "produce", "kept", &path, "--partition", "3", "--quiet"]);
    path
}

fn partitions(cluster: &LocalCluster, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["cluster", "partitions", "--json"], arguments].concat();
    cluster.json(&arguments).as_array().expect("a list").clone()
}

fn sorted(replicas: &Value) -> Vec<i64> {
    let numbers = replicas.as_array().expect("a list").iter().map(|node| node.as_i64().expect("a number"));
    let mut numbers: Vec<i64> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

fn health(cluster: &LocalCluster) -> Value {
    cluster.json(&["cluster", "status", "--json"])
}

#[test]
fn a_node_is_drained_and_another_takes_a_dead_ones_place() {
    let data_dir = scratch("operated");
    let mut cluster = LocalCluster::start(&data_dir, 4, ports_in_a_row(4));
    let pids = cluster.pids();
    let page = cluster.printed(&["cluster", "status", "--wait", "60"]);
    assert!(page.contains(" is healthy\n") && page.contains("4 active (1,2,3,4)"), "{page}");
    let status = health(&cluster);
    let voters = status["quorum"]["voters"].as_array().expect("a list");
    assert_eq!((voters.len(), &status["quorum"]["learners"][0]["node"]), (3, &json!(4)), "{status}");
    let lines = fill(&cluster, &data_dir);
    let written = fs::read_to_string(&lines).expect("there");

    // Only shown, then done: the dry run's plan is what happens, and nothing of it happens before.
    let before = partitions(&cluster, &["--node", "4"]);
    assert!(!before.is_empty(), "four partitions of three replicas lie on every node of four");
    let plan = cluster.printed(&["cluster", "drain", "4", "--dry-run"]);
    assert!(plan.contains("Nothing was changed"), "{plan}");
    assert_eq!(partitions(&cluster, &["--node", "4"]).len(), before.len());
    let told = cluster.printed(&["cluster", "drain", "4"]);
    assert!(told.contains("Node 4 keeps no replica any more"), "{told}");
    assert_eq!(partitions(&cluster, &["--node", "4"]), Vec::<Value>::new());

    // By hand, from a file in Kafka's form.
    let moves = data_dir.join("moves.json");
    let text =
        json!({"version": 1, "partitions": [{"topic": "kept", "partition": 0, "replicas": [4, 3, 1]}]});
    fs::write(&moves, text.to_string()).expect("written");
    let path = moves.to_str().expect("the tests' paths are UTF-8");
    cluster.printed(&["cluster", "reassign", "--file", path]);
    assert_eq!(partitions(&cluster, &["--topic", "kept"])[0]["replicas"], json!([4, 3, 1]));
    assert_eq!(cluster.json(&["cluster", "reassign", "--json"]), json!([]));
    let refused = cluster.refused(&["cluster", "reassign", "-t", "kept", "-p", "0", "--replicas", "1,9"]);
    assert!(refused.contains("kept-0 cannot move to node 9, which is not active"), "{refused}");

    // A node dies.
    send("KILL", &pids[2]);
    until("node 3 is fenced", || health(&cluster)["nodes"]["fenced"] == json!([3]));
    let status = health(&cluster);
    assert_eq!(status["health"], json!("degraded"), "{status}");
    assert!(status["advice"].to_string().contains("cluster replace 3 NEW"), "{status}");
    let lacking = partitions(&cluster, &["--under-replicated"]);
    assert!(lacking.iter().all(|partition| partition["not_in_sync"] == json!([3])), "{lacking:?}");
    let refused = cluster.refused(&["cluster", "decommission", "3"]);
    assert!(refused.contains("node 3 is down") && refused.contains("--dead"), "{refused}");
    let refused = cluster.refused(&["cluster", "decommission", "1", "--dead"]);
    assert!(refused.contains("node 1 is active"), "{refused}");

    // Another takes its place: one command.
    let told = cluster.printed(&["cluster", "replace", "3", "4"]);
    assert!(told.contains("Node 3 is out of the cluster"), "{told}");
    cluster.printed(&["cluster", "status", "--wait", "60"]);
    assert_eq!(health(&cluster)["nodes"]["active"], json!([1, 2, 4]));
    for partition in partitions(&cluster, &["--topic", "kept"]) {
        assert_eq!(sorted(&partition["in_sync"]), [1, 2, 4], "{partition}");
    }
    let refused = cluster.refused(&["cluster", "replace", "3", "4"]);
    assert!(refused.contains("node 3 is not part of the cluster; its nodes are 1,2,4"), "{refused}");
    cluster.printed(&["cluster", "leaders", "balance"]);
    until("preferred replicas lead", || health(&cluster)["led_elsewhere"] == json!([]));
    for partition in ["0", "3"] {
        let read = cluster.printed(&["topic", "consume", "kept", "--partition", partition, "--until-end"]);
        assert!(read == written, "{} bytes of partition {partition} came back", read.len());
    }
    assert_eq!(cluster.terminate().code(), Some(0));
    fs::remove_dir_all(data_dir).expect("the data can be removed");
}

//! Every scenario, tiny, against the node itself: what was counted must be sound, how fast it was is
//! no matter.

mod node;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use node::{Node, bench, report};
use serde_json::Value;

/// Fractions of a second, on one line of JSON.
const SMALL: [&str; 5] = ["--json", "--seconds", "0.3", "--warm-up", "0.1"];

/// The value of a key, wherever it stands in the report.
fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|inner| find(inner, key))),
        Value::Array(list) => list.iter().find_map(|inner| find(inner, key)),
        _ => None,
    }
}

/// The phases of a report, by name, each of which must have done something and cost something.
fn phases(report: &Value) -> Vec<(String, Value)> {
    let phases = find(report, "phases").and_then(Value::as_array).expect("there are phases");
    let named = phases.iter().map(|phase| {
        let name = phase["name"].as_str().expect("a phase has a name").to_owned();
        let figures = &phase["figures"];
        for figure in ["requests", "records", "payload_bytes"] {
            assert!(figures[figure].as_u64().is_some_and(|count| count > 0), "{name}: {figure} in {figures}");
        }
        assert!(figures["broker"]["cpu_seconds"].is_number(), "{name}: the broker's time is known");
        assert!(phase["timeline"].as_array().is_some_and(|slices| !slices.is_empty()), "{name}");
        (name, phase.clone())
    });
    named.collect()
}

fn fact(report: &Value, name: &str) -> f64 {
    let facts = find(report, "facts").and_then(Value::as_array).expect("there are facts");
    let fact = facts.iter().find(|fact| fact["name"] == name);
    fact.and_then(|fact| fact["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {facts:?}"))
}

fn run(node: &Node, arguments: &[&str]) -> Value {
    let output = node.bench(&[arguments, &SMALL].concat()).output().expect("the program starts");
    report(&output)
}

fn samples(phase: &Value, latency: &str) -> u64 {
    let latencies = phase["latencies"].as_array().expect("a list");
    let found = latencies.iter().find(|found| found["name"] == latency);
    found.and_then(|found| found["summary"]["samples"].as_u64()).unwrap_or_default()
}

#[test]
fn every_scenario_has_its_phases_and_leaves_no_topic() {
    let node = Node::start("scenarios");
    for (arguments, names) in [
        (&["produce", "--partitions", "3", "--connections", "2"][..], &["produce"][..]),
        (&["produce", "--acks", "0", "--batch-size", "1MiB"], &["produce"]),
        (&["produce", "--codec", "zstd", "--acks", "1"], &["produce"]),
        (&["end-to-end", "--partitions", "2"], &["end to end"]),
        (&["fan-out", "--rate", "200", "--consumers", "3"], &["consume", "produce"]),
        (&["consume", "--from", "tail"], &["consume", "produce"]),
        (&["many-partitions", "--partitions", "20"], &["one partition", "many partitions"]),
        (&["soak", "--rate", "200"], &["soak"]),
        (
            &["connections", "--idle-connections", "50"],
            &["before they are opened", "beside idle connections"],
        ),
        (
            &["mixed", "--bytes", "16MiB", "--rate", "200"],
            &["producers alone", "producers beside cold readers", "cold readers"],
        ),
    ] {
        let report = run(&node, arguments);
        let found: Vec<String> = phases(&report).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, names, "{arguments:?}");
    }
    assert!(!node.topics().contains("ringmain-bench"), "{}", node.topics());
}

#[test]
fn what_was_sent_is_what_was_found() {
    let node = Node::start("counts");
    let report_of_latency = run(&node, &["end-to-end", "--rate", "200", "--records-per-request", "7"]);
    let (_, phase) = phases(&report_of_latency).remove(0);
    let due = samples(&phase, "end to end");
    assert!((59..=61).contains(&due), "one each 5 ms for 0.3 s: {due}");
    assert_eq!(samples(&phase, "acknowledgement"), due);

    for from in ["warm", "cold"] {
        let bytes = ["--from", from, "--bytes", "8MiB", "--passes", "2", "--verify-checksums"];
        let output =
            node.bench(&[&["consume", "--json"][..], &bytes].concat()).output().expect("the program starts");
        let (_, phase) = phases(&report(&output)).remove(0);
        let payload = phase["figures"]["payload_bytes"].as_u64().expect("a count");
        assert!((16 << 20..18 << 20).contains(&payload), "twice 8 MiB and some: {payload}");
    }

    let report = run(&node, &["fan-out", "--rate", "100", "--consumers", "4"]);
    let phases = phases(&report);
    assert_eq!(samples(&phases[0].1, "end to end"), 4 * samples(&phases[1].1, "acknowledgement"));
    assert_eq!(fact(&report, "consumers"), 4.0);
}

#[test]
fn a_comparison_has_every_metric_of_both_and_says_what_speaks_against_it() {
    let node = Node::start("compare");
    let target = |name: &str| format!("{name}={},pid={}", node.address, node.pid());
    let [one, other] = [target("one"), target("other")];
    let arguments = ["compare", "produce", &one, &other, "--rounds", "2", "--others-max", "1"];
    let output = bench(&[&arguments[..], &SMALL].concat()).output().expect("the program starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let doubts = find(&report, "doubts").and_then(Value::as_array).expect("a list");
    assert!(!doubts.is_empty(), "neither side is pinned");
    assert!(!output.status.success(), "a comparison with doubts is no result");
    let metrics = find(&report, "metrics").and_then(Value::as_array).expect("a list");
    for name in ["throughput", "broker CPU a gigabyte", "acknowledgement p50"] {
        let metric = metrics.iter().find(|metric| metric["name"] == name).expect(name);
        assert_eq!(metric["targets"].as_array().map(Vec::len), Some(2), "{name}");
        assert!(metric["control"]["median"].as_f64().is_some_and(|ratio| ratio > 0.0), "{name}");
    }
}

#[test]
fn a_workload_file_runs_and_flags_win() {
    let node = Node::start("workload");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/one-stream-five-consumers.toml");
    let report = run(&node, &["run", file, "--consumers", "2", "--rate", "100"]);
    assert_eq!(fact(&report, "consumers"), 2.0);
    let output = node.bench(&["run", file, "--passes", "2"]).output().expect("the program starts");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("fan-out does not use passes"), "{errors}");
}

#[test]
fn the_harness_measures_itself() {
    let output = bench(&[&["self"][..], &SMALL].concat()).output().expect("the program starts");
    assert_eq!(phases(&report(&output))[0].0, "produce");
}

/// A run that would take half a minute, once it says that it is under way.
fn long_run(node: &Node) -> Child {
    let arguments = ["produce", "--json", "--seconds", "30", "--warm-up", "0"];
    let mut command = node.bench(&arguments);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("produced") {
        line.clear();
        assert!(errors.read_line(&mut line).expect("readable") > 0, "it ended before it was under way");
    }
    child.stderr = Some(errors.into_inner());
    child
}

#[test]
fn a_broker_that_is_killed_gives_an_error_and_no_result() {
    let mut node = Node::start("killed");
    let child = long_run(&node);
    node.kill();
    let output = child.wait_with_output().expect("it ends");
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ringmain-bench: "), "it says why");
}

#[test]
fn a_run_that_is_interrupted_deletes_its_topic() {
    let node = Node::start("interrupted");
    let child = long_run(&node);
    assert!(node.topics().contains("ringmain-bench"), "{}", node.topics());
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill can be run").success());
    let output = child.wait_with_output().expect("it ends");
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(!node.topics().contains("ringmain-bench"), "{}", node.topics());
}

//! The command line without a server: exit codes, checks of the configuration, refusals at the start.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use ringmain_replication::NodeId;
use ringmain_replication::quic::certificates::{IdentityFiles, NodeIdentity};
use support::ports::free_address;

fn ringmain(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringmain")).args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("usage-{}-{name}", std::process::id()))
}

#[test]
fn help_teaches_and_wrong_usage_is_told_apart_from_failure() {
    let help = ringmain(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in ["dev", "start", "topic", "Exit codes"] {
        assert!(text(&help.stdout).contains(command), "{command}");
    }
    for command in ["create", "alter", "describe", "produce", "consume"] {
        let help = text(&ringmain(&["topic", command, "--help"]).stdout);
        assert!(help.contains("Examples:"), "topic {command} --help shows examples");
    }
    for command in ["list", "describe", "seek", "delete"] {
        let help = text(&ringmain(&["group", command, "--help"]).stdout);
        assert!(help.contains("Examples:"), "group {command} --help shows examples");
    }
    for command in ["status", "nodes", "partitions", "drain", "decommission", "replace", "reassign"] {
        let help = text(&ringmain(&["cluster", command, "--help"]).stdout);
        assert!(help.contains("Examples:"), "cluster {command} --help shows examples");
    }
    for command in ["init", "node"] {
        let help = text(&ringmain(&["cert", command, "--help"]).stdout);
        assert!(help.contains("Examples:"), "cert {command} --help shows examples");
    }
    for command in [&["check"][..], &["check", "disk"], &["debug", "bundle"], &["debug", "log-level"]] {
        let help = text(&ringmain(&[command, &["--help"]].concat()).stdout);
        assert!(help.contains("Examples:"), "{command:?} --help shows examples");
    }
    assert_eq!(ringmain(&["serve"]).status.code(), Some(2));
    assert_eq!(ringmain(&["topic", "consume", "x", "--from", "yesterday"]).status.code(), Some(2));
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let file = scratch("check.toml");
    let path = file.to_str().expect("the tests' paths are UTF-8");
    fs::write(&file, "shards = 1\n[limits]\nconnection_idel_ms = 5\n").expect("written");
    let wrong = ringmain(&["start", "--config", path, "--check"]);
    assert_eq!(wrong.status.code(), Some(2));
    let problem = text(&wrong.stderr);
    assert!(problem.contains(&format!("{path}:3: unknown option 'limits.connection_idel_ms'")), "{problem}");
    assert!(problem.contains("did you mean 'limits.connection_idle_ms'?"), "{problem}");

    fs::write(&file, "shards = 1\n[topic_defaults]\nretention.ms = 5\n").expect("written");
    let right = ringmain(&["start", "--config", path, "--check"]);
    assert_eq!(right.status.code(), Some(0), "{}", text(&right.stderr));
    assert!(text(&right.stdout).contains("topic_defaults.retention.ms = 5"), "{}", text(&right.stdout));
    fs::remove_file(&file).expect("the file is there");
}

#[test]
fn certificates_are_made_once_and_fit_together() {
    let directory = scratch("certificates");
    let path = directory.to_str().expect("the tests' paths are UTF-8");
    let cluster = "3vQmXyJ0T5mJ0mG1o0cW3w";
    let init = ["cert", "init", "--cluster-id", cluster, "--directory", path];
    let node = |arguments: &[&str]| ringmain(&[&["cert", "node", "--directory", path], arguments].concat());

    let early = node(&["--node-id", "1"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(text(&early.stderr).contains("cluster.crt"), "{}", text(&early.stderr));
    let made = ringmain(&init);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains(cluster), "{}", text(&made.stdout));
    let again = ringmain(&init);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));

    let made = node(&["--node-id", "3", "--host", "db-3.example", "--host", "10.0.0.3"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let identity =
        NodeIdentity::load(&IdentityFiles::in_directory(&directory, NodeId(3))).expect("fits together");
    assert_eq!((identity.node_id(), identity.cluster_id()), (NodeId(3), cluster));

    assert_eq!(node(&["--node-id", "-1"]).status.code(), Some(2));
    assert_eq!(node(&["--node-id", "4", "--host", "no host"]).status.code(), Some(1));
    let short = ringmain(&["cert", "init", "--cluster-id", "short", "--directory", path]);
    assert!(text(&short.stderr).contains("is no cluster id"), "{}", text(&short.stderr));
    fs::remove_dir_all(&directory).expect("the directory is there");
}

#[test]
fn a_broker_that_is_not_there_is_told_at_once() {
    let nobody = free_address().to_string();
    let output = ringmain(&["topic", "list", "--brokers", &nobody]);
    assert_eq!(output.status.code(), Some(1));
    let problem = text(&output.stderr);
    assert!(problem.contains(&format!("cannot reach the broker {nobody}")), "{problem}");
    assert!(problem.contains("'ringmain dev' starts one"), "{problem}");
}

#[test]
fn a_directory_of_others_is_not_touched() {
    let directory = scratch("foreign");
    fs::create_dir_all(&directory).expect("made");
    fs::write(directory.join("thesis.txt"), "precious").expect("written");
    let path = directory.to_str().expect("the tests' paths are UTF-8");
    let output = ringmain(&["dev", "--data-dir", path, "--listen", "127.0.0.1:0", "--admin", "off"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("is not empty (it holds 'thesis.txt')"),
        "{}",
        text(&output.stderr)
    );
    fs::remove_dir_all(&directory).expect("it is there");
}

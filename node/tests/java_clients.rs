//! The Java client in four releases: groups, commits, positions, producers, administration; and the programs of tutorials.
//!
//! What each release does is in `java/groups` and `java/tutorial`; here they are only started.

mod support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;
use support::ran::{self, Release};
use support::server::Server;
use support::tools;

/// The last of the second series that is still in use, the two that the other tests use too, and the newest.
const RELEASES: [&str; 4] = ["2.8.2", tools::JAVA_CLIENTS[0], tools::JAVA_CLIENTS[1], "4.3.0"];
/// Introductions are read with old clients and with new ones.
const TUTORIAL_RELEASES: [&str; 2] = [RELEASES[0], RELEASES[3]];
/// What one node answers to three replicas, Kafka's or ours.
const NOT_ENOUGH_NODES: &str = "org.apache.kafka.common.errors.InvalidReplicationFactorException: Unable to replicate the \
                                partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 \
                                broker(s) are registered.";
/// A JVM starts and a group forms, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn members_commits_and_administration() {
    let mut programs = Vec::new();
    for release in RELEASES {
        programs.push((release, or_skip!(tools::java_program("groups", release))));
    }
    // They wait most of the time, and one server has to serve them all at once.
    let server = Server::start("java-groups");
    let broker = server.address().to_string();
    let failed: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = programs
            .iter()
            .map(|(_, class_path)| {
                let broker = &broker;
                scope.spawn(move || tools::run(tools::java(class_path).args(["Groups", broker])))
            })
            .collect();
        runs.into_iter().filter_map(|run| run.join().expect("a run does not panic").err()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    for release in RELEASES {
        ran::note(
            "Java client",
            Release::Pinned(release),
            "members of groups, commits, positions, producers, administration",
        );
    }
}

#[test]
fn a_group_outlives_its_node() {
    let release = RELEASES[3];
    let class_path = or_skip!(tools::java_program("groups", release));
    let mut server = Server::start("java-survivors");
    let errors =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("survivors-{}.errors", std::process::id()));
    let mut program = tools::java(&class_path)
        .args(["Survivors", &server.address().to_string(), "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors).expect("a file for errors can be made"))
        .spawn()
        .expect("java runs");
    let mut input = program.stdin.take().expect("its input is a pipe");
    let output = program.stdout.take().expect("its output is a pipe");
    let mut rounds = 0;
    for line in BufReader::new(output).lines() {
        assert_eq!(line.expect("the program prints text"), "restart");
        if server.is_ours() {
            if rounds == 0 {
                server.kill();
            } else {
                server.terminate();
            }
            server.restart();
        }
        rounds += 1;
        writeln!(input, "it is back").expect("the program reads");
    }
    let status = program.wait().expect("a child can be waited for");
    let said = std::fs::read_to_string(&errors).unwrap_or_default();
    let _ = std::fs::remove_file(&errors);
    assert!(status.success() && rounds == 2, "{status} after {rounds} rounds: {said}");
    ran::note("Java client", Release::Pinned(release), "a group through kill -9 and SIGTERM of the node");
}

#[test]
fn the_programs_of_tutorials_run_as_they_stand() {
    for release in TUTORIAL_RELEASES {
        let class_path = or_skip!(tools::java_program("tutorial", release));
        let server = Server::start(&format!("java-tutorial-{release}"));
        let broker = server.address().to_string();
        let refused = tools::run(tools::java(&class_path).args(["CreateTopic", &broker]))
            .expect_err("one node cannot hold three replicas");
        assert!(refused.contains(NOT_ENOUGH_NODES), "{refused}");
        tools::run(tools::java(&class_path).args(["SimpleProducer", &broker]))
            .unwrap_or_else(|failure| panic!("{failure}"));
        let line = first_line(&class_path, &broker);
        assert!(
            line.starts_with("offset = ") && line.ends_with(", key = key, value = Hello, Kafka!"),
            "{line}"
        );
        if server.is_ours() {
            assert_eq!(line, "offset = 0, key = key, value = Hello, Kafka!");
        }
        ran::note("Java client", Release::Pinned(release), "tutorial programs as they stand");
    }
}

/// Starts the consumer that never ends, and takes the first line that it prints.
fn first_line(class_path: &str, broker: &str) -> String {
    let errors =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tutorial-{}.errors", std::process::id()));
    let mut consumer = tools::java(class_path)
        .args(["SimpleConsumer", broker])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors).expect("a file for errors can be made"))
        .spawn()
        .expect("java runs");
    let output = consumer.stdout.take().expect("its output is a pipe");
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            // Nobody waits for more than the first line.
            let _ = sender.send(line.expect("the consumer prints text"));
        }
    });
    let line = lines.recv_timeout(PATIENCE);
    consumer.kill().expect("a child can be killed");
    consumer.wait().expect("a child can be waited for");
    reader.join().expect("the reader ends with the consumer");
    let said = std::fs::read_to_string(&errors).unwrap_or_default();
    let _ = std::fs::remove_file(&errors);
    line.unwrap_or_else(|_| panic!("the consumer printed nothing; its errors: {said}"))
}

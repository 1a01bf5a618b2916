//! Real clients write files of log lines and read them back, byte for byte.
//!
//! kcat, librdkafka in two releases (before 2.11 it turns features on by other rules) and the Java client in two.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::server::Server;
use support::tools;
use support::{lines, whole_machine};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Enough for several batches a partition with the odd lines among them.
const LINES: u64 = 6_000;
const PARTITIONS: &str = "3";

/// A client that runs one of the commands of `python/exchange.py` or `java/client/Exchange.java`.
enum Client {
    Librdkafka(std::path::PathBuf),
    Java(String),
}

impl Client {
    fn librdkafka(version: &str) -> Result<Self, String> {
        tools::librdkafka(version).map(Self::Librdkafka)
    }

    fn java(version: &str) -> Result<Self, String> {
        tools::java_program("client", version).map(Self::Java)
    }

    fn run(&self, server: &Server, words: &[&str]) -> String {
        let mut command = match self {
            Self::Librdkafka(python) => {
                let mut command = Command::new(python);
                command.arg(tools::sources().join("python/exchange.py"));
                command
            }
            Self::Java(class_path) => {
                let mut command = tools::java(class_path);
                command.arg("Exchange");
                command
            }
        };
        let broker = server.address().to_string();
        tools::run(command.arg(&broker).args(words)).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn write_and_read(
        &self,
        server: &Server,
        topic: &str,
        file: &Path,
        [codec, acks, idempotent]: [&str; 3],
    ) {
        let file = file.to_str().expect("the tests' paths are UTF-8");
        self.run(server, &["write", topic, file, PARTITIONS, codec, acks, idempotent]);
        self.run(server, &["read", topic, file, PARTITIONS]);
    }
}

/// Creates topics with three partitions through the admin calls of librdkafka.
fn create_topics(server: &Server, topics: &[String]) -> Result<(), String> {
    let python = tools::librdkafka(tools::LIBRDKAFKA)?;
    let mut command = Command::new(python);
    command.arg(tools::sources().join("python/topics.py")).arg(server.address().to_string()).arg(PARTITIONS);
    tools::run(command.args(topics)).expect("topics can be created");
    Ok(())
}

/// Every codec with every acknowledgement level, idempotent where that is allowed; then positions.
fn every_way(name: &str, client: &Client, other_reader: Option<&Client>) {
    let _alone = whole_machine();
    let server = Server::start(name);
    let file = lines::file(&format!("{name}.lines"), LINES, 11, true);
    let ways: Vec<[&str; 3]> = CODECS
        .iter()
        .enumerate()
        .map(|(index, codec)| match index % 4 {
            0 => [*codec, "all", "true"],
            1 => [*codec, "1", "false"],
            2 => [*codec, "0", "false"],
            _ => [*codec, "all", "false"],
        })
        .chain([["none", "0", "false"], ["none", "1", "false"], ["gzip", "all", "true"]])
        .collect();
    let topics: Vec<String> = ways.iter().map(|way| format!("{name}-{}", way.join("-"))).collect();
    or_skip!(create_topics(&server, &topics));
    for (topic, way) in topics.iter().zip(&ways) {
        client.write_and_read(&server, topic, &file, *way);
    }
    let file = file.to_str().expect("the tests' paths are UTF-8");
    client.run(&server, &["positions", &topics[0], file, PARTITIONS]);
    if let Some(reader) = other_reader {
        for topic in &topics[..CODECS.len()] {
            reader.run(&server, &["read", topic, file, PARTITIONS]);
        }
    }
}

#[test]
fn librdkafka_and_then_java_reads() {
    let client = or_skip!(Client::librdkafka(tools::LIBRDKAFKA));
    let reader = or_skip!(Client::java(tools::JAVA_CLIENTS[0]));
    every_way("librdkafka", &client, Some(&reader));
}

#[test]
fn librdkafka_of_2024() {
    let client = or_skip!(Client::librdkafka(tools::LIBRDKAFKA_OLD));
    every_way("librdkafka-old", &client, None);
}

#[test]
fn java_of_the_third_series() {
    let client = or_skip!(Client::java(tools::JAVA_CLIENTS[0]));
    every_way("java-3", &client, None);
}

#[test]
fn java_of_the_fourth_series_and_then_librdkafka_reads() {
    let client = or_skip!(Client::java(tools::JAVA_CLIENTS[1]));
    let reader = or_skip!(Client::librdkafka(tools::LIBRDKAFKA));
    every_way("java-4", &client, Some(&reader));
}

#[test]
fn admin_calls() {
    let _alone = whole_machine();
    let server = Server::start("admin");
    for (index, version) in tools::JAVA_CLIENTS.iter().enumerate() {
        or_skip!(Client::java(version)).run(&server, &["admin", &format!("admin-java-{index}")]);
    }
    for (index, version) in [tools::LIBRDKAFKA, tools::LIBRDKAFKA_OLD].iter().enumerate() {
        or_skip!(Client::librdkafka(version)).run(&server, &["admin", &format!("admin-librdkafka-{index}")]);
    }
}

#[test]
fn a_waiting_reader_is_woken_by_the_append() {
    let _alone = whole_machine();
    let server = Server::start("tail");
    let client = or_skip!(Client::librdkafka(tools::LIBRDKAFKA));
    or_skip!(create_topics(&server, &["tail".into()]));
    println!("{}", client.run(&server, &["tail", "tail"]));
}

#[test]
fn kcat_sends_a_file_and_gets_it_back() {
    let _alone = whole_machine();
    let kcat = or_skip!(tools::kcat());
    let server = Server::start("kcat");
    let broker = server.address().to_string();
    // kcat sends no record for a line without bytes.
    let file = lines::file("kcat.lines", 40_000, 3, false);
    let original = fs::read(&file).expect("the file was just written");
    for codec in CODECS {
        let topic = format!("kcat-{codec}");
        // The topic is created by being asked for.
        tools::run(Command::new(kcat).args(["-b", &broker, "-L", "-t", &topic]))
            .expect("kcat lists the topic");
        tools::run(
            Command::new(kcat)
                .args(["-b", &broker, "-P", "-t", &topic, "-z", codec, "-X", "acks=all"])
                .args(["-X", "enable.idempotence=true", "-l"])
                .arg(&file),
        )
        .expect("kcat sends the file");
        let back = tools::run_for_bytes(Command::new(kcat).args([
            "-b",
            &broker,
            "-C",
            "-t",
            &topic,
            "-p",
            "0",
            "-o",
            "beginning",
            "-e",
            "-q",
        ]))
        .expect("kcat reads the topic");
        let first = original.iter().zip(&back).position(|(left, right)| left != right);
        assert!(
            back == original,
            "{codec}: {} bytes of {}, first difference at {first:?}",
            back.len(),
            original.len()
        );
    }
}

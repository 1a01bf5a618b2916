//! Real clients write files of log lines and read them back, byte for byte; then positions, then admin calls.
//!
//! kcat, librdkafka in two releases (before 2.11 it turns features on by other rules), kafka-python in two series, kafkajs,
//! franz-go, sarama as of three times, the Java client in two series.

mod support;

use std::fs;
use std::process::Command;
use support::client::Client;
use support::ran::{self, Release};
use support::server::Server;
use support::{languages, lines, tools, whole_machine};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Enough for several batches a partition with the odd lines among them.
const LINES: u64 = 6_000;
/// The same for clients whose batches are small, or that are slow.
const FEW_LINES: u64 = 1_500;
const PARTITIONS: &str = "3";

/// Creates topics with three partitions through the admin calls of librdkafka.
fn create_topics(server: &Server, topics: &[String]) -> Result<(), String> {
    let python = tools::librdkafka(tools::LIBRDKAFKA)?;
    let mut command = Command::new(python);
    command.arg(tools::sources().join("python/topics.py")).arg(server.address().to_string()).arg(PARTITIONS);
    tools::run(command.args(topics)).expect("topics can be created");
    Ok(())
}

/// What differs between the clients.
struct Way<'a> {
    name: &'a str,
    lines: u64,
    codecs: &'a [&'a str],
    /// Another client that reads what this one wrote.
    reader: Option<&'a Client>,
    /// It reads many topics at once, because it reads only in groups, and each group takes seconds to form.
    reads_at_once: bool,
}

impl<'a> Way<'a> {
    fn of(name: &'a str) -> Self {
        Self { name, lines: LINES, codecs: &CODECS, reader: None, reads_at_once: false }
    }

    fn few(name: &'a str) -> Self {
        Self { lines: FEW_LINES, ..Self::of(name) }
    }

    /// Every codec with every acknowledgement level, idempotent where that is allowed; then positions.
    fn go(&self, client: &Client) {
        let server = Server::start(self.name);
        let file = lines::file(&format!("{}.lines", self.name), self.lines, 11, true);
        let ways: Vec<[&str; 3]> = self
            .codecs
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
        let topics: Vec<String> = ways.iter().map(|way| format!("{}-{}", self.name, way.join("-"))).collect();
        or_skip!(create_topics(&server, &topics));
        let file = file.to_str().expect("the tests' paths are UTF-8");
        for (topic, [codec, acks, idempotent]) in topics.iter().zip(&ways) {
            client.run(&server, &["write", topic, file, PARTITIONS, codec, acks, idempotent]);
        }
        if self.reads_at_once {
            client.run(&server, &["read", &topics.join(","), file, PARTITIONS]);
        } else {
            for topic in &topics {
                client.run(&server, &["read", topic, file, PARTITIONS]);
            }
        }
        client.run(&server, &["positions", &topics[0], file, PARTITIONS]);
        client.did(&format!(
            "producer ({}) with acks 0, 1, all, consumer, offsets by time, seek, pause",
            self.codecs.join(", ")
        ));
        if let Some(reader) = self.reader {
            for topic in &topics[..self.codecs.len()] {
                reader.run(&server, &["read", topic, file, PARTITIONS]);
            }
        }
    }
}

#[test]
fn librdkafka_and_then_java_reads() {
    let _alone = whole_machine();
    let client = or_skip!(Client::librdkafka(tools::LIBRDKAFKA));
    let reader = or_skip!(Client::java(tools::JAVA_CLIENTS[0]));
    Way { reader: Some(&reader), ..Way::of("librdkafka") }.go(&client);
}

#[test]
fn librdkafka_of_2024() {
    let _alone = whole_machine();
    Way::of("librdkafka-old").go(&or_skip!(Client::librdkafka(tools::LIBRDKAFKA_OLD)));
}

#[test]
fn java_of_the_third_series() {
    let _alone = whole_machine();
    Way::of("java-3").go(&or_skip!(Client::java(tools::JAVA_CLIENTS[0])));
}

#[test]
fn java_of_the_fourth_series_and_then_librdkafka_reads() {
    let _alone = whole_machine();
    let client = or_skip!(Client::java(tools::JAVA_CLIENTS[1]));
    let reader = or_skip!(Client::librdkafka(tools::LIBRDKAFKA));
    Way { reader: Some(&reader), ..Way::of("java-4") }.go(&client);
}

#[test]
fn kafka_python_of_the_third_series() {
    Way::few("kafka-python-3").go(&or_skip!(Client::kafka_python(languages::KAFKA_PYTHON[0])));
}

#[test]
fn kafka_python_of_the_second_series() {
    Way::few("kafka-python-2").go(&or_skip!(Client::kafka_python(languages::KAFKA_PYTHON[1])));
}

#[test]
fn kafkajs() {
    Way { reads_at_once: true, ..Way::few("kafkajs") }.go(&or_skip!(Client::kafkajs()));
}

#[test]
fn franz_go_and_then_kafka_python_reads() {
    let reader = or_skip!(Client::kafka_python(languages::KAFKA_PYTHON[0]));
    Way { reader: Some(&reader), ..Way::few("franz-go") }.go(&or_skip!(Client::franz()));
}

#[test]
fn sarama() {
    Way::few("sarama").go(&or_skip!(Client::sarama("default")));
}

#[test]
fn sarama_as_old_programs_pin_it() {
    // zstd came with 2.1.
    for (name, protocol) in [("sarama-1.0", "1.0.0"), ("sarama-0.11", "0.11.0.0")] {
        Way { codecs: &CODECS[..4], ..Way::few(name) }.go(&or_skip!(Client::sarama(protocol)));
    }
}

#[test]
fn admin_calls() {
    let clients = [
        Client::java(tools::JAVA_CLIENTS[0]),
        Client::java(tools::JAVA_CLIENTS[1]),
        Client::librdkafka(tools::LIBRDKAFKA),
        Client::librdkafka(tools::LIBRDKAFKA_OLD),
        Client::kafka_python(languages::KAFKA_PYTHON[0]),
        Client::kafka_python(languages::KAFKA_PYTHON[1]),
        Client::kafkajs(),
        Client::franz(),
        Client::sarama("default"),
        Client::sarama("1.0.0"),
        Client::sarama("0.11.0.0"),
    ];
    let clients = or_skip!(clients.into_iter().collect::<Result<Vec<Client>, String>>());
    let server = Server::start("admin");
    std::thread::scope(|scope| {
        for (index, client) in clients.iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                client.run(server, &["admin", &format!("admin-{index}")]);
                client.did("admin of topics and configs");
            });
        }
    });
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
    let (kcat, version) = (or_skip!(tools::kcat()), or_skip!(tools::kcat_version()));
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
    ran::note("kcat", Release::OfTheSystem(&version), "producer (all codecs), consumer");
}

//! Every client in a consumer group of its own: it commits in each of its ways, resumes exactly, and asks about its group.

mod support;

use std::path::Path;
use std::process::Command;
use support::client::Client;
use support::ran::{self, Release};
use support::server::Server;
use support::{languages, tools};

const WHAT: &str =
    "consumer in a group (commits by request and by itself, exact resume), admin of groups and offsets";

/// Most of a group's life is waiting (`group.initial.rebalance.delay.ms`), so all the clients live at once on one server.
#[test]
fn each_client_lives_in_a_group() {
    let prepared: Result<Vec<Client>, String> = [
        Client::librdkafka(tools::LIBRDKAFKA),
        Client::librdkafka(tools::LIBRDKAFKA_OLD),
        Client::kafka_python(languages::KAFKA_PYTHON[0]),
        Client::kafka_python(languages::KAFKA_PYTHON[1]),
        Client::kafkajs(),
        Client::franz(),
        Client::sarama("default"),
        Client::sarama("1.0.0"),
        Client::sarama("0.11.0.0"),
    ]
    .into_iter()
    .collect();
    let clients = or_skip!(prepared);
    let server = Server::start("groups");
    std::thread::scope(|scope| {
        for (index, client) in clients.iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                client.run(server, &["group", &format!("group-{index}")]);
                client.did(WHAT);
            });
        }
    });
}

#[test]
fn kcat_reads_on_in_a_group() {
    let (kcat, version) = (or_skip!(tools::kcat()), or_skip!(tools::kcat_version()));
    let server = Server::start("groups-kcat");
    let broker = server.address().to_string();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kcat-group.lines");
    for round in 0..2 {
        let lines: String = (0..1_000).map(|number| format!("round {round}, line {number}\n")).collect();
        std::fs::write(&file, &lines).expect("a file of lines can be written");
        tools::run(
            Command::new(kcat).args(["-b", &broker, "-P", "-t", "kcat-group", "-p", "0", "-l"]).arg(&file),
        )
        .expect("kcat sends the file");
        // What it has printed it commits when it ends.
        let read = tools::run(
            Command::new(kcat)
                .args(["-b", &broker, "-X", "auto.offset.reset=earliest", "-q", "-c", "1000"])
                .args(["-G", "kcat-group", "kcat-group"]),
        );
        assert_eq!(read.expect("kcat reads in its group"), lines, "round {round}");
    }
    ran::note("kcat", Release::OfTheSystem(&version), "consumer in a group (exact resume)");
}

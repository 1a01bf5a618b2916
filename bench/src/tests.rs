//! Each scenario against the broker that stores nothing. Nothing here depends on how fast it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use clap::ValueEnum;

use crate::compare::{self, CompareSettings};
use crate::driver::wire::client::Client;
use crate::null_broker;
use crate::outcome::{Outcome, Phase};
use crate::processes::Processes;
use crate::progress::Progress;
use crate::scenario::options::{Acks, Codec, LoadOptions, ReadFrom, Size};
use crate::scenario::settings::Settings;
use crate::scenario::{self, Context, Kind, Scenario};
use crate::target::Target;

fn start_broker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || null_broker::serve(&listener));
    address
}

fn target(name: &str, address: SocketAddr) -> Target {
    let processes = Processes::new(vec![std::process::id()]);
    Target { name: name.into(), address, processes, data_dir: None, configs: Vec::new() }
}

fn context() -> Context {
    Context::new(2, Progress::silent())
}

/// A load that takes a fraction of a second.
fn small() -> LoadOptions {
    LoadOptions {
        record_size: Some(Size(100)),
        seconds: Some(0.1),
        warm_up: Some(0.02),
        ..LoadOptions::default()
    }
}

fn scenario(kind: Kind, options: &LoadOptions) -> Scenario {
    let settings = Settings::resolve(kind, options, Vec::new()).expect("the load is complete");
    Scenario { kind, settings }
}

fn run_against(address: SocketAddr, kind: Kind, options: &LoadOptions) -> std::io::Result<Outcome> {
    scenario::run(&scenario(kind, options), &target("broker", address), &context())
}

fn run(kind: Kind, options: &LoadOptions) -> Outcome {
    run_against(start_broker(), kind, options).expect("the run has a result")
}

fn existing_topic(address: SocketAddr, topic: &str, partitions: u32) -> Client {
    let mut client = Client::connect(address).expect("connects");
    client.create_topic(topic, partitions, 1, &[]).expect("creates");
    client
}

fn only_phase(outcome: &Outcome) -> &Phase {
    assert_eq!(outcome.phases.len(), 1);
    &outcome.phases[0]
}

fn fact(outcome: &Outcome, name: &str) -> f64 {
    outcome.facts.iter().find(|fact| fact.name == name).expect("the fact is there").value
}

#[test]
fn produce_counts_whole_requests_whatever_the_acknowledgement() {
    for (acks, connections) in [(Acks::All, 2), (Acks::Leader, 1), (Acks::None, 3)] {
        let batch_size = Some(Size(4096));
        let options = LoadOptions {
            acks: Some(acks),
            connections: Some(connections),
            partitions: Some(3),
            batch_size,
            ..small()
        };
        let outcome = run(Kind::Produce, &options);
        let phase = only_phase(&outcome);
        let figures = &phase.figures;
        let in_request = |name| fact(&outcome, name) as u64;
        assert!(figures.requests > 0, "{acks:?}");
        assert_eq!(figures.records, figures.requests * in_request("records in a request"));
        assert_eq!(figures.payload_bytes, figures.requests * in_request("size of a batch"));
        let samples: Vec<u64> = phase.latencies.iter().map(|latency| latency.summary.samples).collect();
        assert_eq!(samples, if acks == Acks::None { vec![] } else { vec![figures.requests] });
        assert!(!phase.timeline.is_empty());
    }
}

#[test]
fn large_batches_share_their_bytes_and_every_codec_is_sent() {
    for codec in Codec::value_variants() {
        let options = LoadOptions {
            codec: Some(*codec),
            batch_size: Some(Size(1 << 20)),
            in_flight: Some(40),
            ..small()
        };
        let outcome = run(Kind::Produce, &options);
        assert!(only_phase(&outcome).figures.requests > 0, "{codec:?}");
        let shrinks =
            fact(&outcome, "size of a batch") < fact(&outcome, "size of a batch before compression");
        assert_eq!(shrinks, *codec != Codec::None);
    }
}

#[test]
fn single_records_go_round_all_partitions() {
    let address = start_broker();
    let mut client = existing_topic(address, "many", 100);
    for rate in [None, Some(5000.0)] {
        let options = LoadOptions {
            records_per_request: Some(1),
            partitions: Some(100),
            connections: Some(3),
            topic: Some("many".into()),
            rate,
            ..small()
        };
        let outcome = run_against(address, Kind::Produce, &options).expect("the run has a result");
        assert_eq!(fact(&outcome, "records in a request"), 1.0);
        let ends = client.offsets("many", 100, -1).expect("lists");
        let (least, most) = (ends.iter().min().expect("100"), ends.iter().max().expect("100"));
        assert!(most - least <= 2, "{least} to {most}");
    }
}

#[test]
fn every_request_that_was_due_has_its_latency() {
    for connections in [1, 7] {
        let options = LoadOptions {
            rate: Some(200.0),
            seconds: Some(0.5),
            connections: Some(connections),
            in_flight: Some(1),
            ..small()
        };
        let outcome = run(Kind::Produce, &options);
        // However slow the machine: one each 5 ms was due, at either end one more or less.
        let samples = only_phase(&outcome).latencies[0].summary.samples;
        assert!((99..=101).contains(&samples), "{samples}");
    }
}

#[test]
fn consume_reads_every_record_once_a_pass() {
    for readers in [1, 2, 5] {
        let options = LoadOptions {
            seconds: None,
            readers: Some(readers),
            partitions: Some(3),
            bytes: Some(Size(1 << 20)),
            partition_max_bytes: Some(Size(10_000)),
            passes: Some(2),
            verify_checksums: Some(true),
            ..small()
        };
        let outcome = run(Kind::Consume, &options);
        let figures = &only_phase(&outcome).figures;
        assert!(figures.payload_bytes >= 2 << 20, "{}", figures.payload_bytes);
        assert_eq!(figures.records % 2, 0);
    }
}

#[test]
fn consumers_get_what_is_produced_and_each_gets_all() {
    let options = LoadOptions { partitions: Some(2), connections: Some(2), rate: Some(500.0), ..small() };
    let outcome = run(Kind::EndToEnd, &options);
    let phase = only_phase(&outcome);
    let names: Vec<&str> = phase.latencies.iter().map(|latency| latency.name).collect();
    assert_eq!(names, ["end to end", "acknowledgement"]);
    assert_eq!(phase.latencies[0].summary.samples, phase.latencies[1].summary.samples);

    let options = LoadOptions { consumers: Some(3), ..options };
    let outcome = run(Kind::FanOut, &options);
    let samples: Vec<u64> = outcome.phases.iter().map(|phase| phase.latencies[0].summary.samples).collect();
    assert_eq!(samples[0], 3 * samples[1]);
    assert!(samples[1] > 0);
    // Without a schedule nobody knows when a record was due.
    let options = LoadOptions { from: Some(ReadFrom::Tail), ..small() };
    let outcome = run(Kind::Consume, &options);
    assert_eq!(outcome.phases[0].latencies.len(), 0);
    assert!(outcome.phases[0].figures.records > 0);
}

#[test]
fn scenarios_with_several_phases_report_them_all() {
    for (kind, options, phases, name) in [
        (
            Kind::ManyPartitions,
            LoadOptions { partitions: Some(50), ..small() },
            2,
            "throughput over many partitions to one",
        ),
        (
            Kind::Connections,
            LoadOptions { idle_connections: Some(20), ..small() },
            2,
            "memory for an idle connection",
        ),
        (Kind::Soak, LoadOptions { seconds: Some(1.0), ..small() }, 1, "slope of memory"),
    ] {
        let outcome = run(kind, &options);
        assert_eq!(outcome.phases.len(), phases, "{kind:?}");
        assert!(outcome.phases.iter().all(|phase| phase.figures.requests > 0), "{kind:?}");
        assert!(fact(&outcome, name).is_finite(), "{kind:?}");
    }
}

#[test]
fn an_unknown_partition_is_an_error_with_its_name() {
    let address = start_broker();
    existing_topic(address, "small", 1);
    let error = |topic: &str| {
        let options = LoadOptions { topic: Some(topic.into()), partitions: Some(3), ..small() };
        run_against(address, Kind::Produce, &options).expect_err("there are no 3 partitions").to_string()
    };
    assert!(error("small").contains("topic small has 1"));
    assert!(error("absent").contains("absent"));
}

/// A broker that passes on what it is told until it has seen so many bytes, and then hangs up.
fn start_breaking_broker(bytes_max: usize) -> SocketAddr {
    let behind = start_broker();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let mut near = near.expect("accepts");
            let mut far = std::net::TcpStream::connect(behind).expect("connects");
            let (mut answers, mut back) =
                (far.try_clone().expect("another"), near.try_clone().expect("another"));
            std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
            std::thread::spawn(move || {
                let mut seen = 0;
                let mut bytes = vec![0; 64 << 10];
                while let Ok(count) = near.read(&mut bytes) {
                    seen += count;
                    if count == 0 || seen > bytes_max || far.write_all(&bytes[..count]).is_err() {
                        // Both sides are gone for whoever waits on them.
                        near.shutdown(std::net::Shutdown::Both)
                            .and(far.shutdown(std::net::Shutdown::Both))
                            .ok();
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn a_broker_that_hangs_up_gives_an_error_and_its_topic_is_deleted() {
    let address = start_breaking_broker(1 << 20);
    let options = LoadOptions { seconds: Some(5.0), ..small() };
    run_against(address, Kind::Produce, &options).expect_err("the broker hangs up");
    // The topic of the run, by the name that it got.
    let topic = format!("ringmain-bench-{}-1", std::process::id());
    let left = Client::connect(address).and_then(|mut client| client.partition_count(&topic));
    assert_eq!(left.expect("the broker answers"), 0);
}

#[test]
fn compare_pairs_every_number_of_every_target() {
    let targets = ["base", "one", "two"].map(|name| target(name, start_broker()));
    let settings_of_rounds = CompareSettings { rounds: 2, warm_up_rounds: 1, others_max: 1.0 };
    let scenario = scenario(Kind::Produce, &small());
    let comparison =
        compare::run(&scenario, &targets, &settings_of_rounds, &context()).expect("the run has a result");
    assert_eq!(comparison.rounds.len(), 2);
    let names: Vec<&str> = comparison.metrics.iter().map(|metric| metric.name.as_str()).collect();
    for name in ["throughput", "requests", "acknowledgement p50"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(comparison.metrics.iter().all(|metric| metric.targets.len() == 3));
}

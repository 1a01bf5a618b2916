//! Each scenario against the broker that stores nothing. Nothing here depends on how fast it is.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::compare::{self, Target};
use crate::driver::wire::client::Client;
use crate::null_broker;
use crate::report::{Heading, Report};
use crate::scenario::consume::{self, ConsumeSettings};
use crate::scenario::end_to_end;
use crate::scenario::produce::{self, ProduceSettings};

fn start_broker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || null_broker::serve(&listener));
    address
}

fn settings() -> ProduceSettings {
    ProduceSettings {
        record_size_bytes: 100,
        batch_size_bytes: 4096,
        records_per_request: None,
        acks: -1,
        connections: 2,
        in_flight: 5,
        partitions: 3,
        rate: None,
        warm_up: Duration::from_millis(20),
        duration: Duration::from_millis(100),
        configs: Vec::new(),
        keep_topic: false,
        verify: true,
    }
}

fn produce_with(settings: &ProduceSettings) -> produce::ProduceResult {
    let pid = Some(std::process::id());
    produce::run(start_broker(), pid, "topic", settings, 2).expect("the run has a result")
}

#[test]
fn produce_reports_what_the_log_grew_by() {
    for acks in [-1, 1, 0] {
        let result = produce_with(&ProduceSettings { acks, ..settings() });
        let figures = &result.figures;
        assert!(figures.requests > 0, "acks={acks}");
        assert_eq!(figures.records, figures.requests * u64::from(result.records_per_request));
        assert_eq!(figures.payload_bytes, figures.requests * result.batch_bytes as u64);
        assert_eq!(
            result.acknowledgement_us.map(|latency| latency.samples),
            (acks != 0).then_some(figures.requests)
        );
    }
}

#[test]
fn single_records_go_round_all_partitions() {
    let address = start_broker();
    let mut client = Client::connect(address).expect("connects");
    client.create_topic("many", 100, &[]).expect("creates");
    let settings =
        ProduceSettings { records_per_request: Some(1), partitions: 100, keep_topic: true, ..settings() };
    let result = produce::run(address, None, "many", &settings, 2).expect("the run has a result");
    assert_eq!(result.records_per_request, 1);
    assert_eq!(result.figures.broker, None);
    let ends = client.offsets("many", 100, -1).expect("lists");
    let (least, most) = (ends.iter().min().expect("100"), ends.iter().max().expect("100"));
    assert!(most - least <= 1, "{least} to {most}");
}

#[test]
fn a_schedule_is_kept_whatever_the_answers_do() {
    let settings = ProduceSettings {
        rate: Some(200.0),
        duration: Duration::from_millis(500),
        connections: 1,
        in_flight: 1000,
        ..settings()
    };
    let start = Instant::now();
    let result = produce_with(&settings);
    // How many fewer than the schedule allows is a matter of the machine.
    let allowed = 200.0 * start.elapsed().as_secs_f64() + 1.0;
    let requests = result.figures.requests;
    assert!(requests > 0 && (requests as f64) < allowed, "{requests} where {allowed} are allowed");
}

#[test]
fn an_unknown_partition_is_an_error_with_its_name() {
    let address = start_broker();
    Client::connect(address).and_then(|mut client| client.create_topic("small", 1, &[])).expect("creates");
    let settings = ProduceSettings { keep_topic: true, ..settings() };
    let error = produce::run(address, None, "small", &settings, 2).expect_err("3 partitions are asked for");
    assert!(error.to_string().contains("topic small has 1"), "{error}");
    let error = produce::run(address, None, "absent", &settings, 2).expect_err("it was not created");
    assert!(error.to_string().contains("absent"), "{error}");
}

#[test]
fn consume_reads_every_record_once_a_pass() {
    let address = start_broker();
    let mut client = Client::connect(address).expect("connects");
    client.create_topic("full", 3, &[]).expect("creates");
    produce::run(address, None, "full", &ProduceSettings { keep_topic: true, ..settings() }, 2)
        .expect("fills");
    let held: i64 = client.offsets("full", 3, -1).expect("lists").iter().sum();
    for connections in [1, 2, 5] {
        let settings = ConsumeSettings {
            connections,
            partition_max_bytes: 10_000,
            max_bytes: 50 << 20,
            passes: 2,
            verify_checksums: true,
        };
        let result = consume::run(address, None, "full", &settings, 2).expect("the run has a result");
        assert_eq!(i64::try_from(result.figures.records), Ok(2 * held));
    }
}

#[test]
fn end_to_end_consumes_what_is_produced() {
    let settings = ProduceSettings {
        rate: Some(500.0),
        records_per_request: Some(1),
        connections: 1,
        partitions: 1,
        in_flight: 1000,
        ..settings()
    };
    let address = start_broker();
    let result = end_to_end::run(address, None, "topic", &settings, 2).expect("the run has a result");
    let samples = result.end_to_end_us.expect("something was consumed").samples;
    assert_eq!(result.figures.requests, samples);
    let error = end_to_end::run(address, None, "topic", &ProduceSettings { rate: None, ..settings }, 2);
    assert!(error.expect_err("a rate is needed").to_string().contains("--rate"));
}

#[test]
fn compare_counts_rounds_and_reports_in_both_forms() {
    let target = |name: &str| Target {
        name: name.into(),
        address: start_broker(),
        pid: Some(std::process::id()),
        configs: Vec::new(),
    };
    let targets = [target("base"), target("one"), target("two")];
    let mut lines = 0;
    let result = compare::run(&targets, 2, 1.0, "topic", &settings(), 2, |_| lines += 1)
        .expect("the run has a result");
    assert_eq!((lines, result.rounds.len(), result.against_baseline.len()), (2, 2, 2));
    let heading = Heading::new("compare", Some("note".into()), None).expect("has a heading");
    let report = Report::Compare { heading, settings: &settings(), targets: &targets, result: &result };
    for name in ["base", "one", "two", "control"] {
        assert!(report.to_text().contains(name), "{}", report.to_text());
    }
    let json: serde_json::Value = serde_json::from_str(&report.to_json().expect("encodes")).expect("is JSON");
    assert_eq!(json["scenario"], "compare");
    assert_eq!(json["settings"]["warm_up"], 0.02);
    assert_eq!(json["result"]["rounds"].as_array().map(Vec::len), Some(2));
}

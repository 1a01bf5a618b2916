//! Each scenario against the broker that stores nothing. Nothing here depends on how fast it is.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::compare::{self, CompareSettings};
use crate::driver::wire::client::Client;
use crate::null_broker;
use crate::outcome::{Outcome, Phase};
use crate::progress::Progress;
use crate::scenario::consume::ConsumeSettings;
use crate::scenario::produce::ProduceSettings;
use crate::scenario::{self, Context, Scenario};
use crate::target::Target;

fn start_broker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || null_broker::serve(&listener));
    address
}

fn target(name: &str, address: SocketAddr) -> Target {
    let pid = Some(std::process::id());
    Target { name: name.into(), address, pid, data_dir: None, configs: Vec::new() }
}

fn context() -> Context {
    Context { processor_count: 2, topic_prefix: "topic".into(), progress: Progress::silent() }
}

fn run(scenario: &Scenario, address: SocketAddr) -> std::io::Result<Outcome> {
    scenario::run(scenario, &target("broker", address), &context())
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
        topic: None,
        keep_topic: false,
        verify: true,
    }
}

fn existing_topic(address: SocketAddr, topic: &str, partitions: u32) -> Client {
    let mut client = Client::connect(address).expect("connects");
    client.create_topic(topic, partitions, &[]).expect("creates");
    client
}

fn produce_with(settings: &ProduceSettings, address: SocketAddr) -> Outcome {
    run(&Scenario::Produce(settings.clone()), address).expect("the run has a result")
}

fn only_phase(outcome: &Outcome) -> &Phase {
    assert_eq!(outcome.phases.len(), 1);
    &outcome.phases[0]
}

fn fact(outcome: &Outcome, name: &str) -> f64 {
    outcome.facts.iter().find(|fact| fact.name == name).expect("the fact is there").value
}

#[test]
fn produce_reports_what_the_log_grew_by() {
    for acks in [-1, 1, 0] {
        let outcome = produce_with(&ProduceSettings { acks, ..settings() }, start_broker());
        let phase = only_phase(&outcome);
        let figures = &phase.figures;
        let in_request = |name| fact(&outcome, name) as u64;
        assert!(figures.requests > 0, "acks={acks}");
        assert_eq!(figures.records, figures.requests * in_request("records in a request"));
        assert_eq!(figures.payload_bytes, figures.requests * in_request("size of a batch"));
        let samples: Vec<u64> = phase.latencies.iter().map(|latency| latency.summary.samples).collect();
        assert_eq!(samples, if acks == 0 { vec![] } else { vec![figures.requests] });
    }
}

#[test]
fn single_records_go_round_all_partitions() {
    let address = start_broker();
    let mut client = existing_topic(address, "many", 100);
    let settings = ProduceSettings {
        records_per_request: Some(1),
        partitions: 100,
        topic: Some("many".into()),
        keep_topic: true,
        ..settings()
    };
    let outcome = produce_with(&settings, address);
    assert_eq!(fact(&outcome, "records in a request"), 1.0);
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
    let outcome = produce_with(&settings, start_broker());
    // How many fewer than the schedule allows is a matter of the machine.
    let allowed = 200.0 * start.elapsed().as_secs_f64() + 1.0;
    let requests = only_phase(&outcome).figures.requests;
    assert!(requests > 0 && (requests as f64) < allowed, "{requests} where {allowed} are allowed");
}

#[test]
fn an_unknown_partition_is_an_error_with_its_name() {
    let address = start_broker();
    existing_topic(address, "small", 1);
    let error = |topic: &str| {
        let settings = ProduceSettings { topic: Some(topic.into()), keep_topic: true, ..settings() };
        run(&Scenario::Produce(settings), address).expect_err("there are no 3 partitions").to_string()
    };
    assert!(error("small").contains("topic small has 1"));
    assert!(error("absent").contains("absent"));
}

#[test]
fn consume_reads_every_record_once_a_pass() {
    let address = start_broker();
    let mut client = existing_topic(address, "full", 3);
    produce_with(&ProduceSettings { topic: Some("full".into()), keep_topic: true, ..settings() }, address);
    let held: i64 = client.offsets("full", 3, -1).expect("lists").iter().sum();
    for connections in [1, 2, 5] {
        let settings = ConsumeSettings {
            topic: "full".into(),
            evict: None,
            connections,
            partition_max_bytes: 10_000,
            max_bytes: 50 << 20,
            passes: 2,
            verify_checksums: true,
        };
        let outcome = run(&Scenario::Consume(settings), address).expect("the run has a result");
        assert_eq!(i64::try_from(only_phase(&outcome).figures.records), Ok(2 * held));
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
    let outcome = run(&Scenario::EndToEnd(settings.clone()), address).expect("the run has a result");
    let phase = only_phase(&outcome);
    assert_eq!(phase.latencies[0].name, "end to end");
    assert_eq!(phase.figures.requests, phase.latencies[0].summary.samples);
    let error = run(&Scenario::EndToEnd(ProduceSettings { rate: None, ..settings }), address);
    assert!(error.expect_err("a rate is needed").to_string().contains("--rate"));
}

#[test]
fn compare_pairs_every_number_of_every_target() {
    let targets = ["base", "one", "two"].map(|name| target(name, start_broker()));
    let settings_of_rounds = CompareSettings { rounds: 2, warm_up_rounds: 1, others_max: 1.0 };
    let scenario = Scenario::Produce(settings());
    let comparison =
        compare::run(&scenario, &targets, &settings_of_rounds, &context()).expect("the run has a result");
    assert_eq!(comparison.rounds.len(), 2);
    let names: Vec<&str> = comparison.metrics.iter().map(|metric| metric.name.as_str()).collect();
    for name in ["throughput", "requests", "acknowledgement p50", "acknowledgement p99"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(comparison.metrics.iter().all(|metric| metric.targets.len() == 3));
}

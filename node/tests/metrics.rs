//! What operators collect of a running node: the text of `/metrics`, and the stages that produced batches pass through.

mod support;

use std::collections::BTreeMap;
use std::time::Instant;
use support::bounds;
use support::frames::{self, Connection};
use support::openmetrics::{self, Family};
use support::server::Server;

const STAGES: &str = "ringmain_produce_stage_seconds";

fn collect(server: &Server) -> BTreeMap<String, Family> {
    let text = bounds::metrics_text(server);
    openmetrics::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

fn count(family: &Family, stage: &str) -> f64 {
    family.sum("_count", &[("stage", stage)])
}

#[test]
fn each_batch_counts_once_in_each_stage_that_it_passes() {
    let server = Server::start("stages");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "flushed", 2, &[]);
    frames::create_topic(server.address(), "cached", 1, &[("write.caching", "true")]);
    let begun = Instant::now();
    // The two shards own one partition of the first topic each, and one of them has the connection.
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let batch = frames::batch(&[b"one", b"two"]);
    for number in 0..10 {
        for (topic, partition) in [("flushed", 0), ("flushed", 1), ("cached", 0)] {
            let answer = connection.ask(&frames::produce(number, topic, partition, -1, &batch));
            assert_eq!(frames::produced(&answer), (0, 2 * i64::from(number)));
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let families = collect(&server);
    assert_eq!(families["ringmain_build"].sum("_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    let stages = &families[STAGES];
    assert_eq!((stages.kind.as_str(), stages.unit.as_str()), ("histogram", "seconds"));
    for stage in ["parse", "queue", "append", "respond"] {
        assert_eq!(count(stages, stage), 30.0, "{stage}");
    }
    let crossed = count(stages, "cross_core");
    assert!(crossed == 10.0 || crossed == 20.0, "{crossed}: the cached topic is on one side or the other");
    let (written, at_once) = (count(stages, "write"), count(stages, "write_and_flush"));
    assert_eq!(written + at_once, 30.0, "every batch was written");
    assert!(written >= 10.0, "a batch of the cached topic does not wait for a flush");
    assert_eq!(count(stages, "flush") + at_once, 20.0, "and the others were flushed");
    assert_eq!(count(stages, "replicate"), 0.0, "there is one replica");

    let total = stages.sum("_sum", &[]);
    println!("{total:.6} of {elapsed:.6} s were spent in the stages");
    assert!(
        total > 0.0 && total < elapsed,
        "requests one after the other cannot take longer than all of them"
    );
    for stage in ["parse", "append", "respond"] {
        assert!(stages.sum("_sum", &[("stage", stage)]) > 0.0, "{stage} takes time");
    }
}

#[test]
fn batches_that_wait_for_nothing_count_in_no_round() {
    let server = Server::start("stages-unacknowledged");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", 1, &[]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let batch = frames::batch(&[b"one"]);
    for number in 0..5 {
        assert!(connection.send(&frames::produce(number, "log", 0, 0, &batch)));
    }
    // Not in the log, so not appended either.
    let refused = connection.ask(&frames::produce(5, "absent", 0, -1, &batch));
    assert_eq!(frames::produced(&refused).0, 3);
    let answer = connection.ask(&frames::produce(6, "log", 0, -1, &batch));
    assert_eq!(frames::produced(&answer), (0, 5));
    let families = collect(&server);
    let stages = &families[STAGES];
    let counts = ["parse", "append", "queue", "respond"].map(|stage| count(stages, stage));
    assert_eq!(counts, [7.0, 6.0, 1.0, 7.0]);
}

//! A made-up comparison for the tests of the reports, with names and settings that try to break out.

use std::path::PathBuf;

use super::{Heading, Measured, Report};
use crate::compare::{Comparison, Round};
use crate::context::broker::TargetFacts;
use crate::context::configuration::{Setting, Source};
use crate::context::disk::{BlockDevice, Disk};
use crate::context::durability::{Durability, Promise};
use crate::context::harness::Harness;
use crate::context::machine::Machine;
use crate::context::process::Process;
use crate::context::software::{Kind, Software};
use crate::outcome::{Interval, Outcome};

/// A text that would be a script if it were not escaped.
pub(super) const HOSTILE: &str =
    "</script></pre><script src=\"http://example.org/x.js\">alert('1')</script>&";

/// Ratios of the second target to the first, by round.
const RATIOS: [f64; 3] = [2.0, 2.5, 3.0];

/// A comparison of three rounds.
pub(super) fn comparison() -> Report {
    let rounds = RATIOS.iter().map(|ratio| Round {
        outcomes: vec![outcome(800.0, 1.2), outcome(800.0 * ratio, 1.2 / ratio)],
        control: outcome(792.0, 1.212),
    });
    let rounds = rounds.collect();
    let comparison = Comparison { rounds, disturbed_rounds: 1, metrics: Vec::new(), doubts: Vec::new() };
    heading(&["kafka", "ringmain"]).report(Measured::Comparison(comparison), Vec::new())
}

/// One run, with a doubt.
pub(super) fn run() -> Report {
    let doubts = vec![format!("others used the machine {HOSTILE}")];
    heading(&["kafka"]).report(Measured::Outcome(outcome(800.0, 1.2)), doubts)
}

fn outcome(megabytes_per_second: f64, cpu_seconds_per_gigabyte: f64) -> Outcome {
    let mut outcome = crate::outcome::tests::outcome(megabytes_per_second, cpu_seconds_per_gigabyte, 0.02);
    let slice = |index: u32| Interval {
        end_seconds: f64::from(index) * 0.5,
        megabytes_per_second,
        requests_per_second: megabytes_per_second * 15.0,
        p99_us: Some(400.0 + f64::from(index)),
        broker_busy_processors: Some(0.98),
        broker_rss_bytes: Some(300 << 20),
    };
    outcome.phases[0].timeline = (1..=4).map(slice).collect();
    outcome
}

fn heading(names: &[&str]) -> Heading {
    Heading {
        scenario: "produce",
        workload: "[produce]\nrecord_size_bytes = 1024\n".to_owned(),
        started: "2026-01-02T03:04:05Z".to_owned(),
        command_line: vec!["ringmain-bench".into(), "compare".into(), HOSTILE.into()],
        note: Some(HOSTILE.to_owned()),
        harness: Harness {
            version: "0.1.0".into(),
            commit: Some("0123456789abcdef".into()),
            is_dirty: false,
        },
        machine: Machine {
            processor: "Example 9000".into(),
            processor_count: 2,
            governor: None,
            virtualisation: Some("KVM".into()),
            kernel: "6.18.0".into(),
            memory_bytes: 24 << 30,
            memory_available_bytes: 20 << 30,
            reports_free_pages: true,
            load_average: Some(0.25),
        },
        targets: names.iter().map(|name| target(name)).collect(),
        disk: None,
    }
}

fn target(name: &str) -> TargetFacts {
    let is_kafka = name == "kafka";
    let setting = |name: &str, value: &str, source| Setting {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        source,
        bears_on_durability: name.starts_with("flush"),
    };
    let flush = if is_kafka { "9223372036854775807" } else { "1" };
    TargetFacts {
        name: name.to_owned(),
        address: "127.0.0.1:9092".parse().expect("an address"),
        software: Software {
            kind: if is_kafka { Kind::Kafka } else { Kind::Ringmain },
            name: if is_kafka { "Apache Kafka" } else { "Ringmain" }.to_owned(),
            version: Some("3.9.1".to_owned()),
            commit: None,
            grounds: "its process has a jar".to_owned(),
        },
        durability: Durability {
            promise: if is_kafka { Promise::Memory } else { Promise::Flushed },
            sentence: format!("{name} acknowledges as it likes"),
            grounds: "made up".to_owned(),
        },
        topic_configuration: vec![
            setting("flush.messages", flush, Source::Default),
            setting("segment.bytes", HOSTILE, Source::Topic),
        ],
        broker_configuration: Vec::new(),
        process: Some(process(name)),
        other_processes: Vec::new(),
        rss_after_bytes: None,
        data_directories: vec![PathBuf::from("/data")],
        disk: Some(disk()),
        unknown: vec![format!("broker configuration: {HOSTILE}")],
    }
}

fn process(name: &str) -> Process {
    Process {
        // No process has this id, so that nothing of this machine gets into the report.
        pid: u32::MAX,
        command_line: vec![name.to_owned(), HOSTILE.to_owned()],
        executable: None,
        executable_modified: None,
        allowed_processors: [("0".to_owned(), 12)].into(),
        scheduling: [("SCHED_OTHER, nice -10".to_owned(), 12)].into(),
        rss_bytes: 512 << 20,
        limits: Vec::new(),
    }
}

fn disk() -> Disk {
    Disk {
        path: PathBuf::from("/data"),
        mount_point: "/".to_owned(),
        filesystem: "ext4".to_owned(),
        mount_options: "rw,noatime".to_owned(),
        size_bytes: 250 << 30,
        free_bytes: 50 << 30,
        device: Some(BlockDevice {
            name: "vda".to_owned(),
            model: None,
            size_bytes: 256 << 30,
            scheduler: Some("none".to_owned()),
            write_cache: Some("write back".to_owned()),
            is_rotational: Some(false),
            made_of: Vec::new(),
        }),
    }
}

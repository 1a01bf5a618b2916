//! Text and JSON of a made-up report: the pieces that readers and programs rely on.

use std::collections::BTreeSet;

use serde_json::Value;

use super::sample;

/// Paths of all names in a JSON value; elements of lists have no name of their own.
fn names(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                names(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| names(element, path, found)),
        _ => {}
    }
}

#[test]
fn json_has_the_names_that_programs_look_for() {
    let json = sample::comparison().to_json().expect("can be written");
    assert!(!json.contains('\n'), "one line");
    let value: Value = serde_json::from_str(&json).expect("is JSON");
    let mut found = BTreeSet::new();
    names(&value, "", &mut found);
    for name in [
        ".schema",
        ".scenario",
        ".workload",
        ".started",
        ".command_line",
        ".note",
        ".harness.commit",
        ".harness.is_dirty",
        ".machine.processor",
        ".machine.kernel",
        ".machine.virtualisation",
        ".targets.name",
        ".targets.address",
        ".targets.software.name",
        ".targets.software.version",
        ".targets.durability.promise",
        ".targets.durability.sentence",
        ".targets.topic_configuration.name",
        ".targets.topic_configuration.value",
        ".targets.topic_configuration.source",
        ".targets.process.command_line",
        ".targets.process.allowed_processors",
        ".targets.disk.filesystem",
        ".targets.disk.device.write_cache",
        ".targets.unknown",
        ".doubts",
        ".notes",
        ".comparison.disturbed_rounds",
        ".comparison.metrics",
        ".comparison.rounds.control.phases",
        ".comparison.rounds.outcomes.phases.name",
        ".comparison.rounds.outcomes.phases.figures.megabytes_per_second",
        ".comparison.rounds.outcomes.phases.figures.broker.cpu_seconds_per_gigabyte",
        ".comparison.rounds.outcomes.phases.latencies.summary.p99",
        ".comparison.rounds.outcomes.phases.latencies.percentiles",
        ".comparison.rounds.outcomes.phases.timeline.end_seconds",
        ".comparison.rounds.outcomes.facts.value",
    ] {
        assert!(found.contains(name), "{name} is not among {found:#?}");
    }
    assert_eq!(value["schema"], 1);
    assert_eq!(value["targets"][0]["durability"]["promise"], "memory");
    assert_eq!(value["comparison"]["rounds"].as_array().map(Vec::len), Some(3));
    let run: Value =
        serde_json::from_str(&sample::run().to_json().expect("can be written")).expect("is JSON");
    assert!(run["outcome"]["phases"].is_array());
}

#[test]
fn text_shows_conditions_ratios_and_doubts() {
    let text = sample::comparison().to_text();
    for line in [
        "scenario    produce",
        "harness     ringmain-bench 0.1.0 (0123456789ab)",
        "machine     2 x Example 9000, 24.0 GiB of memory (20.0 GiB available), Linux 6.18.0, under KVM",
        "broker      kafka: Apache Kafka 3.9.1 at 127.0.0.1:9092",
        "            data in /data: ext4 (rw,noatime) on vda, scheduler none, write cache write back, 50.0 GiB of 250 GiB free",
        "rounds      3 counted, 1 disturbed and repeated",
        "doubts      none that the harness looks for",
    ] {
        assert!(text.lines().any(|found| found == line), "missing: {line}\n{text}");
    }
    let throughput = text.lines().find(|line| line.starts_with("throughput")).expect("has a line");
    for piece in ["MB/s", "800", "2,000 (1,600 to 2,400)", "2.50 (2.00 to 3.00) better", "0.990", "more"] {
        assert!(throughput.contains(piece), "missing {piece}: {throughput}");
    }
    assert!(text.contains("flush.messages=9223372036854775807 = never"));
    assert!(sample::run().to_text().contains("\nDOUBT       others used the machine"));
}

#[test]
fn columns_of_the_table_stand_below_one_another() {
    let text = sample::comparison().to_text();
    let mut rows = text.lines().skip_while(|line| !line.contains("ratio to kafka"));
    let head = rows.next().expect("has a head");
    let at = head.find("kafka").expect("names the target");
    let throughput = rows.find(|line| line.starts_with("throughput")).expect("has a line");
    assert_eq!(&throughput[at..at + 3], "800", "{head}\n{throughput}");
}

#[test]
fn doubts_that_differ_in_numbers_are_one() {
    let doubts: Vec<String> =
        ["a: others used 12 %", "b: others used 13 %", "a: others used 40 %"].map(str::to_owned).into();
    assert_eq!(
        super::text::grouped(&doubts),
        ["a: others used 12 % (the first of 2 alike)", "b: others used 13 %"]
    );
}

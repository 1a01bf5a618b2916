//! Every API and version on the wire: our answers beside those that Kafka 3.9.1 and 4.2.0 gave to the same bytes.
//!
//! An answer must be one of the two recorded ones, and Kafka's own classes must read it to its last byte. What differs on
//! purpose is listed, with its reason, in `recorded/differences.txt`; an entry that matches nothing any more is an error too.
//!
//! To record Kafka's answers anew (after a scenario was changed): `cargo test --test wire -- --ignored record`;
//! with `KAFKA_TEST_SCENARIO=fetch,metadata` those of some scenarios.

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::reference::{Reference, VERSIONS};
use support::server::Server;
use support::tools;
use support::transcript::{self, Answer};

/// Played where no coordinator has been asked for: the topic of the offsets would be among all topics.
const PLAIN: [&str; 25] = [
    "alter_partition_reassignments",
    "api_versions",
    "batch_lies",
    "batch_lies_header",
    "configs",
    "create_partitions",
    "create_topics",
    "delete_records",
    "delete_topics",
    "describe_cluster",
    "describe_quorum",
    "describe_topic_partitions",
    "elect_leaders",
    "fetch",
    "fetch_by_id",
    "fetch_sessions",
    "idempotence",
    "list_offsets",
    "metadata",
    "offset_for_leader_epoch",
    "old_produce",
    "produce",
    "unregister_broker",
    "unsupported",
    "update_features",
];
/// Played afterwards, or on other servers, because they wait for seconds; the longest first.
const GROUPS: [&str; 15] = [
    "group_leave",
    "group_sync",
    "group_static",
    "group_join",
    "groups_seen",
    "offset_delete",
    "offset_commit",
    "offset_fetch",
    "find_coordinator",
    "internal_topics",
    "alter_configs",
    "describe_log_dirs",
    "describe_producers",
    "list_partition_reassignments",
    "sasl",
];

/// The release whose classes write the requests and read the answers.
const PLAYER: &str = "4.2.0";
/// A failure shows this many differences of a scenario; the first ones tell what is wrong.
const SHOWN_MAX: usize = 400;

/// An intended difference: `scenario | heading | path | reason`; `*` stands for any text.
struct Intended {
    scenario: String,
    step: String,
    path: String,
    /// Depends on chance, so that it need not occur in every run: its reason begins with "sometimes".
    sometimes: bool,
}

fn intended() -> Vec<Intended> {
    let text =
        fs::read_to_string(tools::sources().join("recorded/differences.txt")).expect("the table can be read");
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let [scenario, step, path, reason] = parts[..] else { panic!("four parts are needed: {line}") };
            assert!(reason.len() > 10, "a difference needs a reason: {line}");
            let sometimes = reason.starts_with("sometimes");
            Intended { scenario: scenario.into(), step: step.into(), path: path.into(), sometimes }
        })
        .collect()
}

/// Whether a text has the form of a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|&at| rest.is_char_boundary(at)).any(|at| matches(after, &rest[at..]))
        }),
    }
}

/// Whether the broker gave an answer at all.
fn answered(answer: &Value) -> bool {
    !answer.is_string()
}

fn check(scenario: &str, ours: &[Answer], report: &mut String, used: &mut BTreeSet<usize>) {
    let text = fs::read_to_string(tools::sources().join(format!("recorded/{scenario}.txt")))
        .expect("each scenario has recorded answers");
    let [old, new] = transcript::read_recorded(&text, VERSIONS);
    let table = intended();
    let mut shown = 0;
    for (index, answer) in ours.iter().enumerate() {
        let (Some(old), Some(new)) = (old.get(index), new.get(index)) else {
            writeln!(report, "{scenario}: recorded before its last change; record it anew").expect("text");
            return;
        };
        let asked = (&answer.step, &answer.api, answer.version);
        if asked != (&new.step, &new.api, new.version) {
            writeln!(report, "{scenario}: {asked:?} was not recorded here; record it anew").expect("text");
            return;
        }
        if [old, new].iter().any(|kafka| transcript::differences(&answer.answer, &kafka.answer).is_empty()) {
            continue;
        }
        let kafka = if answered(&new.answer) || !answered(&old.answer) { new } else { old };
        for (path, ours, theirs) in transcript::differences(&answer.answer, &kafka.answer) {
            let entry = table.iter().position(|entry| {
                matches(&entry.scenario, scenario)
                    && matches(&entry.step, &answer.step)
                    && matches(&entry.path, &path)
            });
            if let Some(entry) = entry {
                used.insert(entry);
                continue;
            }
            shown += 1;
            if shown <= SHOWN_MAX {
                let cut = |value: &Value| value.to_string().chars().take(300).collect::<String>();
                writeln!(
                    report,
                    "{scenario}: \"{}\" answer {index}, {} v{} at {path}: ours {}, Kafka's {}",
                    answer.step,
                    answer.api,
                    answer.version,
                    cut(&ours),
                    cut(&theirs)
                )
                .expect("text");
            }
        }
    }
    if ours.len() != new.len() {
        writeln!(report, "{scenario}: {} answers, Kafka gave {}", ours.len(), new.len()).expect("text");
    }
    if shown > SHOWN_MAX {
        writeln!(report, "{scenario}: {} more differences", shown - SHOWN_MAX).expect("text");
    }
}

/// Every version that the server lists must have been asked and answered in some scenario.
fn check_coverage(played: &[Answer], report: &mut String) {
    let listed = played
        .iter()
        .find(|answer| answer.api == "ApiVersions" && answer.version == 0 && answered(&answer.answer))
        .and_then(|answer| answer.answer["apiKeys"].as_array());
    let Some(listed) = listed else {
        writeln!(report, "the server does not list its versions").expect("text");
        return;
    };
    let seen: BTreeSet<(i64, i64)> = played
        .iter()
        .filter(|answer| answered(&answer.answer))
        .filter_map(|answer| Some((answer.key?, answer.version)))
        .collect();
    for api in listed {
        let number = |name: &str| api[name].as_i64().expect("a range of versions holds numbers");
        let key = number("apiKey");
        for version in number("minVersion")..=number("maxVersion") {
            // Listed for old librdkafka, and refused by us as by Kafka: the scenario old_produce.
            let refused = key == 0 && version < 3;
            if !refused && !seen.contains(&(key, version)) {
                writeln!(report, "API {key} version {version} is listed, but no scenario got an answer")
                    .expect("text");
            }
        }
    }
}

/// Whether all scenarios are to be played, or just this one.
fn is_asked_for(scenario: &str) -> bool {
    std::env::var("KAFKA_TEST_SCENARIO").map_or(true, |only| only.split(',').any(|only| only == scenario))
}

/// Plays scenarios until none is left; the answers to each.
fn play_from(
    scenarios: &[&'static str],
    next: &AtomicUsize,
    class_path: &str,
    server: &Server,
) -> Vec<Played> {
    let mut played = Vec::new();
    while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
        if is_asked_for(scenario) {
            played.push((*scenario, transcript::play(class_path, server.address(), scenario)));
        }
    }
    played
}

type Played = (&'static str, Result<Vec<Answer>, String>);

#[test]
fn answers_are_kafkas() {
    let class_path = or_skip!(tools::java_program("wire", PLAYER));
    let server = Server::start("wire");
    let (plain, groups) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut played = if server.is_ours() {
        // Members of groups mostly wait: three servers at once take no longer than the slowest.
        let others = [Server::start("wire-groups"), Server::start("wire-groups")];
        thread::scope(|scope| {
            let lanes = others.each_ref().map(|other| {
                let (class_path, groups) = (&class_path, &groups);
                scope.spawn(move || play_from(&GROUPS, groups, class_path, other))
            });
            let mut played = play_from(&PLAIN, &plain, &class_path, &server);
            for lane in lanes {
                played.extend(lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            played
        })
    } else {
        let mut played = play_from(&PLAIN, &plain, &class_path, &server);
        played.extend(play_from(&GROUPS, &groups, &class_path, &server));
        played
    };
    played.sort_by_key(|(scenario, _)| *scenario);

    let (mut report, mut answers, mut used) = (String::new(), Vec::new(), BTreeSet::new());
    for (scenario, result) in played {
        match result {
            Ok(given) => {
                check(scenario, &given, &mut report, &mut used);
                answers.extend(given);
            }
            Err(failure) => writeln!(report, "{scenario} cannot be played: {failure}").expect("text"),
        }
    }
    if std::env::var("KAFKA_TEST_SCENARIO").is_err() && server.is_ours() {
        check_coverage(&answers, &mut report);
        for (index, entry) in
            intended().iter().enumerate().filter(|(index, entry)| !entry.sometimes && !used.contains(index))
        {
            writeln!(
                report,
                "differences.txt: entry {index} ({} | {} | {}) matches nothing any more",
                entry.scenario, entry.step, entry.path
            )
            .expect("text");
        }
    }
    assert!(report.is_empty(), "answers that are not Kafka's:\n{report}");
}

#[test]
fn recorded_text_is_read_as_it_was_written() {
    for scenario in PLAIN.iter().chain(&GROUPS) {
        let text =
            fs::read_to_string(tools::sources().join(format!("recorded/{scenario}.txt"))).expect("recorded");
        let [old, new] = transcript::read_recorded(&text, VERSIONS);
        assert_eq!(transcript::write_recorded(VERSIONS, [&old, &new]), text, "{scenario}");
    }
}

#[test]
fn a_changed_answer_is_noticed() {
    let kafka =
        serde_json::json!({"topics": [{"name": "a", "errorCode": 0, "errorMessage": "x"}], "n": null});
    let same = serde_json::json!({"topics": [{"name": "a", "errorCode": 0, "errorMessage": "y"}], "n": null});
    assert!(transcript::differences(&kafka, &same).is_empty());
    for changed in [
        serde_json::json!({"topics": [{"name": "a", "errorCode": 3, "errorMessage": "x"}], "n": null}),
        serde_json::json!({"topics": [{"name": "a", "errorCode": 0, "errorMessage": null}], "n": null}),
        serde_json::json!({"topics": [{"name": "b", "errorCode": 0, "errorMessage": "x"}], "n": null}),
        serde_json::json!({"topics": [], "n": null}),
        serde_json::json!({"topics": [{"name": "a", "errorCode": 0, "errorMessage": "x"}]}),
        serde_json::json!("closed"),
    ] {
        assert!(!transcript::differences(&kafka, &changed).is_empty(), "{changed}");
    }
    assert!(matches("a*c", "abc") && matches("*", "") && !matches("a*c", "abd"));
}

#[test]
#[ignore = "starts two releases of Kafka and replaces the recorded answers"]
fn record() {
    let class_path = tools::java_program("wire", PLAYER).expect("Java and Maven are needed to record");
    let brokers = VERSIONS.map(Reference::start);
    let mut requests = BTreeMap::new();
    for scenario in PLAIN.iter().chain(&GROUPS).filter(|scenario| is_asked_for(scenario)) {
        let answers = thread::scope(|scope| {
            let class_path = &class_path;
            let players = brokers
                .each_ref()
                .map(|broker| scope.spawn(move || transcript::play(class_path, broker.address(), scenario)));
            players.map(|player| {
                let answers = player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                answers.expect("Kafka answers the scenario")
            })
        });
        let text = transcript::write_recorded(VERSIONS, [&answers[0], &answers[1]]);
        for answer in answers[1].iter().filter(|answer| !answer.request.is_empty()) {
            requests.entry((answer.key, answer.version)).or_insert_with(|| answer.request.clone());
        }
        fs::write(tools::sources().join(format!("recorded/{scenario}.txt")), text)
            .expect("the answers can be kept");
    }
    if std::env::var_os("KAFKA_TEST_SCENARIO").is_some() {
        return;
    }
    // One valid request of each API and version: what the hostile frames are made from.
    let lines: String = requests.values().map(|request| format!("{request}\n")).collect();
    fs::write(tools::sources().join("recorded/requests.hex"), lines).expect("the requests can be kept");
}

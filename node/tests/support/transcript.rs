//! Transcripts of raw requests and their answers: taken from a broker, kept as text, compared.
//!
//! A scenario (`scenarios/*.txt`) is played by a Java program that uses Kafka's own message classes. What Kafka answered
//! is kept in `recorded/*.txt`, one line for each answer: the versions that got it, the brokers that gave it, the answer.

use super::tools;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

/// One answer of one broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Heading of the scenario under which it was asked.
    pub(crate) step: String,
    /// Name of the API in Kafka's schemas; `raw` for bytes written by hand.
    pub(crate) api: String,
    pub(crate) version: i64,
    /// Key of the API; absent from what was recorded.
    pub(crate) key: Option<i64>,
    pub(crate) answer: Value,
    /// The request without its size, in hexadecimal digits; absent from what was recorded.
    pub(crate) request: String,
}

/// Plays a scenario against a broker.
pub(crate) fn play(class_path: &str, broker: SocketAddr, scenario: &str) -> Result<Vec<Answer>, String> {
    let file = tools::sources().join("scenarios").join(format!("{scenario}.txt"));
    let output = tools::run(
        tools::java(class_path)
            .args(["Transcript", &broker.ip().to_string(), &broker.port().to_string()])
            .arg(file),
    )?;
    Ok(output.lines().map(parse_played).collect())
}

fn parse_played(line: &str) -> Answer {
    let mut value: Value = serde_json::from_str(line).expect("the player prints JSON");
    let text = |name: &str| value[name].as_str().expect("a text").to_owned();
    let number = |name: &str| value[name].as_i64().expect("a number");
    let (step, api, request) = (text("step"), text("api"), text("request"));
    let (version, key) = (number("version"), Some(number("key")));
    Answer { step, api, version, key, answer: value["answer"].take(), request }
}

/// Writes what two brokers answered to the same scenario; equal answers of successive versions share a line.
pub(crate) fn write_recorded(brokers: [&str; 2], answers: [&[Answer]; 2]) -> String {
    assert_eq!(answers[0].len(), answers[1].len(), "both brokers were asked the same");
    let mut text = String::new();
    let mut step = "";
    let mut index = 0;
    while index < answers[0].len() {
        let (first, second) = (&answers[0][index], &answers[1][index]);
        if first.step != step {
            step = &first.step;
            writeln!(text, "== {step}").expect("a string takes text");
        }
        let mut last = index;
        while let Some(next) = answers[0].get(last + 1) {
            let continues = next.step == step
                && next.api == first.api
                && next.version == answers[0][last].version + 1
                && next.answer == first.answer
                && answers[1][last + 1].answer == second.answer;
            if !continues {
                break;
            }
            last += 1;
        }
        let versions = format!("{} {}-{}", first.api, first.version, answers[0][last].version);
        if first.answer == second.answer {
            writeln!(text, "{versions} both {}", first.answer).expect("a string takes text");
        } else {
            for (broker, answer) in [(brokers[0], first), (brokers[1], second)] {
                writeln!(text, "{versions} {broker} {}", answer.answer).expect("a string takes text");
            }
        }
        index = last + 1;
    }
    text
}

/// What both brokers answered, version by version, in the order in which it was asked.
pub(crate) fn read_recorded(text: &str, brokers: [&str; 2]) -> [Vec<Answer>; 2] {
    let mut recorded = [Vec::new(), Vec::new()];
    let mut step = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("== ") {
            step = heading.to_owned();
            continue;
        }
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [api, versions, broker, json] = words[..] else {
            panic!("a recorded line has four parts: {line}")
        };
        let (from, to) = if let Some(raw) = versions.strip_prefix("-1-") {
            assert_eq!(raw, "-1");
            (-1, -1)
        } else {
            let (from, to) = versions.split_once('-').expect("a range of versions");
            (from.parse().expect("a version"), to.parse().expect("a version"))
        };
        let answer: Value = serde_json::from_str(json).expect("a recorded answer is JSON");
        for (index, name) in brokers.iter().enumerate() {
            if broker != "both" && broker != *name {
                continue;
            }
            for version in from..=to {
                let (step, api, answer) = (step.clone(), api.to_owned(), answer.clone());
                recorded[index].push(Answer {
                    step,
                    api,
                    version,
                    key: None,
                    answer,
                    request: String::new(),
                });
            }
        }
    }
    recorded
}

/// The leaves in which two answers differ: where, what the first has, what the second has.
pub(crate) fn differences(first: &Value, second: &Value) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    compare("", first, second, &mut found);
    found
}

fn compare(path: &str, first: &Value, second: &Value, found: &mut Vec<(String, Value, Value)>) {
    match (first, second) {
        (Value::Object(left), Value::Object(right)) => {
            let left: BTreeMap<String, &Value> =
                left.iter().map(|(name, value)| (name.clone(), value)).collect();
            let right: BTreeMap<String, &Value> =
                right.iter().map(|(name, value)| (name.clone(), value)).collect();
            compare_named(path, &left, &right, found);
        }
        (Value::Array(left), Value::Array(right)) => compare_named(path, &named(left), &named(right), found),
        // Texts for people say the same in different words.
        (Value::String(_), Value::String(_)) if path.to_ascii_lowercase().ends_with("errormessage") => {}
        _ if first == second => {}
        _ => found.push((path.to_owned(), first.clone(), second.clone())),
    }
}

fn compare_named(
    path: &str,
    left: &BTreeMap<String, &Value>,
    right: &BTreeMap<String, &Value>,
    found: &mut Vec<(String, Value, Value)>,
) {
    let absent = Value::String("(absent)".into());
    let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for name in names {
        let path = format!("{path}/{name}");
        match (left.get(name), right.get(name)) {
            (Some(left), Some(right)) => compare(&path, left, right, found),
            (left, right) => {
                let shown = |value: Option<&&Value>| value.map_or(absent.clone(), |value| (*value).clone());
                found.push((path, shown(left), shown(right)));
            }
        }
    }
}

/// The elements of a list by the field that names them, so that one more or less does not shift the rest; else by number.
fn named(list: &[Value]) -> BTreeMap<String, &Value> {
    const NAMES: [&str; 10] = [
        "name",
        "topic",
        "partitionIndex",
        "index",
        "partition",
        "apiKey",
        "resourceName",
        "groupId",
        "memberId",
        "key",
    ];
    for field in NAMES {
        let by_name: BTreeMap<String, &Value> = list
            .iter()
            .filter_map(|element| match element.get(field)? {
                Value::String(text) => Some((text.clone(), element)),
                Value::Number(number) => Some((number.to_string(), element)),
                _ => None,
            })
            .collect();
        if !list.is_empty() && by_name.len() == list.len() {
            return by_name;
        }
    }
    list.iter().enumerate().map(|(index, element)| (format!("{index:04}"), element)).collect()
}

//! Kafka's own command line tools print about our server what they print about Kafka.
//!
//! Scripts of commands (`scenarios/tools`) are played by `java/tools` with the tools of two releases. What each release printed
//! about Kafka 3.9.1 and about Kafka 4.2.0 is recorded in `recorded/tools`; what it prints about us must be one of the two. What
//! differs on purpose stands in `recorded/tools/differences.txt`; an entry that matches nothing any more is an error too.
//!
//! To record anew after a script was changed: `cargo test --test kafka_tools -- --ignored record`.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use support::ran::{self, Release};
use support::reference::{Reference, VERSIONS};
use support::server::Server;
use support::tools;

/// Each begins on a server of its own, because the tools list whatever is there.
const SCRIPTS: [&str; 4] = ["cluster", "groups", "records", "topics"];
/// The releases of the tools: the last of the third series, and the release whose broker is recorded too.
const RELEASES: [&str; 2] = VERSIONS;

/// What one command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Printed {
    /// Under which heading of the script, and which command.
    asked: String,
    status: String,
    lines: Vec<String>,
}

impl Printed {
    /// Whether somebody who ran the command twice would say that nothing has changed.
    fn says_the_same_as(&self, other: &Self) -> bool {
        // The tools keep what they list in hash tables; only records have an order.
        let comparable = |printed: &Self| {
            let mut lines = printed.lines.clone();
            if !printed.asked.contains(": console-consumer") {
                lines.sort();
            }
            lines
        };
        self.status == other.status && comparable(self) == comparable(other)
    }
}

/// Reads what `Commands` prints, which is also the form of one broker's part of a recorded file.
fn parse(text: &str) -> Vec<Printed> {
    let mut heading = "";
    let mut all: Vec<Printed> = Vec::new();
    for line in text.lines() {
        if let Some(text) = line.strip_prefix("== ") {
            heading = text;
        } else if let Some(command) = line.strip_prefix("$ ") {
            let asked = format!("{heading}: {command}");
            all.push(Printed { asked, status: String::new(), lines: Vec::new() });
        } else {
            let printed = all.last_mut().expect("a command comes first");
            match line.split_once(' ') {
                Some(("=", status)) => printed.status = status.into(),
                Some(("|", text)) => printed.lines.push(text.into()),
                _ => panic!("{line:?} is no output of the commands"),
            }
        }
    }
    all
}

fn write_recorded(of_brokers: [&[Printed]; 2]) -> String {
    assert_eq!(of_brokers[0].len(), of_brokers[1].len(), "both brokers are asked the same");
    let mut text = String::new();
    for (old, new) in of_brokers[0].iter().zip(of_brokers[1]) {
        assert_eq!(old.asked, new.asked);
        writeln!(text, "$ {}", new.asked).expect("text");
        let mut block = |name: &str, printed: &Printed| {
            writeln!(text, "{name}= {}", printed.status).expect("text");
            for line in &printed.lines {
                writeln!(text, "| {line}").expect("text");
            }
        };
        if old.says_the_same_as(new) {
            block("both ", new);
        } else {
            block(&format!("{} ", VERSIONS[0]), old);
            block(&format!("{} ", VERSIONS[1]), new);
        }
    }
    text
}

fn read_recorded(text: &str) -> [Vec<Printed>; 2] {
    let mut of_brokers = [Vec::<Printed>::new(), Vec::new()];
    let mut asked = "";
    let mut current: &[usize] = &[];
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            asked = command;
        } else if let Some(text) = line.strip_prefix("| ") {
            for broker in current {
                of_brokers[*broker].last_mut().expect("a status comes first").lines.push(text.into());
            }
        } else {
            let (broker, status) = line.split_once(" = ").expect("a recorded file has such lines");
            current = match VERSIONS.iter().position(|version| *version == broker) {
                Some(0) => &[0],
                Some(_) => &[1],
                None => &[0, 1],
            };
            for broker in current {
                of_brokers[*broker].push(Printed {
                    asked: asked.into(),
                    status: status.into(),
                    lines: Vec::new(),
                });
            }
        }
    }
    of_brokers
}

fn recorded_path(script: &str, release: &str) -> std::path::PathBuf {
    tools::sources().join(format!("recorded/tools/{script}-{release}.txt"))
}

fn play(class_path: &str, release: &str, script: &str, broker: SocketAddr) -> Result<Vec<Printed>, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "tools-{script}-{release}-{}-{}",
        std::process::id(),
        broker.port()
    ));
    fs::create_dir_all(&folder).expect("a folder for the script's files can be made");
    let said = tools::run(
        tools::java(class_path)
            .args(["Commands", &broker.to_string(), release])
            .arg(&folder)
            .arg(tools::sources().join(format!("scenarios/tools/{script}.txt"))),
    );
    // A folder that stays behind costs space, not the result.
    let _ = fs::remove_dir_all(&folder);
    said.map(|text| parse(&text))
}

/// An intended difference: which scripts, which commands, which lines.
struct Intended {
    script: String,
    command: String,
    line: String,
}

impl Intended {
    fn concerns(&self, script: &str, asked: &str) -> bool {
        matches(&self.script, script) && matches(&self.command, asked)
    }
}

fn intended() -> Vec<Intended> {
    let text = fs::read_to_string(tools::sources().join("recorded/tools/differences.txt"))
        .expect("the table can be read");
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [script, command, text, reason] = parts[..] else { panic!("four parts are needed: {line}") };
            assert!(reason.len() > 10, "a difference needs a reason: {line}");
            Intended { script: script.into(), command: command.into(), line: text.into() }
        })
        .collect()
}

/// What was printed without the lines that may differ; which entries of the table took one out.
fn without_intended(
    script: &str,
    printed: &Printed,
    table: &[Intended],
    used: &mut BTreeSet<usize>,
) -> Printed {
    let mut rest = printed.clone();
    rest.lines.retain(|line| {
        let entry = table
            .iter()
            .position(|entry| entry.concerns(script, &printed.asked) && matches(&entry.line, line));
        used.extend(entry);
        entry.is_none()
    });
    rest
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

fn check(
    script: &str,
    ours: &[Printed],
    kafkas: &[Vec<Printed>; 2],
    used: &mut BTreeSet<usize>,
    report: &mut String,
) {
    let table = intended();
    if ours.len() != kafkas[1].len() {
        writeln!(report, "{script}: {} commands, {} recorded; record it anew", ours.len(), kafkas[1].len())
            .expect("text");
        return;
    }
    for (index, printed) in ours.iter().enumerate() {
        let (old, new) = (&kafkas[0][index], &kafkas[1][index]);
        if printed.asked != new.asked {
            writeln!(report, "{script}: {:?} was not recorded here; record it anew", printed.asked)
                .expect("text");
            return;
        }
        if printed.says_the_same_as(old) || printed.says_the_same_as(new) {
            continue;
        }
        let mut entries = BTreeSet::new();
        let mut rest = |printed| without_intended(script, printed, &table, &mut entries);
        let (ours, old, new) = (rest(printed), rest(old), rest(new));
        if ours.says_the_same_as(&old) || ours.says_the_same_as(&new) {
            used.extend(entries);
            continue;
        }
        let show = |printed: &Printed| format!("= {}\n| {}", printed.status, printed.lines.join("\n| "));
        writeln!(report, "{script}: {}\nours:\n{}\nKafka's:\n{}\n", printed.asked, show(&ours), show(&new))
            .expect("text");
    }
}

#[test]
fn what_the_tools_print_is_what_they_print_about_kafka() {
    let mut releases = Vec::new();
    for release in RELEASES {
        releases.push((release, or_skip!(tools::java_program_with("tools", &format!("tools-{release}")))));
    }
    let report = Mutex::new(String::new());
    let used = Mutex::new(BTreeSet::new());
    // They wait more than they work, for groups and for times that run out.
    std::thread::scope(|scope| {
        for (release, class_path) in &releases {
            for script in SCRIPTS {
                let (report, used) = (&report, &used);
                scope.spawn(move || {
                    let server = Server::start(&format!("tools-{script}-{release}"));
                    let played = play(class_path, release, script, server.address());
                    let text = fs::read_to_string(recorded_path(script, release)).expect("it is recorded");
                    let mut report = report.lock().expect("no thread panics while it reports");
                    let mut used = used.lock().expect("no thread panics while it checks");
                    match played {
                        Ok(printed) => {
                            check(script, &printed, &read_recorded(&text), &mut used, &mut report);
                        }
                        Err(failure) => {
                            writeln!(report, "{script} of {release} cannot be played: {failure}")
                                .expect("text");
                        }
                    }
                });
            }
        }
    });
    let ours = std::env::var_os("KAFKA_TEST_TARGET").is_none();
    let mut report = report.into_inner().expect("the threads have ended");
    let used = used.into_inner().expect("the threads have ended");
    if ours {
        for (index, entry) in intended().iter().enumerate().filter(|(index, _)| !used.contains(index)) {
            writeln!(
                report,
                "differences.txt: entry {index} ({} | {}) matches nothing any more",
                entry.script, entry.command
            )
            .expect("text");
        }
    }
    assert!(report.is_empty(), "the tools print something else than about Kafka:\n{report}");
    for release in RELEASES {
        ran::note(
            "Kafka's command line tools",
            Release::Pinned(release),
            "TopicCommand, ConfigCommand, ConsoleProducer, ConsoleConsumer, ConsumerGroupCommand, GetOffsetShell, \
             DeleteRecordsCommand, LogDirsCommand, BrokerApiVersionsCommand, ProducerPerformance, ConsumerPerformance, \
             MetadataQuorumCommand, LeaderElectionCommand, ReassignPartitionsCommand, FeatureCommand, ClusterTool",
        );
    }
}

#[test]
fn a_changed_line_is_noticed() {
    let printed = |command: &str, status: &str, lines: &[&str]| Printed {
        asked: format!("heading: {command}"),
        status: status.into(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    let kafka = printed("topics --list", "0", &["a", "b"]);
    assert!(kafka.says_the_same_as(&printed("topics --list", "0", &["b", "a"])));
    for changed in [
        printed("topics --list", "1", &["a", "b"]),
        printed("topics --list", "0", &["a"]),
        printed("topics --list", "0", &["a", "c"]),
    ] {
        assert!(!kafka.says_the_same_as(&changed), "{changed:?}");
        let mut report = String::new();
        let recorded = [vec![kafka.clone()], vec![kafka.clone()]];
        check("topics", &[changed], &recorded, &mut BTreeSet::new(), &mut report);
        assert!(report.contains("topics --list"));
    }
    let records = printed("console-consumer --topic t", "0", &["1", "2"]);
    assert!(!records.says_the_same_as(&printed("console-consumer --topic t", "0", &["2", "1"])));
}

#[test]
fn recorded_text_is_read_as_it_was_written() {
    for (script, release) in SCRIPTS.iter().flat_map(|script| RELEASES.map(|release| (script, release))) {
        let text = fs::read_to_string(recorded_path(script, release)).expect("it is recorded");
        let [old, new] = read_recorded(&text);
        assert_eq!(write_recorded([&old, &new]), text, "{script} {release}");
    }
}

#[test]
#[ignore = "starts two releases of Kafka, again and again, and replaces what is recorded"]
fn record() {
    let only = std::env::var("KAFKA_TEST_SCENARIO").ok();
    for script in SCRIPTS.iter().filter(|name| only.as_deref().is_none_or(|only| only == **name)) {
        for release in RELEASES {
            let class_path =
                tools::java_program_with("tools", &format!("tools-{release}")).expect("Java and Maven");
            let printed = VERSIONS.map(|version| {
                let broker = Reference::start(version);
                play(&class_path, release, script, broker.address()).expect("Kafka answers its own tools")
            });
            fs::write(recorded_path(script, release), write_recorded([&printed[0], &printed[1]]))
                .expect("what was printed can be kept");
        }
    }
}

//! Real clients beside the faults: librdkafka and Java, idempotent producers and members of a group, each a process that writes
//! down what it lives through; and those notes as part of the history.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::value::record_of;
use crate::{
    history::{Commit, History, Outcome, Position, Read, Send, Session},
    machine,
    support::tools,
};

/// Numbers of these producers in the history; ours count from 1.
const FIRST_PRODUCER: u32 = 1_000_000;
/// Ours have small numbers.
const FIRST_GROUP: u32 = 100;
/// Everything that was sent has to be answered, once all is healed.
const END_LIMIT: Duration = Duration::from_secs(100);
/// A member of Java's group has to be one of a release that exists as a broker, too.
const JAVA_RELEASE: &str = tools::JAVA_CLIENTS[1];

/// What the programs are run with; fetched before the run leaves the network.
pub(crate) struct Programs {
    python: PathBuf,
    java_class_path: String,
}

impl Programs {
    pub(crate) fn prepare() -> Result<Programs, String> {
        let python = tools::librdkafka(tools::LIBRDKAFKA)?;
        let java_class_path = tools::java_program("cluster", JAVA_RELEASE)?;
        Ok(Programs { python, java_class_path })
    }
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Produce(u32),
    /// For the group of this number.
    Consume(u32),
}

/// Clients at work. Dropped, they are killed.
pub(crate) struct Foreigners {
    clients: Vec<Foreigner>,
    stop: PathBuf,
}

struct Foreigner {
    name: String,
    work: Work,
    notes: PathBuf,
    process: Child,
}

impl Foreigners {
    /// Starts a producer and two members of a group through librdkafka, and the same of Java with one member.
    pub(crate) fn start(
        programs: &Programs,
        folder: &Path,
        brokers: &str,
        topic: &str,
        partitions: i32,
    ) -> Result<Foreigners, String> {
        let mut foreigners = Foreigners { clients: Vec::new(), stop: folder.join("clients-stop") };
        let script = tools::sources().join("python/cluster_client.py");
        let (librdkafka, java) = (FIRST_GROUP, FIRST_GROUP + 1);
        let plan = [
            ("librdkafka-producer", Work::Produce(FIRST_PRODUCER)),
            ("librdkafka-member-1", Work::Consume(librdkafka)),
            ("librdkafka-member-2", Work::Consume(librdkafka)),
            ("java-producer", Work::Produce(FIRST_PRODUCER + 1)),
            ("java-member", Work::Consume(java)),
        ];
        for (name, work) in plan {
            let mut command = if name.starts_with("java") {
                let mut command = tools::java(&programs.java_class_path);
                command.arg("Worker");
                command
            } else {
                let mut command = Command::new(&programs.python);
                command.arg(&script);
                command
            };
            let notes = folder.join(format!("{name}.notes"));
            match work {
                Work::Produce(number) => command
                    .args(["produce", brokers, topic, &partitions.to_string()])
                    .args([&notes, &foreigners.stop])
                    .arg(number.to_string()),
                Work::Consume(group) => command
                    .args(["consume", brokers, topic, &format!("group-{group}")])
                    .args([&notes, &foreigners.stop]),
            };
            let said =
                File::create(folder.join(format!("{name}.said"))).map_err(|error| error.to_string())?;
            let copy = said.try_clone().map_err(|error| error.to_string())?;
            command.stdin(Stdio::null()).stdout(copy).stderr(said);
            machine::confine(&mut command, None)?;
            let process = command.spawn().map_err(|error| format!("{name} cannot run: {error}"))?;
            foreigners.clients.push(Foreigner { name: name.to_owned(), work, notes, process });
        }
        Ok(foreigners)
    }

    /// Whether every producer has had an acknowledgement and every member a record.
    pub(crate) fn are_at_work(&self) -> bool {
        self.clients.iter().all(|client| {
            let text = fs::read_to_string(&client.notes).unwrap_or_default();
            text.contains(" acked ") || text.contains(" record ")
        })
    }

    /// Lets them end, waits for it, and adds what they saw to the history; what no client may ever be told.
    pub(crate) fn finish(
        mut self,
        history: &mut History,
        clock: impl Fn(u64) -> Duration,
    ) -> Result<Vec<String>, String> {
        fs::write(&self.stop, "").map_err(|error| error.to_string())?;
        let deadline = Instant::now() + END_LIMIT;
        let mut errors = Vec::new();
        for client in &mut self.clients {
            loop {
                match client.process.try_wait().map_err(|error| error.to_string())? {
                    Some(status) if status.success() => break,
                    Some(status) => {
                        errors.push(format!("{} ended with {status}", client.name));
                        break;
                    }
                    None if Instant::now() > deadline => {
                        return Err(format!("{} does not end within {END_LIMIT:?}", client.name));
                    }
                    None => thread::sleep(Duration::from_millis(20)),
                }
            }
            let text = fs::read_to_string(&client.notes).map_err(|error| error.to_string())?;
            match client.work {
                Work::Produce(number) => sends(&text, number, history),
                Work::Consume(group) => member(&text, &client.name, group, history, &clock),
            }
            let is_error = |line: &&str| {
                let word = line.split(' ').nth(1);
                let is_commit = word == Some("said") && line.contains("commit:");
                matches!(word, Some("failed" | "fatal")) || is_commit
            };
            errors.extend(text.lines().filter(is_error).map(|line| format!("{}: {line}", client.name)));
        }
        Ok(errors)
    }
}

impl Drop for Foreigners {
    fn drop(&mut self) {
        for client in &mut self.clients {
            // It may have ended by itself.
            let _result = client.process.kill();
            let _result = client.process.wait();
        }
    }
}

/// The words of a note behind its time and its name.
fn number<T: std::str::FromStr>(words: &[&str], place: usize) -> Option<T> {
    words.get(place)?.parse().ok()
}

fn sends(text: &str, producer: u32, history: &mut History) {
    let mut of_number: BTreeMap<u32, Send> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (Some(partition), Some(record)) = (number(&words, 2), number(&words, 3)) else { continue };
        let unknown = Send { producer, partition, first_number: record, count: 1, outcome: Outcome::Unknown };
        let send = of_number.entry(record).or_insert(unknown);
        if words[1] == "acked" {
            send.outcome = Outcome::Acknowledged(number::<i64>(&words, 4).filter(|offset| *offset >= 0));
        }
    }
    history.sends.extend(of_number.into_values());
}

/// What a member was given since its partitions were assigned, what it committed, and where it resumed.
fn member(text: &str, name: &str, group: u32, history: &mut History, clock: &impl Fn(u64) -> Duration) {
    let mut sessions: BTreeMap<i32, Session> = BTreeMap::new();
    let mut assigned_at = Duration::ZERO;
    let mut committing: BTreeMap<i32, (i64, Duration)> = BTreeMap::new();
    let begin_of = |partition, generation: &str| Session {
        reader: format!("{name} in generation {generation}"),
        partition,
        group: Some(group),
        ..Session::default()
    };
    let mut generation = "none".to_owned();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let Some(at) = number(&words, 0).map(clock) else { continue };
        match words.get(1).copied() {
            Some("assigned") => {
                history.sessions.extend(std::mem::take(&mut sessions).into_values());
                generation = (*words.get(2).unwrap_or(&"?")).to_owned();
                assigned_at = at;
            }
            Some("revoked") => history.sessions.extend(std::mem::take(&mut sessions).into_values()),
            Some("record") => {
                let (Some(partition), Some(offset)) = (number(&words, 2), number(&words, 3)) else {
                    continue;
                };
                let record = record_of(words.get(4).map(|value| value.as_bytes()), partition);
                let session = sessions.entry(partition).or_insert_with(|| begin_of(partition, &generation));
                if session.reads.is_empty() {
                    let told: Option<i64> = Some(offset).filter(|offset| *offset > 0);
                    let position = Position { group, partition, offset: told, begin: assigned_at, end: at };
                    history.positions.push(position);
                }
                session.reads.push(Read { offset, record, node: 0, at });
            }
            Some("committing") => {
                let (Some(partition), Some(offset)) = (number(&words, 2), number(&words, 3)) else {
                    continue;
                };
                leave_unknown(group, partition, committing.insert(partition, (offset, at)), at, history);
            }
            Some("committed") => {
                let Some(partition) = number(&words, 2) else { continue };
                let Some((offset, begin)) = committing.remove(&partition) else { continue };
                let outcome = Outcome::Acknowledged(());
                history.commits.push(Commit { group, partition, offset, begin, end: at, outcome });
            }
            _ => {}
        }
    }
    for (partition, unanswered) in committing {
        leave_unknown(group, partition, Some(unanswered), unanswered.1, history);
    }
    history.sessions.extend(sessions.into_values());
}

fn leave_unknown(
    group: u32,
    partition: i32,
    commit: Option<(i64, Duration)>,
    end: Duration,
    history: &mut History,
) {
    let Some((offset, begin)) = commit else { return };
    history.commits.push(Commit { group, partition, offset, begin, end, outcome: Outcome::Unknown });
}

//! The process that is measured: its command line, where and how it may run, its memory.
//!
//! What must hold: no secret of a command line gets into a report.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::machine::{kibibytes, value_of};
use super::time::rfc3339;

/// What an argument's name has in it when its value is nobody's business.
const SECRET_WORDS: [&str; 5] = ["password", "passwd", "secret", "token", "credential"];
/// What stands in place of such a value.
const HIDDEN: &str = "(hidden)";

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Its arguments, the program first.
    pub(crate) command_line: Vec<String>,
    /// The program's file; `None` if this process may not look.
    pub(crate) executable: Option<PathBuf>,
    /// When that file was last changed.
    pub(crate) executable_modified: Option<String>,
    /// Processors that its threads may run on, and how many threads each set has.
    pub(crate) allowed_processors: BTreeMap<String, usize>,
    /// Class and niceness of its threads, and how many threads each has.
    pub(crate) scheduling: BTreeMap<String, usize>,
    /// Memory that is present.
    pub(crate) rss_bytes: u64,
    /// Limits of its control group on processors and memory, if it has any.
    pub(crate) limits: Vec<String>,
}

impl Process {
    /// Reads what `/proc` says of a process.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let file = |name: &str| format!("/proc/{pid}/{name}");
        let named =
            |name: &str, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file(name)));
        let read = |name: &str| fs::read_to_string(file(name)).map_err(|error| named(name, error));
        let status = read("status")?;
        let command_line = fs::read(file("cmdline")).map_err(|error| named("cmdline", error))?;
        let executable = fs::read_link(file("exe")).ok();
        let modified = fs::metadata(file("exe")).and_then(|meta| meta.modified());
        let (allowed_processors, scheduling) = threads(pid)?;
        Ok(Self {
            pid,
            command_line: arguments(&command_line),
            executable,
            executable_modified: modified.ok().map(rfc3339),
            allowed_processors,
            scheduling,
            rss_bytes: kibibytes(&status, "VmRSS").unwrap_or(0),
            limits: read("cgroup").map(|groups| limits(&groups)).unwrap_or_default(),
        })
    }
}

/// How many threads there are of each kind.
type Kinds = BTreeMap<String, usize>;

/// Where and how each thread may run.
fn threads(pid: u32) -> io::Result<(Kinds, Kinds)> {
    let (mut processors, mut scheduling) = (Kinds::new(), Kinds::new());
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = entry?.path();
        // A thread may end while it is looked at.
        let (Ok(status), Ok(stat)) =
            (fs::read_to_string(folder.join("status")), fs::read_to_string(folder.join("stat")))
        else {
            continue;
        };
        let allowed = value_of(&status, "Cpus_allowed_list").unwrap_or("unknown");
        *processors.entry(allowed.to_owned()).or_default() += 1;
        *scheduling.entry(scheduling_of(&stat).unwrap_or_else(|| "unknown".into())).or_default() += 1;
    }
    Ok((processors, scheduling))
}

/// Class and niceness in a line of `stat`. The name in parentheses may itself contain parentheses and
/// blanks, so fields are counted from the last one: `state` is the third of all.
fn scheduling_of(stat: &str) -> Option<String> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<i64>().ok());
    let (nice, priority, policy) = (field(19)?, field(40)?, field(41)?);
    Some(match policy {
        0 => format!("SCHED_OTHER, nice {nice}"),
        1 => format!("SCHED_FIFO, priority {priority}"),
        2 => format!("SCHED_RR, priority {priority}"),
        3 => format!("SCHED_BATCH, nice {nice}"),
        5 => "SCHED_IDLE".to_owned(),
        6 => "SCHED_DEADLINE".to_owned(),
        other => format!("policy {other}, nice {nice}"),
    })
}

/// The arguments, which zeros end, without secrets.
fn arguments(command_line: &[u8]) -> Vec<String> {
    let mut hides_next = false;
    let words = command_line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let word = String::from_utf8_lossy(word).into_owned();
            let hides_this = std::mem::take(&mut hides_next);
            match word.split_once('=') {
                Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
                _ if hides_this && !word.starts_with('-') => HIDDEN.to_owned(),
                _ => {
                    hides_next = word.starts_with('-') && is_secret(&word);
                    word
                }
            }
        })
        .collect()
}

/// Whether a setting of this name is not for a report.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// The limits of a process's group in the unified hierarchy, nearest group only.
fn limits(groups: &str) -> Vec<String> {
    let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::")) else { return vec![] };
    let names = ["cpu.max", "cpu.weight", "cpuset.cpus", "memory.max", "io.max"];
    names
        .iter()
        .filter_map(|name| {
            let value = fs::read_to_string(format!("/sys/fs/cgroup{group}/{name}")).ok()?;
            let value = value.trim();
            let is_default =
                value.is_empty() || value.starts_with("max") || (*name == "cpu.weight" && value == "100");
            (!is_default).then(|| format!("{name} = {value}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_can_be_read() {
        let own = Process::of(std::process::id()).expect("readable");
        assert!(own.rss_bytes > 0);
        assert!(!own.command_line.is_empty() && own.executable.is_some());
        assert!(own.executable_modified.expect("the file exists").ends_with('Z'));
        assert!(own.allowed_processors.values().sum::<usize>() >= 1);
        assert!(Process::of(u32::MAX).is_err());
    }

    #[test]
    fn secrets_of_a_command_line_are_hidden() {
        let line = b"java\0-Dssl.Keystore.PASSWORD=abc\0--token\0xyz\0--password\0--port\09092\0";
        assert_eq!(
            arguments(line),
            [
                "java",
                "-Dssl.Keystore.PASSWORD=(hidden)",
                "--token",
                "(hidden)",
                "--password",
                "--port",
                "9092"
            ]
        );
    }

    #[test]
    fn class_and_niceness_are_fields_of_stat() {
        let fields = |nice: i32, priority: u32, policy: u32| {
            let before: Vec<String> = (4..19).map(|number| number.to_string()).collect();
            let between: Vec<String> = (20..40).map(|number| number.to_string()).collect();
            format!("1 (a) b) S {} {nice} {} {priority} {policy} 0", before.join(" "), between.join(" "))
        };
        assert_eq!(scheduling_of(&fields(-10, 0, 0)).as_deref(), Some("SCHED_OTHER, nice -10"));
        assert_eq!(scheduling_of(&fields(0, 50, 1)).as_deref(), Some("SCHED_FIFO, priority 50"));
        assert_eq!(scheduling_of("1 (a) S 1 2"), None);
    }
}

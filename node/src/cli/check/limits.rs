//! Open files and locked memory: of the service when it runs, else of its unit, else of this shell.

use super::SystemFiles;
use super::finding::Verdict;
use super::unit::Unit;
use crate::config::NodeConfig;

/// Fewer leave no room for clients, and the node does not start.
const OPEN_FILES_MIN: u64 = 256;
/// Connections, two descriptors for each open log file, and a reserve.
const OPEN_FILES_WANTED: u64 = 65_536;
/// What the executors of the shards ask for before they start.
const LOCKED_BYTES_MIN: u64 = 512 << 10;
/// The write buffers of a shard, which the kernel then knows by number.
const LOCKED_BYTES_PER_SHARD: u64 = 64 << 20;

/// The limits, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LimitFacts {
    pub(super) owner: Owner,
    /// The hard limit: the node raises its own to it. `None`: not known.
    pub(super) open_files: Option<u64>,
    pub(super) locked_bytes: Option<u64>,
}

/// Whose limits were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The service, which runs as this process.
    Running(u32),
    /// The service's unit; it does not run.
    Unit,
    /// This shell and what it starts.
    Shell,
}

impl LimitFacts {
    pub(super) fn read(system: &SystemFiles, unit: &Unit) -> Self {
        let of_process = |id: &str| system.text(&format!("proc/{id}/limits"));
        let running = unit.process_id.and_then(|id| Some((id, of_process(&id.to_string())?)));
        let (owner, text) = match running {
            Some((id, text)) => (Owner::Running(id), text),
            None => (Owner::Shell, of_process("self").unwrap_or_default()),
        };
        let mut facts = Self {
            owner,
            open_files: hard_limit(&text, "Max open files"),
            locked_bytes: hard_limit(&text, "Max locked memory"),
        };
        let directives = (unit.directive("LimitNOFILE"), unit.directive("LimitMEMLOCK"));
        if let (Owner::Shell, (Some(files), Some(locked))) = (owner, directives) {
            facts = Self {
                owner: Owner::Unit,
                open_files: directive_limit(files),
                locked_bytes: directive_limit(locked),
            };
        }
        facts
    }
}

/// The second number of a line `Max open files   1024   1048576   files`.
fn hard_limit(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_ascii_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// As a unit writes it: `1048576`, `1024:524288`, `64M`, `infinity`.
fn directive_limit(text: &str) -> Option<u64> {
    let hard = text.rsplit(':').next()?;
    if hard == "infinity" {
        return Some(u64::MAX);
    }
    let digits = hard.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor = match &hard[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

pub(super) fn open_files(facts: &LimitFacts, config: Option<&NodeConfig>) -> Verdict {
    let Some(limit) = facts.open_files else { return unknown(facts.owner) };
    let connections = config.and_then(|config| config.limits.connections_max);
    let wanted = connections.map_or(OPEN_FILES_WANTED, |count| OPEN_FILES_WANTED.max(2 * count as u64));
    let found = format!("{} ({})", shown(limit), owner_text(facts.owner));
    let remedy = remedy(facts.owner, "LimitNOFILE", "ulimit -Hn", &wanted.max(1 << 20).to_string());
    match limit {
        limit if limit < OPEN_FILES_MIN => Verdict::problem(found, remedy),
        limit if limit < wanted => Verdict::advice(found, remedy),
        _ => Verdict::ok(found),
    }
}

pub(super) fn locked_memory(facts: &LimitFacts, shards: usize) -> Verdict {
    let Some(limit) = facts.locked_bytes else { return unknown(facts.owner) };
    let size = if limit == u64::MAX { "unlimited".to_owned() } else { format!("{} KiB", limit >> 10) };
    let found = format!("{size} ({})", owner_text(facts.owner));
    let remedy = remedy(facts.owner, "LimitMEMLOCK", "ulimit -l", "infinity");
    match limit {
        limit if limit < LOCKED_BYTES_MIN => Verdict::problem(found, remedy),
        limit if limit < LOCKED_BYTES_PER_SHARD * shards as u64 => Verdict::advice(found, remedy)
            .because("write buffers that do not fit are not registered with the kernel, and each large write costs more"),
        _ => Verdict::ok(found),
    }
}

fn unknown(owner: Owner) -> Verdict {
    Verdict::advice(format!("could not be read ({})", owner_text(owner)), "ulimit -a")
}

fn shown(limit: u64) -> String {
    if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() }
}

fn owner_text(owner: Owner) -> String {
    match owner {
        Owner::Running(id) => format!("of the service that runs, process {id}"),
        Owner::Unit => "of ringmain.service, which does not run".to_owned(),
        Owner::Shell => "of this shell and what it starts".to_owned(),
    }
}

fn remedy(owner: Owner, directive: &str, command: &str, value: &str) -> String {
    if owner == Owner::Shell {
        let value = if value == "infinity" { "unlimited" } else { value };
        return format!(
            "{command} {value} (as root, before the node is started); the service: {directive}= in its unit"
        );
    }
    format!(
        "mkdir -p /etc/systemd/system/ringmain.service.d && printf '[Service]\\n{directive}={value}\\n' > \
         /etc/systemd/system/ringmain.service.d/{}.conf && systemctl daemon-reload && systemctl restart ringmain",
        directive.to_ascii_lowercase()
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max open files            1024                 4096                 files
Max locked memory         8388608              unlimited            bytes
";

    #[test]
    fn hard_limits_are_read() {
        assert_eq!(hard_limit(LIMITS, "Max open files"), Some(4096));
        assert_eq!(hard_limit(LIMITS, "Max locked memory"), Some(u64::MAX));
        assert_eq!(hard_limit("", "Max open files"), None);
        for (text, limit) in [
            ("1048576", Some(1 << 20)),
            ("1024:4096", Some(4096)),
            ("64M", Some(64 << 20)),
            ("infinity", Some(u64::MAX)),
            ("x", None),
        ] {
            assert_eq!(directive_limit(text), limit, "{text}");
        }
    }

    #[test]
    fn few_files_are_a_problem_and_some_are_advice() {
        let of = |open_files| LimitFacts { owner: Owner::Shell, open_files, locked_bytes: None };
        for (limit, status) in [
            (Some(100), Status::Problem),
            (Some(4096), Status::Advice),
            (Some(1 << 20), Status::Ok),
            (None, Status::Advice),
        ] {
            assert_eq!(open_files(&of(limit), None).status, status, "{limit:?}");
        }
    }

    #[test]
    fn locked_memory_is_wanted_for_each_shard() {
        let of = |bytes| LimitFacts { owner: Owner::Running(1), open_files: None, locked_bytes: Some(bytes) };
        assert_eq!(locked_memory(&of(64 << 10), 2).status, Status::Problem);
        assert_eq!(locked_memory(&of(64 << 20), 2).status, Status::Advice);
        assert_eq!(locked_memory(&of(u64::MAX), 64).status, Status::Ok);
        let remedy = locked_memory(&of(64 << 10), 2).remedy.expect("a way out");
        assert!(remedy.contains("LimitMEMLOCK=infinity") && remedy.contains("systemctl"), "{remedy}");
    }
}

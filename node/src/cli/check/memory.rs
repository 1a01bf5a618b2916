//! Memory: enough for what the shards may take, not moved to a disk, not gathered into huge pages behind our back.

use super::SystemFiles;
use super::files::{chosen, field};
use super::finding::{Status, Verdict};
use crate::cli::output::sized;
use crate::config::NodeConfig;

/// Above this the kernel moves memory to swap although there is room.
const SWAPPINESS_MAX: u64 = 10;
/// What a file system flushes at once for others before our flush gets its turn.
const DIRTY_BYTES_MAX: u64 = 4 << 30;

/// What was read of the memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MemoryFacts {
    pub(super) total_bytes: Option<u64>,
    /// `always`, `madvise` or `never`; `None` in kernels without huge pages.
    pub(super) huge_pages: Option<String>,
    pub(super) huge_pages_defrag: Option<String>,
    /// Devices and files, with their size.
    pub(super) swap: Vec<(String, u64)>,
    pub(super) swappiness: Option<u64>,
    /// In percent of memory; 0 where bytes are set instead.
    pub(super) dirty_ratio: Option<u64>,
    pub(super) dirty_bytes: Option<u64>,
}

impl MemoryFacts {
    pub(super) fn read(system: &SystemFiles) -> Self {
        const HUGE: &str = "sys/kernel/mm/transparent_hugepage";
        let information = system.text("proc/meminfo").unwrap_or_default();
        let total =
            field(&information, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let chosen_in =
            |name: &str| system.text(&format!("{HUGE}/{name}")).map(|names| chosen(&names).to_owned());
        Self {
            total_bytes: total.map(|kibibytes| kibibytes << 10),
            huge_pages: chosen_in("enabled"),
            huge_pages_defrag: chosen_in("defrag"),
            swap: parse_swaps(&system.text("proc/swaps").unwrap_or_default()),
            swappiness: system.number("proc/sys/vm/swappiness"),
            dirty_ratio: system.number("proc/sys/vm/dirty_ratio"),
            dirty_bytes: system.number("proc/sys/vm/dirty_bytes"),
        }
    }
}

/// A heading, then `NAME TYPE KIBIBYTES USED PRIORITY`.
fn parse_swaps(text: &str) -> Vec<(String, u64)> {
    let rows = text.lines().skip(1).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        Some((words.next()?.to_owned(), words.nth(1)?.parse::<u64>().ok()? << 10))
    });
    rows.collect()
}

pub(super) fn budget(facts: &MemoryFacts, config: &NodeConfig, shards: usize) -> Verdict {
    let per_shard = config.memory.tail_bytes_per_shard
        + config.memory.unwritten_bytes_per_shard
        + config.memory.groups_bytes_per_shard
        + config.limits.shard_in_flight_bytes_max;
    let most = (per_shard * shards) as u64;
    let Some(total) = facts.total_bytes else {
        return Verdict::ok("/proc/meminfo does not tell how much there is");
    };
    let found = format!("{} shards may take up to {} of {}", shards, sized(most as f64), sized(total as f64));
    // The rest is for the page cache of cold readers, the system, and the metadata.
    if most <= total / 10 * 8 {
        return Verdict::ok(found);
    }
    Verdict::advice(
        found,
        format!(
            "set memory.tail_bytes_per_shard (now {}) or limits.shard_in_flight_bytes_max (now {}) lower, or shards",
            sized(config.memory.tail_bytes_per_shard as f64),
            sized(config.limits.shard_in_flight_bytes_max as f64)
        ),
    )
}

pub(super) fn huge_pages(facts: &MemoryFacts) -> Verdict {
    const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    match facts.huge_pages.as_deref() {
        None => Verdict::ok("the kernel has none"),
        Some("always") => Verdict::advice(
            "always",
            format!(
                "echo madvise > {ENABLED}; for good: transparent_hugepage=madvise on the kernel's command line"
            ),
        ),
        Some(mode) if facts.huge_pages_defrag.as_deref() == Some("always") => Verdict::advice(
            format!("{mode}, but memory is compacted while a process waits (defrag = always)"),
            "echo madvise > /sys/kernel/mm/transparent_hugepage/defrag",
        ),
        Some(mode) => Verdict::ok(mode),
    }
}

pub(super) fn swap(facts: &MemoryFacts) -> Verdict {
    const NAME: &str = "vm.swappiness";
    let Some(first) = facts.swap.first() else { return Verdict::ok("there is none") };
    let total: u64 = facts.swap.iter().map(|(_, bytes)| bytes).sum();
    let found = format!("{} on {}", sized(total as f64), first.0);
    match facts.swappiness {
        Some(swappiness) if swappiness > SWAPPINESS_MAX => {
            Verdict::sysctl(Status::Advice, format!("{found}, {NAME} = {swappiness}"), NAME, 1)
        }
        _ => Verdict::ok(format!("{found}, hardly used ({NAME} is low)")),
    }
}

/// `shared` when the data directory lies on the file system of the root, where others write.
pub(super) fn dirty_pages(facts: &MemoryFacts, shared: bool) -> Verdict {
    const NAME: &str = "vm.dirty_bytes";
    let most = match (facts.dirty_bytes, facts.dirty_ratio, facts.total_bytes) {
        (Some(bytes @ 1..), _, _) => bytes,
        (_, Some(ratio), Some(total)) => total / 100 * ratio,
        _ => return Verdict::ok("not told by this kernel"),
    };
    let found = format!("others may leave {} unwritten in the page cache", sized(most as f64));
    if shared && most > DIRTY_BYTES_MAX {
        return Verdict::sysctl(
            Status::Advice,
            format!("{found}, on the file system of the data directory too"),
            NAME,
            1_u64 << 30,
        );
    }
    Verdict::ok(format!("{found}; records go past it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWAPS: &str =
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda2 partition\t2097148\t0\t-2\n";

    #[test]
    fn swap_that_is_used_eagerly_is_told() {
        let mut facts = MemoryFacts { swap: parse_swaps(SWAPS), ..MemoryFacts::default() };
        assert_eq!(facts.swap, [("/dev/sda2".to_owned(), 2_097_148 << 10)]);
        facts.swappiness = Some(60);
        assert_eq!(swap(&facts).remedy.as_deref(), Some("sysctl -w vm.swappiness=1"));
        facts.swappiness = Some(1);
        assert_eq!(swap(&facts).status, Status::Ok);
        assert_eq!(swap(&MemoryFacts::default()).status, Status::Ok);
    }

    #[test]
    fn huge_pages_only_where_asked_for() {
        let facts = |mode: &str, defrag: &str| MemoryFacts {
            huge_pages: Some(mode.to_owned()),
            huge_pages_defrag: Some(defrag.to_owned()),
            ..MemoryFacts::default()
        };
        assert_eq!(huge_pages(&facts("always", "madvise")).status, Status::Advice);
        assert_eq!(huge_pages(&facts("madvise", "always")).status, Status::Advice);
        assert_eq!(huge_pages(&facts("madvise", "madvise")).status, Status::Ok);
        assert_eq!(huge_pages(&MemoryFacts::default()).status, Status::Ok);
    }

    #[test]
    fn budgets_leave_room() {
        let config = NodeConfig::default();
        let facts =
            |gibibytes: u64| MemoryFacts { total_bytes: Some(gibibytes << 30), ..MemoryFacts::default() };
        assert_eq!(budget(&facts(256), &config, 2).status, Status::Ok);
        assert_eq!(budget(&facts(1), &config, 2).status, Status::Advice);
    }

    #[test]
    fn others_pages_matter_on_the_same_file_system() {
        let facts = MemoryFacts {
            total_bytes: Some(64 << 30),
            dirty_ratio: Some(20),
            dirty_bytes: Some(0),
            ..MemoryFacts::default()
        };
        assert_eq!(dirty_pages(&facts, false).status, Status::Ok);
        assert_eq!(dirty_pages(&facts, true).status, Status::Advice);
    }
}

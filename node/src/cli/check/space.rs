//! Room: what is free, against the journals that are still to be made and what retention lets the logs grow to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::statvfs;

use super::finding::Verdict;
use crate::cli::output::sized;
use crate::config::{NodeConfig, TopicConfig};

/// Below this nothing works as it should, whatever the disk's size.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// A disk that is fuller than this, in percent, is filled by any burst, and file systems grow slow.
const FREE_PERCENT_MIN: u64 = 10;
/// Three files a partition, and segments.
const FREE_FILES_MIN: u64 = 10_000;
/// Data younger than this say nothing about the rate at which they come.
const AGE_MIN: Duration = Duration::from_secs(3600);
/// The folder of the shards' journals.
const JOURNALS: &str = "journal";
/// Folders and files that are looked at: this must stay a matter of a second.
const ENTRIES_MAX: usize = 200_000;

/// Room and use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SpaceFacts {
    /// Free for the node's user, and all; `None`: could not be asked.
    pub(super) bytes: Option<(u64, u64)>,
    pub(super) free_files: Option<u64>,
    /// What lies in the data directory, its journals apart.
    pub(super) log_bytes: u64,
    pub(super) journal_bytes: u64,
    pub(super) partitions: u64,
    /// Since the oldest segment was last written.
    pub(super) age: Option<Duration>,
    pub(super) is_complete: bool,
}

impl SpaceFacts {
    pub(super) fn read(existing: &Path, directory: &Path) -> Self {
        let mut facts = Self { is_complete: true, ..Self::default() };
        if let Ok(system) = statvfs(existing) {
            let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
            facts.bytes = Some((bytes(system.f_bavail), bytes(system.f_blocks)));
            // Some file systems make room for names as they need it, and say 0 of 0.
            facts.free_files = Some(system.f_favail).filter(|_| system.f_files > 0);
        }
        facts.count(directory);
        facts
    }

    /// Adds up the files of the partitions' folders, and those of the journals, which lie a folder deeper.
    fn count(&mut self, directory: &Path) {
        let mut seen = 0;
        let mut oldest: Option<SystemTime> = None;
        let mut folders: Vec<PathBuf> = folders_in(directory);
        while let Some(folder) = folders.pop() {
            let is_journal = folder.starts_with(directory.join(JOURNALS));
            let mut has_segment = false;
            for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
                seen += 1;
                if seen > ENTRIES_MAX {
                    self.is_complete = false;
                    return;
                }
                let Ok(metadata) = file.metadata() else { continue };
                match (is_journal, metadata.is_dir()) {
                    (true, true) => folders.push(file.path()),
                    (true, false) => self.journal_bytes += metadata.len(),
                    (false, _) => self.log_bytes += metadata.len(),
                }
                if !is_journal && file.path().extension().is_some_and(|extension| extension == "log") {
                    has_segment = true;
                    oldest = [oldest, metadata.modified().ok()].into_iter().flatten().min();
                }
            }
            self.partitions += u64::from(has_segment);
        }
        self.age = oldest.and_then(|oldest| SystemTime::now().duration_since(oldest).ok());
    }
}

fn folders_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

pub(super) fn free(facts: &SpaceFacts, config: &NodeConfig, shards: usize) -> Verdict {
    let Some((free, all)) = facts.bytes else {
        return Verdict::advice("could not be asked", "df -h");
    };
    let journals = config.storage.journal_file_bytes * config.storage.journal_files as u64 * shards as u64;
    let to_come = journals.saturating_sub(facts.journal_bytes);
    let amount = |bytes: u64| sized(bytes as f64);
    let found = format!("{} of {} free", amount(free), amount(all));
    let remedy = "ringmain topic alter NAME --set retention.bytes=BYTES, or a larger disk; \
                  topic_defaults.retention.bytes in the configuration bounds topics without their own";
    if free < to_come + FREE_BYTES_MIN {
        return Verdict::problem(
            format!("{found}; the journals still take {}", amount(to_come)),
            "free or add space; storage.journal_file_bytes makes the journals smaller",
        );
    }
    if let Some(files) = facts.free_files.filter(|files| *files < FREE_FILES_MIN) {
        return Verdict::advice(
            format!("{found}, but only {files} more files can be made"),
            "df -i; mkfs.xfs makes room as it is needed",
        );
    }
    if let Some(expected) = expected_bytes(facts, config) {
        let room = free.saturating_add(facts.log_bytes);
        if expected > room {
            return Verdict::advice(
                format!(
                    "{found}; the logs take {} and will take about {}",
                    amount(facts.log_bytes),
                    amount(expected)
                ),
                remedy,
            )
            .because("retention lets the logs grow to more than there is; a full disk refuses records");
        }
    }
    if free < all / 100 * FREE_PERCENT_MIN {
        return Verdict::advice(found, remedy);
    }
    let more = if facts.is_complete { "" } else { " or more" };
    Verdict::ok(format!("{found}; {} logs take {}{more}", facts.partitions, amount(facts.log_bytes)))
}

/// What the logs will take when retention begins to delete as much as comes, at the rate of now.
fn expected_bytes(facts: &SpaceFacts, config: &NodeConfig) -> Option<u64> {
    let defaults = TopicConfig::resolve(&config.topic_defaults.layers(), &Default::default()).ok()?;
    let by_size = defaults.retention_bytes.map(|bytes| bytes.saturating_mul(facts.partitions));
    let age = facts.age.filter(|age| *age >= AGE_MIN)?;
    let by_time = defaults.retention_ms.and_then(|milliseconds| {
        let retention = u128::try_from(milliseconds).ok()?;
        let bytes = u128::from(facts.log_bytes) * retention.max(age.as_millis()) / age.as_millis();
        u64::try_from(bytes).ok()
    });
    match (by_time, by_size) {
        (Some(time), Some(size)) => Some(time.min(size)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn room_is_judged_by_what_will_come() {
        let config = NodeConfig::default();
        let facts = |free: u64, log_bytes, days: u64| SpaceFacts {
            bytes: Some((free, 1000 * GIB)),
            log_bytes,
            partitions: 10,
            age: Some(Duration::from_secs(days * 86_400)),
            is_complete: true,
            ..SpaceFacts::default()
        };
        let status = |facts: SpaceFacts| free(&facts, &config, 2).status;
        assert_eq!(status(facts(900 * GIB, 0, 0)), Status::Ok);
        assert_eq!(status(facts(50 * GIB, 0, 0)), Status::Advice, "nearly full");
        assert_eq!(status(facts(GIB, 0, 0)), Status::Problem, "no room for the journals");
        // Seven days of retention: a hundred a day need seven hundred, two hundred a day need more than there is.
        assert_eq!(status(facts(900 * GIB, 100 * GIB, 1)), Status::Ok);
        assert_eq!(status(facts(800 * GIB, 200 * GIB, 1)), Status::Advice);
        assert_eq!(status(facts(300 * GIB, 700 * GIB, 7)), Status::Ok, "it deletes already");
        let without = SpaceFacts { free_files: Some(10), ..facts(900 * GIB, 0, 0) };
        assert_eq!(status(without), Status::Advice);
    }
}

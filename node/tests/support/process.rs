//! A process seen from outside, through `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

/// Reads `/proc/PID/...` of one process.
pub(crate) struct Observed {
    folder: PathBuf,
}

impl Observed {
    pub(crate) fn new(pid: u32) -> Self {
        Self { folder: Path::new("/proc").join(pid.to_string()) }
    }

    /// Memory in use, in bytes (`VmRSS`).
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(self.folder.join("status")).expect("the process runs");
        let kibibytes = field(&status, "VmRSS:").expect("a running process has a resident size");
        let number = kibibytes.split_whitespace().next().expect("a size is a number");
        number.parse::<u64>().expect("a size is a number") * 1024
    }

    /// How many descriptors are open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.folder.join("fd")).expect("the process runs").count()
    }

    /// What each open descriptor refers to: number and target of the link.
    pub(crate) fn open_files(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.folder.join("fd")).expect("the process runs");
        entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                // A descriptor may be closed between the listing and the look at it.
                let target = fs::read_link(entry.path()).ok()?;
                Some((
                    entry.file_name().to_string_lossy().into_owned(),
                    target.to_string_lossy().into_owned(),
                ))
            })
            .collect()
    }

    /// The open flags of a descriptor, as the kernel keeps them.
    pub(crate) fn open_flags(&self, descriptor: &str) -> Option<u32> {
        let info = fs::read_to_string(self.folder.join("fdinfo").join(descriptor)).ok()?;
        u32::from_str_radix(field(&info, "flags:")?.trim(), 8).ok()
    }

    /// Name and allowed processors of every thread.
    pub(crate) fn threads(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.folder.join("task")).expect("the process runs");
        entries
            .filter_map(|entry| {
                let status = fs::read_to_string(entry.ok()?.path().join("status")).ok()?;
                let name = field(&status, "Name:")?.trim().to_owned();
                Some((name, field(&status, "Cpus_allowed_list:")?.trim().to_owned()))
            })
            .collect()
    }

    /// Processor time used so far, in clock ticks (user and system).
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(self.folder.join("stat")).expect("the process runs");
        let after_name = stat.rsplit_once(')').expect("stat holds the name in brackets").1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let number = |index: usize| fields[index].parse::<u64>().expect("ticks are a number");
        number(11) + number(12)
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// The limit of open files of this process that cannot be raised.
pub(crate) fn hard_limit_of_files() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").expect("a process knows its limits");
    let line = field(&limits, "Max open files").expect("the limit of open files is listed");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(u64::MAX)
}

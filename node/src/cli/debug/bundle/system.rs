//! The machine and the node's process, as `/proc` and `/sys` tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Context;
use crate::cli::check::SystemFiles;

/// Small files that tell of the machine.
const MACHINE: [&str; 19] = [
    "proc/version",
    "proc/uptime",
    "proc/loadavg",
    "proc/meminfo",
    "proc/swaps",
    "proc/stat",
    "proc/vmstat",
    "proc/diskstats",
    "proc/pressure/cpu",
    "proc/pressure/io",
    "proc/pressure/memory",
    "proc/net/sockstat",
    "proc/net/snmp",
    "proc/net/netstat",
    "proc/net/dev",
    "etc/os-release",
    "sys/devices/system/clocksource/clocksource0/current_clocksource",
    "sys/kernel/mm/transparent_hugepage/enabled",
    "proc/cpuinfo",
];

/// Settings of the kernel.
const SETTINGS: [&str; 16] = [
    "kernel/io_uring_disabled",
    "kernel/numa_balancing",
    "kernel/pid_max",
    "fs/file-max",
    "fs/file-nr",
    "fs/nr_open",
    "net/core/rmem_max",
    "net/core/wmem_max",
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_max_syn_backlog",
    "vm/swappiness",
    "vm/dirty_ratio",
    "vm/dirty_background_ratio",
    "vm/dirty_bytes",
    "vm/overcommit_memory",
];

/// Files of a process.
const PROCESS: [&str; 7] = ["status", "limits", "io", "cgroup", "sched", "wchan", "cmdline"];

/// Attributes of a block device's queue.
const QUEUE: [&str; 6] = ["scheduler", "write_cache", "rotational", "nr_requests", "max_sectors_kb", "fua"];

/// Files of the service's control group.
const GROUP: [&str; 6] = ["memory.current", "memory.max", "memory.events", "cpu.max", "cpu.stat", "io.stat"];

pub(super) fn machine(context: &Context) -> Result<String, String> {
    let mut text = files(&context.system, MACHINE.map(str::to_owned));
    text.push_str("== queues of the disks\n");
    for entry in fs::read_dir(context.system.path("sys/block")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let values = QUEUE.iter().filter_map(|attribute| {
            let value = context.system.text(&format!("sys/block/{name}/queue/{attribute}"))?;
            Some(format!("{attribute}={value}"))
        });
        text.push_str(&format!("{name}: {}\n", values.collect::<Vec<_>>().join("; ")));
    }
    Ok(text)
}

pub(super) fn settings(context: &Context) -> Result<String, String> {
    let lines = SETTINGS.iter().map(|name| {
        let value = context.system.text(&format!("proc/sys/{name}"));
        format!("{} = {}\n", name.replace('/', "."), value.unwrap_or_else(|| "(not there)".to_owned()))
    });
    Ok(lines.collect())
}

pub(super) fn interrupts(context: &Context) -> Result<String, String> {
    context.system.text("proc/interrupts").ok_or_else(|| "/proc/interrupts cannot be read".to_owned())
}

pub(super) fn mounts(context: &Context) -> Result<String, String> {
    let directory = &context.config()?.data_dir;
    let mounts = context.system.text("proc/self/mountinfo").ok_or("/proc/self/mountinfo cannot be read")?;
    let space =
        rustix::fs::statvfs(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    Ok(format!(
        "{}: {} bytes, {} free; {} files, {} free\n\n{mounts}\n",
        directory.display(),
        bytes(space.f_blocks),
        bytes(space.f_bavail),
        space.f_files,
        space.f_favail
    ))
}

/// The process of the node, its threads, and what it has open.
pub(super) fn process(context: &Context) -> Result<String, String> {
    let id = context.process_id.ok_or("no node uses the data directory, or this user may not see it")?;
    let mut text = format!("process {id}\n");
    text.push_str(&files(&context.system, PROCESS.map(|name| format!("proc/{id}/{name}"))));
    text.push_str("== threads: name, processor time in ticks (user, system), last core\n");
    for task in fs::read_dir(context.system.path(&format!("proc/{id}/task"))).into_iter().flatten().flatten()
    {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        text.push_str(&thread_line(&stat));
    }
    text.push_str("== open files by kind\n");
    for (kind, count) in open_files(&context.system, id) {
        text.push_str(&format!("{count:>8} {kind}\n"));
    }
    text.push_str(&files(
        &context.system,
        GROUP.map(|name| format!("sys/fs/cgroup/system.slice/ringmain.service/{name}")),
    ));
    Ok(text)
}

/// `ID (NAME) STATE ...`: the name may hold blanks and brackets, so the fields are counted behind the last one.
fn thread_line(stat: &str) -> String {
    let Some((head, rest)) = stat.rsplit_once(") ") else { return String::new() };
    let name = head.split_once('(').map_or("", |(_, name)| name);
    let fields: Vec<&str> = rest.split(' ').collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or("?");
    format!("{name:<16} {:>10} {:>10} {:>4}\n", field(11), field(12), field(36))
}

fn open_files(system: &SystemFiles, id: u32) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(system.path(&format!("proc/{id}/fd"))).into_iter().flatten().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        let kind = match (target.split_once(':'), target.rsplit_once('.')) {
            (Some((kind, _)), _) if !target.starts_with('/') => kind.to_owned(),
            (_, Some((_, extension))) if target.starts_with('/') && !extension.contains('/') => {
                format!("*.{extension}")
            }
            _ => target,
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    kinds
}

/// The texts of files, each under its name; those that are not there are passed over.
fn files(system: &SystemFiles, names: impl IntoIterator<Item = String>) -> String {
    let texts = names.into_iter().filter_map(|name| {
        let text = system.text(&name)?.replace('\0', " ");
        Some(format!("== /{name}\n{text}\n\n"))
    });
    texts.collect()
}

/// The process that has the data directory's lock open.
pub(super) fn process_of(system: &SystemFiles, data_dir: &Path) -> Option<u32> {
    let lock = data_dir.join("lock").canonicalize().ok()?;
    let processes = fs::read_dir(system.path("proc")).into_iter().flatten().flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.find(|id| {
        let mut open = fs::read_dir(system.path(&format!("proc/{id}/fd"))).into_iter().flatten().flatten();
        open.any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == lock))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_read_whatever_their_name() {
        let fields: Vec<String> = (3..=52).map(|number| number.to_string()).collect();
        let line = thread_line(&format!("7 (a) b) S {}", fields[1..].join(" ")));
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["a)", "b", "14", "15", "39"]);
        assert_eq!(thread_line(""), "");
    }
}

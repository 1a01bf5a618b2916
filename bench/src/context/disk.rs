//! What a data directory lies on: file system, mount options, block device, and how its counters moved.
//!
//! Everything comes from `/proc` and `/sys`; what is not there (a network file system has no block
//! device, a container hides it) is left out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use serde::Serialize;

use crate::outcome::{Better, Fact};

/// Facts of a run that say what the device did, warm-up included.
pub(crate) const DEVICE_FLUSHES: &str = "flushes of all disks";
pub(crate) const DEVICE_WRITES: &str = "writes to all disks";

/// A sector in the counters of `/sys`, whatever the device's own size is.
const SECTOR_BYTES: u64 = 512;

/// The volume below a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Disk {
    /// The directory.
    pub(crate) path: PathBuf,
    /// Where its volume is mounted.
    pub(crate) mount_point: String,
    /// Type of the file system.
    pub(crate) filesystem: String,
    /// What it was mounted with: options of the mount and of the file system.
    pub(crate) mount_options: String,
    pub(crate) size_bytes: u64,
    pub(crate) free_bytes: u64,
    /// The device below it, if it is one that this machine knows.
    pub(crate) device: Option<BlockDevice>,
}

/// A block device, as the kernel sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BlockDevice {
    /// Its name in `/sys/block`.
    pub(crate) name: String,
    pub(crate) model: Option<String>,
    pub(crate) size_bytes: u64,
    /// The scheduler in use.
    pub(crate) scheduler: Option<String>,
    /// `write back`: the kernel knows a cache that a flush empties; `write through`: it knows of none
    /// and sends no flushes.
    pub(crate) write_cache: Option<String>,
    pub(crate) is_rotational: Option<bool>,
    /// Devices that it is made of (device mapper, RAID).
    pub(crate) made_of: Vec<String>,
}

impl Disk {
    /// The volume below `path`, as the process `pid` sees it, or as this process does.
    pub(crate) fn of(path: &Path, pid: Option<u32>) -> io::Result<Self> {
        let pid = pid.filter(|pid| has_other_mounts(*pid));
        let (mounts, seen, path) = match pid {
            None => ("/proc/self/mountinfo".to_owned(), path.canonicalize()?, path.canonicalize()?),
            Some(pid) => {
                let root = PathBuf::from(format!("/proc/{pid}/root"));
                let below_root = path.strip_prefix("/").unwrap_or(path);
                (format!("/proc/{pid}/mountinfo"), root.join(below_root), path.to_owned())
            }
        };
        let mounts = fs::read_to_string(mounts)?;
        let mount = Mount::above(&mounts, &path)
            .ok_or_else(|| io::Error::other(format!("no mount lies above {}", path.display())))?;
        let volume = statvfs(&seen)?;
        Ok(Self {
            path,
            mount_point: mount.point,
            filesystem: mount.filesystem,
            mount_options: mount.options,
            size_bytes: volume.f_blocks * volume.f_frsize,
            free_bytes: volume.f_bavail * volume.f_frsize,
            device: disk_folder(&mount.device).and_then(|folder| BlockDevice::of(&folder)),
        })
    }
}

/// Whether the process has mounts of its own (a container).
fn has_other_mounts(pid: u32) -> bool {
    let own = fs::read_link("/proc/self/ns/mnt");
    let other = fs::read_link(format!("/proc/{pid}/ns/mnt"));
    matches!((own, other), (Ok(own), Ok(other)) if own != other)
}

/// A line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// `major:minor`.
    device: String,
    point: String,
    filesystem: String,
    options: String,
}

impl Mount {
    /// The mount that `path` lies on: the one with the longest point, and of those the last.
    fn above(mountinfo: &str, path: &Path) -> Option<Self> {
        let mounts = mountinfo.lines().filter_map(Self::parse);
        mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.len())
    }

    /// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - FILESYSTEM SOURCE SUPER-OPTIONS`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, volume) = line.split_once(" - ")?;
        let [_, _, device, _, point, options, ..] = mount.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let [filesystem, _source, super_options] = volume.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let more =
            super_options.split(',').filter(|option| !options.split(',').any(|known| known == *option));
        let all: Vec<&str> = options.split(',').chain(more).collect();
        Some(Self {
            device: device.to_owned(),
            point: unescape_octal(point),
            filesystem: filesystem.to_owned(),
            options: all.join(","),
        })
    }
}

/// `mountinfo` writes blanks, tabs, line ends and backslashes as `\040` and so on.
fn unescape_octal(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::with_capacity(text.len());
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain + rest
}

/// The folder in `/sys` of the whole disk that `major:minor` is, or is a partition of.
fn disk_folder(device: &str) -> Option<PathBuf> {
    let folder = fs::canonicalize(format!("/sys/dev/block/{device}")).ok()?;
    // Flushes are counted, and schedulers chosen, for the whole disk.
    if folder.join("partition").exists() { folder.parent().map(Path::to_owned) } else { Some(folder) }
}

impl BlockDevice {
    fn of(folder: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned());
        let slaves = fs::read_dir(folder.join("slaves")).into_iter().flatten().flatten();
        Some(Self {
            name: folder.file_name()?.to_string_lossy().into_owned(),
            model: read("device/model")
                .or_else(|| read("device/device").map(|id| format!("PCI device {id}"))),
            size_bytes: read("size")?.parse::<u64>().ok()?.checked_mul(SECTOR_BYTES)?,
            scheduler: read("queue/scheduler").map(|names| chosen(&names).to_owned()),
            write_cache: read("queue/write_cache"),
            is_rotational: read("queue/rotational").map(|flag| flag == "1"),
            made_of: slaves.map(|slave| slave.file_name().to_string_lossy().into_owned()).collect(),
        })
    }
}

/// The one in brackets of `none [mq-deadline] kyber`.
fn chosen(names: &str) -> &str {
    let bracketed = names.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    bracketed.map_or(names, |(name, _)| name)
}

/// What this machine's disks did since it began, whoever asked for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DeviceCounters {
    /// Requests to empty a disk's cache.
    pub(crate) flushes: u64,
    pub(crate) written_bytes: u64,
}

impl DeviceCounters {
    /// The counters of all disks together; `None` if there are none that count.
    pub(crate) fn of_this_machine() -> Option<Self> {
        let disks = fs::read_dir("/sys/block").ok()?.flatten().map(|entry| entry.path());
        // What is made of other disks, or of memory, has no device of its own.
        let real = disks.filter(|folder| folder.join("device").exists());
        real.filter_map(|folder| Self::parse(&fs::read_to_string(folder.join("stat")).ok()?))
            .reduce(Self::plus)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            flushes: self.flushes + other.flushes,
            written_bytes: self.written_bytes + other.written_bytes,
        }
    }

    /// What was added since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            flushes: self.flushes.saturating_sub(earlier.flushes),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
        }
    }

    /// What a run that took `seconds` shows of the disks: whether anything was flushed, and how much
    /// was written. Others' work is in it.
    pub(crate) fn facts(self, seconds: f64) -> [Fact; 2] {
        let fact = |name: &str, value: f64, unit| Fact {
            name: name.to_owned(),
            value: value / seconds,
            unit,
            better: Better::Neither,
        };
        [
            fact(DEVICE_FLUSHES, self.flushes as f64, "1/s"),
            fact(DEVICE_WRITES, self.written_bytes as f64 / 1e6, "MB/s"),
        ]
    }

    /// The fields of `stat`: reads, merged, sectors, ms; writes, merged, sectors, ms; in flight, ms,
    /// ms; discards, merged, sectors, ms; flushes, ms (since Linux 5.5).
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<u64> =
            stat.split_ascii_whitespace().map(|field| field.parse().ok()).collect::<Option<_>>()?;
        let [_, _, _, _, _, _, written_sectors, ..] = fields[..] else { return None };
        Some(Self { flushes: *fields.get(15)?, written_bytes: written_sectors * SECTOR_BYTES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 27 259:1 /sub /data\\040of\\040x rw,noatime shared:1 master:2 - xfs /dev/nvme0n1p1 rw,logbufs=8
32 27 259:2 / /data rw - ext4 /dev/b rw
";

    #[test]
    fn the_longest_mount_above_a_path_is_its_own() {
        let mount = |path: &str| Mount::above(MOUNTS, Path::new(path)).expect("below the root");
        assert_eq!(mount("/data of x/kafka").point, "/data of x");
        assert_eq!(mount("/data of x/kafka").options, "rw,noatime,logbufs=8");
        assert_eq!(mount("/data of x").device, "259:1");
        assert_eq!(mount("/data/x").device, "259:2");
        // A name that merely begins the same lies elsewhere.
        assert_eq!(mount("/database").filesystem, "ext4");
        assert_eq!(mount("/database").point, "/");
        assert_eq!(Mount::above("", Path::new("/")), None);
    }

    #[test]
    fn octal_escapes_are_characters() {
        assert_eq!(unescape_octal("a\\040b\\134"), "a b\\");
        assert_eq!(unescape_octal("a\\9"), "a\\9");
    }

    #[test]
    fn the_scheduler_in_brackets_is_in_use() {
        assert_eq!(chosen("none [mq-deadline] kyber"), "mq-deadline");
        assert_eq!(chosen("none"), "none");
    }

    #[test]
    fn counters_are_those_of_the_kernels_table() {
        let stat = "  10 0 16 5 20 0 400 7 0 11 12 0 0 0 0 33 4\n";
        let counters = DeviceCounters::parse(stat).expect("all fields");
        assert_eq!((counters.written_bytes, counters.flushes), (400 * 512, 33));
        let earlier = DeviceCounters { flushes: 30, ..counters };
        assert_eq!(counters.since(earlier), DeviceCounters { flushes: 3, ..Default::default() });
        let [flushes, writes] = counters.facts(2.0);
        assert_eq!((flushes.value, writes.value), (16.5, 0.1024));
        // Before Linux 5.5 flushes were not counted.
        assert_eq!(DeviceCounters::parse("10 0 16 5 20 0 400 7 0 11 12"), None);
    }

    #[test]
    fn this_machines_root_has_a_volume() {
        let disk = Disk::of(Path::new("/"), None).expect("the root is mounted");
        assert_eq!(disk.mount_point, "/");
        assert!(disk.size_bytes >= disk.free_bytes);
        assert!(!disk.filesystem.is_empty() && !disk.mount_options.is_empty());
    }
}

//! What the data directory lies on: mount, file system, devices; and what was tried there.

use std::fs;
use std::path::{Path, PathBuf};

use ringmain_storage::disk::DiskErrorKind;
use ringmain_storage::disk::direct::{DiskFacts, probe_disk};

use super::SystemFiles;
use super::files::{chosen, names_in, text_of};

/// Words in the model of a disk that its host makes up.
const VIRTUAL_MODELS: [&str; 8] =
    ["qemu", "virtual", "vbox", "vmware", "persistentdisk", "elastic block", "google", "msft"];

/// The volume below the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) directory: PathBuf,
    /// The directory itself, or, where there is none yet, the nearest one above.
    pub(super) existing: PathBuf,
    pub(super) mount: Option<Mount>,
    /// The devices below, without what is made of others.
    pub(super) devices: Vec<Device>,
    pub(super) trial: Trial,
}

/// What came of writing a small file there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trial {
    Worked(DiskFacts),
    /// This user may not write there.
    NotAllowed,
    Failed(String),
}

/// A line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// `major:minor`.
    device: String,
    pub(super) source: String,
    pub(super) point: String,
    pub(super) file_system: String,
    /// Of the mount and of the file system.
    options: Vec<String>,
}

/// A block device, as the kernel sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) scheduler: Option<String>,
    pub(super) schedulers: String,
    /// `write back`: there is a cache that a flush empties; `write through`: the kernel knows of none and sends no flushes.
    pub(super) write_cache: Option<String>,
    /// What the drive itself says of its cache, where it says so.
    pub(super) drive_cache: Option<String>,
    pub(super) is_rotational: bool,
    pub(super) requests: Option<u64>,
    pub(super) is_virtual: bool,
    /// The file of a loop device.
    pub(super) backing_file: Option<String>,
}

impl Volume {
    pub(super) fn read(system: &SystemFiles, directory: &Path) -> Self {
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let existing = absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let existing = existing.canonicalize().unwrap_or_else(|_| existing.to_owned());
        let mounts = system.text("proc/self/mountinfo").unwrap_or_default();
        let mount = Mount::above(&mounts, &existing);
        let folder = mount.as_ref().and_then(|mount| disk_folder(system, &mount.device));
        let mut devices = Vec::new();
        if let Some(folder) = folder {
            leaves(&folder, &mut devices);
        }
        let trial = match probe_disk(&existing) {
            Ok(facts) => Trial::Worked(facts),
            Err(error) if error.kind == DiskErrorKind::Denied => Trial::NotAllowed,
            Err(error) => Trial::Failed(error.to_string()),
        };
        Self { directory: absolute, existing, mount, devices, trial }
    }

    pub(super) fn exists(&self) -> bool {
        self.directory.exists()
    }
}

impl Mount {
    /// The mount that `path` lies on: the one with the longest point, and of those the last.
    pub(super) fn above(mountinfo: &str, path: &Path) -> Option<Self> {
        let mounts = mountinfo.lines().filter_map(Self::parse);
        mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.len())
    }

    /// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - FILESYSTEM SOURCE SUPER-OPTIONS`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, volume) = line.split_once(" - ")?;
        let [_, _, device, _, point, options, ..] = mount.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let [file_system, source, super_options] = volume.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Self {
            device: device.to_owned(),
            source: source.to_owned(),
            point: unescape_octal(point),
            file_system: file_system.to_owned(),
            options: options.split(',').chain(super_options.split(',')).map(str::to_owned).collect(),
        })
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }
}

/// `mountinfo` writes blanks, tabs, line ends and backslashes as `\040` and so on.
fn unescape_octal(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// The folder in `/sys` of the whole disk that `major:minor` is, or is a partition of.
fn disk_folder(system: &SystemFiles, device: &str) -> Option<PathBuf> {
    let folder = fs::canonicalize(system.path(&format!("sys/dev/block/{device}"))).ok()?;
    if folder.join("partition").exists() { folder.parent().map(Path::to_owned) } else { Some(folder) }
}

/// What a device is made of (device mapper, RAID), down to those that are made of nothing; or itself.
fn leaves(folder: &Path, found: &mut Vec<Device>) {
    /// Deeper stacks than this do not exist, unless the recording goes round.
    const DEVICES_MAX: usize = 64;
    let below = names_in(&folder.join("slaves"));
    if below.is_empty() {
        found.extend(Device::read(folder));
    }
    for name in below {
        let slave = fs::canonicalize(folder.join("slaves").join(&name));
        let Ok(slave) = slave else { continue };
        let whole =
            if slave.join("partition").exists() { slave.parent().map(Path::to_owned) } else { Some(slave) };
        if let Some(whole) = whole.filter(|_| found.len() < DEVICES_MAX) {
            leaves(&whole, found);
        }
    }
}

impl Device {
    fn read(folder: &Path) -> Option<Self> {
        let read = |name: &str| text_of(&folder.join(name));
        let name = folder.file_name()?.to_string_lossy().into_owned();
        let words =
            [read("device/model"), read("device/vendor")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let words = words.to_ascii_lowercase();
        let disks = folder.join("device/scsi_disk");
        let drive_cache =
            names_in(&disks).first().and_then(|disk| text_of(&disks.join(disk).join("cache_type")));
        let schedulers = read("queue/scheduler").unwrap_or_default();
        Some(Self {
            is_virtual: name.starts_with("vd")
                || name.starts_with("xvd")
                || VIRTUAL_MODELS.iter().any(|model| words.contains(model)),
            scheduler: Some(chosen(&schedulers).to_owned()).filter(|chosen| !chosen.is_empty()),
            schedulers,
            write_cache: read("queue/write_cache"),
            drive_cache,
            is_rotational: read("queue/rotational").as_deref() == Some("1"),
            requests: read("queue/nr_requests").and_then(|number| number.parse().ok()),
            backing_file: read("loop/backing_file"),
            name,
        })
    }

    /// Whether it is made of the machine's own memory.
    pub(super) fn is_memory(&self) -> bool {
        self.name.starts_with("ram") || self.name.starts_with("zram")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 27 259:1 /sub /data\\040of\\040x rw,noatime shared:1 master:2 - xfs /dev/nvme0n1p1 rw,logbufs=8
32 27 259:2 / /data rw - ext4 /dev/b rw,nobarrier
";

    #[test]
    fn the_longest_mount_above_a_path_is_its_own() {
        let mount = |path: &str| Mount::above(MOUNTS, Path::new(path)).expect("below the root");
        assert_eq!(mount("/data of x/log").point, "/data of x");
        assert_eq!(mount("/data of x").device, "259:1");
        assert!(mount("/data/x").has("nobarrier"));
        // A name that merely begins the same lies elsewhere.
        assert_eq!(mount("/database").file_system, "ext4");
        assert_eq!(mount("/database").source, "/dev/vda");
        assert_eq!(Mount::above("", Path::new("/")), None);
    }

    #[test]
    fn octal_escapes_are_characters() {
        assert_eq!(unescape_octal("a\\040b\\134"), "a b\\");
        assert_eq!(unescape_octal("a\\9"), "a\\9");
    }
}

//! The file system of the data directory, and whether a flush there holds.

use ringmain_storage::disk::direct::DiskFacts;

use super::device::{per_device, set_attribute};
use super::finding::{Status, Verdict};
use super::volume::{Device, Trial, Volume};

/// File systems that do not survive a restart of the machine.
const MEMORY: [&str; 3] = ["tmpfs", "ramfs", "devtmpfs"];
/// Options by which a file system sends no flushes to its device.
const WITHOUT_FLUSHES: [&str; 2] = ["nobarrier", "barrier=0"];

pub(super) fn directory(volume: &Volume) -> Verdict {
    let shown = volume.directory.display();
    match &volume.trial {
        Trial::Failed(error) => {
            Verdict::problem(format!("{shown}: {error}"), format!("ls -ld {shown}; df {shown}"))
        }
        Trial::NotAllowed if !volume.exists() => Verdict::advice(
            format!("{shown} is not there, and this user may not make it in {}", volume.existing.display()),
            format!("install -d -o ringmain -g ringmain -m 750 {shown}"),
        )
        .because("the node's user has to own it"),
        Trial::NotAllowed => Verdict::advice(
            format!("this user may not write to {shown}, so direct I/O was not tried"),
            "sudo -u ringmain ringmain check",
        )
        .because("the node's user has to own it"),
        Trial::Worked(_) if !volume.exists() => Verdict::ok(format!(
            "{shown} will be made at the first start; {} can be written",
            volume.existing.display()
        )),
        Trial::Worked(_) => Verdict::ok(format!("{shown} can be written")),
    }
}

pub(super) fn file_system(volume: &Volume) -> Verdict {
    let Some(mount) = &volume.mount else {
        return Verdict::advice(
            "/proc/self/mountinfo does not tell where it lies",
            format!("findmnt -T {}", volume.existing.display()),
        );
    };
    let found = format!("{} on {} at {}", mount.file_system, mount.source, mount.point);
    let make = format!(
        "mkfs.xfs DEVICE && mount DEVICE {} (with its line in /etc/fstab)",
        volume.directory.display()
    );
    match mount.file_system.as_str() {
        "ext4" if mount.has("data=journal") => Verdict::advice(
            format!("{found}, with data=journal"),
            "take data=journal out of /etc/fstab, and mount it anew",
        )
        .because("direct I/O is off with data=journal: each record is written three times"),
        "ext4" | "xfs" if mount.has("discard") => Verdict::advice(
            format!("{found}, with discard"),
            format!("mount -o remount,nodiscard {} (and in /etc/fstab); systemctl enable --now fstrim.timer", mount.point),
        )
        .because("a deleted segment is then discarded by the file system at once, and flushes may wait for the device to do it"),
        "ext4" | "xfs" => Verdict::ok(format!("{found}: one flush holds for all partitions")),
        name if MEMORY.contains(&name) => {
            Verdict::problem(found, make).because("it is memory: nothing survives a restart of the machine")
        }
        "overlay" => Verdict::advice(found, "mount a volume at the data directory (docker run -v, a PersistentVolume)")
            .because("the layers of a container go with it, and copying a file up takes its old content through memory"),
        _ => Verdict::advice(found, make),
    }
}

pub(super) fn direct_io(volume: &Volume) -> Verdict {
    let Trial::Worked(facts) = &volume.trial else {
        return Verdict::advice("was not tried (see the data directory)", "sudo -u ringmain ringmain check");
    };
    let DiskFacts { alignment, direct_io, file_system } = facts;
    if *direct_io {
        let (memory, position) = (alignment.memory_bytes, alignment.position_bytes);
        return Verdict::ok(format!("works; aligned to {position} bytes in files, {memory} in memory"));
    }
    Verdict::advice(format!("{file_system} has none"), "put data_dir on ext4 or XFS")
}

/// Whether what was flushed is on the medium.
pub(super) fn flush(volume: &Volume) -> Vec<Verdict> {
    if let Some(mount) = &volume.mount
        && let Some(option) = WITHOUT_FLUSHES.into_iter().find(|option| mount.has(option))
    {
        let found = format!("{} is mounted with {option}: no flush reaches the device", mount.point);
        let remedy =
            format!("take {option} out of /etc/fstab, then: mount -o remount,barrier=1 {}", mount.point);
        return vec![Verdict::problem(found, remedy)];
    }
    per_device(&volume.devices, flush_of)
}

fn flush_of(device: &Device) -> Verdict {
    let name = &device.name;
    let write_cache = device.write_cache.as_deref();
    if device.is_memory() {
        return Verdict::problem(format!("{name} is memory"), "put data_dir on a drive");
    }
    if let Some(file) = &device.backing_file {
        return Verdict::advice(
            format!("{name} is the file {file}"),
            format!("ringmain check --data-dir $(dirname {file})    # what it lies on decides"),
        );
    }
    if write_cache == Some("write through")
        && device.drive_cache.as_deref().is_some_and(|it| it.contains("write back"))
    {
        let found = format!(
            "{name}: the drive has a cache, and the kernel was told that it has none: no flush reaches it"
        );
        return set_attribute(Status::Problem, device, found, "write_cache", "write back");
    }
    if device.is_virtual {
        return Verdict::advice(
            format!(
                "{name}: a virtual disk ({}); only its host knows",
                write_cache.unwrap_or("cache not told")
            ),
            "ask who runs the host: with QEMU the disk needs cache=none, writeback or directsync, never unsafe",
        );
    }
    match write_cache {
        Some("write back") => Verdict::ok(format!("{name}: has a cache, which a flush empties")),
        Some("write through") => Verdict::ok(format!("{name}: has no cache that could be lost, as it says")),
        _ => Verdict::advice(format!("{name}: the kernel does not tell"), format!("hdparm -W /dev/{name}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::volume::Mount;
    use super::*;

    fn volume(file_system: &str, options: &str, device: Device) -> Volume {
        let line = format!("27 1 8:16 / / rw - {file_system} /dev/sdb {options}\n");
        Volume {
            directory: PathBuf::from("/data"),
            existing: PathBuf::from("/"),
            mount: Mount::above(&line, Path::new("/")),
            devices: vec![device],
            trial: Trial::NotAllowed,
        }
    }

    fn drive(write_cache: &str) -> Device {
        Device { name: "sdb".to_owned(), write_cache: Some(write_cache.to_owned()), ..Device::default() }
    }

    #[test]
    fn file_systems_are_judged_by_what_a_flush_does_there() {
        for (name, options, status) in [
            ("ext4", "rw", Status::Ok),
            ("xfs", "rw", Status::Ok),
            ("ext4", "rw,discard", Status::Advice),
            ("ext4", "rw,data=journal", Status::Advice),
            ("btrfs", "rw", Status::Advice),
            ("overlay", "rw", Status::Advice),
            ("tmpfs", "rw", Status::Problem),
        ] {
            assert_eq!(
                file_system(&volume(name, options, drive("write back"))).status,
                status,
                "{name} {options}"
            );
        }
    }

    #[test]
    fn flushes_that_do_not_arrive_are_problems() {
        let judge = |options: &str, device: Device| flush(&volume("ext4", options, device)).remove(0);
        assert_eq!(judge("rw", drive("write back")).status, Status::Ok);
        assert_eq!(judge("rw", drive("write through")).status, Status::Ok);
        assert_eq!(judge("rw,nobarrier", drive("write back")).status, Status::Problem);
        assert_eq!(judge("rw,barrier=0", drive("write back")).status, Status::Problem);
        let lying = Device { drive_cache: Some("write back".to_owned()), ..drive("write through") };
        let lying = judge("rw", lying);
        assert_eq!((lying.status, lying.settings.len()), (Status::Problem, 1));
        assert_eq!(judge("rw", Device { is_virtual: true, ..drive("write back") }).status, Status::Advice);
        assert_eq!(
            judge("rw", Device { name: "zram0".to_owned(), ..drive("write back") }).status,
            Status::Problem
        );
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told() {
        assert_eq!(directory(&volume("ext4", "rw", drive("write back"))).status, Status::Advice);
        let failed = Volume {
            trial: Trial::Failed("no space".to_owned()),
            ..volume("ext4", "rw", drive("write back"))
        };
        assert_eq!(directory(&failed).status, Status::Problem);
    }
}

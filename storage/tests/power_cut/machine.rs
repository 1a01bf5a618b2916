//! A file system on a disk that forgets: made, mounted, cut off and mounted again.
//!
//! Everything happens in a mount namespace of this process alone, with loop devices that go away with their mount, and each
//! disk is served by a process of its own: a test that ends, by itself, by a panic or killed in the middle, leaves nothing
//! behind but empty folders.
#![expect(unsafe_code, reason = "leaves the mount namespace of the others")]

use std::{
    ffi::OsStr,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
    time::Duration,
};

use ringmain_storage::disk::simulated::Random;

use super::volatile_disk::{self, Condition, CutReport, VolatileDisk};

/// XFS wants 300 MiB at least; only what is touched takes memory.
const DEVICE_BYTES: usize = 1 << 30;

/// The file systems on which one flush covers all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    pub(crate) const ALL: [FileSystem; 2] = [FileSystem::Ext4, FileSystem::Xfs];

    fn format(self, device: &Path) -> Result<(), String> {
        match self {
            FileSystem::Ext4 => {
                let options = ["-q", "-F", "-E", "nodiscard,lazy_itable_init=0"];
                run("mkfs.ext4", options.map(OsStr::new).into_iter().chain([device.as_os_str()]))
            }
            FileSystem::Xfs => {
                run("mkfs.xfs", ["-q", "-f", "-K"].map(OsStr::new).into_iter().chain([device.as_os_str()]))
            }
        }
    }

    /// Repairs what cannot be mounted, as the start of a machine does. ext4 needs it: once its journal is aborted, because a
    /// flush failed, it writes its superblock in place, and that has two sectors, of which a power cut may keep one.
    fn repair(self, device: &Path) -> Result<(), String> {
        if self != FileSystem::Ext4 {
            return Err(format!("{self} repairs itself when it is mounted"));
        }
        let output = Command::new("e2fsck").args(["-f", "-y"]).arg(device).output();
        let output = output.map_err(|error| format!("e2fsck cannot run: {error}"))?;
        // 1: everything was corrected; 2: it says so of a file system that it takes for mounted.
        if output.status.code().is_some_and(|code| code < 4) {
            return Ok(());
        }
        Err(format!("e2fsck failed: {}", String::from_utf8_lossy(&output.stdout).trim()))
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        })
    }
}

/// Leaves the mount namespace of the others, if everything that is needed is there; otherwise says what is missing.
///
/// Call it before any thread is started: only this thread and its children leave.
pub(crate) fn prepare() -> Result<(), String> {
    // SAFETY: no memory is involved.
    if unsafe { libc::geteuid() } != 0 {
        return Err("only root may mount".into());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        fs::File::open(device).map_err(|error| format!("{device}: {error}"))?;
    }
    for (tool, package) in
        [("mkfs.ext4", "e2fsprogs"), ("e2fsck", "e2fsprogs"), ("mkfs.xfs", "xfsprogs"), ("mount", "mount")]
    {
        let found = Command::new(tool).arg("-V").output();
        found.map_err(|error| format!("{tool} (package {package}): {error}"))?;
    }
    let noted = volatile_disk::note_mounts_of_the_machine();
    noted.map_err(|error| format!("/proc/self/ns/mnt: {error}"))?;
    // SAFETY: no memory is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(format!("no mount namespace of our own: {}", io::Error::last_os_error()));
    }
    run("mount", ["--make-rprivate", "/"].map(OsStr::new))
}

/// A mounted file system on a disk that forgets.
pub(crate) struct Machine {
    file_system: FileSystem,
    mount_point: PathBuf,
    random: Random,
    mounted: bool,
    disk: VolatileDisk,
    /// The last to be dropped: the device has its mount in it.
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is an empty folder.
        let _result = fs::remove_dir_all(&self.0);
    }
}

impl Machine {
    /// A new, empty file system; `seed` decides what its disk forgets.
    pub(crate) fn start(file_system: FileSystem, parent: &Path, seed: u64) -> Result<Machine, String> {
        let folder = parent.join(format!("power-cut-{file_system}-{}-{seed}", process::id()));
        let (device_folder, mount_point) = (folder.join("device"), folder.join("data"));
        let folder = Folder(folder);
        for folder in [&device_folder, &mount_point] {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let disk =
            VolatileDisk::start(&device_folder, DEVICE_BYTES).map_err(|error| format!("FUSE: {error}"))?;
        file_system.format(&disk.path())?;
        let random = Random::new(seed);
        let mut machine = Machine { file_system, mount_point, random, mounted: false, disk, _folder: folder };
        machine.mount()?;
        Ok(machine)
    }

    /// Where the file system is mounted.
    pub(crate) fn root(&self) -> &Path {
        &self.mount_point
    }

    /// Cuts the power. Whoever uses the file system gets errors from now on and has to end before [`Machine::restart`].
    pub(crate) fn cut_power(&mut self) -> Result<CutReport, String> {
        self.disk.cut_power(&mut self.random).map_err(|error| format!("the power cannot be cut: {error}"))
    }

    /// The disk fails, is slow, hangs, or is good again; after [`Machine::restart`] it is good.
    #[allow(dead_code, reason = "not every test has a use for it")]
    pub(crate) fn set_condition(&mut self, condition: Condition) -> Result<(), String> {
        self.disk.set_condition(condition).map_err(|error| format!("{condition:?}: {error}"))
    }

    /// The process without which the disk is gone.
    #[allow(dead_code, reason = "not every test has a use for it")]
    pub(crate) fn disk_process(&self) -> u32 {
        self.disk.process()
    }

    /// Mounts what survived, repaired if that has to be.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.unmount();
        self.disk.restore_power().map_err(|error| format!("the power does not come back: {error}"))?;
        let Err(reason) = self.mount() else { return Ok(()) };
        eprintln!("{} is repaired: {reason}", self.file_system);
        let repaired = self.file_system.repair(&self.disk.path()).and_then(|()| self.mount());
        repaired.map_err(|error| format!("{} does not come back: {reason}; {error}", self.file_system))
    }

    fn mount(&mut self) -> Result<(), String> {
        let device = self.disk.path();
        let arguments = [OsStr::new("-n"), OsStr::new("-o"), OsStr::new("loop"), device.as_os_str()];
        run("mount", arguments.into_iter().chain([self.mount_point.as_os_str()]))?;
        self.mounted = true;
        Ok(())
    }

    /// A process that has just ended may hold the mount for a moment; what stays busy is at least taken out of sight.
    fn unmount(&mut self) {
        if !self.mounted {
            return;
        }
        self.mounted = false;
        for _ in 0..50 {
            if run("umount", ["-n".as_ref(), self.mount_point.as_os_str()]).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        if let Err(reason) = run("umount", ["-n".as_ref(), "-l".as_ref(), self.mount_point.as_os_str()]) {
            eprintln!("{reason}");
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program} cannot run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

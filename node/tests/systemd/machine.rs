//! A machine with systemd as its first process: a container on a fresh Debian, with a disk of its own for the data.
//!
//! Everything that it changes is in memory or on that disk, and goes with it; the Debian below is fetched once and kept. Its
//! mounts are in a name space that ends with it, its network has nothing but a loopback.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::package::Package;
use super::support::tools;

/// Room for the journals of all shards, and not much more: a test fills it.
const DISK_MIB: u64 = 900;
/// A boot takes a few seconds.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(50);
/// Where the packages are inside.
pub(crate) const PACKAGES: &str = "/srv/package";
/// Where the data are inside.
pub(crate) const DATA: &str = "/var/lib/ringmain";

/// A running machine. Dropped, it is gone.
pub(crate) struct Machine {
    container: Child,
    /// The number of its first process, outside.
    leader: u32,
    folder: PathBuf,
    /// Of the package under test.
    pub(crate) version: String,
}

impl Machine {
    /// Boots one, with the packages in it, nothing installed.
    pub(crate) fn boot(package: &Package) -> Result<Self, String> {
        let debian = debian()?;
        let name = format!("machine-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        let said = |error: std::io::Error| format!("cannot make {}: {error}", folder.display());
        fs::create_dir_all(folder.join("data")).map_err(said)?;
        let disk = folder.join("disk");
        File::create(&disk).and_then(|file| file.set_len(DISK_MIB << 20)).map_err(said)?;
        tools::run(Command::new("mkfs.ext4").args(["-q", "-m", "0", "-E", "nodiscard"]).arg(&disk))?;
        let console = File::create(folder.join("console")).map_err(said)?;
        let mut container = Command::new("unshare");
        container
            .args(["--mount", "--propagation", "private", "sh", "-ec"])
            .arg("mount -o loop \"$1\" \"$2\"; shift 2; exec systemd-nspawn \"$@\"")
            .args(["sh", &disk.display().to_string(), &folder.join("data").display().to_string()])
            .args([
                "--quiet",
                "--boot",
                "--volatile=overlay",
                "--private-network",
                "--register=no",
                "--keep-unit",
            ])
            .arg(format!("--machine=ringmain-{}", std::process::id()))
            .arg(format!("--directory={}", debian.join("root").display()))
            .arg(format!("--bind={}:{DATA}", folder.join("data").display()))
            .arg(format!("--bind-ro={}:{PACKAGES}", package.folder.display()));
        let errors = console.try_clone().map_err(said)?;
        container.stdin(Stdio::null()).stdout(console).stderr(errors);
        let container = container.spawn().map_err(|error| format!("cannot start a container: {error}"))?;
        let mut machine = Self { container, leader: 0, folder, version: package.version.clone() };
        let begin = Instant::now();
        machine.wait_until_booted();
        println!("booted in {:.1} s", begin.elapsed().as_secs_f32());
        Ok(machine)
    }

    fn wait_until_booted(&mut self) {
        let begin = Instant::now();
        loop {
            if let Some(leader) = child_named(self.container.id(), "systemd") {
                self.leader = leader;
                let state = self.run(&["systemctl", "is-system-running"]);
                if matches!(text(&state.stdout).trim(), "running" | "degraded") {
                    return;
                }
            }
            let ended = self.container.try_wait().expect("it is our child");
            let said = || fs::read_to_string(self.folder.join("console")).unwrap_or_default();
            assert!(ended.is_none(), "the container ended: {}", said());
            assert!(begin.elapsed() < BOOT_LIMIT, "the machine does not boot: {}", said());
            sleep(LOOK);
        }
    }

    /// A program inside, as root.
    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader.to_string()]);
        command.args(["-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", "--"]).args(line);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8");
        command
    }

    /// A program of this machine, on the network of that one.
    pub(crate) fn on_its_network(&self, line: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader.to_string(), "-n", "--"]).args(line);
        command
    }

    pub(crate) fn run(&self, line: &[&str]) -> Output {
        self.command(line).stdin(Stdio::null()).output().expect("nsenter runs")
    }

    /// Runs a line of the shell that must succeed; what it said.
    pub(crate) fn shell(&self, line: &str) -> String {
        let output = self.run(&["sh", "-ec", line]);
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{line}\n{said}{errors}\n{}", self.state());
        said
    }

    /// Runs a line of the shell that must fail; what it said.
    pub(crate) fn refused(&self, line: &str) -> String {
        let output = self.run(&["sh", "-ec", line]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success(), "{line} succeeded: {said}");
        said
    }

    /// A property of the service, as systemd has it.
    pub(crate) fn property(&self, name: &str) -> String {
        let output = self.run(&["systemctl", "show", "ringmain", "--value", "-p", name]);
        text(&output.stdout).trim().to_owned()
    }

    /// The service's process, by its number inside.
    pub(crate) fn process(&self) -> String {
        self.property("MainPID")
    }

    /// The same by its number outside.
    pub(crate) fn process_outside(&self) -> u32 {
        let (inside, ours) = (self.process(), format!("/proc/{}/ns/pid", self.leader));
        let space = fs::read_link(&ours).expect("the machine runs");
        let processes = fs::read_dir("/proc").expect("it is there").filter_map(|entry| entry.ok());
        let numbers = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
        let is_it = |number: &u32| {
            let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("NSpid:")).unwrap_or_default();
            line.split_whitespace().next_back() == Some(&inside)
                && fs::read_link(format!("/proc/{number}/ns/pid")).is_ok_and(|link| link == space)
        };
        numbers.into_iter().find(is_it).expect("the service runs")
    }

    /// Restarts by systemd, since the service was started by hand.
    pub(crate) fn restarts(&self) -> u32 {
        self.property("NRestarts").parse().expect("it is a number")
    }

    pub(crate) fn is_active(&self) -> bool {
        self.property("ActiveState") == "active" && self.property("SubState") == "running"
    }

    /// Waits for something; panics with the state of the service when it does not happen.
    pub(crate) fn wait_for(&self, what: &str, limit: Duration, happened: impl Fn() -> bool) -> Duration {
        let begin = Instant::now();
        while !happened() {
            assert!(begin.elapsed() < limit, "not within {limit:?}: {what}\n{}", self.state());
            sleep(LOOK);
        }
        begin.elapsed()
    }

    /// Changes the service until [`Machine::undo`].
    pub(crate) fn change_unit(&self, lines: &str) {
        let folder = "/run/systemd/system/ringmain.service.d";
        self.shell(&format!("mkdir -p {folder}; printf '[Service]\\n{lines}\\n' > {folder}/test.conf"));
        self.shell("systemctl daemon-reload");
    }

    /// Takes the change back, and starts the service anew.
    pub(crate) fn undo(&self) {
        self.shell("rm -r /run/systemd/system/ringmain.service.d; systemctl daemon-reload");
        self.shell("systemctl restart ringmain");
    }

    /// What the service wrote to the journal, all of it.
    pub(crate) fn journal(&self) -> String {
        self.shell("journalctl --no-pager -o cat -u ringmain")
    }

    fn state(&self) -> String {
        let status = self.run(&["systemctl", "--no-pager", "--full", "-n", "60", "status", "ringmain"]);
        text(&status.stdout) + &text(&status.stderr)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process gone, all are; the container's own ends then, and its mounts.
        let first = if self.leader == 0 { self.container.id() } else { self.leader };
        let killed = Command::new("kill").args(["-KILL", &first.to_string()]).status();
        let ended = self.container.wait();
        if let (Ok(_), Ok(_)) = (&killed, &ended) {
            // A loop device is given back some moments after its last user.
            let begin = Instant::now();
            while fs::remove_dir_all(&self.folder).is_err() && begin.elapsed() < Duration::from_secs(5) {
                sleep(LOOK);
            }
        } else if !std::thread::panicking() {
            panic!("the machine does not end: {killed:?}, {ended:?}");
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A child process by its name.
fn child_named(parent: u32, name: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    children.into_iter().find(|child: &u32| {
        fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|comm| comm.trim() == name)
    })
}

/// The Debian below every machine, fetched unless it is there; an error where no machine can be had.
pub(crate) fn debian() -> Result<PathBuf, String> {
    for tool in ["systemd-nspawn", "debootstrap", "nsenter", "unshare", "mkfs.ext4"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("{tool} is not installed"));
        }
    }
    if tools::run(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err("only root can start a container".to_owned());
    }
    tools::prepare("debian-with-systemd", fetch_debian)
}

/// The smallest Debian with systemd, of the release and from the mirror that this machine uses itself.
fn fetch_debian(folder: &Path) -> Result<(), String> {
    let (mirror, release) = mirror()?;
    let mut fetch = Command::new("debootstrap");
    // bash-completion and man-db are not needed to have completions and pages in their places.
    fetch.args(["--variant=minbase", "--include=systemd,systemd-sysv,dbus", &release]);
    fetch.arg(folder.join("root")).arg(&mirror);
    if let Some(proxy) = apt_proxy() {
        fetch.env("http_proxy", proxy);
    }
    let begin = Instant::now();
    tools::run(&mut fetch).map_err(|error| format!("cannot fetch a Debian from {mirror}: {error}"))?;
    println!("debootstrap: {:.1} s", begin.elapsed().as_secs_f32());
    Ok(())
}

/// Where apt gets Debian from here, and the name of the release.
fn mirror() -> Result<(String, String), String> {
    let mut ask = Command::new("apt-get");
    ask.args(["indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)"]);
    ask.arg("Created-By: Packages");
    let targets = tools::run(&mut ask).map_err(|_| "apt is not installed, or has no lists".to_owned())?;
    let found = targets.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["Debian", "main", release, mirror] if !release.contains('-') => {
            Some((mirror.into(), release.into()))
        }
        _ => None,
    });
    found.ok_or_else(|| "apt knows no Debian here (is 'apt-get update' done?)".to_owned())
}

fn apt_proxy() -> Option<String> {
    let said =
        tools::run(Command::new("apt-config").args(["shell", "PROXY", "Acquire::http::Proxy"])).ok()?;
    said.trim().strip_prefix("PROXY=").map(|proxy| proxy.trim_matches('\'').to_owned())
}

//! A test that is killed while its disk is mounted and written to leaves the machine as it was: its processes end, its loop
//! device goes, and the next `mount -o loop` works. Whether the test is killed, or its disk's process before it.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::machine::{self, FileSystem, Machine};

/// The first argument of a process that is there to be killed; the second is the folder for its disk.
const WORD: &str = "--be-killed";
/// What takes this long waits for somebody who is gone.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
/// So that writes are under way.
const BEFORE_THE_KILL: Duration = Duration::from_millis(200);
const FILE_BYTES: usize = 1 << 20;
const FILES: usize = 64;
const IMAGE_BYTES: u64 = 8 << 20;

#[derive(Debug, Clone, Copy)]
enum Killed {
    Test,
    DiskFirst,
}

/// Both orders, on both file systems.
pub(crate) fn leaves_nothing_behind() -> Result<String, String> {
    let begin = Instant::now();
    let mut tries = 0;
    for file_system in FileSystem::ALL {
        for killed in [Killed::Test, Killed::DiskFirst] {
            let result = kill(file_system, killed);
            result.map_err(|reason| format!("FAILED: {file_system}, {killed:?}: {reason}"))?;
            tries += 1;
        }
    }
    let milliseconds = begin.elapsed().as_millis();
    Ok(format!("{tries} tests killed in the middle: their loop devices are gone ({milliseconds} ms)"))
}

fn kill(file_system: FileSystem, killed: Killed) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("killed-{killed:?}-{}", process::id()));
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut victim = Command::new("/proc/self/exe")
        .args([WORD, &file_system.to_string()])
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let disk = first_word(&mut victim)?;
    thread::sleep(BEFORE_THE_KILL);
    if matches!(killed, Killed::DiskFirst) {
        run_limited(Command::new("kill").args(["-9", &disk]))?;
        thread::sleep(BEFORE_THE_KILL);
    }
    victim.kill().map_err(|error| error.to_string())?;
    let ended = within_limit(|| victim.try_wait().ok().flatten().is_some());
    ended.map_err(|_late| "the killed test does not end")?;
    let its_devices_are_gone = within_limit(|| !holds_loop_device(&folder));
    its_devices_are_gone.map_err(|_late| "its loop device stays")?;
    mount_another(&folder)?;
    fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// What the victim says once it writes: the process of its disk.
fn first_word(victim: &mut Child) -> Result<String, String> {
    let mut line = String::new();
    let mut said = BufReader::new(victim.stdout.take().expect("it was asked for"));
    said.read_line(&mut line).map_err(|error| error.to_string())?;
    if line.trim().is_empty() { Err("it has no disk".into()) } else { Ok(line.trim().to_owned()) }
}

fn holds_loop_device(folder: &Path) -> bool {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    devices
        .filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok())
        .any(|file| file.contains(&*folder.to_string_lossy()))
}

fn mount_another(folder: &Path) -> Result<(), String> {
    let (image, mount_point) = (folder.join("image"), folder.join("mounted"));
    let file = fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES));
    file.and_then(|()| fs::create_dir_all(&mount_point)).map_err(|error| error.to_string())?;
    run_limited(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
    run_limited(Command::new("mount").args(["-n", "-o", "loop"]).args([&image, &mount_point]))?;
    run_limited(Command::new("umount").arg("-n").arg(&mount_point))
}

fn run_limited(command: &mut Command) -> Result<(), String> {
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let mut status = None;
    let in_time = within_limit(|| {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    match (in_time, status) {
        (Ok(()), Some(status)) if status.success() => Ok(()),
        (Ok(()), status) => Err(format!("{command:?} ended with {status:?}")),
        (Err(_late), _) => Err(format!("{command:?} hangs")),
    }
}

/// Whether something comes true soon.
fn within_limit(mut is_true: impl FnMut() -> bool) -> Result<(), ()> {
    let begin = Instant::now();
    while !is_true() {
        if begin.elapsed() > LIMIT {
            return Err(());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Is the one who is killed, if this process was started for that: to be called before any thread is started.
pub(crate) fn be_killed_if_asked() -> Option<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [word, file_system, folder] = &words[..] else { return None };
    if word != WORD {
        return None;
    }
    let file_system = FileSystem::ALL.into_iter().find(|known| known.to_string() == *file_system)?;
    let machine = machine::prepare().and_then(|()| Machine::start(file_system, &PathBuf::from(folder), 0));
    let machine = machine.inspect_err(|reason| eprintln!("{reason}")).ok()?;
    println!("{}", machine.disk_process());
    write_for_ever(machine.root())
}

/// What is written is not flushed: the end of the mount has something to do.
fn write_for_ever(root: &Path) -> ! {
    let bytes = vec![7; FILE_BYTES];
    for number in (0..FILES).cycle() {
        // Without its disk it can do nothing but wait for its end.
        if fs::write(root.join(format!("file-{number}")), &bytes).is_err() {
            thread::sleep(POLL);
        }
    }
    unreachable!("a cycle has no end")
}

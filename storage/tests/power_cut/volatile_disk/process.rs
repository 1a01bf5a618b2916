//! The process that answers the kernel for a disk: this program once more.
//!
//! The file system is mounted in the name space of the test, and the kernel's end of it handed to a process that is *not* in
//! that name space and holds it alone. Both are needed: a process that dies takes its name space apart before it lets go of
//! its descriptors. As the last one in there it would flush what is mounted on the disk, and wait for an answer that
//! only itself could give; its loop device would then hold up every later `mount -o loop` of the machine. As it is, whoever
//! is killed, in whichever order, either the disk still answers the flush, or the connection has ended and it fails.
#![expect(unsafe_code, reason = "mounts, and starts a process in another name space that ends with this one")]

use std::{
    env,
    ffi::CString,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{self, Child, Command, ExitCode, Stdio},
    sync::{Arc, OnceLock},
    thread,
};

use fuser::{Session, SessionACL};
use ringmain_storage::disk::simulated::Random;

use super::{CutReport, Order, cells::Shared, served::Served};

/// The first argument of such a process; the second is the size of the disk.
const WORD: &str = "--serve-a-volatile-disk";

/// Where the machine's own processes are, as opposed to the test.
static MACHINE_MOUNTS: OnceLock<File> = OnceLock::new();

/// Notes the mount name space that this process is in and is about to leave.
pub(crate) fn note_mounts_of_the_machine() -> io::Result<()> {
    let mounts = File::open("/proc/self/ns/mnt")?;
    MACHINE_MOUNTS.get_or_init(|| mounts);
    Ok(())
}

/// Mounts a disk and starts the process that answers for it; what that is told goes through the stream.
pub(super) fn start(mount_point: &Path, size_bytes: usize) -> io::Result<(Child, UnixStream)> {
    let machine =
        MACHINE_MOUNTS.get().ok_or_else(|| io::Error::other("the mounts are still the machine's"))?;
    let kernel = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    mount(&kernel, mount_point)?;
    let (ours, theirs) = UnixStream::pair()?;
    let machine = machine.as_raw_fd();
    let enter = move || {
        // SAFETY: the descriptor is never closed, and no memory is involved.
        check(unsafe { libc::setns(machine, libc::CLONE_NEWNS) })?;
        // SAFETY: no memory is involved.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
    };
    let mut command = Command::new("/proc/self/exe");
    command
        .args([WORD, &size_bytes.to_string()])
        .stdin(Stdio::from(OwnedFd::from(kernel)))
        .stdout(Stdio::from(OwnedFd::from(theirs)));
    // SAFETY: setns(2) and prctl(2) may be called between fork and exec, and no memory is involved.
    unsafe { command.pre_exec(enter) };
    // With the command our copies of the process's descriptors go.
    Ok((command.spawn()?, ours))
}

fn mount(kernel: &File, mount_point: &Path) -> io::Result<()> {
    let target = CString::new(mount_point.as_os_str().as_bytes())?;
    let options =
        format!("fd={},rootmode=40000,user_id=0,group_id=0,default_permissions", kernel.as_raw_fd());
    let options = CString::new(options)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: all pointers are to strings that end with a zero and live until the call returns.
    check(unsafe {
        libc::mount(
            c"ringmain-power-cut".as_ptr(),
            target.as_ptr(),
            c"fuse".as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    })
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Is such a process, if it was started as one: to be called before anything else.
pub(crate) fn serve_if_asked() -> Option<ExitCode> {
    let mut words = env::args().skip(1);
    if words.next().as_deref() != Some(WORD) {
        return None;
    }
    let served = match words.next().and_then(|word| word.parse().ok()) {
        Some(size_bytes) => serve(size_bytes).map_err(|error| error.to_string()),
        None => Err("no size".to_owned()),
    };
    if let Err(reason) = &served {
        eprintln!("the process of a disk: {reason}");
    }
    Some(if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve(size_bytes: usize) -> io::Result<()> {
    let kernel = io::stdin().as_fd().try_clone_to_owned()?;
    let orders = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    let shared = Arc::new(Shared::new(size_bytes));
    let mut session = Session::from_fd(Served(shared.clone()), kernel, SessionACL::Owner);
    thread::spawn(move || {
        let obeyed = obey(&orders, &shared);
        if let Err(error) = &obeyed {
            eprintln!("the process of a disk: {error}");
        }
        // Nobody is there any more who could want the disk.
        process::exit(i32::from(obeyed.is_err()));
    });
    session.run()
}

/// Does what it is told until there is nobody who tells anything.
fn obey(orders: &UnixStream, shared: &Shared) -> io::Result<()> {
    for line in BufReader::new(orders).lines() {
        let answer = match line?.parse().map_err(io::Error::other)? {
            Order::CutPower { seed } => {
                let CutReport { cached, kept, torn } = shared.cut_power(&mut Random::new(seed));
                format!("{cached} {kept} {torn}")
            }
            Order::RestorePower => {
                shared.restore_power();
                "on".to_owned()
            }
            Order::Become(condition) => {
                shared.set_condition(condition);
                "done".to_owned()
            }
        };
        let mut orders = orders;
        writeln!(orders, "{answer}")?;
    }
    Ok(())
}

//! The last lines of the journal, by `journalctl` where that is installed.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Context;

/// Lines of the service, and of the kernel.
const LINES: &str = "20000";
const KERNEL_LINES: &str = "2000";
/// What is read of them.
const BYTES_MAX: u64 = 32 << 20;
/// A journal on a disk in trouble may take for ever.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the service wrote.
pub(super) fn service_lines(_context: &Context) -> Result<String, String> {
    run(
        "journalctl",
        &["--unit=ringmain.service", "--no-pager", "--output=short-iso-precise", "--lines", LINES],
    )
}

/// What the kernel wrote: failing disks, memory that ran out.
pub(super) fn kernel_lines(_context: &Context) -> Result<String, String> {
    run("journalctl", &["--dmesg", "--no-pager", "--output=short-iso-precise", "--lines", KERNEL_LINES])
        .or_else(|_| run("dmesg", &["--ctime"]))
}

/// What a program prints; the error says why it does not.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    let mut output = child.stdout.take().ok_or("its output cannot be read")?.take(BYTES_MAX);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = output.read_to_end(&mut text).map(|_| text);
        // The receiver may have given up.
        drop(tell.send(read));
    });
    let read = told.recv_timeout(PATIENCE);
    if read.is_err() {
        // It ends by itself, or has ended.
        drop(child.kill());
    }
    let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
    let text = match read {
        Ok(read) => read.map_err(|error| format!("{program}: {error}"))?,
        Err(_) => return Err(format!("{program} took longer than {} s", PATIENCE.as_secs())),
    };
    match String::from_utf8_lossy(&text) {
        text if text.trim().is_empty() || text.contains("-- No entries --") => {
            Err(format!("{program} has no lines that this user may see ({status})"))
        }
        text => Ok(text.into_owned()),
    }
}

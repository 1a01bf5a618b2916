//! The real binary on the disk that forgets.
#![expect(unsafe_code, reason = "asks for the child's end with ours")]

use std::{
    fs::{self, File},
    io,
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::ports::free_address;

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    output: PathBuf,
    /// What it has said in former lives.
    said_before: usize,
}

impl Server {
    /// Starts it without waiting until it is ready. What it says is appended to `output`.
    pub(crate) fn spawn(root: &Path, output: &Path) -> io::Result<Server> {
        let address = free_address();
        let said = File::options().create(true).append(true).open(output)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
        command
            .arg("dev")
            .arg("--data-dir")
            .arg(root.join("ringmain"))
            .args(["--listen", &address.to_string(), "--admin", &free_address().to_string(), "--shards", "2"])
            .env_remove("RINGMAIN_POWER_CUTS")
            .env_remove("RINGMAIN_POWER_CUT_SEED")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        // SAFETY: prctl(2) may be called between fork and exec, and no memory is involved.
        unsafe { command.pre_exec(end_with_parent) };
        let said_before = usize::try_from(File::open(output)?.metadata()?.len()).map_err(io::Error::other)?;
        Ok(Server { process: command.spawn()?, address, output: output.to_owned(), said_before })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it says that it is ready, and the port accepts; how long that took. Somebody else's port would accept, too.
    pub(crate) fn await_ready(&mut self) -> Result<Duration, String> {
        let begin = Instant::now();
        loop {
            let accepts = || TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
            if self.says_that_it_is_ready() && accepts() {
                return Ok(begin.elapsed());
            }
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!(
                    "the server ended with {status} before it was ready:\n{}",
                    self.last_words()
                ));
            }
            if begin.elapsed() > START_LIMIT {
                return Err(format!("the server is not ready after {START_LIMIT:?}:\n{}", self.last_words()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn says_that_it_is_ready(&self) -> bool {
        let said = fs::read(&self.output).unwrap_or_default();
        let said = said.get(self.said_before..).unwrap_or_default();
        String::from_utf8_lossy(said).contains("is ready")
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn terminate(mut self) -> Result<ExitStatus, String> {
        let process = i32::try_from(self.process.id()).map_err(|error| error.to_string())?;
        // SAFETY: no memory is involved, and the child has not been waited for, so the number is still its own.
        unsafe { libc::kill(process, libc::SIGTERM) };
        let begin = Instant::now();
        while begin.elapsed() < STOP_LIMIT {
            if let Some(status) = self.process.try_wait().map_err(|error| error.to_string())? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(format!("the server does not stop:\n{}", self.last_words()))
    }

    /// The end of what it has said, in all its lives.
    pub(crate) fn last_words(&self) -> String {
        let said = fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(6_000)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _result = self.process.kill();
        let _result = self.process.wait();
    }
}

fn end_with_parent() -> io::Result<()> {
    // SAFETY: no memory is involved.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

//! The server under test: the real binary as a process of its own, on its own ports and data.

use super::frames::{self, Connection, Reply};
use super::ports::free_address;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longer than any start that is not a hang; a start with 2,000 partitions is measured, not bounded, by this.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A server that was asked to stop and has not after this long is stuck.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How to start a server.
pub(crate) struct Options {
    /// Value of `--shards`.
    pub(crate) shards: String,
    /// Where the data lie; a folder under the target directory when not given.
    pub(crate) data_dir: Option<PathBuf>,
    /// Environment variables of the process.
    pub(crate) environment: Vec<(String, String)>,
    /// A program, with its arguments, that starts the server (for limits or tracing).
    pub(crate) wrapper: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { shards: "2".into(), data_dir: None, environment: Vec::new(), wrapper: Vec::new() }
    }
}

/// A running server, or the broker named by `KAFKA_TEST_TARGET`. Dropped, the process is killed and its data go.
pub(crate) struct Server {
    options: Options,
    folder: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
    process: Option<Child>,
}

/// What clients are told to begin with.
pub(crate) trait Brokers {
    /// `HOST:PORT`, with commas between several.
    fn addresses(&self) -> String;
}

impl Brokers for Server {
    fn addresses(&self) -> String {
        self.listen.to_string()
    }
}

impl Server {
    /// Starts a server on fresh data with the usual options.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, Options::default())
    }

    /// Starts a server on fresh data and waits until it answers.
    pub(crate) fn start_with(name: &str, options: Options) -> Self {
        if let Ok(target) = std::env::var("KAFKA_TEST_TARGET") {
            let listen = target.parse().expect("KAFKA_TEST_TARGET is ADDRESS:PORT");
            return Self { options, folder: PathBuf::new(), listen, admin: listen, process: None };
        }
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("the test's folder can be made");
        let mut server =
            Self { options, folder, listen: free_address(), admin: free_address(), process: None };
        server.restart();
        server
    }

    /// Whether the tests may look into the process and its files; not so when another broker is asked.
    pub(crate) fn is_ours(&self) -> bool {
        !self.folder.as_os_str().is_empty()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listen
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.options.data_dir.clone().unwrap_or_else(|| self.folder.join("data"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").id()
    }

    /// What the server has said so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }

    /// Starts the server on the data of its predecessor; the time until it answered.
    pub(crate) fn restart(&mut self) -> Duration {
        assert!(self.process.is_none(), "the server runs already");
        let begin = Instant::now();
        self.spawn();
        loop {
            if self.answers() {
                return begin.elapsed();
            }
            if let Some(status) = self.exit_status() {
                panic!("the server ended with {status} before it was ready:\n{}", self.output());
            }
            assert!(begin.elapsed() < START_LIMIT, "the server is not ready:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether somebody answers on the port: sockets of a killed process accept for a moment longer than it lives.
    fn answers(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.listen) else { return false };
        connection.send(&frames::api_versions(1))
            && matches!(connection.receive(Duration::from_millis(500)), Reply::Frame(_))
    }

    /// Starts the server without waiting for it.
    pub(crate) fn spawn(&mut self) {
        let mut words = self.options.wrapper.clone();
        words.push(env!("CARGO_BIN_EXE_ringmain").into());
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("output"))
            .expect("the server's output can be kept");
        let child = Command::new(&words[0])
            .args(&words[1..])
            .arg("dev")
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--listen", &self.listen.to_string(), "--admin", &self.admin.to_string()])
            .args(["--shards", &self.options.shards])
            .envs(self.options.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            .spawn()
            .expect("the server's binary runs");
        self.process = Some(child);
    }

    /// The exit status, if the process has ended.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(|child| child.try_wait().expect("the child can be waited for"))
    }

    /// kill -9, and the end of the process.
    pub(crate) fn kill(&mut self) {
        let mut child = self.process.take().expect("the server runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }

    /// SIGTERM; the exit status and the time it took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.signal("TERM")
    }

    /// Sends a signal that ends the server; the exit status and the time it took.
    pub(crate) fn signal(&mut self, signal: &str) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), self.pid().to_string()])
            .status()
            .expect("kill can be run");
        assert!(sent.success());
        loop {
            if let Some(status) = self.exit_status() {
                self.process = None;
                return (status, begin.elapsed());
            }
            assert!(begin.elapsed() < STOP_LIMIT, "the server does not stop:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The server must still be the process that was started.
    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.exit_status() {
            panic!("the server ended with {status}:\n{}", self.output());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
        if !self.is_ours() {
            return;
        }
        if std::thread::panicking() {
            let output = self.output();
            let end = output.char_indices().rev().nth(8_000).map_or(0, |(position, _)| position);
            eprintln!("the server said (kept in {}):\n{}", self.folder.display(), &output[end..]);
        } else {
            // A folder that stays behind costs space, not the result.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

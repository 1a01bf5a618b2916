//! A node of this repository as the broker to measure, and the bench as its users run it.
//!
//! The node is another package's binary, which cargo does not build for these tests: it is built
//! here, with the profile that the tests have.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) use ports::free_address;

#[path = "../../../node/tests/support/ports.rs"]
mod ports;

const START_LIMIT: Duration = Duration::from_secs(60);

/// A running node. Dropped, the process is killed and its data go.
pub(crate) struct Node {
    process: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// Starts a node on fresh data and waits until it listens.
    pub(crate) fn start(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the build's directory is writable");
        let output = File::create(folder.join("output")).expect("the node's output can be kept");
        let (address, admin) = (free_address(), free_address());
        let process = without_settings(&mut Command::new(binary()))
            .args(["dev", "--shards", "1", "--data-dir"])
            .arg(folder.join("data"))
            .args(["--listen", &address.to_string(), "--admin", &admin.to_string()])
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            .spawn()
            .expect("the node's binary runs");
        let node = Self { process, folder, address };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < START_LIMIT, "the node is not ready:\n{}", node.output());
            std::thread::sleep(Duration::from_millis(20));
        }
        node
    }

    /// The bench against this node, with what is common to all of its scenarios.
    pub(crate) fn bench(&self, arguments: &[&str]) -> Command {
        let mut command = bench(arguments);
        command.args(["--broker", &self.address.to_string(), "--broker-pid", &self.process.id().to_string()]);
        command.arg("--data-dir").arg(self.data_dir());
        command
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Names of the topics that it has.
    pub(crate) fn topics(&self) -> String {
        let mut list = Command::new(binary());
        list.args(["topic", "list", "--json", "--brokers", &self.address.to_string()]);
        let output = without_settings(&mut list).output().expect("the node's binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("JSON is text")
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child can be waited for");
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the node said:\n{}", self.output());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The bench as its users run it.
pub(crate) fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain-bench"));
    without_settings(&mut command);
    command.args(arguments);
    command
}

/// The report of a run that must have a result.
pub(crate) fn report(output: &Output) -> serde_json::Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

/// Settings of whoever runs the tests are not those of the tests.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RINGMAIN_")) {
        command.env_remove(name);
    }
    command
}

/// The node's binary beside the bench's, built if it is missing or old. What is built is what `cargo test` builds for the
/// whole workspace: for fewer packages the dependencies' features would differ, and everything would be built once more.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_ringmain-bench")).parent().expect("a file has a folder");
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--workspace", "--bins", "--tests", "--profile", profile]);
        // Cargo tells a test about its package. Build scripts that look at these variables would run again, and all that
        // depends on them would be built again.
        let told = |name: &str| {
            name == "OUT_DIR" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        };
        for (name, _) in std::env::vars().filter(|(name, _)| told(name)) {
            build.env_remove(name);
        }
        build.arg("--target-dir").arg(folder.parent().expect("below the target directory"));
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
        assert!(status.success(), "the node does not build");
        folder.join("ringmain")
    })
}

//! Kafka itself, started for the one purpose of recording its answers.

use super::ports::free_address;
use super::tools;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The releases whose answers are recorded.
pub(crate) const VERSIONS: [&str; 2] = ["3.9.1", "4.2.0"];
/// A JVM with a broker and a controller on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Between the port that accepts and a broker that has learnt that it leads: only then its first answers are its usual ones.
const SETTLE: Duration = Duration::from_secs(4);

/// One Kafka broker on loopback; dropped, it is killed.
pub(crate) struct Reference {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Reference {
    pub(crate) fn start(version: &str) -> Self {
        let address = free_address();
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{version}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the broker's folder can be made");
        let output = File::create(folder.join("output")).expect("the broker's output can be kept");
        let process = Command::new(tools::sources().join("kafka/start.sh"))
            .args([version, &address.port().to_string()])
            .arg(folder.join("data"))
            .arg(tools::cache())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            .spawn()
            .expect("the script that starts Kafka runs");
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < START_LIMIT, "Kafka does not start, see {}", folder.display());
            std::thread::sleep(Duration::from_millis(200));
        }
        std::thread::sleep(SETTLE);
        Self { process, address, folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // The script has become the broker by exec; it may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

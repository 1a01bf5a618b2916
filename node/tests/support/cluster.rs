//! A cluster of three nodes on this machine: each a process of its own that can be killed, stopped and started again.
//!
//! The files are those that `dev --write-config` writes; each node is told a rack of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::ports::free_address;
use super::server::Brokers;

/// Longer than any start or stop that is not a hang, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// What a node says when it serves.
const READY: &str = "is ready.";

/// A node of the cluster.
struct Node {
    address: SocketAddr,
    process: Option<Child>,
    /// Bytes of its output that its earlier processes wrote.
    said_before: usize,
}

/// Three nodes, numbered from 1. Dropped, they are killed and their data go.
pub(crate) struct Cluster {
    folder: PathBuf,
    nodes: Vec<Node>,
}

impl Brokers for Cluster {
    fn addresses(&self) -> String {
        self.nodes.iter().map(|node| node.address.to_string()).collect::<Vec<_>>().join(",")
    }
}

impl Cluster {
    /// Starts a cluster on fresh data and waits until all nodes serve.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with_admin(name, "off")
    }

    /// The same with a port for operators on each node; returns where these are.
    pub(crate) fn start_watched(name: &str) -> (Self, Vec<SocketAddr>) {
        let first = three_ports();
        let cluster = Self::start_with_admin(name, &format!("127.0.0.1:{first}"));
        (cluster, (first..first + 3).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect())
    }

    fn start_with_admin(name: &str, admin: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        // Of an earlier process with the same number.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the test's folder can be made");
        let first_port = three_ports();
        let written = Command::new(env!("CARGO_BIN_EXE_ringmain"))
            .args(["dev", "--nodes", "3", "--shards", "1", "--admin", admin, "--write-config"])
            .arg(&folder)
            .args(["--listen", &format!("127.0.0.1:{first_port}")])
            .output()
            .expect("the binary runs");
        assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
        let node = |port: u16| Node {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            process: None,
            said_before: 0,
        };
        let mut cluster = Self { folder, nodes: (first_port..first_port + 3).map(node).collect() };
        for id in 1..=3 {
            let path = cluster.folder.join(format!("node-{id}.toml"));
            let text = fs::read_to_string(&path).expect("the file was just written");
            fs::write(&path, format!("rack = \"rack-{id}\"\n{text}")).expect("the file can be changed");
            cluster.spawn(id);
        }
        (1..=3).for_each(|id| cluster.await_ready(id));
        cluster
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn address(&self, id: usize) -> SocketAddr {
        self.nodes[id - 1].address
    }

    /// What a node has said so far, in all its processes.
    pub(crate) fn output(&self, id: usize) -> String {
        fs::read_to_string(self.folder.join(format!("output-{id}"))).unwrap_or_default()
    }

    /// Starts a node without waiting for it.
    pub(crate) fn spawn(&mut self, id: usize) {
        let said_before = self.output(id).len();
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("output-{id}")))
            .expect("the node's output can be kept");
        let child = Command::new(env!("CARGO_BIN_EXE_ringmain"))
            .args(["start", "--config"])
            .arg(self.folder.join(format!("node-{id}.toml")))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            .spawn()
            .expect("the binary runs");
        let node = &mut self.nodes[id - 1];
        assert!(node.process.is_none(), "node {id} runs already");
        (node.process, node.said_before) = (Some(child), said_before);
    }

    /// Waits until a node that was started serves.
    pub(crate) fn await_ready(&mut self, id: usize) {
        let begin = Instant::now();
        loop {
            let output = self.output(id);
            if output[self.nodes[id - 1].said_before..].contains(READY) {
                return;
            }
            let process = self.nodes[id - 1].process.as_mut().expect("it was started");
            if let Some(status) = process.try_wait().expect("a child can be waited for") {
                panic!("node {id} ended with {status} before it was ready:\n{output}");
            }
            assert!(begin.elapsed() < PATIENCE, "node {id} is not ready:\n{output}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Starts a node and waits until it serves.
    pub(crate) fn restart(&mut self, id: usize) {
        self.spawn(id);
        self.await_ready(id);
    }

    /// kill -9, and the end of the process.
    pub(crate) fn kill(&mut self, id: usize) {
        let mut process = self.nodes[id - 1].process.take().expect("the node runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    /// SIGTERM, and the end of the process, which must be one without an error.
    pub(crate) fn terminate(&mut self, id: usize) {
        let mut process = self.nodes[id - 1].process.take().expect("the node runs");
        let sent = Command::new("kill").arg(process.id().to_string()).status().expect("kill can be run");
        assert!(sent.success());
        let begin = Instant::now();
        loop {
            if let Some(status) = process.try_wait().expect("a child can be waited for") {
                assert!(status.success(), "node {id} ended with {status}:\n{}", self.output(id));
                return;
            }
            if begin.elapsed() > PATIENCE {
                // It would outlive the test.
                let _ = process.kill();
                panic!("node {id} does not stop:\n{}", self.output(id));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.nodes.iter_mut().filter_map(|node| node.process.as_mut()) {
            // It may have ended by itself; then there is nothing to kill.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            for id in 1..=self.nodes.len() {
                let output = self.output(id);
                let end = output.char_indices().rev().nth(6_000).map_or(0, |(position, _)| position);
                eprintln!("node {id} said (kept in {}):\n{}", self.folder.display(), &output[end..]);
            }
        } else {
            // A folder that stays behind costs space, not the result.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The first of three ports that follow each other and are free.
fn three_ports() -> u16 {
    loop {
        let [one, two, three] = [(); 3].map(|()| free_address().port());
        if two == one + 1 && three == two + 1 {
            return one;
        }
    }
}

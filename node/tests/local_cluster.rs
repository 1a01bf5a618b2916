//! `dev --nodes`: three processes from one command, and the files that it writes for them.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use support::ports::free_address;

/// Far longer than three nodes take to find each other, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(90);

/// A command that runs a cluster, and what it says.
struct LocalCluster {
    process: Child,
    lines: Receiver<String>,
    first_port: u16,
    seen: Vec<String>,
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

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("local-{}-{name}", std::process::id()));
    // Of an earlier process with the same number.
    let _ = fs::remove_dir_all(&path);
    path
}

fn ringmain() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command.stdin(Stdio::null());
    command
}

impl LocalCluster {
    fn start(data_dir: &Path, first_port: u16) -> Self {
        let mut process = ringmain()
            .args(["dev", "--nodes", "3", "--shards", "1", "--admin", "off", "--data-dir"])
            .arg(data_dir)
            .args(["--listen", &format!("127.0.0.1:{first_port}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(process.stdout.take().expect("asked for")),
            Box::new(process.stderr.take().expect("asked for")),
        ];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(output).lines().map_while(Result::ok);
                lines.try_for_each(|line| sender.send(line)).ok()
            });
        }
        Self { process, lines, first_port, seen: Vec::new() }
    }

    /// Waits for a line with this text; the line.
    fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with '{text}' ({error}) in:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// The numbers of the three processes, once all nodes are ready.
    fn pids(&mut self) -> [String; 3] {
        [1, 2, 3].map(|node| {
            let line = self.line_with(&format!("node {node} pid "));
            let words: Vec<&str> = line.split(' ').collect();
            let port = self.first_port + node - 1;
            let expected =
                ["node", &node.to_string(), "pid", words[3], "kafka", &format!("127.0.0.1:{port}")];
            assert_eq!(words, expected, "the line of node {node}");
            words[3].to_owned()
        })
    }

    /// SIGTERM to the command that runs the nodes.
    fn terminate(mut self) -> ExitStatus {
        send("TERM", &self.process.id().to_string());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not stop:\n{}", self.seen.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        // It may have ended; its nodes end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), pid]).status().expect("kill can be run");
    assert!(sent.success(), "no process {pid} to send {signal} to");
}

/// A process that has ended is gone, or waits to be asked about by whoever inherited it.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_node_outlives_the_command() {
    let data_dir = scratch("killed");
    let mut cluster = LocalCluster::start(&data_dir, three_ports());
    let pids = cluster.pids();
    send("KILL", &pids[2]);
    let told = cluster.line_with("node 3 ended");
    assert!(told.contains("2 go on"), "{told}");
    assert!(runs(&pids[0]) && runs(&pids[1]));
    cluster.process.kill().expect("a child can be killed");
    until("the nodes end with the command", || pids.iter().all(|pid| !runs(pid)));
    fs::remove_dir_all(data_dir).expect("the data can be removed");
}

#[test]
fn a_stop_ends_all_nodes_and_a_second_start_is_the_same_cluster() {
    let data_dir = scratch("again");
    let first_port = three_ports();
    let mut cluster = LocalCluster::start(&data_dir, first_port);
    let pids = cluster.pids();
    assert_eq!(cluster.terminate().code(), Some(0));
    assert!(pids.iter().all(|pid| !runs(pid)));
    let certificate = data_dir.join("cluster/certificates/cluster.crt");
    let before = fs::read(&certificate).expect("written");

    let mut cluster = LocalCluster::start(&data_dir, first_port);
    cluster.pids();
    assert_eq!(fs::read(&certificate).expect("kept"), before);
    assert_eq!(cluster.terminate().code(), Some(0));
    fs::remove_dir_all(data_dir).expect("the data can be removed");
}

#[test]
fn a_node_that_cannot_start_stops_the_others_and_says_why() {
    let data_dir = scratch("taken");
    let first_port = three_ports();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", first_port + 1)).expect("it was free");
    let mut cluster = LocalCluster::start(&data_dir, first_port);
    cluster.line_with("node 2 | ringmain: ");
    cluster.line_with("node 2 ended before the cluster was ready");
    let status = cluster.process.wait().expect("our child");
    assert_eq!(status.code(), Some(1));
    fs::remove_dir_all(data_dir).expect("the data can be removed");
}

#[test]
fn files_are_written_for_starts_by_hand() {
    let directory = scratch("files");
    let first_port = three_ports();
    let listen = format!("127.0.0.1:{first_port}");
    let written = ringmain()
        .args([
            "dev",
            "--nodes",
            "3",
            "--listen",
            &listen,
            "--set",
            "topics.default_partitions=7",
            "--write-config",
        ])
        .arg(&directory)
        .output()
        .expect("the binary runs");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let told = String::from_utf8(written.stdout).expect("text");
    for node in 1..=3 {
        let file = directory.join(format!("node-{node}.toml"));
        assert!(told.contains(&format!("ringmain start --config {}", file.display())), "{told}");
        let checked = ringmain().args(["start", "--check", "--config"]).arg(&file).output().expect("runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let text = fs::read_to_string(&file).expect("written");
        assert!(text.contains("topics.default_partitions = \"7\""), "{text}");
        assert!(
            text.contains(&format!("network.listen = \"127.0.0.1:{}\"", first_port + node - 1)),
            "{text}"
        );
    }
    assert!(!directory.join("node-1").exists(), "nothing was started");
    let refused = ringmain().args(["dev", "--nodes", "3", "--set", "node_id=4"]).output().expect("runs");
    let problem = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(problem.contains("node_id (--set node_id) is different for each node"), "{problem}");
    fs::remove_dir_all(directory).expect("the files can be removed");
}

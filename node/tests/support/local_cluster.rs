//! A cluster as `dev --nodes` runs it: one command, and a process for each node.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ports::free_address;

/// Far longer than three nodes take to find each other, on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A command that runs a cluster, and what it says.
pub(crate) struct LocalCluster {
    pub(crate) process: Child,
    lines: Receiver<String>,
    first_port: u16,
    nodes: u16,
    seen: Vec<String>,
}

/// The first of so many ports that follow each other and are free.
pub(crate) fn ports_in_a_row(count: u16) -> u16 {
    loop {
        let first = free_address().port();
        if (1..count).all(|step| free_address().port() == first + step) {
            return first;
        }
    }
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("local-{}-{name}", std::process::id()));
    // Of an earlier process with the same number.
    let _ = fs::remove_dir_all(&path);
    path
}

pub(crate) fn ringmain() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command.stdin(Stdio::null());
    command
}

impl LocalCluster {
    /// Starts nodes on ports that follow each other; does not wait for them.
    pub(crate) fn start(data_dir: &Path, nodes: u16, first_port: u16) -> Self {
        Self::start_with_admin(data_dir, nodes, first_port, "off")
    }

    /// The same, with the endpoint for operators at an address; that of each further node is the next one.
    pub(crate) fn start_with_admin(data_dir: &Path, nodes: u16, first_port: u16, admin: &str) -> Self {
        let mut process = ringmain()
            .args(["dev", "--nodes", &nodes.to_string(), "--shards", "1", "--admin", admin, "--data-dir"])
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
        Self { process, lines, first_port, nodes, seen: Vec::new() }
    }

    /// Waits for a line with this text; the line.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
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

    /// The numbers of the processes, by node, once all nodes are ready.
    pub(crate) fn pids(&mut self) -> Vec<String> {
        let mut pids = Vec::new();
        for node in 1..=self.nodes {
            let line = self.line_with(&format!("node {node} pid "));
            let words: Vec<&str> = line.split(' ').collect();
            let address = format!("127.0.0.1:{}", self.first_port + node - 1);
            let expected = ["node", &node.to_string(), "pid", words[3], "kafka", &address];
            assert_eq!(words, expected, "the line of node {node}");
            pids.push(words[3].to_owned());
        }
        pids
    }

    fn brokers(&self) -> String {
        let ports = (0..self.nodes).map(|step| format!("127.0.0.1:{}", self.first_port + step));
        ports.collect::<Vec<_>>().join(",")
    }

    /// A command of the tools, which knows all nodes.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = ringmain();
        command.args(arguments).env("RINGMAIN_BROKERS", self.brokers());
        command
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn printed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the binary runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} ended with {}: {errors}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same, as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.printed(arguments)).expect("json")
    }

    /// Standard error of a command that must fail as one that could not do what it was told.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output: Output = self.command(arguments).output().expect("the binary runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {printed}");
        String::from_utf8(output.stderr).expect("text")
    }

    /// SIGTERM to the command that runs the nodes.
    pub(crate) fn terminate(mut self) -> ExitStatus {
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

pub(crate) fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), pid]).status().expect("kill can be run");
    assert!(sent.success(), "no process {pid} to send {signal} to");
}

/// A process that has ended is gone, or waits to be asked about by whoever inherited it.
pub(crate) fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! The two frameworks that come with Kafka: Connect copies files through topics, Streams counts words.
//!
//! Both live on what other clients hardly use: group protocols of their own (`connect`, `stream`), compacted topics that they
//! create and check, committed offsets across restarts, and deletion of records that have been read.

mod support;

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::lines::{self, Random};
use support::ports::free_address;
use support::ran::{self, Release};
use support::server::Server;
use support::tools;

/// The release of both.
const RELEASE: &str = "4.2.0";
/// A JVM starts, a group forms, a session of six seconds runs out, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

const CONVERTERS: &str = "key.converter=org.apache.kafka.connect.storage.StringConverter\n\
                          value.converter=org.apache.kafka.connect.storage.StringConverter\n\
                          plugin.discovery=service_load\n\
                          offset.flush.interval.ms=1000\n";

/// One worker of Connect; dropped, it is killed.
struct Worker {
    process: Child,
    rest: SocketAddr,
    output: PathBuf,
}

impl Worker {
    /// Starts the class on a file of properties, to which the address of its own interface is added.
    fn start(jars: &str, class: &str, properties: &str, connectors: &[PathBuf], folder: &Path) -> Self {
        let rest = free_address();
        let file = folder.join(format!("worker-{}.properties", rest.port()));
        fs::write(&file, format!("{properties}listeners=http://{rest}\n"))
            .expect("properties can be written");
        let output = folder.join(format!("worker-{}.output", rest.port()));
        let to = File::create(&output).expect("the worker's output can be kept");
        let process = tools::java(jars)
            .arg(class)
            .arg(&file)
            .args(connectors)
            .stdin(Stdio::null())
            .stdout(to.try_clone().expect("a file handle can be copied"))
            .stderr(to)
            .spawn()
            .expect("java runs");
        Self { process, rest, output }
    }

    /// Asks the worker's interface: the status and the body, or nothing while it does not answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.rest).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket takes a time limit");
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.rest,
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    /// Asks again until the answer has that status: a worker that joins a group refuses for a moment.
    fn insist(&self, method: &str, path: &str, body: &str, wanted: u16) -> String {
        let mut last = None;
        let answered = until(|| {
            last = self.ask(method, path, body);
            last.as_ref().is_some_and(|(status, _)| *status == wanted)
        });
        assert!(answered, "{method} {path}: {last:?}; the worker said: {}", self.said());
        last.map(|(_, body)| body).expect("it was answered")
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// SIGTERM, and the end of the process.
    fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(sent.expect("kill can be run").success());
        let ended = until(|| self.process.try_wait().expect("a child can be waited for").is_some());
        assert!(ended, "the worker does not stop: {}", self.said());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for something; whether it came.
fn until(mut holds: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// Log lines, each with its number, so that a line that is missing or comes twice can be told.
///
/// Without letters of more than one byte: the file source notes its place in letters and goes on at that byte.
fn numbered(from: u64, to: u64) -> String {
    let mut random = Random::new(from + 1);
    let mut text = String::new();
    for number in from..to {
        let mut line = lines::ordinary(&mut random, number);
        line.retain(|letter| letter.is_ascii());
        writeln!(text, "{number} {line}").expect("text");
    }
    text
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the file can be opened");
    file.write_all(text.as_bytes()).expect("the file takes text");
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}

#[test]
fn a_standalone_worker_copies_a_file_and_goes_on_after_a_restart() {
    let jars = or_skip!(tools::java_jars(&format!("connect-{RELEASE}")));
    let server = Server::start("connect-standalone");
    let folder = folder("connect-standalone");
    let (source, sink) = (folder.join("source"), folder.join("sink"));
    let topic = format!("copied-{}", std::process::id());
    let connector = |name: &str, class: &str, rest: String| {
        let path = folder.join(format!("{name}.properties"));
        let class = format!("org.apache.kafka.connect.file.{class}");
        let text = format!("name={name}-{topic}\nconnector.class={class}\ntasks.max=1\n{rest}\n");
        fs::write(&path, text).expect("properties can be written");
        path
    };
    let connectors = [
        connector("source", "FileStreamSourceConnector", format!("file={}\ntopic={topic}", source.display())),
        connector("sink", "FileStreamSinkConnector", format!("file={}\ntopics={topic}", sink.display())),
    ];
    let properties = format!(
        "bootstrap.servers={}\n{CONVERTERS}offset.storage.file.filename={}\n",
        server.address(),
        folder.join("offsets").display()
    );
    let start = || {
        Worker::start(
            &jars,
            "org.apache.kafka.connect.cli.ConnectStandalone",
            &properties,
            &connectors,
            &folder,
        )
    };
    for round in 0..2 {
        append(&source, &numbered(round * 5_000, round * 5_000 + 4_000));
        let worker = start();
        let copied = until(|| read(&source) == read(&sink));
        assert!(copied, "round {round}: the files differ; the worker said: {}", worker.said());
        append(&source, &numbered(round * 5_000 + 4_000, round * 5_000 + 5_000));
        assert!(until(|| read(&source) == read(&sink)), "round {round}: what was added is not copied");
        worker.stop();
    }
    assert!(read(&source) == read(&sink), "the files differ after the worker has stopped");
    // A folder that stays behind costs space, not the result.
    let _ = fs::remove_dir_all(&folder);
    ran::note("Kafka Connect", Release::Pinned(RELEASE), "standalone worker, file source and sink");
}

#[test]
fn distributed_workers_take_over_from_each_other() {
    let jars = or_skip!(tools::java_jars(&format!("connect-{RELEASE}")));
    let server = Server::start("connect-distributed");
    let folder = folder("connect-distributed");
    let (source, sink) = (folder.join("source"), folder.join("sink"));
    let name = format!("spread-{}", std::process::id());
    let properties = format!(
        "bootstrap.servers={}\n{CONVERTERS}group.id={name}\n\
         config.storage.topic={name}-configs\nconfig.storage.replication.factor=1\n\
         offset.storage.topic={name}-offsets\noffset.storage.replication.factor=1\noffset.storage.partitions=3\n\
         status.storage.topic={name}-status\nstatus.storage.replication.factor=1\nstatus.storage.partitions=2\n\
         session.timeout.ms=6000\nheartbeat.interval.ms=1000\nscheduled.rebalance.max.delay.ms=0\n",
        server.address()
    );
    let start =
        || Worker::start(&jars, "org.apache.kafka.connect.cli.ConnectDistributed", &properties, &[], &folder);
    append(&source, &numbered(0, 2_000));
    let first = start();
    let create = |connector: &str, class: &str, rest: String| {
        let body = format!(
            r#"{{"name": "{connector}", "config": {{"connector.class": "org.apache.kafka.connect.file.{class}", "tasks.max": "1", {rest}}}}}"#
        );
        first.insist("POST", "/connectors", &body, 201);
    };
    create(
        "source",
        "FileStreamSourceConnector",
        format!(r#""file": "{}", "topic": "{name}""#, source.display()),
    );
    create("sink", "FileStreamSinkConnector", format!(r#""file": "{}", "topics": "{name}""#, sink.display()));
    let copied = until(|| read(&source) == read(&sink));
    assert!(copied, "the files differ; the worker said: {}", first.said());
    let second = start();
    // With two workers, one has the source's task and the other the sink's.
    let running = |worker: &Worker| {
        ["source", "sink"].map(|connector| {
            let status = worker.insist("GET", &format!("/connectors/{connector}/status"), "", 200);
            let status: serde_json::Value = serde_json::from_str(&status).expect("a worker answers JSON");
            let task = &status["tasks"][0];
            (task["state"].as_str() == Some("RUNNING")).then(|| task["worker_id"].to_string())
        })
    };
    let spread = until(|| {
        let [source, sink] = running(&second);
        source.is_some() && sink.is_some() && source != sink
    });
    assert!(spread, "the tasks are not spread: {:?}", running(&second));
    drop(first);
    append(&source, &numbered(2_000, 3_000));
    // Killed without a word, a worker may have copied more than it had noted: lines may come twice, none is lost.
    let seen = || {
        let text = String::from_utf8(read(&sink)).expect("the lines are text");
        let mut seen: Vec<String> = text.lines().map(str::to_owned).collect();
        seen.sort();
        seen.dedup();
        seen
    };
    let mut wanted: Vec<String> =
        String::from_utf8(read(&source)).expect("text").lines().map(str::to_owned).collect();
    wanted.sort();
    let taken_over = until(|| seen() == wanted);
    assert!(
        taken_over,
        "{} of {} lines; the second worker said: {}",
        seen().len(),
        wanted.len(),
        second.said()
    );
    second.stop();
    // A folder that stays behind costs space, not the result.
    let _ = fs::remove_dir_all(&folder);
    ran::note("Kafka Connect", Release::Pinned(RELEASE), "two distributed workers, one killed");
}

#[test]
fn streams_counts_words_exactly_across_a_restart() {
    let class_path = or_skip!(tools::java_program_with("streams", &format!("streams-{RELEASE}")));
    let server = Server::start("streams");
    let folder = folder("streams");
    let counted =
        tools::run(tools::java(&class_path).args(["WordCount", &server.address().to_string()]).arg(&folder));
    counted.unwrap_or_else(|failure| panic!("{failure}"));
    // A folder that stays behind costs space, not the result.
    let _ = fs::remove_dir_all(&folder);
    ran::note(
        "Kafka Streams",
        Release::Pinned(RELEASE),
        "word count, at least once, restarted without its state",
    );
}

//! A real Prometheus (Debian's package) that collects from nodes on loopback and evaluates the rules of `docs/monitoring`.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bounds::get;
use super::ports::free_address;
use super::tools;

/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running Prometheus; dropped, it is killed and its data go.
pub(crate) struct Prometheus {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// Dashboard, rules and their tests.
pub(crate) fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring")
}

/// Whether the tools are installed; the reason if not.
pub(crate) fn installed() -> Result<(), String> {
    tools::run(Command::new("promtool").arg("--version"))?;
    tools::run(Command::new("prometheus").arg("--version")).map(drop)
}

/// Gives a text to promtool; what it complains of.
pub(crate) fn check_metrics(text: &str) -> Result<(), String> {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    tool.stdin.take().expect("asked for").write_all(text.as_bytes()).expect("it reads everything");
    let output = tool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() && said.trim().is_empty() { Ok(()) } else { Err(said) }
}

impl Prometheus {
    /// Starts one that asks the nodes every second, as the job `ringmain`.
    pub(crate) fn start(nodes: &[SocketAddr]) -> Self {
        let address = free_address();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}", address.port()));
        fs::create_dir_all(&folder).expect("the folder can be made");
        let rules = fs::canonicalize(monitoring().join("ringmain.rules.yml")).expect("the rules are there");
        let targets: Vec<String> = nodes.iter().map(|node| format!("\"{node}\"")).collect();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs:\n  - job_name: ringmain\n    static_configs: [{{targets: [{}]}}]\n",
            rules.display(),
            targets.join(", ")
        );
        fs::write(folder.join("prometheus.yml"), config).expect("written");
        let log = fs::File::create(folder.join("output")).expect("its output can be kept");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be copied"))
            .stderr(log)
            .spawn()
            .expect("prometheus runs");
        let prometheus = Self { process, address, folder };
        let begin = Instant::now();
        while std::net::TcpStream::connect(address).is_err() || !prometheus.is_ready() {
            assert!(begin.elapsed() < START_LIMIT, "prometheus does not start:\n{}", prometheus.output());
            std::thread::sleep(Duration::from_millis(50));
        }
        prometheus
    }

    fn is_ready(&self) -> bool {
        get(self.address, "/-/ready", "*/*").0.contains(" 200 ")
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }

    /// The samples that an expression gives now: labels and value.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let answer = self.ask(&format!("/api/v1/query?query={}", encoded(expression)))?;
        match &answer["result"] {
            Value::Array(samples) if answer["resultType"] == "vector" => Ok(samples.clone()),
            other => Ok(vec![other.clone()]),
        }
    }

    /// Every rule as it was evaluated last.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let answer = self.ask("/api/v1/rules").expect("rules are told");
        let groups = answer["groups"].as_array().expect("a list of groups");
        groups.iter().flat_map(|group| group["rules"].as_array().expect("a list of rules").clone()).collect()
    }

    fn ask(&self, path: &str) -> Result<Value, String> {
        let (_, body) = get(self.address, path, "application/json");
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(body) }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself; its output is of use only after a failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("prometheus said:\n{}", self.output());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

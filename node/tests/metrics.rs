//! What operators collect of a running node: the text of `/metrics` and the stages that produced batches pass through; that the
//! page on metrics, the dashboard and the alert rules speak of what is really there.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::bounds;
use support::cluster::Cluster;
use support::frames::{self, Connection};
use support::local_cluster::ringmain;
use support::openmetrics::{self, Family};
use support::prometheus::{self, Prometheus, monitoring};
use support::server::{Brokers, Server};
use support::tools;

const STAGES: &str = "ringmain_produce_stage_seconds";

fn collect(server: &Server) -> BTreeMap<String, Family> {
    let text = bounds::metrics_text(server);
    openmetrics::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

fn count(family: &Family, stage: &str) -> f64 {
    family.sum("_count", &[("stage", stage)])
}

#[test]
fn each_batch_counts_once_in_each_stage_that_it_passes() {
    let server = Server::start("stages");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "flushed", 2, &[]);
    frames::create_topic(server.address(), "cached", 1, &[("write.caching", "true")]);
    let begun = Instant::now();
    // The two shards own one partition of the first topic each, and one of them has the connection.
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let batch = frames::batch(&[b"one", b"two"]);
    for number in 0..10 {
        for (topic, partition) in [("flushed", 0), ("flushed", 1), ("cached", 0)] {
            let answer = connection.ask(&frames::produce(number, topic, partition, -1, &batch));
            assert_eq!(frames::produced(&answer), (0, 2 * i64::from(number)));
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let families = collect(&server);
    assert_eq!(families["ringmain_build"].sum("_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    let stages = &families[STAGES];
    assert_eq!((stages.kind.as_str(), stages.unit.as_str()), ("histogram", "seconds"));
    for stage in ["parse", "queue", "append", "respond"] {
        assert_eq!(count(stages, stage), 30.0, "{stage}");
    }
    let crossed = count(stages, "cross_core");
    assert!(crossed == 10.0 || crossed == 20.0, "{crossed}: the cached topic is on one side or the other");
    let (written, at_once) = (count(stages, "write"), count(stages, "write_and_flush"));
    assert_eq!(written + at_once, 30.0, "every batch was written");
    assert!(written >= 10.0, "a batch of the cached topic does not wait for a flush");
    assert_eq!(count(stages, "flush") + at_once, 20.0, "and the others were flushed");
    assert_eq!(count(stages, "replicate"), 0.0, "there is one replica");

    let total = stages.sum("_sum", &[]);
    println!("{total:.6} of {elapsed:.6} s were spent in the stages");
    assert!(
        total > 0.0 && total < elapsed,
        "requests one after the other cannot take longer than all of them"
    );
    for stage in ["parse", "append", "respond"] {
        assert!(stages.sum("_sum", &[("stage", stage)]) > 0.0, "{stage} takes time");
    }
}

#[test]
fn batches_that_wait_for_nothing_count_in_no_round() {
    let server = Server::start("stages-unacknowledged");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", 1, &[]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let batch = frames::batch(&[b"one"]);
    for number in 0..5 {
        assert!(connection.send(&frames::produce(number, "log", 0, 0, &batch)));
    }
    // Not in the log, so not appended either.
    let refused = connection.ask(&frames::produce(5, "absent", 0, -1, &batch));
    assert_eq!(frames::produced(&refused).0, 3);
    let answer = connection.ask(&frames::produce(6, "log", 0, -1, &batch));
    assert_eq!(frames::produced(&answer), (0, 5));
    let families = collect(&server);
    let stages = &families[STAGES];
    let counts = ["parse", "append", "queue", "respond"].map(|stage| count(stages, stage));
    assert_eq!(counts, [7.0, 6.0, 1.0, 7.0]);
}

/// A row of the reference: the name of the samples, the kind, and the labels.
type Documented = BTreeMap<String, (String, BTreeSet<String>)>;

const BEGIN: &str = "<!-- metrics: begin -->\n";
const END: &str = "<!-- metrics: end -->\n";

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name))
        .expect("the page is there")
}

fn documented() -> Documented {
    let page = page("metrics.md");
    let (_, rest) = page.split_once(BEGIN).expect("the reference begins at its mark");
    let (reference, _) = rest.split_once(END).expect("the reference ends at its mark");
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `"));
    let metric = |row: &str| {
        let (name, rest) = row.split_once("` | ").expect("a name");
        let mut cells = rest.split(" | ");
        let kind = cells.next().expect("a kind").split(',').next().expect("a word").to_owned();
        let labels = cells.next().expect("labels").split(", ").filter(|label| *label != "none");
        (name.to_owned(), (kind, labels.map(|label| label.trim_matches('`').to_owned()).collect()))
    };
    rows.map(metric).collect()
}

/// What is shown, as the reference names it.
fn shown(families: &BTreeMap<String, Family>) -> Documented {
    let metric = |(name, family): (&String, &Family)| {
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels =
            family.samples.iter().flat_map(|(_, labels, _)| labels.keys()).filter(|label| *label != "le");
        (format!("{name}{suffix}"), (family.kind.clone(), labels.cloned().collect()))
    };
    families.iter().map(metric).collect()
}

/// After a change of the table: `UPDATE_REFERENCE=1 cargo test --test metrics the_page` writes the page anew.
#[test]
fn the_page_has_the_table_of_the_code() {
    let text = page("metrics.md");
    let (before, rest) = text.split_once(BEGIN).expect("the reference begins at its mark");
    let (written, after) = rest.split_once(END).expect("the reference ends at its mark");
    let expected = ringmain::metrics_reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).expect("the page can be written");
        return;
    }
    let differing = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
    assert!(written == expected, "the page differs, first at {differing:?}; see the head of this test");
}

/// Every expression of the dashboard, with what it is for.
fn dashboard() -> Vec<(String, String)> {
    let text =
        fs::read_to_string(monitoring().join("ringmain.dashboard.json")).expect("the dashboard is there");
    let dashboard: Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten().map(move |it| (panel, it)));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    targets.map(|(panel, target)| (text(&panel["title"]), text(&target["expr"]))).collect()
}

#[test]
fn dashboard_and_rules_name_what_there_is() {
    let known: BTreeSet<String> = documented()
        .into_iter()
        .flat_map(|(name, (kind, _))| match kind.as_str() {
            "histogram" => ["_bucket", "_count", "_sum"].map(|suffix| format!("{name}{suffix}")).to_vec(),
            _ => vec![name],
        })
        .collect();
    assert!(known.len() > 100);
    let rules = fs::read_to_string(monitoring().join("ringmain.rules.yml")).expect("the rules are there");
    let dashboard = dashboard();
    assert!(dashboard.len() > 50);
    let texts = dashboard.iter().map(|(_, expression)| expression.as_str()).chain([rules.as_str()]);
    let is_name = |word: &&str| word.starts_with("ringmain_") || word.starts_with("process_");
    for text in texts {
        let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        let unknown: Vec<_> = words.filter(is_name).filter(|word| !known.contains(*word)).collect();
        assert!(unknown.is_empty(), "{unknown:?} are no metrics: {text}");
    }
    // Each alert has its section, and each section its alert.
    let operating = page("operating.md");
    let headings: BTreeSet<String> = operating
        .lines()
        .filter_map(|line| line.strip_prefix("### Ringmain"))
        .map(str::to_lowercase)
        .collect();
    let links =
        rules.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: \"operating.md#ringmain"));
    let linked: BTreeSet<String> = links.map(|link| link.trim_end_matches('"').to_owned()).collect();
    assert_eq!(headings, linked, "docs/operating.md (left) and the rules (right)");
    let alerts = rules.matches("- alert: ").count();
    assert_eq!(rules.matches("runbook_url: ").count(), alerts, "each alert has a runbook");
    let tested =
        fs::read_to_string(monitoring().join("ringmain.rules.test.yml")).expect("the tests are there");
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tested.matches(&format!("alertname: {name}\n")).count() >= 2, "{name} has no test");
    }
}

#[test]
fn the_rules_fire_when_they_should() {
    or_skip!(prometheus::installed());
    for arguments in [["check", "rules", "ringmain.rules.yml"], ["test", "rules", "ringmain.rules.test.yml"]]
    {
        let mut promtool = Command::new("promtool");
        tools::run(promtool.current_dir(monitoring()).args(arguments)).expect("promtool is content");
    }
    let config = ["check", "config", "prometheus.yml"];
    tools::run(Command::new("promtool").current_dir(monitoring()).args(config)).expect("promtool is content");
}

/// Clients of a cluster, until told to stop.
struct Clients<'c> {
    cluster: &'c Cluster,
    stop: AtomicBool,
}

impl Clients<'_> {
    fn run(&self, arguments: &[&str]) {
        let mut command = ringmain();
        command.args(arguments).env("RINGMAIN_BROKERS", self.cluster.addresses());
        tools::run(&mut command).expect("the tool does what it is told");
    }

    /// Writes and reads, and asks for what there is not.
    fn keep_busy(&self) {
        let lines = self.cluster.folder().join("lines");
        fs::write(&lines, (0..200).map(|number| format!("line {number}\n")).collect::<String>())
            .expect("written");
        let lines = lines.to_str().expect("the tests' paths are UTF-8");
        let batch = frames::batch(&[b"one"]);
        while !self.stop.load(Ordering::Relaxed) {
            self.run(&["topic", "produce", "orders", lines, "--quiet"]);
            self.run(&["topic", "consume", "orders", "--count", "10"]);
            let mut connection = Connection::open(self.cluster.address(1)).expect("node 1 accepts");
            let refused = connection.ask(&frames::produce(1, "absent", 0, -1, &batch));
            assert_eq!(frames::produced(&refused).0, 3);
        }
    }
}

fn collected(nodes: &[SocketAddr]) -> Vec<BTreeMap<String, Family>> {
    let text = |node: &SocketAddr| bounds::get(*node, "/metrics", "application/openmetrics-text").1;
    nodes
        .iter()
        .map(|node| openmetrics::parse(&text(node)).unwrap_or_else(|problem| panic!("{problem}")))
        .collect()
}

/// Waits until something holds, which it must.
fn within(limit: Duration, mut problem: impl FnMut() -> Option<String>) {
    let begin = Instant::now();
    while let Some(problem) = problem() {
        assert!(begin.elapsed() < limit, "not in time: {problem}");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// A whole cluster under load, of which one node dies: every metric of the page is shown and every one that is shown is on the
/// page; promtool accepts the text; a real Prometheus collects it, evaluates every rule, and has an answer to each question of
/// the dashboard.
#[test]
fn a_prometheus_understands_a_cluster() {
    or_skip!(prometheus::installed());
    let (mut cluster, admin) = Cluster::start_watched("prometheus");
    let prometheus = Prometheus::start(&admin);
    {
        let clients = Clients { cluster: &cluster, stop: AtomicBool::new(false) };
        clients.run(&["topic", "create", "orders", "--partitions", "3", "--replication-factor", "3"]);
        clients.run(&["topic", "create", "spare", "--partitions", "1", "--replication-factor", "1"]);
    }
    // A member that joined and one group that only committed.
    let group = |cluster: &Cluster, name: &str| {
        let clients = Clients { cluster, stop: AtomicBool::new(true) };
        clients.run(&["group", "seek", name, "--topic", "orders", "--to", "earliest", "--create"]);
    };
    group(&cluster, "billing");
    for node in &admin {
        let (head, text) = bounds::get(*node, "/metrics", "*/*");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        assert_eq!(prometheus::check_metrics(&text), Ok(()), "promtool complains of\n{text}");
    }
    cluster.kill(3);
    let clients = Clients { cluster: &cluster, stop: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        scope.spawn(|| clients.keep_busy());
        let page = documented();
        let mut seen = Documented::new();
        within(Duration::from_secs(15), || {
            for families in collected(&admin[..2]) {
                for (name, (kind, labels)) in shown(&families) {
                    let known =
                        page.get(&name).unwrap_or_else(|| panic!("{name} is shown and not on the page"));
                    assert_eq!(*known, (kind, labels), "{name}: the page (left) and what is shown (right)");
                    seen.insert(name, known.clone());
                }
            }
            let missing: Vec<_> = page.keys().filter(|name| !seen.contains_key(*name)).collect();
            (!missing.is_empty()).then(|| format!("on the page and not shown: {missing:?}"))
        });
        let mut questions = dashboard();
        within(Duration::from_secs(20), || {
            questions.retain(|(_, expression)| !is_answered(&prometheus, expression));
            (!questions.is_empty()).then(|| format!("the dashboard shows nothing for {questions:#?}"))
        });
        within(Duration::from_secs(10), || {
            let rules = prometheus.rules();
            assert!(rules.len() > 30);
            rules.iter().find(|rule| rule["health"] != "ok").map(|rule| rule.to_string())
        });
        within(Duration::from_secs(10), || {
            let pending =
                prometheus.query("ALERTS{alertname=\"RingmainNodeDown\"}").expect("a good question");
            (pending.len() != 1).then(|| format!("one node is down: {pending:?}"))
        });
        clients.stop.store(true, Ordering::Relaxed);
    });
}

/// Whether an expression of the dashboard gives a number.
fn is_answered(prometheus: &Prometheus, expression: &str) -> bool {
    let expression =
        expression.replace("$__rate_interval", "5s").replace("$job", "ringmain").replace("$instance", ".*");
    let samples = prometheus.query(&expression).unwrap_or_else(|problem| panic!("{expression}: {problem}"));
    samples.iter().any(|sample| sample["value"][1].as_str().is_some_and(|value| value != "NaN"))
}

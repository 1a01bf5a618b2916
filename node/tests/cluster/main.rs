//! Three real nodes, each in a network of its own, under faults, while idempotent producers, readers and groups use them:
//! nothing acknowledged is lost, nothing is there twice, nothing uncommitted is read, and the replicas are equal afterwards.
//!
//! `cargo test --test cluster -- NAME..` runs only the named ones. `RINGMAIN_CLUSTER_SEED` repeats the faults of a run as far as
//! the timing allows, `RINGMAIN_CLUSTER_SECONDS` is how long faults happen (the longer form), `RINGMAIN_CLUSTER_TARGET` names
//! the folder with the jars of a Kafka 3.9 broker, which is then tested instead, `RINGMAIN_CLUSTER_BINARY` another program
//! of ours. A run that fails keeps its folder, and with `RINGMAIN_CLUSTER_KEEP` any run does, and prints where: what the nodes
//! said, what happened when, and what every client saw.
//!
//! Needs root, `ip`, `nft`, /dev/fuse, loop devices, mkfs, Java, Maven and Python; says `SKIPPED` otherwise, which is a failure in CI.

mod bad_disks;
mod client;
mod cluster;
#[path = "../../../storage/tests/power_cut/machine.rs"]
mod disk;
mod faults;
mod history;
mod machine;
mod network;
mod node;
mod product;
mod recorder;
mod side_by_side;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
mod timeline;
#[path = "../../../storage/tests/power_cut/volatile_disk/mod.rs"]
mod volatile_disk;
mod workload;

use std::{
    env,
    process::ExitCode,
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime},
};

use client::{foreign::Programs, producer::Acks};
use cluster::{Cluster, NODES};
use faults::Nemesis;
use history::Anomaly;
use workload::{Plan, Verdict};

/// How long faults happen in CI.
const SECONDS: u64 = 25;
/// Operations that are wanted for each second of faults. Kafka makes fewer, and need not make more.
const OPERATIONS_PER_SECOND: u64 = 1_200;
/// With fewer a run proves little.
const OPERATIONS_PER_SECOND_MIN: u64 = 100;
const SAFE: &[(&str, &str)] = &[("min.insync.replicas", "2")];

/// Operations of all usual runs together. A machine that does nothing else makes more; with fewer than the second number the
/// clients stood still, however busy it was.
const OPERATIONS_WANTED: u64 = 60_000;
const OPERATIONS_MIN: u64 = 10_000;

/// A run: its name, whether it is among the usual ones, and what has to come true.
type Run = (&'static str, bool, fn(u64) -> Result<Passed, String>);

/// A run that was good: its operations, and a sentence.
type Passed = (u64, String);

/// The real clients of the runs that have some.
static PROGRAMS: OnceLock<Programs> = OnceLock::new();

/// The run with real clients.
const ROLLING: &str = "rolling";

/// The longest ones first.
const RUNS: &[Run] = &[
    ("faults", true, faults),
    (ROLLING, true, rolling),
    ("power", true, power),
    ("strangers", true, strangers),
    ("control", true, control),
    ("kills", false, kills),
];

fn main() -> ExitCode {
    if let Some(end) = volatile_disk::serve_if_asked() {
        return end;
    }
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let seed = number("RINGMAIN_CLUSTER_SEED").unwrap_or_else(seconds_since_1970);
    let is_good = if wanted.is_empty() { run_usual(seed) } else { run_named(&wanted, seed) };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All usual runs, side by side.
fn run_usual(seed: u64) -> bool {
    let usual: Vec<&str> = RUNS.iter().filter(|(_, is_usual, _)| *is_usual).map(|(name, ..)| *name).collect();
    let begin = Instant::now();
    let ended = side_by_side::run(&usual, seed);
    let operations = ended.iter().map(|ended| ended.operations).sum();
    let seconds = begin.elapsed().as_secs();
    println!("cluster: {} runs in {seconds} s, {OPERATIONS_WANTED} operations were wanted", ended.len());
    println!("{}", side_by_side::last_line(operations));
    let all_are_good = ended.iter().all(|ended| ended.is_good);
    if all_are_good && operations < OPERATIONS_MIN {
        println!("cluster: FAILED: fewer than {OPERATIONS_MIN}, the clients were stuck");
    }
    all_are_good && operations >= OPERATIONS_MIN
}

/// The named runs, one after the other, in this process.
fn run_named(wanted: &[String], seed: u64) -> bool {
    let is_wanted = |name: &str| wanted.iter().any(|word| word == name);
    // What is fetched has to be there before the network is left.
    let prepared = if is_wanted(ROLLING) {
        Programs::prepare().map(|programs| PROGRAMS.set(programs).unwrap_or_default())
    } else {
        Ok(())
    };
    if let Err(missing) = prepared.and_then(|()| disk::prepare()).and_then(|()| machine::enter()) {
        println!("SKIPPED: no cluster in networks of its own: {missing}");
        return env::var("CI").as_deref() != Ok("true");
    }
    let (mut all_are_good, mut operations) = (true, 0);
    for (name, _, run) in RUNS.iter().filter(|(name, ..)| is_wanted(name)) {
        let begin = Instant::now();
        let result = run(seed);
        all_are_good &= result.is_ok();
        let outcome = if result.is_ok() { "ok" } else { "FAILED" };
        operations += result.as_ref().map_or(0, |(operations, _)| *operations);
        let (Ok((_, sentence)) | Err(sentence)) = result;
        let seconds = begin.elapsed().as_secs_f64();
        println!("cluster {name}, seed {seed}: {outcome} after {seconds:.0} s: {sentence}");
    }
    println!("{}", side_by_side::last_line(operations));
    all_are_good
}

fn seconds() -> u64 {
    number("RINGMAIN_CLUSTER_SECONDS").unwrap_or(SECONDS)
}

/// Leaders, followers and controllers die, alone and all at once.
fn kills(seed: u64) -> Result<Passed, String> {
    let plan = plan("kills", seed, seconds() / 2, faults::KILLS);
    judged(&plan, workload::run(&plan)?)
}

/// Disks fail, hang and are slow, and the power of one node, or of all at once, is cut: what they acknowledged was on disks.
fn power(seed: u64) -> Result<Passed, String> {
    let plan = Plan {
        has_disks: true,
        story: Some(bad_disks::of_leaders),
        ..plan("power", seed, seconds() / 2, faults::POWER_CUTS)
    };
    judged(&plan, workload::run(&plan)?)
}

/// Everything, as it comes.
fn faults(seed: u64) -> Result<Passed, String> {
    let plan = plan("faults", seed, seconds(), faults::usual());
    judged(&plan, workload::run(&plan)?)
}

fn plan(name: &'static str, seed: u64, seconds: u64, faults: &'static [faults::Fault]) -> Plan {
    Plan {
        name,
        seed,
        duration: Duration::from_secs(seconds),
        operations: seconds * OPERATIONS_PER_SECOND,
        faults,
        partitions: 6,
        producers: 3,
        configs: SAFE,
        acks: Acks::All,
        has_disks: false,
        pause: Duration::from_millis(5),
        story: None,
        programs: None,
    }
}

/// One node after the other is stopped and started again; real clients notice nothing that they do not get over.
fn rolling(seed: u64) -> Result<Passed, String> {
    let programs = PROGRAMS.get().expect("they are prepared before anything runs");
    let plan =
        Plan { story: Some(restart_one_by_one), programs: Some(programs), ..plan(ROLLING, seed, 0, &[]) };
    judged(&plan, workload::run(&plan)?)
}

fn restart_one_by_one(cluster: &mut Cluster, nemesis: &mut Nemesis<'_>) -> Result<(), String> {
    const WORK: Duration = Duration::from_secs(1);
    for node in NODES {
        thread::sleep(WORK);
        nemesis.note(&format!("node {node} is asked to stop"));
        let took = cluster.node(node).terminate()?;
        nemesis.note(&format!("it stopped within {took:?}"));
        cluster.node(node).start()?;
        let took = nemesis.wait_until_in_sync(cluster)?;
        nemesis.note(&format!("everything was in sync {took:?} after its start"));
    }
    Ok(())
}

/// Packets sent again, made up ones, and a node of another cluster: refused, and nothing changes.
fn strangers(seed: u64) -> Result<Passed, String> {
    let plan = Plan { story: Some(strangers::annoy), ..plan("strangers", seed, 0, &[]) };
    judged(&plan, workload::run(&plan)?)
}

/// Producers that wait for the leader alone lose what it had for itself: the runs have to see it, or they prove nothing.
fn control(seed: u64) -> Result<Passed, String> {
    let plan = Plan { acks: Acks::Leader, story: Some(a_leader_by_itself), ..plan("control", seed, 0, &[]) };
    let verdict = workload::run(&plan)?;
    match verdict.anomalies.iter().find(|anomaly| matches!(anomaly, Anomaly::Lost { .. })) {
        Some(lost) => {
            Ok((verdict.operations, format!("records were lost and missed, as they must be: {lost}")))
        }
        None => Err(format!("no loss was found where there must be one: {}", verdict.summary)),
    }
}

/// The others go on without a leader whom only its clients still reach.
fn a_leader_by_itself(cluster: &mut Cluster, nemesis: &mut Nemesis<'_>) -> Result<(), String> {
    const WORK: Duration = Duration::from_secs(2);
    thread::sleep(WORK);
    nemesis.note("node 1 is cut off from the others");
    cluster.network.isolate(NODES[0])?;
    thread::sleep(3 * WORK);
    Ok(())
}

/// No anomaly, and enough happened to have had some.
fn judged(plan: &Plan, verdict: Verdict) -> Result<Passed, String> {
    if !verdict.client_errors.is_empty() {
        let shown: Vec<&str> = verdict.client_errors.iter().take(10).map(String::as_str).collect();
        let count = verdict.client_errors.len();
        return Err(format!("{}\n{count} errors of real clients:\n{}", verdict.summary, shown.join("\n")));
    }
    if !verdict.anomalies.is_empty() {
        return Err(format!("{}\n{}", verdict.summary, workload::shown(&verdict.anomalies)));
    }
    let wanted = plan.duration.as_secs() * OPERATIONS_PER_SECOND_MIN;
    if verdict.operations < wanted {
        return Err(format!("too little happened, {wanted} operations were wanted: {}", verdict.summary));
    }
    Ok((verdict.operations, verdict.summary))
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn seconds_since_1970() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    now.as_secs()
}

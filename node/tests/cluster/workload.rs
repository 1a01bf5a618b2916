//! A run: clients at work, faults meanwhile, then healing, the logs of all replicas, and the judgement.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    client::{
        foreign::{Foreigners, Programs},
        producer::{Acks, Producer},
        reader::{Reader, Style},
    },
    cluster::Cluster,
    faults::{Fault, Nemesis},
    history::{self, Anomaly, History, Outcome},
    recorder::{Gap, Recorder},
    timeline::{self, Sources},
};

/// A longer time without an acknowledgement is told in full.
const GAP_SHOWN: Duration = Duration::from_secs(3);
/// How many anomalies of one kind are printed; all are kept.
const SHOWN_PER_KIND: usize = 5;

/// What is run.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    /// On a busy machine faults go on for longer, until so many operations were made.
    pub(crate) operations: u64,
    pub(crate) faults: &'static [Fault],
    pub(crate) partitions: i32,
    pub(crate) producers: u64,
    pub(crate) configs: &'static [(&'static str, &'static str)],
    /// Each node on a disk of its own, whose power can be cut.
    pub(crate) has_disks: bool,
    /// Between two rounds of a producer.
    pub(crate) pause: Duration,
    pub(crate) acks: Acks,
    /// Comes before the faults that are drawn.
    pub(crate) story: Option<Story>,
    /// Real clients work beside ours.
    pub(crate) programs: Option<&'static Programs>,
}

/// What happens to the cluster while the clients work, told step by step.
pub(crate) type Story = fn(&mut Cluster, &mut Nemesis<'_>) -> Result<(), String>;

/// What came out.
pub(crate) struct Verdict {
    pub(crate) operations: u64,
    pub(crate) summary: String,
    pub(crate) anomalies: Vec<Anomaly>,
    /// What real clients were told that they do not get over by themselves.
    pub(crate) client_errors: Vec<String>,
}

/// Runs a plan; an error is a run that could not be brought to its end.
pub(crate) fn run(plan: &Plan) -> Result<Verdict, String> {
    let mut cluster =
        Cluster::start(&format!("{}-{}", plan.name, plan.seed), plan.has_disks.then_some(plan.seed))?;
    let recorder = Arc::new(Recorder::new());
    let mut nemesis = Nemesis::new(plan.seed, plan.faults, &recorder, plan.name, plan.partitions);
    let result = act(plan, &mut cluster, &recorder, &mut nemesis);
    let told =
        Told { events: events(plan.seed, &recorder, &nemesis), gaps: gaps(&cluster, &recorder, &nemesis) };
    let faults = nemesis.count;
    match result {
        Ok((healing, client_errors)) => {
            let history = recorder.history();
            let anomalies = history::check(&history);
            let is_wanted = plan.acks == Acks::All;
            let is_good = anomalies.is_empty() && client_errors.is_empty();
            if is_wanted && !is_good || env::var_os("RINGMAIN_CLUSTER_KEEP").is_some() {
                cluster.keep();
                keep(&cluster, &told, &history, &anomalies, &client_errors)?;
            }
            if is_wanted && recorder.acknowledgements().of_all.longest.length() > GAP_SHOWN {
                println!("{}", told.gaps);
            }
            let summary = summary(&recorder, &history, faults, healing);
            Ok(Verdict { operations: recorder.operations(), summary, anomalies, client_errors })
        }
        Err(reason) => {
            cluster.keep();
            // Not even this can be done without the lock: every client has ended, or will with the process.
            let history = recorder.history();
            keep(&cluster, &told, &history, &history::check(&history), &[])?;
            Err(format!("{reason}\nthe last events:\n{}", tail(&told.events)))
        }
    }
}

/// What happened, for whoever has to understand it.
struct Told {
    events: String,
    gaps: String,
}

fn events(seed: u64, recorder: &Recorder, nemesis: &Nemesis<'_>) -> String {
    let mut text = format!("seed {seed}\n");
    for event in &nemesis.events {
        let (at, wall) = (event.at.as_secs_f64(), time_of_day(recorder.begin_wall() + event.at));
        writeln!(text, "{at:8.3} s ({wall}) {}", event.text).expect("a string takes text");
    }
    text
}

/// The time of day, as the nodes' own lines have it.
fn time_of_day(wall: Duration) -> String {
    let (seconds, millis) = (wall.as_secs() % 86_400, wall.subsec_millis());
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The story of the longest time without any acknowledgement, and of the longest in one partition.
fn gaps(cluster: &Cluster, recorder: &Recorder, nemesis: &Nemesis<'_>) -> String {
    let acknowledged = recorder.acknowledgements();
    let outputs: Vec<(i32, String)> =
        cluster.nodes.iter().map(|node| (node.number(), node.everything_said())).collect();
    let remarks = recorder.remarks();
    let sources = Sources {
        begin_wall: recorder.begin_wall(),
        events: &nemesis.events,
        remarks: &remarks,
        outputs: &outputs,
    };
    let mut text = timeline::of("all partitions", acknowledged.of_all.longest, &sources);
    if let Some((partition, gap)) = acknowledged.worst_partition() {
        text += &timeline::of(&format!("partition {partition}"), gap, &sources);
    }
    text
}

fn act(
    plan: &Plan,
    cluster: &mut Cluster,
    recorder: &Arc<Recorder>,
    nemesis: &mut Nemesis<'_>,
) -> Result<(Duration, Vec<String>), String> {
    let topic = plan.name;
    cluster.create_topic(topic, plan.partitions, plan.configs)?;
    let clients = clients(plan, recorder);
    let foreigners = foreigners(plan, cluster)?;
    let told = plan.story.map_or(Ok(()), |story| story(cluster, nemesis));
    let struck = told.and_then(|()| nemesis.run(cluster, plan.duration, plan.operations));
    nemesis.note("the last healing");
    let healed = struck
        .and_then(|()| cluster.heal())
        .and_then(|()| cluster.wait_until_in_sync(topic, plan.partitions));
    recorder.end();
    for client in clients {
        client.join().map_err(|_| "a client panicked")?;
    }
    let healing = healed?;
    let errors = match foreigners {
        Some(foreigners) => foreigners.finish(&mut recorder.history(), |wall_ms| recorder.at(wall_ms))?,
        None => Vec::new(),
    };
    nemesis.note(&format!("everything was in sync after {healing:?}"));
    cluster.wait_until_in_sync(topic, plan.partitions)?;
    let logs = cluster.final_logs(topic, plan.partitions)?;
    recorder.history().final_logs = logs;
    Ok((healing, errors))
}

/// Real clients, if the plan has some: once all of them are at work.
fn foreigners(plan: &Plan, cluster: &Cluster) -> Result<Option<Foreigners>, String> {
    const AT_WORK_LIMIT: Duration = Duration::from_secs(60);
    let Some(programs) = plan.programs else { return Ok(None) };
    let brokers: Vec<String> = Cluster::bootstrap().iter().map(|(_, address)| address.to_string()).collect();
    let folder = &cluster.folder;
    let foreigners = Foreigners::start(programs, folder, &brokers.join(","), plan.name, plan.partitions)?;
    let begin = Instant::now();
    while !foreigners.are_at_work() {
        if begin.elapsed() > AT_WORK_LIMIT {
            return Err(format!("not every real client is at work after {AT_WORK_LIMIT:?}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(Some(foreigners))
}

fn clients(plan: &Plan, recorder: &Arc<Recorder>) -> Vec<JoinHandle<()>> {
    let bootstrap = Cluster::bootstrap();
    let (topic, partitions, seed) = (plan.name, plan.partitions, plan.seed);
    let mut threads = Vec::new();
    for number in 0..plan.producers {
        let seed = seed ^ (1_000 + number);
        let mut producer = Producer::new(recorder, &bootstrap, topic, partitions, seed);
        (producer.pause, producer.acks) = (plan.pause, plan.acks);
        // One of them waits for silent leaders, and hears what those of the past say late.
        if number > 0 {
            producer.be_attentive();
        }
        threads.push(thread::spawn(move || producer.run()));
    }
    let styles = [Style::Leaders, Style::Followers, Style::Group(1), Style::Group(2)];
    for (number, style) in (0..).zip(styles) {
        let reader = Reader::new(recorder, &bootstrap, topic, partitions, seed ^ (2_000 + number), style);
        threads.push(thread::spawn(move || reader.run()));
    }
    threads
}

fn summary(recorder: &Recorder, history: &History, faults: usize, healing: Duration) -> String {
    let acknowledged = recorder.acknowledgements();
    let count =
        |is: fn(&Outcome<Option<i64>>) -> bool| history.sends.iter().filter(|send| is(&send.outcome)).count();
    let reads: usize = history.sessions.iter().map(|session| session.reads.len()).sum();
    let unknown = count(|outcome| *outcome == Outcome::Unknown);
    let failed = count(|outcome| *outcome == Outcome::Failed);
    let of_all = acknowledged.of_all.longest;
    let of_one = acknowledged.worst_partition().map_or(Gap::default(), |(_, gap)| gap);
    format!(
        "{} operations, {faults} faults in {:.0} s; {} records acknowledged, {unknown} batches unknown, {failed} failed; \
         {reads} records read in {} sessions; {} commits, {} looks; the longest time without an acknowledgement {:.1} s \
         (until {:.1} s), of one partition {:.1} s (until {:.1} s); in sync {:.1} s after the last healing",
        recorder.operations(),
        recorder.now().as_secs_f64(),
        acknowledged.records,
        history.sessions.len(),
        history.commits.len(),
        history.positions.len(),
        of_all.length().as_secs_f64(),
        of_all.until.as_secs_f64(),
        of_one.length().as_secs_f64(),
        of_one.until.as_secs_f64(),
        healing.as_secs_f64(),
    )
}

/// Writes down everything that is needed to understand what went wrong.
fn keep(
    cluster: &Cluster,
    told: &Told,
    history: &History,
    anomalies: &[Anomaly],
    client_errors: &[String],
) -> Result<(), String> {
    let lines = |lines: Vec<String>| lines.join("\n") + "\n";
    let files = [
        ("events", told.events.clone()),
        ("gaps", told.gaps.clone()),
        ("client-errors", lines(client_errors.to_vec())),
        ("anomalies", lines(anomalies.iter().map(ToString::to_string).collect())),
        ("sends", lines(history.sends.iter().map(|send| format!("{send:?}")).collect())),
        ("commits", lines(history.commits.iter().map(|commit| format!("{commit:?}")).collect())),
        ("positions", lines(history.positions.iter().map(|position| format!("{position:?}")).collect())),
        ("sessions", sessions(history)),
        ("final-logs", final_logs(history)),
    ];
    for (name, text) in files {
        let path = cluster.folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn sessions(history: &History) -> String {
    let mut text = String::new();
    for session in &history.sessions {
        let (reader, partition) = (&session.reader, session.partition);
        writeln!(text, "{reader}, partition {partition}, cut off at {:?}", session.cut_off_at)
            .expect("a string takes text");
        for read in &session.reads {
            let (at, offset, node) = (read.at.as_secs_f64(), read.offset, read.node);
            writeln!(text, "  {at:.3} s, offset {offset}, node {node}: {}", read.record)
                .expect("a string takes text");
        }
    }
    text
}

fn final_logs(history: &History) -> String {
    let mut text = String::new();
    for log in &history.final_logs {
        writeln!(text, "node {}, partition {}, {} to {}", log.node, log.partition, log.start, log.end)
            .expect("a string takes text");
        for (offset, record) in &log.records {
            writeln!(text, "  {offset}: {record}").expect("a string takes text");
        }
    }
    text
}

/// The anomalies, some of each kind, with their number.
pub(crate) fn shown(anomalies: &[Anomaly]) -> String {
    let mut kinds: BTreeMap<&str, Vec<&Anomaly>> = BTreeMap::new();
    for anomaly in anomalies {
        kinds.entry(anomaly.name()).or_default().push(anomaly);
    }
    let mut text = String::new();
    for (kind, of_kind) in kinds {
        writeln!(text, "  {} x {kind}", of_kind.len()).expect("a string takes text");
        for anomaly in of_kind.iter().take(SHOWN_PER_KIND) {
            writeln!(text, "    {anomaly}").expect("a string takes text");
        }
    }
    text
}

fn tail(events: &str) -> String {
    let lines: Vec<&str> = events.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

//! Real clients and Kafka's own tools against a cluster of three nodes.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::client::Client;
use support::cluster::Cluster;
use support::feeder::{self, Feeder};
use support::frames::{self, Answer, Connection, Frame, Reply};
use support::members::{self, Event, Group, Member};
use support::ran::{self, Release};
use support::server::Brokers;
use support::{groups, tools, whole_machine};

const PARTITIONS: u32 = 6;
/// The shortest that a broker allows by default.
const SESSION: Duration = Duration::from_secs(6);
/// A group forms 3 s after its first member, and a coordinator moves in a second; the machine may be busy.
const FORMS: Duration = Duration::from_secs(60);
/// How often the coordinator is killed.
const KILLS: usize = 3;

/// The node that coordinates a group, asked of a node that serves.
fn coordinator(cluster: &Cluster, group: &str) -> Option<usize> {
    (1..=3).find_map(|id| {
        let mut connection = Connection::open(cluster.address(id)).ok()?;
        // Sockets of a killed process accept for a moment longer than it lives.
        connection.send(&Frame::request(frames::FIND_COORDINATOR, 0, 1).string(group).finish());
        let Reply::Frame(frame) = connection.receive(Duration::from_secs(5)) else { return None };
        let mut answer = Answer(&frame[4..]);
        let (error, node) = (answer.i16(), answer.i32());
        (error == 0).then(|| usize::try_from(node).expect("a node has a number"))
    })
}

/// Waits until every partition has all its replicas in sync.
fn await_in_sync(cluster: &Cluster, kcat: &str) {
    members::wait_until(FORMS, || {
        let listed = tools::run(Command::new(kcat).args(["-L", "-b", &cluster.addresses()]))?;
        let lagging: Vec<&str> = listed.lines().filter(|line| lacks_replica(line)).collect();
        if lagging.is_empty() { Ok(()) } else { Err(lagging.join("\n")) }
    });
}

/// Whether kcat's line of a partition names fewer in-sync replicas than replicas, or no leader.
fn lacks_replica(line: &str) -> bool {
    let Some((_, rest)) = line.split_once("leader ") else { return false };
    let Some((replicas, in_sync)) = rest.split_once(", isrs: ") else { return false };
    let count = |nodes: &str| nodes.split(',').count();
    // "LEADER, replicas: 1,2,3"
    rest.starts_with("-1") || count(replicas) != count(in_sync) + 1 || line.contains("not available")
}

#[test]
fn lines_about_partitions_are_understood() {
    assert!(!lacks_replica("    partition 0, leader 2, replicas: 2,3,1, isrs: 2,3,1"));
    assert!(lacks_replica("    partition 0, leader 2, replicas: 2,3,1, isrs: 2,3"));
    assert!(lacks_replica("    partition 0, leader -1, replicas: 2,3,1, isrs: 2,3,1"));
    assert!(!lacks_replica("  topic \"orders\" with 6 partitions:"));
}

fn records(members: &[Member]) -> usize {
    let notes = members.iter().flat_map(Member::notes);
    notes.filter(|noted| matches!(noted.event, Event::Record { .. })).count()
}

/// The furthest acknowledged commit of each partition, as the members noted it.
fn acknowledged(members: &[Member]) -> BTreeMap<u32, u64> {
    let mut furthest = BTreeMap::new();
    for noted in members.iter().flat_map(Member::notes) {
        if let Event::Committed { partition, offset } = noted.event {
            let known: &mut u64 = furthest.entry(partition).or_default();
            *known = offset.max(*known);
        }
    }
    furthest
}

/// What the cluster has for a group.
fn committed(cluster: &Cluster, python: &Path, name: &str) -> BTreeMap<u32, u64> {
    let mut ask = Command::new(python);
    ask.arg(tools::sources().join("python/committing_member.py"));
    ask.args([&cluster.addresses(), name, name, &PARTITIONS.to_string()]);
    let printed = tools::run(&mut ask).expect("offsets can be fetched");
    let pair = |line: &str| {
        let (partition, offset) = line.split_once(' ').expect("partition and offset");
        // A negative number says that there is none.
        let offset: i64 = offset.parse().expect("a number");
        Some((partition.parse().expect("a number"), u64::try_from(offset).ok()?))
    };
    printed.lines().filter_map(pair).collect()
}

#[test]
fn groups_outlive_their_coordinators() {
    let _alone = whole_machine();
    let interpreter = or_skip!(tools::librdkafka(tools::LIBRDKAFKA));
    let kcat = or_skip!(tools::kcat());
    let clients = [or_skip!(Client::librdkafka(tools::LIBRDKAFKA)), or_skip!(Client::franz())];
    let name = "outliving";
    let mut cluster = Cluster::start(name);
    let mut create = Command::new(&interpreter);
    create.arg(tools::sources().join("python/topics.py")).arg(cluster.addresses());
    tools::run(create.arg(PARTITIONS.to_string()).arg(name)).expect("the topic can be created");
    let folder = cluster.folder().join("notes");
    fs::create_dir_all(&folder).expect("the folder of notes can be made");
    let feeder = Feeder::start(&cluster, &interpreter, name, PARTITIONS, &folder);
    let group =
        Group { name, topic: name, partitions: PARTITIONS, assignor: "range", session: SESSION, folder };
    let mut joined: Vec<Member> = clients
        .iter()
        .enumerate()
        .map(|(index, client)| {
            group.join(&cluster, client, &format!("member {index}, {}", client.title()), None)
        })
        .collect();
    group.wait_until_shared(&joined.iter().collect::<Vec<_>>(), FORMS);
    for kill in 0..KILLS {
        await_in_sync(&cluster, kcat);
        let victim = coordinator(&cluster, name).expect("the group has a coordinator");
        cluster.kill(victim);
        // What was acknowledged until now must be there for good.
        let acknowledged = acknowledged(&joined);
        let begin = Instant::now();
        members::wait_until(FORMS, || match coordinator(&cluster, name) {
            Some(node) if node != victim => Ok(()),
            other => Err(format!("the coordinator is {other:?}")),
        });
        println!("kill {kill}: node {victim} coordinated, another one does after {:?}", begin.elapsed());
        let found = committed(&cluster, &interpreter, name);
        for (partition, offset) in acknowledged {
            assert!(
                found.get(&partition) >= Some(&offset),
                "partition {partition}: {offset} was acknowledged, {found:?} is there"
            );
        }
        let read = records(&joined);
        members::wait_until(FORMS, || match records(&joined) {
            now if now > read + 200 => Ok(()),
            now => Err(format!("{now} records were read, {read} before")),
        });
        cluster.restart(victim);
    }
    feeder::finish(feeder, &mut joined, &[], FORMS);
    for client in &clients {
        client.did("a group whose coordinators are killed");
    }
}

/// The node that coordinates a group of which only the beginning of the name is known: it is the one that lists it.
fn lister(cluster: &Cluster, begins: &str) -> Option<usize> {
    (1..=3).find(|id| {
        let mut connection = Connection::open(cluster.address(*id)).expect("all nodes serve");
        groups::list(&mut connection).iter().any(|group| group.starts_with(begins))
    })
}

#[test]
fn a_java_group_notices_nothing_of_its_coordinators_end() {
    let _alone = whole_machine();
    let release = tools::JAVA_CLIENTS[1];
    let class_path = or_skip!(tools::java_program("groups", release));
    let kcat = or_skip!(tools::kcat());
    let mut cluster = Cluster::start("cluster-survivors");
    let errors = cluster.folder().join("survivors.errors");
    let mut program = tools::java(&class_path)
        .args(["Survivors", &cluster.addresses(), "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors).expect("a file for errors can be made"))
        .spawn()
        .expect("java runs");
    let mut input = program.stdin.take().expect("its input is a pipe");
    let output = program.stdout.take().expect("its output is a pipe");
    let mut rounds = 0;
    for line in BufReader::new(output).lines() {
        assert_eq!(line.expect("the program prints text"), "restart");
        await_in_sync(&cluster, kcat);
        let victim = lister(&cluster, "survivors-").expect("the group has a coordinator");
        if rounds == 0 {
            cluster.kill(victim);
        } else {
            cluster.terminate(victim);
        }
        cluster.restart(victim);
        rounds += 1;
        writeln!(input, "it is back").expect("the program reads");
    }
    let status = program.wait().expect("a child can be waited for");
    let said = fs::read_to_string(&errors).unwrap_or_default();
    assert!(status.success() && rounds == 2, "{status} after {rounds} rounds: {said}");
    ran::note(
        "Java client",
        Release::Pinned(release),
        "a group through kill -9 and SIGTERM of its coordinator",
    );
}

/// What a fetch from the beginning of partition 0 was answered: error, preferred replica, bytes of records.
fn fetched(cluster: &Cluster, node: usize, version: i16, topic: &str, rack: &str) -> (i16, i32, i32) {
    const NONE: i32 = -1;
    let mut connection = Connection::open(cluster.address(node)).expect("the node serves");
    let (wait_ms, bytes_min, bytes_max) = (0, 1, 1 << 20);
    let fetch = Frame::request(FETCH, version, 1).i32(NONE).i32(wait_ms).i32(bytes_min).i32(bytes_max).i8(0);
    let (session, epoch, forgotten) = (0, NONE, 0);
    let fetch = fetch.i32(session).i32(epoch).i32(1).string(topic).i32(1);
    let (partition, offset, log_start) = (0, 0, -1);
    let fetch = fetch.i32(partition).i32(NONE).i64(offset).i64(log_start).i32(bytes_max).i32(forgotten);
    let fetch = if version >= RACKS_FROM_VERSION { fetch.string(rack) } else { fetch };
    let answer = connection.ask(&fetch.finish());
    let mut answer = Answer(&answer);
    let (_throttle, error, _session) = (answer.i32(), answer.i16(), answer.i32());
    assert_eq!((error, answer.i32()), (0, 1));
    assert_eq!((answer.string(), answer.i32()), (topic.to_owned(), 1));
    let (_partition, error) = (answer.i32(), answer.i16());
    let (_high_watermark, _stable, _log_start) = (answer.i64(), answer.i64(), answer.i64());
    let aborted = answer.i32();
    assert!(aborted <= 0, "there are no transactions");
    let preferred = if version >= RACKS_FROM_VERSION { answer.i32() } else { NONE };
    (error, preferred, answer.i32())
}

const FETCH: i16 = 1;
const RACKS_FROM_VERSION: i16 = 11;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;

#[test]
fn consumers_read_from_their_racks() {
    let _alone = whole_machine();
    let kcat = or_skip!(tools::kcat());
    let topic = "racks";
    let cluster = Cluster::start("cluster-racks");
    let mut create = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    create.args(["topic", "create", topic, "--partitions", "1", "--brokers", &cluster.addresses()]);
    tools::run(&mut create).expect("the topic can be created");
    let records = cluster.folder().join("records");
    fs::write(&records, "one\ntwo\nthree\n").expect("records can be written");
    let mut produce = Command::new(kcat);
    produce.args(["-P", "-b", &cluster.addresses(), "-t", topic, "-l"]).arg(&records);
    tools::run(&mut produce).expect("records can be produced");
    await_in_sync(&cluster, kcat);
    // Whoever is not refused by a version that knows no followers leads.
    let leader = (1..=3).find(|node| fetched(&cluster, *node, RACKS_FROM_VERSION - 1, topic, "").0 == 0);
    let leader = leader.expect("the partition has a leader");
    let rack = |node: usize| format!("rack-{node}");
    let (error, preferred, length) = fetched(&cluster, leader, RACKS_FROM_VERSION, topic, &rack(leader));
    assert_eq!((error, preferred), (0, -1), "the leader is in the consumer's rack");
    assert!(length > 0);
    for follower in (1..=3).filter(|node| *node != leader) {
        let old = fetched(&cluster, follower, RACKS_FROM_VERSION - 1, topic, "");
        assert_eq!(old.0, NOT_LEADER_OR_FOLLOWER);
        let pointed = fetched(&cluster, leader, RACKS_FROM_VERSION, topic, &rack(follower));
        assert_eq!(pointed, (0, i32::try_from(follower).expect("small"), 0));
        // The follower hears of the high watermark with its next fetch.
        members::wait_until(FORMS, || match fetched(&cluster, follower, RACKS_FROM_VERSION, topic, "") {
            (0, -1, there) if there == length => Ok(()),
            other => Err(format!("node {follower} answers {other:?}")),
        });
        let mut consume = Command::new(kcat);
        consume.args(["-C", "-b", &cluster.addresses(), "-t", topic, "-e", "-q", "-X"]);
        let read = tools::run(consume.arg(format!("client.rack={}", rack(follower))));
        assert_eq!(read.as_deref(), Ok("one\ntwo\nthree\n"));
    }
}

/// What the commands of a script printed, in one text.
fn play(cluster: &Cluster, class_path: &str, name: &str, script: &str) -> String {
    let folder = cluster.folder().join("tools");
    fs::create_dir_all(&folder).expect("a folder for the script's files can be made");
    let path = folder.join(name);
    fs::write(&path, script).expect("the script can be written");
    let release = tools::JAVA_CLIENTS[1];
    let mut command = tools::java(class_path);
    // The last node: what a client does must not depend on whom it asks.
    command.args(["Commands", &cluster.address(3).to_string(), release]).arg(&folder).arg(&path);
    tools::run(&mut command).expect("the commands can be played")
}

#[track_caller]
fn assert_said(printed: &str, lines: &[&str]) {
    let mut rest = printed;
    for line in lines {
        let Some((_, after)) = rest.split_once(line) else {
            panic!("no '{line}' (in this order) in:\n{printed}")
        };
        rest = after;
    }
}

#[test]
fn the_tools_of_kafka_run_a_cluster() {
    let _alone = whole_machine();
    let release = tools::JAVA_CLIENTS[1];
    let class_path = or_skip!(tools::java_program_with("tools", &format!("tools-{release}")));
    let kcat = or_skip!(tools::kcat());
    let mut cluster = Cluster::start("cluster-tools");
    let script = Path::new(&tools::sources()).join("scenarios/cluster/tools.txt");
    let script = fs::read_to_string(script).expect("the script is there");
    let (first, second) = script.split_once("== after the move\n").expect("it has two parts");
    let printed = play(&cluster, &class_path, "first", first);
    assert_said(
        &printed,
        &[
            "| CurrentVoters: [{\"id\": 1,",
            "| Topic: moved Partition: 0 Leader: 1 Replicas: 1,2 Isr: 1,2",
            "| Topic: moved Partition: 1 Leader: 2 Replicas: 2,3 Isr: 2,3",
            "| Successfully started partition reassignment for moved-0",
        ],
    );
    await_in_sync(&cluster, kcat);
    let printed = play(&cluster, &class_path, "second", second);
    assert_said(
        &printed,
        &[
            "| Reassignment of partition moved-0 is completed.",
            "| Topic: moved Partition: 0 Leader: 3 Replicas: 3,2 Isr: ",
            "| Dynamic configs for broker 2 are:\n| log.retention.ms=100000",
            "| Processed a total of 3 messages",
            "| readers moved ",
        ],
    );
    cluster.kill(1);
    members::wait_until(FORMS, || {
        let printed =
            play(&cluster, &class_path, "fenced", "cluster list-endpoints --include-fenced-brokers\n");
        if printed.contains(" fenced broker") { Ok(()) } else { Err(printed) }
    });
    let printed =
        play(&cluster, &class_path, "third", "topics --describe --topic whole\ncluster list-endpoints\n");
    assert_said(
        &printed,
        &["| Topic: whole Partition: 0 Leader: 2 Replicas: 1,2,3 Isr: 2,3", "| 2 HOST", "| 3 HOST"],
    );
    assert!(!printed.contains("| 1 HOST"), "a fenced node is no broker:\n{printed}");
    cluster.restart(1);
    await_in_sync(&cluster, kcat);
    let preferred = "leader-election --election-type preferred --topic whole --partition 0\ntopics --describe --topic whole\n";
    let printed = play(&cluster, &class_path, "fourth", preferred);
    assert_said(&printed, &["| Topic: whole Partition: 0 Leader: 1 Replicas: 1,2,3 Isr: "]);
}

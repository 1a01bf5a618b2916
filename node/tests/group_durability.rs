//! What a group was told is committed stays committed, and its members stay members: through kill -9 and restarts.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::frames::{self, Connection};
use support::lines::Random;
use support::server::Server;
use support::{tools, whole_machine};

const GROUP: &str = "readers";
const TOPIC: &str = "log";
const PARTITIONS: i32 = 6;
/// Records of each partition.
const RECORDS: i64 = 1_500;
const MEMBERS: usize = 3;
const KILLS: usize = 5;
/// Longer than the members need on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(240);

/// Members of the group; those that are left are killed with it.
struct Members {
    processes: Vec<Child>,
    notes: Vec<PathBuf>,
}

/// What one member wrote down.
#[derive(Default)]
struct Notes {
    assignments: usize,
    read: BTreeSet<(i32, i64)>,
    /// The last acknowledged commit of each partition, and the order of all of them.
    committed: Vec<(i32, i64)>,
    refused: Vec<String>,
    done: BTreeSet<i32>,
}

impl Members {
    fn start(python: &Path, server: &Server, folder: &Path, stop: &Path) -> Self {
        let notes: Vec<PathBuf> =
            (0..MEMBERS).map(|member| folder.join(format!("member-{member}"))).collect();
        let start = |notes: &PathBuf| {
            Command::new(python)
                .arg(tools::sources().join("python/committing_member.py"))
                .args([&server.address().to_string(), GROUP, TOPIC, &RECORDS.to_string()])
                .args([notes, stop])
                .stdin(Stdio::null())
                .spawn()
                .expect("a member starts")
        };
        Self { processes: notes.iter().map(start).collect(), notes }
    }

    fn notes(&self) -> Vec<Notes> {
        self.notes.iter().map(|path| read_notes(&fs::read_to_string(path).unwrap_or_default())).collect()
    }

    /// Waits until the notes of all members are as wanted.
    fn wait_until(&self, what: &str, is_so: impl Fn(&[Notes]) -> bool) {
        let begin = Instant::now();
        while !is_so(&self.notes()) {
            assert!(begin.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Those that ended by themselves cannot be killed, and need not be.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The last line may be half written.
fn read_notes(text: &str) -> Notes {
    let mut notes = Notes::default();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<i64>().expect("a number");
        let partition = |word: &str| word.parse::<i32>().expect("a number");
        match words[..] {
            ["assigned", _] => notes.assignments += 1,
            ["read", at, offset] => drop(notes.read.insert((partition(at), number(offset)))),
            ["committed", at, offset] => notes.committed.push((partition(at), number(offset))),
            ["refused", error] => notes.refused.push(error.to_owned()),
            ["done", at] => drop(notes.done.insert(partition(at))),
            _ => panic!("an unknown note: {line}"),
        }
    }
    notes
}

/// What the broker has for the group.
fn committed(python: &Path, server: &Server) -> BTreeMap<i32, i64> {
    let output =
        tools::run(Command::new(python).arg(tools::sources().join("python/committing_member.py")).args([
            &server.address().to_string(),
            GROUP,
            TOPIC,
            &PARTITIONS.to_string(),
        ]));
    let output = output.expect("offsets can be fetched");
    let pair = |line: &str| {
        let (partition, offset) = line.split_once(' ').expect("partition and offset");
        (partition.parse().expect("a number"), offset.parse().expect("a number"))
    };
    output.lines().map(pair).collect()
}

fn fill(server: &Server) {
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let values: Vec<Vec<u8>> = (0..RECORDS).map(|number| format!("record {number}").into_bytes()).collect();
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    for partition in 0..PARTITIONS {
        // Small batches, so that members fetch between their commits.
        for some in values.chunks(50) {
            let batch = frames::batch(some);
            let answer = connection.ask(&frames::produce(1, TOPIC, partition, -1, &batch));
            assert_eq!(frames::produced(&answer).0, 0);
        }
    }
}

#[test]
fn five_kills_under_three_members_that_commit() {
    let _alone = whole_machine();
    let python = or_skip!(tools::librdkafka(tools::LIBRDKAFKA));
    let mut server = Server::start("group-kills");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), TOPIC, PARTITIONS, &[]);
    fill(&server);
    let folder = server.data_dir().parent().expect("a folder above the data").to_path_buf();
    let stop = folder.join("stop");
    let mut members = Members::start(&python, &server, &folder, &stop);
    members.wait_until("every member commits", |notes| notes.iter().all(|it| !it.committed.is_empty()));
    let assignments = |notes: &[Notes]| notes.iter().map(|it| it.assignments).collect::<Vec<_>>();
    let before = assignments(&members.notes());

    let mut random = Random::new(5);
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_millis(200 + random.below(500)));
        server.kill();
        // What was acknowledged before this moment must be there afterwards.
        let acknowledged = last_committed(&members.notes());
        let ready = server.restart();
        let found = committed(&python, &server);
        println!("kill {kill}: ready again after {ready:?}");
        for (partition, offset) in acknowledged {
            assert!(
                found[&partition] >= offset,
                "partition {partition}: {offset} was acknowledged, {found:?}"
            );
        }
    }
    members.wait_until("everything is read and committed", |notes| {
        notes.iter().map(|it| it.done.len()).sum::<usize>() >= PARTITIONS as usize
    });
    let notes = members.notes();
    let refused: Vec<&String> = notes.iter().flat_map(|it| &it.refused).collect();
    assert!(refused.is_empty(), "commits were refused: {refused:?}");
    assert_eq!(assignments(&notes), before, "a restart of the broker made the group rebalance");
    for partition in 0..PARTITIONS {
        let readers = notes.iter().filter(|it| it.read.iter().any(|(of, _)| *of == partition)).count();
        assert_eq!(readers, 1, "partition {partition} changed hands");
        let read: Vec<i64> =
            notes.iter().flat_map(|it| &it.read).filter(|it| it.0 == partition).map(|it| it.1).collect();
        assert_eq!(read, (0..RECORDS).collect::<Vec<_>>(), "partition {partition}: each record is read");
    }

    // Once more: what was acknowledged last must survive a kill too.
    server.kill();
    server.restart();
    let expected: BTreeMap<i32, i64> = (0..PARTITIONS).map(|partition| (partition, RECORDS)).collect();
    assert_eq!(committed(&python, &server), expected);
    assert_eq!(last_committed(&notes), expected);
    let commits: usize = notes.iter().map(|it| it.committed.len()).sum();
    println!("{commits} commits acknowledged");

    fs::write(&stop, "").expect("the members can be told to stop");
    for member in &mut members.processes {
        assert!(member.wait().expect("a member ends").success());
    }
    // Members that left are gone; what they committed is not.
    server.kill();
    server.restart();
    assert_eq!(committed(&python, &server), expected);
}

/// The last acknowledged commit of each partition.
fn last_committed(notes: &[Notes]) -> BTreeMap<i32, i64> {
    let mut last = BTreeMap::new();
    for (partition, offset) in notes.iter().flat_map(|it| &it.committed) {
        let before = last.insert(*partition, *offset);
        assert!(before.is_none_or(|before| before <= *offset), "partition {partition} went back");
    }
    last
}

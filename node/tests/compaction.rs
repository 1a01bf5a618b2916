//! Compaction of the real node: under load, through kills, as a real client sees it.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::frames::{self, Connection};
use support::lines::Random;
use support::server::{Options, Server};
use support::{tools, whole_machine};

const TOPIC: &str = "keyed";
const PARTITIONS: i32 = 3;
const KEYS: u32 = 500;

/// Small segments, compacted as soon as anything is dirty; marks of deleted keys go after a second.
const CONFIGS: [(&str, &str); 5] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1048576"),
    ("segment.ms", "1500"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "1000"),
];

fn options() -> Options {
    let set = |name: &str, value: &str| (format!("RINGMAIN_{name}"), value.to_owned());
    Options {
        environment: vec![set("STORAGE_COMPACTION_CHECK_MS", "200"), set("LOG_LEVEL", "debug")],
        ..Options::default()
    }
}

/// A producer or consumer of keyed records.
fn client(python: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(python);
    command.arg(tools::sources().join("python/keyed_clients.py")).args(words).stdin(Stdio::null());
    command
}

/// Records by partition and offset: key and value, "-" where there is none.
type Records = BTreeMap<(i32, i64), (String, String)>;

fn records(notes: &Path) -> Records {
    let text = fs::read_to_string(notes).expect("the notes can be read");
    let record = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [partition, offset, key, value] = words[..] else { panic!("a note has four words: {line}") };
        let place = (partition.parse().expect("a number"), offset.parse().expect("a number"));
        (place, (key.to_owned(), value.to_owned()))
    };
    text.lines().map(record).collect()
}

/// The last value of each key that is not deleted.
fn last_values(records: &Records) -> BTreeMap<&str, &str> {
    let all: BTreeMap<&str, &str> = records.values().map(|(key, value)| (&key[..], &value[..])).collect();
    all.into_iter().filter(|(_, value)| *value != "-").collect()
}

fn produce(python: &Path, server: &Server, codec: &str, notes: &Path, stop: &Path) -> Child {
    let (address, partitions, keys) =
        (server.address().to_string(), PARTITIONS.to_string(), KEYS.to_string());
    let mut command = client(python, &["produce", &address, TOPIC, &partitions, &keys, codec]);
    command.arg(notes).arg(stop).spawn().expect("a producer starts")
}

fn consume(python: &Path, server: &Server, notes: &Path) -> Records {
    let (address, partitions) = (server.address().to_string(), PARTITIONS.to_string());
    let mut command = client(python, &["consume", &address, TOPIC, &partitions]);
    tools::run(command.arg(notes)).expect("a consumer reads to the end");
    records(notes)
}

fn passes(server: &Server) -> usize {
    server.output().matches("compacted a log").count()
}

#[test]
fn six_kills_while_logs_are_compacted() {
    const KILLS: u64 = 6;
    let _alone = whole_machine();
    let python = or_skip!(tools::librdkafka(tools::LIBRDKAFKA));
    let mut server = Server::start_with("compaction-kills", options());
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), TOPIC, PARTITIONS, &CONFIGS);
    let folder = server.data_dir().parent().expect("a folder above the data").to_path_buf();
    let (notes, read, stop) = (folder.join("notes"), folder.join("read"), folder.join("stop"));
    let mut producer = produce(&python, &server, "lz4", &notes, &stop);
    let mut random = Random::new(8);
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_millis(2_000 + random.below(1_000)));
        server.kill();
        let ready = server.restart();
        println!("kill {kill}: ready again after {ready:?}, {} passes so far", passes(&server));
    }
    fs::write(&stop, "").expect("the producer can be told to stop");
    let status = producer.wait().expect("a producer ends");
    assert!(status.success(), "the producer lost records or was refused");
    let written = records(&notes);
    // Nobody writes any more; the last segments are rolled by their age and compacted too.
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        std::thread::sleep(Duration::from_millis(1_000));
        let found = consume(&python, &server, &read);
        check(&written, &found);
        if found.len() <= 2 * KEYS as usize {
            println!(
                "{} records written, {} left after {} passes",
                written.len(),
                found.len(),
                passes(&server)
            );
            break;
        }
        assert!(Instant::now() < limit, "{} of {} records are still there", found.len(), written.len());
    }
    server.kill();
    server.restart();
    check(&written, &consume(&python, &server, &read));
    assert!(passes(&server) > 10, "{} passes are too few to prove anything", passes(&server));
    assert!(!server.output().contains("not tried again"), "a pass ended with an error");
    check_batches(&server);
}

/// What is left is what was written, at its offset, and the last value of each key is there.
fn check(written: &Records, found: &Records) {
    for (place, record) in found {
        assert_eq!(written.get(place), Some(record), "at {place:?}");
    }
    assert!(last_values(written) == last_values(found), "the last value of each key is there");
}

/// Each batch begins where the one before it ended, with a good checksum: nothing was lost from the middle.
fn check_batches(server: &Server) {
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    for partition in 0..PARTITIONS {
        let mut next = 0;
        let batches = frames::read_all(&mut connection, (TOPIC, partition), 0).expect("the log can be read");
        for (base, batch) in batches {
            assert_eq!(base, next, "partition {partition} has a gap");
            assert_eq!(batch[17..21], frames::crc32c(&batch[21..]).to_be_bytes(), "the checksum at {base}");
            let delta = i32::from_be_bytes(batch[23..27].try_into().expect("four bytes"));
            next = base + i64::from(delta) + 1;
        }
    }
}

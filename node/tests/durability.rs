//! What was acknowledged stays: through kill -9, restarts, a full disk, flipped bytes.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::frames::{self, Answer, Connection, Frame};
use support::lines::Random;
use support::local_cluster::{LocalCluster, ports_in_a_row, until};
use support::server::{Options, Server};
use support::{tools, whole_machine};

const KAFKA_STORAGE_ERROR: i16 = 56;
const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

fn connect(server: &Server) -> Connection {
    Connection::open(server.address()).expect("the server accepts")
}

/// Appends a batch with acks=all: error code and offset.
fn append(connection: &mut Connection, topic: &str, partition: i32, values: &[&[u8]]) -> (i16, i64) {
    frames::produced(&connection.ask(&frames::produce(1, topic, partition, -1, &frames::batch(values))))
}

/// Bytes that cannot be compressed away and differ from record to record.
fn filler(random: &mut Random, bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(bytes).collect()
}

#[test]
fn eight_kills_under_three_idempotent_producers() {
    const PRODUCERS: usize = 3;
    const PARTITIONS: i32 = 4;
    const KILLS: u64 = 8;
    let _alone = whole_machine();
    let python = or_skip!(tools::librdkafka(tools::LIBRDKAFKA));
    let mut server = Server::start("kills");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", PARTITIONS, &[]);
    let folder = server.data_dir().parent().expect("a folder above the data").to_path_buf();
    let stop = folder.join("stop");
    let notes = |name: usize| folder.join(format!("notes-{name}"));
    let mut producers: Vec<_> = (0..PRODUCERS)
        .map(|name| {
            Command::new(&python)
                .arg(tools::sources().join("python/crash_producer.py"))
                .args([&server.address().to_string(), "log", &PARTITIONS.to_string(), &format!("p{name}")])
                .arg(notes(name))
                .arg(&stop)
                .stdin(Stdio::null())
                .spawn()
                .expect("a producer starts")
        })
        .collect();
    let mut random = Random::new(8);
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_millis(700 + random.below(600)));
        server.kill();
        let ready = server.restart();
        println!("kill {kill}: ready again after {ready:?}");
    }
    std::thread::sleep(Duration::from_millis(500));
    fs::write(&stop, "").expect("the producers can be told to stop");
    for producer in &mut producers {
        let status = producer.wait().expect("a producer ends");
        assert!(status.success(), "a producer lost records or was refused");
    }
    // Once more: what was acknowledged last must survive a kill too.
    server.kill();
    server.restart();

    let mut connection = connect(&server);
    let mut values = BTreeSet::new();
    let mut at: BTreeMap<(i32, i64), String> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let mut next = 0;
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for (base, batch) in
            frames::read_all(&mut connection, ("log", partition), 0).expect("the log can be read")
        {
            assert_eq!(base, next, "partition {partition} has a gap");
            assert!(frames::is_intact(&batch), "partition {partition}, offset {base}: the checksum is wrong");
            for value in frames::values(&batch) {
                let value = String::from_utf8(value).expect("values are text");
                let (producer, number) = value.split_once(':').expect("NAME:number");
                let number: u64 = number.parse().expect("a number");
                let before = last.insert(producer.to_owned(), number);
                assert!(before.is_none_or(|before| before < number), "{value} comes after {before:?}");
                assert!(values.insert(value.clone()), "{value} is there twice");
                at.insert((partition, next), value);
                next += 1;
            }
        }
    }
    let mut acknowledged = 0;
    for name in 0..PRODUCERS {
        for line in fs::read_to_string(notes(name)).expect("the notes can be read").lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [partition, offset, value] = words[..] else { panic!("a note has three words: {line}") };
            let place = (partition.parse().expect("a number"), offset.parse().expect("a number"));
            assert_eq!(at.get(&place).map(String::as_str), Some(value), "acknowledged at {place:?}");
            acknowledged += 1;
        }
    }
    println!("{acknowledged} records acknowledged, {} in the log", values.len());
    assert!(acknowledged > 10_000, "too little was written to prove anything");
}

#[test]
fn restart_with_two_thousand_partitions() {
    const TOPICS: usize = 100;
    const PARTITIONS: i32 = 20;
    let _alone = whole_machine();
    let mut server = Server::start("partitions");
    if !server.is_ours() {
        return;
    }
    let names: Vec<String> = (0..TOPICS).map(|number| format!("topic-{number}")).collect();
    let mut connection = connect(&server);
    let begin = Instant::now();
    for some in names.chunks(10) {
        connection.ask(&frames::create_topics(some, PARTITIONS, &[]));
    }
    println!("2,000 partitions created in {:?}", begin.elapsed());
    let begin = Instant::now();
    for name in &names {
        for partition in 0..PARTITIONS {
            let value = format!("{name}/{partition}");
            assert_eq!(append(&mut connection, name, partition, &[value.as_bytes()]), (0, 0), "{value}");
        }
    }
    println!("one record in each after {:?}", begin.elapsed());
    let observed = support::process::Observed::new(server.pid());
    println!("resident: {} MiB, descriptors: {}", observed.resident_bytes() >> 20, observed.descriptors());
    server.kill();
    println!("ready {:?} after a kill", server.restart());
    let (status, took) = server.terminate();
    assert!(status.success(), "SIGTERM ends it with {status}");
    println!("stopped in {took:?}");
    let clean = server.restart();
    println!("ready {clean:?} after a clean stop");
    assert!(clean < Duration::from_secs(20), "2,000 partitions need {clean:?}");
    let mut connection = connect(&server);
    for name in &names {
        for partition in 0..PARTITIONS {
            let found = frames::read_all(&mut connection, (name, partition), 0).expect("readable");
            let values: Vec<Vec<u8>> = found.iter().flat_map(|(_, batch)| frames::values(batch)).collect();
            assert_eq!(values, [format!("{name}/{partition}").into_bytes()]);
        }
    }
}

/// The segments of a partition, in their order.
fn segments(server: &Server, partition: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(server.data_dir().join(partition)).expect("the partition has a folder");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_flipped_byte_is_never_served() {
    let _alone = whole_machine();
    let mut server = Server::start("flipped");
    if !server.is_ours() {
        return;
    }
    let mut connection = connect(&server);
    let mut random = Random::new(13);
    let mut written = Vec::new();
    for topic in ["damaged", "sound"] {
        frames::create_topic(server.address(), topic, 1, &[("segment.bytes", "1048576")]);
    }
    for _ in 0..100 {
        let value = filler(&mut random, 60_000);
        for topic in ["damaged", "sound"] {
            assert_eq!(append(&mut connection, topic, 0, &[&value]).0, 0);
        }
        written.push(value);
    }
    // A kill leaves the open segment as a crash does; the bytes of the sealed ones lie still.
    server.kill();
    let sealed = segments(&server, "damaged-0");
    assert!(sealed.len() > 3, "6 MB make segments of 1 MiB");
    let target = &sealed[sealed.len() / 2];
    let file = fs::File::options().read(true).write(true).open(target).expect("a segment can be opened");
    let position = 500_000;
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).expect("the middle can be read");
    byte[0] ^= 0x10;
    file.write_all_at(&byte, position).expect("the middle can be written");
    drop(file);
    server.restart();

    let mut connection = connect(&server);
    let sound = frames::read_all(&mut connection, ("sound", 0), 0).expect("another partition is served");
    assert_eq!(sound.iter().flat_map(|(_, batch)| frames::values(batch)).collect::<Vec<_>>(), written);
    // From each offset: the right bytes, or an error; the damaged batch only ever an error.
    let mut refused = 0;
    for (offset, value) in written.iter().enumerate() {
        let offset = i64::try_from(offset).expect("few");
        let fetched =
            frames::fetched(&connection.ask(&frames::fetch(1, "damaged", offset, Duration::ZERO, 1)));
        if fetched.error != 0 {
            refused += 1;
            continue;
        }
        let (base, batch) = frames::batches(&fetched.records).first().copied().expect("a batch or an error");
        assert!(base == offset && frames::is_intact(batch), "offset {offset} is served damaged");
        assert_eq!(&frames::values(batch)[0], value, "offset {offset} has another value");
    }
    println!("{refused} of {} offsets are refused", written.len());
    assert!(refused > 0, "the damaged batch is served");
    // Producing to the sound one goes on.
    assert_eq!(append(&mut connection, "sound", 0, &[b"next"]), (0, 100));
}

#[test]
fn a_torn_tail_is_cut_and_nothing_else() {
    let _alone = whole_machine();
    let mut server = Server::start("torn");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", 1, &[]);
    let mut connection = connect(&server);
    for number in 0..50_i64 {
        let value = format!("record {number}").repeat(500);
        assert_eq!(append(&mut connection, "log", 0, &[value.as_bytes()]), (0, number));
    }
    let (status, _) = server.terminate();
    assert!(status.success());
    // Half a batch behind the last one, as a write that was cut leaves it.
    let last = segments(&server, "log-0").pop().expect("a segment");
    let end = valid_bytes(&last);
    let torn = frames::batch(&[&[9; 3_000]]);
    let file = fs::File::options().write(true).open(&last).expect("the segment can be opened");
    file.write_all_at(&torn[..1_700], end).expect("the tail can be written");
    drop(file);
    server.restart();
    let mut connection = connect(&server);
    let found = frames::read_all(&mut connection, ("log", 0), 0).expect("the log can be read");
    assert_eq!(found.len(), 50);
    assert_eq!(append(&mut connection, "log", 0, &[b"after"]), (0, 50));
    server.kill();
    server.restart();
    let found = frames::read_all(&mut connect(&server), ("log", 0), 0).expect("the log can be read");
    assert_eq!(found.len(), 51);
    assert!(found.iter().all(|(_, batch)| frames::is_intact(batch)));
}

/// Where the batches of a segment end.
fn valid_bytes(segment: &Path) -> u64 {
    let bytes = fs::read(segment).expect("a segment can be read");
    let mut position = 0;
    while let Some(head) = bytes.get(position..position + 12) {
        let length = i32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        let Some(batch) =
            usize::try_from(length).ok().and_then(|length| bytes.get(position..position + 12 + length))
        else {
            break;
        };
        if !frames::is_intact(batch) {
            break;
        }
        position += batch.len();
    }
    u64::try_from(position).expect("a file's size")
}

/// A file system of its own in a file; unmounted when dropped.
struct Mounted {
    point: PathBuf,
}

impl Mounted {
    fn new(name: &str, mebibytes: u32) -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let image = folder.join(format!("{name}-{}.ext4", std::process::id()));
        let point = folder.join(format!("{name}-{}.mounted", std::process::id()));
        fs::create_dir_all(&point).map_err(|error| error.to_string())?;
        tools::run(Command::new("truncate").arg("-s").arg(format!("{mebibytes}M")).arg(&image))?;
        tools::run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        let mounted = tools::run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&point));
        // The mount keeps the image open; its name is not needed any more.
        fs::remove_file(&image).map_err(|error| error.to_string())?;
        mounted.map(|_| Self { point })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A server that still runs keeps the file system; lazily it goes with its last file.
        let _ = Command::new("umount").arg("-l").arg(&self.point).status();
        let _ = fs::remove_dir(&self.point);
    }
}

/// Lets a file grow until its disk has not one block left.
fn fill(ballast: &Path) {
    let mut ballast = fs::File::options().append(true).open(ballast).expect("it is there");
    while ballast.write_all(&[1; 4096]).is_ok() {}
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    const MEBIBYTES: u32 = 512;
    const BALLAST: usize = 160 << 20;
    let _alone = whole_machine();
    let disk = or_skip!(Mounted::new("full", MEBIBYTES));
    let ballast = disk.point.join("ballast");
    fs::write(&ballast, vec![1; BALLAST]).expect("the ballast fits");
    let options =
        Options { shards: "1".into(), data_dir: Some(disk.point.join("data")), ..Options::default() };
    let mut server = Server::start_with("full", options);
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", 1, &[("segment.bytes", "16777216")]);
    let mut connection = connect(&server);
    let mut random = Random::new(56);
    let mut written = Written::default();
    let full = loop {
        match written.append(&mut connection, &mut random) {
            0 => assert!(written.acknowledged.len() < 600, "more is acknowledged than the disk holds"),
            error => break error,
        }
    };
    println!("full after {} MB", written.acknowledged.len() * 9 / 10);
    assert_eq!(full, KAFKA_STORAGE_ERROR);
    written.verify(&mut connection);
    assert_eq!(written.append(&mut connection, &mut random), KAFKA_STORAGE_ERROR);
    fill(&ballast);
    drop(connection.ask(&frames::create_topics(&["later".to_owned()], 1, &[])));
    assert_eq!(append(&mut connection, "later", 0, &[b"no folder"]).0, KAFKA_STORAGE_ERROR);
    fs::remove_file(&ballast).expect("the ballast can go");
    let end = Instant::now() + Duration::from_secs(15);
    while written.append(&mut connection, &mut random) != 0 {
        assert!(Instant::now() < end, "space was freed, and nothing can be written");
        std::thread::sleep(Duration::from_millis(100));
    }
    while append(&mut connection, "later", 0, &[b"a folder"]) != (0, 0) {
        assert!(Instant::now() < end, "space was freed, and a topic that was made before is refused");
        std::thread::sleep(Duration::from_millis(100));
    }
    written.verify(&mut connection);
    server.kill();
    server.restart();
    written.verify(&mut connect(&server));
    server.kill();
}

#[test]
fn a_cluster_on_full_disks_takes_orders_stops_and_goes_on() {
    const MEBIBYTES: u32 = 640;
    let _alone = whole_machine();
    let disk = or_skip!(Mounted::new("full-cluster", MEBIBYTES));
    let ballast = disk.point.join("ballast");
    fs::write(&ballast, vec![1; 96 << 20]).expect("the ballast fits");
    let (data, ports) = (disk.point.join("data"), ports_in_a_row(3));
    let mut cluster = LocalCluster::start(&data, 3, ports);
    cluster.pids();
    cluster.printed(&["topic", "create", "log", "--partitions", "3", "--replication-factor", "3"]);
    let mut producer = cluster.command(&["topic", "produce", "log", "--quiet"]);
    producer.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut producer = producer.spawn().expect("the binary runs");
    let mut lines = producer.stdin.take().expect("asked for");
    let line = format!("{}\n", "x".repeat(900_000));
    // Ends when the producer does.
    let feeding = std::thread::spawn(move || while lines.write_all(line.as_bytes()).is_ok() {});
    cluster.line_with("append is postponed");
    fill(&ballast);
    producer.kill().expect("our child");
    producer.wait().expect("our child");
    feeding.join().expect("it ends");

    // As much as a bad night brings: the quorum's file needs blocks that it did not have before.
    for megabytes in 100..160 {
        cluster.printed(&["topic", "alter", "log", "--set", &format!("retention.bytes={megabytes}000000")]);
    }
    assert_eq!(cluster.terminate().code(), Some(0), "the nodes stop");
    fs::remove_file(&ballast).expect("the ballast can go");

    let mut cluster = LocalCluster::start(&data, 3, ports);
    cluster.pids();
    let described = cluster.printed(&["topic", "describe", "log"]);
    assert!(described.contains("retention.bytes"), "{described}");
    cluster.printed(&["topic", "delete", "log"]);
    cluster.printed(&["topic", "create", "after", "--replication-factor", "3"]);
    let path = disk.point.join("lines");
    fs::write(&path, "one\ntwo\n").expect("there is room");
    let path = path.to_str().expect("the tests' paths are UTF-8");
    // The node that is to lead it may still be busy deleting.
    until("the new topic takes records", || {
        let written = cluster.command(&["topic", "produce", "after", path, "--quiet"]).output();
        written.expect("the binary runs").status.success()
    });
    assert_eq!(cluster.printed(&["topic", "consume", "after", "--until-end"]), "one\ntwo\n");
    assert_eq!(cluster.terminate().code(), Some(0));
}

/// What was sent to a disk that fills up.
#[derive(Default)]
struct Written {
    acknowledged: Vec<Vec<u8>>,
    /// Answered with an error: may appear later, when there is space again, as after any lost answer.
    refused: BTreeSet<Vec<u8>>,
}

impl Written {
    fn append(&mut self, connection: &mut Connection, random: &mut Random) -> i16 {
        let value = filler(random, 900_000);
        let (error, _) = append(connection, "log", 0, &[&value]);
        if error == 0 {
            self.acknowledged.push(value);
        } else {
            assert_eq!(error, KAFKA_STORAGE_ERROR);
            self.refused.insert(value);
        }
        error
    }

    /// Everything acknowledged is there, in its order, and nothing that was never sent.
    fn verify(&self, connection: &mut Connection) {
        let found = frames::read_all(connection, ("log", 0), 0).expect("the log can be read");
        let mut expected = self.acknowledged.iter();
        for (base, batch) in found {
            assert!(frames::is_intact(&batch), "offset {base}: the checksum is wrong");
            let value = frames::values(&batch).remove(0);
            if !self.refused.contains(&value) {
                assert!(expected.next() == Some(&value), "offset {base} differs");
            }
        }
        assert!(expected.next().is_none(), "an acknowledged record is missing");
    }
}

#[test]
fn a_log_larger_than_memory_is_read_from_its_start() {
    let _alone = whole_machine();
    // One shard keeps 256 MiB of newest records; the sizes let batches lie across every border of blocks and buffers.
    let server = Server::start_with("large", Options { shards: "1".into(), ..Options::default() });
    frames::create_topic(server.address(), "log", 1, &[("segment.bytes", "16777216")]);
    let mut connection = connect(&server);
    let mut random = Random::new(450);
    let contents = filler(&mut random, 1_000_000);
    let size_of = |number: usize| if number.is_multiple_of(3) { 900_000 } else { 5_000 + number * 37 };
    let mut written = 0;
    let mut count = 0;
    while written < 380_000_000 {
        let size = size_of(count);
        let expected = (0, i64::try_from(count).expect("few"));
        assert_eq!(append(&mut connection, "log", 0, &[&contents[count % 1_000..][..size]]), expected);
        written += size;
        count += 1;
    }
    let found = frames::read_all(&mut connection, ("log", 0), 0).expect("the log can be read");
    assert_eq!(found.len(), count);
    for (number, (base, batch)) in found.iter().enumerate() {
        assert!(frames::is_intact(batch), "offset {base}: the checksum is wrong");
        let value = &contents[number % 1_000..][..size_of(number)];
        assert!(frames::values(batch)[0] == value, "offset {base} has another value");
    }
}

#[test]
fn deleted_records_stay_deleted() {
    let _alone = whole_machine();
    let mut server = Server::start("deleted");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", 1, &[("segment.bytes", "1048576")]);
    let mut connection = connect(&server);
    let mut random = Random::new(21);
    for _ in 0..60 {
        assert_eq!(append(&mut connection, "log", 0, &[&filler(&mut random, 100_000)]).0, 0);
    }
    let before = segments(&server, "log-0").len();
    assert_eq!(frames::delete_records(&mut connection, "log", 42), (0, 42));
    server.kill();
    server.restart();
    let mut connection = connect(&server);
    assert_eq!(frames::read_all(&mut connection, ("log", 0), 41), Err(OFFSET_OUT_OF_RANGE));
    assert_eq!(frames::read_all(&mut connection, ("log", 0), 42).expect("readable").len(), 18);
    assert_eq!(frames::delete_records(&mut connection, "log", -1), (0, 60));
    server.kill();
    server.restart();
    let mut connection = connect(&server);
    assert_eq!(frames::read_all(&mut connection, ("log", 0), 59), Err(OFFSET_OUT_OF_RANGE));
    assert_eq!(append(&mut connection, "log", 0, &[b"goes on"]), (0, 60));
    let end = Instant::now() + Duration::from_secs(20);
    while segments(&server, "log-0").len() >= before {
        assert!(Instant::now() < end, "the files of deleted records are kept");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_topic_is_deleted_while_it_is_read() {
    let _alone = whole_machine();
    let mut server = Server::start("gone");
    let address = server.address();
    frames::create_topic(address, "read", 1, &[]);
    let mut connection = connect(&server);
    let value = Random::new(3).next().to_le_bytes().repeat(100_000);
    for _ in 0..60 {
        assert_eq!(append(&mut connection, "read", 0, &[&value]).0, 0);
    }
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let value = value.clone();
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).expect("the server accepts");
                let end = Instant::now() + Duration::from_secs(20);
                while Instant::now() < end {
                    match frames::read_all(&mut connection, ("read", 0), 0) {
                        Ok(found) => {
                            assert!(found.iter().all(|(_, batch)| frames::values(batch)[0] == value))
                        }
                        Err(error) => return error,
                    }
                }
                0
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    connection.ask(&frames::delete_topics(&["read".into()]));
    for reader in readers {
        let error = reader.join().expect("whole batches until the end");
        assert_eq!(error, UNKNOWN_TOPIC_OR_PARTITION);
    }
    server.assert_alive();
    if server.is_ours() {
        let end = Instant::now() + Duration::from_secs(20);
        while server.data_dir().join("read-0").exists() {
            assert!(Instant::now() < end, "the folder of a deleted topic is kept");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    // One of the same name begins at offset 0, also after a restart.
    frames::create_topic(address, "read", 1, &[]);
    assert_eq!(append(&mut connection, "read", 0, &[b"new"]), (0, 0));
    if server.is_ours() {
        server.kill();
        server.restart();
        assert_eq!(frames::read_all(&mut connect(&server), ("read", 0), 0).expect("readable").len(), 1);
    }
}

#[test]
fn producer_ids_never_repeat() {
    let _alone = whole_machine();
    let mut server = Server::start("ids");
    if !server.is_ours() {
        return;
    }
    let mut seen = BTreeSet::new();
    for round in 0..4 {
        let mut connection = connect(&server);
        for _ in 0..300 {
            let answer = connection.ask(&Frame::request(22, 0, 1).i16(-1).i32(60_000).finish());
            let mut answer = Answer(&answer);
            answer.i32();
            assert_eq!(answer.i16(), 0);
            let id = answer.i64();
            assert!(seen.insert(id), "id {id} is given again in round {round}");
        }
        server.kill();
        server.restart();
    }
}

#[test]
fn a_clean_stop_keeps_everything_and_a_second_process_is_refused() {
    let _alone = whole_machine();
    let mut server = Server::start("stopped");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", 3, &[]);
    for signal in ["TERM", "INT"] {
        let mut connection = connect(&server);
        for partition in 0..3 {
            assert_eq!(append(&mut connection, "log", partition, &[signal.as_bytes()]).0, 0);
        }
        let second = Command::new(env!("CARGO_BIN_EXE_ringmain"))
            .args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"])
            .arg(server.data_dir())
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(!second.status.success(), "two processes share a data directory");
        assert!(said.contains("lock") || said.contains("another"), "the reason is not told: {said}");
        assert!(!said.contains("panicked"), "{said}");
        let (status, took) = server.signal(signal);
        assert_eq!(status.code(), Some(0), "SIG{signal} ends it with {status}");
        println!("SIG{signal}: stopped in {took:?}");
        server.restart();
    }
    let mut connection = connect(&server);
    for partition in 0..3 {
        let found = frames::read_all(&mut connection, ("log", partition), 0).expect("readable");
        let values: Vec<Vec<u8>> = found.iter().flat_map(|(_, batch)| frames::values(batch)).collect();
        assert_eq!(values, [b"TERM".to_vec(), b"INT".to_vec()]);
    }
}

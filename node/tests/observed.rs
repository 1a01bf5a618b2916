//! The server seen from outside, by the kernel: direct I/O, pinned threads, io_uring, sendfile, configs that act.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::frames::{self, Connection};
use support::lines::Random;
use support::process::Observed;
use support::server::{Options, Server};
use support::{tools, whole_machine};

/// `O_DIRECT` on x86-64 and on ARM, as the kernel shows it.
const O_DIRECT: u32 = if cfg!(target_arch = "aarch64") { 0o200_000 } else { 0o40_000 };
/// The two lowest bits of the open flags: 0 is read-only.
const ACCESS_MODE: u32 = 0o3;

fn append(connection: &mut Connection, topic: &str, value: &[u8]) -> (i16, i64) {
    frames::produced(&connection.ask(&frames::produce(1, topic, 0, -1, &frames::batch(&[value]))))
}

#[test]
fn the_open_segment_is_written_past_the_page_cache() {
    let _alone = whole_machine();
    let server = Server::start("direct");
    if !server.is_ours() {
        return;
    }
    frames::create_topic(server.address(), "log", 1, &[]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    // Small batches go to the journal first; these are large enough for the segment itself.
    let mut random = Random::new(1);
    let value: Vec<u8> = (0..32_768).flat_map(|_| random.next().to_le_bytes()).collect();
    for _ in 0..4 {
        assert_eq!(append(&mut connection, "log", &value).0, 0);
    }
    let observed = Observed::new(server.pid());
    let data = server.data_dir().to_string_lossy().into_owned();
    let mut writable = 0;
    for (descriptor, target) in observed.open_files() {
        let holds_batches = target.ends_with(".log") || target.ends_with(".journal");
        if !target.starts_with(&data) || !holds_batches {
            continue;
        }
        let flags = observed.open_flags(&descriptor).expect("the file is still open");
        if flags & ACCESS_MODE != 0 {
            assert!(flags & O_DIRECT != 0, "{target} is written with flags {flags:o}");
            writable += 1;
        }
    }
    assert!(writable > 0, "no segment or journal is open for writing: {:?}", observed.open_files());
    let rings = observed.open_files().iter().filter(|(_, target)| target.contains("io_uring")).count();
    assert!(rings >= 2, "each of two shards has its io_uring, found {rings}");
}

#[test]
fn each_shard_is_pinned_to_a_processor() {
    let _alone = whole_machine();
    let processors = std::thread::available_parallelism().expect("the kernel tells").get();
    let server = Server::start_with("pinned", Options { shards: "auto".into(), ..Options::default() });
    if !server.is_ours() {
        return;
    }
    let threads = Observed::new(server.pid()).threads();
    let mut pinned: Vec<&str> = threads
        .iter()
        .map(|(_, allowed)| allowed.as_str())
        .filter(|allowed| allowed.parse::<usize>().is_ok())
        .collect();
    pinned.sort_unstable();
    pinned.dedup();
    assert_eq!(pinned.len(), processors, "one pinned thread for each processor: {threads:?}");
}

#[test]
fn old_data_leave_by_sendfile() {
    let _alone = whole_machine();
    let strace = tools::run(Command::new("strace").arg("-V"));
    let server = Server::start("sendfile");
    if !server.is_ours() {
        return;
    }
    or_skip!(strace);
    let trace = server.data_dir().parent().expect("a folder above").join("trace");
    frames::create_topic(server.address(), "log", 1, &[("segment.bytes", "1048576")]);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let mut random = Random::new(5);
    let values: Vec<Vec<u8>> =
        (0..300).map(|_| (0..50_000).flat_map(|_| random.next().to_le_bytes()).collect()).collect();
    for value in &values {
        assert_eq!(append(&mut connection, "log", value).0, 0);
    }
    // A restarted server has nothing in memory: what it sends comes from the files.
    let mut server = server;
    let (status, _) = server.terminate();
    assert!(status.success());
    server.restart();
    let mut tracer = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=sendfile", "-o"])
        .arg(&trace)
        .args(["-p", &server.pid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace starts");
    std::thread::sleep(Duration::from_millis(500));
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let found = frames::read_all(&mut connection, ("log", 0), 0).expect("the log can be read");
    let read: Vec<Vec<u8>> = found.iter().flat_map(|(_, batch)| frames::values(batch)).collect();
    assert!(read == values, "cold data differ");
    let stopped = Command::new("kill").args(["-INT", &tracer.id().to_string()]).status();
    assert!(stopped.expect("kill runs").success());
    tracer.wait().expect("strace ends");
    let calls = fs::read_to_string(&trace).expect("the trace can be read");
    let sent: u64 = calls
        .lines()
        .filter_map(|line| line.rsplit_once("= ")?.1.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    if calls.is_empty() && !Path::new("/proc/sys/kernel/yama").exists() {
        println!("strace saw no call at all");
    }
    println!("{} MB of {} MB left by sendfile", sent / 1_000_000, values.len() * 400_000 / 1_000_000);
    assert!(sent > 60_000_000, "only {sent} bytes of 120 MB left by sendfile");
}

#[test]
fn retention_deletes_whole_segments_by_size() {
    let _alone = whole_machine();
    let check_often = ("RINGMAIN_STORAGE_RETENTION_CHECK_MS".to_owned(), "1s".to_owned());
    let options = Options { environment: vec![check_often], ..Options::default() };
    let mut server = Server::start_with("retention", options);
    if !server.is_ours() {
        return;
    }
    let settings = [("segment.bytes", "1048576"), ("retention.bytes", "3145728")];
    frames::create_topic(server.address(), "log", 1, &settings);
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let mut random = Random::new(9);
    for offset in 0..100_i64 {
        let value: Vec<u8> = (0..12_500).flat_map(|_| random.next().to_le_bytes()).collect();
        assert_eq!(append(&mut connection, "log", &value), (0, offset));
    }
    let end = Instant::now() + Duration::from_secs(20);
    let first = loop {
        // The first offset that is left: the one that is not out of range.
        let first = (0..100).find(|offset| {
            let request = frames::fetch(1, "log", *offset, Duration::ZERO, 1);
            frames::fetched(&connection.ask(&request)).error == 0
        });
        let first = first.expect("the end of the log is always there");
        if first > 50 {
            break first;
        }
        assert!(Instant::now() < end, "10 MB are kept where 3 MiB are allowed: from offset {first}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(first < 80, "less than retention.bytes is left: from offset {first}");
    server.kill();
    server.restart();
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let left = frames::read_all(&mut connection, ("log", 0), first).expect("what is left can be read");
    assert_eq!(left.len(), usize::try_from(100 - first).expect("few"));
}

#[test]
fn retention_deletes_by_time() {
    let _alone = whole_machine();
    let check_often = ("RINGMAIN_STORAGE_RETENTION_CHECK_MS".to_owned(), "1s".to_owned());
    let options = Options { environment: vec![check_often], ..Options::default() };
    let server = Server::start_with("retention-time", options);
    if !server.is_ours() {
        return;
    }
    frames::create_topic(
        server.address(),
        "log",
        1,
        &[("segment.bytes", "1048576"), ("retention.ms", "1500")],
    );
    let mut connection = Connection::open(server.address()).expect("the server accepts");
    let value = vec![1; 100_000];
    for _ in 0..30 {
        assert_eq!(append(&mut connection, "log", &value).0, 0);
    }
    let end = Instant::now() + Duration::from_secs(20);
    while frames::fetched(&connection.ask(&frames::fetch(1, "log", 0, Duration::ZERO, 1))).error == 0 {
        assert!(Instant::now() < end, "records of more than 1.5 s are kept");
        std::thread::sleep(Duration::from_millis(200));
    }
}

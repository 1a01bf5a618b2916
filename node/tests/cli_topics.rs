//! The `topic` commands of the real binary against a real server: what they print, how they end, what they carry.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::members::wait_until;
use support::server::Server;

/// A command of the binary that asks `server`.
fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command.args(arguments).env("RINGMAIN_BROKERS", server.address().to_string());
    command
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    command(server, arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

/// Standard output of a command that must succeed.
fn done(server: &Server, arguments: &[&str]) -> Vec<u8> {
    let output = run(server, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} ended with {}: {errors}", output.status);
    output.stdout
}

fn printed(server: &Server, arguments: &[&str]) -> String {
    String::from_utf8(done(server, arguments)).expect("text")
}

/// Standard error of a command that must fail with the exit code of a failure.
fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// Lines that tools like to get wrong, and enough of the usual ones for many batches.
fn odd_lines() -> Vec<u8> {
    let mut text = b"first\n\n\n\r\nwith carriage return\r\n\tand \0 bytes \xff\xfe\n".to_vec();
    for number in 0..40_000_u32 {
        text.extend_from_slice(format!("2026-01-01T00:00:00Z line {number} ").as_bytes());
        text.extend(std::iter::repeat_n(b'a' + (number % 26) as u8, (number % 97) as usize));
        text.push(b'\n');
    }
    // Longer than a batch of 32 KiB, and the end of the file is no newline.
    text.extend(std::iter::repeat_n(b'x', 700_000));
    text.extend_from_slice(b"\nlast");
    text
}

fn input_file(name: &str, contents: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{}-{name}", std::process::id()));
    fs::write(&path, contents).expect("the test's folder takes a file");
    path
}

#[test]
fn a_file_comes_back_byte_for_byte() {
    let server = Server::start("cli-roundtrip");
    let text = odd_lines();
    let file = input_file("roundtrip", &text);
    let path = file.to_str().expect("the tests' paths are UTF-8");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("roundtrip-{codec}");
        done(&server, &["topic", "create", &topic, "--partitions", "1"]);
        done(&server, &["topic", "produce", &topic, path, "-z", codec, "--batch-bytes", "32KiB", "--quiet"]);
        let back = done(&server, &["topic", "consume", &topic, "--until-end", "--no-final-newline"]);
        assert!(back == text, "{codec}: {} bytes came back of {}", back.len(), text.len());
        let with_newline = done(&server, &["topic", "consume", &topic, "--until-end"]);
        assert!(with_newline.strip_suffix(b"\n") == Some(&text[..]), "{codec}: each record ends its line");
    }
    fs::remove_file(&file).expect("the file is there");
}

#[test]
fn keys_and_several_partitions_lose_nothing() {
    let server = Server::start("cli-keys");
    done(&server, &["topic", "create", "keyed", "--partitions", "3"]);
    let lines: Vec<String> = (0..500).map(|number| format!("key-{}\tvalue {number}", number % 50)).collect();
    let file = input_file("keys", lines.join("\n").as_bytes());
    let path = file.to_str().expect("the tests' paths are UTF-8");
    let summary = printed(&server, &["topic", "produce", "keyed", path, "-K", "\\t", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("json");
    assert_eq!(summary["records"], 500);
    let back = printed(&server, &["topic", "consume", "keyed", "--until-end", "--format", "%p %k\\t%s\\n"]);
    let mut partition_of = std::collections::BTreeMap::new();
    let mut seen = Vec::new();
    for line in back.lines() {
        let (partition, record) = line.split_once(' ').expect("as formatted");
        let (key, _) = record.split_once('\t').expect("as formatted");
        assert_eq!(partition_of.entry(key.to_owned()).or_insert(partition), &partition, "{key}");
        seen.push(record.to_owned());
    }
    assert!(partition_of.values().collect::<std::collections::BTreeSet<_>>().len() > 1, "keys are spread");
    let mut expected = lines;
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
    fs::remove_file(&file).expect("the file is there");
}

#[test]
fn reading_begins_and_stops_where_it_is_told() {
    let server = Server::start("cli-positions");
    done(&server, &["topic", "create", "numbers"]);
    let file = input_file("positions", b"zero\none\ntwo\nthree\n");
    let path = file.to_str().expect("the tests' paths are UTF-8");
    done(&server, &["topic", "produce", "numbers", path]);
    let read =
        |arguments: &[&str]| printed(&server, &[&["topic", "consume", "numbers"][..], arguments].concat());
    assert_eq!(read(&["--from", "2", "--until-end"]), "two\nthree\n");
    assert_eq!(read(&["--from", "1", "--count", "2"]), "one\ntwo\n");
    assert_eq!(read(&["--from", "latest", "--until-end"]), "");
    assert_eq!(read(&["--from", "@1", "--count", "1", "--partition", "0"]), "zero\n");
    let record: serde_json::Value =
        serde_json::from_str(&read(&["--json", "--count", "1"])).expect("one object");
    assert_eq!((&record["value"], &record["offset"]), (&"zero".into(), &0.into()));
    let problem = refused(&server, &["topic", "consume", "numbers", "--from", "9", "--until-end"]);
    assert!(problem.contains("it begins at 0 and ends before 4"), "{problem}");
    fs::remove_file(&file).expect("the file is there");
}

#[test]
fn topics_are_made_shown_altered_and_deleted() {
    let server = Server::start("cli-topics");
    let made =
        printed(&server, &["topic", "create", "orders", "--partitions", "2", "-c", "retention.ms=5000"]);
    assert_eq!(made, "Created the topic 'orders' with 2 partition(s).\n");
    let again = refused(&server, &["topic", "create", "orders"]);
    assert!(again.contains("TOPIC_ALREADY_EXISTS"), "{again}");
    done(&server, &["topic", "create", "orders", "--if-not-exists"]);
    let slip = refused(&server, &["topic", "create", "other", "-c", "retenton.ms=1"]);
    assert!(slip.contains("did you mean 'retention.ms'?"), "{slip}");

    let listed: serde_json::Value =
        serde_json::from_str(&printed(&server, &["topic", "list", "--json"])).expect("json");
    assert_eq!(listed[0]["name"], "orders");
    assert_eq!(listed[0]["partitions"], 2);

    done(&server, &["topic", "alter", "orders", "--set", "segment.bytes=2097152", "--partitions", "4"]);
    done(
        &server,
        &["topic", "alter", "orders", "--unset", "retention.ms", "--append", "cleanup.policy=compact"],
    );
    let described: serde_json::Value =
        serde_json::from_str(&printed(&server, &["topic", "describe", "orders", "--json"])).expect("json");
    let topic = &described[0];
    assert_eq!(topic["partitions"].as_array().map(Vec::len), Some(4));
    assert_eq!(topic["configs"]["segment.bytes"]["value"], "2097152");
    assert_eq!(topic["configs"]["retention.ms"]["source"], "default");
    assert_eq!(topic["configs"]["cleanup.policy"]["value"], "delete,compact");
    let text = printed(&server, &["topic", "describe", "orders"]);
    assert!(text.contains("  segment.bytes = 2097152\n"), "{text}");
    let fewer = refused(&server, &["topic", "alter", "orders", "--partitions", "1"]);
    assert!(fewer.contains("would not be an increase"), "{fewer}");

    assert_eq!(printed(&server, &["topic", "delete", "orders"]), "Deleted the topic 'orders'.\n");
    let gone = refused(&server, &["topic", "delete", "orders"]);
    assert!(gone.contains("it does not exist"), "{gone}");
    let unknown = refused(&server, &["topic", "describe", "orders"]);
    assert!(unknown.contains("'ringmain topic create orders' makes it"), "{unknown}");
}

#[test]
fn a_batch_beyond_the_topics_limit_is_explained() {
    let server = Server::start("cli-too-large");
    done(&server, &["topic", "create", "small", "-c", "max.message.bytes=1000"]);
    let file = input_file("too-large", &[b'y'; 5000]);
    let path = file.to_str().expect("the tests' paths are UTF-8");
    let problem = refused(&server, &["topic", "produce", "small", path]);
    assert!(problem.contains("the batch up to line 1 has 50"), "{problem}");
    assert!(problem.contains("--set max.message.bytes=N"), "{problem}");
    fs::remove_file(&file).expect("the file is there");
}

/// A producer to which lines are given one by one, and the pipe for them.
fn piped_producer(server: &Server, topic: &str) -> (Child, ChildStdin) {
    let mut producer = command(server, &["topic", "produce", topic, "--linger", "10"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let pipe = producer.stdin.take().expect("piped");
    (producer, pipe)
}

#[test]
fn a_slow_pipe_is_sent_line_by_line() {
    let server = Server::start("cli-pipe");
    done(&server, &["topic", "create", "live"]);
    let (producer, mut pipe) = piped_producer(&server, "live");
    for line in ["one\n", "two\n"] {
        pipe.write_all(line.as_bytes()).expect("the producer reads");
        // The line must arrive although the pipe stays open.
        let offset = if line == "one\n" { "0" } else { "1" };
        for _ in 0..200 {
            let output = run(&server, &["topic", "consume", "live", "--from", offset, "--until-end"]);
            if output.stdout == line.as_bytes() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let back = printed(&server, &["topic", "consume", "live", "--from", offset, "--until-end"]);
        assert_eq!(back, line);
    }
    drop(pipe);
    let output = producer.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_topic_that_is_deleted_ends_its_producer() {
    let server = Server::start("cli-deleted");
    done(&server, &["topic", "create", "brief"]);
    let (producer, mut pipe) = piped_producer(&server, "brief");
    pipe.write_all(b"kept\n").expect("the producer reads");
    wait_until(Duration::from_secs(10), || {
        let output = run(&server, &["topic", "consume", "brief", "--from", "0", "--until-end"]);
        if output.stdout == b"kept\n" { Ok(()) } else { Err(format!("{output:?}")) }
    });
    done(&server, &["topic", "delete", "brief"]);
    pipe.write_all(b"lost\n").expect("the producer reads");
    drop(pipe);
    let output = producer.wait_with_output().expect("it ends");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{problem}");
    assert!(problem.contains("the batch up to line 2 is the first that was not acknowledged"), "{problem}");
    assert!(problem.contains("'ringmain topic create brief' makes it"), "{problem}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let server = Server::start("cli-broken-pipe");
    done(&server, &["topic", "create", "long"]);
    let file = input_file("broken-pipe", &odd_lines());
    done(&server, &["topic", "produce", "long", file.to_str().expect("the tests' paths are UTF-8")]);
    let mut consumer = command(&server, &["topic", "consume", "long", "--until-end"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut begin = [0; 5];
    consumer.stdout.take().expect("piped").read_exact(&mut begin).expect("it writes");
    assert_eq!(&begin, b"first");
    let output = consumer.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    fs::remove_file(&file).expect("the file is there");
}

#[test]
fn a_reader_that_goes_away_is_noticed_while_nothing_comes() {
    let server = Server::start("cli-quiet-pipe");
    done(&server, &["topic", "create", "quiet"]);
    let file = input_file("quiet-pipe", b"only\n");
    done(&server, &["topic", "produce", "quiet", file.to_str().expect("the tests' paths are UTF-8")]);
    let mut consumer = command(&server, &["topic", "consume", "quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = [0; 5];
    consumer.stdout.take().expect("piped").read_exact(&mut line).expect("it writes");
    assert_eq!(&line, b"only\n");
    // The pipe is closed now, and no other record will ever come.
    let begin = Instant::now();
    while consumer.try_wait().expect("a child can be asked").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it goes on for nobody");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = consumer.wait_with_output().expect("it ended");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    fs::remove_file(&file).expect("the file is there");
}

#[test]
fn a_server_killed_while_lines_are_written_neither_loses_nor_doubles_one() {
    let mut server = Server::start("cli-killed");
    if !server.is_ours() {
        return;
    }
    done(&server, &["topic", "create", "survivor"]);
    let mut producer =
        command(&server, &["topic", "produce", "survivor", "--batch-bytes", "4KiB", "--timeout", "60"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary runs");
    let mut pipe = producer.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || {
        let mut sent = Vec::new();
        for number in 0..60_000 {
            let line = format!("line {number} of a log that is being written\n");
            pipe.write_all(line.as_bytes()).expect("the producer reads");
            sent.extend_from_slice(line.as_bytes());
            if number % 200 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        sent
    });
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(300));
        server.kill();
        server.restart();
    }
    let sent = writer.join().expect("the writer does not panic");
    assert!(producer.wait().expect("it ends").success());
    let back = done(&server, &["topic", "consume", "survivor", "--until-end"]);
    assert!(back == sent, "{} bytes came back of {}", back.len(), sent.len());
}

#[test]
fn a_segment_can_be_looked_into() {
    let server = Server::start("cli-inspect");
    if !server.is_ours() {
        return;
    }
    done(&server, &["topic", "create", "seen"]);
    let file = input_file("inspect", b"one\ntwo\nthree\n");
    done(&server, &["topic", "produce", "seen", file.to_str().expect("the tests' paths are UTF-8")]);
    let mut server = server;
    // A clean stop settles what the journal holds into the segment.
    assert!(server.terminate().0.success());
    let segment = server.data_dir().join("seen-0/00000000000000000000.log");
    let path = segment.to_str().expect("the tests' paths are UTF-8").to_owned();
    let shown = printed(&server, &["inspect", "segment", &path]);
    assert!(shown.contains("1 batches with 3 records"), "{shown}");
    let mut bytes = fs::read(&segment).expect("the segment is there");
    // Inside the first record's value.
    bytes[70] ^= 1;
    fs::write(&segment, bytes).expect("the segment can be changed");
    let problem = refused(&server, &["inspect", "segment", &path]);
    assert!(problem.contains("1 batch(es) of"), "{problem}");
    fs::remove_file(&file).expect("the file is there");
}

//! The `group` commands of the real binary, on groups that real consumers make, leave and take up again.
//!
//! Every name carries the process id: against another broker (`KAFKA_TEST_TARGET`) the groups of earlier runs are there.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::Server;
use support::tools;

/// Far longer than any rebalance here (three seconds for the first member), on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);

fn unique(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command.args(arguments).env("RINGMAIN_BROKERS", server.address().to_string()).stdin(Stdio::null());
    command
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    command(server, arguments).output().expect("the binary runs")
}

/// Standard output of a command that must succeed.
fn printed(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} ended with {}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

fn printed_json(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&printed(server, arguments)).expect("json")
}

/// Standard error of a command that must fail with the exit code of a failure.
fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("text")
}

fn described(server: &Server, group: &str) -> Value {
    printed_json(server, &["group", "describe", group, "--json"])[0].clone()
}

/// Appends lines `FIRST..` to a partition.
fn write_lines(server: &Server, topic: &str, partition: &str, numbers: std::ops::Range<u32>) {
    let lines: Vec<String> = numbers.map(|number| format!("line {number}")).collect();
    let name = format!("groups-{}-{topic}-{partition}", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, lines.join("\n")).expect("the test's folder takes a file");
    let path = file.to_str().expect("the tests' paths are UTF-8");
    printed(server, &["topic", "produce", topic, path, "--partition", partition, "--quiet"]);
    fs::remove_file(&file).expect("the file is there");
}

/// Reads so many records as the only member of a group, and commits them.
fn consume(server: &Server, group: &str, topic: &str, count: &str) -> Result<String, String> {
    let broker = server.address().to_string();
    tools::run(
        Command::new(tools::kcat()?)
            .args(["-b", &broker, "-X", "auto.offset.reset=earliest", "-q", "-c", count])
            .args(["-f", "%p %o %s\n", "-G", group, topic]),
    )
}

/// A member in a process of its own.
struct Member {
    process: Child,
    /// Closed, it ends.
    input: Option<ChildStdin>,
}

impl Member {
    fn start(server: &Server, group: &str, topic: &str, client_id: &str) -> Result<Self, String> {
        let mut process = Command::new(tools::librdkafka(tools::LIBRDKAFKA)?)
            .arg(tools::sources().join("python/group_member.py"))
            .args([&server.address().to_string(), group, topic, client_id])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let input = process.stdin.take();
        Ok(Self { process, input })
    }

    fn stop(mut self) {
        drop(self.input.take());
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Looks until what is shown is as it should be.
fn wait_until(what: &str, mut look: impl FnMut() -> Option<Value>) -> Value {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn wait_for_members(server: &Server, group: &str, count: usize) -> Value {
    wait_until(&format!("{count} members"), || {
        let output = run(server, &["group", "describe", group, "--json"]);
        let shown: Value = serde_json::from_slice(&output.stdout).ok()?;
        let group = shown[0].clone();
        let has_all = group["members"].as_array().is_some_and(|members| members.len() == count);
        let is_settled = group["state"] == if count == 0 { "Empty" } else { "Stable" };
        (has_all && is_settled).then_some(group)
    })
}

#[test]
fn lag_is_exact_and_partitions_without_a_commit_are_shown_as_such() {
    let _ = or_skip!(tools::kcat());
    let server = Server::start("groups-lag");
    let (topic, group) = (unique("lag"), unique("lag-readers"));
    printed(&server, &["topic", "create", &topic, "--partitions", "3"]);
    write_lines(&server, &topic, "1", 0..70);
    // Nothing else is there yet, so these are the ones that are read.
    consume(&server, &group, &topic, "30").expect("kcat reads");
    write_lines(&server, &topic, "0", 0..5);
    write_lines(&server, &topic, "1", 70..100);

    let shown = described(&server, &group);
    assert_eq!(shown["group"], json!(group));
    assert_eq!((&shown["state"], &shown["protocol_type"]), (&json!("Empty"), &json!("consumer")));
    assert_eq!(shown["coordinator"]["address"], json!(server.address().to_string()));
    assert_eq!(shown["members"], json!([]));
    assert_eq!(shown["lag"], json!(70));
    let read: Vec<&Value> = shown["partitions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|partition| partition["lag"] != json!(0))
        .collect();
    let expected = json!({
        "topic": topic, "partition": 1, "committed": 30, "start_offset": 0, "end_offset": 100, "lag": 70,
        "member_id": null,
    });
    assert_eq!(read, [&expected]);

    let text = printed(&server, &["group", "describe", &group]);
    assert!(text.contains("  lag          70\n"), "{text}");
    assert!(text.contains(&format!("{topic}  1          30         100  70   -       -\n")), "{text}");

    let listed = printed_json(&server, &["group", "list", "--lag", "--json", "--state", "empty"]);
    let mine = listed.as_array().expect("a list").iter().find(|listed| listed["group"] == json!(group));
    let mine = mine.expect("the group is listed");
    assert_eq!((&mine["state"], &mine["members"], &mine["lag"]), (&json!("Empty"), &json!(0), &json!(70)));
    let stable = printed(&server, &["group", "list", "--state", "stable"]);
    assert!(!stable.contains(&group), "{stable}");

    // Deleted records still count, as offsets do, but they are told.
    printed(&server, &["group", "seek", &group, "--topic", &topic, "--to", "earliest"]);
    let shown = described(&server, &group);
    assert_eq!((&shown["lag"], &shown["notes"]), (&json!(105), &json!([])));
    printed(&server, &["topic", "delete", &topic]);
    wait_until("a deleted topic is told", || {
        let output = run(&server, &["group", "describe", &group, "--json"]);
        if output.status.code() == Some(1) {
            // A broker may take the commits away with the topic, and the group that had no others.
            let problem = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(problem.contains("it does not exist"), "{problem}");
            return Some(json!(problem));
        }
        let shown: Value = serde_json::from_slice(&output.stdout).expect("json");
        let shown = &shown[0];
        let is_told = shown["notes"][0].as_str().is_some_and(|note| note.contains("does not exist"));
        let is_gone = is_told || shown["partitions"] == json!([]);
        is_gone.then(|| shown["lag"].clone()).inspect(|lag| assert_eq!(*lag, Value::Null))
    });
}

#[test]
fn members_are_shown_and_hold_their_group() {
    let server = Server::start("groups-members");
    let (topic, group) = (unique("held"), unique("holders"));
    printed(&server, &["topic", "create", &topic, "--partitions", "3"]);
    write_lines(&server, &topic, "2", 0..10);
    let first = or_skip!(Member::start(&server, &group, &topic, "first-client"));
    wait_for_members(&server, &group, 1);
    let second = or_skip!(Member::start(&server, &group, &topic, "second-client"));
    let shown = wait_for_members(&server, &group, 2);

    let mut assigned = Vec::new();
    for member in shown["members"].as_array().expect("a list") {
        assert!(["first-client", "second-client"].contains(&member["client_id"].as_str().expect("text")));
        assert_eq!((&member["host"], &member["topics"]), (&json!("127.0.0.1"), &json!([topic])));
        for partition in member["partitions"].as_array().expect("a list") {
            assigned.push(partition["partition"].as_i64().expect("a number"));
            // The table of partitions says the same.
            let row =
                shown["partitions"].as_array().expect("a list").iter().find(|row| {
                    row["topic"] == partition["topic"] && row["partition"] == partition["partition"]
                });
            assert_eq!(row.expect("every partition has a row")["member_id"], member["member_id"]);
        }
    }
    assigned.sort_unstable();
    assert_eq!(assigned, [0, 1, 2]);
    // Subscribed to and never written: there, without numbers that nobody knows.
    let rows = shown["partitions"].as_array().expect("a list");
    let empty = rows.iter().find(|row| row["partition"] == json!(0)).expect("a row");
    assert_eq!((&empty["committed"], &empty["end_offset"]), (&Value::Null, &json!(0)));
    let text = printed(&server, &["group", "describe", &group, "--members"]);
    for word in ["INSTANCE", "first-client", "second-client", "127.0.0.1"] {
        assert!(text.contains(word), "{word}: {text}");
    }

    for arguments in [
        &["group", "seek", &group, "--topic", &topic, "--to", "earliest"][..],
        &["group", "seek", &group, "--topic", &topic, "--to", "earliest", "--dry-run"],
        &["group", "delete", &group],
    ] {
        let problem = refused(&server, arguments);
        assert!(problem.contains("it has 2 members"), "{problem}");
        assert!(problem.contains("client 'first-client' on 127.0.0.1"), "{problem}");
        assert!(problem.contains("stop them first"), "{problem}");
    }
    wait_until("a commit", || {
        let shown = described(&server, &group);
        (shown["lag"] == json!(0)).then_some(shown)
    });
    let problem = refused(&server, &["group", "delete", &group, "--topic", &topic]);
    assert!(problem.contains("subscribed to it; stop them first"), "{problem}");

    first.stop();
    second.stop();
    wait_for_members(&server, &group, 0);
    printed(&server, &["group", "delete", &group]);
    let problem = refused(&server, &["group", "describe", &group]);
    assert!(problem.contains("it does not exist; 'ringmain group list' shows what there is"), "{problem}");
}

#[test]
fn every_way_of_seeking_is_where_a_consumer_goes_on() {
    let _ = or_skip!(tools::kcat());
    let server = Server::start("groups-seek");
    let topic = unique("seek");
    printed(&server, &["topic", "create", &topic]);
    write_lines(&server, &topic, "0", 0..40);
    // Times are of milliseconds; what follows is later by many.
    std::thread::sleep(Duration::from_millis(300));
    let between = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let between = format!("@{}", between.as_millis() - 100);
    write_lines(&server, &topic, "0", 40..60);

    // Where it stands, where it is told to go, where it goes.
    let ways: [(&str, &str, i64); 9] = [
        ("10", "earliest", 0),
        ("10", "latest", 60),
        ("10", "17", 17),
        ("10", "offset:18", 18),
        ("10", "+5", 15),
        ("10", "-7", 3),
        ("10", &between, 40),
        ("50", "-2h", 0),
        ("10", "2100-01-01T00:00:00Z", 60),
    ];
    std::thread::scope(|scope| {
        for (index, (from, to, expected)) in ways.iter().enumerate() {
            let (server, topic) = (&server, &topic);
            scope.spawn(move || {
                let group = unique(&format!("seeker-{index}"));
                let seek = |more: &[&str]| {
                    let arguments =
                        [&["group", "seek", &group, "--topic", topic, "--json"][..], more].concat();
                    printed_json(server, &arguments)
                };
                let begun = seek(&["--to", from, "--create"]);
                assert_eq!(begun["partitions"][0]["before"], Value::Null);
                let from: i64 = from.parse().expect("a number");

                let tried = seek(&["--to", to, "--dry-run"]);
                assert_eq!((&tried["dry_run"], &tried["group"]), (&json!(true), &json!(group)));
                assert_eq!(
                    described(server, &group)["partitions"][0]["committed"],
                    json!(from),
                    "{to}: --dry-run"
                );

                let moved = seek(&["--to", to]);
                assert_eq!(moved["partitions"], tried["partitions"], "{to}: as it was foretold");
                let partition = json!({
                    "topic": topic, "partition": 0, "before": from, "after": expected, "start_offset": 0,
                    "end_offset": 60, "lag": 60 - expected, "warning": null, "error": null,
                });
                assert_eq!(moved["partitions"], json!([partition]), "{to}");
                assert_eq!(described(server, &group)["lag"], json!(60 - expected), "{to}");
                if *expected < 60 {
                    let read = consume(server, &group, topic, "1").expect("kcat reads");
                    assert_eq!(read, format!("0 {expected} line {expected}\n"), "{to}");
                }
            });
        }
    });
}

#[test]
fn seeking_stays_within_the_log_and_touches_only_what_it_is_told() {
    let server = Server::start("groups-clamp");
    let (topic, group) = (unique("clamp"), unique("clamped"));
    printed(&server, &["topic", "create", &topic, "--partitions", "3"]);
    write_lines(&server, &topic, "0", 0..20);
    write_lines(&server, &topic, "1", 0..10);

    let unknown = refused(&server, &["group", "seek", &group, "--topic", &topic, "--to", "earliest"]);
    assert!(unknown.contains("it does not exist") && unknown.contains("--create makes it"), "{unknown}");

    let beyond = run(
        &server,
        &["group", "seek", &group, "--topic", &format!("{topic}:0-1"), "--to", "15", "--create"],
    );
    assert!(beyond.status.success());
    let warnings = String::from_utf8_lossy(&beyond.stderr);
    assert_eq!(warnings, format!("ringmain: {topic}-1: 15 lies past the end; it goes to the end, 10\n"));
    let shown = described(&server, &group);
    let committed: Vec<(i64, Option<i64>)> = shown["partitions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["partition"].as_i64().expect("a number"), row["committed"].as_i64()))
        .collect();
    assert_eq!(committed, [(0, Some(15)), (1, Some(10))], "partition 2 was not named");

    // Only what is committed can be moved by a distance; the rest is told and stays.
    let relative = run(&server, &["group", "seek", &group, "--topic", &topic, "--to", "-4", "--json"]);
    assert!(relative.status.success());
    let moved: Value = serde_json::from_slice(&relative.stdout).expect("json");
    let after: Vec<&Value> =
        moved["partitions"].as_array().expect("a list").iter().map(|row| &row["after"]).collect();
    assert_eq!(after, [&json!(11), &json!(6), &Value::Null]);
    assert!(String::from_utf8_lossy(&relative.stderr).contains(&format!("{topic}-2: nothing is committed")));

    printed(&server, &["group", "seek", &group, "--all-topics", "--to", "latest"]);
    assert_eq!(described(&server, &group)["lag"], json!(0));

    let missing =
        refused(&server, &["group", "seek", &group, "--topic", &format!("{topic}:1,7"), "--to", "earliest"]);
    assert!(missing.contains(&format!("{topic}:7 do not exist")), "{missing}");
    assert_eq!(described(&server, &group)["lag"], json!(0), "nothing is moved by half");
    let missing =
        refused(&server, &["group", "seek", &group, "--topic", "no-such-topic", "--to", "earliest"]);
    assert!(missing.contains("find the topic 'no-such-topic'"), "{missing}");
    let time = run(&server, &["group", "seek", &group, "--topic", &topic, "--to", "1767225600000"]);
    assert_eq!(time.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&time.stderr).contains("write @1767225600000 for it"), "{time:?}");
}

#[test]
fn what_was_described_can_be_gone_back_to_and_given_to_another_group() {
    let server = Server::start("groups-saved");
    let (topic, group, copy) = (unique("saved"), unique("saver"), unique("copy"));
    printed(&server, &["topic", "create", &topic, "--partitions", "2"]);
    write_lines(&server, &topic, "0", 0..9);
    write_lines(&server, &topic, "1", 0..9);
    for (partition, to) in [("0", "4"), ("1", "7")] {
        let named = format!("{topic}:{partition}");
        printed(&server, &["group", "seek", &group, "--topic", &named, "--to", to, "--create"]);
    }
    let before = printed(&server, &["group", "describe", &group, "--json"]);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique("saved-offsets"));
    fs::write(&file, &before).expect("the test's folder takes a file");
    let path = file.to_str().expect("the tests' paths are UTF-8");
    printed(&server, &["group", "seek", &group, "--all-topics", "--to", "latest"]);
    assert_eq!(described(&server, &group)["lag"], json!(0));
    printed(&server, &["group", "seek", &group, "--from-file", path]);
    assert_eq!(printed(&server, &["group", "describe", &group, "--json"]), before);
    printed(&server, &["group", "seek", &copy, "--from-file", path, "--create"]);
    assert_eq!(described(&server, &copy)["partitions"], described(&server, &group)["partitions"]);
    fs::write(&file, "{}").expect("the test's folder takes a file");
    let problem = refused(&server, &["group", "seek", &group, "--from-file", path]);
    assert!(problem.contains("is not what 'ringmain group describe NAME --json' prints"), "{problem}");
    fs::remove_file(&file).expect("the file is there");
}

#[test]
fn groups_and_offsets_are_deleted_whatever_their_name() {
    let server = Server::start("groups-delete");
    let topic = unique("deleted");
    printed(&server, &["topic", "create", &topic, "--partitions", "2"]);
    let group = unique("gr\u{fc}ppe/1 :%$'\" \u{1f980}");
    printed(&server, &["group", "seek", &group, "--topic", &topic, "--to", "earliest", "--create"]);
    let listed = printed_json(&server, &["group", "list", "--json"]);
    assert!(
        listed.as_array().expect("a list").iter().any(|listed| listed["group"] == json!(group)),
        "{listed}"
    );

    let deleted = printed(&server, &["group", "delete", &group, "--topic", &format!("{topic}:1")]);
    assert_eq!(deleted, format!("Deleted 1 offset(s) of the group '{group}': {topic}:1.\n"));
    let left = described(&server, &group);
    assert_eq!(left["partitions"].as_array().map(Vec::len), Some(1));
    assert_eq!(left["partitions"][0]["partition"], json!(0));
    let nothing = refused(&server, &["group", "delete", &group, "--topic", &format!("{topic}:1")]);
    assert!(nothing.contains("has committed nothing there"), "{nothing}");

    let other = unique("other");
    printed(&server, &["group", "seek", &other, "--topic", &topic, "--to", "earliest", "--create"]);
    let missing = unique("missing");
    let output = run(&server, &["group", "delete", &group, &missing, &other]);
    assert_eq!(output.status.code(), Some(1));
    let done = String::from_utf8_lossy(&output.stdout);
    assert_eq!(done, format!("Deleted the group '{group}'.\nDeleted the group '{other}'.\n"));
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(
        problem.contains(&format!("cannot delete the group '{missing}': it does not exist")),
        "{problem}"
    );
    let there = printed(&server, &["group", "delete", &missing, "--if-exists"]);
    assert_eq!(there, format!("The group '{missing}' does not exist.\n"));
    let several = run(&server, &["group", "describe", &missing, &other, "--json"]);
    assert_eq!((several.status.code(), &several.stdout[..]), (Some(1), &b"[]\n"[..]));
}

#[test]
fn watching_appends_looks_and_ends_with_its_reader() {
    let server = Server::start("groups-watch");
    let (topic, group) = (unique("watched"), unique("watched-readers"));
    printed(&server, &["topic", "create", &topic]);
    printed(&server, &["group", "seek", &group, "--topic", &topic, "--to", "earliest", "--create"]);
    let missing = run(&server, &["group", "describe", &unique("missing"), "--watch"]);
    assert_eq!(missing.status.code(), Some(1), "what never was is told at once");

    let mut watching = command(&server, &["group", "describe", &group, "--json", "--watch=200ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut looks = BufReader::new(watching.stdout.take().expect("piped"));
    let mut lag_of_next_look = || {
        let mut line = String::new();
        looks.read_line(&mut line).expect("a look comes");
        serde_json::from_str::<Value>(&line).expect("a look is a line")[0]["lag"].clone()
    };
    assert_eq!(lag_of_next_look(), json!(0));
    write_lines(&server, &topic, "0", 0..3);
    let begin = Instant::now();
    while lag_of_next_look() != json!(3) {
        assert!(begin.elapsed() < PATIENCE, "what changes is seen");
    }
    drop(looks);
    let begin = Instant::now();
    while watching.try_wait().expect("a child can be asked").is_none() {
        assert!(begin.elapsed() < PATIENCE, "it goes on for nobody");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = watching.wait_with_output().expect("it ended");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));

    // As text, a block each; the signal of Ctrl-C ends it as it ends any program.
    // A shell's background job ignores that signal, and what it starts would too.
    let mut watching = Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_ringmain"), "group", "list", "--watch=200ms"])
        .env("RINGMAIN_BROKERS", server.address().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped"));
    let mut headings = 0;
    while headings < 2 {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("text") > 0, "it goes on");
        headings += usize::from(line.starts_with("GROUP "));
    }
    let signal =
        Command::new("kill").args(["-INT", &watching.id().to_string()]).status().expect("kill can be run");
    assert!(signal.success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("the pipe is closed at the end");
    let status = watching.wait().expect("it ends");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2), "{status}");
}

#[test]
fn watching_outlives_the_node() {
    let mut server = Server::start("groups-restart");
    if !server.is_ours() {
        return;
    }
    let (topic, group) = (unique("restarted"), unique("restarted-readers"));
    printed(&server, &["topic", "create", &topic]);
    write_lines(&server, &topic, "0", 0..8);
    printed(&server, &["group", "seek", &group, "--topic", &topic, "--to", "5", "--create"]);
    let mut watching = command(&server, &["group", "describe", &group, "--json", "--watch=200ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut looks = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let mut next = || looks.next().expect("it goes on").expect("text");
    assert!(next().contains("\"lag\":3"));
    server.kill();
    server.restart();
    // A commit that was answered is there; looks of before may still be in the pipe.
    for _ in 0..10 {
        let look = next();
        assert!(look == "[]" || look.contains("\"lag\":3"), "{look}");
    }
    watching.kill().expect("a child can be killed");
    watching.wait().expect("a child can be waited for");
    assert_eq!(described(&server, &group)["partitions"][0]["committed"], json!(5));
}

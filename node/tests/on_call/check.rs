//! `ringmain check` on a machine that nobody has tuned, and on this one.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::recorded_machine::write_badly_tuned;
use super::support::server::Server;
use super::{Scratch, ringmain, text};

/// A look at a machine is a matter of seconds; it has to be, on a machine in trouble too.
const LOOK_MAX: Duration = Duration::from_secs(15);

/// The findings of a run that prints JSON, and its exit code.
fn findings(arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let begin = Instant::now();
    let output = ringmain(&[&["check", "--json"], arguments].concat());
    assert!(begin.elapsed() < LOOK_MAX, "it took {:?}", begin.elapsed());
    let parsed = serde_json::from_slice(&output.stdout);
    let findings: Value = parsed.unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    (findings.as_array().expect("an array").clone(), output.status.code())
}

/// What is found of one thing: status and remedy of each finding.
fn of<'a>(findings: &'a [Value], what: &str) -> Vec<(&'a str, &'a str)> {
    let texts = findings.iter().filter(|finding| finding["what"] == what);
    texts
        .map(|finding| {
            (finding["status"].as_str().expect("a status"), finding["remedy"].as_str().unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_machine_that_nobody_tuned_is_told_what_to_mend() {
    let scratch = Scratch::new("badly-tuned");
    let data = scratch.path("data");
    fs::create_dir_all(&data).expect("the folder can be made");
    write_badly_tuned(&scratch.path("machine"), &data);
    let root = scratch.path("machine").display().to_string();
    let (found, code) = findings(&["--system-root", &root]);
    assert_eq!(code, Some(1), "there are problems");
    let expected = [
        ("configuration", "ok", ""),
        ("kernel", "problem", "newer kernel"),
        ("io_uring", "problem", "sysctl -w kernel.io_uring_disabled=0"),
        ("open files", "advice", "ulimit"),
        ("locked memory", "problem", "LimitMEMLOCK"),
        ("data directory", "ok", ""),
        ("file system", "ok", ""),
        ("direct I/O", "ok", ""),
        ("flush", "problem", "nobarrier"),
        ("disk scheduler", "advice", "echo 'mq-deadline' > /sys/block/sdb/queue/scheduler"),
        ("disk queue", "advice", "echo '256' > /sys/block/sdb/queue/nr_requests"),
        ("rotating disk", "advice", "solid-state"),
        ("shards", "advice", "shards = 1"),
        ("clock source", "advice", "echo tsc >"),
        ("frequency governor", "advice", "echo performance |"),
        ("memory nodes", "advice", "sysctl -w kernel.numa_balancing=0"),
        ("interrupts", "advice", "/proc/irq/36/"),
        ("memory", "advice", "memory.tail_bytes_per_shard"),
        ("huge pages", "advice", "echo madvise >"),
        ("swap", "advice", "sysctl -w vm.swappiness=1"),
        ("page cache", "advice", "sysctl -w vm.dirty_bytes=1073741824"),
        ("network buffers", "advice", "sysctl -w net.core.rmem_max=4194304"),
        ("connection queue", "advice", "sysctl -w net.core.somaxconn=4096"),
        ("host names", "problem", "/etc/hosts"),
        ("ports", "problem", "stop process 4321"),
    ];
    for (what, status, remedy) in expected {
        let verdicts = of(&found, what);
        let first = verdicts.first().unwrap_or_else(|| panic!("nothing is said of {what}"));
        assert_eq!(first.0, status, "{what}: {verdicts:?}");
        assert!(first.1.contains(remedy), "{what}: {verdicts:?}");
    }
    for finding in &found {
        let has = |name: &str| finding[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(has("what") && has("found") && has("why"), "{finding}");
        assert_eq!(has("remedy"), finding["status"] != "ok", "{finding}");
    }
}

#[test]
fn limits_are_those_of_the_service() {
    let scratch = Scratch::new("service");
    let (machine, data) = (scratch.path("machine"), scratch.path("data"));
    fs::create_dir_all(&data).expect("the folder can be made");
    write_badly_tuned(&machine, &data);
    let root = machine.display().to_string();
    let limits = || {
        let (found, _) = findings(&["--system-root", &root]);
        let limits = found.into_iter().filter(|finding| {
            ["open files", "locked memory"].contains(&finding["what"].as_str().expect("a text"))
        });
        limits
            .map(|it| {
                format!(
                    "{} {}",
                    it["status"].as_str().expect("a status"),
                    it["found"].as_str().expect("a text")
                )
            })
            .collect::<Vec<_>>()
    };
    assert!(limits()[0].ends_with("(of this shell and what it starts)"), "{:?}", limits());

    let write = |path: &str, content: &str| {
        let path = machine.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
    };
    write(
        "usr/lib/systemd/system/ringmain.service",
        "[Service]\nLimitNOFILE=1024:2048\nLimitMEMLOCK=infinity\n",
    );
    write("etc/systemd/system/ringmain.service.d/files.conf", "[Service]\nLimitNOFILE=1048576\n");
    let of_unit = [
        "ok 1048576 (of ringmain.service, which does not run)",
        "ok unlimited (of ringmain.service, which does not run)",
    ];
    assert_eq!(limits(), of_unit, "what was dropped in wins");

    write("sys/fs/cgroup/system.slice/ringmain.service/cgroup.procs", "77\n");
    let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files  200  200  files\nMax locked memory  8388608  8388608  bytes\n";
    write("proc/77/limits", text);
    let running = [
        "problem 200 (of the service that runs, process 77)",
        "advice 8192 KiB (of the service that runs, process 77)",
    ];
    assert_eq!(limits(), running);
}

#[test]
fn settings_are_written_after_they_were_shown_and_agreed_to() {
    let scratch = Scratch::new("fix");
    fs::create_dir_all(scratch.path("data")).expect("the folder can be made");
    write_badly_tuned(&scratch.path("machine"), &scratch.path("data"));
    let (machine, root) = (scratch.path("machine"), scratch.path("root"));
    let fix = |more: &[&str]| {
        let mut arguments = vec!["check", "--fix", "--system-root"];
        arguments.extend([machine.to_str().expect("UTF-8"), "--root", root.to_str().expect("UTF-8")]);
        arguments.extend(more);
        let output = ringmain(&arguments);
        assert_eq!(output.status.code(), Some(1), "what is wrong is wrong until the files hold");
        text(&output.stdout)
    };
    let sysctl = root.join("etc/sysctl.d/60-ringmain.conf");
    let shown = fix(&[]);
    assert!(
        shown.contains("net.core.rmem_max = 4194304") && shown.contains("Nothing was written"),
        "{shown}"
    );
    assert!(!sysctl.exists(), "nobody agreed");

    fs::create_dir_all(sysctl.parent().expect("a folder")).expect("the folder can be made");
    fs::write(&sysctl, "vm.swappiness = 7\nkernel.own = 1\n").expect("a file can be written");
    let written = fix(&["--yes"]);
    assert!(written.contains("sysctl --system") && written.contains("udevadm"), "{written}");
    let settings = fs::read_to_string(&sysctl).expect("it was written");
    for line in
        ["kernel.io_uring_disabled = 0", "vm.swappiness = 1", "net.core.somaxconn = 4096", "kernel.own = 1"]
    {
        assert!(settings.lines().any(|written| written == line), "{line}: {settings}");
    }
    let rules = fs::read_to_string(root.join("etc/udev/rules.d/60-ringmain.rules")).expect("it was written");
    let rule = "KERNEL==\"sdb\", ATTR{queue/scheduler}=\"mq-deadline\"";
    assert!(rules.contains(rule) && rules.contains("scaling_governor"), "{rules}");
    assert_eq!(fix(&["--yes"]).matches("kernel.own = 1").count(), 1, "a second run changes nothing");
    assert_eq!(fs::read_to_string(&sysctl).expect("it is there"), settings);
}

#[test]
fn this_machine_is_looked_at_while_a_node_runs() {
    let server = Server::start("check");
    if !server.is_ours() {
        return;
    }
    let scratch = Scratch::new("this-machine");
    let file = scratch.path("ringmain.toml");
    let content = format!(
        "data_dir = {:?}\nshards = 2\n[network]\nlisten = \"{}\"\nadmin = \"{}\"\n",
        server.data_dir(),
        server.address(),
        server.admin_address()
    );
    fs::write(&file, content).expect("a file can be written");
    let path = file.to_str().expect("UTF-8");
    let (found, code) = findings(&["--config", path]);
    let has_problem = found.iter().any(|finding| finding["status"] == "problem");
    assert_eq!(code, Some(i32::from(has_problem)));
    for what in ["configuration", "kernel", "io_uring", "data directory", "direct I/O", "host names"] {
        assert_eq!(of(&found, what), [("ok", "")], "{what}: {found:#?}");
    }
    // Both ports are the node's that runs.
    assert_eq!(of(&found, "ports"), [("ok", ""), ("ok", "")], "{found:#?}");
    let shown = text(&ringmain(&["check", "--config", path]).stdout);
    assert!(shown.contains("ok       io_uring") && shown.contains(" ok\n"), "{shown}");

    fs::write(&file, "shards = 'many'\nlog_level = 'loud'\n").expect("a file can be written");
    let (found, code) = findings(&["--config", path]);
    assert_eq!((of(&found, "configuration")[0].0, code), ("problem", Some(1)));
    let said = found[0]["found"].as_str().expect("a text");
    assert!(said.contains("'loud' is no level") && said.contains("'many'"), "{said}");
    assert!(of(&found, "ports").is_empty(), "what follows from a configuration is not guessed");
}

#[test]
fn a_device_is_measured_and_left_as_it_was() {
    let scratch = Scratch::new("disk");
    let folder = scratch.path("data");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.to_str().expect("UTF-8");
    let output = ringmain(&["check", "disk", "--data-dir", path, "--seconds", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let measured: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = measured["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 7);
    for row in rows {
        let number = |name: &str| row[name].as_f64().expect("a number");
        assert!(number("operations") >= 1.0 && number("per_second") > 0.0, "{row}");
        assert!(number("p50_us") <= number("p99_us") && number("p99_us") <= number("max_us"), "{row}");
    }
    assert!(measured["meaning"][0].as_str().expect("a sentence").contains("acks=all"));
    assert_eq!(fs::read_dir(&folder).expect("the folder is there").count(), 0, "nothing stays behind");

    let missing = ringmain(&["check", "disk", "--config", "/no/such/file"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("/no/such/file"));
}

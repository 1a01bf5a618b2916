//! The life of a service: installed, used, told things, killed, upgraded, removed.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::machine::{DATA, Machine, PACKAGES, text};
use super::package::REVISIONS;
use super::support::process::Observed;

/// What a start of an almost empty node may take on a busy machine.
pub(super) const START_LIMIT: Duration = Duration::from_secs(20);
/// What a stop may take: [`STOP_TIMEOUT`] is the limit that the unit sets.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Records that are there from the second step on.
const RECORDS: usize = 1_000;
const CONFIGURATION: &str = "/etc/ringmain/ringmain.toml";

/// Waits until the service is up, and all that was written before is there.
pub(super) fn is_well(machine: &Machine) {
    machine.wait_for("the service is active", START_LIMIT, || machine.is_active());
    let records = machine.shell("ringmain topic consume first --until-end | wc -l");
    assert_eq!(records.trim(), RECORDS.to_string(), "every record that was acknowledged is there");
}

pub(crate) fn install(machine: &Machine) {
    let begin = Instant::now();
    machine.shell(&format!("dpkg -i {PACKAGES}/ringmain_{}-{}_*.deb", machine.version, REVISIONS[0]));
    println!("  installed after {:.1} s", begin.elapsed().as_secs_f32());
    machine.wait_for("the service is active", START_LIMIT, || machine.is_active());
    println!("  active after {:.1} s", begin.elapsed().as_secs_f32());
    assert_eq!(machine.property("StatusText"), "serving clients at 127.0.0.1:9092");
    assert_eq!(machine.shell("systemctl is-enabled ringmain").trim(), "enabled");
    assert_eq!(machine.shell(&format!("stat -c '%a %U %G' {DATA}")).trim(), "750 ringmain ringmain");
    assert_eq!(machine.shell(&format!("stat -c '%a %U %G' {CONFIGURATION}")).trim(), "640 root ringmain");
    assert_eq!(machine.shell("getent passwd ringmain | cut -d: -f7").trim(), "/usr/sbin/nologin");
    for file in
        ["bash-completion/completions/ringmain", "zsh/vendor-completions/_ringmain", "doc/ringmain/copyright"]
    {
        machine.shell(&format!("test -s /usr/share/{file}"));
    }
    let threads = Observed::new(machine.process_outside()).threads();
    let pinned = threads.iter().filter(|(_, cores)| cores.parse::<usize>().is_ok()).count();
    assert!(pinned > 0, "the shards may pin themselves to their cores: {threads:?}");
}

pub(crate) fn produce_and_consume(machine: &Machine) {
    machine.shell("ringmain topic create first --partitions 4");
    machine.shell(&format!("seq {RECORDS} | ringmain topic produce first -"));
    is_well(machine);
}

pub(crate) fn reload(machine: &Machine) {
    let process = machine.process();
    machine.shell(&format!("sed -i 's/^log_level = .*/log_level = \"debug\"/' {CONFIGURATION}"));
    machine.shell("systemctl reload ringmain");
    let says = |what: &'static str| {
        machine.wait_for(what, STOP_LIMIT, || machine.journal().contains(what));
    };
    says("the level of the diagnostics was changed");
    machine.shell(&format!("sed -i 's/^node_id = 1/node_id = 7/' {CONFIGURATION}"));
    machine.shell("systemctl reload ringmain");
    says("these take effect with the next start");
    assert!(machine.journal().contains("node_id"), "it names the option");
    machine.shell(&format!(
        "sed -i 's/^node_id = 7/node_id = 1/' {CONFIGURATION}; echo x = 1 >> {CONFIGURATION}"
    ));
    machine.refused("systemctl reload ringmain");
    assert!(machine.journal().contains("unknown topic configuration 'x'"), "the reason is in the journal");
    machine.shell(&format!("sed -i '$d; s/^log_level = .*/log_level = \"info\"/' {CONFIGURATION}"));
    machine.shell("systemctl reload ringmain");
    machine.wait_for("it serves again", STOP_LIMIT, || machine.is_active());
    assert_eq!((machine.process(), machine.restarts()), (process, 0), "it was never restarted");
}

pub(crate) fn kill(machine: &Machine) {
    let process = machine.process();
    machine.shell(&format!("kill -KILL {process}"));
    let until_back = machine.wait_for("the killed service is back", START_LIMIT, || {
        machine.is_active() && machine.process() != process
    });
    println!("  back after {:.1} s", until_back.as_secs_f32());
    assert_eq!(machine.restarts(), 1);
    is_well(machine);
}

pub(crate) fn stop(machine: &Machine) {
    let begin = Instant::now();
    machine.shell("systemctl stop ringmain");
    println!("  stopped after {:.1} s", begin.elapsed().as_secs_f32());
    assert!(begin.elapsed() < STOP_LIMIT, "a stop drains and ends: {:?}", begin.elapsed());
    let ended = ["ActiveState", "Result", "ExecMainCode", "ExecMainStatus"].map(|it| machine.property(it));
    assert_eq!(ended, ["inactive", "success", "1", "0"], "it ended by itself, with 0");
    machine.shell("systemctl start ringmain");
    is_well(machine);
}

/// A process that does not run does not feed its watchdog.
pub(crate) fn hang(machine: &Machine) {
    machine.change_unit("WatchdogSec=2\\nTimeoutAbortSec=1");
    machine.shell("systemctl restart ringmain");
    machine.wait_for("the service is active", START_LIMIT, || machine.is_active());
    // Longer than the watchdog's time: it is fed.
    sleep(Duration::from_millis(2_500));
    assert_eq!(machine.restarts(), 0, "a healthy service is left alone");
    let process = machine.process();
    machine.shell(&format!("kill -STOP {process}"));
    let until_back = machine.wait_for("the watchdog restarts it", START_LIMIT, || {
        machine.is_active() && machine.process() != process
    });
    println!("  back after {:.1} s", until_back.as_secs_f32());
    assert!(machine.journal().contains("Watchdog timeout"), "{}", machine.journal());
    machine.undo();
    is_well(machine);
}

pub(crate) fn configuration_error(machine: &Machine) {
    machine.shell(&format!("sed -i 's/^node_id = 1/node_id = minus one/' {CONFIGURATION}"));
    machine.refused("systemctl restart ringmain");
    fails_for_good(machine);
    assert!(machine.journal().contains(&format!("{CONFIGURATION}:")), "the journal has file and line");
    machine.shell(&format!("sed -i 's/^node_id = minus one/node_id = 1/' {CONFIGURATION}"));
    machine.shell("systemctl start ringmain");
    is_well(machine);
}

/// The service has ended with 2 and is not tried again.
pub(super) fn fails_for_good(machine: &Machine) {
    // Longer than the pause before a restart.
    sleep(Duration::from_secs(3));
    let state = ["ActiveState", "Result", "ExecMainStatus", "NRestarts"].map(|it| machine.property(it));
    assert_eq!(state, ["failed", "exit-code", "2", "0"]);
}

pub(crate) fn upgrade_under_load(machine: &Machine) {
    machine.shell("ringmain topic create load --partitions 4");
    let (before, later) = (machine.process(), format!("{}-{}", machine.version, REVISIONS[1]));
    // -E: that all brokers are away is no reason to end; there is only one.
    let line = ["kcat", "-E", "-P", "-b", "127.0.0.1:9092", "-t", "load", "-X", "enable.idempotence=true"];
    let mut producer = machine.on_its_network(&line);
    let mut producer =
        producer.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kcat is installed");
    let mut input = producer.stdin.take().expect("it was asked for");
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = is_over.clone();
    let producing = thread::spawn(move || {
        let mut records = 0;
        while !seen.load(Ordering::Acquire) {
            writeln!(input, "record {records}").expect("kcat goes on through the upgrade");
            records += 1;
            sleep(Duration::from_millis(1));
        }
        records
    });
    sleep(Duration::from_millis(500));
    let begin = Instant::now();
    machine.shell(&format!("dpkg -i {PACKAGES}/ringmain_{later}_*.deb"));
    machine.wait_for("the new version serves", START_LIMIT, || {
        machine.is_active() && machine.process() != before
    });
    println!("  upgraded after {:.1} s", begin.elapsed().as_secs_f32());
    sleep(Duration::from_millis(500));
    is_over.store(true, Ordering::Release);
    let records: usize = producing.join().expect("everything was given to kcat");
    let ended = producer.wait_with_output().expect("kcat ends");
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert_eq!(machine.shell("dpkg-query -W -f '${Version}' ringmain"), later);
    let counts = machine.shell(
        "ringmain topic consume load --until-end > /tmp/load; wc -l < /tmp/load; sort -u /tmp/load | wc -l",
    );
    let counts: Vec<_> = counts.split_whitespace().collect();
    assert_eq!(counts, [records.to_string(), records.to_string()], "nothing is lost, nothing is there twice");
    assert!(machine.journal().contains("Stopped ringmain.service"), "the old one was stopped, not killed");
    is_well(machine);
}

pub(crate) fn remove(machine: &Machine) {
    machine.shell("dpkg -r ringmain");
    machine.shell("! test -e /usr/bin/ringmain");
    assert_eq!(machine.property("ActiveState"), "inactive");
    machine.shell(&format!("test -e {DATA}/format; test -e {CONFIGURATION}"));
}

pub(crate) fn purge(machine: &Machine) {
    machine.shell("dpkg -P ringmain");
    let left = machine.shell(&format!("find {DATA} /etc/ringmain -mindepth 1 2>/dev/null || true"));
    assert_eq!(left, "", "data and configuration are gone");
    machine.refused("dpkg-query -W ringmain");
}

/// On a system that does not know Debian's packages.
pub(crate) fn tarball(machine: &Machine) {
    let folder = format!("ringmain-{}-linux-$(uname -m)", machine.version);
    machine.shell(&format!("cd /tmp; tar xzf {PACKAGES}/{folder}.tar.gz; cd {folder}; ./install.sh --start"));
    machine.wait_for("the service is active", START_LIMIT, || machine.is_active());
    machine.shell("ringmain topic create other && echo one | ringmain topic produce other -");
    machine.shell(&format!("echo '# mine' >> {CONFIGURATION}; cd /tmp/{folder}; ./install.sh --start"));
    machine.wait_for("the service is active", START_LIMIT, || machine.is_active());
    machine.shell(&format!("grep -q '# mine' {CONFIGURATION}; test -e {CONFIGURATION}.dist"));
    assert_eq!(machine.shell("ringmain topic consume other --until-end").trim(), "one");
    machine.shell(&format!("cd /tmp/{folder}; ./uninstall.sh; test -e {DATA}/format"));
    machine.shell(&format!("cd /tmp/{folder}; ./uninstall.sh --purge"));
    machine.shell(&format!("! command -v ringmain; ! test -e {DATA}/format; ! test -e {CONFIGURATION}"));
}

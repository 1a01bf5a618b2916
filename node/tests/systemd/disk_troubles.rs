//! A disk that is full, and one that hangs.

use std::process::Stdio;
use std::time::Duration;

use super::life::{START_LIMIT, is_well};
use super::machine::{DATA, Machine, text};

/// A full disk stops producers, and nothing else; room that is made is used without a restart.
pub(crate) fn full(machine: &Machine) {
    let process = machine.process();
    machine.shell("ringmain topic create much");
    machine.shell(&format!("fallocate -l $(df --output=avail -B1 {DATA} | tail -1) {DATA}/filler || true"));
    let produce = "yes 'a line of a log' | head -c 400M | timeout 6 ringmain topic produce much -";
    // It tries again and again, as all producers do that are told so.
    machine.refused(produce);
    // What an operator does about it has its room.
    machine.shell("for n in $(seq 20); do ringmain topic alter much --set retention.ms=${n}00000; done");
    is_well(machine);
    machine.shell(&format!("rm {DATA}/filler; ringmain topic delete much"));
    machine.shell("ringmain topic create room && echo there is | timeout 20 ringmain topic produce room -");
    assert_eq!(machine.shell("ringmain topic consume room --until-end").trim(), "there is");
    assert_eq!(machine.process(), process, "it was never restarted");
}

/// A disk that takes what it is given and does not answer: the service says so, and the watchdog ends it; it comes back with
/// the disk.
pub(crate) fn frozen(machine: &Machine) {
    machine.change_unit("WatchdogSec=4\\nTimeoutAbortSec=1");
    machine.shell("systemctl restart ringmain");
    machine.wait_for("the service is active", START_LIMIT, || machine.is_active());
    let process = machine.process();
    let frozen = Frozen::new(machine);
    // Not ours: it asks for nothing that the metadata would have to write first.
    let produce = "echo waits | kcat -P -b 127.0.0.1:9092 -t room -X message.timeout.ms=3000";
    let mut producer = machine.on_its_network(&["sh", "-c", produce]);
    let mut producer = producer.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("nsenter runs");
    let names_the_shard = || machine.property("StatusText").contains("has got nothing done");
    machine.wait_for("the status names the shard", Duration::from_secs(8), names_the_shard);
    println!("  status: {}", machine.property("StatusText"));
    machine.wait_for("the watchdog ends it", Duration::from_secs(8), || {
        !machine.is_active() || machine.process() != process
    });
    let ended = producer.wait().expect("nsenter ends");
    assert!(!ended.success(), "nothing was acknowledged while the disk hung");
    // The kernel cannot end what waits for a disk.
    drop(frozen);
    machine.wait_for("it is back", START_LIMIT, || machine.is_active() && machine.process() != process);
    machine.undo();
    is_well(machine);
    let records = machine.run(&["ringmain", "topic", "consume", "room", "--until-end"]);
    assert!(text(&records.stdout).starts_with("there is\n"), "{}", text(&records.stdout));
}

/// The disk of the data, for as long as this lives: nothing on it can be ended, the machine neither.
struct Frozen<'a>(&'a Machine);

impl<'a> Frozen<'a> {
    fn new(machine: &'a Machine) -> Self {
        machine.shell(&format!("fsfreeze --freeze {DATA}"));
        Self(machine)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let thawed = self.0.run(&["fsfreeze", "--unfreeze", DATA]);
        println!("  the disk goes on: {}", thawed.status);
    }
}

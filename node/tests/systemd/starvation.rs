//! A service that gets too little: descriptors, memory. It says so or is restarted, and what was acknowledged is there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::life::{START_LIMIT, fails_for_good, is_well};
use super::machine::{Machine, text};

/// Where the memory of processes is limited, on systems that have the controllers one by one.
const MEMORY_CONTROLLER: &str = "/sys/fs/cgroup/memory";
/// Less than the node has in use when it is idle, so that the next thing that it does is too much.
const MEMORY_BYTES: u64 = 16 << 20;

pub(crate) fn descriptors(machine: &Machine) {
    machine.change_unit("LimitNOFILE=100");
    machine.refused("systemctl restart ringmain");
    fails_for_good(machine);
    let status = machine.property("StatusText");
    assert!(status.contains("LimitNOFILE"), "the status says what to do: {status}");
    machine.change_unit("LimitNOFILE=400");
    machine.shell("systemctl start ringmain");
    machine.wait_for("the service is active", START_LIMIT, || machine.is_active());
    let crowd = "import socket\n\
                 held = [socket.create_connection(('127.0.0.1', 9092)) for _ in range(500)]\n\
                 print(len(held))";
    let output = machine.on_its_network(&["python3", "-c", crowd]).output().expect("python3 is installed");
    assert_eq!(text(&output.stdout).trim(), "500", "{}", text(&output.stderr));
    is_well(machine);
    assert_eq!(machine.restarts(), 0, "it refuses what is too much, and goes on");
    machine.undo();
    is_well(machine);
}

/// The kernel kills the process when there is no memory left for it.
pub(crate) fn memory(machine: &Machine) {
    let process = machine.process();
    let group = Path::new(MEMORY_CONTROLLER).join(format!("ringmain-test-{}", std::process::id()));
    let by_hand = Path::new(MEMORY_CONTROLLER).is_dir();
    if by_hand {
        fs::create_dir(&group).expect("root can make a group");
        // What is in use already stays counted where it was: only what comes is limited.
        fs::write(group.join("memory.limit_in_bytes"), MEMORY_BYTES.to_string()).expect("it takes a limit");
        fs::write(group.join("cgroup.procs"), machine.process_outside().to_string())
            .expect("it takes a process");
    } else {
        machine.shell(&format!("systemctl set-property --runtime ringmain MemoryMax={MEMORY_BYTES}"));
    }
    // Fails or not, as the kernel has it: the records are in memory until they are written.
    machine.run(&[
        "sh",
        "-c",
        "ringmain topic create big; yes | head -c 200M | timeout 5 ringmain topic produce big -",
    ]);
    let until_killed =
        machine.wait_for("the kernel kills it", Duration::from_secs(30), || machine.process() != process);
    println!("  gone after {:.1} s", until_killed.as_secs_f32());
    if by_hand {
        fs::remove_dir(&group).expect("it is empty");
    } else {
        machine.shell("systemctl set-property --runtime ringmain MemoryMax=infinity");
    }
    machine.wait_for("it is restarted", START_LIMIT, || machine.is_active());
    assert!(machine.restarts() >= 1);
    machine.shell("ringmain topic delete big --if-exists");
    is_well(machine);
}

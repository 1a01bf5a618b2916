//! The usual runs side by side, each a process with a network of its own: most of what a run does is to wait, for a lease that
//! ends, a node that starts, a cable that is plugged in again.

use std::{
    collections::VecDeque,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
};

use super::machine;

/// At once: each has three nodes and seven clients, and CI has two cores.
const AT_ONCE: usize = 2;

/// How one went.
pub(crate) struct Ended {
    pub(crate) is_good: bool,
    pub(crate) operations: u64,
}

/// The last line of a run.
pub(crate) fn last_line(operations: u64) -> String {
    format!("cluster: {operations} operations in all")
}

fn operations_of(last_line: &str) -> Option<u64> {
    last_line.strip_prefix("cluster: ")?.split(' ').next()?.parse().ok()
}

/// Runs all of them, in this order as far as possible, and prints what each says when it has ended.
pub(crate) fn run(names: &[&str], seed: u64) -> Vec<Ended> {
    let waiting: Mutex<VecDeque<&str>> = Mutex::new(names.iter().copied().collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut ended = Vec::new();
        while let Some(name) = next() {
            ended.push(run_one(name, seed).unwrap_or_else(|reason| {
                println!("cluster {name}, seed {seed}: FAILED: {reason}");
                Ended { is_good: false, operations: 0 }
            }));
        }
        ended
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("a failure is a result")).collect()
    })
}

fn run_one(name: &str, seed: u64) -> Result<Ended, String> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(name).env("RINGMAIN_CLUSTER_SEED", seed.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    machine::confine(&mut command, None)?;
    let child = command.spawn().map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    let operations = said.lines().last().and_then(operations_of).unwrap_or(0);
    Ok(Ended { is_good: output.status.success(), operations })
}

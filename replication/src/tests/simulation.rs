//! Random schedules: nodes, a controller, clients and consumers, and everything that can go wrong between them.
//!
//! A seed draws a cluster and a set of faults ([`plan`]), lives with them for some seconds of its own time, and then
//! must come into order: safety first, then liveness. What must hold is looked at as it happens ([`history`]) and in
//! the end. A seed repeats a run exactly.
//!
//! `RINGMAIN_REPLICATION_SEED=7` runs one seed and prints everything that happens, `RINGMAIN_REPLICATION_SEEDS=100000`
//! runs so many.

mod client;
mod controller;
mod faults;
mod history;
mod log;
mod message;
mod network;
mod node;
mod order;
mod plan;
mod random;
mod real_controller;
mod story;
mod trace;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub(super) use story::Story;
use world::World;

/// Seeds of a usual run.
const SEEDS: u64 = 20_000;
/// As many as CI machines have cores.
const THREADS: usize = 2;

pub(super) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// What a run was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) hash: u64,
    pub(super) events: u64,
    pub(super) acknowledged: u64,
    pub(super) elections: u64,
}

/// Lives one seed. Panics when something that must hold does not.
pub(super) fn run(seed: u64, traced: bool) -> Outcome {
    World::new(seed, traced).live()
}

fn run_or_name(seed: u64, traced: bool) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(seed, traced))).unwrap_or_else(|cause| {
        eprintln!("RINGMAIN_REPLICATION_SEED={seed} repeats this");
        resume_unwind(cause);
    })
}

#[test]
fn replicas_keep_their_promise_whatever_goes_wrong() {
    if let Some(seed) = number("RINGMAIN_REPLICATION_SEED") {
        eprintln!("{:?}", run_or_name(seed, true));
        return;
    }
    let seeds = number("RINGMAIN_REPLICATION_SEEDS").unwrap_or(SEEDS);
    let (next, events, acknowledged, elections) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let outcome = run_or_name(seed, false);
            events.fetch_add(outcome.events, Ordering::Relaxed);
            acknowledged.fetch_add(outcome.acknowledged, Ordering::Relaxed);
            elections.fetch_add(outcome.elections, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            if let Err(cause) = thread.join() {
                resume_unwind(cause);
            }
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let [events, acknowledged, elections] = [events, acknowledged, elections].map(AtomicU64::into_inner);
    eprintln!(
        "{seeds} seeds in {seconds:.1} s: {events} events, {acknowledged} records acknowledged, {elections} elections"
    );
}

#[test]
fn a_seed_repeats_a_run() {
    assert_eq!(run(7, false), run(7, false));
    assert_ne!(run(7, false).hash, run(8, false).hash);
}

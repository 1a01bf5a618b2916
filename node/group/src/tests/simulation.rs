//! Random schedules: clients that join, die, come back and repeat themselves; writes that are slow or fail; crashes.
//!
//! After every event what must hold is checked, and at the end, without faults, everything must come into order: no
//! request waits for ever, every partition has one owner. A seed repeats a run exactly.
//!
//! `RINGMAIN_GROUP_SEED=7` runs one seed, `RINGMAIN_GROUP_SEEDS=5000` so many.

mod checks;
mod client;
mod model;
mod random;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::World;

/// Turns with faults of one seed.
const TURNS: usize = 250;
/// Seeds of a usual run.
const SEEDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

pub(super) fn run(seed: u64) {
    World::new(seed).live(TURNS);
}

/// The log of a run, compacted now and then.
pub(super) fn log_of(seed: u64) -> Vec<crate::Record> {
    let mut world = World::new(seed);
    world.live(TURNS);
    world.model.log
}

#[test]
fn groups_survive_what_goes_wrong() {
    let seeds = match number("RINGMAIN_GROUP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RINGMAIN_GROUP_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("RINGMAIN_GROUP_SEED={seed} repeats this");
            resume_unwind(cause);
        }
    }
}

#[test]
fn a_seed_repeats_a_run() {
    let end = |seed| {
        let mut world = World::new(seed);
        world.live(TURNS);
        (world.now_ms, world.model.log)
    };
    assert_eq!(end(7), end(7));
    assert_ne!(end(7), end(8));
}

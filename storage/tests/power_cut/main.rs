//! Real power cuts under the real disk: what [`Disk`](ringmain_storage::disk::Disk) promises is kept by ext4 and XFS on a
//! device that loses, tears and reorders what was not flushed; and without flushes it is not, so this test can fail.
//!
//! `RINGMAIN_POWER_CUTS` is the number of cuts on each file system, `RINGMAIN_POWER_CUT_SEED` repeats a run as far as the
//! timing allows. Needs root, /dev/fuse, loop devices and both mkfs; says `SKIPPED` otherwise, which is a failure in CI.

#[path = "../disk_support/mod.rs"]
mod disk_support;
mod killed;
mod machine;
mod volatile_disk;
mod writer;

use std::{
    env,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use machine::{FileSystem, Machine};
use ringmain_storage::disk::simulated::Random;
use writer::{Ledger, Promise, write_until_failure};

const CUTS: u64 = 20;
/// So many cuts without a loss where nothing is flushed would be no accident.
const CONTROL_CUTS: u64 = 10;
const CUT_DELAY_MS_MIN: u64 = 5;
const CUT_DELAY_MS_MAX: u64 = 120;

fn main() -> ExitCode {
    if let Some(end) = volatile_disk::serve_if_asked().or_else(killed::be_killed_if_asked) {
        return end;
    }
    if let Err(missing) = machine::prepare() {
        println!("SKIPPED: no power cuts without {missing}");
        let in_ci = env::var("CI").as_deref() == Ok("true");
        return if in_ci { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    // One waits for its disk while the other works.
    let of_file_systems: Vec<Result<String, String>> = thread::scope(|scope| {
        let threads = FileSystem::ALL.map(|file_system| {
            scope.spawn(move || [Promise::Flushed, Promise::Nothing].map(|promise| run(file_system, promise)))
        });
        threads.into_iter().flat_map(|thread| thread.join().expect("a failure is a result")).collect()
    });
    let mut failed = false;
    for result in of_file_systems.into_iter().chain([killed::leaves_nothing_behind()]) {
        failed |= result.is_err();
        let (Ok(sentence) | Err(sentence)) = result;
        println!("{sentence}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(file_system: FileSystem, promise: Promise) -> Result<String, String> {
    let seed = number("RINGMAIN_POWER_CUT_SEED").unwrap_or_else(seed_of_the_day);
    let cuts = match promise {
        Promise::Flushed => number("RINGMAIN_POWER_CUTS").unwrap_or(CUTS),
        Promise::Nothing => CONTROL_CUTS,
    };
    let begin = Instant::now();
    let mut machine = Machine::start(file_system, Path::new(env!("CARGO_TARGET_TMPDIR")), seed)?;
    let mut random = Random::new(seed ^ 1);
    let (mut promised, mut lossy_cuts) = (0, 0);
    for cut in 1..=cuts {
        let ledger = one_life(&mut machine, promise, cut, &mut random)?;
        promised += ledger.len();
        let broken = ledger.broken(machine.root());
        lossy_cuts += u64::from(!broken.is_empty());
        if promise == Promise::Flushed && !broken.is_empty() {
            let some = &broken[..broken.len().min(5)];
            return Err(format!(
                "FAILED: {file_system}, seed {seed}, cut {cut}: {} lost, {some:?}",
                broken.len()
            ));
        }
    }
    let seconds = begin.elapsed().as_secs();
    let sentence = format!(
        "{file_system} {promise:?}: {cuts} power cuts in {seconds} s, {promised} blocks promised, {lossy_cuts} cuts with a \
         loss (seed {seed})"
    );
    match promise {
        Promise::Nothing if lossy_cuts == 0 => Err(format!("FAILED: the control lost nothing: {sentence}")),
        _ => Ok(sentence),
    }
}

/// Writes until the power goes at some moment, and mounts what is left.
fn one_life(
    machine: &mut Machine,
    promise: Promise,
    cut: u64,
    random: &mut Random,
) -> Result<Ledger, String> {
    let (ledger, ready) = (Ledger::default(), Arc::new(AtomicBool::new(false)));
    let root = machine.root().to_owned();
    let writer = {
        let (ledger, ready, seed) = (ledger.clone(), ready.clone(), random.next_u64());
        thread::spawn(move || {
            disk_support::with_direct_disk(&root, move |disk| {
                write_until_failure(disk, format!("life-{cut}"), promise, ledger, ready, seed)
            });
        })
    };
    while !ready.load(Ordering::Acquire) && !writer.is_finished() {
        thread::sleep(Duration::from_millis(1));
    }
    let delay_ms = CUT_DELAY_MS_MIN + random.below(CUT_DELAY_MS_MAX - CUT_DELAY_MS_MIN);
    thread::sleep(Duration::from_millis(delay_ms));
    let report = machine.cut_power()?;
    writer.join().map_err(|_panic| format!("the writer failed before cut {cut}"))?;
    machine.restart().map_err(|reason| format!("FAILED after cut {cut} ({report}): {reason}"))?;
    Ok(ledger)
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn seed_of_the_day() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    now.as_secs()
}

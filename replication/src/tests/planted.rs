//! Each rule broken on purpose: the simulation must find it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::simulation::run;
use crate::planted;

/// Whether one of so many seeds finds a defect.
fn is_found(defect: &'static str, seeds: u64) {
    let finds = |seed: &u64| {
        let run = || planted::with(defect, || run(*seed, false));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    let first = (0..seeds).find(finds);
    assert!(first.is_some(), "{defect} is not found by {seeds} seeds");
    eprintln!("{defect}: seed {first:?}");
}

#[test]
fn a_follower_that_cuts_its_log_at_the_high_watermark() {
    is_found("truncate-to-high-watermark", 200);
}

#[test]
fn a_record_that_is_acknowledged_when_it_is_appended() {
    is_found("acknowledged-on-append", 50);
}

#[test]
fn a_leader_that_was_not_in_sync() {
    is_found("unclean-election", 200);
}

#[test]
fn a_record_that_is_taken_twice() {
    is_found("no-deduplication", 50);
}

#[test]
fn a_consumer_that_reads_past_the_high_watermark() {
    is_found("read-past-high-watermark", 200);
}

#[test]
fn a_record_that_is_acknowledged_before_it_is_flushed() {
    is_found("acknowledged-before-flush", 50);
}

#[test]
fn a_lost_disk_that_keeps_its_place_in_the_in_sync_set() {
    is_found("lost-disk-keeps-its-place", 200);
}

#[test]
fn a_mark_of_a_lost_disk_that_is_gone_before_the_controller_knows() {
    is_found("mark-forgotten-too-early", 500);
}

#[test]
fn metadata_that_is_older_than_the_own_registration() {
    is_found("stale-metadata-obeyed", 500);
}

#[test]
fn a_replica_that_enters_before_it_has_what_the_leader_began_with() {
    is_found("joins-before-epoch-start", 200);
}

#[test]
fn a_high_watermark_that_does_not_wait_for_the_replica_that_may_have_entered() {
    is_found("high-watermark-over-committed-set", 500);
}

#[test]
fn an_answer_to_an_older_fetch_that_cuts_the_log() {
    is_found("late-divergence-obeyed", 2_000);
}

#[test]
fn the_last_replica_that_counts_alone() {
    is_found("last-replica-standing", 200);
}

#[test]
fn a_fetch_of_an_older_process_that_counts() {
    is_found("older-process-counts", 5_000);
}

#[test]
fn an_older_process_that_the_controller_lets_in() {
    is_found("older-process-joins", 1_000);
}

#[test]
fn a_newer_process_that_takes_the_place_of_the_one_that_was_proposed() {
    is_found("newer-process-takes-the-place", 10_000);
}

#[test]
fn an_expansion_that_was_refused_once_and_is_forgotten() {
    is_found("refused-expansion-forgotten", 40_000);
}

#[test]
fn a_fetch_of_an_older_leadership_that_counts() {
    is_found("no-epoch-fence-on-fetch", 40_000);
}

#[test]
#[ignore = "prints the first seeds of each defect in DEFECTS"]
fn survey() {
    let seeds = super::simulation::number("RINGMAIN_REPLICATION_SEEDS").unwrap_or(10_000);
    let defects = std::env::var("DEFECTS").expect("a list of defects");
    for defect in defects.split(',') {
        let defect: &'static str = defect.to_owned().leak();
        let found = (0..seeds).filter_map(|seed| {
            let run = || planted::with(defect, || run(seed, false));
            let cause = catch_unwind(AssertUnwindSafe(run)).err()?;
            let text = cause.downcast_ref::<String>().cloned().unwrap_or_default();
            Some((seed, text.chars().take(100).collect::<String>()))
        });
        eprintln!("=== {defect}: {:?}", found.take(3).collect::<Vec<_>>());
    }
}

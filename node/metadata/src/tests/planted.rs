//! Rules broken on purpose: each is found by the random lives.

use super::exploration::explore;
use crate::planted;

/// Seeds until a defect must have been found: most need a few, the rarest some thousands.
const SEEDS: u64 = 30_000;

/// Every defect that can be switched on.
const DEFECTS: [&str; 16] = [
    "eligible_for_ever",
    "fenced_enters",
    "fenced_leads",
    "fenced_stays_in_sync",
    "fewer_are_enough",
    "lost_disk_is_eligible",
    "old_partition_epoch",
    "old_start_enters",
    "racks_ignored",
    "reassignment_completes_early",
    "restart_keeps_leading",
    "same_leader_epoch",
    "stops_while_leading",
    "two_live_starts",
    "unclean_unasked",
    "unfenced_before_caught_up",
];

#[test]
fn every_planted_defect_is_found() {
    let mut missed = Vec::new();
    for defect in DEFECTS {
        match planted::with(defect, || (0..SEEDS).find(|seed| is_found(*seed))) {
            Some(seed) => println!("{defect}: seed {seed}"),
            None => missed.push(defect),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// A defect is found by a check, or by an assertion of the code itself.
fn is_found(seed: u64) -> bool {
    std::panic::catch_unwind(|| explore(seed)).map_or(true, |outcome| outcome.is_err())
}

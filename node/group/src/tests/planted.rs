//! Each rule broken on purpose: the simulation must find it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::simulation::run;
use crate::planted;

/// Schedules tried before a defect counts as not found.
const SEEDS: u64 = 60;

fn is_found(defect: &'static str) {
    let found = (0..SEEDS).any(|seed| {
        let run = || planted::with(defect, || run(seed));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    });
    assert!(found, "{defect} is found");
}

#[test]
fn an_assignment_that_is_told_before_it_is_written() {
    is_found("stable-before-written");
}

#[test]
fn a_static_member_that_is_not_fenced() {
    is_found("no-fencing");
}

#[test]
fn a_commit_of_an_old_generation() {
    is_found("any-generation");
}

#[test]
fn an_offset_that_can_be_read_before_it_is_written() {
    is_found("commit-visible-before-written");
}

#[test]
fn a_member_that_goes_while_its_sync_waits() {
    is_found("waiting-sync-forgotten");
}

#[test]
fn a_generation_with_the_number_of_the_one_before() {
    is_found("same-generation");
}

#[test]
fn a_commit_under_way_when_its_group_is_deleted() {
    is_found("writes-under-way-not-deleted");
}

#[test]
fn a_deleted_group_that_comes_back() {
    is_found("group-without-tombstone");
}

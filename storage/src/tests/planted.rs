//! Each rule of the journal and of recovery, broken on purpose: the power cuts must find it.
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bed::{options_with_little_memory, options_with_zeros, small_options};
use super::power_cut::cut_at_every;
use crate::config::StoreOptions;
use crate::planted;

/// Scripts tried before a defect counts as not found.
const SEEDS: u64 = 400;
/// One operation of so many is cut: what few scripts can show is found sooner by many scripts than by every cut of one.
const STEP: usize = 5;

fn is_found(defect: &'static str, one_flush: bool) {
    is_found_with(defect, small_options(), one_flush);
}

fn is_found_with(defect: &'static str, options: StoreOptions, one_flush: bool) {
    let found = (0..SEEDS).any(|seed| {
        let run = || planted::with(defect, || cut_at_every(STEP, seed, 120, options, one_flush));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    });
    assert!(found, "{defect} is found");
}

#[test]
fn a_round_that_is_not_flushed() {
    is_found("no-flush", true);
}

#[test]
fn a_durable_write_that_stands_for_a_flush() {
    is_found("durable-write-flushes-all", true);
}

#[test]
fn a_journal_file_that_is_used_again_while_it_is_needed() {
    // A ring so small that a script goes round it.
    let options = StoreOptions { journal_files: 2, journal_file_bytes: 24 << 10, ..small_options() };
    is_found_with("journal-reused-early", options, true);
}

#[test]
fn zeros_that_land_on_frames() {
    is_found("journal-zeros-over-frames", true);
}

#[test]
fn entries_of_a_log_before_its_truncation() {
    is_found("any-incarnation", true);
}

#[test]
fn a_torn_frame_that_is_applied() {
    is_found("torn-frame-applied", true);
}

#[test]
fn a_segment_that_grew_and_was_flushed_by_another_file() {
    is_found("growth-not-flushed", true);
}

#[test]
fn overwrites_that_no_flush_covers() {
    // Zeros ahead are what rounds overwrite.
    is_found_with("one-flush-believed", options_with_zeros(), false);
}

#[test]
fn a_new_file_whose_name_is_not_durable() {
    is_found("name-not-flushed", true);
}

#[test]
fn a_first_file_whose_name_is_not_durable() {
    is_found("file-created-behind-id", true);
}

#[test]
fn zeros_that_are_believed_before_their_flush() {
    is_found_with("zeros-not-flushed", options_with_zeros(), true);
}

#[test]
fn zeros_that_land_on_batches() {
    is_found_with("zeros-over-batches", options_with_zeros(), true);
}

#[test]
fn a_settling_that_is_believed_before_its_flush() {
    let options = StoreOptions { journal_files: 2, journal_file_bytes: 24 << 10, ..options_with_zeros() };
    is_found_with("settled-not-flushed", options, true);
}

#[test]
fn a_settling_that_is_written_and_believed_durable() {
    let options =
        StoreOptions { journal_files: 2, journal_file_bytes: 24 << 10, ..options_with_little_memory() };
    is_found_with("written-believed-settled", options, true);
}

#[test]
fn a_flush_that_is_taken_for_one_of_what_was_settled_before() {
    is_found_with("settled-counted-flushed", options_with_little_memory(), true);
}

#[test]
fn frames_that_were_written_during_a_settling_and_are_forgotten() {
    let options = StoreOptions { journal_files: 2, journal_file_bytes: 24 << 10, ..options_with_zeros() };
    is_found_with("journal-next-forgotten", options, true);
}

#[test]
fn a_restart_that_leaves_segments() {
    is_found("restart-keeps-segments", true);
}

#[test]
fn a_restart_that_is_not_told_before_it_removes() {
    is_found("restart-not-told", true);
}

#[test]
fn entries_of_a_log_before_its_change() {
    is_found("change-keeps-incarnation", true);
}

#[test]
fn a_walk_that_is_believed_before_its_flush() {
    is_found("walk-not-flushed", true);
}

#[test]
fn a_walked_file_whose_name_is_not_durable() {
    is_found("walked-name-not-flushed", true);
}

#[test]
fn a_frame_that_is_passed_over_though_a_log_lacks_it() {
    is_found("needed-frame-passed-over", true);
}

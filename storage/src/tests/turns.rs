//! Everybody gets a turn: rounds that follow each other, what waits for the end of one, appends that wait for a settling.
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::future::Future;
use core::task::{Context, Waker};

use futures_util::FutureExt;

use super::bed::*;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::simulated::SimulatedDisk;
use crate::log::Log;
use crate::offset::Offset;
use crate::store::Store;

/// A store whose journal has room for all of this.
async fn store_with_large_journal(seed: u64) -> Store<SimulatedDisk> {
    let options = StoreOptions { journal_file_bytes: 1 << 20, ..small_options() };
    open(&disk(seed), options).await
}

/// A log with one segment nearly full, all of it in the journal, and the next batch to be settled beside the rounds.
async fn nearly_full(store: &Store<SimulatedDisk>) -> Log<SimulatedDisk> {
    let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
    for _ in 0..15 {
        append(store, &log, &batch(1, &[7; 4000]), START_MS).await;
        round_alone(store).await;
    }
    log.request_settle();
    append(store, &log, &batch(1, b"planned with it"), START_MS).await;
    log
}

/// Whether a round could begin; it was run then.
async fn tries_a_round(store: &Store<SimulatedDisk>) -> bool {
    let is_pending = store.pending().now_or_never().is_some();
    if is_pending {
        let mut round = store.begin_round();
        round.write().await;
        round.flush().await;
    }
    is_pending
}

/// Rounds and settlings until nothing asks for one. There is no upkeep, which would find what was forgotten.
async fn until_at_rest(store: &Store<SimulatedDisk>) {
    while store.has_work() || store.has_to_settle() {
        round(store).await;
    }
}

#[test]
fn an_append_that_waits_for_a_settling_outlives_a_flush_of_cached_writes() {
    run(async {
        let store = store_with_large_journal(1).await;
        let log = nearly_full(&store).await;
        let other = store.open_log(identity("u", 0), small_config(), START_MS).await.expect("it opens");
        append(&store, &other, &batch(1, &vec![1; 20_000]), START_MS).await;
        store.pending().await;
        let mut under_way = store.begin_round();
        under_way.write().await;
        assert!(!under_way.is_flushed(), "what it wrote is unflushed for a moment");
        let mut flush_cached = Box::pin(store.flush_cached());
        assert!(flush_cached.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        under_way.flush().await;
        append(&store, &log, &batch(1, &[2; 8000]), START_MS).await;
        tries_a_round(&store).await;
        flush_cached.await.expect("it flushes");
        until_at_rest(&store).await;
        assert_eq!(log.flushed_offset(), log.log_end_offset());
        assert_eq!(store.unwritten_bytes(), 0);
    });
}

#[test]
fn an_append_that_waits_for_a_settling_is_written_when_that_is_taken_back() {
    run(async {
        let store = store_with_large_journal(2).await;
        let log = nearly_full(&store).await;
        round_alone(&store).await;
        append(&store, &log, &batch(1, &[2; 8000]), START_MS).await;
        round_alone(&store).await;
        assert!(log.flushed_offset() < log.log_end_offset(), "a new segment waits for the old one");
        log.end_settling().await;
        until_at_rest(&store).await;
        assert_eq!(log.flushed_offset(), log.log_end_offset());
    });
}

#[test]
fn rounds_without_a_gap_let_others_have_their_turn() {
    run(async {
        let store = store_with_large_journal(3).await;
        let cached = LogConfig { write_caching: true, ..small_config() };
        let log = store.open_log(identity("t", 0), cached, START_MS).await.expect("it opens");
        append(&store, &log, &batch(1, b"cached"), START_MS).await;
        round_alone(&store).await;
        let mut flush_cached = Box::pin(store.flush_cached());
        for _ in 0..10 {
            append(&store, &log, &batch(1, b"more, before a round is over"), START_MS).await;
            if store.pending().now_or_never().is_none() {
                break;
            }
            let mut under_way = store.begin_round();
            assert!(flush_cached.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            under_way.write().await;
            under_way.flush().await;
        }
        assert!(store.pending().now_or_never().is_none(), "ten rounds went before it");
        assert_eq!(flush_cached.await.expect("it flushes").len(), 1);
        assert_eq!(log.flushed_offset(), Offset::new(2));
        assert!(tries_a_round(&store).await);
    });
}

#[test]
fn places_that_deleted_logs_left_keep_nobody_from_memory() {
    run(async {
        let options = small_options();
        let store = open(&disk(4), options).await;
        for partition in 0..300 {
            let log = store.open_log(identity("gone", partition), small_config(), START_MS).await;
            let log = log.expect("it opens");
            append(&store, &log, &batch(1, b"takes a place"), START_MS).await;
            round(&store).await;
            store.delete_log(&log).await.expect("it goes");
        }
        assert_eq!(store.tail_bytes(), 0);
        let mut logs = Vec::new();
        for partition in 0..10 {
            let log = store.open_log(identity("t", partition), small_config(), START_MS).await;
            logs.push(log.expect("it opens"));
        }
        for n in 0..40 {
            append(&store, &logs[n % logs.len()], &batch(1, &vec![1; 60_000]), START_MS).await;
            until_at_rest(&store).await;
            let held = store.tail_bytes();
            assert!(held <= options.tail_bytes_max + (128 << 10), "{held} bytes after {n} appends");
        }
    });
}

#[test]
fn a_flush_of_many_cached_logs_lets_rounds_in_between() {
    run(async {
        let options = StoreOptions { journal_file_bytes: 1 << 20, ..small_options() };
        let store = open(&waiting_disk(5), options).await;
        let cached = LogConfig { write_caching: true, ..small_config() };
        let mut logs = Vec::new();
        for partition in 0..100 {
            let log = store.open_log(identity("t", partition), cached, START_MS).await.expect("it opens");
            append(&store, &log, &batch(1, b"cached"), START_MS).await;
            logs.push(log);
        }
        until_at_rest(&store).await;
        append(&store, &logs[0], &batch(1, b"comes meanwhile"), START_MS).await;
        let mut flush_cached = Box::pin(store.flush_cached());
        let mut rounds = Box::pin(store.pending());
        let mut context = Context::from_waker(Waker::noop());
        assert!(flush_cached.as_mut().poll(&mut context).is_pending());
        let is_done = loop {
            if rounds.as_mut().poll(&mut context).is_ready() {
                break false;
            }
            if flush_cached.as_mut().poll(&mut context).is_ready() {
                break true;
            }
        };
        assert!(!is_done, "no round could begin before all were flushed");
        let mut round = store.begin_round();
        round.write().await;
        round.flush().await;
        flush_cached.await.expect("it flushes");
        assert!(logs.iter().skip(1).all(|log| log.flushed_offset() == log.log_end_offset()));
    });
}

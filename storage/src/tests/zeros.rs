//! Zeros ahead of a segment's end: who gets them, that nothing counts them, and that they go again.
use alloc::vec;
use alloc::vec::Vec;

use super::bed::*;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::simulated::SimulatedDisk;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::log::Log;
use crate::offset::{LeaderEpoch, Offset};
use crate::store::Store;

/// Every batch of these tests is worth a write of its own.
fn options() -> StoreOptions {
    StoreOptions { growing_write_bytes_min: 4 << 10, ..options_with_zeros() }
}

const FIRST: &str = "t-0/00000000000000000000.log";
const BATCH_BYTES: u64 = 6_061;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 1 << 20, ..small_config() }
}

async fn file_length(disk: &SimulatedDisk, path: &str) -> u64 {
    disk.open(path, OpenMode::Read).await.expect("the file is there").length().await.expect("its length")
}

/// Appends batches, a round each. Returns what the log should hold.
async fn fill(store: &Store<SimulatedDisk>, log: &Log<SimulatedDisk>, batches: usize) -> Vec<u8> {
    let mut expected = Vec::new();
    for n in 0..batches {
        let batch = batch(1, &vec![n as u8; 6_000]);
        let appended = append(store, log, &batch, START_MS).await;
        expected.extend(stamped(&batch, appended.base_offset, LeaderEpoch::ZERO));
        round(store).await;
    }
    expected
}

#[test]
fn a_log_at_pace_has_zeros_ahead_that_count_for_nothing() {
    run(async {
        let disk = disk(40);
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        let expected = fill(&store, &log, 40).await;
        assert_eq!(log.size_bytes(), 40 * BATCH_BYTES);
        let length = file_length(&disk, FIRST).await;
        let ahead = length - log.size_bytes();
        assert!(ahead > 4 << 10 && ahead <= 2 * (32 << 10) + 4096, "{ahead} bytes ahead");
        assert!(read_all(&log, Offset::ZERO, 1 << 20).await == expected);
        drop((log, store));
        let disk = disk.restart();
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        assert_eq!(log.log_end_offset(), Offset::new(40), "what was acknowledged is there");
        assert!(read_all(&log, Offset::ZERO, 1 << 20).await == expected);
        assert!(file_length(&disk, FIRST).await <= log.size_bytes(), "recovery cuts the zeros off");
    });
}

#[test]
fn overwrites_make_no_file_grow_and_need_no_flush_of_their_own() {
    run(async {
        let disk = disk(41);
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        fill(&store, &log, 20).await;
        let before = file_length(&disk, FIRST).await;
        fill(&store, &log, 1).await;
        assert_eq!(log.flushed_offset(), log.log_end_offset());
        assert_eq!(file_length(&disk, FIRST).await, before, "the batch stands where zeros stood");
    });
}

#[test]
fn a_slow_log_gets_none() {
    run(async {
        let disk = disk(42);
        let options = StoreOptions { zeros_after_bytes: 1 << 20, ..options() };
        let store = open(&disk, options).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        fill(&store, &log, 20).await;
        assert!(file_length(&disk, FIRST).await <= log.size_bytes().next_multiple_of(4096));
    });
}

#[test]
fn zeros_go_when_a_segment_is_sealed_the_log_is_idle_cut_or_closed() {
    run(async {
        let disk = disk(43);
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        let expected = fill(&store, &log, 30).await;
        store.maintain(START_MS).await.expect("upkeep");
        let sealed = 10 * BATCH_BYTES; // As many as fit into 64 KiB.
        assert_eq!(file_length(&disk, FIRST).await, sealed);
        let mut now_ms = START_MS;
        for _ in 0..4 {
            now_ms += 2_000;
            store.maintain(now_ms).await.expect("upkeep");
            round(&store).await;
        }
        let open_file = "t-0/00000000000000000020.log";
        assert_eq!(file_length(&disk, open_file).await, sealed, "an idle log has none");
        let more = fill(&store, &log, 5).await;
        log.truncate(Offset::new(33)).await.expect("it is cut");
        assert_eq!(file_length(&disk, "t-0/00000000000000000030.log").await, 3 * BATCH_BYTES);
        fill(&store, &log, 4).await;
        store.close().await.expect("it closes");
        assert_eq!(file_length(&disk, "t-0/00000000000000000030.log").await, 7 * BATCH_BYTES);
        drop((expected, more));
    });
}

#[test]
fn a_full_disk_gets_no_zeros_and_the_log_goes_on() {
    run(async {
        let disk = disk(44);
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        fill(&store, &log, 6).await;
        disk.set_capacity(0);
        fill_what_is_ready(&store, &log).await;
        assert!(log.stopped().is_none());
        disk.set_capacity(1 << 30);
        store.maintain(START_MS).await.expect("upkeep");
        round(&store).await;
        assert_eq!(log.flushed_offset(), log.log_end_offset());
        let read = read_all(&log, Offset::ZERO, 1 << 20).await;
        assert_eq!(read.len() as u64, log.size_bytes());
    });
}

/// Appends until the disk is found full.
async fn fill_what_is_ready(store: &Store<SimulatedDisk>, log: &Log<SimulatedDisk>) {
    for _ in 0..200 {
        let batch = batch(1, &vec![3; 6_000]);
        if log.append(&batch, LeaderEpoch::ZERO, START_MS).is_err() {
            return;
        }
        round(store).await;
    }
    panic!("the disk is full");
}

#[test]
fn failed_zeros_stop_their_log_and_no_other() {
    run(async {
        let disk = disk(45);
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        let other = store.open_log(identity("u", 0), config(), START_MS).await.expect("it opens");
        for _ in 0..10 {
            append(&store, &log, &batch(1, &[1; 6_000]), START_MS).await;
            round_alone(&store).await;
        }
        assert!(store.wants_zeros(), "nobody has written any yet");
        disk.fail_flush(1);
        let stopped = store.write_zeros_ahead().await;
        assert_eq!(stopped.len(), 1);
        assert!(stopped[0].result.is_err() && log.stopped().is_some());
        fill(&store, &other, 3).await;
        assert_eq!(other.flushed_offset(), Offset::new(3));
    });
}

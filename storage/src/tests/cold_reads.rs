//! Reads of what is only in a file: past the page cache beside rounds, through it otherwise, and never unchecked.
use alloc::vec;
use alloc::vec::Vec;

use super::bed::*;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::simulated::SimulatedDisk;
use crate::error::ReadError;
use crate::log::{Fetched, Log, Piece};
use crate::offset::{LeaderEpoch, Offset};
use crate::store::Store;

/// A log without a tail, so that its records are read from the file, and those records. Beside it another log was just
/// written to.
async fn written(
    disk: &SimulatedDisk,
    sizes: &[usize],
) -> (Store<SimulatedDisk>, Log<SimulatedDisk>, Vec<u8>) {
    let options = StoreOptions { tail_bytes_max: 8 << 20, unwritten_bytes_max: 16 << 20, ..small_options() };
    let config = LogConfig { segment_bytes: 1 << 30, ..small_config() };
    let store = open(disk, options).await;
    let log = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
    let mut expected = Vec::new();
    for (n, size) in sizes.iter().enumerate() {
        let batch = batch(2, &vec![n as u8; *size]);
        let appended = append(&store, &log, &batch, START_MS).await;
        expected.extend(stamped(&batch, appended.base_offset, LeaderEpoch::ZERO));
        round(&store).await;
    }
    store.close().await.expect("it closes");
    let store = open(disk, options).await;
    let log = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
    write_to_another(&store).await;
    disk.drop_page_cache();
    (store, log, expected)
}

/// A round that the log which is read has no part in.
async fn write_to_another(store: &Store<SimulatedDisk>) {
    let partition = i32::try_from(store.open_files()).expect("few files");
    let other = store.open_log(identity("u", partition), small_config(), START_MS).await.expect("it opens");
    append(store, &other, &batch(1, b"more"), START_MS).await;
    round(store).await;
}

async fn read(log: &Log<SimulatedDisk>, from: Offset) -> Fetched {
    log.read(from, log.log_end_offset(), 1 << 20, true).await.expect("it can be read")
}

fn is_from_file(fetched: &Fetched) -> bool {
    matches!(fetched.pieces[..], [Piece::File(_)])
}

#[test]
fn beside_rounds_the_page_cache_is_left_alone() {
    run(async {
        let disk = disk(40);
        let (store, log, expected) = written(&disk, &[20_000; 60]).await;
        for _ in 0..2 {
            let first = read(&log, Offset::ZERO).await;
            assert!(!is_from_file(&first), "nothing is left in the page cache, so the second is read again");
            assert!(first.length > 200_000 && bytes_of(&first) == expected[..first.length]);
        }
        // Nobody writes any more: the second upkeep knows.
        for _ in 0..2 {
            store.maintain(START_MS).await.expect("upkeep");
        }
        let cached = read(&log, Offset::ZERO).await;
        assert!(is_from_file(&cached) && bytes_of(&cached) == expected[..cached.length]);
        // What the page cache has is sent from there, whoever writes.
        write_to_another(&store).await;
        assert!(is_from_file(&read(&log, Offset::ZERO).await));
    });
}

#[test]
fn readers_that_got_much_since_the_last_round_are_alone() {
    run(async {
        let disk = disk(44);
        let (store, log, expected) = written(&disk, &[20_000; 60]).await;
        let bytes_until_alone = || async {
            let mut brought = 0;
            loop {
                disk.drop_page_cache();
                let fetched = read(&log, Offset::ZERO).await;
                assert!(bytes_of(&fetched) == expected[..fetched.length]);
                if is_from_file(&fetched) {
                    return brought;
                }
                brought += fetched.length;
            }
        };
        // No upkeep comes, as within one second.
        let brought = bytes_until_alone().await;
        assert!((28 << 20..=34 << 20).contains(&brought), "32 MiB but for what is cut off, not {brought}");
        assert_eq!(bytes_until_alone().await, 0, "nobody has written meanwhile");
        write_to_another(&store).await;
        assert!(bytes_until_alone().await >= 28 << 20, "somebody has");
    });
}

#[test]
fn readers_that_take_nothing_hold_no_more_than_their_share() {
    run(async {
        let disk = disk(41);
        let (_store, log, expected) = written(&disk, &[20_000; 60]).await;
        let mut held = Vec::new();
        while held.len() < 64 {
            disk.drop_page_cache();
            let fetched = read(&log, Offset::ZERO).await;
            assert!(bytes_of(&fetched) == expected[..fetched.length]);
            if is_from_file(&fetched) {
                break;
            }
            held.push(fetched);
        }
        let bytes: usize = held.iter().map(|fetched| fetched.length).sum();
        assert!((2 << 20..=4 << 20).contains(&bytes), "an eighth of the pool, not {bytes}");
        held.pop();
        disk.drop_page_cache();
        assert!(!is_from_file(&read(&log, Offset::ZERO).await));
    });
}

#[test]
fn batches_of_any_size_are_read_whole() {
    run(async {
        let disk = disk(42);
        let sizes = [100, 262_000, 300_000, 4_000, 1_500_000, 2_500_000, 262_144, 7];
        let (_store, log, expected) = written(&disk, &sizes).await;
        let mut from = 0;
        for (n, _) in sizes.iter().enumerate() {
            disk.drop_page_cache();
            let next = Offset::new(2 * n as i64);
            // One batch at a time: a budget of nothing gives the first, however large.
            let fetched = log.read(next, log.log_end_offset(), 0, true).await.expect("it can be read");
            assert_eq!(fetched.next_offset, Offset::new(next.value() + 2));
            assert!(bytes_of(&fetched) == expected[from..from + fetched.length], "batch {n}");
            from += fetched.length;
        }
        assert_eq!(from, expected.len());
    });
}

#[test]
fn a_flipped_bit_is_not_served_from_memory_either() {
    run(async {
        let disk = disk(43);
        let (_store, log, expected) = written(&disk, &[20_000; 30]).await;
        let path = "t-0/00000000000000000000.log";
        let length = expected.len() / 30;
        disk.flip_bit(path, 3 * length as u64 + 5_000, 1);
        let before = read(&log, Offset::ZERO).await;
        assert!(!is_from_file(&before));
        assert_eq!(before.next_offset, Offset::new(6));
        match log.read(Offset::new(6), log.log_end_offset(), 1 << 20, true).await {
            Err(ReadError::Corrupt(corruption)) => assert_eq!(corruption.position, 3 * length as u64),
            other => panic!("{other:?}"),
        }
    });
}

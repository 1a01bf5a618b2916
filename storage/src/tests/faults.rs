//! Disks that flip bits, fill up or fail: what is served, what is refused, what recovers.
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use futures_util::FutureExt;

use super::bed::*;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::DiskErrorKind;
use crate::disk::simulated::SimulatedDisk;
use crate::error::{AppendError, OpenError, ReadError, StoreError};
use crate::identity::ShardId;
use crate::log::Log;
use crate::offset::{LeaderEpoch, Offset};
use crate::store::{Store, replay_journals};

/// A closed log of so many batches of about a kilobyte, two records each.
async fn closed_log(disk: &SimulatedDisk, batches: usize) -> Vec<u8> {
    let store = open(disk, small_options()).await;
    let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
    let mut expected = Vec::new();
    for n in 0..batches {
        let batch = batch(2, &vec![n as u8; 1000]);
        let appended = append(&store, &log, &batch, START_MS).await;
        expected.extend(stamped(&batch, appended.base_offset, LeaderEpoch::ZERO));
        if n % 10 == 0 {
            round(&store).await;
        }
    }
    store.close().await.expect("it closes");
    expected
}

#[test]
fn a_flipped_bit_is_never_served_and_what_is_before_it_is() {
    run(async {
        let disk = disk(3);
        let expected = closed_log(&disk, 30).await;
        let path = "t-0/00000000000000000000.log";
        let batch_length = 1061;
        for bit in (0..batch_length * 8).step_by(61) {
            let position = (12 * batch_length + bit / 8) as u64;
            let flip = (bit % 8) as u8;
            disk.flip_bit(path, position, flip);
            let store = open(&disk, small_options()).await;
            let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
            let before =
                log.read(Offset::ZERO, log.log_end_offset(), 1 << 20, true).await.expect("what is before it");
            assert_eq!(before.next_offset, Offset::new(24), "bit {bit}");
            assert!(bytes_of(&before) == expected[..12 * batch_length]);
            match log.read(Offset::new(24), log.log_end_offset(), 1 << 20, true).await {
                Err(ReadError::Corrupt(corruption)) => {
                    assert_eq!(
                        (corruption.file.as_str(), corruption.position),
                        (path, 12 * batch_length as u64)
                    );
                }
                other => panic!("bit {bit}: {other:?}"),
            }
            drop((store, log));
            disk.flip_bit(path, position, flip);
        }
    });
}

#[test]
fn a_damaged_middle_refuses_the_log_and_no_other() {
    run(async {
        let disk = disk(4);
        let options = StoreOptions { checkpoint_interval_bytes: u64::MAX, ..small_options() };
        let config = crate::config::LogConfig { segment_bytes: 1 << 30, ..small_config() };
        let store = open(&disk, options).await;
        let log = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
        let other = store.open_log(identity("u", 0), config, START_MS).await.expect("it opens");
        let large = batch(1, &vec![9; 200_000]);
        for _ in 0..150 {
            append(&store, &log, &large, START_MS).await;
            round(&store).await;
        }
        append(&store, &other, &large, START_MS).await;
        round(&store).await;
        drop((store, log, other));
        // Killed, without a checkpoint: the walk meets the damage at the third batch, 28 MiB before the end.
        let disk = disk.restart();
        disk.flip_bit("t-0/00000000000000000000.log", 2 * 200_061 + 5_000, 3);
        let store = open(&disk, options).await;
        match store.open_log(identity("t", 0), config, START_MS).await {
            Err(OpenError::Corrupt(corruption)) => {
                assert_eq!(corruption.position, 2 * 200_061);
                assert!(corruption.expected.contains("checksum"), "{corruption}");
            }
            Err(other) => panic!("{other}"),
            Ok(log) => panic!("opened up to {}", log.log_end_offset()),
        }
        let other = store.open_log(identity("u", 0), config, START_MS).await.expect("the other opens");
        assert_eq!(other.log_end_offset(), Offset::new(1));
    });
}

#[test]
fn a_full_disk_passes_when_space_is_freed() {
    run(async {
        let disk = disk(5);
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        let large = batch(1, &vec![1; 20_000]);
        let mut expected = Vec::new();
        let appended = append(&store, &log, &large, START_MS).await;
        expected.extend(stamped(&large, appended.base_offset, LeaderEpoch::ZERO));
        round(&store).await;
        disk.set_capacity(0);
        let appended = append(&store, &log, &large, START_MS).await;
        expected.extend(stamped(&large, appended.base_offset, LeaderEpoch::ZERO));
        let (written, _) = round(&store).await;
        let error = written[0].result.clone().expect_err("the disk is full");
        assert_eq!(error.kind, DiskErrorKind::Full);
        assert_eq!(log.append(&large, LeaderEpoch::ZERO, START_MS), Err(AppendError::Full));
        assert!(!store.has_work(), "nothing is tried again at once");
        let read = log.read(Offset::ZERO, log.flushed_offset(), 1 << 20, true).await.expect("reads go on");
        assert_eq!(read.next_offset, Offset::new(1));
        disk.set_capacity(1 << 30);
        store.maintain(START_MS).await.expect("upkeep");
        round(&store).await;
        assert_eq!(log.flushed_offset(), Offset::new(2));
        let appended = append(&store, &log, &large, START_MS).await;
        expected.extend(stamped(&large, appended.base_offset, LeaderEpoch::ZERO));
        round(&store).await;
        assert!(read_all(&log, Offset::ZERO, 1 << 20).await == expected);
    });
}

/// Two logs, one with a large and one with a small append pending.
async fn two_pending(disk: &SimulatedDisk) -> (Store<SimulatedDisk>, Log<SimulatedDisk>, Log<SimulatedDisk>) {
    let store = open(disk, small_options()).await;
    let large = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
    let small = store.open_log(identity("u", 0), small_config(), START_MS).await.expect("it opens");
    append(&store, &small, &batch(1, b"first"), START_MS).await;
    round(&store).await;
    append(&store, &large, &batch(1, &vec![1; 20_000]), START_MS).await;
    append(&store, &small, &batch(1, b"second"), START_MS).await;
    (store, large, small)
}

#[test]
fn the_first_failed_write_stops_the_log() {
    run(async {
        for nth in 1..=2 {
            let disk = disk(6);
            let (store, large, small) = two_pending(&disk).await;
            disk.fail_write(nth);
            let (written, _) = round(&store).await;
            assert_eq!(written.iter().filter(|progress| progress.result.is_err()).count(), 1);
            let (failed, works) = if large.stopped().is_some() { (large, small) } else { (small, large) };
            let refused = failed.append(&batch(1, b"third"), LeaderEpoch::ZERO, START_MS);
            assert!(matches!(refused, Err(AppendError::Offline(_))), "{refused:?}");
            assert_eq!(works.flushed_offset(), works.log_end_offset(), "the other goes on");
            assert_eq!(store.unwritten_bytes(), 0);
        }
    });
}

#[test]
fn the_first_failed_flush_stops_every_log_that_relied_on_it() {
    run(async {
        let mut stopped_both = 0;
        for nth in 1..=2 {
            let disk = disk(7);
            let (store, large, small) = two_pending(&disk).await;
            let before = [large.flushed_offset(), small.flushed_offset()];
            disk.fail_flush(nth);
            round(&store).await;
            // The next flush says that all is well; nobody may believe it.
            store.flush_cached().await.expect("nothing is left to flush");
            let mut stopped = 0;
            for (log, before) in [&large, &small].into_iter().zip(before) {
                if log.stopped().is_some() {
                    stopped += 1;
                    assert_eq!(log.flushed_offset(), before);
                }
            }
            assert!(stopped >= 1);
            stopped_both += usize::from(stopped == 2);
        }
        assert_eq!(stopped_both, 1, "the journal's flush stands for the overwrites of the others");
    });
}

#[test]
fn a_round_that_is_dropped_before_it_writes_loses_nothing() {
    run(async {
        let disk = disk(11);
        let (store, large, small) = two_pending(&disk).await;
        store.pending().await;
        drop(store.begin_round());
        round(&store).await;
        for log in [&large, &small] {
            assert_eq!(log.flushed_offset(), log.log_end_offset());
            assert!(log.stopped().is_none());
        }
    });
}

#[test]
fn a_failed_flush_of_cached_writes_stops_their_logs() {
    run(async {
        let disk = disk(12);
        let store = open(&disk, small_options()).await;
        let config = LogConfig { write_caching: true, ..small_config() };
        let log = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
        append(&store, &log, &batch(1, b"cached"), START_MS).await;
        let (written, flushed) = round(&store).await;
        assert_eq!((written.len(), flushed.len()), (1, 0), "acknowledged once written");
        disk.fail_flush(1);
        let progress = store.flush_cached().await.expect("the store goes on");
        assert!(progress[0].result.is_err());
        assert!(log.stopped().is_some());
        assert_eq!(log.flushed_offset(), Offset::ZERO);
    });
}

#[test]
fn a_failed_flush_of_cached_writes_stops_what_was_written_since_it_began() {
    run(async {
        let disk = disk(13);
        let store = open(&disk, small_options()).await;
        let config = LogConfig { write_caching: true, ..small_config() };
        let first = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
        let second = store.open_log(identity("t", 1), config, START_MS).await.expect("it opens");
        append(&store, &first, &batch(1, b"cached"), START_MS).await;
        round(&store).await;
        append(&store, &second, &batch(1, b"cached"), START_MS).await;
        store.pending().await;
        let mut under_way = store.begin_round();
        let mut flush_cached = core::pin::pin!(store.flush_cached());
        assert!(flush_cached.as_mut().now_or_never().is_none(), "it waits for the round");
        under_way.write().await;
        under_way.flush().await;
        disk.fail_flush(1);
        let progress = flush_cached.await.expect("the store goes on");
        assert_eq!(progress.len(), 2);
        assert!(first.stopped().is_some() && second.stopped().is_some());
    });
}

#[test]
fn a_lost_journal_frame_refuses_the_log() {
    run(async {
        let disk = disk(8);
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        for _ in 0..3 {
            append(&store, &log, &batch(1, b"small"), START_MS).await;
            round(&store).await;
        }
        assert_eq!(log.flushed_offset(), Offset::new(3));
        drop((store, log));
        let disk = disk.restart();
        // The second frame's payload: header block, first frame, then 128 bytes of head.
        disk.flip_bit("journal/0/0.journal", 2 * 4096 + 140, 0);
        let report = replay_journals(&disk, small_options(), START_MS, || Duration::ZERO)
            .await
            .expect("replay goes on");
        assert_eq!(report.damaged, [identity("t", 0).key()]);
        assert_eq!(report.damaged_frames.len(), 1);
        let store = Store::open(disk.clone(), ShardId(0), small_options()).await.expect("it opens");
        match store.open_log(identity("t", 0), small_config(), START_MS).await {
            Err(OpenError::Missing { expected, found, .. }) => {
                assert_eq!((expected, found), (Offset::new(2), Offset::new(1)));
            }
            other => panic!("{:?}", other.map(|log| log.log_end_offset())),
        }
    });
}

/// Three logs with small records that only the journal holds, after a power cut.
async fn only_in_the_journal(seed: u64) -> (SimulatedDisk, Vec<Vec<u8>>) {
    let disk = disk(seed);
    let store = open(&disk, small_options()).await;
    let mut contents = Vec::new();
    for partition in 0..3 {
        let log = store.open_log(identity("t", partition), small_config(), START_MS).await.expect("it opens");
        let small = batch(1, &[b'0' + partition as u8; 40]);
        append(&store, &log, &small, START_MS).await;
        contents.push(stamped(&small, Offset::ZERO, LeaderEpoch::ZERO));
    }
    round(&store).await;
    (disk.restart(), contents)
}

/// Whatever read of a start fails: either the start ends with that error, or it has brought everything to its log.
#[test]
fn a_start_that_cannot_read_passes_over_no_log() {
    run(async {
        let (base, contents) = only_in_the_journal(13).await;
        for kind in [DiskErrorKind::TooManyOpenFiles, DiskErrorKind::Io { errno: 5 }, DiskErrorKind::Denied] {
            let mut ended = 0;
            for nth in 1.. {
                let disk = base.restart();
                disk.fail_read_with(nth, kind);
                let replayed = replay_journals(&disk, small_options(), START_MS, || Duration::ZERO).await;
                if disk.is_read_to_fail() {
                    break;
                }
                if let Err(error) = replayed {
                    let is_that = matches!(&error, StoreError::Disk(error) if error.kind == kind);
                    assert!(is_that, "read {nth}: {error}");
                    ended += 1;
                    replay_journals(&disk, small_options(), START_MS, || Duration::ZERO)
                        .await
                        .expect("it passed");
                }
                let store = Store::open(disk, ShardId(0), small_options()).await.expect("it opens");
                for (partition, expected) in (0..).zip(&contents) {
                    let log = store.open_log(identity("t", partition), small_config(), START_MS).await;
                    let log = log.unwrap_or_else(|error| panic!("{kind:?} at read {nth}: {error}"));
                    assert_eq!(
                        &read_all(&log, Offset::ZERO, 1 << 20).await,
                        expected,
                        "read {nth}: {kind:?}"
                    );
                }
            }
            assert!(ended >= contents.len(), "the reads of the folders' ids are among them");
        }
    });
}

#[test]
fn a_damaged_id_is_left_to_the_opening_of_its_log() {
    run(async {
        let (disk, contents) = only_in_the_journal(14).await;
        disk.flip_bit("t-1/partition.id", 30, 2);
        let store = open(&disk, small_options()).await;
        for (partition, expected) in (0..).zip(&contents) {
            let opened = store.open_log(identity("t", partition), small_config(), START_MS).await;
            match opened {
                Ok(log) => assert_eq!(&read_all(&log, Offset::ZERO, 1 << 20).await, expected),
                Err(error) => assert!(partition == 1 && matches!(error, OpenError::Corrupt(_)), "{error}"),
            }
        }
    });
}

#[test]
fn another_topics_folder_is_not_opened() {
    run(async {
        let disk = disk(9);
        closed_log(&disk, 3).await;
        let store = open(&disk, small_options()).await;
        let mut stranger = identity("t", 0);
        stranger.topic_id.0[3] ^= 1;
        let opened = store.open_log(stranger, small_config(), START_MS).await;
        assert!(matches!(opened, Err(OpenError::OtherTopic { .. })));
    });
}

#[test]
fn a_missing_checkpoint_and_index_are_made_again() {
    run(async {
        use crate::disk::Disk;
        let disk = disk(10);
        let expected = closed_log(&disk, 200).await;
        disk.remove("t-0/partition.checkpoint").await.expect("it was there");
        disk.remove("t-0/00000000000000000000.index").await.expect("it was there");
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        assert!(read_all(&log, Offset::ZERO, 1 << 20).await == expected);
    });
}

#[test]
fn a_full_disk_is_not_tried_again_at_once_when_more_is_pending_than_a_round_takes() {
    run(async {
        let disk = disk(11);
        let options = StoreOptions { unwritten_bytes_max: 32 << 20, ..small_options() };
        let store = open(&disk, options).await;
        let config = LogConfig { segment_bytes: 64 << 20, ..small_config() };
        let log = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
        disk.set_capacity(0);
        for _ in 0..12 {
            append(&store, &log, &batch(1, &vec![1; 1 << 20]), START_MS).await;
        }
        for tries in 0..3 {
            let (written, _) = round(&store).await;
            assert_eq!(written[0].result.clone().expect_err("the disk is full").kind, DiskErrorKind::Full);
            assert!(!store.has_work(), "nothing is tried again at once, after {tries} tries");
            store.maintain(START_MS).await.expect("upkeep");
        }
        disk.set_capacity(1 << 30);
        while store.has_work() {
            round(&store).await;
        }
        assert_eq!(log.flushed_offset(), Offset::new(12));
        disk.set_capacity(0);
        for _ in 0..12 {
            append(&store, &log, &batch(1, &vec![2; 1 << 20]), START_MS).await;
        }
        let closed = store.close().now_or_never().expect("it ends although the disk is full");
        closed.expect("what is not written was not acknowledged");
    });
}

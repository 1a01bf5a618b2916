//! Producers, epochs, times, retention, deletion, many logs.
use alloc::vec;
use alloc::vec::Vec;

use super::bed::*;
use crate::batch::RecordBatchHeader;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::simulated::SimulatedDisk;
use crate::error::ProducerError;
use crate::log::{Log, ProducerCheck};
use crate::offset::{LeaderEpoch, Offset};
use crate::store::Store;

fn check(log: &Log<SimulatedDisk>, batch: &[u8]) -> Result<ProducerCheck, ProducerError> {
    log.check_producer(RecordBatchHeader::peek(batch).expect("a header"), START_MS)
}

async fn with_producer(store: &Store<SimulatedDisk>, batches: i32) -> (Log<SimulatedDisk>, Vec<Vec<u8>>) {
    let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
    let mut sent = Vec::new();
    for n in 0..batches {
        let batch = batch_of(2, &vec![0; 2000], START_MS + i64::from(n), (77, 1, n * 2));
        assert_eq!(check(&log, &batch), Ok(ProducerCheck::New));
        append(store, &log, &batch, START_MS).await;
        round(store).await;
        sent.push(batch);
    }
    (log, sent)
}

#[test]
fn producers_survive_a_kill_and_a_clean_stop() {
    run(async {
        for closes in [false, true] {
            let disk = disk(20);
            let store = open(&disk, small_options()).await;
            let (log, sent) = with_producer(&store, 60).await;
            drop(log);
            if closes {
                store.close().await.expect("it closes");
            }
            let disk = disk.restart();
            let store = open(&disk, small_options()).await;
            let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
            let expected =
                ProducerCheck::Duplicate { base_offset: Offset::new(112), append_time_ms: START_MS + 56 };
            assert_eq!(check(&log, &sent[56]), Ok(expected));
            assert_eq!(check(&log, &batch_of(1, b"", START_MS, (77, 1, 120))), Ok(ProducerCheck::New));
            assert!(check(&log, &batch_of(1, b"", START_MS, (77, 1, 121))).is_err());
            let fenced = ProducerError::InvalidProducerEpoch { current: 1, found: 0 };
            assert_eq!(check(&log, &batch_of(1, b"", START_MS, (77, 0, 0))), Err(fenced));
        }
    });
}

#[test]
fn producers_follow_a_truncation() {
    run(async {
        let disk = disk(21);
        let store = open(&disk, small_options()).await;
        let (log, sent) = with_producer(&store, 80).await;
        log.truncate(Offset::new(101)).await.expect("it is cut");
        assert_eq!(log.log_end_offset(), Offset::new(100), "at the border of the batch that holds it");
        assert_eq!(check(&log, &sent[50]), Ok(ProducerCheck::New), "what was cut may be sent again");
        assert!(matches!(check(&log, &sent[47]), Ok(ProducerCheck::Duplicate { .. })));
        assert!(check(&log, &sent[51]).is_err());
    });
}

#[test]
fn leader_epochs_end_where_the_next_begins_across_a_restart() {
    run(async {
        let disk = disk(22);
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        for epoch in [0, 0, 2, 5] {
            append_in_epoch(&store, &log, &batch(3, b"x"), LeaderEpoch::new(epoch), START_MS).await;
        }
        round(&store).await;
        drop((log, store));
        let disk = disk.restart();
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        let end =
            |epoch| log.end_offset_for_epoch(LeaderEpoch::new(epoch)).map(|(e, o)| (e.value(), o.value()));
        assert_eq!(
            [end(0), end(1), end(2), end(9)],
            [Some((0, 6)), Some((0, 6)), Some((2, 9)), Some((5, 12))]
        );
        let stale = log.append(&batch(1, b"x"), LeaderEpoch::new(4), START_MS);
        assert!(matches!(stale, Err(crate::error::AppendError::StaleLeaderEpoch { found: 4, latest: 5 })));
    });
}

#[test]
fn the_first_batch_at_or_after_a_time_is_found() {
    run(async {
        let disk = disk(23);
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        // Times that jump back and forth, over several segments.
        let times: Vec<i64> = (0..300)
            .map(|n| START_MS + n * 10 + [0, 55, -20][usize::try_from(n % 3).expect("small")])
            .collect();
        for time in &times {
            append(&store, &log, &batch_of(2, &vec![1; 700], *time, (-1, -1, -1)), START_MS).await;
            round(&store).await;
        }
        store.maintain(START_MS + 100_000).await.expect("upkeep");
        for asked in (START_MS - 5..START_MS + 3100).step_by(37) {
            let expected = times.iter().position(|time| *time >= asked);
            let found = log.batch_for_time(asked, log.log_end_offset()).await.expect("it can be read");
            let found =
                found.map(|batch| RecordBatchHeader::peek(&batch).expect("a header").base_offset.get() / 2);
            assert_eq!(found, expected.map(|index| index as i64), "{}", asked - START_MS);
        }
        let newest = times.iter().max().copied().expect("times");
        let at = times.iter().position(|time| *time == newest).expect("it is there") as i64 * 2;
        assert_eq!(log.max_timestamp(), Some((newest, Offset::new(at))));
    });
}

#[test]
fn retention_deletes_old_segments_and_their_files_stay_for_readers() {
    run(async {
        let disk = disk(24);
        let store = open(&disk, small_options()).await;
        let config = LogConfig { retention_ms: None, retention_bytes: Some(150_000), ..small_config() };
        let log = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
        for n in 0..300 {
            append(&store, &log, &batch_of(1, &vec![1; 1000], START_MS + n, (-1, -1, -1)), START_MS).await;
            round(&store).await;
        }
        store.maintain(START_MS).await.expect("upkeep");
        let held = log.read(Offset::ZERO, log.log_end_offset(), 50_000, true).await.expect("old records");
        let before = bytes_of(&held);
        let none = log.apply_retention(START_MS, Offset::ZERO).await.expect("it runs");
        assert_eq!(none.segments, 0, "nothing above the high watermark goes");
        let report = log.apply_retention(START_MS, log.log_end_offset()).await.expect("it runs");
        assert!(report.segments >= 2, "{report:?}");
        assert_eq!(log.log_start_offset(), report.log_start_offset);
        assert!(log.size_bytes() >= 150_000 && log.size_bytes() < 150_000 + (64 << 10));
        assert_eq!(bytes_of(&held), before, "what a reader holds stays");
        assert!(disk.contents("t-0/00000000000000000000.log").is_none());
        log.set_config(LogConfig { retention_ms: Some(1000), ..config });
        for _ in 0..3 {
            log.apply_retention(START_MS + 10_000, log.log_end_offset()).await.expect("it runs");
            round(&store).await;
            store.maintain(START_MS + 10_000).await.expect("upkeep");
        }
        assert_eq!(log.log_start_offset(), log.log_end_offset(), "all of it was too old");
        drop((log, store));
        let disk = disk.restart();
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), config, START_MS).await.expect("it opens");
        assert_eq!(log.log_start_offset(), Offset::new(300));
        assert_eq!(log.log_end_offset(), Offset::new(300));
    });
}

#[test]
fn what_was_read_once_is_not_read_again() {
    run(async {
        let disk = disk(27);
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        for n in 0..60 {
            append(&store, &log, &batch(1, &vec![n; 3000]), START_MS).await;
            round(&store).await;
        }
        for second in 1..5 {
            store.maintain(START_MS + second * 1000).await.expect("upkeep");
            round(&store).await;
        }
        assert_eq!(store.tail_bytes(), 0, "everything has to come from the files");
        let cold = read_all(&log, Offset::ZERO, 10_000).await;
        // Long after, when indexes that nobody uses have left memory.
        store.maintain(START_MS + 600_000).await.expect("upkeep");
        store.maintain(START_MS + 1_200_000).await.expect("upkeep");
        assert_eq!(read_all(&log, Offset::ZERO, 10_000).await, cold);
        let before = disk.operations();
        // Budgets that end within a batch, and a budget that is smaller than a batch.
        assert_eq!(read_all(&log, Offset::ZERO, 10_000).await, cold);
        assert_eq!(read_all(&log, Offset::ZERO, 50_000).await, cold);
        assert_eq!(disk.operations() - before, 0, "the page cache has all of it, checked");
        let _one = log.read(Offset::ZERO, log.log_end_offset(), 100, true).await.expect("one batch");
        assert!(disk.operations() - before <= 1, "a batch larger than the budget costs one read");
    });
}

#[test]
fn a_deleted_log_comes_back_empty() {
    run(async {
        let disk = disk(25);
        let store = open(&disk, small_options()).await;
        let (log, _) = with_producer(&store, 10).await;
        store.delete_log(&log).await.expect("it is deleted");
        assert!(log.append(&batch(1, b"x"), LeaderEpoch::ZERO, START_MS).is_err());
        let again = store.open_log(identity("t", 0), small_config(), START_MS + 1).await.expect("it opens");
        assert_eq!(again.log_end_offset(), Offset::ZERO);
        drop((log, again, store));
        let disk = disk.restart();
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        assert_eq!(log.log_end_offset(), Offset::ZERO, "the journal does not bring it back");
    });
}

#[test]
fn idle_logs_hold_nothing_and_open_again() {
    run(async {
        let disk = disk(26);
        let store = open(&disk, small_options()).await;
        let mut logs = Vec::new();
        for partition in 0..150 {
            logs.push(
                store.open_log(identity("t", partition), small_config(), START_MS).await.expect("it opens"),
            );
        }
        for log in &logs {
            append(&store, log, &batch(1, b"x"), START_MS).await;
        }
        while store.has_work() {
            round(&store).await;
        }
        // Each call settles and checkpoints some; nothing is held once all are.
        for second in 1..30 {
            store.maintain(START_MS + second * 1000).await.expect("upkeep");
            while store.has_work() {
                round(&store).await;
            }
        }
        assert_eq!((store.tail_bytes(), store.open_files()), (0, 0));
        drop((logs, store));
        let disk = disk.restart();
        let store = open(&disk, small_options()).await;
        for partition in 0..150 {
            let log =
                store.open_log(identity("t", partition), small_config(), START_MS).await.expect("it opens");
            assert_eq!(log.log_end_offset(), Offset::new(1));
        }
    });
}

#[test]
fn upkeep_comes_to_every_busy_log() {
    run(async {
        // More than one call checkpoints, and each of them wants a checkpoint every time.
        const LOGS: i32 = 300;
        let options = StoreOptions { walk_bytes_max: 1, ..small_options() };
        let store = open(&disk(25), options).await;
        let mut logs = Vec::new();
        for partition in 0..LOGS {
            logs.push(
                store.open_log(identity("t", partition), small_config(), START_MS).await.expect("it opens"),
            );
        }
        let one = batch(1, &[1; 1000]);
        for second in 0..4 {
            let now_ms = START_MS + second * 1000;
            for log in &logs {
                append(&store, log, &one, now_ms).await;
                log.request_settle();
            }
            while store.has_work() || store.has_to_settle() {
                round(&store).await;
            }
            store.maintain(now_ms).await.expect("upkeep");
        }
        let most = logs.iter().map(Log::walk_bytes).max().expect("logs");
        assert!(most <= 3 * one.len() as u64, "a start would walk {most} bytes of one log");
    });
}

//! What a start makes of a process that was killed: the kernel lives, so that all it wrote is there, and nothing was settled.
use alloc::vec::Vec;
use core::time::Duration;

use super::bed::*;
use crate::config::LogConfig;
use crate::disk::simulated::SimulatedDisk;
use crate::disk::{Disk, OpenMode};
use crate::error::OpenError;
use crate::identity::ShardId;
use crate::log::Log;
use crate::offset::{LeaderEpoch, Offset};
use crate::store::{Store, replay_journals};

const LOGS: i32 = 3;

/// Logs with several segments, epochs and producers, of which the journal has the last batch; then the process is gone.
/// `is_settled`: the segments have that batch, too.
async fn killed(seed: u64, is_settled: bool) -> SimulatedDisk {
    let disk = disk(seed);
    let store = open(&disk, small_options()).await;
    let mut logs = Vec::new();
    for partition in 0..LOGS {
        let log = store.open_log(identity("t", partition), small_config(), START_MS).await.expect("it opens");
        for number in 0..60 {
            let payload = [b'a' + partition as u8; 3000];
            let batch = batch_of(2, &payload, START_MS + i64::from(number), (7, 0, 2 * number));
            append_in_epoch(&store, &log, &batch, LeaderEpoch::new(number / 20), START_MS).await;
            if number % 3 == 0 {
                round(&store).await;
            }
        }
        logs.push(log);
    }
    round(&store).await;
    for log in &logs {
        append_in_epoch(&store, log, &batch(1, b"the last one"), LeaderEpoch::new(2), START_MS).await;
    }
    round(&store).await;
    if is_settled {
        logs.iter().for_each(Log::request_settle);
        round(&store).await;
    }
    store.abandon();
    disk
}

async fn open_all(store: &Store<SimulatedDisk>) -> Vec<Log<SimulatedDisk>> {
    let mut logs = Vec::new();
    for partition in 0..LOGS {
        // The settings of a replay: an index depends on them.
        let opened = store.open_log(identity("t", partition), LogConfig::default(), START_MS).await;
        logs.push(opened.expect("it opens"));
    }
    logs
}

#[test]
fn a_log_that_was_handed_over_is_what_its_folder_says() {
    for is_settled in [false, true] {
        run(async {
            let disk = killed(40, is_settled).await;
            let report = replay_journals(&disk, small_options(), START_MS, || Duration::ZERO).await;
            let report = report.expect("the journals replay");
            assert_eq!(report.recovered.len(), 3, "all that the journal tells of");
            assert_eq!(report.bytes_applied == 0, is_settled, "{report:?}");
            let store = Store::open(disk.clone(), ShardId(0), small_options()).await.expect("it opens");
            store.take_over(report.recovered);
            let handed_over = open_all(&store).await;
            let store = Store::open(disk.clone(), ShardId(0), small_options()).await.expect("it opens");
            for (log, found) in handed_over.iter().zip(open_all(&store).await) {
                assert_eq!(log.described(), found.described());
                assert_eq!(log.flushed_offset(), Offset::new(121));
                assert_eq!(log.is_settled(), found.is_settled());
                assert!(log.segment_count() > 1, "there is more than the open segment");
            }
        });
    }
}

/// A checkpoint that is drawn up later must tell of all that the next start would have to walk.
#[test]
fn what_was_walked_is_not_taken_for_checkpointed() {
    run(async {
        let disk = killed(41, true).await;
        let store = open(&disk, small_options()).await;
        for log in open_all(&store).await {
            assert!(!log.is_checkpointed());
            assert!(log.walk_bytes() > 0, "the upkeep knows what there is to be walked");
        }
    });
}

#[test]
fn a_payload_is_not_read_where_the_logs_have_it() {
    run(async {
        let disk = killed(42, true).await;
        let journal = disk.contents("journal/0/0.journal").expect("it is there");
        // Damage in the middle of every frame: behind the heads of a few entries.
        for position in (4096..journal.len() as u64).step_by(4096) {
            disk.flip_bit("journal/0/0.journal", position + 3000, 0);
        }
        let report = replay_journals(&disk, small_options(), START_MS, || Duration::ZERO).await;
        let report = report.expect("the journals replay");
        assert!(report.damaged.is_empty() && report.damaged_frames.is_empty(), "{report:?}");
        assert!(report.frames > 0, "there was something to look at");
    });
}

/// A log that two shards wrote to, one after the other, is in two journals: the second replay goes on with what the first
/// one left.
#[test]
fn a_log_in_two_journals_is_recovered_once() {
    run(async {
        let disk = disk(43);
        let options = small_options();
        for shard in 0..2 {
            let replayed = replay_journals(&disk, options, START_MS, || Duration::ZERO).await;
            let store = Store::open(disk.clone(), ShardId(shard), options).await.expect("it opens");
            store.take_over(replayed.expect("the journals replay").recovered);
            let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
            append(&store, &log, &batch(1, b"small"), START_MS).await;
            round(&store).await;
            store.abandon();
        }
        let disk = disk.restart();
        let report = replay_journals(&disk, options, START_MS, || Duration::ZERO).await;
        let report = report.expect("the journals replay");
        assert_eq!((report.recovered.len(), report.damaged.len()), (1, 0));
        let store = Store::open(disk, ShardId(0), options).await.expect("it opens");
        store.take_over(report.recovered);
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        assert_eq!(log.log_end_offset(), Offset::new(2));
    });
}

/// A file that a process has created behind the checkpoint, and nothing more: whoever writes into it next relies on its name.
#[test]
fn the_name_of_an_empty_file_is_made_durable() {
    for seed in 0..20 {
        run(async {
            let disk = disk(seed);
            let options = options_with_zeros();
            let store = open(&disk, options).await;
            let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
            // A log that began again has no file.
            log.restart_at(Offset::new(10)).await.expect("it begins again");
            store.abandon();
            disk.open("t-0/00000000000000000010.log", OpenMode::CreateNew).await.expect("it is created");
            let store = open(&disk, options).await;
            let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
            // Large enough for a write of its own, so that the journal does not have it.
            append(&store, &log, &batch(1, &vec![7; 40_000]), START_MS).await;
            round_alone(&store).await;
            assert_eq!(log.flushed_offset(), Offset::new(11));
            store.abandon();
            let disk = disk.restart();
            let store = open(&disk, options).await;
            let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
            assert_eq!(log.log_end_offset(), Offset::new(11), "what was acknowledged is there");
        });
    }
}

/// The file of the first segment is created before the folder says whose it is: a creation that ended in between is done again.
#[test]
fn a_creation_that_was_interrupted_is_done_again() {
    for seed in 0..20 {
        run(async {
            let disk = disk(seed);
            let store = open(&disk, small_options()).await;
            disk.create_directory("t-0").await.expect("a folder");
            disk.open("t-0/00000000000000000000.log", OpenMode::CreateNew).await.expect("it is created");
            let log = store
                .open_log(identity("t", 0), small_config(), START_MS)
                .await
                .expect("it is created again");
            append(&store, &log, &batch(1, &vec![7; 40_000]), START_MS).await;
            round_alone(&store).await;
            assert_eq!(log.flushed_offset(), Offset::new(1));
            store.abandon();
            let disk = disk.restart();
            let store = open(&disk, small_options()).await;
            let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
            assert_eq!(log.log_end_offset(), Offset::new(1), "what was acknowledged is there");
        });
    }
}

/// A folder that does not say whose it is and has records in it was not interrupted while it was created: its id is lost.
#[test]
fn records_without_an_id_are_refused() {
    run(async {
        let disk = disk(1);
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it is created");
        append(&store, &log, &batch(1, &vec![7; 40_000]), START_MS).await;
        round_alone(&store).await;
        store.abandon();
        disk.remove("t-0/partition.id").await.expect("it was there");
        let store = open(&disk, small_options()).await;
        let refused = store.open_log(identity("t", 0), small_config(), START_MS).await;
        assert!(matches!(refused, Err(OpenError::Corrupt(_))), "refused: {:?}", refused.err());
    });
}

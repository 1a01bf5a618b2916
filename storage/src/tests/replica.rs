//! The log of a follower: batches that keep their places, truncation, a new beginning at another offset.
use alloc::vec;
use alloc::vec::Vec;

use futures_util::future::join;

use super::bed::*;
use crate::batch::RecordBatchHeader;
use crate::disk::DiskErrorKind;
use crate::disk::simulated::{Random, SimulatedDisk};
use crate::error::{AppendError, ChangeError, ProducerError};
use crate::log::{Log, ProducerCheck};
use crate::offset::{LeaderEpoch, Offset};
use crate::planted;
use crate::store::Store;

/// Schedules of readers beside changes.
const SEEDS: u64 = 40;

async fn opened(disk: &SimulatedDisk) -> (Store<SimulatedDisk>, Log<SimulatedDisk>) {
    let store = open(disk, small_options()).await;
    let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
    (store, log)
}

/// Appends batches of one producer, one record each, with these sequence numbers.
async fn produce(store: &Store<SimulatedDisk>, log: &Log<SimulatedDisk>, sequences: core::ops::Range<i32>) {
    for sequence in sequences {
        let batch = batch_of(1, &[7; 1000], START_MS, (9, 0, sequence));
        append(store, log, &batch, START_MS).await;
    }
    round(store).await;
}

fn check(log: &Log<SimulatedDisk>, sequence: i32) -> Result<ProducerCheck, ProducerError> {
    let batch = batch_of(1, &[7; 1000], START_MS, (9, 0, sequence));
    log.check_producer(RecordBatchHeader::peek(&batch).expect("a header"), START_MS)
}

fn is_duplicate_at(log: &Log<SimulatedDisk>, sequence: i32, offset: i64) -> bool {
    matches!(check(log, sequence), Ok(ProducerCheck::Duplicate { base_offset, .. }) if base_offset.value() == offset)
}

#[test]
fn a_restarted_log_is_that_of_nobody() {
    run(async {
        for offset in [0, 17, 40, 5_000].map(Offset::new) {
            let disk = disk(31);
            let (store, log) = opened(&disk).await;
            produce(&store, &log, 0..40).await;
            // Some of it was never written.
            append(&store, &log, &batch(1, b"unwritten"), START_MS).await;
            log.restart_at(offset).await.expect("it begins again");
            assert_eq!((log.log_start_offset(), log.log_end_offset()), (offset, offset));
            assert_eq!((log.latest_epoch(), log.producers().len(), log.max_timestamp()), (None, 0, None));
            assert_eq!((store.unwritten_bytes(), store.tail_bytes(), log.size_bytes()), (0, 0, 0));
            let first = stamped(&batch(3, b"of the leader"), offset, LeaderEpoch::new(2));
            log.append_assigned(&first, START_MS).expect("it is the next");
            round(&store).await;
            assert_eq!(read_all(&log, offset, 1 << 20).await, first);
            drop((store, log));
            let (_store, log) = opened(&disk.restart()).await;
            assert_eq!((log.log_start_offset(), log.log_end_offset()), (offset, offset.plus(3)));
            assert_eq!(read_all(&log, offset, 1 << 20).await, first);
        }
    });
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    run(async {
        let disk = disk(32);
        let (store, log) = opened(&disk).await;
        produce(&store, &log, 0..30).await;
        disk.set_capacity(0);
        let is_full = |result: Result<(), ChangeError>| matches!(result, Err(ChangeError::Disk(error)) if error.kind == DiskErrorKind::Full);
        assert!(is_full(log.restart_at(Offset::new(99)).await));
        assert!(is_full(log.truncate(Offset::new(12)).await));
        assert_eq!((log.stopped(), log.log_end_offset()), (None, Offset::new(30)));
        disk.set_capacity(1 << 30);
        store.maintain(START_MS).await.expect("upkeep");
        log.truncate(Offset::new(12)).await.expect("there is room again");
        assert_eq!(log.log_end_offset(), Offset::new(12));
        log.restart_at(Offset::new(99)).await.expect("there is room again");
        produce(&store, &log, 0..3).await;
        assert_eq!(log.flushed_offset(), Offset::new(102));
    });
}

/// Whatever fails in the middle, the log takes nothing more: its journal entries would be of an incarnation that the folder
/// does not have.
#[test]
fn a_change_that_fails_stops_the_log_and_the_next_start_finishes_it() {
    run(async {
        for restarts in [false, true] {
            let mut stopped = 0;
            for nth in 1..40 {
                let disk = disk(33);
                let (store, log) = opened(&disk).await;
                produce(&store, &log, 0..130).await;
                disk.fail_flush(nth);
                let asked = Offset::new(if restarts { 500 } else { 60 });
                let result = if restarts { log.restart_at(asked).await } else { log.truncate(asked).await };
                assert_eq!(result.is_err(), log.stopped().is_some(), "flush {nth}");
                if result.is_err() {
                    stopped += 1;
                    let refused = log.append(&batch(1, b"late"), LeaderEpoch::ZERO, START_MS);
                    assert!(matches!(refused, Err(AppendError::Offline(_))), "flush {nth}: {refused:?}");
                }
                drop((store, log));
                let (_store, log) = opened(&disk.restart()).await;
                let end = log.log_end_offset();
                assert!(end == asked || end == Offset::new(130), "flush {nth}: the log ends at {end}");
            }
            assert!(stopped > 1, "some of the flushes were of the change");
        }
    });
}

#[test]
fn a_truncation_brings_back_what_was_forgotten_for_batches_that_go() {
    run(async {
        let disk = disk(34);
        let (store, log) = opened(&disk).await;
        // Of ten batches the last five are remembered; these go. The first segment has no file that tells its producers.
        produce(&store, &log, 0..10).await;
        log.truncate(Offset::new(5)).await.expect("it is cut");
        assert!(is_duplicate_at(&log, 4, 4) && is_duplicate_at(&log, 0, 0));
        assert_eq!(check(&log, 5), Ok(ProducerCheck::New));
        // Over several segments, with another producer at the end.
        produce(&store, &log, 5..150).await;
        for sequence in 0..20 {
            append(&store, &log, &batch_of(1, &[7; 1000], START_MS, (10, 0, sequence)), START_MS).await;
        }
        round(&store).await;
        store.maintain(START_MS).await.expect("upkeep");
        assert!(log.segment_count() > 2);
        for end in [149, 130, 66, 65, 64, 63, 3] {
            log.truncate(Offset::new(end)).await.expect("it is cut");
            assert_eq!(log.producers().len(), 1);
            let last = i32::try_from(end - 1).expect("small");
            assert!(is_duplicate_at(&log, last, end - 1), "cut at {end}");
            let refused = ProducerError::OutOfOrderSequence { last, found: last + 2 };
            assert_eq!(check(&log, last + 2), Err(refused), "cut at {end}");
        }
    });
}

#[test]
fn a_truncation_that_a_start_finishes_knows_the_producers_too() {
    run(async {
        for nth in 1..60 {
            let disk = disk(35);
            let (store, log) = opened(&disk).await;
            produce(&store, &log, 0..100).await;
            store.maintain(START_MS + 5_000).await.expect("upkeep");
            round(&store).await;
            store.maintain(START_MS + 10_000).await.expect("a checkpoint");
            disk.cut_power_at(nth);
            let _ = log.truncate(Offset::new(80)).await;
            if !disk.is_power_cut() {
                assert!(nth > 5, "a truncation is several operations");
                return;
            }
            drop((store, log));
            let (_store, log) = opened(&disk.restart()).await;
            let end = log.log_end_offset().value();
            let last = i32::try_from(end - 1).expect("small");
            assert!(end == 80 || end == 100);
            assert!(
                is_duplicate_at(&log, last, end - 1) && is_duplicate_at(&log, last - 4, end - 5),
                "cut at {nth}"
            );
        }
        panic!("a truncation ends");
    });
}

#[test]
fn batches_that_keep_their_places_are_checked() {
    run(async {
        let disk = disk(36);
        let (store, log) = opened(&disk).await;
        let of_leader = |records, offset: i32, epoch| {
            let batch = batch_of(records, b"of the leader", START_MS, (9, 0, offset));
            stamped(&batch, Offset::new(offset.into()), LeaderEpoch::new(epoch))
        };
        let append = |batch: &[u8]| log.append_assigned(batch, START_MS);
        assert_eq!(append(&of_leader(5, 0, 3)).expect("the first").last_offset, Offset::new(4));
        for (batch, why) in [
            (of_leader(5, 0, 3), "again"),
            (of_leader(1, 4, 3), "it overlaps"),
            (of_leader(1, 6, 3), "a gap"),
            (of_leader(1, 5, 2), "an older epoch"),
            (of_leader(1, 5, 3)[..70].to_vec(), "cut off"),
        ] {
            assert!(append(&batch).is_err(), "{why}");
        }
        let next = of_leader(2, 5, 4);
        let mut believed = 0;
        for position in 16..next.len() {
            let mut damaged = next.clone();
            damaged[position] ^= 4;
            let refused = append(&damaged);
            assert!(matches!(refused, Err(AppendError::Malformed(_))), "byte {position}: {refused:?}");
            if planted::with("unverified-append", || append(&damaged).is_ok()) {
                believed += 1;
                log.truncate(Offset::new(5)).await.expect("it is cut");
                log.activate().await.expect("it is appended to again");
            }
        }
        assert!(believed > 40, "the checksum is what most of them are refused for");
        assert_eq!(log.log_end_offset(), Offset::new(5), "nothing of all that is in the log");
        append(&next).expect("the next one");
        assert_eq!(log.latest_epoch(), Some(LeaderEpoch::new(4)));
        let again = RecordBatchHeader::peek(&next).expect("a header");
        let known = log.check_producer(again, START_MS).expect("its producer sends it again");
        assert!(matches!(known, ProducerCheck::Duplicate { base_offset, .. } if base_offset.value() == 5));
        round(&store).await;
    });
}

/// Readers go on while a log is cut and begins again, on a disk whose operations overlap: what they get was in the log.
#[test]
fn readers_beside_changes_get_what_was_appended_or_nothing() {
    (0..SEEDS).for_each(changes_beside_reads);
}

fn changes_beside_reads(seed: u64) {
    run(async {
        let disk = waiting_disk(seed);
        let (store, log) = opened(&disk).await;
        let mut random = Random::new(seed);
        for epoch in 0..6_i32 {
            change_beside_reads(&store, &log, &disk, &mut random, epoch).await;
        }
        assert_eq!(log.stopped(), None);
        store.close().await.expect("it closes");
    });
}

async fn change_beside_reads(
    store: &Store<SimulatedDisk>,
    log: &Log<SimulatedDisk>,
    disk: &SimulatedDisk,
    random: &mut Random,
    epoch: i32,
) {
    for _ in 0..random.below(90) {
        let length = usize::try_from(random.below(2_000)).expect("small");
        // The payload tells the epoch, so that a reader sees which history a batch is of.
        let batch = batch(1 + random.below(3) as i32, &vec![epoch as u8; length + 1]);
        append_in_epoch(store, log, &batch, LeaderEpoch::new(epoch), START_MS).await;
    }
    round(store).await;
    if random.chance(2) {
        for second in 1..4 {
            store.maintain(START_MS + second * 2_000).await.expect("upkeep");
            round(store).await;
        }
        disk.drop_page_cache();
    }
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let asked = start.plus(random.below(end.since(start) + 1).cast_signed());
    let restarts = random.chance(3);
    let change = async { if restarts { log.restart_at(asked).await } else { log.truncate(asked).await } };
    let froms: Vec<Offset> =
        (0..8).map(|_| start.plus(random.below(end.since(start) + 1).cast_signed())).collect();
    let reads = async {
        for from in froms {
            let Ok(fetched) = log.read(from, log.log_end_offset().max(from), 6_000, true).await else {
                continue;
            };
            let bytes = bytes_of(&fetched);
            let mut rest = &bytes[..];
            while let Some(header) = RecordBatchHeader::peek(rest) {
                let size = header.size_bytes().expect("a size");
                let told = rest[crate::batch::BATCH_HEADER_BYTES];
                assert_eq!(i32::from(told), header.partition_leader_epoch.get(), "a batch of one history");
                rest = &rest[size..];
            }
            assert!(rest.is_empty());
        }
    };
    let (changed, ()) = join(change, reads).await;
    changed.expect("the log changes");
    // The next history has other borders in the same places.
    for length in [300, 1_700, 40] {
        let batch = batch(2, &vec![(epoch + 1) as u8; length]);
        append_in_epoch(store, log, &batch, LeaderEpoch::new(epoch + 1), START_MS).await;
    }
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert_eq!(read_all(log, start, 20_000).await.len() as u64, log.size_bytes());
    let mut from = asked.max(start);
    while from < end {
        let fetched = log.read(from, end, 1, true).await.expect("it can be read");
        let first = RecordBatchHeader::peek(&bytes_of(&fetched)).expect("a batch").base_offset.get();
        assert!(first <= from.value() && from < fetched.next_offset, "the batch that holds the offset");
        from = from.plus(1 + random.below(4).cast_signed());
    }
}

//! Each rule once: what may be compacted and when, what stays, what disturbs a pass.
use ringmain_protocol::records::RecordBatchBuilder;

use super::*;
use crate::disk::{Disk, DiskErrorKind};
use crate::error::CompactionError;
use crate::log::ProducerCheck;

const PLAIN: Shape = Shape { keys: 20, value_bytes: 900, without_key: false, codecs: false };

/// A bench with some sealed segments that no pass has read.
async fn filled(seed: u64, batches: usize) -> Bench {
    fill(Bench::new(seed, small_options(), PLAIN).await, batches).await
}

async fn fill(mut bench: Bench, batches: usize) -> Bench {
    for _ in 0..batches {
        bench.append().await;
        round(&bench.store).await;
    }
    bench.make_cleanable().await;
    bench
}

fn keyed(timestamp: i64, key: &str, value: Option<&[u8]>) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new();
    builder.push(timestamp, Some(key.as_bytes()), value);
    builder.finish()
}

fn with_compaction(change: impl FnOnce(&mut CompactionConfig)) -> LogConfig {
    let mut compaction = config().compaction.expect("it is compacted");
    change(&mut compaction);
    LogConfig { compaction: Some(compaction), ..config() }
}

#[test]
fn a_pass_is_worth_it_by_share_or_by_age() {
    run(async {
        let bench = filled(1, 300).await;
        let (now, end) = (bench.now_ms, bench.log.log_end_offset());
        let need = |millionths: u32, max_lag_ms: i64, now: i64| {
            bench.log.set_config(with_compaction(|compaction| {
                compaction.min_dirty_millionths = millionths;
                compaction.max_lag_ms = max_lag_ms;
            }));
            bench.log.compaction_need(now, end).map(|need| (need.is_overdue, need.dirty_millionths))
        };
        assert_eq!(need(10_000, i64::MAX, now), Some((false, 1_000_000)), "all of it is dirty");
        assert_eq!(need(1_000_000, i64::MAX, now), None, "not more than the whole");
        assert_eq!(need(1_000_000, 60_000, now), None);
        assert_eq!(need(1_000_000, 60_000, now + 120_000), Some((true, 1_000_000)));
        bench.log.set_config(LogConfig { compaction: None, ..config() });
        assert_eq!(bench.log.compaction_need(now, end), None, "the topic is not compacted");
    });
}

#[test]
fn nothing_young_and_nothing_above_the_high_watermark_is_touched() {
    run(async {
        let mut bench = filled(2, 300).await;
        let segments = bench.log.segment_count();
        assert!(segments > 4);
        assert!(bench.log.begin_compaction(bench.now_ms, Offset::ZERO).is_none());
        let middle = Offset::new(bench.model.end() / 2);
        let mut pass = bench.log.begin_compaction(bench.now_ms, middle).expect("a part is below it");
        while !pass.step().await.expect("it goes on").is_over {}
        let report = pass.report();
        assert!(report.end_offset <= middle.value() && report.end_offset > 0, "{report:?}");
        bench.model = bench.model.after_pass(&report, bench.now_ms, RETENTION_MS);
        bench.check("below the high watermark").await;
        bench.log.set_config(with_compaction(|compaction| compaction.min_lag_ms = 3_600_000));
        assert!(bench.begin().is_none(), "everything is younger than an hour");
        bench.now_ms += 7_200_000;
        assert!(bench.begin().is_some());
    });
}

#[test]
fn an_idle_log_is_rolled_once_and_then_costs_nothing() {
    run(async {
        let mut bench = filled(3, 3).await;
        assert_eq!(bench.log.segment_count(), 2, "the old segment, and an open one without batches");
        bench.compact().await.expect("it is dirty");
        let operations = bench.disk.operations();
        for _ in 0..10 {
            bench.now_ms += 3_600_000;
            assert!(!bench.log.roll_for_compaction(bench.now_ms, bench.log.log_end_offset()));
            assert_eq!(bench.log.compaction_need(bench.now_ms, bench.log.log_end_offset()), None);
            bench.store.maintain(bench.now_ms).await.expect("upkeep");
        }
        assert_eq!(bench.disk.operations(), operations);
    });
}

#[test]
fn tombstones_go_after_their_time_and_never_before_what_they_delete() {
    run(async {
        let mut bench = Bench::new(4, small_options(), PLAIN).await;
        bench.append_batch(&keyed(START_MS, "a", Some(b"old"))).await;
        bench.append_batch(&keyed(START_MS, "b", Some(b"stays"))).await;
        bench.append_batch(&keyed(START_MS, "a", None)).await;
        bench.make_cleanable().await;
        bench.compact().await.expect("it is dirty");
        bench.check("the first pass").await;
        assert!(bench.model.stays.iter().eq(&[1, 2]), "{:?}", bench.model.stays);
        for (wait_ms, expected) in [(0, &[1, 2, 3][..]), (RETENTION_MS, &[1, 4])] {
            bench.now_ms += wait_ms;
            bench.append_batch(&keyed(bench.now_ms, "c", Some(b"makes it dirty"))).await;
            bench.make_cleanable().await;
            // Rolling takes its time, which is shorter than the retention.
            bench.compact().await.expect("it is dirty");
            bench.check("a later pass").await;
            assert!(bench.model.stays.iter().eq(expected), "{:?}", bench.model.stays);
        }
    });
}

#[test]
fn the_newest_batch_of_a_producer_stays_and_its_duplicates_are_known() {
    run(async {
        let mut bench = Bench::new(5, small_options(), PLAIN).await;
        let mut last = Vec::new();
        for sequence in 0..4 {
            let producer = ProducerState { producer_id: 9, producer_epoch: 0, base_sequence: sequence };
            let mut builder = RecordBatchBuilder::new().producer(producer);
            builder.push(START_MS, Some(b"k"), Some(&[sequence as u8; 3]));
            last = builder.finish();
            bench.append_batch(&last).await;
        }
        bench.append_batch(&keyed(START_MS, "k", Some(b"of another"))).await;
        bench.make_cleanable().await;
        bench.compact().await.expect("it is dirty");
        bench.check("compacted").await;
        let bytes = bench.contents().await;
        let kept = ringmain_protocol::records::batches(&bytes)
            .map(|batch| *batch.expect("a batch").header())
            .find(|header| header.producer_id.get() == 9)
            .expect("its newest batch is there");
        assert_eq!((kept.base_offset.get(), kept.record_count.get(), kept.base_sequence.get()), (3, 0, 3));
        // Without a checkpoint the walk finds it in the segments.
        for loses_checkpoint in [false, true] {
            if loses_checkpoint {
                bench.disk.put_durable("t-0/partition.checkpoint", b"damaged");
            }
            bench.restart(false).await;
            let again =
                bench.log.check_producer(RecordBatchHeader::peek(&last).expect("a header"), bench.now_ms);
            let expected = ProducerCheck::Duplicate { base_offset: Offset::new(3), append_time_ms: START_MS };
            assert_eq!(again, Ok(expected), "without checkpoint {loses_checkpoint}");
        }
    });
}

#[test]
fn small_segments_become_one_and_what_does_not_change_is_not_written() {
    run(async {
        let mut bench = Bench::new(6, small_options(), PLAIN).await;
        for segment in 0..6 {
            bench.append_batch(&keyed(START_MS, &alloc::format!("s{segment}"), Some(&[7; 900]))).await;
            bench.make_cleanable().await;
        }
        assert_eq!(bench.log.segment_count(), 7);
        let report = bench.compact().await.expect("it is dirty");
        assert_eq!((bench.log.segment_count(), report.segments_replaced), (2, 6));
        bench.check("merged").await;
        for number in 0..200 {
            bench.append_batch(&keyed(START_MS, &alloc::format!("n{number}"), Some(&[7; 900]))).await;
            round(&bench.store).await;
        }
        bench.make_cleanable().await;
        let report = bench.compact().await.expect("it is dirty");
        assert!(report.bytes_read > 0, "{report:?}");
        assert_eq!(
            (report.bytes_written, report.segments_replaced),
            (0, 0),
            "nothing goes, and nothing fits together"
        );
        bench.check("nothing to take out").await;
    });
}

#[test]
fn a_read_under_way_survives_the_change_of_places() {
    for seed in 0..20 {
        run(async {
            let mut bench =
                fill(Bench::on(waiting_disk(seed), seed, small_options(), PLAIN).await, 200).await;
            bench.disk.drop_page_cache();
            let held =
                bench.log.read(Offset::ZERO, bench.log.log_end_offset(), 30_000, true).await.expect("bytes");
            let before = bytes_of(&held);
            let original = bench.model.clone();
            let log = bench.log.clone();
            let disk = bench.disk.clone();
            let ends: Vec<i64> = original.batches.iter().map(|batch| batch.base).collect();
            let mut random = Random::new(seed);
            let reader = async move {
                for _ in 0..300 {
                    let from = Offset::new(ends[random.below(ends.len() as u64) as usize]);
                    if random.chance(3) {
                        disk.drop_page_cache();
                    }
                    let up_to = log.log_end_offset();
                    let fetched = log.read(from, up_to, random.below(20_000) as usize, true).await;
                    let bytes = bytes_of(&fetched.expect("it can be read"));
                    let seen = model::check_chain(&bytes, from.value(), "beside a pass");
                    original.check_records(&seen, "beside a pass");
                    let time = START_MS + random.below(300) as i64;
                    drop(log.batch_for_time(time, up_to).await.expect("it can be read"));
                }
            };
            let ((), report) = futures_util::future::join(reader, bench.compact()).await;
            assert!(report.expect("it is dirty").records_removed > 0);
            assert_eq!(bytes_of(&held), before, "what a reader holds stays");
            bench.check("afterwards").await;
        });
    }
}

#[test]
fn times_are_found_by_what_is_still_there() {
    run(async {
        let mut bench = filled(7, 200).await;
        bench.compact().await.expect("it is dirty");
        let end = bench.log.log_end_offset();
        for asked in (START_MS..bench.now_ms).step_by(997).chain(START_MS..START_MS + 60) {
            let found = bench.log.batch_for_time(asked, end).await.expect("it can be read");
            let found = found.and_then(|batch| {
                model::records_in(&batch)
                    .into_iter()
                    .find(|(_, record)| record.timestamp >= asked)
                    .map(|(offset, _)| offset)
            });
            let there = bench.model.stays.iter().map(|offset| (offset, &bench.model.records[offset]));
            let expected =
                there.filter(|(_, record)| record.timestamp >= asked).map(|(offset, _)| *offset).next();
            assert_eq!(found, expected, "{}", asked - START_MS);
        }
        let newest = bench.model.stays.iter().map(|offset| bench.model.records[offset].timestamp).max();
        assert_eq!(bench.log.max_timestamp().map(|(time, _)| time), newest);
    });
}

#[test]
fn a_log_that_is_cut_advanced_or_deleted_under_a_pass_stays_right() {
    for seed in 0..30 {
        run(async {
            let mut bench = filled(seed, 150).await;
            let compacted_to = bench.log.flushed_offset();
            for _ in 0..20 {
                bench.append().await;
            }
            let mut pass = bench.log.begin_compaction(bench.now_ms, compacted_to).expect("it is dirty");
            for _ in 0..bench.random.below(12) {
                pass.step().await.expect("it goes on");
            }
            match seed % 3 {
                0 => {
                    bench.log.truncate(compacted_to).await.expect("it is cut");
                    bench.model.cut(bench.log.log_end_offset().value());
                }
                1 => {
                    let start = Offset::new(bench.model.end() / 2);
                    bench.log.advance_log_start(start).await.expect("it is advanced");
                }
                _ => bench.store.delete_log(&bench.log).await.expect("it is deleted"),
            }
            let mut steps = 0;
            while !pass.step().await.expect("it ends without an error").is_over {
                steps += 1;
                assert!(steps < 1_000);
            }
            let report = pass.report();
            drop(pass);
            if seed % 3 == 2 {
                assert!(
                    bench
                        .disk
                        .list("")
                        .await
                        .expect("the root")
                        .iter()
                        .all(|entry| !entry.name.contains("t-0"))
                );
                return;
            }
            assert!(!bench.log.is_uncleanable());
            bench.settle().await;
            let start = bench.log.log_start_offset();
            let seen = model::check_chain(&bench.contents().await, start.value(), "disturbed");
            bench.model.check_records(&seen, "disturbed");
            if !report.is_abandoned && start == Offset::ZERO {
                let end = bench.model.end();
                assert_eq!(bench.model.last_values_of(&seen, end), bench.model.last_values(end));
            }
            bench.restart(true).await;
            bench.append().await;
            bench.make_cleanable().await;
            let mut again = bench.begin().expect("it is compacted again");
            while !again.step().await.expect("it goes on").is_over {}
            let seen = model::check_chain(&bench.contents().await, start.value(), "at last");
            bench.model.check_records(&seen, "at last");
        });
    }
}

#[test]
fn a_full_disk_ends_a_pass_and_the_next_one_succeeds() {
    run(async {
        let mut bench = filled(8, 200).await;
        let before = bench.contents().await;
        let mut full = 0;
        for capacity in (0..4_000_000).step_by(25_000) {
            let Some(mut pass) = bench.begin() else { break };
            let began = bench.now_ms;
            bench.disk.set_capacity(capacity);
            let ended = loop {
                match pass.step().await {
                    Ok(step) if step.is_over => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            bench.disk.set_capacity(1 << 30);
            match ended {
                Ok(()) => {
                    bench.model = bench.model.after_pass(&pass.report(), began, RETENTION_MS);
                    break;
                }
                Err(CompactionError::Disk(error)) => {
                    assert_eq!(error.kind, DiskErrorKind::Full);
                    full += 1;
                }
                Err(error) => panic!("{error}"),
            }
            assert!(!bench.log.is_uncleanable() && bench.log.stopped().is_none());
            if full == 1 {
                assert!(bench.contents().await == before, "nothing changed");
            }
        }
        assert!(full > 0, "the disk was full at least once");
        bench.compact().await;
        let end = bench.model.end();
        let seen = model::check_chain(&bench.contents().await, 0, "at last");
        assert_eq!(bench.model.last_values_of(&seen, end), bench.model.last_values(end));
        let names = bench.disk.list("t-0").await.expect("the folder");
        assert!(!names.iter().any(|entry| entry.name.ends_with(".cleaned")), "{names:?}");
    });
}

#[test]
fn damage_is_reported_with_its_place_and_only_that_log_is_given_up() {
    run(async {
        let mut bench = filled(9, 200).await;
        let batch = bench.model.batches[3].clone();
        let before: usize = bench.model.batches[..3].iter().map(|batch| batch.bytes.len()).sum();
        let path = "t-0/00000000000000000000.log";
        bench.disk.flip_bit(path, (before + batch.bytes.len() - 1) as u64, 3);
        let mut pass = bench.begin().expect("it is dirty");
        let error = loop {
            match pass.step().await {
                Ok(step) => assert!(!step.is_over, "the damage is met"),
                Err(error) => break error,
            }
        };
        let CompactionError::Corrupt(corruption) = error else { panic!("{error}") };
        assert_eq!((&corruption.file[..], corruption.position), (path, before as u64));
        assert!(bench.log.is_uncleanable() && bench.log.stopped().is_none());
        assert!(bench.begin().is_none());
        bench.append().await;
        round(&bench.store).await;
        assert_eq!(bench.log.flushed_offset().value(), bench.model.end(), "it goes on otherwise");
    });
}

#[test]
fn a_failed_write_of_a_pass_does_not_stop_the_log() {
    run(async {
        let bench = filled(10, 200).await;
        let mut pass = bench.begin().expect("it is dirty");
        bench.disk.fail_write(1);
        let failed = loop {
            match pass.step().await {
                Ok(step) => assert!(!step.is_over, "the write fails"),
                Err(error) => break error,
            }
        };
        assert!(matches!(failed, CompactionError::Disk(_)), "{failed}");
        assert!(bench.log.is_uncleanable() && bench.log.stopped().is_none());
        bench.check("as it was").await;
    });
}

/// Runs the test of a whole history with a defect.
fn is_found(defect: &'static str) {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let history = || {
        run(async {
            for seed in 0..6 {
                let mut bench = Bench::new(seed, small_options(), SHAPE).await;
                for turn in 0..12 {
                    for _ in 0..40 {
                        bench.append().await;
                    }
                    bench.make_cleanable().await;
                    let high_watermark = bench.log.flushed_offset();
                    bench.append().await;
                    round(&bench.store).await;
                    bench.compact().await;
                    assert!(bench.log.compacted_offset() <= high_watermark);
                    bench.check(&alloc::format!("seed {seed}, turn {turn}")).await;
                    bench.disk.put_durable("t-0/partition.checkpoint", b"damaged");
                    let known = bench.log.producers().len();
                    bench.restart(false).await;
                    assert_eq!(bench.log.producers().len(), known, "producers are found in the segments");
                }
            }
        });
    };
    let found = catch_unwind(AssertUnwindSafe(|| crate::planted::with(defect, history))).is_err();
    assert!(found, "{defect} is found");
}

#[test]
fn planted_defects_are_found() {
    for defect in ["newest-batch-dropped", "tombstone-gone-at-once", "gap-left-open"] {
        is_found(defect);
    }
    let unsafe_pass = || {
        run(async {
            let bench = filled(11, 200).await;
            assert!(bench.log.begin_compaction(bench.now_ms, Offset::ZERO).is_none());
        });
    };
    let found =
        std::panic::catch_unwind(|| crate::planted::with("compacts-above-high-watermark", unsafe_pass));
    assert!(found.is_err(), "compacts-above-high-watermark is found");
}

#[test]
fn upkeep_bears_many_logs_that_rolled_at_once() {
    run(async {
        let store = open(&disk(11), small_options()).await;
        let mut logs = Vec::new();
        for partition in 0..3 {
            let log = store.open_log(identity("t", partition), config(), START_MS).await.expect("it opens");
            append(&store, &log, &keyed(START_MS, "a", Some(b"1")), START_MS).await;
            logs.push(log);
        }
        // The segments are too old for what comes next: each log rolls, and nothing is written yet.
        let later = START_MS + 10_000;
        for log in &logs {
            append(&store, log, &keyed(later, "a", Some(b"2")), later).await;
            assert_eq!(log.segment_count(), 2);
        }
        store.maintain(later).await.expect("upkeep");
        round(&store).await;
        store.maintain(later).await.expect("upkeep writes what was drawn up");
        for log in &logs {
            assert!(log.is_checkpointed(), "a sealed segment is known to be durable soon");
        }
    });
}

//! The lies are the promised ones: what may be lost is lost under some seed, what must not be lost under none.

use alloc::{rc::Rc, vec};
use core::cell::Cell;

use super::*;
use crate::disk::{BufferSlice, DiskFile};

const BLOCK: usize = 4096;
const SEEDS: u64 = 200;

fn disk(seed: u64) -> SimulatedDisk {
    SimulatedDisk::new(SimulatedDiskOptions { seed, ..SimulatedDiskOptions::default() })
}

fn block(disk: &SimulatedDisk, fill: u8) -> BufferSlice {
    let mut buffer = disk.buffers().try_take(BLOCK).expect("tests use little memory");
    buffer.append(&[fill; BLOCK]);
    buffer.freeze(0..BLOCK)
}

/// A disk with `a` and `b`, a durable block of ones each.
fn two_files(options: SimulatedDiskOptions) -> SimulatedDisk {
    let disk = SimulatedDisk::new(options);
    disk.put_durable("a", &[1; BLOCK]);
    disk.put_durable("b", &[1; BLOCK]);
    disk
}

/// How many of many seeds end with `true`.
fn seeds_with(found: impl Fn(u64) -> bool) -> u64 {
    (0..SEEDS).filter(|seed| found(*seed)).count() as u64
}

fn all_are(contents: Option<Vec<u8>>, fill: u8) -> bool {
    contents.is_some_and(|contents| contents == [fill; BLOCK])
}

#[test]
fn what_its_own_flush_covered_survives_and_what_none_covered_may_not() {
    let survives = |seed, flush| {
        let disk = disk(seed);
        block_on(async {
            let file = disk.open("a", OpenMode::CreateNew).await.expect("a new name");
            disk.flush_directory("").await.expect("the power is on");
            file.write_at(0, block(&disk, 1)).await.expect("the power is on");
            if flush {
                file.flush().await.expect("the power is on");
            }
        });
        all_are(disk.restart().contents("a"), 1)
    };
    assert_eq!(seeds_with(|seed| survives(seed, true)), SEEDS);
    let lucky = seeds_with(|seed| survives(seed, false));
    assert!(0 < lucky && lucky < SEEDS, "{lucky}");
}

#[test]
fn another_files_flush_covers_overwrites_but_not_growth() {
    let survives = |seed, position: u64, one_flush_covers_all| {
        let disk =
            two_files(SimulatedDiskOptions { seed, one_flush_covers_all, ..SimulatedDiskOptions::default() });
        block_on(async {
            let written = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
            let flushed = disk.open("b", OpenMode::ReadWrite).await.expect("it exists");
            written.write_at(position, block(&disk, 2)).await.expect("the power is on");
            flushed.flush().await.expect("the power is on");
        });
        let contents = disk.restart().contents("a").expect("it was durable");
        contents.get(position as usize..).is_some_and(|written| written == [2; BLOCK])
    };
    assert_eq!(seeds_with(|seed| survives(seed, 0, true)), SEEDS);
    assert!(seeds_with(|seed| survives(seed, BLOCK as u64, true)) < SEEDS);
    assert!(seeds_with(|seed| survives(seed, 0, false)) < SEEDS);
}

#[test]
fn an_overwrite_of_growth_that_was_not_flushed_is_growth_too() {
    let survives = |seed| {
        let disk = two_files(SimulatedDiskOptions { seed, ..SimulatedDiskOptions::default() });
        block_on(async {
            let grown = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
            grown.write_at(BLOCK as u64, block(&disk, 0)).await.expect("the power is on");
            grown.write_at(BLOCK as u64, block(&disk, 2)).await.expect("the power is on");
            let other = disk.open("b", OpenMode::ReadWrite).await.expect("it exists");
            other.flush().await.expect("the power is on");
        });
        disk.restart().contents("a").expect("it was durable").len() == 2 * BLOCK
    };
    assert!(seeds_with(survives) < SEEDS);
}

#[test]
fn a_torn_overwrite_leaves_sectors_of_both_kinds() {
    let torn = |seed| {
        let disk = two_files(SimulatedDiskOptions { seed, ..SimulatedDiskOptions::default() });
        block_on(async {
            let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
            file.write_at(0, block(&disk, 2)).await.expect("the power is on");
        });
        let contents = disk.restart().contents("a").expect("it was durable");
        assert_eq!(contents.len(), BLOCK);
        for sector in contents.chunks(512) {
            assert!(sector == [1; 512] || sector == [2; 512], "a sector is old or new");
        }
        contents.contains(&1) && contents.contains(&2)
    };
    assert!(seeds_with(torn) > 0);
}

#[test]
fn a_durable_write_stands_for_no_other_write() {
    let survive = |seed| {
        let disk = two_files(SimulatedDiskOptions { seed, ..SimulatedDiskOptions::default() });
        block_on(async {
            let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
            let other = disk.open("b", OpenMode::ReadWrite).await.expect("it exists");
            for written in [&file, &other] {
                written.write_at(0, block(&disk, 2)).await.expect("the power is on");
            }
            let end = 2 * BLOCK as u64;
            file.write_at_and_flush(end, block(&disk, 3)).await.expect("the power is on");
        });
        let disk = disk.restart();
        let contents = disk.contents("a").expect("it was durable");
        assert_eq!(contents.len(), 3 * BLOCK, "its length is durable with it");
        assert_eq!(contents[BLOCK..2 * BLOCK], [0; BLOCK]);
        assert_eq!(contents[2 * BLOCK..], [3; BLOCK]);
        (contents[..BLOCK] == [2; BLOCK], all_are(disk.contents("b"), 2))
    };
    assert!(seeds_with(|seed| survive(seed).0) < SEEDS, "another write to the same file");
    assert!(seeds_with(|seed| survive(seed).1) < SEEDS, "a write to another file");
}

#[test]
fn what_a_durable_write_has_overwritten_does_not_come_back() {
    let is_kept = |seed| {
        let disk = two_files(SimulatedDiskOptions { seed, ..SimulatedDiskOptions::default() });
        block_on(async {
            let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
            for position in [0, BLOCK as u64] {
                file.write_at(position, block(&disk, 2)).await.expect("the power is on");
                file.write_at_and_flush(position, block(&disk, 3)).await.expect("the power is on");
            }
            if seed % 2 == 0 {
                file.flush().await.expect("the power is on");
            }
        });
        disk.restart().contents("a").is_some_and(|contents| contents == [3; 2 * BLOCK])
    };
    assert_eq!(seeds_with(is_kept), SEEDS);
}

#[test]
fn a_flush_does_not_cover_what_completes_while_it_runs() {
    let survives = |seed| {
        let options = SimulatedDiskOptions { seed, polls_max: 8, ..SimulatedDiskOptions::default() };
        let disk = two_files(options);
        let seen = disk.clone();
        let completed_in_time = Executor::new(seed).run(|spawner| async move {
            let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
            let completed = Rc::new(Cell::new(false));
            let (writer, note, slice) = (file.clone(), completed.clone(), block(&disk, 2));
            spawner.spawn(async move {
                writer.write_at(0, slice).await.expect("the power is on");
                note.set(true);
            });
            let before = completed.get();
            file.flush().await.expect("the power is on");
            completed.get() && !before
        });
        completed_in_time && !all_are(seen.restart().contents("a"), 2)
    };
    assert!(seeds_with(survives) > 0);
}

#[test]
fn a_failed_flush_loses_data_though_the_next_one_succeeds() {
    let lost = |seed| {
        let disk = two_files(SimulatedDiskOptions { seed, ..SimulatedDiskOptions::default() });
        disk.fail_flush(1);
        block_on(async {
            let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
            file.write_at(0, block(&disk, 2)).await.expect("only the flush fails");
            let error = file.flush().await.expect_err("it was asked to fail");
            assert_eq!((error.kind, error.operation), (machine::EIO, Operation::Flush));
            file.flush().await.expect("only the first one fails");
        });
        assert!(all_are(disk.contents("a"), 2), "reads see it all the same");
        !all_are(disk.restart().contents("a"), 2)
    };
    assert!(seeds_with(lost) > 0);
}

#[test]
fn a_full_disk_takes_overwrites_and_grows_again_when_space_is_freed() {
    let disk = two_files(SimulatedDiskOptions {
        capacity_bytes: 2 * BLOCK as u64,
        ..SimulatedDiskOptions::default()
    });
    block_on(async {
        let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
        file.write_at(0, block(&disk, 2)).await.expect("it needs no space");
        let error = file.write_at(BLOCK as u64, block(&disk, 2)).await.expect_err("there is no space");
        assert_eq!(error.kind, DiskErrorKind::Full);
        disk.remove("b").await.expect("it exists");
        file.write_at(BLOCK as u64, block(&disk, 2)).await.expect("there is space again");
    });
}

#[test]
fn a_failed_write_leaves_old_and_new_sectors() {
    let disk = two_files(SimulatedDiskOptions { seed: 3, ..SimulatedDiskOptions::default() });
    disk.fail_write(2);
    block_on(async {
        let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
        file.write_at(0, block(&disk, 2)).await.expect("the second one fails");
        let error = file.write_at(0, block(&disk, 3)).await.expect_err("the second one fails");
        assert_eq!((error.kind, error.position), (machine::EIO, Some(0)));
    });
    let contents = disk.contents("a").expect("it exists");
    assert!(contents.contains(&2) && contents.contains(&3));
}

#[test]
fn names_come_back_or_not_until_their_folder_is_flushed() {
    let created = |seed, flush| {
        let disk = disk(seed);
        block_on(async {
            disk.open("a", OpenMode::CreateNew).await.expect("a new name");
            if flush {
                disk.flush_directory("").await.expect("the power is on");
            }
        });
        disk.restart().contents("a").is_some()
    };
    assert_eq!(seeds_with(|seed| created(seed, true)), SEEDS);
    let lucky = seeds_with(|seed| created(seed, false));
    assert!(0 < lucky && lucky < SEEDS, "{lucky}");
}

#[test]
fn a_rename_leaves_the_old_or_the_new_name_never_both_or_none() {
    let renamed = |seed| {
        let disk = disk(seed);
        disk.put_durable("x/old", &[1; BLOCK]);
        disk.put_durable("x/new", &[2; BLOCK]);
        block_on(disk.rename("x/old", "x/new")).expect("both exist");
        let after = disk.restart();
        let new_is_ones = all_are(after.contents("x/new"), 1);
        assert_ne!(new_is_ones, after.contents("x/old").is_some());
        assert!(new_is_ones || all_are(after.contents("x/new"), 2));
        new_is_ones
    };
    let count = seeds_with(renamed);
    assert!(0 < count && count < SEEDS, "{count}");
}

#[test]
fn a_durable_replacement_is_old_or_new_at_every_power_cut() {
    for seed in 0..SEEDS {
        let mut cuts = 0;
        for nth in 1.. {
            let disk = disk(seed);
            disk.put_durable("p/checkpoint", b"old");
            disk.cut_power_at(nth);
            let result = block_on(disk.replace("p/checkpoint", b"the new one", true));
            let contents = disk.restart().contents("p/checkpoint");
            match result {
                Ok(()) => {
                    assert_eq!(contents.as_deref(), Some(&b"the new one"[..]));
                    break;
                }
                Err(error) => assert_eq!(error.kind, DiskErrorKind::PowerCut),
            }
            assert!(contents.as_deref() == Some(b"old") || contents.as_deref() == Some(b"the new one"));
            cuts = nth;
        }
        assert_eq!(cuts, 5, "create, write, flush, rename, flush the folder");
    }
}

#[test]
fn the_same_seed_ends_the_same_way() {
    let run = |seed| {
        let disk = disk(seed);
        block_on(async {
            for name in ["a", "b", "c"] {
                let file = disk.open(name, OpenMode::CreateNew).await.expect("a new name");
                file.write_at(0, block(&disk, 1)).await.expect("the power is on");
                file.write_at(BLOCK as u64, block(&disk, 2)).await.expect("the power is on");
            }
        });
        let after = disk.restart();
        ["a", "b", "c"].map(|name| after.contents(name))
    };
    assert_eq!(run(5), run(5));
    assert!((6..30).any(|seed| run(seed) != run(5)));
}

#[test]
fn after_the_cut_everything_fails_and_a_restart_starts_anew() {
    let disk = two_files(SimulatedDiskOptions::default());
    block_on(async {
        let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
        disk.cut_power_at(1);
        let error = file.write_at(0, block(&disk, 2)).await.expect_err("the power goes");
        assert_eq!(error.kind, DiskErrorKind::PowerCut);
        assert_eq!(file.read_at(0, BLOCK).await.expect_err("it is off").kind, DiskErrorKind::PowerCut);
        assert!(disk.list("").await.is_err());
        let after = disk.restart();
        assert!(file.flush().await.is_err(), "an old handle stays dead");
        after.open("a", OpenMode::Read).await.expect("it was durable");
    });
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_writes_under_way_are_a_defect() {
    let disk = two_files(SimulatedDiskOptions { polls_max: 50, ..SimulatedDiskOptions::default() });
    Executor::new(0).run(|spawner| async move {
        let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
        for fill in 2..20 {
            let (file, slice) = (file.clone(), block(&disk, fill));
            spawner.spawn(async move { file.write_at(0, slice).await.expect("the power is on") });
        }
        for _ in 0..1000 {
            executor::yield_now().await;
        }
    });
}

#[test]
#[should_panic(expected = "a reader still sends")]
fn overwriting_what_a_reader_sends_is_a_defect() {
    let disk = two_files(SimulatedDiskOptions::default());
    block_on(async {
        let file = disk.open("a", OpenMode::ReadWrite).await.expect("it exists");
        let _range = file.range(100, 10).expect("the power is on");
        let _result = file.write_at(0, block(&disk, 2)).await;
    });
}

#[test]
fn a_flipped_bit_is_seen_and_stays() {
    let disk = two_files(SimulatedDiskOptions::default());
    disk.flip_bit("a", 7, 1);
    let mut expected = vec![1; BLOCK];
    expected[7] = 3;
    assert_eq!(disk.contents("a"), Some(expected.clone()));
    assert_eq!(disk.restart().contents("a"), Some(expected));
}

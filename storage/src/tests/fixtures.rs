//! Files of each format that was ever released: they have to open for ever.
//!
//! `tests/fixtures/format-1` was written by the ignored test below and is never written again.
use alloc::vec;
use alloc::vec::Vec;
use std::fs;
use std::path::{Path, PathBuf};

use super::bed::*;
use crate::config::StoreOptions;
use crate::inspect::describe;
use crate::offset::{LeaderEpoch, Offset};

/// The files, relative to the data directory.
const FILES: [&str; 7] = [
    "journal/0/0.journal",
    "t-0/partition.id",
    "t-0/partition.checkpoint",
    "t-0/00000000000000000000.log",
    "t-0/00000000000000000000.index",
    "t-0/00000000000000000122.log",
    "t-0/00000000000000000122.producers",
];

fn options() -> StoreOptions {
    StoreOptions { journal_file_bytes: 16 << 10, ..small_options() }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

/// Batches of the fixture: two records and about a kilobyte each, of producer 5.
fn batches() -> Vec<Vec<u8>> {
    (0..70).map(|n| batch_of(2, &vec![n as u8; 1000], START_MS + i64::from(n), (5, 0, n * 2))).collect()
}

#[test]
#[ignore = "writes the fixture; only for a new format"]
fn write_format_1() {
    run(async {
        let disk = disk(1);
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        for (n, batch) in batches().iter().enumerate() {
            append_in_epoch(&store, &log, batch, LeaderEpoch::new(n as i32 / 20), START_MS).await;
            if n % 7 == 0 || n > 66 {
                round(&store).await;
            }
            if n == 66 {
                // Settled, sealed and checkpointed up to here; the rest is in the journal only.
                for _ in 0..4 {
                    store.maintain(START_MS + 10_000).await.expect("upkeep");
                    round(&store).await;
                }
            }
        }
        for file in FILES {
            let contents = disk.contents(file).unwrap_or_else(|| panic!("{file} was written"));
            let path = folder().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
            fs::write(path, contents).expect("the file is written");
        }
    });
}

#[test]
fn format_1_opens() {
    run(async {
        let disk = disk(2);
        for file in FILES {
            let contents = fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            if !file.ends_with(".log") && !file.ends_with(".producers") {
                let sections = describe(file, &contents).expect("a file of ours").expect("an intact one");
                assert!(!sections.is_empty());
            }
            disk.put_durable(file, &contents);
        }
        let store = open(&disk, options()).await;
        let log = store.open_log(identity("t", 0), small_config(), START_MS).await.expect("it opens");
        let mut expected = Vec::new();
        for (n, batch) in batches().iter().enumerate() {
            expected.extend(stamped(batch, Offset::new(n as i64 * 2), LeaderEpoch::new(n as i32 / 20)));
        }
        assert!(read_all(&log, Offset::ZERO, 1 << 20).await == expected);
        assert_eq!(log.producers()[0].last_sequence, 139);
        assert_eq!(
            log.end_offset_for_epoch(LeaderEpoch::new(1)),
            Some((LeaderEpoch::new(1), Offset::new(80)))
        );
    });
}

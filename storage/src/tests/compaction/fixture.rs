//! A log whose power failed while a segment took the place of others, as version 2 of the checkpoint tells of it: it has to
//! open for ever, and to carry that out.
//!
//! `tests/fixtures/checkpoint-2` was written by the ignored test below and is never written again.
use alloc::format;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::disk::Disk;
use crate::inspect::describe;

const FOLDER: &str = "t-0";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint-2")
}

/// The log before its pass.
async fn before_the_pass() -> Bench {
    let mut bench =
        Bench::new(5, small_options(), Shape { keys: 6, value_bytes: 60, without_key: false, codecs: false })
            .await;
    for _ in 0..3 {
        for _ in 0..5 {
            bench.append().await;
        }
        bench.make_cleanable().await;
    }
    bench
}

#[test]
#[ignore = "writes the fixture; only for a new format"]
fn write_checkpoint_2() {
    for nth in 1.. {
        let is_written = run(async {
            let bench = before_the_pass().await;
            bench.disk.cut_power_at(nth);
            let mut pass = bench.begin().expect("it is dirty");
            while pass.step().await.is_ok_and(|step| !step.is_over) {}
            let disk = bench.disk.restart();
            let names = disk.list(FOLDER).await.expect("the folder");
            let checkpoint = disk.contents("t-0/partition.checkpoint").expect("a checkpoint");
            let text = format!("{:?}", describe("partition.checkpoint", &checkpoint));
            let is_between =
                text.contains("replacement") && names.iter().any(|entry| entry.name.ends_with(".cleaned"));
            for entry in names.iter().filter(|_| is_between) {
                let contents = disk.contents(&format!("{FOLDER}/{}", entry.name)).expect("a file");
                fs::create_dir_all(folder()).expect("the folder is made");
                fs::write(folder().join(&entry.name), contents).expect("the file is written");
            }
            is_between
        });
        if is_written {
            return;
        }
    }
}

#[test]
fn checkpoint_2_opens_and_the_replacement_is_carried_out() {
    run(async {
        let mut bench = before_the_pass().await;
        bench.compact().await.expect("it is dirty");
        let disk = disk(2);
        for entry in fs::read_dir(folder()).expect("the fixture is there") {
            let entry = entry.expect("a file");
            let name = entry.file_name().into_string().expect("a name of ours");
            disk.put_durable(&format!("{FOLDER}/{name}"), &fs::read(entry.path()).expect("it can be read"));
        }
        let store = open(&disk, small_options()).await;
        let log = store.open_log(identity("t", 0), config(), START_MS).await.expect("it opens");
        assert_eq!(log.segment_count(), bench.log.segment_count());
        assert_eq!(log.compacted_offset(), Offset::ZERO, "the pass was not done");
        let found = read_all(&log, Offset::ZERO, 1 << 20).await;
        assert!(found == bench.contents().await, "what the pass wrote");
        let names = disk.list(FOLDER).await.expect("the folder");
        assert!(!names.iter().any(|entry| entry.name.ends_with(".cleaned")), "{names:?}");
    });
}

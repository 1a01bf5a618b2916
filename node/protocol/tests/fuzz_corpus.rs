//! Runs the fuzz targets over their committed corpora: seeds, and whatever once failed.
#![cfg(feature = "std")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/checks.rs"]
mod checks;

/// Runs `check` over each file, and over each file's beginnings.
fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is committed") {
        let path = entry.expect("the corpus can be listed").path();
        let bytes = fs::read(&path).expect("the corpus can be read");
        println!("{}", path.display());
        check(&bytes);
        for end in 0..bytes.len() {
            check(&bytes[..end]);
        }
        files += 1;
    }
    assert!(files > 0, "{} is empty", corpus.display());
}

#[test]
fn request() {
    replay("request", checks::request);
}

#[test]
fn response() {
    replay("response", checks::response);
}

#[test]
fn group_structure() {
    replay("group_structure", checks::group_structure);
}

#[test]
fn record_batch() {
    replay("record_batch", checks::record_batch);
}

#[test]
fn compressed() {
    replay("compressed", checks::compressed);
}

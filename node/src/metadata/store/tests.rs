//! The store across reopening, snapshots and damage.

use std::fs;

use super::*;
use crate::metadata::{ConfigResource, NodeId, TopicId};

/// A directory that is removed with the value.
pub(crate) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringmain-{}-{name}", std::process::id()));
        // Left over from a run that was killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Nothing depends on its removal.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config(number: u64) -> MetadataRecord {
    MetadataRecord::ConfigSet {
        resource: ConfigResource::Topic("t".to_owned()),
        name: format!("c{}", number % 7),
        value: number.to_string(),
    }
}

fn commit(store: &mut Store, image: &MetadataImage, records: &[MetadataRecord]) -> MetadataImage {
    let after = image.after(records).expect("applies");
    store.commit(records, &after).expect("durable");
    after
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let directory = TemporaryDirectory::new("store-reopen");
    let path = directory.path().join("metadata.redb");
    let (mut store, mut image) = Store::open(&path).expect("made");
    assert_eq!(image, MetadataImage::default());
    for number in 0..20 {
        image = commit(&mut store, &image, &[config(number), config(number + 1)]);
    }
    assert_eq!(store.reopen().expect("opens"), image);
    image = commit(&mut store, &image, &[config(20)]);
    drop(store);
    let (_, again) = Store::open(&path).expect("opens");
    assert_eq!(again, image);
    assert_eq!(again.version(), 41);
}

#[test]
fn a_long_log_becomes_a_snapshot_and_goes_on() {
    let directory = TemporaryDirectory::new("store-snapshot");
    let path = directory.path().join("metadata.redb");
    let (mut store, mut image) = Store::open(&path).expect("made");
    let many: Vec<_> = (0..LOG_RECORDS_MAX + 1).map(config).collect();
    image = commit(&mut store, &image, &many);
    assert_eq!(store.log_records, 0, "the log was replaced by its snapshot");
    image = commit(&mut store, &image, &[config(3)]);
    drop(store);
    let (store, again) = Store::open(&path).expect("opens");
    assert_eq!(again, image);
    assert_eq!(store.log_records, 1);
}

#[test]
fn a_second_user_is_refused() {
    let directory = TemporaryDirectory::new("store-second");
    let path = directory.path().join("metadata.redb");
    let _first = Store::open(&path).expect("made");
    let refused = Store::open(&path).expect_err("refused").to_string();
    assert!(refused.starts_with("cannot open the metadata store"), "{refused}");
}

#[test]
fn other_files_are_refused() {
    let directory = TemporaryDirectory::new("store-foreign");
    let path = directory.path().join("metadata.redb");
    fs::write(&path, b"no database at all, but long enough to be looked at".repeat(200)).expect("written");
    let refused = Store::open(&path).expect_err("refused").to_string();
    assert!(refused.contains("metadata.redb"), "{refused}");
}

#[test]
fn a_damaged_record_is_named() {
    let directory = TemporaryDirectory::new("store-damaged");
    let path = directory.path().join("metadata.redb");
    let (mut store, image) = Store::open(&path).expect("made");
    let image = commit(&mut store, &image, &[config(0), config(1)]);
    let write = store.database().expect("open").begin_write().expect("begins");
    let mut bytes = config(1).encode();
    bytes[5] ^= 1;
    write.open_table(LOG).expect("opens").insert(1, bytes.as_slice()).expect("inserts");
    write.commit().expect("commits");
    drop(store);
    let refused = Store::open(&path).expect_err("refused").to_string();
    assert!(refused.contains("is damaged: record 1 of its log: the record's checksum"), "{refused}");
    assert_eq!(image.version(), 2);
}

#[test]
fn a_missing_record_and_one_that_does_not_fit_are_named() {
    let directory = TemporaryDirectory::new("store-missing");
    let path = directory.path().join("metadata.redb");
    let (mut store, image) = Store::open(&path).expect("made");
    commit(&mut store, &image, &[config(0), config(1), config(2)]);
    let write = store.database().expect("open").begin_write().expect("begins");
    write.open_table(LOG).expect("opens").remove(1).expect("removes");
    write.commit().expect("commits");
    drop(store);
    let refused = Store::open(&path).expect_err("refused").to_string();
    assert!(refused.contains("record 1 of its log: missing, the next is 2"), "{refused}");

    let path = directory.path().join("other.redb");
    let (store, _) = Store::open(&path).expect("made");
    let stray = MetadataRecord::TopicDeleted { topic_id: TopicId([1; 16]) };
    let write = store.database().expect("open").begin_write().expect("begins");
    write.open_table(LOG).expect("opens").insert(0, stray.encode().as_slice()).expect("inserts");
    write.commit().expect("commits");
    drop(store);
    let refused = Store::open(&path).expect_err("refused").to_string();
    assert!(refused.contains("its records do not fit together"), "{refused}");
}

#[test]
fn another_layout_is_refused() {
    let directory = TemporaryDirectory::new("store-layout");
    let path = directory.path().join("metadata.redb");
    let (store, _) = Store::open(&path).expect("made");
    let write = store.database().expect("open").begin_write().expect("begins");
    write.open_table(NUMBERS).expect("opens").insert("layout", LAYOUT + 1).expect("inserts");
    write.commit().expect("commits");
    drop(store);
    assert!(matches!(Store::open(&path), Err(StoreError::Layout { found: 2, .. })));
}

/// A copy of the file, taken at any moment between commits as a crash would leave it, opens to a committed state.
#[test]
fn a_copy_of_the_file_in_use_opens_to_the_last_commit() {
    let directory = TemporaryDirectory::new("store-crash");
    let path = directory.path().join("metadata.redb");
    let (mut store, mut image) = Store::open(&path).expect("made");
    for number in 0..10 {
        let record = MetadataRecord::ProducerIdsAllocated { node_id: NodeId(1), next: number * 1000 };
        image = commit(&mut store, &image, &[record]);
        let copy = directory.path().join(format!("copy-{number}.redb"));
        fs::copy(&path, &copy).expect("copied");
        let (_, recovered) = Store::open(&copy).expect("recovers");
        assert_eq!(recovered, image);
    }
}

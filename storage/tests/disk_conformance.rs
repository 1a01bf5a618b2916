//! What every disk has to do, checked on each of them: the simulated one, the real one on the file system of the target
//! folder, and the real one on memory where there is some.
#![expect(clippy::unwrap_used, reason = "a failed test says enough by its line")]

mod disk_support;

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use disk_support::{TestFolder, target_folder, with_direct_disk};
use futures_util::future::join_all;
use ringmain_storage::disk::{
    BUFFER_BYTES_MAX, BufferSlice, Disk, DiskErrorKind, DiskFile, EntryKind, FileRange, OpenMode,
    simulated::{Executor, SimulatedDisk, SimulatedDiskOptions},
};

const BLOCK: usize = 4096;

/// One test of the suite for each implementation.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use super::*;

            #[test]
            fn simulated() {
                for seed in 0..20 {
                    for polls_max in [0, 5] {
                        let options = SimulatedDiskOptions { seed, polls_max, ..SimulatedDiskOptions::default() };
                        Executor::new(seed).run(|_spawner| super::$name(SimulatedDisk::new(options)));
                    }
                }
            }

            #[test]
            fn direct() {
                let folder = target_folder();
                with_direct_disk(folder.path(), super::$name);
            }

            #[test]
            fn direct_in_memory() {
                let memory = Path::new("/dev/shm");
                if File::open(memory).is_err() {
                    println!("SKIPPED: there is no /dev/shm");
                    return;
                }
                let folder = TestFolder::new(memory);
                with_direct_disk(folder.path(), super::$name);
            }
        }
    )+ };
}

conformance!(
    what_was_written_is_read,
    a_read_ends_where_the_file_ends,
    large_writes_arrive_whole,
    parts_arrive_one_behind_the_other,
    unaligned_access_is_refused,
    cached_reads_see_direct_writes,
    lengths_can_be_set,
    open_modes_differ,
    small_files_are_replaced_whole,
    names_can_be_changed,
    directories_nest_and_list,
    foreign_paths_are_refused,
    ranges_outlive_the_name,
    many_writes_at_once_all_arrive,
    a_dropped_write_gives_its_memory_back,
);

fn filled(disk: &impl Disk, fill: u8, length: usize) -> BufferSlice {
    let mut buffer = disk.buffers().try_take(length).unwrap();
    buffer.append(&vec![fill; length]);
    buffer.freeze(0..length)
}

async fn file_of<D: Disk>(disk: &D, path: &str, fills: &[u8]) -> D::File {
    let file = disk.open(path, OpenMode::CreateNew).await.unwrap();
    for (number, fill) in fills.iter().enumerate() {
        file.write_at((number * BLOCK) as u64, filled(disk, *fill, BLOCK)).await.unwrap();
    }
    file
}

fn bytes_of(range: &FileRange) -> Vec<u8> {
    if let Some(bytes) = range.memory() {
        return bytes.to_vec();
    }
    let descriptor = range.descriptor().unwrap().try_clone_to_owned().unwrap();
    let mut bytes = vec![0; range.length() as usize];
    File::from(descriptor).read_exact_at(&mut bytes, range.position()).unwrap();
    bytes
}

async fn what_was_written_is_read(disk: impl Disk) {
    let file = file_of(&disk, "file", &[1, 2, 3]).await;
    file.write_at_and_flush(BLOCK as u64, filled(&disk, 4, BLOCK)).await.unwrap();
    file.flush().await.unwrap();
    let read = file.read_at(0, 3 * BLOCK).await.unwrap();
    assert_eq!(read.as_slice(), [[1; BLOCK], [4; BLOCK], [3; BLOCK]].concat());
    let again = disk.open("file", OpenMode::Read).await.unwrap();
    assert_eq!(again.read_at(2 * BLOCK as u64, BLOCK).await.unwrap().as_slice(), [3; BLOCK]);
    for _ in 0..3 {
        assert!(again.write_at(0, filled(&disk, 1, BLOCK)).await.is_err(), "it was opened to read");
        assert!(again.write_at_and_flush(0, filled(&disk, 1, BLOCK)).await.is_err(), "it was opened to read");
    }
    file.write_at_and_flush(0, filled(&disk, 5, BLOCK)).await.unwrap();
}

async fn a_read_ends_where_the_file_ends(disk: impl Disk) {
    let file = file_of(&disk, "file", &[1]).await;
    assert_eq!(file.read_at(0, 4 * BLOCK).await.unwrap().as_slice(), [1; BLOCK]);
    assert!(file.read_at(BLOCK as u64, BLOCK).await.unwrap().is_empty());
    assert!(file.read_at(1 << 40, BLOCK).await.unwrap().is_empty());
    file.set_length(BLOCK as u64 + 100).await.unwrap();
    assert_eq!(file.read_at(0, 4 * BLOCK).await.unwrap().len(), BLOCK + 100);
    assert_eq!(file.read_cached(BLOCK as u64 + 90, 5 * BLOCK).await.unwrap().as_ref(), [0; 10]);
    assert!(file.read_cached(1 << 40, 10).await.unwrap().is_empty());
}

async fn large_writes_arrive_whole(disk: impl Disk) {
    let file = disk.open("file", OpenMode::CreateNew).await.unwrap();
    for (number, fill) in [5, 6, 7].into_iter().enumerate() {
        let position = (number * BUFFER_BYTES_MAX) as u64;
        file.write_at_and_flush(position, filled(&disk, fill, BUFFER_BYTES_MAX)).await.unwrap();
    }
    for (number, fill) in [5, 6, 7].into_iter().enumerate() {
        let read = file.read_at((number * BUFFER_BYTES_MAX) as u64, BUFFER_BYTES_MAX).await.unwrap();
        assert!(read.len() == BUFFER_BYTES_MAX && read.as_slice().iter().all(|byte| *byte == fill));
    }
    let part = file.read_cached(BUFFER_BYTES_MAX as u64 - 1, BUFFER_BYTES_MAX + 2).await.unwrap();
    assert_eq!((part.len(), part[0], part[1], part[BUFFER_BYTES_MAX + 1]), (BUFFER_BYTES_MAX + 2, 5, 6, 7));
}

async fn parts_arrive_one_behind_the_other(disk: impl Disk) {
    let file = file_of(&disk, "parts", &[1]).await;
    let parts = vec![filled(&disk, 2, 3 * BLOCK), filled(&disk, 3, BLOCK), filled(&disk, 4, 2 * BLOCK)];
    file.write_parts_at(BLOCK as u64, parts).await.unwrap();
    let mut expected = Vec::new();
    for (fill, blocks) in [(1, 1), (2, 3), (3, 1), (4, 2)] {
        expected.extend_from_slice(&vec![fill; blocks * BLOCK]);
    }
    assert_eq!(file.length().await.unwrap(), expected.len() as u64);
    assert!(file.read_at(0, 8 * BLOCK).await.unwrap().as_slice() == expected);
    let odd = vec![filled(&disk, 5, BLOCK), filled(&disk, 6, BLOCK).slice(0..100)];
    let refused = file.write_parts_at(0, odd).await.unwrap_err();
    assert_eq!(refused.kind, DiskErrorKind::Unaligned);
}

async fn unaligned_access_is_refused(disk: impl Disk) {
    let file = file_of(&disk, "file", &[1, 1]).await;
    let slice = filled(&disk, 2, 2 * BLOCK);
    let position = file.write_at(512, slice.slice(0..BLOCK)).await.unwrap_err();
    let length = file.write_at(0, slice.slice(0..BLOCK - 1)).await.unwrap_err();
    let memory = file.write_at_and_flush(0, slice.slice(1..BLOCK + 1)).await.unwrap_err();
    let read = file.read_at(0, 100).await.unwrap_err();
    for error in [position, length, memory, read] {
        assert_eq!((error.kind, error.path.as_str()), (DiskErrorKind::Unaligned, "file"));
    }
    assert_eq!(file.read_at(0, 2 * BLOCK).await.unwrap().as_slice(), [1; 2 * BLOCK]);
}

async fn cached_reads_see_direct_writes(disk: impl Disk) {
    let file = file_of(&disk, "file", &[1, 2]).await;
    for fill in 3..20 {
        let seen = file.read_cached(BLOCK as u64 - 1, 2).await.unwrap();
        assert_eq!(seen[1], fill - 1);
        file.write_at(BLOCK as u64, filled(&disk, fill, BLOCK)).await.unwrap();
    }
}

async fn lengths_can_be_set(disk: impl Disk) {
    let file = file_of(&disk, "file", &[1, 2]).await;
    assert_eq!(file.length().await.unwrap(), 2 * BLOCK as u64);
    file.set_length(10).await.unwrap();
    file.set_length(2 * BLOCK as u64).await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(file.length().await.unwrap(), 2 * BLOCK as u64);
    let read = file.read_cached(0, 2 * BLOCK).await.unwrap();
    assert!(
        read[..10] == [1; 10] && read[10..].iter().all(|byte| *byte == 0),
        "what was cut off comes back as zeros"
    );
}

async fn open_modes_differ(disk: impl Disk) {
    for mode in [OpenMode::Read, OpenMode::ReadWrite] {
        let error = disk.open("file", mode).await.err().unwrap();
        assert_eq!((error.kind, error.path.as_str()), (DiskErrorKind::NotFound, "file"));
    }
    disk.open("file", OpenMode::CreateNew).await.unwrap();
    assert_eq!(disk.open("file", OpenMode::CreateNew).await.err().unwrap().kind, DiskErrorKind::Exists);
    assert_eq!(disk.open("no/file", OpenMode::CreateNew).await.err().unwrap().kind, DiskErrorKind::NotFound);
    disk.open("file", OpenMode::ReadWrite).await.unwrap();
}

async fn small_files_are_replaced_whole(disk: impl Disk) {
    assert_eq!(disk.read_small("small", 10).await.unwrap_err().kind, DiskErrorKind::NotFound);
    disk.replace("small", b"a long first content", true).await.unwrap();
    disk.replace("small", b"short", false).await.unwrap();
    assert_eq!(disk.read_small("small", 5).await.unwrap(), b"short");
    assert_eq!(disk.read_small("small", 4).await.unwrap_err().kind, DiskErrorKind::TooLarge);
    disk.replace("small", b"", true).await.unwrap();
    assert!(disk.read_small("small", 0).await.unwrap().is_empty());
    let names: Vec<_> = disk.list("").await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["small"]);
}

async fn names_can_be_changed(disk: impl Disk) {
    let file = file_of(&disk, "one", &[1]).await;
    file_of(&disk, "two", &[2]).await;
    disk.rename("one", "two").await.unwrap();
    disk.flush_directory("").await.unwrap();
    assert_eq!(disk.rename("one", "two").await.unwrap_err().kind, DiskErrorKind::NotFound);
    let two = disk.open("two", OpenMode::Read).await.unwrap();
    assert_eq!(two.read_at(0, BLOCK).await.unwrap().as_slice(), [1; BLOCK]);
    disk.remove("two").await.unwrap();
    assert_eq!(disk.remove("two").await.unwrap_err().kind, DiskErrorKind::NotFound);
    assert_eq!(file.read_at(0, BLOCK).await.unwrap().as_slice(), [1; BLOCK], "an open file stays readable");
    assert_eq!(file.read_cached(0, 2).await.unwrap().as_ref(), [1; 2]);
}

async fn directories_nest_and_list(disk: impl Disk) {
    disk.create_directory("journal/0").await.unwrap();
    disk.create_directory("journal/0").await.unwrap();
    file_of(&disk, "journal/b", &[1]).await;
    file_of(&disk, "journal/a", &[]).await;
    let entries = disk.list("journal").await.unwrap();
    let seen: Vec<_> =
        entries.iter().map(|entry| (entry.name.as_str(), entry.kind, entry.size_bytes)).collect();
    let expected =
        [("0", EntryKind::Directory, 0), ("a", EntryKind::File, 0), ("b", EntryKind::File, BLOCK as u64)];
    assert_eq!(seen, expected);
    assert_eq!(disk.list("").await.unwrap().len(), 1);
    assert_eq!(disk.list("nothing").await.unwrap_err().kind, DiskErrorKind::NotFound);
    assert_eq!(disk.flush_directory("nothing").await.unwrap_err().kind, DiskErrorKind::NotFound);
    assert_eq!(disk.remove_directory("journal").await.unwrap_err().kind, DiskErrorKind::NotEmpty);
    disk.rename("journal", "old").await.unwrap();
    assert_eq!(disk.open("old/b", OpenMode::Read).await.unwrap().length().await.unwrap(), BLOCK as u64);
    disk.remove_directory("old/0").await.unwrap();
    disk.flush_directory("old").await.unwrap();
    assert_eq!(disk.list("old").await.unwrap().len(), 2);
    assert!(disk.create_directory("old/a").await.is_err(), "a file is in the way");
}

async fn foreign_paths_are_refused(disk: impl Disk) {
    for path in ["", "/etc/passwd", "../out", "a/../../out", "a//b", "a/./b", "nul\0"] {
        assert_eq!(disk.open(path, OpenMode::Read).await.err().unwrap().kind, DiskErrorKind::InvalidPath);
        assert_eq!(disk.remove(path).await.unwrap_err().kind, DiskErrorKind::InvalidPath);
        assert_eq!(disk.rename("a", path).await.unwrap_err().kind, DiskErrorKind::InvalidPath);
        assert_eq!(disk.replace(path, b"x", false).await.unwrap_err().kind, DiskErrorKind::InvalidPath);
    }
}

async fn ranges_outlive_the_name(disk: impl Disk) {
    let file = file_of(&disk, "file", &[1, 2]).await;
    assert!(!file.has_outstanding_ranges());
    let range = file.range(BLOCK as u64 - 2, 4).unwrap();
    let part = range.slice(1, 2);
    assert!(file.has_outstanding_ranges());
    disk.remove("file").await.unwrap();
    assert_eq!((bytes_of(&range), bytes_of(&part)), (vec![1, 1, 2, 2], vec![1, 2]));
    drop(range);
    assert!(file.has_outstanding_ranges());
    drop(part);
    assert!(!file.has_outstanding_ranges());
}

async fn many_writes_at_once_all_arrive(disk: impl Disk) {
    let file = disk.open("file", OpenMode::CreateNew).await.unwrap();
    let writes = (0..500).map(|number: u64| {
        let slice = filled(&disk, (number % 251) as u8, BLOCK);
        file.write_at(number * BLOCK as u64, slice)
    });
    assert!(join_all(writes).await.into_iter().all(|result| result.is_ok()));
    for number in 0..500 {
        let read = file.read_at(number * BLOCK as u64, BLOCK).await.unwrap();
        assert_eq!(read.as_slice(), [(number % 251) as u8; BLOCK]);
    }
    assert_eq!(file.length().await.unwrap(), 500 * BLOCK as u64);
}

async fn a_dropped_write_gives_its_memory_back(disk: impl Disk) {
    let file = file_of(&disk, "file", &[1]).await;
    for _ in 0..200 {
        let mut write = Box::pin(file.write_at(0, filled(&disk, 1, BLOCK)));
        let _polled_once = futures_util::future::poll_immediate(write.as_mut()).await;
        drop(write);
        file.flush().await.unwrap();
        assert_eq!(file.read_at(0, BLOCK).await.unwrap().as_slice(), [1; BLOCK]);
    }
    // A flush waits for the writes that ended before it, not for one that nobody waits for any more: the
    // kernel may hold its buffer a while longer, on a busy disk a good while.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = disk.buffers().stats();
        if stats.allocated_bytes - stats.free_bytes <= BLOCK {
            break;
        }
        assert!(Instant::now() < deadline, "dropped writes still hold their memory: {stats:?}");
        file.read_at(0, BLOCK).await.unwrap();
    }
}

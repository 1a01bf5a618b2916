//! What only the real disk and its ring do: readiness of sockets, the end of a ring, facts of this machine.
#![expect(clippy::unwrap_used, reason = "a failed test says enough by its line")]

mod disk_support;

use std::{
    cell::Cell,
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    rc::Rc,
    time::Duration,
};

use disk_support::{in_executor, target_folder, with_direct_disk};
use futures_channel::oneshot;
use futures_util::future::{join_all, poll_immediate};
use ringmain_storage::disk::{
    Disk, DiskFile, OpenMode,
    direct::{FileSystem, RingOptions, probe_disk, probe_ring, sleep, spawn},
};

const BLOCK: usize = 4096;

/// Runs `future` beside the others; its value comes by the channel.
fn spawn_for_value<T: 'static>(future: impl Future<Output = T> + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    spawn(async move { drop(sender.send(future.await)) });
    receiver
}

#[test]
fn a_socket_is_waited_for_until_it_can_be_read() {
    in_executor(RingOptions::default(), |ring| async move {
        let (mut near, far) = UnixStream::pair().unwrap();
        let arrived = Rc::new(Cell::new(false));
        let (waiting, note) = (ring.clone(), arrived.clone());
        let reader = spawn_for_value(async move {
            waiting.poll_readable(far.as_fd()).await.unwrap();
            note.set(true);
            far
        });
        sleep(Duration::from_millis(5)).await;
        assert!(!arrived.get());
        near.write_all(b"x").unwrap();
        let mut far = reader.await.unwrap();
        assert_eq!(far.read(&mut [0; 1]).unwrap(), 1);
        ring.poll_writable(far.as_fd()).await.unwrap();
        drop(near);
        ring.poll_readable(far.as_fd()).await.expect("the other end's close counts as readable");
        ring.stop().await;
    });
}

#[test]
fn a_full_socket_is_waited_for_until_it_can_be_written() {
    in_executor(RingOptions::default(), |ring| async move {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        while near.write(&[0; 4096]).is_ok() {}
        assert!(poll_immediate(ring.poll_writable(near.as_fd())).await.is_none());
        let waiting = ring.clone();
        let writer = spawn_for_value(async move {
            waiting.poll_writable(near.as_fd()).await.unwrap();
            near.write(b"x").unwrap()
        });
        sleep(Duration::from_millis(2)).await;
        // A socket counts as writable when most of its buffer is free.
        far.set_nonblocking(true).unwrap();
        while far.read(&mut [0; 8192]).is_ok() {}
        assert_eq!(writer.await.unwrap(), 1);
        ring.stop().await;
    });
}

#[test]
fn a_dropped_poll_lets_go_of_the_socket() {
    in_executor(RingOptions::default(), |ring| async move {
        for polls in [false, true] {
            let (mut near, far) = UnixStream::pair().unwrap();
            near.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut poll = Box::pin(ring.poll_readable(far.as_fd()));
            assert!(poll_immediate(&mut poll).await.is_none());
            if polls {
                sleep(Duration::from_millis(2)).await;
            }
            drop(poll);
            drop(far);
            sleep(Duration::from_millis(20)).await;
            assert_eq!(near.read(&mut [0; 1]).expect("the other end was closed"), 0);
        }
        assert_eq!(ring.operations_under_way(), 0);
        ring.stop().await;
    });
}

#[test]
fn a_ring_stops_with_polls_under_way() {
    in_executor(RingOptions::default(), |ring| async move {
        let (_near, far) = UnixStream::pair().unwrap();
        let waiting = ring.clone();
        spawn(async move { waiting.poll_readable(far.as_fd()).await.unwrap() });
        sleep(Duration::from_millis(2)).await;
        assert_eq!(ring.operations_under_way(), 1);
        ring.stop().await;
    });
}

#[test]
fn many_sockets_are_waited_for_at_once() {
    // More than the submission queue holds, and than disk operations are allowed.
    const SOCKETS: usize = 400;
    in_executor(RingOptions { entries: 64, operations_max: 4 }, |ring| async move {
        let (mut near, far): (Vec<_>, Vec<_>) = (0..SOCKETS).map(|_| UnixStream::pair().unwrap()).unzip();
        let waiting = ring.clone();
        let readers = spawn_for_value(async move {
            join_all(far.iter().map(|socket| waiting.poll_readable(socket.as_fd()))).await.len()
        });
        sleep(Duration::from_millis(5)).await;
        assert_eq!(ring.operations_under_way(), SOCKETS);
        near.iter_mut().for_each(|socket| socket.write_all(b"x").unwrap());
        assert_eq!(readers.await.unwrap(), SOCKETS);
        ring.stop().await;
        let counters = ring.counters();
        assert!(counters.submits < counters.operations / 2, "submissions gather: {counters:?}");
    });
}

#[test]
fn stopping_waits_for_writes_that_nobody_waits_for() {
    let folder = target_folder();
    let path = folder.path().join("file");
    with_direct_disk(folder.path(), |disk| async move {
        let file = disk.open("file", OpenMode::CreateNew).await.unwrap();
        for position in 0..64 {
            let mut buffer = disk.buffers().try_take(1 << 20).unwrap();
            buffer.append(&vec![9; 1 << 20]);
            let mut write = Box::pin(file.write_at(position << 20, buffer.freeze(0..1 << 20)));
            assert!(poll_immediate(&mut write).await.is_none());
            drop(write);
            drop(buffer);
            if disk.buffers().stats().allocated_bytes == disk.buffers().stats().budget_bytes {
                break;
            }
        }
        assert!(disk.ring().operations_under_way() > 0);
    });
    let written = std::fs::read(path).unwrap();
    assert!(!written.is_empty() && written.len().is_multiple_of(1 << 20));
    assert!(written.iter().all(|byte| *byte == 9));
}

#[test]
fn operations_beyond_the_limit_wait_for_their_turn() {
    let folder = target_folder();
    let path = folder.path().to_owned();
    in_executor(RingOptions { entries: 8, operations_max: 2 }, move |ring| async move {
        let facts = probe_disk(&path).unwrap();
        let disk =
            ringmain_storage::disk::direct::DirectDisk::new(&path, facts, ring.clone(), Default::default());
        let file = disk.open("file", OpenMode::CreateNew).await.unwrap();
        let writes = (0..50).map(|number| {
            let mut buffer = disk.buffers().try_take(BLOCK).unwrap();
            buffer.append(&[1; BLOCK]);
            file.write_at_and_flush(number * BLOCK as u64, buffer.freeze(0..BLOCK))
        });
        assert!(join_all(writes).await.iter().all(Result::is_ok));
        assert!(ring.counters().admissions_delayed >= 48, "{:?}", ring.counters());
        ring.stop().await;
    });
}

#[test]
fn the_page_cache_is_seen_where_the_kernel_shows_it() {
    let folder = target_folder();
    with_direct_disk(folder.path(), |disk| async move {
        if !disk.facts().direct_io || disk.facts().file_system == FileSystem::Tmpfs {
            println!("SKIPPED: this file system has no direct I/O");
            return;
        }
        let file = disk.open("file", OpenMode::CreateNew).await.unwrap();
        let mut buffer = disk.buffers().try_take(1 << 20).unwrap();
        buffer.append(&vec![1; 1 << 20]);
        file.write_at_and_flush(0, buffer.freeze(0..1 << 20)).await.unwrap();
        assert!(!file.is_cached(0, 1 << 20), "it was written past the page cache");
        file.read_cached(0, 1 << 20).await.unwrap();
        if !file.is_cached(0, 1 << 20) {
            println!("SKIPPED: the kernel does not tell what the page cache holds");
            return;
        }
        assert!(file.is_cached(100, 5000));
        assert!(!file.is_cached((1 << 20) - 10, 4096 + 20), "behind its end nothing is cached");
    });
}

#[test]
fn large_buffers_are_registered_where_memory_may_be_locked() {
    let folder = target_folder();
    with_direct_disk(folder.path(), |disk| async move {
        let file = disk.open("file", OpenMode::CreateNew).await.unwrap();
        for round in 0..3 {
            let mut buffer = disk.buffers().try_take(1 << 20).unwrap();
            buffer.append(&vec![round; 1 << 20]);
            file.write_at(0, buffer.freeze(0..1 << 20)).await.unwrap();
            assert_eq!(file.read_at(0, 1 << 20).await.unwrap().as_slice(), buffer.as_slice());
        }
        let counters = disk.ring().counters();
        assert!(counters.buffers_registered + counters.buffers_refused > 0, "{counters:?}");
        disk.buffers().begin_period();
        while disk.buffers().give_back_idle() > 0 {}
        assert_eq!(disk.ring().counters().buffers_registered, 0);
        assert_eq!(disk.buffers().stats().allocated_bytes, 0);
    });
}

#[test]
fn this_machine_can_run_us() {
    probe_ring().unwrap();
    let folder = target_folder();
    let facts = probe_disk(folder.path()).unwrap();
    println!("{} {facts:?}", facts.file_system);
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "the probe leaves nothing behind");
}

#[test]
fn a_ring_that_stops_leaves_no_file_open() {
    const FILES: usize = 64;
    let folder = target_folder();
    let path = folder.path().to_owned();
    with_direct_disk(folder.path(), |disk| async move {
        let mut files = Vec::new();
        for number in 0..FILES {
            files.push(disk.open(&format!("file-{number}"), OpenMode::CreateNew).await.unwrap());
        }
    });
    let open_files =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.path().read_link().ok());
    let left: Vec<_> = open_files.filter(|target| target.starts_with(&path)).collect();
    assert!(left.is_empty(), "{left:?}");
}

//! Runs a test of the real disk inside a glommio executor.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::{
    fs,
    future::{Future, poll_fn},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};
use ringmain_storage::disk::{
    BufferPoolOptions,
    direct::{DirectDisk, Ring, RingOptions, probe_disk},
};

/// A new folder that goes away with this.
pub(crate) struct TestFolder(PathBuf);

impl TestFolder {
    pub(crate) fn new(parent: &Path) -> TestFolder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("ringmain-disk-test-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("a folder for the test");
        TestFolder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        // A test that fails shall report its own failure.
        let _result = fs::remove_dir_all(&self.0);
    }
}

/// Where the tests write: the file system of the target folder.
pub(crate) fn target_folder() -> TestFolder {
    TestFolder::new(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// Runs `test` on a disk in `folder`, and then waits until the ring has nothing left to do.
pub(crate) fn with_direct_disk<F>(folder: &Path, test: impl FnOnce(DirectDisk) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let folder = folder.to_owned();
    in_executor(move || async move {
        let facts = probe_disk(&folder).expect("the folder can be used");
        let ring = Ring::start(RingOptions::default()).expect("io_uring can be used");
        let disk = DirectDisk::new(&folder, facts, ring.clone(), BufferPoolOptions::default());
        test(disk).await;
        ring.stop().await;
    });
}

/// Runs `test` in an executor of its own, with the thread that wakes it when it parks with work to do: glommio 0.9 does.
pub(crate) fn in_executor<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let ended = Arc::new(AtomicBool::new(false));
    let idle: Arc<Mutex<Option<Waker>>> = Arc::default();
    let kicker = {
        let (ended, idle) = (ended.clone(), idle.clone());
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
                if let Some(waker) = &*idle.lock().expect("nobody panics with the lock") {
                    waker.wake_by_ref();
                }
            }
        })
    };
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(2))
        .spawn(move || async move {
            glommio::spawn_local(poll_fn(move |context| {
                *idle.lock().expect("nobody panics with the lock") = Some(context.waker().clone());
                Poll::<()>::Pending
            }))
            .detach();
            test().await;
        })
        .expect("an executor");
    let result = executor.join();
    ended.store(true, Ordering::Relaxed);
    kicker.join().expect("the kicker does not panic");
    result.expect("the test passes");
}

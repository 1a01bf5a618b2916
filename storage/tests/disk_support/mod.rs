//! Runs a test of the real disk inside an executor of its own.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use ringmain_storage::disk::{
    BufferPoolOptions,
    direct::{DirectDisk, Executor, Ring, RingOptions, probe_disk},
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
pub(crate) fn with_direct_disk<F>(folder: &Path, test: impl FnOnce(DirectDisk) -> F + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let folder = folder.to_owned();
    in_executor(RingOptions::default(), move |ring| async move {
        let facts = probe_disk(&folder).expect("the folder can be used");
        let disk = DirectDisk::new(&folder, facts, ring.clone(), BufferPoolOptions::default());
        test(disk).await;
        ring.stop().await;
    });
}

/// Runs `test` in an executor of its own, on this thread.
pub(crate) fn in_executor<F>(options: RingOptions, test: impl FnOnce(Ring) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let executor = Executor::new(options).expect("io_uring can be used");
    let test = test(executor.ring().clone());
    executor.run(test);
}

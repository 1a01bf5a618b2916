//! The thread over a real store across restarts, and over a log that fails.

use super::super::controller::{CreateTopic, CreatedTopic, Refusal};
use super::*;
use crate::metadata::store::tests::TemporaryDirectory;

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

fn options() -> MetadataOptions {
    let advertised = HostPort { host: "localhost".to_owned(), port: 9092 };
    MetadataOptions::new(&NodeConfig::default(), advertised)
}

fn start_in(directory: &TemporaryDirectory) -> (DataDirectory, MetadataHandle, MetadataThread) {
    let data = DataDirectory::open(directory.path(), NodeId(1), None).expect("opens");
    let (handle, thread) = start(&data, options()).expect("starts");
    (data, handle, thread)
}

fn create(handle: &MetadataHandle, name: &str) -> Result<CreatedTopic, Refusal> {
    let topics = vec![CreateTopic::with_defaults(name)];
    block_on(handle.create_topics(topics, false)).expect("decided").remove(0)
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let directory = TemporaryDirectory::new("control-restart");
    let (data, handle, thread) = start_in(&directory);
    let cluster_id = data.cluster_id().to_string();
    let created = create(&handle, "orders").expect("made");
    assert_eq!(handle.image().topic("orders").map(|topic| topic.id), Some(created.topic_id));
    let first = block_on(handle.allocate_producer_ids(NodeId(1))).expect("decided").expect("given");
    drop((data, handle));
    thread.join();

    let (data, handle, thread) = start_in(&directory);
    let image = handle.image();
    assert_eq!(image.cluster_id(), cluster_id);
    let topic = image.topic("orders").expect("there");
    assert_eq!(topic.id, created.topic_id);
    assert_eq!(topic.partitions[0].leader_epoch.value(), 1, "a restart begins a new leadership");
    assert_eq!(image.nodes()[&NodeId(1)].registration_epoch, 1);
    let second = block_on(handle.allocate_producer_ids(NodeId(1))).expect("decided").expect("given");
    assert_eq!(second.first, first.first + first.count);
    drop((data, handle));
    thread.join();
}

#[test]
fn requests_that_wait_together_see_each_other() {
    let directory = TemporaryDirectory::new("control-batch");
    let (_data, handle, _thread) = start_in(&directory);
    let creates: Vec<_> =
        (0..50).map(|_| handle.create_topics(vec![CreateTopic::with_defaults("same")], false)).collect();
    let results = block_on(futures_util::future::join_all(creates));
    let made = results.into_iter().filter(|result| matches!(result.as_deref(), Ok([Ok(_)]))).count();
    assert_eq!(made, 1);
}

#[test]
fn a_watch_hears_of_a_change() {
    let directory = TemporaryDirectory::new("control-watch");
    let (_data, handle, _thread) = start_in(&directory);
    let mut watch = handle.watch();
    block_on(watch.changed()).expect("the first image");
    create(&handle, "orders").expect("made");
    let image = block_on(watch.changed()).expect("the second image");
    assert!(image.topic("orders").is_some());
}

#[test]
fn the_store_of_another_cluster_is_refused() {
    let (one, other) = (TemporaryDirectory::new("cluster-1"), TemporaryDirectory::new("cluster-2"));
    for directory in [&one, &other] {
        let (data, handle, thread) = start_in(directory);
        drop((data, handle));
        thread.join();
    }
    let name = crate::metadata::data_directory::METADATA_FILE;
    std::fs::copy(one.path().join(name), other.path().join(name)).expect("copied");
    let data = DataDirectory::open(other.path(), NodeId(1), None).expect("opens");
    let refused = start(&data, options()).expect_err("refused").to_string();
    assert!(refused.contains("belongs to cluster"), "{refused}");
}

/// Commits once and fails from then on.
struct FailingLog(bool);

impl RecordLog for FailingLog {
    fn commit(&mut self, _: &[MetadataRecord], _: &MetadataImage) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.0, true) {
            let (path, problem) = (PathBuf::from("x"), "no space".to_owned());
            return Err(StoreError::Unusable { operation: "write to", path, problem });
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<MetadataImage, StoreError> {
        unreachable!("it is not full")
    }
}

/// A store on a disk that is full for as long as `refusals` says; `keeps` says whether what failed turns out to be durable.
struct FullLog {
    refusals: u32,
    keeps: bool,
    durable: MetadataImage,
}

impl RecordLog for FullLog {
    fn commit(&mut self, _: &[MetadataRecord], after: &MetadataImage) -> Result<(), StoreError> {
        let is_full = self.refusals > 0;
        if !is_full || self.keeps {
            self.durable = after.clone();
        }
        if is_full { Err(StoreError::Full { path: PathBuf::from("x") }) } else { Ok(()) }
    }

    fn reopen(&mut self) -> Result<MetadataImage, StoreError> {
        self.refusals -= 1;
        if self.refusals > 0 {
            return Err(StoreError::Full { path: PathBuf::from("x") });
        }
        Ok(self.durable.clone())
    }
}

#[test]
fn room_that_is_made_is_used_without_a_restart() {
    for keeps in [false, true] {
        let options = options();
        let image = MetadataImage::default().after(&registration(&MetadataImage::default(), "c", &options));
        let image = image.expect("applies");
        let log = FullLog { refusals: 2, keeps, durable: image.clone() };
        let (handle, thread) = run(log, image, options.controller).expect("starts");
        let try_create = || block_on(handle.create_topics(vec![CreateTopic::with_defaults("t")], false));
        assert_eq!(try_create(), Err(MetadataError::Full), "the commit fails");
        assert!(handle.image().topic("t").is_none());
        assert_eq!(try_create(), Err(MetadataError::Full), "it cannot be opened again");
        let third = try_create().expect("decided").remove(0);
        assert_eq!(third.is_err(), keeps, "what was durable is known: {third:?}");
        assert!(handle.image().topic("t").is_some());
        drop(handle);
        thread.join();
    }
}

#[test]
fn a_failed_commit_is_neither_published_nor_answered_as_done() {
    let options = options();
    let image = MetadataImage::default().after(&registration(&MetadataImage::default(), "c", &options));
    let (handle, thread) =
        run(FailingLog(false), image.expect("applies"), options.controller).expect("starts");
    create(&handle, "first").expect("made");
    let second = vec![CreateTopic::with_defaults("second")];
    assert_eq!(block_on(handle.create_topics(second.clone(), false)), Err(MetadataError::Stopped));
    assert!(handle.image().topic("second").is_none());
    let mut watch = handle.watch();
    assert!(block_on(watch.changed()).is_some_and(|image| image.topic("first").is_some()));
    assert_eq!(block_on(watch.changed()), None);
    assert_eq!(block_on(handle.create_topics(second, false)), Err(MetadataError::Stopped));
    thread.join();
}

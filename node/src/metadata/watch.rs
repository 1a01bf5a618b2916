//! The newest image, and a way to wait for a newer one.
//!
//! One writer, the metadata thread; readers on every shard. The lock is held for a pointer copy. A reader that is slow
//! misses images in between and gets the newest: an image is a state, not an event.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::MetadataImage;

/// The writer's end.
#[derive(Debug)]
pub(super) struct ImagePublisher(Arc<Mutex<Shared>>);

/// A reader's end; clone it for each reader.
#[derive(Debug)]
pub struct ImageWatch {
    shared: Arc<Mutex<Shared>>,
    seen_version: u64,
}

#[derive(Debug)]
struct Shared {
    image: Arc<MetadataImage>,
    waiting: Vec<Waker>,
    closed: bool,
}

impl ImagePublisher {
    pub(super) fn new(image: Arc<MetadataImage>) -> Self {
        Self(Arc::new(Mutex::new(Shared { image, waiting: Vec::new(), closed: false })))
    }

    pub(super) fn publish(&self, image: Arc<MetadataImage>) {
        let waiting = {
            let mut shared = lock(&self.0);
            shared.image = image;
            std::mem::take(&mut shared.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn watch(&self) -> ImageWatch {
        ImageWatch { shared: Arc::clone(&self.0), seen_version: 0 }
    }
}

impl Drop for ImagePublisher {
    fn drop(&mut self) {
        let waiting = {
            let mut shared = lock(&self.0);
            shared.closed = true;
            std::mem::take(&mut shared.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl ImageWatch {
    /// The newest image.
    pub fn current(&self) -> Arc<MetadataImage> {
        Arc::clone(&lock(&self.shared).image)
    }

    /// Waits for an image newer than the one that this watch returned last; the first call returns at once. `None` when
    /// there will be no more, because the metadata thread has ended.
    pub async fn changed(&mut self) -> Option<Arc<MetadataImage>> {
        poll_fn(|context| {
            let mut shared = lock(&self.shared);
            if shared.image.version() > self.seen_version {
                self.seen_version = shared.image.version();
                return Poll::Ready(Some(Arc::clone(&shared.image)));
            }
            if shared.closed {
                return Poll::Ready(None);
            }
            if !shared.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                shared.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl Clone for ImageWatch {
    /// The copy has seen what the original has.
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen_version: self.seen_version }
    }
}

/// A panic of another holder cannot leave a pointer copy half done.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::metadata::MetadataRecord;

    fn image(records: usize) -> Arc<MetadataImage> {
        let record = MetadataRecord::ClusterCreated { cluster_id: "c".to_owned() };
        Arc::new(MetadataImage::default().after(&vec![record; records]).expect("applies"))
    }

    #[test]
    fn a_watch_sees_the_newest_image_once() {
        let publisher = ImagePublisher::new(image(1));
        let mut watch = publisher.watch();
        let version =
            |image: Option<Option<Arc<MetadataImage>>>| image.map(|image| image.map(|i| i.version()));
        assert_eq!(version(watch.changed().now_or_never()), Some(Some(1)));
        assert_eq!(version(watch.changed().now_or_never()), None);
        publisher.publish(image(2));
        publisher.publish(image(3));
        assert_eq!(version(watch.changed().now_or_never()), Some(Some(3)));
        drop(publisher);
        assert_eq!(version(watch.changed().now_or_never()), Some(None));
        assert_eq!(watch.current().version(), 3);
    }

    #[test]
    fn a_waiting_watch_is_woken_from_another_thread() {
        let publisher = ImagePublisher::new(image(0));
        let mut watch = publisher.watch();
        let writer = std::thread::spawn(move || publisher.publish(image(5)));
        let seen = block_on(watch.changed());
        assert_eq!(seen.map(|image| image.version()), Some(5));
        writer.join().expect("the writer does not panic");
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = std::task::Context::from_waker(&waker);
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            std::thread::park();
        }
    }
}

//! The metadata as this shard uses it: topics with their resolved configuration, and the order in which an image is applied.
//!
//! An image is applied by what it has otherwise than the one before it: a change of one in-sync set must not cost a look at
//! ten thousand partitions.
//!
//! What must hold: images are applied in order; when a version counts as applied, every partition of it that this shard
//! keeps is open or known to be damaged.
//! Does not do: logs and roles (`replicas.rs`).

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use ringmain_replication::NodeEpoch;
use ringmain_storage::TopicId;

use super::{Partition, Shard};
use crate::{
    config::TopicConfig,
    metadata::{ImageChanges, MetadataImage, TopicImage},
};

/// A topic with the configuration that holds for it on this node.
pub(crate) struct Topic {
    image: Arc<TopicImage>,
    config: TopicConfig,
}

impl Topic {
    pub(crate) fn topic_id(&self) -> TopicId {
        self.image.id
    }

    pub(crate) fn config(&self) -> &TopicConfig {
        &self.config
    }

    pub(super) fn image(&self) -> &TopicImage {
        &self.image
    }

    pub(crate) fn has_partition(&self, partition: i32) -> bool {
        usize::try_from(partition).is_ok_and(|partition| partition < self.image.partitions.len())
    }
}

/// The newest image and what was made of it.
pub(super) struct Topics {
    image: RefCell<Arc<MetadataImage>>,
    /// Filled when a topic is first asked for; a new image empties what it has otherwise.
    resolved: RefCell<HashMap<Box<str>, Rc<Topic>>>,
    /// The one of them that was asked for last: often it is the next one too.
    last: RefCell<Option<Rc<Topic>>>,
    applied: Cell<u64>,
    /// The registration of this process by which roles were given last: only from then on changes are enough.
    roles_of: Cell<Option<NodeEpoch>>,
    /// The shortest time until something must be flushed, once it was asked for.
    flush_period: Cell<Option<Duration>>,
    waiting: RefCell<Vec<Waker>>,
}

/// What is to be looked at in a new image.
pub(super) enum Scope<'c> {
    /// Everything.
    All,
    /// What the image before it had otherwise.
    Changes(&'c ImageChanges<'c>),
}

impl Topics {
    pub(super) fn new() -> Self {
        Self {
            image: RefCell::default(),
            resolved: RefCell::default(),
            last: RefCell::default(),
            applied: Cell::new(0),
            roles_of: Cell::new(None),
            flush_period: Cell::new(None),
            waiting: RefCell::default(),
        }
    }
}

impl Shard {
    /// The newest metadata.
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.topics.image.borrow().clone()
    }

    /// A topic of the newest metadata.
    pub(crate) fn topic(&self, name: &str) -> Option<Rc<Topic>> {
        if let Some(topic) = self.topics.last.borrow().as_ref().filter(|last| *last.image.name == *name) {
            return Some(topic.clone());
        }
        if let Some(topic) = self.topics.resolved.borrow().get(name) {
            self.topics.last.replace(Some(topic.clone()));
            return Some(topic.clone());
        }
        let image = self.topics.image.borrow();
        let topic = self.resolve(&image, image.topic(name)?);
        self.topics.resolved.borrow_mut().insert(name.into(), topic.clone());
        Some(topic)
    }

    /// The name that a topic has now.
    pub(crate) fn topic_name(&self, topic_id: TopicId) -> Option<Rc<str>> {
        self.topics.image.borrow().topic_by_id(topic_id).map(|topic| Rc::from(&*topic.name))
    }

    fn resolve(&self, image: &MetadataImage, topic: &Arc<TopicImage>) -> Rc<Topic> {
        let config = image.topic_config(&topic.name, self.node.node_id(), &self.config().topic_defaults);
        Rc::new(Topic { image: topic.clone(), config })
    }

    /// The topic of an image that was just set.
    pub(super) fn topic_of_image(&self, topic: &TopicImage) -> Rc<Topic> {
        self.topic(&topic.name).expect("the image that was just set has its topics")
    }

    /// Opens the logs of an image that may be older than this process: no roles come from it. Returns how many cannot be
    /// opened.
    pub(crate) async fn open_logs(self: &Rc<Self>, image: &Arc<MetadataImage>) -> usize {
        let before = self.image();
        self.set_image(image, &image.changes_since(&before));
        self.open_missing_logs(image, &Scope::All).await;
        self.refused_count()
    }

    /// Opens the logs that an image gives this shard, closes and deletes those that it gives to nobody here any more, and
    /// gives roles: the last two only by an image that knows the registration of this process.
    pub(crate) async fn apply(self: &Rc<Self>, image: Arc<MetadataImage>) {
        let version = image.version();
        let before = self.image();
        let changes = image.changes_since(&before);
        self.set_image(&image, &changes);
        let node_epoch = self.registration(&image);
        // What depends on nodes or on configurations of all may be any partition.
        let is_little = node_epoch.is_some() && node_epoch == self.topics.roles_of.get();
        let scope = match is_little && !changes.nodes && !changes.shared_configs {
            true => Scope::Changes(&changes),
            false => Scope::All,
        };
        if node_epoch.is_some() {
            self.close_absent(&image, &scope).await;
        }
        self.open_missing_logs(&image, &scope).await;
        if let Some(node_epoch) = node_epoch {
            self.assign_roles(&image, node_epoch, &scope);
            self.forget_leaders(&scope);
        }
        self.topics.roles_of.set(node_epoch);
        self.apply_to_coordinators(&changes, &image);
        self.topics.applied.set(version);
        self.metadata().applied(self.id().0, version);
        self.topics.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Takes another image, and forgets what was made of the one before it and is otherwise now.
    fn set_image(&self, image: &Arc<MetadataImage>, changes: &ImageChanges<'_>) {
        self.topics.image.replace(image.clone());
        self.topics.last.take();
        let topics = || changes.deleted.iter().chain(&changes.created).chain(&changes.configured);
        if changes.shared_configs || topics().next().is_some() {
            self.topics.flush_period.set(None);
        }
        let mut resolved = self.topics.resolved.borrow_mut();
        if changes.shared_configs {
            resolved.clear();
        }
        for topic in topics().chain(changes.partitions.iter().map(|(topic, _, _)| topic)) {
            resolved.remove(&*topic.name);
        }
    }

    /// Waits until this shard serves what the metadata had at `version`.
    pub(crate) async fn applied(&self, version: u64) {
        poll_fn(|context| {
            if self.topics.applied.get() >= version {
                return Poll::Ready(());
            }
            self.topics.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits until all shards serve what the metadata has now, so that a client may use what it has just made.
    pub(crate) async fn applied_everywhere(self: &Rc<Self>) {
        let version = self.metadata().image().version();
        for shard in self.all_shards() {
            self.run_on(shard, move |shard| async move { shard.applied(version).await }).await;
        }
    }

    /// The partitions that this shard serves.
    pub(crate) fn all_partitions(&self) -> Vec<Rc<Partition>> {
        self.partitions.borrow().values().cloned().collect()
    }

    /// The shortest time after which something that `write.caching` left must be flushed.
    pub(super) fn flush_period(&self) -> Duration {
        if let Some(known) = self.topics.flush_period.get() {
            return known;
        }
        let image = self.image();
        let cached = image.topics().filter_map(|topic| self.topic(&topic.name));
        let cached = cached.filter(|topic| topic.config.write_caching);
        let shortest = cached.map(|topic| topic.config.flush_ms).min().unwrap_or(FLUSH_PERIOD_MAX_MS);
        let period = Duration::from_millis(shortest.clamp(1, FLUSH_PERIOD_MAX_MS).unsigned_abs());
        self.topics.flush_period.set(Some(period));
        period
    }
}

/// Longest time between two flushes of what `write.caching` left.
const FLUSH_PERIOD_MAX_MS: i64 = crate::config::topic::WRITE_CACHING_FLUSH_MS_MAX;

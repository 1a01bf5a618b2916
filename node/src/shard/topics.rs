//! The metadata as this shard uses it: topics with their resolved configuration, and partitions opened and closed to
//! match the newest image.
//!
//! What must hold: images are applied in order; when a version counts as applied, every partition of it that this shard
//! owns is open or known to be damaged. A partition that cannot be opened does not keep the others from being served.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use futures_util::StreamExt;
use ringmain_replication::{AssignedReplica, Assignment, NodeEpoch, NodeId, PartitionEpoch};
use ringmain_storage::{LogIdentity, LogKey, TopicId};

use super::{Partition, Shard, partition::log_config};
use crate::{
    config::TopicConfig,
    metadata::{MetadataImage, PartitionImage, TopicImage},
    runtime,
};

/// Logs opened at once: each waits for a few small reads, and more would only queue at the disk.
const OPENING_AT_ONCE: usize = 32;

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

    pub(crate) fn has_partition(&self, partition: i32) -> bool {
        usize::try_from(partition).is_ok_and(|partition| partition < self.image.partitions.len())
    }
}

/// The newest image and what was made of it.
pub(super) struct Topics {
    image: RefCell<Arc<MetadataImage>>,
    /// Filled when a topic is first asked for, emptied by each new image.
    resolved: RefCell<HashMap<Box<str>, Rc<Topic>>>,
    /// The one of them that was asked for last: often it is the next one too.
    last: RefCell<Option<Rc<Topic>>>,
    /// Partitions that could not be opened, with the reason.
    damaged: RefCell<HashMap<LogKey, String>>,
    applied: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Topics {
    pub(super) fn new() -> Self {
        Self {
            image: RefCell::default(),
            resolved: RefCell::default(),
            last: RefCell::default(),
            damaged: RefCell::default(),
            applied: Cell::new(0),
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

    /// Whether the partition could not be opened.
    pub(crate) fn is_damaged(&self, key: LogKey) -> bool {
        self.topics.damaged.borrow().contains_key(&key)
    }

    /// Opens what an image has, closes and deletes what it no longer has.
    pub(crate) async fn apply(self: &Rc<Self>, image: Arc<MetadataImage>) {
        let version = image.version();
        let before = self.topics.image.replace(image.clone());
        self.topics.resolved.borrow_mut().clear();
        self.topics.last.take();
        self.close_absent(&image).await;
        let mut to_open = Vec::new();
        for topic in image.topics() {
            let resolved = self.topic(&topic.name).expect("the image that was just set has its topics");
            for (index, partition) in (0..).zip(&topic.partitions) {
                let key = LogKey { topic_id: topic.id, partition: index };
                if self.owner(key) != self.id() || self.is_damaged(key) {
                    continue;
                }
                match self.partition(key) {
                    Some(open) => {
                        open.configure(self, resolved.config());
                        open.assign(self, self.assignment(&image, partition));
                    }
                    None => to_open.push((key, resolved.clone(), partition.clone())),
                }
            }
        }
        let opening = to_open.into_iter().map(|(key, topic, partition)| self.open(key, topic, partition));
        futures_util::stream::iter(opening).buffer_unordered(OPENING_AT_ONCE).collect::<()>().await;
        self.apply_to_coordinators(&before, &image);
        self.topics.applied.set(version);
        self.topics.waiting.borrow_mut().drain(..).for_each(Waker::wake);
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

    async fn open(self: &Rc<Self>, key: LogKey, topic: Rc<Topic>, partition: PartitionImage) {
        let name = topic.image.name.to_string();
        let identity = LogIdentity { topic_id: key.topic_id, topic: name, partition: key.partition };
        let folder = identity.folder();
        let config = log_config(&topic.config, self.config());
        match self.store.open_log(identity, config, runtime::unix_ms()).await {
            Ok(log) => {
                let image = self.image();
                let node_epoch =
                    self.registration(&image).expect("a node is registered before it opens a log");
                let open = Partition::new(log, &topic.config, NodeId(self.node.node_id().0), node_epoch);
                open.assign(self, self.assignment(&image, &partition));
                self.partitions.borrow_mut().insert(key, open);
            }
            Err(error) => {
                tracing::error!(partition = folder, %error, "refuse a partition; all others are served");
                self.topics.damaged.borrow_mut().insert(key, error.to_string());
            }
        }
    }

    async fn close_absent(self: &Rc<Self>, image: &MetadataImage) {
        let present = |key: &LogKey| image.topic_by_id(key.topic_id).is_some();
        let absent: Vec<Rc<Partition>> = {
            let mut partitions = self.partitions.borrow_mut();
            let keys: Vec<LogKey> = partitions.keys().filter(|key| !present(key)).copied().collect();
            keys.iter().filter_map(|key| partitions.remove(key)).collect()
        };
        self.topics.damaged.borrow_mut().retain(|key, _| present(key));
        for partition in absent {
            partition.close(self);
            if let Err(error) = self.store.delete_log(partition.log()).await {
                let index = partition.key().partition;
                tracing::error!(topic = partition.topic(), partition = index, %error, "delete a log");
            }
        }
    }

    /// This node's registration in an image.
    fn registration(&self, image: &MetadataImage) -> Option<NodeEpoch> {
        image.nodes().get(&self.node.node_id()).map(|node| NodeEpoch(node.registration_epoch))
    }

    /// A partition's metadata in the terms of its replica.
    fn assignment(&self, image: &MetadataImage, partition: &PartitionImage) -> Assignment {
        let replica = |node: &crate::metadata::NodeId| {
            let registered = image.nodes().get(node);
            AssignedReplica {
                node: NodeId(node.0),
                node_epoch: registered.map(|node| NodeEpoch(node.registration_epoch)),
                is_eligible: registered.is_some_and(|node| node.is_active()),
            }
        };
        Assignment {
            registered: self.registration(image),
            replicas: partition.replicas.iter().map(replica).collect(),
            leader: partition.leader.map(|leader| NodeId(leader.0)),
            leader_epoch: partition.leader_epoch,
            in_sync: partition.in_sync.iter().map(|node| NodeId(node.0)).collect(),
            partition_epoch: PartitionEpoch(partition.partition_epoch.0),
        }
    }

    /// The partitions that this shard serves.
    pub(crate) fn all_partitions(&self) -> Vec<Rc<Partition>> {
        self.partitions.borrow().values().cloned().collect()
    }

    /// The shortest time after which something that `write.caching` left must be flushed.
    pub(super) fn flush_period(&self) -> std::time::Duration {
        let image = self.image();
        let cached = image.topics().filter_map(|topic| self.topic(&topic.name));
        let cached = cached.filter(|topic| topic.config.write_caching);
        let shortest = cached.map(|topic| topic.config.flush_ms).min().unwrap_or(FLUSH_PERIOD_MAX_MS);
        std::time::Duration::from_millis(shortest.clamp(1, FLUSH_PERIOD_MAX_MS).unsigned_abs())
    }
}

/// Longest time between two flushes of what `write.caching` left.
const FLUSH_PERIOD_MAX_MS: i64 = crate::config::topic::WRITE_CACHING_FLUSH_MS_MAX;

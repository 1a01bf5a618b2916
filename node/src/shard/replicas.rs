//! The replicas that this shard keeps: logs opened and closed to match the metadata, and the roles that it gives them.
//!
//! Logs are opened by whatever image there is, also by one that is older than this process: what is damaged must be known
//! before the node registers. Roles are taken, and logs deleted, only by an image that knows the registration of this
//! process: an older one may speak of logs that others have replaced since.
//!
//! What must hold: a log is open if the newest image gives this node a replica, or it was refused; one that
//! cannot be opened does not keep the others from being served. One for which the disk had no room is tried again.
//! Does not do: decisions about a partition (`ringmain-replication`).

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    future,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use ringmain_replication::{AssignedReplica, Assignment, NodeEpoch, NodeId, PartitionEpoch};
use ringmain_storage::{Log, LogIdentity, LogKey, OpenError, TopicId};

use super::{
    Partition, Shard,
    partition::log_config,
    topics::{Scope, Topic},
};
use crate::{
    metadata::{MetadataImage, PartitionImage, TopicImage},
    runtime::{self, NodeDisk},
};

/// How often a log is tried again that the disk had no room for.
const OPEN_AGAIN_PERIOD: Duration = Duration::from_secs(2);

/// Logs opened at once: each waits for a few small reads, and more would only queue at the disk.
const OPENING_AT_ONCE: usize = 32;

/// Logs that are not served: not yet, or not at all.
#[derive(Default)]
pub(super) struct UnservedLogs {
    /// Opened before this process was registered.
    without_role: RefCell<HashMap<LogKey, Log<NodeDisk>>>,
    /// Those that could not be opened, and whether that may pass.
    refused: RefCell<HashMap<LogKey, Refusal>>,
}

/// For how long a log is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Until the next start: an operator has to decide.
    Lasting,
    /// The disk had no room for what an opening writes, or the process no file.
    Passing,
}

fn refusal_for(error: &OpenError) -> Refusal {
    match error {
        OpenError::Disk(error) if error.is_recoverable() => Refusal::Passing,
        _ => Refusal::Lasting,
    }
}

impl Shard {
    /// Whether the partition could not be opened.
    pub(crate) fn is_refused(&self, key: LogKey) -> bool {
        self.unserved.refused.borrow().contains_key(&key)
    }

    /// How many partitions of this shard could not be opened.
    pub(crate) fn refused_count(&self) -> usize {
        self.unserved.refused.borrow().len()
    }

    /// The registration of this process in an image; `None` while the image is older, or knows another start.
    pub(super) fn registration(&self, image: &MetadataImage) -> Option<NodeEpoch> {
        let node = image.nodes().get(&self.node.node_id())?;
        (node.incarnation_id == self.node.incarnation_id).then_some(NodeEpoch(node.registration_epoch))
    }

    /// Opens the logs of the image that are not open yet.
    pub(super) async fn open_missing_logs(self: &Rc<Self>, image: &MetadataImage, scope: &Scope<'_>) {
        let mut missing = Vec::new();
        for (key, topic, _) in self.kept_partitions(image, scope) {
            let is_open = self.partition(key).is_some()
                || self.unserved.without_role.borrow().contains_key(&key)
                || self.is_refused(key);
            if !is_open {
                missing.push((key, topic));
            }
        }
        let (progress, shard) = (&self.node.progress, self.id.0);
        progress.found_logs(shard, missing.len());
        let missing = missing.into_iter().map(|(key, topic)| async move {
            self.open_log(key, topic).await;
            progress.opened_log(shard);
        });
        futures_util::stream::iter(missing).buffer_unordered(OPENING_AT_ONCE).collect::<()>().await;
    }

    /// Gives every open log the role and the configuration that the image has for it.
    pub(super) fn assign_roles(
        self: &Rc<Self>,
        image: &MetadataImage,
        node_epoch: NodeEpoch,
        scope: &Scope<'_>,
    ) {
        for (key, topic, partition) in self.kept_partitions(image, scope) {
            let open = match self.partition(key) {
                Some(open) => {
                    open.configure(self, topic.config());
                    open
                }
                None => {
                    let Some(log) = self.unserved.without_role.borrow_mut().remove(&key) else { continue };
                    let traffic = self.traffic.of(key.topic_id, &topic.image().name);
                    let open = Partition::new(log, topic.config(), self.config(), node_epoch, traffic);
                    self.partitions.borrow_mut().insert(key, open.clone());
                    open
                }
            };
            open.assign(self, self.assignment(image, partition));
        }
    }

    /// The partitions of an image of which this shard keeps a replica; of changes, those whose role or configuration may be
    /// another.
    fn kept_partitions<'a>(
        &self,
        image: &'a MetadataImage,
        scope: &Scope<'a>,
    ) -> Vec<(LogKey, Rc<Topic>, &'a PartitionImage)> {
        match scope {
            Scope::All => self.kept_of(image.partitions()),
            Scope::Changes(changes) => {
                let configured = changes.configured.iter().flat_map(|topic| {
                    (0..).zip(&topic.partitions).map(|(index, partition)| (*topic, index, &**partition))
                });
                self.kept_of(changes.partitions.iter().copied().chain(configured))
            }
        }
    }

    fn kept_of<'a>(
        &self,
        partitions: impl Iterator<Item = (&'a Arc<TopicImage>, i32, &'a PartitionImage)>,
    ) -> Vec<(LogKey, Rc<Topic>, &'a PartitionImage)> {
        let node_id = self.node.node_id();
        let mut kept = Vec::new();
        let mut resolved: Option<Rc<Topic>> = None;
        for (image, index, partition) in partitions {
            let key = LogKey { topic_id: image.id, partition: index };
            if self.owner(key) == self.id() && partition.replicas.contains(&node_id) {
                let topic = match resolved.take().filter(|topic| topic.topic_id() == image.id) {
                    Some(topic) => topic,
                    None => self.topic_of_image(image),
                };
                kept.push((key, topic.clone(), partition));
                resolved = Some(topic);
            }
        }
        kept
    }

    async fn open_log(self: &Rc<Self>, key: LogKey, topic: Rc<Topic>) {
        let name = topic.image().name.to_string();
        let identity = LogIdentity { topic_id: key.topic_id, topic: name, partition: key.partition };
        let folder = identity.folder();
        let opened = match self.open_identity(identity.clone(), &topic).await {
            Err(OpenError::OtherTopic { found, .. }) if self.may_replace(found) => {
                tracing::info!(partition = folder, "replace the log of a topic that was deleted");
                self.replace_log(identity, found, &topic).await
            }
            // The image may be older than the folder: which of them is right a later one will tell.
            Err(OpenError::OtherTopic { .. }) if self.registration(&self.image()).is_none() => return,
            opened => opened.map_err(|error| (error.to_string(), refusal_for(&error))),
        };
        match opened {
            Ok(log) => {
                self.unserved.without_role.borrow_mut().insert(key, log);
                if self.unserved.refused.borrow_mut().remove(&key).is_some() {
                    tracing::info!(partition = folder, "serve a partition that was refused");
                }
            }
            Err((error, refusal)) => {
                if self.unserved.refused.borrow_mut().insert(key, refusal) != Some(refusal) {
                    tracing::error!(partition = folder, %error, "refuse a partition; all others are served");
                }
            }
        }
    }

    /// Resolves when it is time for [`Shard::open_refused_again`]; never while nothing is refused that may pass.
    pub(crate) async fn time_to_open_again(&self) {
        match self.refused_for_now().is_empty() {
            true => future::pending().await,
            false => runtime::sleep(OPEN_AGAIN_PERIOD).await,
        }
    }

    /// Opens the logs that were refused for a reason that may have passed, until one meets it again. Not while an image
    /// is applied.
    pub(crate) async fn open_refused_again(self: &Rc<Self>) {
        let image = self.image();
        let refused = self.refused_for_now();
        let mut has_opened = false;
        for (key, topic, _) in self.kept_partitions(&image, &Scope::All) {
            if !refused.contains(&key) {
                continue;
            }
            self.open_log(key, topic).await;
            if self.is_refused(key) {
                break;
            }
            has_opened = true;
        }
        if let (true, Some(node_epoch)) = (has_opened, self.registration(&image)) {
            self.assign_roles(&image, node_epoch, &Scope::All);
        }
    }

    fn refused_for_now(&self) -> HashSet<LogKey> {
        let refused = self.unserved.refused.borrow();
        refused.iter().filter(|(_, refusal)| **refusal == Refusal::Passing).map(|(key, _)| *key).collect()
    }

    async fn open_identity(&self, identity: LogIdentity, topic: &Topic) -> Result<Log<NodeDisk>, OpenError> {
        let config = log_config(topic.config(), self.config());
        self.store.open_log(identity, config, runtime::unix_ms()).await
    }

    /// Whether a log in the place of another topic's may go: the process ended between the deletion of its topic and that of
    /// its files, and a topic of the same name was made since. A node that is alone keeps it: nobody else has the metadata,
    /// and an operator may have restored an old copy.
    fn may_replace(&self, found: TopicId) -> bool {
        let image = self.image();
        let is_newer_than_this_process = self.registration(&image).is_some();
        self.config().cluster.is_some() && is_newer_than_this_process && image.topic_by_id(found).is_none()
    }

    async fn replace_log(
        &self,
        identity: LogIdentity,
        found: TopicId,
        topic: &Topic,
    ) -> Result<Log<NodeDisk>, (String, Refusal)> {
        let refused = |error: OpenError| (error.to_string(), refusal_for(&error));
        let old = LogIdentity { topic_id: found, ..identity.clone() };
        let old = self.open_identity(old, topic).await.map_err(refused)?;
        let deleted = self.store.delete_log(&old).await;
        deleted.map_err(|error| (error.to_string(), Refusal::Lasting))?;
        self.open_identity(identity, topic).await.map_err(refused)
    }

    /// Closes and deletes the logs of which an image gives this node no replica.
    pub(super) async fn close_absent(self: &Rc<Self>, image: &MetadataImage, scope: &Scope<'_>) {
        let node_id = self.node.node_id();
        let is_kept = |key: &LogKey| {
            image.partition(key.topic_id, key.partition).is_some_and(|it| it.replicas.contains(&node_id))
        };
        let (mut absent, mut without_role) = (Vec::new(), Vec::new());
        for key in self.looked_at(scope).into_iter().filter(|key| !is_kept(key)) {
            absent.extend(self.partitions.borrow_mut().remove(&key));
            without_role.extend(self.unserved.without_role.borrow_mut().remove(&key));
            self.unserved.refused.borrow_mut().remove(&key);
        }
        for partition in absent {
            let has_topic = image.topic_by_id(partition.key().topic_id).is_some();
            partition.close(self, has_topic);
            self.delete_log(partition.log()).await;
        }
        for log in without_role {
            self.delete_log(&log).await;
        }
    }

    /// Partitions of which a new image may give this node no replica any more, or another leader; they need not be of this
    /// shard.
    pub(super) fn looked_at(&self, scope: &Scope<'_>) -> Vec<LogKey> {
        match scope {
            Scope::All => {
                let (partitions, refused) = (self.partitions.borrow(), self.unserved.refused.borrow());
                let without_role = self.unserved.without_role.borrow();
                partitions.keys().chain(without_role.keys()).chain(refused.keys()).copied().collect()
            }
            Scope::Changes(changes) => {
                let of = |topic: &Arc<TopicImage>, partition| LogKey { topic_id: topic.id, partition };
                let deleted = changes.deleted.iter();
                let deleted = deleted.flat_map(|topic| {
                    (0..).zip(&topic.partitions).map(|(partition, _)| of(topic, partition))
                });
                deleted.chain(changes.partitions.iter().map(|(topic, index, _)| of(topic, *index))).collect()
            }
        }
    }

    async fn delete_log(&self, log: &Log<NodeDisk>) {
        let partition = log.identity().folder();
        match self.store.delete_log(log).await {
            Ok(()) => tracing::info!(partition, "deleted the log: this node keeps no replica any more"),
            Err(error) => tracing::error!(partition, %error, "delete a log"),
        }
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
}

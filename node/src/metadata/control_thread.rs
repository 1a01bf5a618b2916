//! The metadata thread: requests in, decisions by the controller, durable, then applied and published, then answered.
//!
//! In steps, for whatever waits: each request is decided against the image that the ones before it give; all their
//! records are committed together, so a hundred topics cost one flush; the new image is published; every request is
//! answered. What must hold: nothing is published or answered before it is durable; an answer comes after the image that
//! it speaks of. Failure modes: when the store fails, the requests at hand and all later ones are answered with
//! [`MetadataError::Stopped`], and the thread ends, because what reached the disk is unknown.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;
use ringmain_protocol::ErrorCode;

use super::controller::{
    AlterConfigs, ConfigTarget, Controller, ControllerOptions, CreatePartitions, CreateTopic, CreatedTopic,
    Decision, DeleteTopic, DeletedTopic, ElectedPartition, ElectionKind, ProducerIdBlock, Reassignment,
    Refusal, UpdateFeature,
};
use super::data_directory::DataDirectory;
use super::identity::random_topic_id;

use super::store::{RecordLog, Store, StoreError};
use super::watch::{ImagePublisher, ImageWatch};
use super::{MetadataImage, MetadataRecord, NodeId};
use crate::config::{HostPort, NodeConfig};

/// Requests that may wait for the thread. A client that changes metadata waits for its answer, so more than this is a
/// storm, and it is refused rather than kept.
const QUEUE_REQUESTS_MAX: usize = 1024;

/// Requests that are committed together: bounds the time until the first of them is answered.
const BATCH_REQUESTS_MAX: usize = 256;

/// What the metadata thread needs to know.
#[derive(Debug, Clone)]
pub struct MetadataOptions {
    /// What the controller decides by.
    pub controller: ControllerOptions,
    /// Where clients are told to reach this node.
    pub advertised: HostPort,
    /// This node's rack.
    pub rack: Option<String>,
}

impl MetadataOptions {
    /// As the node is configured; `advertised` is where its listener can be reached.
    pub fn new(config: &NodeConfig, advertised: HostPort) -> Self {
        let controller = ControllerOptions {
            node_id: NodeId(config.node_id),
            default_partitions: config.topics.default_partitions,
            default_replication_factor: config.topics.default_replication_factor,
            partitions_max: config.topics.partitions_max,
            partitions_per_request_max: config.topics.partitions_per_request_max,
            topic_defaults: config.topic_defaults.clone(),
        };
        Self { controller, advertised, rack: config.rack.clone() }
    }
}

/// Why the metadata cannot be read at a start.
#[derive(Debug, thiserror::Error)]
pub enum MetadataStartError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is that of another cluster.
    #[error(
        "the metadata store {path} belongs to cluster {found}, but the data directory to cluster {expected}; restore \
         both from the same copy",
        path = path.display()
    )]
    OtherCluster {
        /// The store.
        path: PathBuf,
        /// Its cluster.
        found: String,
        /// The directory's cluster.
        expected: String,
    },
    /// The system refused a thread.
    #[error("cannot start the metadata thread: {0}")]
    Thread(io::Error),
}

/// Why a request was not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Too many wait already.
    #[error("too many metadata changes wait; try again")]
    Busy,
    /// The thread has ended: the node is stopping, or its store failed.
    #[error("the metadata of this node cannot be changed any more; its log says why")]
    Stopped,
}

impl MetadataError {
    /// The code for the client; it tries again with either.
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::Busy => ErrorCode::REQUEST_TIMED_OUT,
            Self::Stopped => ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
}

/// How every shard reaches the metadata thread. The thread ends with [`MetadataHandle::stop`] or the last handle.
#[derive(Debug, Clone)]
pub struct MetadataHandle {
    requests: SyncSender<Request>,
    watch: ImageWatch,
}

/// The thread itself, to wait for its end.
#[derive(Debug)]
pub struct MetadataThread(JoinHandle<()>);

impl MetadataThread {
    /// Waits until the thread has ended, after it was told to.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the metadata thread panicked");
        }
    }
}

/// What waits for the thread.
enum Request {
    /// A change to decide.
    Decide(Decide),
    /// The node stops.
    Stop,
}

/// Decides a request: the records to commit, and what to do once they are.
type Decide = Box<dyn FnOnce(Decider<'_>) -> (Vec<MetadataRecord>, Answer) + Send>;

/// Sends the answer: the decided one, or `Stopped`.
type Answer = Box<dyn FnOnce(Result<(), MetadataError>) + Send>;

/// What a request is decided with.
struct Decider<'a> {
    controller: Controller<'a>,
    new_topic_id: &'a mut dyn FnMut() -> ringmain_storage::TopicId,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

/// Reads the metadata of a data directory, registers this node in it, and starts the thread.
pub fn start(
    directory: &DataDirectory,
    options: MetadataOptions,
) -> Result<(MetadataHandle, MetadataThread), MetadataStartError> {
    let path = directory.metadata_path();
    let (mut store, mut image) = Store::open(&path)?;
    let expected = directory.cluster_id().as_str();
    let is_new = image.version() == 0;
    if !is_new && image.cluster_id() != expected {
        let found = image.cluster_id().to_owned();
        return Err(MetadataStartError::OtherCluster { path, found, expected: expected.to_owned() });
    }
    let records = registration(&image, expected, &options);
    image = image.after(&records).expect("a registration fits every image");
    store.commit(&records, &image)?;
    run(store, image, options.controller).map_err(MetadataStartError::Thread)
}

/// Starts the thread over any log.
fn run(
    log: impl RecordLog + Send + 'static,
    image: MetadataImage,
    options: ControllerOptions,
) -> io::Result<(MetadataHandle, MetadataThread)> {
    let image = Arc::new(image);
    let publisher = ImagePublisher::new(Arc::clone(&image));
    let watch = publisher.watch();
    let (requests, receiver) = sync_channel(QUEUE_REQUESTS_MAX);
    let control = ControlThread { log, image, options, publisher, requests: receiver };
    let thread = thread::Builder::new().name("metadata".to_owned()).spawn(move || control.run())?;
    Ok((MetadataHandle { requests, watch }, MetadataThread(thread)))
}

/// What a start records: the cluster when there is none yet, and this node's next registration.
fn registration(image: &MetadataImage, cluster_id: &str, options: &MetadataOptions) -> Vec<MetadataRecord> {
    let node_id = options.controller.node_id;
    let registered = MetadataRecord::LoneNodeStarted {
        node_id,
        registration_epoch: image.nodes().get(&node_id).map_or(0, |node| node.registration_epoch + 1),
        host: options.advertised.host.clone(),
        port: options.advertised.port,
        rack: options.rack.clone(),
    };
    let created = MetadataRecord::ClusterCreated { cluster_id: cluster_id.to_owned() };
    if image.version() == 0 { vec![created, registered] } else { vec![registered] }
}

struct ControlThread<L> {
    log: L,
    image: Arc<MetadataImage>,
    options: ControllerOptions,
    publisher: ImagePublisher,
    requests: Receiver<Request>,
}

impl<L: RecordLog> ControlThread<L> {
    fn run(mut self) {
        while let Ok(first) = self.requests.recv() {
            let waiting = std::iter::once(first).chain(self.requests.try_iter().take(BATCH_REQUESTS_MAX - 1));
            let mut batch = Vec::new();
            let mut stop = false;
            for request in waiting {
                match request {
                    Request::Decide(decide) => batch.push(decide),
                    Request::Stop => stop = true,
                }
            }
            if let Err(error) = self.decide(batch) {
                tracing::error!("the metadata of this node can no longer be changed: {error}");
                return;
            }
            if stop {
                return;
            }
        }
    }

    fn decide(&mut self, batch: Vec<Decide>) -> Result<(), StoreError> {
        let mut image = MetadataImage::clone(&self.image);
        let mut records = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        for request in batch {
            let decider = Decider {
                controller: Controller::new(&image, &self.options),
                new_topic_id: &mut || random_topic_id().expect("the kernel's random generator is there"),
            };
            let (decided, answer) = request(decider);
            image = image
                .after(&decided)
                .expect("the controller decides against the image that it is applied to");
            records.extend(decided);
            answers.push(answer);
        }
        let committed = if records.is_empty() { Ok(()) } else { self.log.commit(&records, &image) };
        if committed.is_ok() && !records.is_empty() {
            self.image = Arc::new(image);
            self.publisher.publish(Arc::clone(&self.image));
        }
        let outcome = if committed.is_ok() { Ok(()) } else { Err(MetadataError::Stopped) };
        answers.into_iter().for_each(|answer| answer(outcome));
        committed
    }
}

impl MetadataHandle {
    /// The newest image.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.watch.current()
    }

    /// Ends the thread once what waits is decided. Tasks that never end hold handles for as long as the process lives, so
    /// a stop cannot wait for the last of them.
    pub fn stop(&self) {
        // The only failure is that the thread has ended already.
        if self.requests.send(Request::Stop).is_err() {
            tracing::debug!("the metadata thread had ended before it was told to");
        }
    }

    /// A watch of the images to come.
    pub fn watch(&self) -> ImageWatch {
        self.watch.clone()
    }

    /// Makes topics; see [`Controller::create_topics`].
    pub async fn create_topics(
        &self,
        topics: Vec<CreateTopic>,
        validate_only: bool,
    ) -> Result<Vec<Result<CreatedTopic, Refusal>>, MetadataError> {
        self.request(move |decider| {
            decider.controller.create_topics(&topics, validate_only, decider.new_topic_id)
        })
        .await
    }

    /// Deletes topics; see [`Controller::delete_topics`].
    pub async fn delete_topics(
        &self,
        topics: Vec<DeleteTopic>,
    ) -> Result<Vec<Result<DeletedTopic, Refusal>>, MetadataError> {
        self.request(move |decider| decider.controller.delete_topics(&topics)).await
    }

    /// Adds partitions; see [`Controller::create_partitions`].
    pub async fn create_partitions(
        &self,
        topics: Vec<CreatePartitions>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), Refusal>>, MetadataError> {
        self.request(move |decider| decider.controller.create_partitions(&topics, validate_only)).await
    }

    /// Changes configurations; see [`Controller::alter_configs`].
    pub async fn alter_configs(
        &self,
        resources: Vec<(ConfigTarget, AlterConfigs)>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), Refusal>>, MetadataError> {
        self.request(move |decider| decider.controller.alter_configs(&resources, validate_only)).await
    }

    /// Elects leaders; see [`Controller::elect_leaders`].
    pub async fn elect_leaders(
        &self,
        kind: ElectionKind,
        partitions: Option<Vec<(String, i32)>>,
    ) -> Result<Vec<ElectedPartition>, MetadataError> {
        self.request(move |decider| decider.controller.elect_leaders(kind, partitions.as_deref())).await
    }

    /// Moves partitions; see [`Controller::reassign`].
    pub async fn reassign(
        &self,
        partitions: Vec<Reassignment>,
    ) -> Result<Vec<Result<(), Refusal>>, MetadataError> {
        self.request(move |decider| decider.controller.reassign(&partitions)).await
    }

    /// Takes a node out of the cluster; see [`Controller::unregister_node`].
    pub async fn unregister_node(&self, node_id: NodeId) -> Result<Result<(), Refusal>, MetadataError> {
        self.request(move |decider| decider.controller.unregister_node(node_id)).await
    }

    /// Changes levels of features; see [`Controller::update_features`].
    pub async fn update_features(
        &self,
        updates: Vec<UpdateFeature>,
        validate_only: bool,
    ) -> Result<Result<(), Refusal>, MetadataError> {
        self.request(move |decider| decider.controller.update_features(&updates, validate_only)).await
    }

    /// Takes the next block of producer ids for `node_id`.
    pub async fn allocate_producer_ids(
        &self,
        node_id: NodeId,
    ) -> Result<Result<ProducerIdBlock, Refusal>, MetadataError> {
        self.request(move |decider| decider.controller.allocate_producer_ids(node_id)).await
    }

    async fn request<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Decider<'_>) -> Decision<T> + Send + 'static,
    ) -> Result<T, MetadataError> {
        let (sender, receiver) = oneshot::channel();
        let request = Request::Decide(Box::new(move |decider| {
            let Decision { records, answer } = decide(decider);
            let reply: Answer = Box::new(move |outcome| {
                // A client that is gone needs no answer.
                let _ = sender.send(outcome.map(|()| answer));
            });
            (records, reply)
        }));
        match self.requests.try_send(request) {
            Ok(()) => receiver.await.unwrap_or(Err(MetadataError::Stopped)),
            Err(TrySendError::Full(_)) => Err(MetadataError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(MetadataError::Stopped),
        }
    }
}

#[cfg(test)]
mod tests;

//! The metadata thread of a node that is alone: requests in, decisions by the controller, durable, then applied and published, then answered.
//!
//! In steps, for whatever waits: each request is decided against the image that the ones before it give; all their
//! records are committed together, so a hundred topics cost one flush; the new image is published; every request is
//! answered. What must hold: nothing is published or answered before it is durable; an answer comes after the image that
//! it speaks of. Failure modes: while the disk is full requests are answered with [`MetadataError::Full`], and before the next
//! decision the store is read again, because what reached the disk is unknown. When the store fails otherwise, the requests at
//! hand and all later ones are answered with [`MetadataError::Stopped`], and the thread ends.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;

use super::controller::{Controller, ControllerAnswer, ControllerOptions, ControllerRequest};
use super::data_directory::DataDirectory;
use super::handle::{MetadataError, MetadataHandle};
use super::identity::random_topic_id;
use super::store::{RecordLog, Store, StoreError};
use super::watch::ImagePublisher;
use super::{MetadataImage, MetadataRecord, NodeId, Sessions};
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

/// The thread itself, to wait for its end.
#[derive(Debug)]
pub struct MetadataThread(pub(super) JoinHandle<()>);

impl MetadataThread {
    /// Waits until the thread has ended, after it was told to.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the metadata thread panicked");
        }
    }
}

/// What waits for the thread.
#[derive(Debug)]
pub(super) enum Request {
    /// A change to decide.
    Decide(ControllerRequest, Reply),
    /// The node stops.
    Stop,
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
    let control = ControlThread { log, image, options, publisher, requests: receiver, is_log_unknown: false };
    let thread = thread::Builder::new().name("metadata".to_owned()).spawn(move || control.run())?;
    Ok((MetadataHandle::alone(requests, watch), MetadataThread(thread)))
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
    /// A commit failed on a full disk: what is durable has to be read before anything is decided.
    is_log_unknown: bool,
}

impl<L: RecordLog> ControlThread<L> {
    fn run(mut self) {
        while let Ok(first) = self.requests.recv() {
            let waiting = std::iter::once(first).chain(self.requests.try_iter().take(BATCH_REQUESTS_MAX - 1));
            let mut batch = Vec::new();
            let mut stop = false;
            for request in waiting {
                match request {
                    Request::Decide(request, reply) => batch.push((request, reply)),
                    Request::Stop => stop = true,
                }
            }
            match self.decide(batch) {
                Ok(()) => {}
                Err(error @ StoreError::Full { .. }) => {
                    if !std::mem::replace(&mut self.is_log_unknown, true) {
                        tracing::error!("the metadata of this node cannot be changed for now: {error}");
                    }
                }
                Err(error) => {
                    tracing::error!("the metadata of this node can no longer be changed: {error}");
                    return;
                }
            }
            if stop {
                return;
            }
        }
    }

    /// Takes over what turns out to be durable after a commit that failed on a full disk.
    fn read_log_again(&mut self) -> Result<(), StoreError> {
        let image = self.log.reopen()?;
        self.is_log_unknown = false;
        tracing::info!("the metadata of this node can be changed again");
        if image.version() != self.image.version() {
            self.publish(image);
        }
        Ok(())
    }

    fn publish(&mut self, image: MetadataImage) {
        self.image = Arc::new(image);
        self.publisher.publish(Arc::clone(&self.image));
    }

    fn decide(&mut self, batch: Vec<(ControllerRequest, Reply)>) -> Result<(), StoreError> {
        if self.is_log_unknown
            && !batch.is_empty()
            && let Err(error) = self.read_log_again()
        {
            let refused = refusal(&error);
            batch.into_iter().for_each(|(_, reply)| answer(reply, Err(refused)));
            return Err(error);
        }
        let mut image = MetadataImage::clone(&self.image);
        let mut records = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        // Nobody else is there to be alive or silent.
        let mut sessions = Sessions::begin(&image, u64::MAX, 0);
        for (request, reply) in batch {
            let decision =
                Controller::new(&image, &self.options).decide(&request, &mut sessions, 0, &mut || {
                    random_topic_id().expect("the kernel's random generator is there")
                });
            image = image
                .after(&decision.records)
                .expect("the controller decides against the image that it is applied to");
            records.extend(decision.records);
            answers.push((decision.answer, reply));
        }
        let committed = if records.is_empty() { Ok(()) } else { self.log.commit(&records, &image) };
        if committed.is_ok() && !records.is_empty() {
            self.publish(image);
        }
        let refused = committed.as_ref().err().map(refusal);
        for (decided, reply) in answers {
            answer(reply, refused.map_or(Ok(decided), Err));
        }
        committed
    }
}

/// What is said to those whose request was not committed.
fn refusal(error: &StoreError) -> MetadataError {
    match error {
        StoreError::Full { .. } => MetadataError::Full,
        _ => MetadataError::Stopped,
    }
}

fn answer(reply: Reply, outcome: Result<ControllerAnswer, MetadataError>) {
    // A client that is gone needs no answer.
    let _ = reply.send(outcome);
}

/// Takes the answer to a request.
type Reply = oneshot::Sender<Result<ControllerAnswer, MetadataError>>;

#[cfg(test)]
mod tests;

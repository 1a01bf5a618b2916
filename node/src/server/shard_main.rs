//! The main future of a shard's executor: open the store, recover, serve, settle.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::ToSocketAddrs,
    path::PathBuf,
    rc::Rc,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use ringmain_storage::{
    RecoveredLogs, ReplayReport, ShardId, Store, StoreError, StoreOptions,
    disk::{
        BufferPoolOptions,
        direct::{DirectDisk, DiskFacts, Ring},
    },
    replay_journals as replay,
};

use super::StartError;
use crate::{
    config::HostPort,
    metadata::{DataDirectory, ImageWatch},
    runtime::{self, NodeDisk},
    shard::{Inbox, NodeShared, Replication, Shard, say_that_replay_gets_on},
};

/// How a shard ended.
pub(super) type ShardEnd = Result<(), StoreError>;

/// What a shard needs to start.
pub(super) struct ShardStart {
    pub(super) id: ShardId,
    pub(super) node: Arc<NodeShared>,
    pub(super) root: PathBuf,
    pub(super) facts: DiskFacts,
    pub(super) inbox: Inbox,
    /// Its logs that the replay of the journals has opened.
    pub(super) recovered: RecoveredLogs,
    /// Told once its logs are open, with the number of those that cannot be.
    pub(super) opened: mpsc::Sender<Result<usize, StartError>>,
    /// Told once it has taken its roles by an image that knows this start of the node.
    pub(super) serving: mpsc::Sender<()>,
}

/// How often a stopping shard looks whether its connections have ended.
const STOP_STEP: Duration = Duration::from_millis(5);
/// How long it waits for them.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Runs a shard to its end.
pub(super) async fn run(start: ShardStart, ring: Ring) -> ShardEnd {
    let ShardStart { id, node, root, facts, inbox, recovered, opened, serving } = start;
    let shard = match open(id, node, root, facts, ring).await {
        Ok(shard) => shard,
        Err(error) => {
            // The main thread waits for this and ends the process.
            drop(opened.send(Err(error)));
            return Ok(());
        }
    };
    runtime::spawn(shard.clone().say_that_it_gets_on());
    shard.store().take_over(recovered);
    let damaged = shard.open_logs(&shard.metadata().first_image()).await;
    // What comes later may find its folder changed.
    shard.store().forget_recovered();
    // The main thread waits for exactly one answer of each shard.
    drop(opened.send(Ok(damaged)));
    runtime::spawn(shard.clone().serve_inbox(inbox));
    let mut images = shard.metadata().watch();
    if !take_roles(&shard, &mut images).await {
        return close(&shard).await;
    }
    runtime::spawn(shard.clone().commit());
    runtime::spawn(shard.clone().keep_zeros_ahead());
    runtime::spawn(shard.clone().keep_settled());
    shard.start_maintenance();
    runtime::spawn(keep_to_images(shard.clone(), images));
    // The main thread waits for exactly one answer of each shard, unless the start has failed elsewhere.
    if serving.send(()).is_err() {
        tracing::debug!(shard = id.0, "nobody waits for this shard any more");
    }
    shard.stopped().await;
    close(&shard).await
}

/// Applies each newer image; between them opens logs that were refused for a while.
async fn keep_to_images(shard: Rc<Shard>, mut images: ImageWatch) {
    loop {
        let next = std::pin::pin!(images.changed());
        let again = std::pin::pin!(shard.time_to_open_again());
        match select(next, again).await {
            Either::Left((Some(image), _)) => shard.apply(image).await,
            Either::Left((None, _)) => return,
            Either::Right(_) => shard.open_refused_again().await,
        }
    }
}

/// Applies images until one of them knows this start of the node; false when the node is told to stop before.
async fn take_roles(shard: &Rc<Shard>, images: &mut ImageWatch) -> bool {
    let taken = std::pin::pin!(async {
        while let Some(image) = images.changed().await {
            let registered = image.nodes().get(&shard.node().node_id());
            let is_this_start =
                registered.is_some_and(|node| node.incarnation_id == shard.node().incarnation_id);
            shard.apply(image).await;
            if is_this_start {
                return true;
            }
        }
        false
    });
    match select(taken, std::pin::pin!(shard.stopped())).await {
        Either::Left((taken, _)) => taken,
        Either::Right(_) => false,
    }
}

async fn open(
    id: ShardId,
    node: Arc<NodeShared>,
    root: PathBuf,
    facts: DiskFacts,
    ring: Ring,
) -> Result<Rc<Shard>, StartError> {
    let options = store_options(&node);
    let disk = open_disk(&node, root, facts, ring.clone());
    let store = Store::open(disk, id, options).await.map_err(StartError::Store)?;
    let shard = Shard::new(id, node, store, ring);
    start_replication(&shard)?;
    Ok(shard)
}

/// Opens this shard's port for other nodes; they are told of it when this node registers.
fn start_replication(shard: &Rc<Shard>) -> Result<(), StartError> {
    let (Some(identity), Some(cluster)) = (shard.metadata().identity(), &shard.config().cluster) else {
        return Ok(());
    };
    let HostPort { host, port } = &cluster.listen;
    let unusable = |error| StartError::Listen { address: format!("{host}:{port}"), error };
    let shard_port = port.checked_add(1 + shard.id().0).ok_or(io::ErrorKind::AddrNotAvailable.into());
    let address = (host.as_str(), shard_port.map_err(unusable)?)
        .to_socket_addrs()
        .map_err(unusable)?
        .next()
        .ok_or_else(|| unusable(io::ErrorKind::AddrNotAvailable.into()))?;
    Replication::start(shard, address, (*identity).clone()).map_err(StartError::Replication)
}

fn open_disk(node: &NodeShared, root: PathBuf, facts: DiskFacts, ring: Ring) -> NodeDisk {
    let memory = &node.config.memory;
    let buffers = BufferPoolOptions {
        budget_bytes: memory.tail_bytes_per_shard + memory.unwritten_bytes_per_shard,
        ..BufferPoolOptions::default()
    };
    DirectDisk::new(&root, facts, ring, buffers)
}

fn store_options(node: &NodeShared) -> StoreOptions {
    let (memory, storage) = (&node.config.memory, &node.config.storage);
    StoreOptions {
        unwritten_bytes_max: memory.unwritten_bytes_per_shard,
        tail_bytes_max: memory.tail_bytes_per_shard,
        journal_files: u32::try_from(storage.journal_files).expect("bounded by the option's range"),
        journal_file_bytes: storage.journal_file_bytes,
        open_files_max: node.limits.open_files_per_shard,
        producers_max: storage.producers_per_partition_max,
        key_map_bytes_max: storage.compaction_key_map_bytes,
        // Nobody outside can know it: the standard library's hash maps take their secret from the same place.
        key_hash_secret: [(); 2].map(|()| RandomState::new().build_hasher().finish()),
        ..StoreOptions::default()
    }
}

/// Ends what the shard does, in order: connections, then rounds, then the store.
async fn close(shard: &Rc<Shard>) -> ShardEnd {
    let mut waited = Duration::ZERO;
    while shard.connections().count() > 0 && waited < STOP_TIME {
        runtime::sleep(STOP_STEP).await;
        waited += STOP_STEP;
    }
    if let Some(replication) = shard.replication() {
        replication.stop().await;
    }
    shard.store().clone().close().await?;
    shard.ring().stop().await;
    Ok(())
}

/// Brings what the journals hold into the segments, before any shard opens its logs.
pub(super) fn replay_journals(
    node: &Arc<NodeShared>,
    directory: &DataDirectory,
    facts: DiskFacts,
    core: usize,
) -> Result<ReplayReport, StartError> {
    let (node, root) = (node.clone(), directory.path().to_owned());
    let executor = runtime::start_executor("replay", core, move |ring| async move {
        runtime::spawn(say_that_replay_gets_on(node.progress.clone(), ring.clone()));
        let disk = open_disk(&node, root, facts, ring);
        let began = Instant::now();
        let report = replay(&disk, store_options(&node), runtime::unix_ms(), || began.elapsed()).await;
        disk.ring().stop().await;
        report.map_err(StartError::Store)
    })?;
    let report = executor.join().map_err(StartError::Executor)??;
    tracing::info!(
        finding_ms = report.finding.as_millis(),
        opening_ms = report.opening.as_millis(),
        applying_ms = report.applying.as_millis(),
        frames = report.frames,
        journal_bytes_read = report.bytes_read,
        logs = report.logs,
        bytes_walked = report.bytes_walked,
        bytes_applied = report.bytes_applied,
        "replayed the journals"
    );
    Ok(report)
}

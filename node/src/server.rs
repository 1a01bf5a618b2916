//! The node as a process: checks what it may use, starts the shards, accepts clients, stops cleanly.
//!
//! What must hold: the port accepts only after every shard has recovered; a start that cannot work ends with one sentence
//! that says what to do; a stop answers what is under way, settles the logs and ends with success.
//! Does not do: what requests mean (`handlers`), partitions (`shard`).

mod accept;
mod connection;
mod connections;
mod cores;
mod joining;
mod limits;
mod outgoing;
mod receive_buffers;
mod reload;
mod response;
mod response_queue;
mod shard_main;
pub(crate) mod signals;
mod start_error;
pub(crate) mod summary;

use std::{
    mem,
    net::{SocketAddr, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use ringmain_storage::{
    RecoveredLogs, ShardId,
    disk::direct::{DiskFacts, probe_disk, probe_ring},
};

pub(crate) use connection::Connection;
pub(crate) use connections::{ConnectionCount, Connections};
pub(crate) use limits::Limits;
pub(crate) use outgoing::OutgoingPool;
pub(crate) use receive_buffers::ReceiveBuffers;
pub(crate) use response::{Appended, Chunk, Response};
pub(crate) use response_queue::Slot;
pub use start_error::StartError;
pub use summary::Summary;

use crate::{
    admin::AdminServer,
    config::{ConfigSources, NodeConfig, Origin, describe::NodeFacts},
    metadata::{DataDirectory, DataDirectoryError, MetadataOptions, NodeId, control_thread},
    observability::Snapshots,
    runtime::{self, ExecutorHandle, TickSource},
    shard::{Inbox, Mailbox, NodeShared, mailbox, owner},
    supervision::{Phase, Progress, Supervisor},
};
use reload::Reload;
use shard_main::{ShardEnd, ShardStart};
use signals::Signals;

/// Runs a node until it is told to stop (SIGTERM or SIGINT). `ready` is called once clients are accepted. At SIGHUP the
/// configuration is read again from `reload_from`.
pub fn run(
    config: NodeConfig,
    reload_from: Option<ConfigSources>,
    ready: impl FnOnce(&Summary),
) -> Result<(), StartError> {
    // Before any thread starts: all of them inherit the mask, and only this one waits for the signals.
    let signals = signals::block(reload_from.is_some())?;
    let cores = cores::assign(config.shards, config.first_core)?;
    let supervisor = Supervisor::start(Arc::new(Progress::new(cores.len())));
    let reload = reload_from.map(|sources| Reload::new(sources, config.settings.clone()));
    let ended = run_supervised(config, reload, &cores, &signals, &supervisor, ready);
    if let Err(error) = &ended {
        supervisor.enter(Phase::Failed(error.to_string()));
    }
    ended
}

fn run_supervised(
    config: NodeConfig,
    mut reload: Option<Reload>,
    cores: &[usize],
    signals: &Signals,
    supervisor: &Supervisor,
    ready: impl FnOnce(&Summary),
) -> Result<(), StartError> {
    let limits = Limits::from_process(&config)?;
    probe_ring().map_err(StartError::Ring)?;
    let member = joining::member(&config)?;
    let cluster_id = member.as_ref().map(|member| &member.cluster_id);
    let directory = patiently(
        || DataDirectory::open(&config.data_dir, NodeId(config.node_id), cluster_id),
        |error| matches!(error, DataDirectoryError::InUse(_)),
    )?;
    let facts = probe_disk(directory.path()).map_err(StartError::Disk)?;
    if !facts.direct_io {
        tracing::warn!(file_system = %facts.file_system, "no direct I/O here: use ext4 or XFS for anything that matters");
    }
    let sockets = bind(&config, cores.len())?;
    let port = sockets[0].local_addr().map_err(StartError::Socket)?.as_socket().map_or(0, |it| it.port());
    let advertised = config.advertised_address(port);
    let options = MetadataOptions::new(&config, advertised.clone());
    let (metadata, metadata_thread) = match member {
        None => control_thread::start(&directory, options)?,
        Some(member) => joining::start(&directory, options, member, supervisor.progress().clone())?,
    };
    let facts_for_clients = NodeFacts {
        listener: format!("PLAINTEXT://{}:{port}", config.network.listen.host),
        advertised_listener: format!("PLAINTEXT://{advertised}"),
    };

    let (mailboxes, inboxes): (Vec<Mailbox>, Vec<Inbox>) = cores.iter().map(|_| mailbox()).unzip();
    let node = Arc::new(NodeShared {
        config,
        limits,
        advertised,
        facts: facts_for_clients,
        incarnation_id: metadata.incarnation(),
        metadata,
        ticks: TickSource::calibrated(),
        snapshots: Arc::new(Snapshots::new(mailboxes.len())),
        mailboxes,
        progress: supervisor.progress().clone(),
        stopping: AtomicBool::new(false),
    });
    supervisor.enter(Phase::Replaying);
    // Before anything that may take long: whoever watches can see what it waits for.
    let admin = start_admin(&node)?;
    let mut replayed = shard_main::replay_journals(&node, &directory, facts, cores[0])?;
    supervisor.enter(Phase::Recovering);
    let recovered = mem::take(&mut replayed.recovered);
    let mut shards = start_shards(&node, &directory, facts, cores, inboxes, recovered)?;
    supervisor.enter(Phase::Joining);
    let mut stop = joining::register(&node, &shards, signals)?;
    if stop.is_none() {
        shards.serving()?;
        shards.accept(sockets)?;
        stop = joining::serve(&node, signals)?;
    }
    if stop.is_none() {
        let admin_address = admin.as_ref().map(AdminServer::address);
        ready(&Summary::new(&node, &directory, facts, cores, port, admin_address, &replayed));
        let serving = Phase::Serving(format!("serving clients at {}", node.advertised));
        supervisor.enter(serving.clone());
        stop = joining::wait_for_stop(&node, signals, || {
            supervisor.enter(Phase::Reloading);
            reload.iter_mut().for_each(Reload::reload);
            supervisor.enter(serving.clone());
        })?;
    }
    let reason = stop.unwrap_or("none");
    tracing::info!(signal = reason, "stop");
    supervisor.enter(Phase::HandingOver(reason.to_owned()));
    joining::hand_over(&node);
    supervisor.enter(Phase::Draining);
    admin.into_iter().for_each(AdminServer::stop);
    shards.stop(&node)?;
    node.metadata.stop();
    metadata_thread.join();
    tracing::info!("stopped");
    joining::outcome(&node)
}

/// The admin endpoint. Its default port may be taken by another node of this machine: that is no reason not to serve.
fn start_admin(node: &Arc<NodeShared>) -> Result<Option<AdminServer>, StartError> {
    let Some(address) = &node.config.network.admin else { return Ok(None) };
    match AdminServer::start(address, node.clone()) {
        Ok(server) => Ok(Some(server)),
        Err(error) if *node.config.settings.origin("network.admin") == Origin::Default => {
            tracing::warn!(%address, %error, "no admin endpoint; choose another address with --admin");
            Ok(None)
        }
        Err(error) => Err(StartError::Listen { address: address.to_string(), error }),
    }
}

/// Tries again for a while what a process that was killed may still hold: the kernel ends its rings, and closes what they
/// refer to, some time after the process is gone.
fn patiently<T, E>(attempt: impl Fn() -> Result<T, E>, is_passing: impl Fn(&E) -> bool) -> Result<T, E> {
    const PATIENCE: Duration = Duration::from_secs(3);
    const STEP: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(error) if is_passing(&error) && Instant::now() < deadline => std::thread::sleep(STEP),
            result => return result,
        }
    }
}

/// One bound socket for each shard, all on the same port.
fn bind(config: &NodeConfig, shards: usize) -> Result<Vec<socket2::Socket>, StartError> {
    let listen = &config.network.listen;
    let unusable = |error| StartError::Listen { address: listen.to_string(), error };
    let address: SocketAddr = (listen.host.as_str(), listen.port)
        .to_socket_addrs()
        .map_err(unusable)?
        .next()
        .ok_or_else(|| unusable(std::io::ErrorKind::AddrNotAvailable.into()))?;
    // Several nodes could share a port by SO_REUSEPORT without noticing: a plain listener refuses that.
    let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    drop(patiently(|| std::net::TcpListener::bind(address), in_use).map_err(unusable)?);
    let first = runtime::bind(address).map_err(unusable)?;
    let mut sockets = vec![first];
    for _ in 1..shards {
        let next = runtime::bind_again(&sockets[0]).map_err(unusable)?;
        sockets.push(next);
    }
    Ok(sockets)
}

/// The running shards.
struct Shards {
    executors: Vec<ExecutorHandle<ShardEnd>>,
    node: Arc<NodeShared>,
    /// Tells of each when it has taken its roles.
    serving: mpsc::Receiver<()>,
    /// Logs that could not be opened.
    damaged: usize,
}

/// Starts all shards and waits until each has recovered its logs.
fn start_shards(
    node: &Arc<NodeShared>,
    directory: &DataDirectory,
    facts: DiskFacts,
    cores: &[usize],
    inboxes: Vec<Inbox>,
    mut recovered: RecoveredLogs,
) -> Result<Shards, StartError> {
    let (began, logs_handed_over) = (Instant::now(), recovered.len());
    let (opened, opens) = mpsc::channel();
    let (serving, serves) = mpsc::channel();
    let mut executors = Vec::with_capacity(cores.len());
    for ((number, &core), inbox) in (0..).zip(cores).zip(inboxes) {
        let start = ShardStart {
            id: ShardId(number),
            node: node.clone(),
            root: directory.path().to_owned(),
            facts,
            inbox,
            recovered: recovered.take(|key| owner(key, cores.len()) == ShardId(number)),
            opened: opened.clone(),
            serving: serving.clone(),
        };
        let name = format!("shard-{number}");
        executors.push(runtime::start_executor(&name, core, move |ring| shard_main::run(start, ring))?);
    }
    drop((opened, serving));
    let mut damaged = 0;
    for _ in cores {
        damaged += opens.recv().map_err(|_| ended_early())??;
    }
    tracing::info!(milliseconds = began.elapsed().as_millis(), logs_handed_over, damaged, "opened all logs");
    Ok(Shards { executors, node: node.clone(), serving: serves, damaged })
}

fn ended_early() -> StartError {
    StartError::Executor("a shard ended while it started".into())
}

impl Shards {
    /// Waits until each has taken its roles.
    fn serving(&self) -> Result<(), StartError> {
        for _ in &self.executors {
            self.serving.recv().map_err(|_| ended_early())?;
        }
        Ok(())
    }

    /// Gives each shard its socket.
    fn accept(&mut self, sockets: Vec<socket2::Socket>) -> Result<(), StartError> {
        let count = ConnectionCount::new(self.node.limits.connections_max);
        let (accepting, accepts) = mpsc::channel();
        for (mailbox, socket) in self.node.mailboxes.iter().zip(sockets) {
            let (count, accepting) = (count.clone(), accepting.clone());
            mailbox.send(Box::new(move |shard| {
                let result = accept::start(shard, socket, count).map_err(StartError::Socket);
                // The receiver waits for exactly these answers.
                drop(accepting.send(result));
            }));
        }
        drop(accepting);
        accepts.iter().collect()
    }

    /// Stops taking requests, lets the logs settle, and waits for the executors to end.
    fn stop(self, node: &NodeShared) -> Result<(), StartError> {
        node.stopping.store(true, Ordering::Release);
        for mailbox in &node.mailboxes {
            mailbox.send(Box::new(|shard| shard.begin_stop()));
        }
        for executor in self.executors {
            executor.join().map_err(StartError::Executor)?.map_err(StartError::Store)?;
        }
        Ok(())
    }
}

//! What a node says of itself once it accepts clients: where it listens, how it sized itself, how to use it.

use std::{fmt, net::SocketAddr};

use ringmain_storage::{ReplayReport, disk::direct::DiskFacts};

use crate::{metadata::DataDirectory, shard::NodeShared};

/// How the first line of the block ends: who started the node may wait for it.
pub(crate) const READY: &str = "is ready.";

/// The block that `dev` and `start` print.
#[derive(Debug, Clone)]
pub struct Summary {
    listen: String,
    advertised: String,
    admin: Option<SocketAddr>,
    data_dir: String,
    disk: String,
    cluster_id: String,
    node_id: i32,
    cores: Vec<usize>,
    topics: usize,
    partitions: usize,
    replayed_bytes: u64,
    tail_bytes: usize,
    connections_max: usize,
    descriptors: u64,
    open_files: usize,
}

impl Summary {
    pub(super) fn new(
        node: &NodeShared,
        directory: &DataDirectory,
        facts: DiskFacts,
        cores: &[usize],
        port: u16,
        admin: Option<SocketAddr>,
        replayed: &ReplayReport,
    ) -> Self {
        let image = node.metadata.image();
        let flush =
            if facts.one_flush_covers_all() { "one flush covers all partitions" } else { "one flush a file" };
        let direct = if facts.direct_io { "direct I/O" } else { "no direct I/O" };
        Self {
            listen: format!("{}:{port}", node.config.network.listen.host),
            advertised: node.advertised.to_string(),
            admin,
            data_dir: directory.path().display().to_string(),
            disk: format!("{}, {direct}, {flush}", facts.file_system),
            cluster_id: image.cluster_id().to_owned(),
            node_id: node.config.node_id,
            cores: cores.to_vec(),
            topics: image.topics().len(),
            partitions: image.partition_count(),
            replayed_bytes: replayed.bytes_applied,
            tail_bytes: node.config.memory.tail_bytes_per_shard,
            connections_max: node.limits.connections_max,
            descriptors: node.limits.descriptors,
            open_files: node.limits.open_files_per_shard,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: usize = 1 << 20;
        let Self { listen, advertised, data_dir, disk, .. } = self;
        writeln!(formatter, "Ringmain {} {READY}", env!("CARGO_PKG_VERSION"))?;
        writeln!(formatter, "  Kafka clients  {listen} (told to connect to {advertised})")?;
        if let Some(admin) = self.admin {
            writeln!(formatter, "  operators      http://{admin}/ (console, metrics)")?;
        }
        writeln!(formatter, "  node           {} of cluster {}", self.node_id, self.cluster_id)?;
        writeln!(formatter, "  data           {data_dir} ({disk})")?;
        let partitions = self.partitions;
        writeln!(
            formatter,
            "  recovered      {} topics, {partitions} partitions, {} bytes from journals",
            self.topics, self.replayed_bytes
        )?;
        let shards = self.cores.len();
        writeln!(formatter, "  shards         {shards}, pinned to cores {:?}", self.cores)?;
        let tails = self.tail_bytes / MIB;
        writeln!(
            formatter,
            "  each shard     up to {tails} MiB of newest records in memory, {} open files",
            self.open_files
        )?;
        let connections = self.connections_max;
        writeln!(
            formatter,
            "  connections    up to {connections} (the process may open {} files)",
            self.descriptors
        )?;
        writeln!(formatter)?;
        writeln!(formatter, "Try it:")?;
        writeln!(formatter, "  ringmain topic create logs --partitions 2 --brokers {listen}")?;
        writeln!(
            formatter,
            "  ringmain topic produce logs FILE          ringmain topic consume logs --until-end"
        )?;
        writeln!(formatter, "  kcat -P -b {listen} -t logs -l FILE       kcat -C -b {listen} -t logs -e")?;
        write!(formatter, "Stop it with Ctrl-C; it settles its logs and ends.")
    }
}

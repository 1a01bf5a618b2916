//! Everything that the checks judge, read once.

use super::certificates::CertificateFacts;
use super::clock::ClockFacts;
use super::interrupts::InterruptFacts;
use super::kernel::KernelFacts;
use super::limits::LimitFacts;
use super::memory::MemoryFacts;
use super::names::NameFacts;
use super::network::NetworkFacts;
use super::ports::PortFacts;
use super::processors::CpuFacts;
use super::space::SpaceFacts;
use super::unit::Unit;
use super::volume::Volume;
use super::{Subject, SystemFiles};
use crate::config::NodeConfig;

/// What was read of the machine and the configuration.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) subject: Subject,
    pub(super) kernel: KernelFacts,
    pub(super) limits: LimitFacts,
    pub(super) processors: CpuFacts,
    pub(super) interrupts: InterruptFacts,
    pub(super) memory: MemoryFacts,
    pub(super) network: NetworkFacts,
    pub(super) clock: ClockFacts,
    /// What follows from the configuration; `None` where that cannot be used.
    pub(super) node: Option<NodeFacts>,
}

/// What was read where the configuration says.
#[derive(Debug, Clone)]
pub(super) struct NodeFacts {
    pub(super) config: NodeConfig,
    pub(super) volume: Volume,
    pub(super) space: SpaceFacts,
    pub(super) names: NameFacts,
    pub(super) ports: PortFacts,
    pub(super) certificate: Option<CertificateFacts>,
}

impl Facts {
    pub(super) fn gather(system: &SystemFiles, subject: Subject) -> Self {
        let config = subject.config.as_ref().ok();
        Self {
            kernel: KernelFacts::read(system),
            limits: LimitFacts::read(system, &Unit::find(system)),
            processors: CpuFacts::read(system, config),
            interrupts: InterruptFacts::read(system),
            memory: MemoryFacts::read(system),
            network: NetworkFacts::read(system),
            clock: ClockFacts::read(),
            node: config.map(|config| NodeFacts::read(system, config)),
            subject,
        }
    }

    /// How many shards the node has; 1 where that is not known.
    pub(super) fn shards(&self) -> usize {
        self.processors.shard_cores.len().max(1)
    }
}

impl NodeFacts {
    fn read(system: &SystemFiles, config: &NodeConfig) -> Self {
        let volume = Volume::read(system, &config.data_dir);
        Self {
            space: SpaceFacts::read(&volume.existing, &volume.directory),
            names: NameFacts::ask(config),
            ports: PortFacts::read(system, config),
            certificate: config.cluster.as_ref().map(CertificateFacts::read),
            config: config.clone(),
            volume,
        }
    }

    /// Whether the data lie on the file system of the root, where others write.
    pub(super) fn is_on_root(&self) -> bool {
        self.volume.mount.as_ref().is_some_and(|mount| mount.point == "/")
    }
}

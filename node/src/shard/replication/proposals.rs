//! In-sync sets that leaders of this shard ask the controller for: many partitions in one request, one request under way.
//!
//! What must hold: an answer is told only after this shard has applied the image that it speaks of, so that a leader that
//! counts by a smaller set knows the `min.insync.replicas` by which the controller judged it.
//! What is lost (the controller moved, too many wait) is asked again by the partitions' ticks.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use ringmain_protocol::ErrorCode;
use ringmain_replication::{InSyncAnswer, InSyncMember, InSyncProposal, NodeId};
use ringmain_storage::LogKey;

use super::{super::Shard, signal::Signal};
use crate::metadata::{
    self, MetadataImage, PartitionEpoch,
    controller::{AlterPartition, AlterPartitions, AlteredPartition, Refusal},
};

/// Partitions of one request: bounds what one decision of the controller writes at once.
const PARTITIONS_IN_A_REQUEST_MAX: usize = 1_000;

/// Partitions that wait to be asked for.
#[derive(Default)]
pub(super) struct Proposals {
    waiting: RefCell<BTreeSet<LogKey>>,
    signal: Signal,
}

/// What one partition asked for, to recognise the answer.
struct Asked {
    key: LogKey,
    proposal: InSyncProposal,
}

impl Proposals {
    pub(super) fn add(&self, key: LogKey) {
        self.waiting.borrow_mut().insert(key);
        self.signal.set();
    }

    /// Asks for what waits, until the node stops.
    pub(super) async fn run(self: Rc<Self>, shard: Rc<Shard>) {
        loop {
            self.signal.wait().await;
            while !self.waiting.borrow().is_empty() {
                self.ask(&shard).await;
            }
        }
    }

    async fn ask(&self, shard: &Rc<Shard>) {
        let asked = self.take(shard);
        let image = shard.image();
        let Some(node_epoch) = shard.registration(&image) else { return };
        if asked.is_empty() {
            return;
        }
        let request = AlterPartitions {
            node_id: shard.node().node_id(),
            registration_epoch: node_epoch.0,
            partitions: asked.iter().map(|asked| alter_partition(asked, &image)).collect(),
        };
        let count = asked.len();
        match shard.metadata().alter_partitions(request).await {
            Ok(Ok(answers)) => answer_all(shard, asked, answers).await,
            Ok(Err(refusal)) => {
                tracing::warn!(partitions = count, code = ?refusal.code, "the controller refused all in-sync sets");
            }
            Err(error) => tracing::debug!(partitions = count, %error, "in-sync sets are asked for again"),
        }
    }

    fn take(&self, shard: &Shard) -> Vec<Asked> {
        let mut asked = Vec::new();
        let mut waiting = self.waiting.borrow_mut();
        while let Some(key) = waiting.pop_first() {
            let proposal = shard.partition(key).and_then(|partition| partition.in_sync_proposal());
            // None: it was answered meanwhile, or the partition does not lead any more.
            asked.extend(proposal.map(|proposal| Asked { key, proposal }));
            if asked.len() == PARTITIONS_IN_A_REQUEST_MAX {
                break;
            }
        }
        asked
    }
}

async fn answer_all(shard: &Rc<Shard>, asked: Vec<Asked>, answers: Vec<Result<AlteredPartition, Refusal>>) {
    let version = answers.iter().flatten().map(|altered| altered.version).max();
    shard.applied(version.unwrap_or(0)).await;
    for (Asked { key, proposal }, answer) in asked.into_iter().zip(answers) {
        let Some(partition) = shard.partition(key) else { continue };
        let in_sync = |nodes: &[metadata::NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
        match &answer {
            Ok(altered) => {
                shard.replication_counters().in_sync_changes.increment();
                tracing::info!(
                    topic = partition.topic(),
                    partition = key.partition,
                    in_sync = ?in_sync(&altered.state.in_sync),
                    leader_epoch = altered.state.leader_epoch.value(),
                    "the in-sync set changed"
                );
            }
            Err(refusal) => tracing::info!(
                topic = partition.topic(),
                partition = key.partition,
                code = ?refusal.code,
                "the controller refused an in-sync set"
            ),
        }
        partition.in_sync_answered(shard, in_sync_answer(&proposal, answer));
    }
}

fn alter_partition(asked: &Asked, image: &MetadataImage) -> AlterPartition {
    let Asked { key, proposal } = asked;
    // Who did not fetch in this leadership is a member already; the controller has taken it out if it is another start now,
    // and then the partition epoch is an old one.
    let registered =
        |node: NodeId| image.nodes().get(&metadata::NodeId(node.0)).map(|node| node.registration_epoch);
    let member = |member: &InSyncMember| {
        let epoch = member.node_epoch.map(|epoch| epoch.0).or_else(|| registered(member.node));
        (metadata::NodeId(member.node.0), epoch.unwrap_or(-1))
    };
    AlterPartition {
        topic_id: key.topic_id,
        partition: key.partition,
        leader_epoch: proposal.leader_epoch,
        partition_epoch: PartitionEpoch(proposal.partition_epoch.0),
        in_sync: proposal.in_sync.iter().map(member).collect(),
        recovering: false,
    }
}

fn in_sync_answer(proposal: &InSyncProposal, answer: Result<AlteredPartition, Refusal>) -> InSyncAnswer {
    match answer {
        Ok(AlteredPartition { state, .. }) => InSyncAnswer::Committed {
            leader_epoch: state.leader_epoch,
            partition_epoch: ringmain_replication::PartitionEpoch(state.partition_epoch.0),
            in_sync: state.in_sync.iter().map(|node| NodeId(node.0)).collect(),
        },
        Err(refusal) if refusal.code == ErrorCode::INELIGIBLE_REPLICA => InSyncAnswer::Ineligible {
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
        },
        Err(_) => InSyncAnswer::Stale,
    }
}

//! Logs that a replay has opened, as it leaves them to the stores.
//!
//! A replay and the stores that follow it work with executors of their own, and a log cannot go from one to the other. What it
//! knows can: with it a store opens the log without a look at its folder.
//!
//! What must hold: all of a log that is handed over is durable in its segments, and nobody touches its folder until a store
//! has opened it or was told to forget it.
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;

use crate::config::LogConfig;
use crate::disk::Disk;
use crate::identity::{LogIdentity, LogKey};
use crate::log::checkpointing::WalkBytes;
use crate::log::leader_epochs::LeaderEpochs;
use crate::log::producers::Producers;
use crate::log::{Log, LogState};
use crate::offset::Offset;
use crate::segment::Segment;
use crate::segment::verified::Verified;
use crate::store::shared::Shared;

/// The logs that a replay has opened.
#[derive(Debug, Default)]
pub struct RecoveredLogs(BTreeMap<LogKey, RecoveredLog>);

/// One log, all of which is durable in its segments.
#[derive(Debug)]
pub(crate) struct RecoveredLog {
    identity: LogIdentity,
    incarnation: u64,
    log_start_offset: Offset,
    log_end_offset: Offset,
    segments: VecDeque<Segment>,
    producers: Producers,
    leader_epochs: LeaderEpochs,
    checkpointed_offset: Offset,
    checkpointed_segment: Offset,
    walk_bytes: WalkBytes,
    compacted_offset: Offset,
}

impl RecoveredLogs {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out those that are `chosen`: the logs of one shard.
    #[must_use]
    pub fn take(&mut self, chosen: impl Fn(LogKey) -> bool) -> RecoveredLogs {
        RecoveredLogs(self.0.extract_if(.., |key, _| chosen(*key)).collect())
    }

    pub(crate) fn insert(&mut self, log: RecoveredLog) {
        self.0.insert(log.identity.key(), log);
    }

    /// Takes out the log of this name, if it is there.
    pub(crate) fn remove(&mut self, identity: &LogIdentity) -> Option<RecoveredLog> {
        self.0.remove(&identity.key()).filter(|log| log.identity == *identity)
    }
}

impl RecoveredLog {
    /// Opens the log.
    pub(crate) fn open<D: Disk>(self, shared: Rc<Shared<D>>, config: LogConfig, now_ms: i64) -> Log<D> {
        let (end, block_bytes) = (self.log_end_offset, shared.block_bytes);
        let state = LogState {
            log_start_offset: self.log_start_offset,
            segments: self.segments,
            producers: self.producers,
            leader_epochs: self.leader_epochs,
            checkpointed_offset: self.checkpointed_offset,
            checkpointed_segment: self.checkpointed_segment,
            walk_bytes: self.walk_bytes,
            compacted_offset: self.compacted_offset,
            ..LogState::empty_at(end, config, self.incarnation, block_bytes, now_ms)
        };
        Log::new(shared, self.identity, state)
    }
}

impl<D: Disk> Log<D> {
    /// All that a checkpoint would say of it.
    #[cfg(test)]
    pub(crate) fn described(&self) -> crate::checkpoint::Checkpoint {
        self.checkpoint(&self.0.state.borrow())
    }

    /// Leaves what is known of the log to another store; it is of no use here afterwards. `None`, and it stays as it is, when
    /// something of it is not durable in its segments, or waits to be written beside them.
    pub(crate) fn hand_over(&self) -> Option<RecoveredLog> {
        let mut state = self.0.state.borrow_mut();
        let is_settled = state.settled_offset == state.log_end_offset && state.settling.is_none();
        let waits = !state.producer_files.is_empty() || state.has_replacement || state.is_busy();
        let is_dirty = state.segments.iter().any(|segment| segment.is_dirty);
        if state.stopped.is_some() || !is_settled || waits || is_dirty {
            return None;
        }
        let end = state.log_end_offset;
        let taken = LogState::empty_at(end, state.config, state.incarnation, self.0.shared.block_bytes, 0);
        let freed = state.tail.clear();
        let mut state_now = core::mem::replace(&mut *state, taken);
        drop(state);
        self.0.shared.gave_memory(freed);
        for segment in &mut state_now.segments {
            // What was read back here, another may have to read again.
            segment.verified = Verified::default();
        }
        Some(RecoveredLog {
            identity: self.0.identity.clone(),
            incarnation: state_now.incarnation,
            log_start_offset: state_now.log_start_offset,
            log_end_offset: end,
            segments: state_now.segments,
            producers: state_now.producers,
            leader_epochs: state_now.leader_epochs,
            checkpointed_offset: state_now.checkpointed_offset,
            checkpointed_segment: state_now.checkpointed_segment,
            walk_bytes: state_now.walk_bytes,
            compacted_offset: state_now.compacted_offset,
        })
    }
}

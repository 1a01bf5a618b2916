//! Reading the log of the offsets topic: what a coordinator knew comes back from what was written.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ringmain_protocol::Versioned;
use ringmain_protocol::coordinator_records::{CoordinatorKey, GroupMetadataValue, OffsetCommitValue};

use super::{Coordinator, Phase};
use crate::group::Group;
use crate::{CommittedOffset, Effect};

/// What a record was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// A committed offset or a group, applied.
    Applied,
    /// Of a kind that belongs to groups of the newer protocols (KIP-848, shares, streams): left out. To be counted.
    Ignored,
}

/// A record that cannot be read. It is left out; the shell reports it with its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The key is not one of Kafka's.
    #[error("the key of a record of the offsets topic cannot be read")]
    Key,
    /// The value is not one of Kafka's.
    #[error("the value of a record of the offsets topic cannot be read")]
    Value,
}

impl Coordinator {
    /// Applies one record of the log; records come in their order, before [`Coordinator::loaded`].
    pub fn load(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<Loaded, LoadError> {
        match CoordinatorKey::read(key).map_err(|_| LoadError::Key)? {
            CoordinatorKey::Offset(key) => {
                let offset = value.map(committed_offset).transpose()?;
                self.load_group(key.group, offset.is_some(), |group| {
                    group.load_offset(key.topic, key.partition, offset);
                    Ok(())
                })?;
            }
            CoordinatorKey::Group(key) => match value {
                Some(value) => {
                    let (_, value) = GroupMetadataValue::read(value).map_err(|_| LoadError::Value)?;
                    self.load_group(key.group, true, |group| group.load(&value))?;
                }
                None => self.load_group(key.group, false, |group| {
                    group.forget_generation();
                    Ok(())
                })?,
            },
            CoordinatorKey::Other(_) => return Ok(Loaded::Ignored),
        }
        Ok(Loaded::Applied)
    }

    /// The log was read to its end: groups go on as it says, with the sessions of their members begun anew.
    pub fn loaded(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        assert_eq!(self.phase, Phase::Loading, "a coordinator loads once");
        self.phase = Phase::Active;
        let numbers = self.groups.numbers();
        let interval_ms = self.settings.offsets_retention_check_interval_ms;
        let count = i64::try_from(numbers.len()).unwrap_or(i64::MAX).max(1);
        for (index, number) in (1..=count).zip(numbers) {
            // Spread over the interval, so that not all groups are looked at in one moment for ever.
            let check_after_ms = interval_ms / count * index;
            self.turn(now_ms, number, effects, |group, step| group.begin(step, check_after_ms));
        }
    }

    fn load_group(
        &mut self,
        name: &str,
        create: bool,
        change: impl FnOnce(&mut Group) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        assert_eq!(self.phase, Phase::Loading, "records are applied before the coordinator answers");
        let number = match self.groups.number(name) {
            Some(number) => number,
            None if create => {
                let group = self.groups.create(name, None);
                self.held_bytes += group.held_bytes();
                self.census.enter(group.state(), 0);
                group.number()
            }
            None => return Ok(()),
        };
        let group = self.groups.get_mut(number).expect("it was found or made");
        self.held_bytes -= group.held_bytes();
        self.census.leave(group.state(), group.members().len() as u64);
        let result = change(group);
        if group.is_unused() {
            self.groups.remove(number);
        } else {
            self.held_bytes += group.held_bytes();
            self.census.enter(group.state(), group.members().len() as u64);
        }
        result
    }
}

fn committed_offset(value: &[u8]) -> Result<CommittedOffset, LoadError> {
    let (_, value) = OffsetCommitValue::read(value).map_err(|_| LoadError::Value)?;
    Ok(CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: Arc::from(value.metadata),
        committed_at_ms: value.commit_timestamp,
        expires_at_ms: Some(value.expire_timestamp).filter(|expires_at_ms| *expires_at_ms >= 0),
    })
}

//! What the log says, read by the test itself: the truth that the coordinator is compared with.

use alloc::collections::{BTreeMap, BTreeSet};

use ringmain_protocol::Versioned;
use ringmain_protocol::coordinator_records::{CoordinatorKey, GroupMetadataValue, OffsetCommitValue};

use crate::Record;

/// Group, topic, partition.
pub(super) type OffsetName = (String, String, i32);

/// The last record of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DurableGroup {
    pub(super) generation: i32,
    pub(super) protocol: Option<String>,
    /// Id, instance id, assignment.
    pub(super) members: BTreeSet<(String, Option<String>, Vec<u8>)>,
}

/// Everything durable.
#[derive(Default)]
pub(super) struct Model {
    pub(super) log: Vec<Record>,
    pub(super) offsets: BTreeMap<OffsetName, i64>,
    pub(super) groups: BTreeMap<String, DurableGroup>,
    /// How often a group was deleted: its generations count from the beginning then.
    pub(super) lives: BTreeMap<String, u64>,
    /// Groups of which a record could not be written: the log may lag behind what is in memory, as in Kafka.
    pub(super) behind: BTreeSet<String>,
    /// Which sync the assignments of a generation came from.
    pub(super) syncs: BTreeMap<(String, u64, i32), String>,
}

impl Model {
    /// These records became durable.
    pub(super) fn append(&mut self, records: Vec<Record>) {
        for record in &records {
            match CoordinatorKey::read(&record.key).expect("our own keys can be read") {
                CoordinatorKey::Offset(key) => {
                    let name = (key.group.to_owned(), key.topic.to_owned(), key.partition);
                    match &record.value {
                        Some(value) => {
                            let (_, value) =
                                OffsetCommitValue::read(value).expect("our own values can be read");
                            self.offsets.insert(name, value.offset);
                        }
                        None => drop(self.offsets.remove(&name)),
                    }
                }
                CoordinatorKey::Group(key) => {
                    self.behind.remove(key.group);
                    match &record.value {
                        Some(value) => drop(self.groups.insert(key.group.to_owned(), durable_group(value))),
                        None => {
                            self.groups.remove(key.group);
                            *self.lives.entry(key.group.to_owned()).or_default() += 1;
                        }
                    }
                }
                CoordinatorKey::Other(kind) => panic!("a record of kind {kind} is never written"),
            }
        }
        self.log.extend(records);
    }

    /// These records were lost.
    pub(super) fn lose(&mut self, records: &[Record]) {
        for record in records {
            if let CoordinatorKey::Group(key) =
                CoordinatorKey::read(&record.key).expect("our own keys can be read")
            {
                self.behind.insert(key.group.to_owned());
            }
        }
    }

    pub(super) fn life(&self, group: &str) -> u64 {
        self.lives.get(group).copied().unwrap_or(0)
    }

    /// Keeps the last record of each key, as compaction does.
    pub(super) fn compact(&mut self) {
        let mut seen = BTreeSet::new();
        let mut kept: Vec<Record> =
            self.log.drain(..).rev().filter(|record| seen.insert(record.key.clone())).collect();
        kept.reverse();
        self.log = kept;
    }
}

fn durable_group(value: &[u8]) -> DurableGroup {
    let (_, value) = GroupMetadataValue::read(value).expect("our own values can be read");
    let members = value.members.iter().map(|member| {
        (member.member_id.to_owned(), member.group_instance_id.map(str::to_owned), member.assignment.to_vec())
    });
    DurableGroup {
        generation: value.generation,
        protocol: value.protocol.map(str::to_owned),
        members: members.collect(),
    }
}

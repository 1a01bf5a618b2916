//! What must hold, after every event and at the end.

use alloc::collections::BTreeSet;

use ringmain_protocol::ErrorCode;

use super::client::{GROUPS, PARTITIONS, Phase};
use super::model::DurableGroup;
use super::world::{Asked, World};
use crate::{Answer, Coordinator, GroupState, Settings};

/// A log of so many records is compacted, to keep reloads short.
const COMPACTED_FROM: usize = 100;

impl World {
    pub(super) fn check_everything(&mut self) {
        self.coordinator.assert_consistent();
        self.check_offsets(&self.coordinator);
        if self.nothing_under_way() && self.compared != self.model.log.len() {
            if self.model.log.len() > COMPACTED_FROM {
                self.model.compact();
            }
            self.check_reload();
            self.compared = self.model.log.len();
        }
    }

    /// What can be read is what is durable, no more and no less.
    fn check_offsets(&self, coordinator: &Coordinator) {
        let mut readable = 0;
        for (group, _) in GROUPS {
            for (topic, partition, offset) in coordinator.committed_offsets(group) {
                let name = (group.to_owned(), topic.to_owned(), partition);
                assert_eq!(
                    Some(&offset.offset),
                    self.model.offsets.get(&name),
                    "{name:?} is not what was written"
                );
                readable += 1;
            }
        }
        assert_eq!(readable, self.model.offsets.len(), "an offset that was written cannot be read");
    }

    /// A coordinator that loads the log now knows what this one does.
    fn check_reload(&self) {
        let mut reloaded = Coordinator::new(Settings::default());
        for record in &self.model.log {
            reloaded.load(&record.key, record.value.as_deref()).expect("our own records can be read");
        }
        self.check_offsets(&reloaded);
        for (group, _) in GROUPS {
            let (now, then) = (self.coordinator.describe(group), reloaded.describe(group));
            let Some(now) = now else {
                assert!(then.is_none(), "group {group} was deleted and comes back as {then:?}");
                continue;
            };
            let Some(then) = then else {
                assert!(now.state != GroupState::Stable, "stable group {group} would be lost");
                continue;
            };
            if self.model.behind.contains(group) {
                continue;
            }
            assert!(
                then.generation <= now.generation,
                "group {group} would go ahead to {then:?} from {now:?}"
            );
            if now.state == GroupState::Stable {
                let is_complete = then.state == now.state
                    && then.generation == now.generation
                    && then.protocol_name == now.protocol_name;
                assert!(is_complete, "group {group}: {then:?} instead of {now:?}");
                let members = |group: &crate::GroupDescription| -> BTreeSet<_> {
                    let members = group.members.iter();
                    members
                        .map(|m| (m.member_id.clone(), m.instance_id.clone(), m.assignment.clone()))
                        .collect()
                };
                // A static member whose new id is being written is not yet in the log: then a write is under way.
                assert_eq!(members(&then), members(&now), "members of {group}");
            }
        }
    }

    pub(super) fn check_answer(&mut self, asked: &Asked, answer: &Answer) {
        match (asked, answer) {
            (Asked::Join { .. }, Answer::Join(answer)) => {
                let ids: BTreeSet<_> = answer.members.iter().map(|member| &member.member_id).collect();
                assert_eq!(ids.len(), answer.members.len(), "a leader hears of each member once");
                let all_support = answer.members.iter().all(|member| !member.metadata.is_empty());
                assert!(all_support, "a leader hears what each member sent");
            }
            (Asked::Sync { group, generation, member, .. }, Answer::Sync(answer)) => {
                if answer.error == ErrorCode::NONE {
                    self.check_assignment(group, *generation, member, &answer.assignment);
                }
            }
            (Asked::Heartbeat { group, member, instance: Some(instance), .. }, Answer::Heartbeat(error)) => {
                if matches!(*error, ErrorCode::NONE | ErrorCode::REBALANCE_IN_PROGRESS) {
                    let described = self.coordinator.describe(group).expect("it has a member");
                    let current =
                        described.members.iter().find(|m| m.instance_id.as_deref() == Some(instance));
                    assert_eq!(
                        current.map(|current| &*current.member_id),
                        Some(member.as_str()),
                        "two processes are static member {instance}"
                    );
                }
            }
            (Asked::Commit { offset, value, .. }, Answer::CommitOffsets(answer)) => {
                if answer.partitions[0] == ErrorCode::NONE {
                    assert_eq!(self.model.offsets.get(offset), Some(value), "answered before it was written");
                }
            }
            (Asked::DeleteGroup { group }, Answer::DeleteGroup(ErrorCode::NONE)) => {
                let left: Vec<_> = self.model.offsets.keys().filter(|(owner, ..)| owner == group).collect();
                assert!(left.is_empty(), "{group} was deleted, and {left:?} stayed");
                assert!(
                    !self.model.groups.contains_key(*group),
                    "{group} was deleted, and its record stayed"
                );
            }
            (Asked::Heartbeat { .. }, Answer::Heartbeat(_))
            | (Asked::DeleteGroup { .. }, Answer::DeleteGroup(_))
            | (Asked::Leave, Answer::Leave(_))
            | (Asked::DeleteOffsets, Answer::DeleteOffsets(_)) => {}
            (asked, answer) => panic!("{asked:?} is answered with {answer:?}"),
        }
    }

    /// What a member is told to read is durable, and nobody else is told so in that generation.
    fn check_assignment(&mut self, group: &str, generation: i32, member: &str, assignment: &[u8]) {
        let durable: Option<&DurableGroup> = self.model.groups.get(group);
        let durable = durable.filter(|durable| durable.generation == generation);
        let durable = durable.expect("an assignment is told only when it was written");
        let written = durable.members.iter().find(|(id, ..)| id == member);
        let (_, instance, written) = written.expect("a member with an assignment was written");
        assert_eq!(written, assignment, "a member is told what was written");
        assert!(durable.protocol.is_some());
        let text = core::str::from_utf8(assignment).expect("assignments are text here");
        let Some((sync, rest)) = text.split_once('|') else {
            return assert!(text.is_empty(), "no leader ever assigned {text}");
        };
        let (assigned_to, _) = rest.split_once('|').expect("assignments name their member");
        // A static member that came back has the assignment of the process before.
        assert!(assigned_to == member || instance.is_some(), "{member} is told what {assigned_to} is to do");
        let name = (group.to_owned(), self.model.life(group), generation);
        let first = self.model.syncs.entry(name).or_insert_with(|| sync.to_owned());
        assert_eq!(first, sync, "two assignments of {group} in generation {generation}");
    }

    /// Whether everybody who lives works, and every partition has its owner.
    pub(super) fn is_in_order(&self) -> bool {
        self.asked.is_empty()
            && self.nothing_under_way()
            && GROUPS.iter().all(|(group, _)| self.is_group_in_order(group))
    }

    fn is_group_in_order(&self, group: &str) -> bool {
        let living =
            || self.clients.iter().filter(|client| client.group == group && client.phase != Phase::Gone);
        let Some(described) = self.coordinator.describe(group) else {
            return living().next().is_none();
        };
        if living().next().is_none() {
            return matches!(described.state, GroupState::Empty);
        }
        let works = |client: &super::client::Client| {
            client.phase == Phase::Member
                && client.generation == described.generation
                && described
                    .members
                    .iter()
                    .any(|m| *m.member_id == *client.member && m.assignment == client.assignment.as_bytes())
        };
        let mut owned: Vec<&str> = living()
            .filter_map(|client| client.assignment.rsplit('|').next())
            .flat_map(|partitions| partitions.split(',').filter(|partition| !partition.is_empty()))
            .collect();
        owned.sort_unstable();
        let all: Vec<String> = (0..PARTITIONS).map(|partition| partition.to_string()).collect();
        described.state == GroupState::Stable
            && living().count() == described.members.len()
            && living().all(works)
            && owned == all
    }

    pub(super) fn explain_disorder(&self) -> ! {
        for (group, _) in GROUPS {
            eprintln!("{group}: {:#?}", self.coordinator.describe(group));
        }
        for client in self.clients.iter().filter(|client| client.phase != Phase::Gone) {
            eprintln!("{client:?}");
        }
        panic!(
            "nothing goes wrong any more, and yet it is not in order; these wait for ever: {:?}",
            self.asked
        );
    }
}

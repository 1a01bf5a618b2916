//! The members of one group and everything that is counted over them.
//!
//! What must hold (and is checked by `assert_consistent` after every event of the simulation):
//! - `ids` names exactly the members and the pending members, `instances` exactly the static members;
//! - `supported`, `waiting_joins`, `owing_syncs` and `held_bytes` are what a walk over the members would count.
//!
//! Numbers ascend with the time of joining, and a static member keeps its number when its id is replaced: walks are in
//! the order of joining, and the leader stays the leader.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use bytes::Bytes;

use super::member::{Client, Member, Wishes};
use crate::RequestToken;

/// Names a member within its group, for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberNumber(pub(crate) u64);

/// Bytes of a pending member beside its id.
const PENDING_OVERHEAD_BYTES: usize = 192;

/// Somebody who was given an id and is to come back with it (KIP-394).
#[derive(Debug)]
struct PendingMember {
    id: Arc<str>,
    session_deadline_ms: Option<i64>,
}

/// Members and pending members.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_number: BTreeMap<MemberNumber, Member>,
    pending: BTreeMap<MemberNumber, PendingMember>,
    ids: BTreeMap<Arc<str>, MemberNumber>,
    instances: BTreeMap<Arc<str>, MemberNumber>,
    /// How many members support each protocol; never 0.
    supported: BTreeMap<Arc<str>, usize>,
    waiting_joins: usize,
    owing_syncs: usize,
    held_bytes: usize,
    next: u64,
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn waiting_joins(&self) -> usize {
        self.waiting_joins
    }

    pub(crate) fn owing_syncs(&self) -> usize {
        self.owing_syncs
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether the rebalance waits for nobody any more.
    pub(crate) fn all_joined(&self) -> bool {
        self.by_number.len() == self.waiting_joins && self.pending.is_empty()
    }

    /// Members in the order of joining.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MemberNumber, &Member)> {
        self.by_number.iter().map(|(number, member)| (*number, member))
    }

    pub(crate) fn numbers(&self) -> Vec<MemberNumber> {
        self.by_number.keys().copied().collect()
    }

    pub(crate) fn pending_numbers(&self) -> Vec<MemberNumber> {
        self.pending.keys().copied().collect()
    }

    pub(crate) fn first(&self) -> Option<MemberNumber> {
        self.by_number.keys().next().copied()
    }

    pub(crate) fn get(&self, number: MemberNumber) -> Option<&Member> {
        self.by_number.get(&number)
    }

    /// The member of that id, unless it is only pending.
    pub(crate) fn by_id(&self, id: &str) -> Option<MemberNumber> {
        self.ids.get(id).copied().filter(|number| self.by_number.contains_key(number))
    }

    pub(crate) fn pending_by_id(&self, id: &str) -> Option<MemberNumber> {
        self.ids.get(id).copied().filter(|number| self.pending.contains_key(number))
    }

    pub(crate) fn by_instance(&self, instance_id: &str) -> Option<MemberNumber> {
        self.instances.get(instance_id).copied()
    }

    /// Whether some protocol of a newcomer is supported by all.
    pub(crate) fn support(&self, mut protocols: impl Iterator<Item = impl AsRef<str>>) -> bool {
        protocols.any(|name| self.is_candidate(name.as_ref()))
    }

    fn is_candidate(&self, protocol: &str) -> bool {
        self.supported.get(protocol).copied().unwrap_or(0) == self.by_number.len()
    }

    /// The protocol that most members want, of those that all support; of equals the one that was voted for first.
    pub(crate) fn select_protocol(&self) -> Option<Arc<str>> {
        // Votes for each name, and who voted for it first.
        let mut votes: BTreeMap<&Arc<str>, (usize, Reverse<MemberNumber>)> = BTreeMap::new();
        for (number, member) in &self.by_number {
            let voted = member.vote(|name| self.is_candidate(name))?;
            votes.entry(voted).or_insert((0, Reverse(*number))).0 += 1;
        }
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(name, _)| Arc::clone(name))
    }

    /// The longest time that a rebalance is to wait for a member.
    pub(crate) fn rebalance_timeout_ms(&self) -> i64 {
        self.by_number
            .values()
            .map(|member| i64::from(member.wishes.rebalance_timeout_ms))
            .max()
            .unwrap_or(0)
            .max(0)
    }

    /// Adds a member; one that was pending keeps its number.
    pub(crate) fn add(&mut self, mut member: Member) -> MemberNumber {
        let number = match self.ids.get(&member.id) {
            Some(number) => {
                let pending = self.pending.remove(number).expect("a member is added once");
                assert!(
                    pending.session_deadline_ms.is_none(),
                    "the deadline of a pending member is cancelled first"
                );
                self.held_bytes -= PENDING_OVERHEAD_BYTES + pending.id.len();
                *number
            }
            None => {
                let number = self.take_number();
                self.ids.insert(Arc::clone(&member.id), number);
                number
            }
        };
        if let Some(instance_id) = &member.instance_id {
            let before = self.instances.insert(Arc::clone(instance_id), number);
            assert!(before.is_none(), "a static member is replaced, never added twice");
        }
        self.count_protocols(&mut member.wishes);
        self.held_bytes += member.held_bytes();
        self.by_number.insert(number, member);
        number
    }

    /// Remembers an id that was given away.
    pub(crate) fn add_pending(&mut self, id: Arc<str>) -> MemberNumber {
        let number = self.take_number();
        self.held_bytes += PENDING_OVERHEAD_BYTES + id.len();
        let before = self.ids.insert(Arc::clone(&id), number);
        assert!(before.is_none(), "ids are random: no two members get the same");
        self.pending.insert(number, PendingMember { id, session_deadline_ms: None });
        number
    }

    /// Removes a member or a pending member, whose deadline was cancelled. A member's waiting requests come back with
    /// it and must be answered.
    pub(crate) fn remove(&mut self, number: MemberNumber) -> Option<Member> {
        if let Some(pending) = self.pending.remove(&number) {
            assert!(
                pending.session_deadline_ms.is_none(),
                "the deadline of a pending member is cancelled first"
            );
            self.ids.remove(&pending.id);
            self.held_bytes -= PENDING_OVERHEAD_BYTES + pending.id.len();
            return None;
        }
        let member = self.by_number.remove(&number)?;
        assert!(member.session_deadline_ms.is_none(), "the deadline of a member is cancelled first");
        self.ids.remove(&member.id);
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        self.discount_protocols(&member.wishes);
        self.waiting_joins -= usize::from(member.waiting_join.is_some());
        self.owing_syncs -= usize::from(member.owes_sync);
        self.held_bytes -= member.held_bytes();
        Some(member)
    }

    /// Gives a static member another id.
    pub(crate) fn rename(&mut self, number: MemberNumber, id: Arc<str>) {
        let member = self.by_number.get_mut(&number).expect("the caller found the member");
        self.ids.remove(&member.id);
        self.held_bytes = self.held_bytes - member.id.len() + id.len();
        member.id = Arc::clone(&id);
        let before = self.ids.insert(id, number);
        assert!(before.is_none(), "ids are random: no two members get the same");
    }

    /// Replaces what a member wishes, and returns what it wished before.
    pub(crate) fn update(&mut self, number: MemberNumber, mut wishes: Wishes) -> Wishes {
        self.count_protocols(&mut wishes);
        let member = self.by_number.get_mut(&number).expect("the caller found the member");
        self.held_bytes = self.held_bytes - member.wishes.held_bytes() + wishes.held_bytes();
        let before = core::mem::replace(&mut member.wishes, wishes);
        self.discount_protocols(&before);
        before
    }

    /// Notes which process a static member is now, and returns the one before. The instance was known: it is not new.
    pub(crate) fn change_client(&mut self, number: MemberNumber, client: Client) -> Client {
        let member = self.by_number.get_mut(&number).expect("the caller found the member");
        self.held_bytes = self.held_bytes - member.client.held_bytes() + client.held_bytes();
        member.is_new = false;
        core::mem::replace(&mut member.client, client)
    }

    pub(crate) fn assign(&mut self, number: MemberNumber, assignment: Bytes) {
        let member = self.by_number.get_mut(&number).expect("the caller found the member");
        self.held_bytes = self.held_bytes - member.assignment.len() + assignment.len();
        member.assignment = assignment;
    }

    /// Lets a join wait. One that waited before comes back: its client has given up on it.
    #[must_use]
    pub(crate) fn wait_for_join(
        &mut self,
        number: MemberNumber,
        request: RequestToken,
    ) -> Option<RequestToken> {
        let member = self.by_number.get_mut(&number).expect("the caller found the member");
        let before = member.waiting_join.replace(request);
        self.waiting_joins += usize::from(before.is_none());
        before
    }

    pub(crate) fn take_join(&mut self, number: MemberNumber) -> Option<RequestToken> {
        let taken = self.by_number.get_mut(&number)?.waiting_join.take();
        self.waiting_joins -= usize::from(taken.is_some());
        taken
    }

    /// Lets a sync wait. One that waited before comes back: its client has given up on it.
    #[must_use]
    pub(crate) fn wait_for_sync(
        &mut self,
        number: MemberNumber,
        request: RequestToken,
    ) -> Option<RequestToken> {
        self.by_number.get_mut(&number).expect("the caller found the member").waiting_sync.replace(request)
    }

    pub(crate) fn take_sync(&mut self, number: MemberNumber) -> Option<RequestToken> {
        self.by_number.get_mut(&number)?.waiting_sync.take()
    }

    /// The member was told the generation and is to ask for its assignment.
    pub(crate) fn begin_generation(&mut self, number: MemberNumber) {
        let member = self.by_number.get_mut(&number).expect("the caller found the member");
        self.owing_syncs += usize::from(!member.owes_sync);
        member.owes_sync = true;
        member.is_new = false;
    }

    pub(crate) fn forgive_sync(&mut self, number: MemberNumber) {
        if let Some(member) = self.by_number.get_mut(&number) {
            self.owing_syncs -= usize::from(member.owes_sync);
            member.owes_sync = false;
        }
    }

    pub(crate) fn forgive_syncs(&mut self) {
        if self.owing_syncs > 0 {
            self.by_number.values_mut().for_each(|member| member.owes_sync = false);
            self.owing_syncs = 0;
        }
    }

    /// Members that were told the generation and never asked for their assignment.
    pub(crate) fn owing_sync(&self) -> Vec<MemberNumber> {
        self.iter().filter(|(_, member)| member.owes_sync).map(|(number, _)| number).collect()
    }

    /// Where the deadline of a member or a pending member is kept.
    pub(crate) fn session_slot(&mut self, number: MemberNumber) -> Option<&mut Option<i64>> {
        match self.by_number.get_mut(&number) {
            Some(member) => Some(&mut member.session_deadline_ms),
            None => self.pending.get_mut(&number).map(|pending| &mut pending.session_deadline_ms),
        }
    }

    fn take_number(&mut self) -> MemberNumber {
        self.next += 1;
        MemberNumber(self.next)
    }

    /// Counts the protocols of a member, and lets it share their names with the others.
    fn count_protocols(&mut self, wishes: &mut Wishes) {
        for protocol in &mut wishes.protocols {
            if let Some((name, _)) = self.supported.get_key_value(&protocol.name) {
                protocol.name = Arc::clone(name);
            }
            *self.supported.entry(Arc::clone(&protocol.name)).or_default() += 1;
        }
    }

    fn discount_protocols(&mut self, wishes: &Wishes) {
        for protocol in &wishes.protocols {
            let count = self.supported.get_mut(&protocol.name).expect("protocols of members are counted");
            *count -= 1;
            if *count == 0 {
                self.supported.remove(&protocol.name);
            }
        }
    }
}

#[cfg(test)]
impl Members {
    /// Every deadline that is set.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (MemberNumber, i64)> {
        let members = self.by_number.iter().map(|(number, member)| (number, member.session_deadline_ms));
        let pending = self.pending.iter().map(|(number, member)| (number, member.session_deadline_ms));
        members.chain(pending).filter_map(|(number, at_ms)| Some((*number, at_ms?)))
    }

    /// Counts everything anew and compares.
    pub(crate) fn assert_consistent(&self) {
        let members = self.by_number.values();
        assert_eq!(self.waiting_joins, members.clone().filter(|member| member.waits_for_join()).count());
        assert_eq!(self.owing_syncs, members.clone().filter(|member| member.owes_sync).count());
        let pending = self.pending.values().map(|pending| PENDING_OVERHEAD_BYTES + pending.id.len());
        assert_eq!(
            self.held_bytes,
            members.clone().map(Member::held_bytes).sum::<usize>() + pending.sum::<usize>()
        );
        let mut supported: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for protocol in members.clone().flat_map(|member| &member.wishes.protocols) {
            *supported.entry(Arc::clone(&protocol.name)).or_default() += 1;
        }
        assert_eq!(self.supported, supported);
        let ids = self.by_number.iter().map(|(number, member)| (Arc::clone(&member.id), *number));
        let pending_ids = self.pending.iter().map(|(number, pending)| (Arc::clone(&pending.id), *number));
        assert_eq!(self.ids, ids.chain(pending_ids).collect());
        let instances = self.by_number.iter();
        let instances = instances.filter_map(|(number, member)| Some((member.instance_id.clone()?, *number)));
        assert_eq!(self.instances, instances.collect());
    }
}

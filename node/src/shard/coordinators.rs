//! The consumer groups of a shard: one coordinator for each partition of the offsets topic that the shard leads.
//!
//! A group belongs to one partition of the topic, so the shard that owns that partition runs the group; requests about it
//! arrive there as calls. What must hold: a coordinator lives as long as one leadership of its partition by this node, and
//! takes nothing over from an earlier one; the next deadline of all of them is known without looking through groups; what
//! all groups hold is bounded by `memory.groups_bytes_per_shard`.
//! Does not do: the rules of groups (`ringmain-group`), messages (`handlers`).

mod appender;
mod clock;
mod coordinator;
mod deadlines;
mod loading;
mod offsets_topic;
mod progress;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use ringmain_group::{Counters as GroupCounters, Event, GroupListing, GroupState, Settings};
use ringmain_protocol::ErrorCode;
use ringmain_storage::{LogKey, ShardId};

use self::{clock::SteadyClock, deadlines::Deadlines};
use super::{Partition, Shard};
use crate::{
    config::NodeConfig,
    metadata::{ImageChanges, MetadataImage, NodeId, OFFSETS_TOPIC},
    runtime,
};
use coordinator::Coordinator;
pub(crate) use progress::GroupProgress;

/// Coordinators that read their logs at once: the logs of a shard lie on one disk, and more would only queue there.
const LOADING_AT_ONCE: usize = 4;

/// The shortest wait for a deadline: the clock of deadlines counts milliseconds.
const DEADLINE_MS_MIN: i64 = 1;

/// The coordinators of one shard.
#[derive(Default)]
pub(super) struct Coordinators {
    /// By partition of the offsets topic.
    by_partition: RefCell<BTreeMap<i32, Rc<Coordinator>>>,
    deadlines: Deadlines,
    clock: SteadyClock,
    /// What all groups of the shard hold, roughly.
    held_bytes: Cell<usize>,
    /// Whether it was said that this is all they may hold.
    is_full: Cell<bool>,
    /// Of coordinators that are gone.
    past: Cell<GroupCounters>,
    /// Time that coordinators spent reading their logs.
    load_ms: Cell<u64>,
    /// A leadership began or ended, and coordinators do not know yet.
    moved: Cell<bool>,
    /// When it was last said that the topic cannot be made.
    refusal_reported: Cell<Option<Instant>>,
}

impl Shard {
    /// The coordinator of a group, which must be one of this shard.
    pub(crate) fn coordinator(&self, group: &str) -> Result<Rc<Coordinator>, ErrorCode> {
        let Some(key) = self.offsets_partition(group) else {
            // Nobody has asked where the group is: as in Kafka, there is no coordinator yet.
            return Err(ErrorCode::NOT_COORDINATOR);
        };
        let found = self.coordinators.by_partition.borrow().get(&key.partition).cloned();
        match found.filter(|coordinator| coordinator.key() == key) {
            Some(coordinator) if coordinator.leads() => Ok(coordinator),
            Some(_) => {
                self.coordinators.wake();
                Err(ErrorCode::NOT_COORDINATOR)
            }
            None if self.is_refused(key) => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            None => Err(ErrorCode::NOT_COORDINATOR),
        }
    }

    /// The shard that runs a group. Any will do to say that there is no coordinator.
    pub(crate) fn group_owner(&self, group: &str) -> ShardId {
        self.offsets_partition(group).map_or(self.id(), |key| self.owner(key))
    }

    /// The node that leads the partition which keeps a group.
    pub(crate) fn group_leader(&self, group: &str) -> Option<NodeId> {
        let key = self.offsets_partition(group)?;
        self.image().partition(key.topic_id, key.partition)?.leader
    }

    /// The groups of this shard that are wanted, and why there may be more.
    pub(crate) fn list_groups(
        &self,
        wanted: impl Fn(&GroupListing) -> bool,
    ) -> (Vec<GroupListing>, Option<ErrorCode>) {
        let (mut listed, mut refusal) = (Vec::new(), None);
        for coordinator in self.all_coordinators() {
            match coordinator.read(|groups| listed.extend(groups.groups().filter(&wanted))) {
                Ok(()) => {}
                Err(error) => refusal = Some(error),
            }
        }
        (listed, refusal)
    }

    /// Every coordinator of this shard.
    fn all_coordinators(&self) -> Vec<Rc<Coordinator>> {
        self.coordinators.by_partition.borrow().values().cloned().collect()
    }

    /// Begins to coordinate what an image has and this shard leads, ends the rest.
    pub(super) fn apply_to_coordinators(self: &Rc<Self>, changes: &ImageChanges<'_>, image: &MetadataImage) {
        self.follow_leaderships(image);
        self.tell_deleted_topics(changes);
    }

    /// A leadership of a partition began or ended here.
    pub(super) fn leadership_moved(&self, partition: &Partition) {
        if partition.topic() == OFFSETS_TOPIC {
            self.coordinators.wake();
        }
    }

    /// One coordinator for each leadership: ends those whose leadership ended, begins those that are missing.
    fn follow_leaderships(self: &Rc<Self>, image: &MetadataImage) {
        self.coordinators.moved.set(false);
        self.end_coordinators(image);
        // What was just made has nothing to read: its groups are served before anybody is told where they are.
        let (empty, to_load): (Vec<_>, Vec<_>) =
            self.begin_coordinators(image).into_iter().partition(|it| it.has_empty_log());
        empty.iter().for_each(|coordinator| coordinator.loaded(self));
        if to_load.is_empty() {
            return;
        }
        let shard = self.clone();
        runtime::spawn(async move {
            let shard = &shard;
            // Those that wait for followers keep nobody from reading.
            let committed =
                |it: Rc<Coordinator>| async move { it.is_log_committed(shard).await.then_some(it) };
            let committed: FuturesUnordered<_> = to_load.into_iter().map(committed).collect();
            let load = |it: Option<Rc<Coordinator>>| async move {
                if let Some(coordinator) = it {
                    coordinator.load(shard).await;
                }
            };
            committed.for_each_concurrent(LOADING_AT_ONCE, load).await;
        });
    }

    fn begin_coordinators(self: &Rc<Self>, image: &MetadataImage) -> Vec<Rc<Coordinator>> {
        let Some(topic) = image.topic(OFFSETS_TOPIC) else { return Vec::new() };
        if self.is_stopping() {
            return Vec::new();
        }
        let keys =
            (0..).zip(&topic.partitions).map(|(partition, _)| LogKey { topic_id: topic.id, partition });
        let led = keys.filter_map(|key| self.partition(key)).filter(|partition| partition.is_leading());
        let mut by_partition = self.coordinators.by_partition.borrow_mut();
        let mut began = Vec::new();
        for partition in led {
            by_partition.entry(partition.key().partition).or_insert_with(|| {
                let coordinator = Coordinator::new(partition, group_settings(self.config()));
                began.push(coordinator.clone());
                coordinator
            });
        }
        began
    }

    fn end_coordinators(self: &Rc<Self>, image: &MetadataImage) {
        let topic_id = image.topic(OFFSETS_TOPIC).map(|topic| topic.id);
        for coordinator in self.all_coordinators() {
            if topic_id != Some(coordinator.key().topic_id) || !coordinator.leads() {
                self.end_coordinator(&coordinator);
            }
        }
    }

    /// Answers what waits and forgets the groups: the leadership has ended, or the log failed.
    pub(super) fn end_coordinator(self: &Rc<Self>, coordinator: &Rc<Coordinator>) {
        tracing::debug!(partition = coordinator.key().partition, "coordinate groups no longer");
        coordinator.step(self, Event::Resign);
        let mut by_partition = self.coordinators.by_partition.borrow_mut();
        let partition = coordinator.key().partition;
        if by_partition.get(&partition).is_some_and(|known| Rc::ptr_eq(known, coordinator)) {
            by_partition.remove(&partition);
            self.coordinators.forget(coordinator);
        }
    }

    /// Offsets of topics that are gone are of no use; one that was made anew under the same name is another topic.
    fn tell_deleted_topics(self: &Rc<Self>, changes: &ImageChanges<'_>) {
        let names: Vec<&str> = changes.deleted.iter().map(|topic| &*topic.name).collect();
        if names.is_empty() {
            return;
        }
        for coordinator in self.all_coordinators() {
            coordinator.step(self, Event::TopicsDeleted { topics: &names });
        }
    }

    /// Answers every request that waits for other members: the node stops.
    pub(super) fn resign_groups(self: &Rc<Self>) {
        for coordinator in self.all_coordinators() {
            coordinator.step(self, Event::Resign);
        }
        self.coordinators.deadlines.wake();
    }

    /// Tells coordinators that their time has come, or that leaderships moved, until the node stops. One timer serves all groups of the shard.
    pub(super) async fn keep_group_deadlines(self: Rc<Self>) {
        let deadlines = &self.coordinators.deadlines;
        while !self.is_stopping() {
            let awaited_ms = deadlines.earliest_ms();
            let mut timer = awaited_ms.map(|deadline_ms| {
                let wait_ms =
                    deadline_ms.saturating_sub(self.coordinators.clock.unix_ms()).max(DEADLINE_MS_MIN);
                runtime::timer(Duration::from_millis(wait_ms.unsigned_abs()))
            });
            poll_fn(|context| match self.coordinators.moved.get() {
                true => Poll::Ready(()),
                false => deadlines.poll_wait(awaited_ms, timer.as_mut().map(Pin::new), context),
            })
            .await;
            if self.coordinators.moved.get() {
                self.follow_leaderships(&self.image());
            }
            for partition in deadlines.due(self.coordinators.clock.unix_ms()) {
                let coordinator = self.coordinators.by_partition.borrow().get(&partition).cloned();
                if let Some(coordinator) = coordinator {
                    coordinator.step(&self, Event::TimePassed);
                }
            }
        }
    }

    /// What the groups of this shard do and hold, for whoever exports it.
    pub(super) fn group_values(&self) -> GroupValues {
        let mut values = GroupValues {
            counters: self.coordinators.past.get(),
            held_bytes: self.coordinators.held_bytes.get() as u64,
            load_ms: self.coordinators.load_ms.get(),
            ..GroupValues::default()
        };
        for coordinator in self.all_coordinators() {
            coordinator.add_to(&mut values);
        }
        values
    }
}

impl Coordinators {
    /// Lets the shard look which leaderships there are.
    fn wake(&self) {
        self.moved.set(true);
        self.deadlines.wake();
    }

    /// What a coordinator may hold so that all of them stay within `budget`. Says so once when nothing is left, and again
    /// only after a tenth became free.
    fn share(&self, held_bytes: usize, budget: usize) -> usize {
        let all = self.held_bytes.get();
        if all >= budget && !self.is_full.replace(true) {
            tracing::warn!(
                held_bytes = all,
                "groups hold all of memory.groups_bytes_per_shard: what would add to them is refused"
            );
        } else if all < budget - budget / 10 {
            self.is_full.set(false);
        }
        budget.saturating_sub(self.held_bytes.get() - held_bytes)
    }

    /// A coordinator holds more or less than before.
    fn held(&self, before: usize, now: usize) {
        self.held_bytes.set(self.held_bytes.get() - before + now);
    }

    fn forget(&self, coordinator: &Coordinator) {
        self.deadlines.set(coordinator.key().partition, None);
        self.held(coordinator.held_bytes(), 0);
        let mut past = self.past.get();
        add(&mut past, coordinator.counters());
        self.past.set(past);
    }
}

/// What the groups of one shard do and hold, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GroupValues {
    /// By state, in the order of [`GroupState::ALL`].
    pub(crate) groups: [u64; GroupState::ALL.len()],
    /// Of all groups.
    pub(crate) members: u64,
    pub(crate) held_bytes: u64,
    /// Coordinators that read their logs.
    pub(crate) loading: u64,
    /// Time that was spent so.
    pub(crate) load_ms: u64,
    pub(crate) counters: GroupCounters,
}

impl GroupValues {
    /// Groups in a state.
    pub(crate) fn in_state(&self, state: GroupState) -> u64 {
        self.groups[state.index()]
    }
}

fn add(sum: &mut GroupCounters, more: GroupCounters) {
    sum.rebalances += more.rebalances;
    sum.members_expired += more.members_expired;
    sum.offsets_committed += more.offsets_committed;
    sum.offsets_expired += more.offsets_expired;
    sum.groups_expired += more.groups_expired;
    sum.writes_failed += more.writes_failed;
}

/// What the node's configuration says about groups.
fn group_settings(config: &NodeConfig) -> Settings {
    let groups = &config.groups;
    Settings {
        group_members_max: groups.members_max,
        session_timeout_ms_min: groups.session_timeout_ms_min,
        session_timeout_ms_max: groups.session_timeout_ms_max,
        initial_rebalance_delay_ms: groups.initial_rebalance_delay_ms,
        offset_metadata_length_max: groups.offset_metadata_bytes_max,
        offsets_retention_ms: groups.offsets_retention_ms,
        offsets_retention_check_interval_ms: i64::try_from(groups.offsets_retention_check_ms)
            .expect("the option is bounded by a day"),
        group_bytes_max: groups.member_metadata_bytes_max,
        held_bytes_max: config.memory.groups_bytes_per_shard,
        ..Settings::default()
    }
}

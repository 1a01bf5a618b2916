//! Clients, a coordinator, its log and everything that goes wrong, under one seed.

use alloc::collections::{BTreeMap, VecDeque};

use ringmain_protocol::ErrorCode;

use super::client::{Client, GROUPS, PARTITIONS, Phase};
use super::model::Model;
use super::random::Random;
use crate::tests::script::subscription;
use crate::{
    Answer, CommitOffsets, CommittedPartition, CommittedTopic, Coordinator, DeletedTopic, Effect, Event,
    Heartbeat, Join, Leave, LeavingMember, Protocol, Record, RequestToken, Settings, Sync, SyncedMember,
    WriteError, WriteToken,
};

pub(super) const TOPICS: [&str; 2] = ["orders", "bills"];
pub(super) const SESSION_TIMEOUT_MS: i32 = 6_000;
pub(super) const REBALANCE_TIMEOUT_MS: i32 = 9_000;
/// Longest time between two events.
const PAUSE_MS_MAX: i64 = 1_500;
/// Within this many turns without faults everything must be in order again.
const HEALING_TURNS_MAX: usize = 2_000;

/// How often what goes wrong, in percent of the turns; each seed draws its own mixture.
struct Faults {
    silence: u64,
    repeat: u64,
    stale: u64,
    write_fails: u64,
    write_waits: u64,
    crash: u64,
    operator: u64,
}

impl Faults {
    fn draw(random: &mut Random) -> Self {
        let mut rate = |most: &[u64]| *random.of(most);
        Self {
            silence: rate(&[0, 1, 3]),
            repeat: rate(&[0, 5, 20]),
            stale: rate(&[0, 5, 20]),
            write_fails: rate(&[0, 5, 30]),
            write_waits: rate(&[0, 30, 80]),
            crash: rate(&[0, 1, 2]),
            operator: rate(&[0, 1, 5]),
        }
    }

    const NONE: Self =
        Self { silence: 0, repeat: 0, stale: 0, write_fails: 0, write_waits: 0, crash: 0, operator: 0 };
}

/// What a request that waits asked for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Join { client: usize, serial: u64 },
    Sync { client: usize, serial: u64, group: &'static str, generation: i32, member: String },
    Heartbeat { client: usize, serial: u64, group: &'static str, member: String, instance: Option<String> },
    Leave,
    Commit { client: usize, serial: u64, offset: (String, String, i32), value: i64 },
    DeleteGroup { group: &'static str },
    DeleteOffsets,
}

/// Everything.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) coordinator: Coordinator,
    pub(super) model: Model,
    /// Length of the log when it was last compared with what is in memory.
    pub(super) compared: usize,
    pub(super) now_ms: i64,
    pub(super) clients: Vec<Client>,
    pub(super) asked: BTreeMap<RequestToken, Asked>,
    under_way: VecDeque<(WriteToken, Vec<Record>)>,
    faults: Faults,
    /// Nothing goes wrong any more, and nobody new comes.
    is_healing: bool,
    next_request: u64,
    next_uuid: u64,
    next_offset: i64,
    effects: Vec<Effect>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let faults = Faults::draw(&mut random);
        let mut coordinator = Coordinator::new(settings(&mut random));
        coordinator.loaded(0, &mut Vec::new());
        Self {
            random,
            coordinator,
            model: Model::default(),
            compared: 0,
            now_ms: 0,
            clients: Vec::new(),
            asked: BTreeMap::new(),
            under_way: VecDeque::new(),
            faults,
            is_healing: false,
            next_request: 0,
            next_uuid: 0,
            next_offset: 0,
            effects: Vec::new(),
        }
    }

    /// Some turns with faults, then some without: at the end everything must be in order.
    pub(super) fn live(&mut self, turns: usize) {
        for _ in 0..turns {
            self.turn();
        }
        self.faults = Faults::NONE;
        self.is_healing = true;
        for _ in 0..HEALING_TURNS_MAX {
            if self.is_in_order() {
                return;
            }
            self.turn();
        }
        self.explain_disorder();
    }

    fn turn(&mut self) {
        let pause_ms = self.random.milliseconds(PAUSE_MS_MAX);
        self.pass_time(pause_ms);
        if self.clients.iter().filter(|client| client.phase != Phase::Gone).count() < 5 && !self.is_healing {
            let client = Client::new(&mut self.random, self.clients.len());
            self.clients.push(client);
        }
        if self.random.percent(self.faults.crash) {
            self.crash();
        }
        if self.random.percent(self.faults.operator) {
            self.operate();
        }
        let turns = if self.is_healing { self.clients.len() } else { 1 + self.random.below(4) };
        for turn in 0..turns {
            let client = if self.is_healing { turn } else { self.random.below(self.clients.len()) };
            if client < self.clients.len() {
                self.act(client);
            }
            if !self.random.percent(self.faults.write_waits) {
                self.report_writes();
            }
        }
    }

    fn pass_time(&mut self, pause_ms: i64) {
        let until_ms = self.now_ms + pause_ms;
        while let Some(at_ms) = self.coordinator.next_deadline_ms().filter(|at_ms| *at_ms <= until_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            self.step(Event::TimePassed);
        }
        self.now_ms = until_ms;
    }

    fn act(&mut self, index: usize) {
        if self.random.percent(self.faults.silence) {
            self.clients[index].phase = Phase::Gone;
        }
        if self.random.percent(self.faults.stale) {
            self.ask_stale(index);
        }
        match self.clients[index].phase.clone() {
            Phase::Outside => self.ask_join(index),
            Phase::Joined { .. } => self.ask_sync(index),
            Phase::Joining if self.random.percent(self.faults.repeat) => self.ask_join(index),
            Phase::Syncing if self.random.percent(self.faults.repeat) => {
                self.clients[index].phase = Phase::Outside
            }
            Phase::Member if self.is_healing => self.ask_heartbeat(index, None),
            Phase::Member => match self.random.below(100) {
                0..60 => self.ask_heartbeat(index, None),
                60..90 => self.ask_commit(index, None),
                90..93 => self.ask_leave(index),
                93..97 => self.ask_join(index),
                _ => {
                    self.clients[index].wish += 1;
                    self.ask_join(index);
                }
            },
            Phase::Joining | Phase::Syncing | Phase::Gone => {}
        }
    }

    /// A request from the past: of another generation, of a member that is no more.
    fn ask_stale(&mut self, index: usize) {
        let back = i32::from(self.random.percent(70));
        match self.random.below(3) {
            0 => self.ask_heartbeat(index, Some(back)),
            1 => self.ask_commit(index, Some(back)),
            _ => {
                let phase = self.clients[index].phase.clone();
                self.clients[index].generation -= back;
                self.ask_sync(index);
                self.clients[index].generation += back;
                self.clients[index].phase = phase;
                self.clients[index].serial += 1; // Nobody listens to the answer...
                self.clients[index].on_disconnect(); // ... nor to what was asked before on that connection.
            }
        }
    }

    fn request(&mut self, asked: Asked) -> RequestToken {
        self.next_request += 1;
        let request = RequestToken(self.next_request);
        self.asked.insert(request, asked);
        request
    }

    fn next_serial(&mut self, client: usize) -> u64 {
        self.clients[client].serial += 1;
        self.clients[client].serial
    }

    fn ask_join(&mut self, index: usize) {
        let serial = self.next_serial(index);
        let request = self.request(Asked::Join { client: index, serial });
        self.next_uuid += 1;
        let uuid = format!("u{}", self.next_uuid);
        let client = &mut self.clients[index];
        client.phase = Phase::Joining;
        let mut metadata = subscription(&["orders"]);
        metadata.extend(client.wish.to_string().into_bytes());
        let (name, group, kind) = (client.name.clone(), client.group, client.kind);
        let (member, instance) = (client.member.clone(), client.instance.clone());
        let known = [
            Protocol { name: "range", metadata: &metadata },
            Protocol { name: "sticky", metadata: &metadata },
        ];
        let join = Join {
            group,
            member_id: &member,
            instance_id: instance.as_deref(),
            client_id: &name,
            client_host: "/127.0.0.1",
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            protocol_type: kind,
            protocols: if client.wish.is_multiple_of(2) { &known } else { &known[..1] },
            member_id_required: client.version >= 4,
            skip_assignment_supported: client.version >= 9,
            reason: None,
            uuid: &uuid,
        };
        self.step(Event::Join { request, join });
    }

    fn ask_sync(&mut self, index: usize) {
        let serial = self.next_serial(index);
        let client = &self.clients[index];
        let (group, generation, member) = (client.group, client.generation, client.member.clone());
        let instance = client.instance.clone();
        let assigned = client.assign(self.next_request);
        let request =
            self.request(Asked::Sync { client: index, serial, group, generation, member: member.clone() });
        self.clients[index].phase = Phase::Syncing;
        let assignments: Vec<SyncedMember<'_>> = assigned
            .iter()
            .map(|(member_id, assignment)| SyncedMember { member_id, assignment: assignment.as_bytes() })
            .collect();
        let sync = Sync {
            group,
            generation,
            member_id: &member,
            instance_id: instance.as_deref(),
            protocol_type: None,
            protocol_name: None,
            assignments: &assignments,
        };
        self.step(Event::Sync { request, sync });
    }

    /// A stale one is of so many generations ago, and goes over another connection: nobody hears the answer.
    fn ask_heartbeat(&mut self, index: usize, stale: Option<i32>) {
        let serial = if stale.is_none() { self.next_serial(index) } else { 0 };
        let client = &self.clients[index];
        let (group, generation) = (client.group, client.generation - stale.unwrap_or(0));
        let (member, instance) = (client.member.clone(), client.instance.clone());
        let asked = (member.clone(), instance.clone());
        let asked = Asked::Heartbeat { client: index, serial, group, member: asked.0, instance: asked.1 };
        let request = self.request(asked);
        let heartbeat = Heartbeat { group, generation, member_id: &member, instance_id: instance.as_deref() };
        self.step(Event::Heartbeat { request, heartbeat });
    }

    fn ask_leave(&mut self, index: usize) {
        let request = self.request(Asked::Leave);
        let client = &mut self.clients[index];
        client.phase = Phase::Gone;
        let (member, instance, group) = (client.member.clone(), client.instance.clone(), client.group);
        let members = [LeavingMember { member_id: &member, instance_id: instance.as_deref(), reason: None }];
        self.step(Event::Leave { request, leave: Leave { group, members: &members } });
    }

    fn ask_commit(&mut self, index: usize, stale: Option<i32>) {
        let serial = if stale.is_none() { self.next_serial(index) } else { 0 };
        let client = &self.clients[index];
        let (group, generation) = (client.group, client.generation - stale.unwrap_or(0));
        let (member, instance) = (client.member.clone(), client.instance.clone());
        self.next_offset += 1;
        let value = self.next_offset;
        let topic = *self.random.of(&TOPICS);
        let partition = i32::try_from(self.random.below(PARTITIONS)).expect("fits");
        let offset = (group.to_owned(), topic.to_owned(), partition);
        let request = self.request(Asked::Commit { client: index, serial, offset, value });
        let partitions = [CommittedPartition { partition, offset: value, leader_epoch: -1, metadata: None }];
        let topics = [CommittedTopic { topic, partitions: &partitions }];
        let commit = CommitOffsets {
            group,
            generation,
            member_id: &member,
            instance_id: instance.as_deref(),
            retention_ms: None,
            topics: &topics,
        };
        let writes_before = self.under_way.len();
        self.step(Event::CommitOffsets { request, commit });
        if self.under_way.len() > writes_before && generation >= 0 {
            self.check_accepted_commit(group, generation, &member);
        }
    }

    /// Only members of the present generation may commit.
    fn check_accepted_commit(&self, group: &str, generation: i32, member: &str) {
        let described = self.coordinator.describe(group).expect("it accepted a commit");
        assert_eq!(described.generation, generation, "a commit of another generation was accepted");
        assert!(described.members.iter().any(|known| *known.member_id == *member), "a stranger committed");
    }

    /// What operators do.
    fn operate(&mut self) {
        let (group, _) = *self.random.of(&GROUPS);
        match self.random.below(5) {
            0 => self.step(Event::TopicsDeleted { topics: &[TOPICS[1]] }),
            1 => {
                let request = self.request(Asked::DeleteOffsets);
                let topics = [DeletedTopic { topic: TOPICS[0], partitions: &[0, 1, 2] }];
                self.step(Event::DeleteOffsets { request, group, topics: &topics });
            }
            2 => {
                // Everybody leaves, and the group goes with them.
                for client in self.clients.iter_mut().filter(|client| client.group == group) {
                    client.phase = Phase::Gone;
                }
                let members = self.coordinator.describe(group).map(|group| group.members).unwrap_or_default();
                let request = self.request(Asked::Leave);
                let members: Vec<LeavingMember<'_>> = members
                    .iter()
                    .map(|member| LeavingMember {
                        member_id: &member.member_id,
                        instance_id: None,
                        reason: None,
                    })
                    .collect();
                self.step(Event::Leave { request, leave: Leave { group, members: &members } });
                self.ask_simple_commit(group);
                self.ask_delete(group);
            }
            3 => self.ask_simple_commit(group),
            _ => self.ask_delete(group),
        }
    }

    fn ask_delete(&mut self, group: &'static str) {
        let request = self.request(Asked::DeleteGroup { group });
        self.step(Event::DeleteGroup { request, group });
    }

    /// A commit of somebody who is in no generation.
    fn ask_simple_commit(&mut self, group: &'static str) {
        self.next_offset += 1;
        let value = self.next_offset;
        let offset = (group.to_owned(), TOPICS[0].to_owned(), 0);
        let request = self.request(Asked::Commit { client: 0, serial: 0, offset, value });
        let partitions =
            [CommittedPartition { partition: 0, offset: value, leader_epoch: -1, metadata: None }];
        let topics = [CommittedTopic { topic: TOPICS[0], partitions: &partitions }];
        let (generation, member_id, instance_id, retention_ms) = (-1, "", None, None);
        let topics = &topics;
        let commit = CommitOffsets { group, generation, member_id, instance_id, retention_ms, topics };
        self.step(Event::CommitOffsets { request, commit });
    }

    fn report_writes(&mut self) {
        while let Some((write, records)) = self.under_way.pop_front() {
            let result = if self.random.percent(self.faults.write_fails) {
                self.model.lose(&records);
                Err(*self.random.of(&[WriteError::Unavailable, WriteError::TimedOut, WriteError::TooLarge]))
            } else {
                self.model.append(records);
                Ok(())
            };
            self.step(Event::Written { write, result });
        }
    }

    /// The node stops at once: of the writes under way the first few may have reached the disk.
    fn crash(&mut self) {
        let survive = self.random.below(self.under_way.len() + 1);
        for (_, records) in self.under_way.drain(..).take(survive) {
            self.model.append(records);
        }
        self.asked.clear();
        self.clients.iter_mut().for_each(Client::on_disconnect);
        if self.random.percent(50) {
            self.model.compact();
        }
        self.coordinator = Coordinator::new(settings(&mut self.random));
        for record in &self.model.log {
            self.coordinator.load(&record.key, record.value.as_deref()).expect("our own records can be read");
        }
        self.coordinator.loaded(self.now_ms, &mut self.effects);
        self.model.behind.clear();
        self.happen();
    }

    fn step(&mut self, event: Event<'_>) {
        self.coordinator.step(self.now_ms, event, &mut self.effects);
        self.happen();
    }

    fn happen(&mut self) {
        for effect in core::mem::take(&mut self.effects) {
            match effect {
                Effect::Write { write, records } => self.under_way.push_back((write, records)),
                Effect::Answer { request, answer } => {
                    let asked = self.asked.remove(&request).expect("a request is answered once");
                    self.check_answer(&asked, &answer);
                    self.deliver(asked, &answer);
                }
            }
        }
        self.check_everything();
    }

    /// The client hears the answer, if it still listens.
    fn deliver(&mut self, asked: Asked, answer: &Answer) {
        let (Asked::Join { client, serial }
        | Asked::Sync { client, serial, .. }
        | Asked::Heartbeat { client, serial, .. }
        | Asked::Commit { client, serial, .. }) = asked
        else {
            return;
        };
        let client = &mut self.clients[client];
        if client.serial != serial || client.phase == Phase::Gone {
            return;
        }
        match answer {
            Answer::Join(answer) => client.on_join(answer),
            Answer::Sync(answer) => client.on_sync(answer),
            answer if answer.error() == ErrorCode::INVALID_COMMIT_OFFSET_SIZE => {}
            answer => client.on_error(answer.error()),
        }
    }

    pub(super) fn nothing_under_way(&self) -> bool {
        self.under_way.is_empty()
    }
}

fn settings(random: &mut Random) -> Settings {
    Settings {
        initial_rebalance_delay_ms: *random.of(&[0, 1_000, 3_000]),
        new_member_join_timeout_ms: 20_000,
        offsets_retention_ms: *random.of(&[60_000, 7 * 86_400_000]),
        offsets_retention_check_interval_ms: 10_000,
        ..Settings::default()
    }
}

//! The small language of the stories.
//!
//! A line is a verb, a label for the request's answer, and `key=value` pairs; what is left out has a usual value.
//!
//! | line | |
//! |---|---|
//! | `settings members_max=2` | before anything else |
//! | `join a client=c1 member=c1-1 instance=i v=9 session=10000 rebalance=60000 type=consumer protocols=range:orders+bills,sticky:orders` | a newcomer without `member`; ids are `<client>-<number>` |
//! | `sync a member=c1-1 generation=1 assign=c1-1:p0,c2-2:p1` | `type`, `protocol` to be checked |
//! | `heartbeat a member=c1-1 generation=1`, `leave a c1-1 /instance` | |
//! | `commit a orders-0=5:text` | `member`, `generation`, `retention`; without, a consumer without a group |
//! | `delete a`, `delete-offsets a orders-0`, `topics-deleted orders` | |
//! | `wait 3000` | milliseconds pass, with every deadline among them |
//! | `hold` | from now on writes wait for `written 1` or `failed 1 unavailable` |
//! | `crash` | a new coordinator loads what was written; waiting requests are lost |
//! | `resign`, `load` | stops; a new coordinator that still loads, until `loaded` |
//! | `show`, `offsets`, `groups`, `deadline`, `counters` | what can be read |
//!
//! The group is `g` unless `group=` says otherwise.

use alloc::collections::BTreeMap;

use ringmain_protocol::Versioned;
use ringmain_protocol::consumer_protocol::ConsumerProtocolSubscription;

use super::trace;
use crate::{
    CommitOffsets, CommittedPartition, CommittedTopic, Coordinator, DeletedTopic, Effect, Event, Heartbeat,
    Join, Leave, LeavingMember, Protocol, Record, RequestToken, Settings, Sync, SyncedMember, WriteError,
    WriteToken,
};

/// The metadata of a consumer that reads these topics.
pub(super) fn subscription(topics: &[&str]) -> Vec<u8> {
    let subscription = ConsumerProtocolSubscription { topics: topics.to_vec(), ..Default::default() };
    subscription.write(0).expect("a subscription can be written")
}

/// A story under way.
pub(super) struct Script {
    coordinator: Coordinator,
    settings: Settings,
    now_ms: i64,
    /// What was written, in its order.
    log: Vec<Record>,
    /// Writes that wait for their report.
    held: BTreeMap<u64, Vec<Record>>,
    holds_writes: bool,
    labels: BTreeMap<RequestToken, String>,
    next_request: u64,
    next_uuid: u64,
}

/// A line of a story: its words, and its pairs.
struct Line<'a> {
    words: Vec<&'a str>,
    pairs: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let (pairs, words): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.contains('='));
        let pairs = pairs.into_iter().map(|pair| pair.split_once('=').expect("it has a ="));
        Self { words, pairs: pairs.collect() }
    }

    fn get(&self, key: &str, usual: &'a str) -> &'a str {
        self.pairs.get(key).copied().unwrap_or(usual)
    }

    fn number<N: core::str::FromStr>(&self, key: &str, usual: N) -> N {
        let Some(text) = self.pairs.get(key) else {
            return usual;
        };
        text.parse().ok().unwrap_or_else(|| panic!("{key}={text} is not a number"))
    }

    fn group(&self) -> &'a str {
        self.get("group", "g")
    }

    /// Pairs and words that name partitions: `orders-0`.
    fn partition(text: &str) -> Option<(&str, i32)> {
        let (topic, partition) = text.rsplit_once('-')?;
        Some((topic, partition.parse().ok()?))
    }
}

impl Script {
    pub(super) fn new() -> Self {
        let settings = Settings::default();
        let mut coordinator = Coordinator::new(settings.clone());
        coordinator.loaded(0, &mut Vec::new());
        Self {
            coordinator,
            settings,
            now_ms: 0,
            log: Vec::new(),
            held: BTreeMap::new(),
            holds_writes: false,
            labels: BTreeMap::new(),
            next_request: 0,
            next_uuid: 0,
        }
    }

    /// Lets a line happen; returns the trace.
    pub(super) fn execute(&mut self, text: &str) -> Vec<String> {
        let line = Line::parse(text);
        match line.words[0] {
            "settings" => self.set(&line),
            "join" => self.join(&line),
            "sync" => self.sync(&line),
            "heartbeat" => {
                let request = self.request(&line);
                let heartbeat = Heartbeat {
                    group: line.group(),
                    generation: line.number("generation", 0),
                    member_id: line.get("member", ""),
                    instance_id: line.pairs.get("instance").copied(),
                };
                self.step(Event::Heartbeat { request, heartbeat })
            }
            "leave" => self.leave(&line),
            "commit" => self.commit(&line),
            "delete" => {
                let request = self.request(&line);
                self.step(Event::DeleteGroup { request, group: line.group() })
            }
            "delete-offsets" => self.delete_offsets(&line),
            "topics-deleted" => self.step(Event::TopicsDeleted { topics: &line.words[1..] }),
            "wait" => self.wait(line.words[1].parse().expect("milliseconds")),
            "hold" => {
                self.holds_writes = true;
                vec![]
            }
            "written" => self.report(&line, Ok(())),
            "failed" => {
                let error = match line.words[2] {
                    "unavailable" => WriteError::Unavailable,
                    "not-leader" => WriteError::NotLeader,
                    "timed-out" => WriteError::TimedOut,
                    "too-large" => WriteError::TooLarge,
                    other => panic!("no write fails by {other}"),
                };
                self.report(&line, Err(error))
            }
            "crash" => {
                let mut lines = self.load();
                lines.extend(self.finish_loading());
                lines
            }
            "load" => self.load(),
            "loaded" => self.finish_loading(),
            "resign" => self.step(Event::Resign),
            "show" => trace::description(&self.coordinator, line.group()),
            "offsets" => trace::offsets(&self.coordinator, line.group()),
            "groups" => {
                let groups = self.coordinator.groups();
                groups
                    .map(|group| format!("{} {} {}", group.group, group.protocol_type, group.state.name()))
                    .collect()
            }
            "deadline" => match self.coordinator.next_deadline_ms() {
                Some(at_ms) => vec![format!("in {} ms", at_ms - self.now_ms)],
                None => vec!["none".to_owned()],
            },
            "counters" => vec![format!("{:?}", self.coordinator.counters())],
            other => panic!("{other} is no verb"),
        }
    }

    fn set(&mut self, line: &Line<'_>) -> Vec<String> {
        for (key, value) in &line.pairs {
            let number: i64 = value.parse().expect("settings are numbers");
            let settings = &mut self.settings;
            let size = || usize::try_from(number).expect("a size");
            let milliseconds = || i32::try_from(number).expect("milliseconds");
            match *key {
                "members_max" => settings.group_members_max = size(),
                "pending_max" => settings.pending_members_max = size(),
                "groups_max" => settings.groups_max = size(),
                "group_bytes_max" => settings.group_bytes_max = size(),
                "held_bytes_max" => settings.held_bytes_max = size(),
                "metadata_max" => settings.offset_metadata_length_max = size(),
                "initial_delay" => settings.initial_rebalance_delay_ms = milliseconds(),
                "new_member_timeout" => settings.new_member_join_timeout_ms = milliseconds(),
                "retention" => settings.offsets_retention_ms = number,
                "retention_check" => settings.offsets_retention_check_interval_ms = number,
                other => panic!("{other} is no setting"),
            }
        }
        self.step(Event::Configure(self.settings.clone()))
    }

    fn request(&mut self, line: &Line<'_>) -> RequestToken {
        self.next_request += 1;
        let request = RequestToken(self.next_request);
        self.labels.insert(request, (*line.words.get(1).expect("a label")).to_owned());
        request
    }

    fn join(&mut self, line: &Line<'_>) -> Vec<String> {
        let request = self.request(line);
        let kind = line.get("type", "consumer");
        let listed = line.get("protocols", "range:orders").split(',').filter(|text| !text.is_empty());
        let listed = listed.map(|protocol| protocol.split_once(':').expect("a protocol is name:metadata"));
        let protocols: Vec<(&str, Vec<u8>)> = listed
            .map(|(name, metadata)| match metadata.strip_prefix('~') {
                None if kind == "consumer" => (name, subscription(&metadata.split('+').collect::<Vec<_>>())),
                raw => (name, raw.unwrap_or(metadata).as_bytes().to_vec()),
            })
            .collect();
        let protocols: Vec<Protocol<'_>> =
            protocols.iter().map(|(name, metadata)| Protocol { name, metadata }).collect();
        self.next_uuid += u64::from(!line.pairs.contains_key("member"));
        let uuid = self.next_uuid.to_string();
        let version: i16 = line.number("v", 3);
        let join = Join {
            group: line.group(),
            member_id: line.get("member", ""),
            instance_id: line.pairs.get("instance").copied(),
            client_id: line.get("client", "c"),
            client_host: line.get("host", "/10.0.0.1"),
            session_timeout_ms: line.number("session", 10_000),
            rebalance_timeout_ms: line.number("rebalance", 60_000),
            protocol_type: kind,
            protocols: &protocols,
            member_id_required: version >= 4,
            skip_assignment_supported: version >= 9,
            reason: None,
            uuid: &uuid,
        };
        self.step(Event::Join { request, join })
    }

    fn sync(&mut self, line: &Line<'_>) -> Vec<String> {
        let request = self.request(line);
        let listed = line.get("assign", "").split(',').filter(|text| !text.is_empty());
        let assignments: Vec<SyncedMember<'_>> = listed
            .map(|assigned| assigned.split_once(':').expect("an assignment is member:bytes"))
            .map(|(member_id, assignment)| SyncedMember { member_id, assignment: assignment.as_bytes() })
            .collect();
        let sync = Sync {
            group: line.group(),
            generation: line.number("generation", 0),
            member_id: line.get("member", ""),
            instance_id: line.pairs.get("instance").copied(),
            protocol_type: line.pairs.get("type").copied(),
            protocol_name: line.pairs.get("protocol").copied(),
            assignments: &assignments,
        };
        self.step(Event::Sync { request, sync })
    }

    fn leave(&mut self, line: &Line<'_>) -> Vec<String> {
        let request = self.request(line);
        let leaving = line.words[2..].iter().map(|word| {
            let (member_id, instance_id) = match word.split_once('/') {
                Some((member_id, instance_id)) => (member_id, Some(instance_id)),
                None => (*word, None),
            };
            LeavingMember { member_id, instance_id, reason: None }
        });
        let members: Vec<LeavingMember<'_>> = leaving.collect();
        self.step(Event::Leave { request, leave: Leave { group: line.group(), members: &members } })
    }

    fn commit(&mut self, line: &Line<'_>) -> Vec<String> {
        let request = self.request(line);
        let pairs = line.pairs.iter().filter_map(|(key, value)| Some((Line::partition(key)?, *value)));
        let partitions: Vec<(&str, CommittedPartition<'_>)> = pairs
            .map(|((topic, partition), value)| {
                let (offset, metadata) = match value.split_once(':') {
                    Some((offset, metadata)) => (offset, Some(metadata)),
                    None => (value, None),
                };
                let offset = offset.parse().expect("an offset");
                (
                    topic,
                    CommittedPartition {
                        partition,
                        offset,
                        leader_epoch: line.number("epoch", -1),
                        metadata,
                    },
                )
            })
            .collect();
        let topics: Vec<CommittedTopic<'_>> = partitions
            .iter()
            .map(|(topic, partition)| CommittedTopic { topic, partitions: core::slice::from_ref(partition) })
            .collect();
        let commit = CommitOffsets {
            group: line.group(),
            generation: line.number("generation", -1),
            member_id: line.get("member", ""),
            instance_id: line.pairs.get("instance").copied(),
            retention_ms: line.pairs.get("retention").map(|text| text.parse().expect("milliseconds")),
            topics: &topics,
        };
        self.step(Event::CommitOffsets { request, commit })
    }

    fn delete_offsets(&mut self, line: &Line<'_>) -> Vec<String> {
        let request = self.request(line);
        let partitions: Vec<(&str, i32)> =
            line.words[2..].iter().filter_map(|word| Line::partition(word)).collect();
        let topics: Vec<DeletedTopic<'_>> = partitions
            .iter()
            .map(|(topic, partition)| DeletedTopic { topic, partitions: core::slice::from_ref(partition) })
            .collect();
        self.step(Event::DeleteOffsets { request, group: line.group(), topics: &topics })
    }

    fn wait(&mut self, milliseconds: i64) -> Vec<String> {
        let until_ms = self.now_ms + milliseconds;
        let mut lines = Vec::new();
        while let Some(at_ms) = self.coordinator.next_deadline_ms().filter(|at_ms| *at_ms <= until_ms) {
            let passed_ms = at_ms - (until_ms - milliseconds);
            self.now_ms = self.now_ms.max(at_ms);
            let happened = self.step(Event::TimePassed);
            if !happened.is_empty() {
                lines.push(format!("after {passed_ms} ms:"));
                lines.extend(happened);
            }
        }
        self.now_ms = until_ms;
        lines
    }

    fn report(&mut self, line: &Line<'_>, result: Result<(), WriteError>) -> Vec<String> {
        let number: u64 = line.words[1].parse().expect("the number of a write");
        let records = self.held.remove(&number).expect("a write that is held");
        if result.is_ok() {
            self.log.extend(records);
        }
        self.step(Event::Written { write: WriteToken(number), result })
    }

    fn load(&mut self) -> Vec<String> {
        self.coordinator = Coordinator::new(self.settings.clone());
        self.held.clear();
        for record in &self.log {
            self.coordinator.load(&record.key, record.value.as_deref()).expect("our own records can be read");
            self.coordinator.assert_consistent();
        }
        vec![format!("loads {} records", self.log.len())]
    }

    fn finish_loading(&mut self) -> Vec<String> {
        let mut effects = Vec::new();
        self.coordinator.loaded(self.now_ms, &mut effects);
        self.coordinator.assert_consistent();
        self.happen(effects)
    }

    fn step(&mut self, event: Event<'_>) -> Vec<String> {
        let mut effects = Vec::new();
        self.coordinator.step(self.now_ms, event, &mut effects);
        self.coordinator.assert_consistent();
        self.happen(effects)
    }

    /// Writes down what a step did; unless writes are held they are done at once.
    fn happen(&mut self, effects: Vec<Effect>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut done = Vec::new();
        for effect in effects {
            match effect {
                Effect::Answer { request, answer } => {
                    lines.push(trace::answer(&self.labels, request, &answer));
                    self.labels.remove(&request).expect("a request is answered once");
                }
                Effect::Write { write, records } => {
                    let texts: Vec<String> = records.iter().map(trace::record).collect();
                    lines.push(format!("write {}: {}", write.number(), texts.join("; ")));
                    if self.holds_writes {
                        self.held.insert(write.number(), records);
                    } else {
                        self.log.extend(records);
                        done.push(write);
                    }
                }
            }
        }
        for write in done {
            lines.extend(self.step(Event::Written { write, result: Ok(()) }));
        }
        lines
    }
}

//! The small language of the stories: the same nodes and controller as in the simulation, but nothing happens by itself.
//!
//! | line | |
//! |---|---|
//! | `cluster 3 min=2` | begins: so many nodes, `n1` leads; more nodes than three keep no replica yet |
//! | `produce n1 a acks=leader` | a client asks a node to append a record; the same letter again is the same record |
//! | `deliver`, `deliver m4 m5` | all messages arrive, and those that they lead to; or only these |
//! | `keep m4`, `lose m4` | a message that `deliver` alone leaves; one that never arrives |
//! | `cut n1 n2`, `cut n1 controller`, `heal` | what is sent between them is lost; no more |
//! | `flush n1 n2` | their disks have what their logs have |
//! | `wait 100` | milliseconds pass, and everybody looks at the clock |
//! | `crash n1`, `power n1`, `lost n1` | ends: with what it wrote, with what it flushed, with nothing |
//! | `start n1` | starts and registers |
//! | `fence n1` | the controller has not heard of it for too long |
//! | `move n2`, `reassign n2 n3 n4` | an operator wants another leader, other replicas |
//! | `delete n1 3` | a client deletes records before an offset |
//! | `show` | roles and logs |
//!
//! What a partition does stands below the line, and each message that is sent, with a name.

use super::log::Log;
use super::message::{Address, Message, ProduceRequest};
use super::node::{self, LogChange};
use super::plan::Plan;
use super::random::Random;
use super::trace;
use super::world::World;
use crate::{Acks, Event};

/// Messages on their way, by hand.
#[derive(Debug, Default)]
pub(super) struct Post {
    sent: Vec<Letter>,
    count: usize,
}

#[derive(Debug)]
struct Letter {
    name: usize,
    to: Address,
    message: Message,
    is_kept: bool,
}

/// A story under way.
pub(in crate::tests) struct Story {
    world: World,
}

impl World {
    /// In a story: the message waits until it is delivered.
    pub(super) fn post(&mut self, from: Address, to: Address, message: Message) {
        let text = trace::message(&message);
        if to > self.controller_address() {
            self.note(|_| format!("client hears: {text}"));
            return;
        }
        if self.network.is_cut(from, to) {
            let (from, to) = (self.address_name(from), self.address_name(to));
            self.note(|_| format!("lost {from} -> {to}: {text}"));
            return;
        }
        let post = self.post.as_mut().expect("a story is told");
        post.count += 1;
        let name = post.count;
        post.sent.push(Letter { name, to, message, is_kept: false });
        let (from, to) = (self.address_name(from), self.address_name(to));
        self.note(|_| format!("m{name} {from} -> {to}: {text}"));
    }

    fn address_name(&self, address: Address) -> String {
        if address < self.nodes.len() { format!("n{}", address + 1) } else { "controller".to_owned() }
    }
}

impl Story {
    pub(in crate::tests) fn new() -> Self {
        Self { world: World::story(Plan::story(3), Random::new(0)) }
    }

    /// Lets a line happen; returns the trace.
    pub(in crate::tests) fn execute(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let nodes = || words[1..].iter().filter_map(|word| node_of(word));
        match words[0] {
            "cluster" => self.begin(&words),
            "produce" => self.produce(&words),
            "deliver" => self.deliver(&words[1..]),
            "keep" => self.letters(&words[1..], |letter| letter.is_kept = true),
            "lose" => {
                let names = letter_names(&words[1..]);
                self.post().sent.retain(|letter| !names.contains(&letter.name));
            }
            "cut" => {
                let ends = words[1..].iter().map(|word| node_of(word).unwrap_or(self.world.nodes.len()));
                let ends: Vec<usize> = ends.collect();
                self.world.network.cut(ends[0], ends[1]);
                self.world.network.cut(ends[1], ends[0]);
            }
            "heal" => self.world.network.heal(),
            "flush" => nodes().for_each(|node| self.flush(node)),
            "wait" => self.wait(words[1].parse().expect("milliseconds")),
            "crash" => self.end(nodes(), |log, _| log.crash(false, 0)),
            "power" => self.end(nodes(), |log, _| log.crash(true, 0)),
            "lost" => self.end(nodes(), |log, lost| {
                *log = Log::new(CLIENTS);
                *lost = true;
            }),
            "start" => nodes().for_each(|node| self.world.start(node)),
            "fence" => {
                nodes().for_each(|node| self.world.controller.fence(node::id(node)));
                self.world.tell_changes();
            }
            "move" => {
                nodes().for_each(|node| self.world.controller.move_leader(0, node::id(node)));
                self.world.tell_changes();
            }
            "reassign" => {
                self.world.controller.reassign(0, nodes().map(node::id).collect());
                self.world.tell_changes();
            }
            "delete" => {
                let to = words[2].parse().expect("an offset");
                nodes().for_each(|node| self.world.change_log(node, 0, LogChange::AdvanceStart(to)));
            }
            "show" => self.show(),
            other => panic!("no such line: {other}"),
        }
        self.settle();
        self.world.take_notes()
    }

    fn post(&mut self) -> &mut Post {
        self.world.post.as_mut().expect("a story is told")
    }

    fn begin(&mut self, words: &[&str]) {
        let count = words[1].parse().expect("a number of nodes");
        self.world = World::story(Plan::story(count), Random::new(0));
        if let Some(min) = words.iter().find_map(|word| word.strip_prefix("min=")) {
            self.world.plan.min_in_sync = min.parse().expect("a number");
        }
        for node in 0..count {
            self.world.start(node);
        }
        self.deliver(&[]);
        self.settle();
        self.world.take_notes();
        self.post().count = 0;
    }

    fn produce(&mut self, words: &[&str]) {
        let node = node_of(words[1]).expect("a node");
        let sequence = usize::from(words[2].as_bytes()[0] - b'a');
        let client = usize::from(words.contains(&"acks=leader"));
        let request = ProduceRequest { client, sequence, attempt: 1 };
        self.world.node_receives(node, Message::Produce { partition: 0, request });
    }

    fn letters(&mut self, names: &[&str], change: impl Fn(&mut Letter)) {
        let names = letter_names(names);
        self.post().sent.iter_mut().filter(|letter| names.contains(&letter.name)).for_each(change);
    }

    fn deliver(&mut self, names: &[&str]) {
        let names = letter_names(names);
        loop {
            let is_wanted = |letter: &Letter| {
                if names.is_empty() { !letter.is_kept } else { names.contains(&letter.name) }
            };
            let Some(place) = self.post().sent.iter().position(is_wanted) else { return };
            let letter = self.post().sent.remove(place);
            self.world.arrive(letter.to, letter.message);
            self.settle();
        }
    }

    /// Changes of logs are done at once.
    fn settle(&mut self) {
        let now_ms = self.world.now_ms;
        self.world.run_until(now_ms);
    }

    fn flush(&mut self, node: usize) {
        let log = &self.world.nodes[node].logs[0];
        let (end, cuts) = (log.end(), log.cuts);
        self.world.written(node, 0, end, cuts);
        self.world.flushed(node, 0, end, cuts);
    }

    fn wait(&mut self, wait_ms: i64) {
        self.world.now_ms += wait_ms;
        for node in 0..self.world.nodes.len() {
            if self.world.nodes[node].is_up {
                self.world.step(node, 0, Event::Tick);
                self.settle();
            }
        }
    }

    fn end(&mut self, nodes: impl Iterator<Item = usize>, crash: impl Fn(&mut Log, &mut bool)) {
        for node in nodes {
            let state = &mut self.world.nodes[node];
            state.stop();
            crash(&mut state.logs[0], &mut state.lost);
            // What was on the way to it is lost with its connections; what it sent goes on.
            self.post().sent.retain(|letter| letter.to != node);
        }
    }

    fn show(&mut self) {
        let world = &self.world;
        for (index, node) in world.nodes.iter().enumerate() {
            let Some(machine) = &node.machines[0] else {
                world.note(|_| format!("n{} is down; on its disk:{}", index + 1, trace::log(&node.logs[0])));
                continue;
            };
            let role = match (machine.is_leading(), machine.is_following()) {
                (true, _) => "leads",
                (_, true) => "follows",
                _ => "waits",
            };
            let log = &node.logs[0];
            let (epoch, high_watermark) = (machine.leader_epoch(), machine.high_watermark());
            let start = if log.start > 0 { format!(" from {}", log.start) } else { String::new() };
            world.note(|_| {
                format!(
                    "n{} {role} in epoch {epoch}, high watermark {high_watermark}, log{start}:{}",
                    index + 1,
                    trace::log(log)
                )
            });
        }
        let state = &world.controller.partitions[0];
        let leader = state.leader.map_or("nobody".to_owned(), |leader| format!("n{leader}"));
        let eligible = match state.eligible.as_slice() {
            [] => String::new(),
            eligible => format!(", eligible {}", trace::nodes(eligible.iter().copied())),
        };
        let in_sync = trace::nodes(state.in_sync.iter().copied());
        world.note(|_| format!("controller: {leader} leads, in sync {in_sync}{eligible}"));
    }
}

/// One client asks for `acks=all`, one for `acks=1`.
pub(super) const CLIENTS: usize = 2;

/// What the clients of a story ask for.
pub(super) fn acks(client: usize) -> Acks {
    if client == 0 { Acks::All } else { Acks::Leader }
}

fn node_of(word: &str) -> Option<usize> {
    let number: usize = word.strip_prefix('n')?.parse().ok()?;
    number.checked_sub(1)
}

fn letter_names(words: &[&str]) -> Vec<usize> {
    words.iter().map(|word| word.trim_start_matches('m').parse().expect("the name of a message")).collect()
}

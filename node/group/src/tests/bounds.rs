//! Large groups and many groups: no step may cost more than what it is about.

use std::time::Duration;

use ringmain_protocol::ErrorCode;

use super::script::subscription;
use crate::{
    Answer, Coordinator, Effect, Event, Heartbeat, Join, Leave, LeavingMember, Protocol, RequestToken,
    Settings, Sync, SyncedMember,
};

/// A coordinator and the one client that plays all members.
struct Bed {
    coordinator: Coordinator,
    effects: Vec<Effect>,
    next_request: u64,
    now_ms: i64,
}

impl Bed {
    fn new(settings: Settings) -> Self {
        let mut coordinator = Coordinator::new(settings);
        coordinator.loaded(0, &mut Vec::new());
        Self { coordinator, effects: Vec::new(), next_request: 0, now_ms: 0 }
    }

    /// Lets an event happen, and every write be done; returns the answers.
    fn step(&mut self, event: Event<'_>) -> Vec<Answer> {
        self.coordinator.step(self.now_ms, event, &mut self.effects);
        let mut answers = Vec::new();
        while !self.effects.is_empty() {
            for effect in core::mem::take(&mut self.effects) {
                match effect {
                    Effect::Answer { answer, .. } => answers.push(answer),
                    Effect::Write { write, .. } => {
                        let written = Event::Written { write, result: Ok(()) };
                        self.coordinator.step(self.now_ms, written, &mut self.effects);
                    }
                }
            }
        }
        answers
    }

    fn request(&mut self) -> RequestToken {
        self.next_request += 1;
        RequestToken(self.next_request)
    }

    fn join(&mut self, group: &str, member_id: &str, metadata: &[u8]) -> Vec<Answer> {
        let request = self.request();
        let uuid = self.next_request.to_string();
        let protocols = [Protocol { name: "range", metadata }, Protocol { name: "sticky", metadata }];
        let join = Join { member_id, uuid: &uuid, ..join_of(group, "c", "consumer", &protocols) };
        self.step(Event::Join { request, join })
    }

    fn pass(&mut self, milliseconds: i64) -> Vec<Answer> {
        self.now_ms += milliseconds;
        self.step(Event::TimePassed)
    }

    /// A whole life of a group: all join, are assigned, beat, one joins again, and all fall silent.
    fn live(&mut self, members: usize) -> Duration {
        let begin = processor_time();
        let metadata = subscription(&["orders"]);
        for _ in 0..members {
            assert!(self.join("g", "", &metadata).is_empty());
        }
        while self.coordinator.describe("g").expect("it exists").generation == 0 {
            self.pass(3_000);
        }
        let described = self.coordinator.describe("g").expect("it exists");
        assert_eq!(described.members.len(), members);
        let assignments: Vec<SyncedMember<'_>> = described
            .members
            .iter()
            .map(|member| SyncedMember { member_id: &member.member_id, assignment: b"some" })
            .collect();
        let mut synced = 0;
        for member in described.members.iter().rev() {
            let request = self.request();
            let (protocol_type, protocol_name, instance_id) = (None, None, None);
            let (generation, member_id) = (1, &*member.member_id);
            let sync = Sync {
                group: "g",
                generation,
                member_id,
                instance_id,
                protocol_type,
                protocol_name,
                assignments: &assignments,
            };
            synced += self.step(Event::Sync { request, sync }).len();
        }
        assert_eq!(synced, members);
        for member in &described.members {
            let request = self.request();
            let heartbeat =
                Heartbeat { group: "g", generation: 1, member_id: &member.member_id, instance_id: None };
            self.step(Event::Heartbeat { request, heartbeat });
        }
        self.join("g", "", &metadata);
        // All fall silent; the newcomer need not wait for them any more.
        assert_eq!(self.pass(46_000).len(), 1);
        assert_eq!(self.coordinator.describe("g").expect("it exists").generation, 2);
        processor_time() - begin
    }
}

/// What this thread has used of a processor: other tests, and whatever else the machine does, are not in it.
fn processor_time() -> Duration {
    // The kernel brings the account up to date when the thread stops.
    std::thread::sleep(Duration::from_micros(50));
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps an account");
    let nanoseconds = account.split(' ').next().expect("it begins with the time");
    Duration::from_nanos(nanoseconds.parse().expect("in nanoseconds"))
}

/// Prints what it costs, and asserts nothing about it: machines are busy. A quadratic step would show as sixteen times.
#[test]
fn five_thousand_members_live_and_die() {
    const MEMBERS: usize = 1_250;
    let few = Bed::new(Settings::default()).live(MEMBERS);
    let many = Bed::new(Settings::default()).live(4 * MEMBERS);
    println!("{few:?} for {MEMBERS} members, {many:?} for four times as many");
}

#[test]
fn idle_groups_cost_nothing() {
    let mut bed = Bed::new(Settings::default());
    let metadata = subscription(&["orders"]);
    for group in 0..10_000 {
        bed.join(&format!("g{group}"), "", &metadata);
    }
    assert_eq!(bed.coordinator.groups().count(), 10_000);
    let due_ms = bed.coordinator.next_deadline_ms().expect("they wait for more members");
    assert_eq!(due_ms, 3_000);
    bed.pass(2_999);
    assert_eq!(bed.coordinator.next_deadline_ms(), Some(due_ms));
    assert_eq!(bed.pass(1).len(), 10_000);
}

#[test]
fn what_is_held_is_given_back() {
    let mut bed = Bed::new(Settings::default());
    assert_eq!(bed.coordinator.held_bytes(), 0);
    let metadata = subscription(&["orders"]);
    for _ in 0..100 {
        bed.join("g", "", &metadata);
    }
    let held = bed.coordinator.held_bytes();
    assert!(held > 100 * 2 * metadata.len() && held < 1 << 20, "{held} for 100 members");
    bed.pass(3_000);
    bed.pass(3_000);
    let described = bed.coordinator.describe("g").expect("it exists");
    let leaving = described.members.iter();
    let members: Vec<LeavingMember<'_>> = leaving
        .map(|member| LeavingMember { member_id: &member.member_id, instance_id: None, reason: None })
        .collect();
    let request = bed.request();
    bed.step(Event::Leave { request, leave: Leave { group: "g", members: &members } });
    let request = bed.request();
    let answers = bed.step(Event::DeleteGroup { request, group: "g" });
    assert_eq!(answers, [Answer::DeleteGroup(ErrorCode::NONE)]);
    assert_eq!(bed.coordinator.held_bytes(), 0);
    assert_eq!(bed.coordinator.next_deadline_ms(), None);
}

/// A join of somebody whose texts and protocols are given.
fn join_of<'a>(group: &'a str, client_id: &'a str, kind: &'a str, protocols: &'a [Protocol<'a>]) -> Join<'a> {
    Join {
        group,
        member_id: "",
        instance_id: None,
        client_id,
        client_host: "/127.0.0.1",
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: kind,
        protocols,
        member_id_required: false,
        skip_assignment_supported: false,
        reason: None,
        uuid: "1",
    }
}

#[test]
fn whatever_a_member_brings_is_counted_before_it_is_kept() {
    let settings = Settings { group_bytes_max: 100_000, ..Settings::default() };
    let many = vec![Protocol { name: "", metadata: b"" }; 10_000];
    let name = "x".repeat(30_000);
    let (one, other, more) = (format!("{name}1"), format!("{name}2"), format!("{name}3"));
    let long = [&*one, &other, &more, &name].map(|name| Protocol { name, metadata: b"" });
    let metadata = vec![0; 100_000];
    let large = [Protocol { name: "range", metadata: &metadata }];
    for protocols in [&many[..], &long, &large] {
        let mut bed = Bed::new(settings.clone());
        let request = bed.request();
        let answers = bed.step(Event::Join { request, join: join_of("g", "c", "consumer", protocols) });
        assert_eq!(
            answers.iter().map(Answer::error).collect::<Vec<_>>(),
            [ErrorCode::GROUP_MAX_SIZE_REACHED]
        );
        assert_eq!(bed.coordinator.held_bytes(), 0);
    }
    // Ids that are given away count, too.
    let mut bed = Bed::new(settings);
    let range = [Protocol { name: "range", metadata: b"" }];
    let refused = (0..10).find(|number| {
        let uuid = number.to_string();
        let join = Join { member_id_required: true, uuid: &uuid, ..join_of("g", &name, "consumer", &range) };
        let request = bed.request();
        bed.step(Event::Join { request, join })[0].error() == ErrorCode::GROUP_MAX_SIZE_REACHED
    });
    assert!(refused.is_some(), "{} bytes are held", bed.coordinator.held_bytes());
    assert!(bed.coordinator.held_bytes() < 110_000);
}

#[test]
fn topics_of_a_group_are_remembered_up_to_a_limit() {
    let mut bed = Bed::new(Settings::default());
    let names: Vec<String> = (0..60_000).map(|number| number.to_string()).collect();
    let topics: Vec<&str> = names.iter().map(String::as_str).collect();
    bed.join("g", "", &subscription(&topics[..40_000]));
    bed.join("h", "", &subscription(&topics));
    let before = bed.coordinator.held_bytes();
    bed.pass(3_000);
    let remembered = bed.coordinator.held_bytes() - before;
    assert!((40_000 * 56..40_000 * 64).contains(&remembered), "{remembered}");
}

#[test]
fn texts_that_no_record_could_hold_are_refused() {
    let mut bed = Bed::new(Settings::default());
    let long = "x".repeat(i16::MAX as usize);
    let range = [Protocol { name: "range", metadata: b"" }];
    let named = [Protocol { name: &format!("{long}x"), metadata: b"" }];
    let too_long = format!("{long}x");
    let joins = [
        (join_of(&too_long, "c", "consumer", &range), ErrorCode::INVALID_GROUP_ID),
        // The member id is made of it, and longer.
        (join_of("g", &long, "consumer", &range), ErrorCode::INVALID_REQUEST),
        (join_of("g", "c", &too_long, &range), ErrorCode::INVALID_REQUEST),
        (join_of("g", "c", "consumer", &named), ErrorCode::INVALID_REQUEST),
        (
            Join { instance_id: Some(&long), ..join_of("g", "c", "consumer", &range) },
            ErrorCode::INVALID_REQUEST,
        ),
    ];
    for (join, error) in joins {
        let request = bed.request();
        let answers = bed.step(Event::Join { request, join });
        assert_eq!(answers.iter().map(Answer::error).collect::<Vec<_>>(), [error]);
    }
    // The longest that fit are written.
    let request = bed.request();
    let client = &long[..long.len() - 2];
    assert!(bed.step(Event::Join { request, join: join_of(&long, client, &long, &range) }).is_empty());
    let answers = bed.pass(3_000);
    assert_eq!(answers.iter().map(Answer::error).collect::<Vec<_>>(), [ErrorCode::NONE]);
    bed.pass(50_000);
    assert_eq!(bed.coordinator.describe(&long).expect("it was written").generation, 2);
}

#[test]
fn many_protocols_of_one_member_are_read_once() {
    let mut bed = Bed::new(Settings::default());
    let names: Vec<String> = (0..50_000).map(|number| format!("protocol-{number}")).collect();
    let protocols: Vec<Protocol<'_>> = names.iter().map(|name| Protocol { name, metadata: b"" }).collect();
    let request = bed.request();
    let join = join_of("g", "c", "consumer", &protocols);
    let begin = processor_time();
    bed.step(Event::Join { request, join });
    let answers = bed.pass(3_000);
    assert_eq!(answers.len(), 1);
    println!("{:?} for {} protocols", processor_time() - begin, names.len());
}

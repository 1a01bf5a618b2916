//! Requests about groups written by hand, and their answers read: the old versions, which never change.

use super::frames::{self, Answer, Connection, Frame, Reply};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A first rebalance waits three seconds for more members; a test that waits longer than this is stuck.
pub(crate) const JOIN_LIMIT: Duration = Duration::from_secs(20);
/// How long a fresh server may take to make the topic of the offsets.
const READY_LIMIT: Duration = Duration::from_secs(20);

fn count(length: usize) -> i32 {
    i32::try_from(length).expect("few enough for a frame")
}

/// Waits until the server coordinates groups: the topic of the offsets is made when it is first asked for.
pub(crate) fn await_coordinator(address: SocketAddr) {
    let mut connection = Connection::open(address).expect("the server accepts");
    let end = Instant::now() + READY_LIMIT;
    loop {
        let request = Frame::request(frames::FIND_COORDINATOR, 0, 1).string("anybody").finish();
        let found = Answer(&connection.ask(&request)).i16();
        // Each partition loads for itself: names enough to meet them all.
        let names: Vec<String> = (0..400).map(|number| format!("nobody-{number}")).collect();
        if found == 0 && fetch_of_many(&mut connection, &names).iter().all(|(_, error, _)| *error == 0) {
            return;
        }
        assert!(Instant::now() < end, "no coordinator: error {found}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How a member asks to join: version 3 is taken at once, version 4 is given an id first.
pub(crate) struct Join<'a> {
    pub(crate) version: i16,
    pub(crate) group: &'a str,
    pub(crate) member: &'a str,
    pub(crate) session: Duration,
    pub(crate) rebalance: Duration,
    pub(crate) protocols: &'a [(&'a str, &'a [u8])],
}

impl<'a> Join<'a> {
    /// The first join of a member with one protocol.
    pub(crate) fn first(group: &'a str, protocols: &'a [(&'a str, &'a [u8])]) -> Self {
        let (session, rebalance) = (Duration::from_secs(30), Duration::from_secs(10));
        Self { version: 3, group, member: "", session, rebalance, protocols }
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let milliseconds = |time: Duration| i32::try_from(time.as_millis()).expect("some seconds");
        let frame = Frame::request(frames::JOIN_GROUP, self.version, 1)
            .string(self.group)
            .i32(milliseconds(self.session))
            .i32(milliseconds(self.rebalance))
            .string(self.member)
            .string("consumer")
            .i32(count(self.protocols.len()));
        self.protocols.iter().fold(frame, |frame, (name, bytes)| frame.string(name).bytes(bytes)).finish()
    }
}

/// The answer to a join of version 2 to 4.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) error: i16,
    pub(crate) generation: i32,
    pub(crate) leader: String,
    pub(crate) member: String,
    /// Ids and sizes of their metadata; only the leader is told.
    pub(crate) members: Vec<(String, usize)>,
}

pub(crate) fn joined(answer: &[u8]) -> Joined {
    let mut answer = Answer(answer);
    answer.i32();
    let (error, generation) = (answer.i16(), answer.i32());
    answer.string();
    let (leader, member) = (answer.string(), answer.string());
    let members = (0..answer.i32())
        .map(|_| {
            let id = answer.string();
            let size = usize::try_from(answer.i32()).expect("metadata are never null");
            answer.bytes(size);
            (id, size)
        })
        .collect();
    Joined { error, generation, leader, member, members }
}

/// Waits for the answer to a join that was sent.
pub(crate) fn receive_joined(connection: &mut Connection, limit: Duration) -> Joined {
    match connection.receive(limit) {
        Reply::Frame(frame) => joined(&frame[4..]),
        ended => panic!("no answer to a join within {limit:?}: {ended:?}"),
    }
}

/// SyncGroup version 0.
pub(crate) fn sync(group: &str, generation: i32, member: &str, assignments: &[(String, Vec<u8>)]) -> Vec<u8> {
    let frame = Frame::request(frames::SYNC_GROUP, 0, 1)
        .string(group)
        .i32(generation)
        .string(member)
        .i32(count(assignments.len()));
    assignments.iter().fold(frame, |frame, (member, bytes)| frame.string(member).bytes(bytes)).finish()
}

/// Error and assignment in the answer to `sync`.
pub(crate) fn synced(answer: &[u8]) -> (i16, Vec<u8>) {
    let mut answer = Answer(answer);
    let error = answer.i16();
    let size = usize::try_from(answer.i32()).unwrap_or(0);
    (error, answer.bytes(size))
}

/// Heartbeat version 0.
pub(crate) fn heartbeat(group: &str, generation: i32, member: &str) -> Vec<u8> {
    Frame::request(frames::HEARTBEAT, 0, 1).string(group).i32(generation).string(member).finish()
}

/// LeaveGroup version 0.
pub(crate) fn leave(group: &str, member: &str) -> Vec<u8> {
    Frame::request(frames::LEAVE_GROUP, 0, 1).string(group).string(member).finish()
}

/// LeaveGroup version 3 of many members at once: how many have which error.
pub(crate) fn leave_together(connection: &mut Connection, group: &str, members: &[String]) -> Vec<i16> {
    let frame = Frame::request(frames::LEAVE_GROUP, 3, 1).string(group).i32(count(members.len()));
    // No instance ids.
    let frame = members.iter().fold(frame, |frame, member| frame.string(member).i16(-1));
    let answer = connection.ask(&frame.finish());
    let mut answer = Answer(&answer);
    answer.i32();
    assert_eq!(answer.i16(), 0, "the errors are the members'");
    (0..answer.i32())
        .map(|_| {
            answer.string();
            answer.string();
            answer.i16()
        })
        .collect()
}

/// OffsetCommit version 2 of a simple consumer, to partitions of one topic.
pub(crate) fn commit(group: &str, topic: &str, offsets: &[(i32, i64)], metadata: &str) -> Vec<u8> {
    let frame = Frame::request(frames::OFFSET_COMMIT, 2, 1)
        .string(group)
        .i32(-1)
        .string("")
        .i64(-1)
        .i32(1)
        .string(topic)
        .i32(count(offsets.len()));
    offsets
        .iter()
        .fold(frame, |frame, (partition, offset)| frame.i32(*partition).i64(*offset).string(metadata))
        .finish()
}

/// Partitions and their errors in the answer to `commit`.
pub(crate) fn committed(answer: &[u8]) -> Vec<(i32, i16)> {
    let mut answer = Answer(answer);
    assert_eq!(answer.i32(), 1, "one topic");
    answer.string();
    (0..answer.i32()).map(|_| (answer.i32(), answer.i16())).collect()
}

/// OffsetFetch version 1 of some partitions of one topic: partition, offset, metadata, error.
pub(crate) fn fetch(
    connection: &mut Connection,
    group: &str,
    topic: &str,
    partitions: std::ops::Range<i32>,
) -> Vec<(i32, i64, String, i16)> {
    let frame = Frame::request(frames::OFFSET_FETCH, 1, 1)
        .string(group)
        .i32(1)
        .string(topic)
        .i32(partitions.end - partitions.start);
    let answer = connection.ask(&partitions.fold(frame, Frame::i32).finish());
    let mut answer = Answer(&answer);
    assert_eq!(answer.i32(), 1, "one topic");
    answer.string();
    (0..answer.i32()).map(|_| (answer.i32(), answer.i64(), answer.string(), answer.i16())).collect()
}

/// OffsetFetch version 8 of everything that many groups have committed: group, error, how many offsets.
pub(crate) fn fetch_of_many(connection: &mut Connection, groups: &[String]) -> Vec<(String, i16, usize)> {
    let mut frame = Frame::request(frames::OFFSET_FETCH, 8, 1).i8(0).raw(&varint(groups.len() + 1));
    for group in groups {
        // The group, null for all topics, no tagged fields.
        frame = frame.raw(&varint(group.len() + 1)).raw(group.as_bytes()).i8(0).i8(0);
    }
    let answer = connection.ask(&frame.i8(0).i8(0).finish());
    let mut answer = Answer(&answer);
    assert_eq!(answer.bytes(1), [0], "no tagged fields");
    answer.i32();
    (0..length(&mut answer))
        .map(|_| {
            let group = compact_string(&mut answer);
            let mut offsets = 0;
            for _ in 0..length(&mut answer) {
                compact_string(&mut answer);
                for _ in 0..length(&mut answer) {
                    answer.bytes(4 + 8 + 4);
                    compact_string(&mut answer);
                    assert_eq!(answer.i16(), 0, "a committed offset has no error");
                    answer.bytes(1);
                    offsets += 1;
                }
                answer.bytes(1);
            }
            let error = answer.i16();
            answer.bytes(1);
            (group, error, offsets)
        })
        .collect()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
    bytes
}

/// The length of a compact array or string: one more is written.
fn length(answer: &mut Answer<'_>) -> usize {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = answer.bytes(1)[0];
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value.saturating_sub(1)
}

fn compact_string(answer: &mut Answer<'_>) -> String {
    let length = length(answer);
    String::from_utf8(answer.bytes(length)).expect("names are UTF-8")
}

/// DescribeGroups version 0: group, error, state, how many members.
pub(crate) fn describe(connection: &mut Connection, groups: &[String]) -> Vec<(String, i16, String, usize)> {
    let frame = Frame::request(frames::DESCRIBE_GROUPS, 0, 1).i32(count(groups.len()));
    let answer = connection.ask(&groups.iter().fold(frame, |frame, group| frame.string(group)).finish());
    let mut answer = Answer(&answer);
    (0..answer.i32())
        .map(|_| {
            let error = answer.i16();
            let (group, state) = (answer.string(), answer.string());
            answer.string();
            answer.string();
            let members = answer.i32();
            for _ in 0..members {
                for _ in 0..3 {
                    answer.string();
                }
                for _ in 0..2 {
                    let size = usize::try_from(answer.i32()).unwrap_or(0);
                    answer.bytes(size);
                }
            }
            (group, error, state, usize::try_from(members).unwrap_or(0))
        })
        .collect()
}

/// ListGroups version 0: the groups' names.
pub(crate) fn list(connection: &mut Connection) -> Vec<String> {
    let answer = connection.ask(&Frame::request(frames::LIST_GROUPS, 0, 1).finish());
    let mut answer = Answer(&answer);
    assert_eq!(answer.i16(), 0, "groups can be listed");
    (0..answer.i32())
        .map(|_| {
            let group = answer.string();
            answer.string();
            group
        })
        .collect()
}

/// DeleteGroups version 0: how many have which error.
pub(crate) fn delete(connection: &mut Connection, groups: &[String]) -> Vec<i16> {
    let frame = Frame::request(frames::DELETE_GROUPS, 0, 1).i32(count(groups.len()));
    let answer = connection.ask(&groups.iter().fold(frame, |frame, group| frame.string(group)).finish());
    let mut answer = Answer(&answer);
    answer.i32();
    (0..answer.i32())
        .map(|_| {
            answer.string();
            answer.i16()
        })
        .collect()
}

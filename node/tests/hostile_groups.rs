//! Groups in the hands of hostile or broken clients: Kafka's errors, memory bounded and given back, nobody else disturbed.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support::bounds::{PATIENCE, assert_growth_below, metric, resident, undisturbed};
use support::frames::{self, Answer, Connection, Frame, Reply};
use support::groups::{self, Join};
use support::server::Server;
use support::whole_machine;
use support::witness::Witness;

/// Kafka's error codes.
const OFFSET_METADATA_TOO_LARGE: i16 = 12;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const MEMBER_ID_REQUIRED: i16 = 79;
const GROUP_MAX_SIZE_REACHED: i16 = 81;

/// What the server says that it keeps for groups.
const HELD_BYTES: &str = "ringmain_groups_held_bytes";

const RANGE: [(&str, &[u8]); 1] = [("range", b"\x00\x01")];

fn open(server: &Server) -> Connection {
    Connection::open(server.address()).expect("the server accepts")
}

/// Sends every frame before the first answer is read; the answers.
fn pipelined(connection: &mut Connection, requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut answers = Vec::with_capacity(requests.len());
    // As much at once as surely fits into the buffers between us.
    for some in requests.chunks(100) {
        assert!(connection.send(&some.concat()), "the server closed the connection");
        for _ in some {
            match connection.receive(groups::JOIN_LIMIT) {
                Reply::Frame(frame) => answers.push(frame[4..].to_vec()),
                ended => panic!("no answer to a valid request: {ended:?}"),
            }
        }
    }
    answers
}

#[test]
fn counts_and_lengths_that_lie() {
    let _alone = whole_machine();
    let mut server = Server::start("group-lies");
    groups::await_coordinator(server.address());
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let lies = [i32::MAX, -2, i32::MIN, 1_000_000, 0x00ff_ffff];
    let join = |count: i32| {
        let frame = Frame::request(frames::JOIN_GROUP, 2, 1).string("lies").i32(30_000).i32(30_000);
        frame.string("").string("consumer").i32(count)
    };
    let mut hostile = Vec::new();
    for lie in lies {
        // How many protocols, how long the metadata of one is, how many assignments, topics, groups.
        hostile.push(join(lie));
        hostile.push(join(1).string("range").i32(lie));
        hostile.push(join(lie).string("range").bytes(b"\x00"));
        let sync = Frame::request(frames::SYNC_GROUP, 0, 1).string("lies").i32(1).string("m");
        hostile.push(sync.i32(lie));
        let sync = Frame::request(frames::SYNC_GROUP, 0, 1).string("lies").i32(1).string("m");
        hostile.push(sync.i32(1).string("m").i32(lie));
        let commit = || Frame::request(frames::OFFSET_COMMIT, 2, 1).string("lies").i32(-1).string("").i64(-1);
        hostile.push(commit().i32(lie));
        hostile.push(commit().i32(1).string("t").i32(lie));
        hostile.push(Frame::request(frames::OFFSET_FETCH, 1, 1).string("lies").i32(lie));
        hostile.push(Frame::request(frames::OFFSET_FETCH, 1, 1).string("lies").i32(1).string("t").i32(lie));
        hostile.push(Frame::request(frames::DESCRIBE_GROUPS, 0, 1).i32(lie));
        hostile.push(Frame::request(frames::DELETE_GROUPS, 0, 1).i32(lie));
    }
    let hostile: Vec<Vec<u8>> = hostile.into_iter().map(Frame::finish).collect();
    for frame in &hostile {
        let mut connection = open(&server);
        connection.send(&[&frame[..], &frames::api_versions(0x0551)].concat());
        // A null list of topics, -1, is the only one of these that may be answered; none is left waiting.
        assert_ne!(connection.receive(PATIENCE), Reply::Silence, "left waiting: {frame:02x?}");
    }
    println!("{} frames", hostile.len());
    assert_growth_below(&server, before, 16);
    let listed = groups::list(&mut open(&server));
    assert!(!listed.contains(&"lies".to_owned()), "no group comes of a frame that lies: {listed:?}");
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn names_that_are_none() {
    let _alone = whole_machine();
    let mut server = Server::start("group-names");
    groups::await_coordinator(server.address());
    frames::create_topic(server.address(), "log", 1, &[]);
    let long = "g".repeat(32_767);
    let mut connection = open(&server);
    // To Kafka a group's name is any text; only a member cannot join a group without a name.
    for name in ["", " ", "..", "../escaped", "a/b", "a\0b", "ü\u{202e}", &long] {
        let (error, offset) = (
            groups::committed(&connection.ask(&groups::commit(name, "log", &[(0, 7)], ""))),
            groups::fetch(&mut connection, name, "log", 0..1),
        );
        assert_eq!(error, [(0, 0)], "a commit to the group {:?}", &name[..name.len().min(20)]);
        assert_eq!(offset, [(0, 7, String::new(), 0)], "{:?}", &name[..name.len().min(20)]);
        let described = groups::describe(&mut connection, &[name.to_owned()]);
        assert_eq!(described, [(name.to_owned(), 0, "Empty".to_owned(), 0)]);
    }
    let mut nameless = Join::first("", &RANGE);
    nameless.version = 2;
    assert_eq!(groups::joined(&connection.ask(&nameless.frame())).error, 24);
    // Bytes that are no UTF-8 are no text: an error, or the end of the connection.
    for key in [frames::JOIN_GROUP, frames::HEARTBEAT, frames::LEAVE_GROUP, frames::OFFSET_COMMIT] {
        let mut other = open(&server);
        other.send(&Frame::request(key, 2, 1).i16(2).raw(b"\xff\xfe").raw(&[0; 40]).finish());
        assert_ne!(other.receive(PATIENCE), Reply::Silence, "invalid UTF-8 in key {key}");
    }
    assert_eq!(groups::list(&mut connection).len(), 8, "each name is a group of its own");
    server.assert_alive();
}

/// Kafka never answers a join that names a protocol twice, and its group can never be deleted again.
#[test]
fn a_protocol_named_twice_does_not_stop_its_group() {
    let _alone = whole_machine();
    let mut server = Server::start("group-twice");
    groups::await_coordinator(server.address());
    let mut connection = open(&server);
    let protocols: [(&str, &[u8]); 3] = [("range", b"1"), ("range", b"2"), ("other", b"3")];
    assert!(connection.send(&Join::first("twice", &protocols).frame()));
    let joined = groups::receive_joined(&mut connection, groups::JOIN_LIMIT);
    assert!([0, 23].contains(&joined.error), "{joined:?}");
    assert_eq!(Answer(&connection.ask(&groups::leave("twice", &joined.member))).i16(), joined.error.min(25));
    server.assert_alive();
}

#[test]
fn a_megabyte_of_metadata() {
    let _alone = whole_machine();
    let mut server = Server::start("group-metadata");
    groups::await_coordinator(server.address());
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let megabyte = vec![7; 1 << 20];
    let protocols: [(&str, &[u8]); 1] = [("range", &megabyte)];
    for round in 0..2 {
        // Many members of one group, and many groups of one member.
        let mut members: Vec<Connection> = (0..100)
            .map(|number| {
                let mut connection = open(&server);
                let name = if number % 2 == 0 { "shared".to_owned() } else { format!("alone-{number}") };
                let mut join = Join::first(&name, &protocols);
                (join.session, join.rebalance) = (Duration::from_secs(6), Duration::from_secs(1));
                assert!(connection.send(&join.frame()), "the server reads on");
                connection
            })
            .collect();
        let mut errors = BTreeMap::new();
        for connection in &mut members {
            let joined = groups::receive_joined(connection, groups::JOIN_LIMIT);
            assert!([0, GROUP_MAX_SIZE_REACHED].contains(&joined.error), "{}", joined.error);
            *errors.entry(joined.error).or_insert(0) += 1;
        }
        let held = metric(&server, HELD_BYTES);
        println!("round {round}: a hundred joins with a megabyte each: {errors:?}, {held} bytes are held");
        assert!(errors.contains_key(&0), "an honest member may have a megabyte");
        assert_growth_below(&server, before, 256);
        drop(members);
        // Nobody asks for an assignment: all are out, and what they brought with them.
        let end = Instant::now() + Duration::from_secs(8);
        while metric(&server, HELD_BYTES) > 1 << 20 {
            assert!(Instant::now() < end, "{} bytes of members that are gone", metric(&server, HELD_BYTES));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert_growth_below(&server, before, 256);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn metadata_of_offsets_and_topics_that_do_not_exist() {
    let _alone = whole_machine();
    let mut server = Server::start("group-offsets");
    groups::await_coordinator(server.address());
    frames::create_topic(server.address(), "log", 2, &[]);
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let mut connection = open(&server);
    for (length, error) in
        [(4_096, 0), (4_097, OFFSET_METADATA_TOO_LARGE), (32_767, OFFSET_METADATA_TOO_LARGE)]
    {
        let answer = connection.ask(&groups::commit("long", "log", &[(0, 1)], &"m".repeat(length)));
        assert_eq!(groups::committed(&answer), [(0, error)], "{length} characters");
    }
    let unknown: Vec<(i32, i64)> = (2..100_002).map(|partition| (partition, 1)).collect();
    for topic in ["log", "no-such-topic", "", "../x"] {
        let begin = Instant::now();
        let answer = groups::committed(&connection.ask(&groups::commit("nobody", topic, &unknown, "")));
        println!("{} unknown partitions of {topic:?} in {:?}", answer.len(), begin.elapsed());
        assert_eq!(answer.len(), unknown.len());
        assert!(answer.iter().all(|(_, error)| *error == UNKNOWN_TOPIC_OR_PARTITION), "of {topic:?}");
    }
    let listed = groups::list(&mut connection);
    assert!(!listed.contains(&"nobody".to_owned()), "what does not exist makes no group: {listed:?}");
    // Asking for what nobody committed costs nothing either.
    let fetched = groups::fetch(&mut connection, "nobody", "no-such-topic", 0..100_000);
    assert!(fetched.iter().all(|(_, offset, _, error)| (*offset, *error) == (-1, 0)));
    assert_growth_below(&server, before, 96);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn ten_thousand_commits_to_one_group() {
    const PARTITIONS: i32 = 100;
    let _alone = whole_machine();
    let mut server = Server::start("group-commits");
    groups::await_coordinator(server.address());
    frames::create_topic(server.address(), "log", PARTITIONS, &[]);
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let mut connection = open(&server);
    let begin = Instant::now();
    let requests: Vec<Vec<u8>> = (0..10_000)
        .map(|number| {
            groups::commit("one", "log", &[(number % PARTITIONS, i64::from(number))], "some metadata")
        })
        .collect();
    for (answer, number) in pipelined(&mut connection, &requests).iter().zip(0..) {
        assert_eq!(groups::committed(answer), [(number % PARTITIONS, 0)]);
    }
    println!("10,000 commits in {:?}", begin.elapsed());
    for (partition, offset, _, error) in groups::fetch(&mut connection, "one", "log", 0..PARTITIONS) {
        assert_eq!(
            (offset, error),
            (i64::from(10_000 - PARTITIONS + partition), 0),
            "the last commit counts"
        );
    }
    assert_growth_below(&server, before, 64);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn a_storm_of_joins_without_an_id() {
    let _alone = whole_machine();
    let mut server = Server::start("group-storm");
    groups::await_coordinator(server.address());
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let begin = Instant::now();
    let mut refused = 0;
    for round in 0..50 {
        let mut connection = open(&server);
        let requests: Vec<Vec<u8>> = (0..200)
            .map(|number| {
                // Half of them in one group, half in groups of their own.
                let name =
                    if number % 2 == 0 { "storm".to_owned() } else { format!("storm-{round}-{number}") };
                let mut join = Join::first(&name, &RANGE);
                (join.version, join.session) = (4, Duration::from_secs(6));
                join.frame()
            })
            .collect();
        for answer in pipelined(&mut connection, &requests) {
            let joined = groups::joined(&answer);
            match joined.error {
                MEMBER_ID_REQUIRED => assert!(joined.member.len() > 36, "{joined:?}"),
                GROUP_MAX_SIZE_REACHED => refused += 1,
                error => panic!("a join without an id is answered {error}"),
            }
        }
    }
    println!("10,000 joins without an id in {:?}, {refused} refused", begin.elapsed());
    assert_growth_below(&server, before, 64);
    // Who was given an id and has not come is forgotten with its session; the group serves on.
    std::thread::sleep(Duration::from_millis(6_500));
    let mut connection = open(&server);
    let mut join = Join::first("storm", &RANGE);
    join.version = 4;
    let given = groups::joined(&connection.ask(&join.frame())).member;
    join.member = &given;
    assert!(connection.send(&join.frame()));
    let joined = groups::receive_joined(&mut connection, groups::JOIN_LIMIT);
    assert_eq!((joined.error, joined.generation, joined.members.len()), (0, 1, 1), "{joined:?}");
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn members_that_join_and_are_gone_at_once() {
    let _alone = whole_machine();
    let mut server = Server::start("group-gone");
    groups::await_coordinator(server.address());
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    for number in 0..1_000 {
        let name = format!("gone-{}", number % 10);
        let mut join = Join::first(&name, &RANGE);
        (join.session, join.rebalance) = (Duration::from_secs(6), Duration::from_secs(1));
        // The request is sent whole; nobody will read the answer.
        assert!(open(&server).send(&join.frame()));
    }
    // Whoever was first with an honest wish gets its turn when the others have not synced in time.
    let begin = Instant::now();
    let mut connection = open(&server);
    let mut join = Join::first("gone-0", &RANGE);
    join.rebalance = Duration::from_secs(1);
    assert!(connection.send(&join.frame()));
    let joined = groups::receive_joined(&mut connection, groups::JOIN_LIMIT);
    println!("joined among the gone after {:?}: {} members", begin.elapsed(), joined.members.len());
    assert_eq!(joined.error, 0);
    std::thread::sleep(Duration::from_secs(7));
    let names: Vec<String> = (1..10).map(|number| format!("gone-{number}")).collect();
    for (group, error, state, members) in groups::describe(&mut open(&server), &names) {
        assert_eq!((error, &state[..], members), (0, "Empty", 0), "members of {group} that are gone remain");
    }
    assert_growth_below(&server, before, 64);
    undisturbed(&witness.finish());
    server.assert_alive();
}

/// Many protocols, and names that are long: the lists are searched for each member, and kept.
#[test]
fn protocols_without_end() {
    let _alone = whole_machine();
    let mut server = Server::start("group-protocols");
    groups::await_coordinator(server.address());
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let names: Vec<String> = (0..100_000).map(|number| format!("protocol-{number}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let backwards: Vec<(&str, &[u8])> = many.iter().rev().copied().collect();
    let long = names.iter().take(1_000).map(|name| name.repeat(2_000)).collect::<Vec<_>>();
    let long: Vec<(&str, &[u8])> = long.iter().map(|name| (name.as_str(), &b""[..])).collect();
    // Few enough that a group may keep them; only the last name of each is the other's.
    let forth = many[..20_000].to_vec();
    let back: Vec<(&str, &[u8])> = many[19_999..40_000].iter().rev().copied().collect();
    let mut members = Vec::new();
    for number in 0..60 {
        let (group, protocols) = match number % 5 {
            0 => ("many", &many),
            1 => ("many", &backwards),
            2 => ("long", &long),
            3 => ("within", &forth),
            _ => ("within", &back),
        };
        let mut join = Join::first(group, protocols);
        (join.session, join.rebalance) = (Duration::from_secs(6), Duration::from_secs(1));
        let mut connection = open(&server);
        assert!(connection.send(&join.frame()), "the server reads on");
        members.push(connection);
    }
    let mut errors = BTreeMap::new();
    for connection in &mut members {
        let joined = groups::receive_joined(connection, groups::JOIN_LIMIT);
        assert!([0, GROUP_MAX_SIZE_REACHED].contains(&joined.error), "{}", joined.error);
        *errors.entry(joined.error).or_insert(0) += 1;
    }
    println!(
        "sixty joins with protocols without end: {errors:?}, {} bytes held",
        metric(&server, HELD_BYTES)
    );
    assert_growth_below(&server, before, 384);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn a_stop_does_not_wait_for_members() {
    let _alone = whole_machine();
    let mut server = Server::start("group-stop");
    if !server.is_ours() {
        return;
    }
    groups::await_coordinator(server.address());
    let mut waiting: Vec<Connection> = (0..200)
        .map(|number| {
            let mut connection = open(&server);
            let name = format!("stop-{}", number % 20);
            let mut join = Join::first(&name, &RANGE);
            join.rebalance = Duration::from_secs(300);
            assert!(connection.send(&join.frame()));
            connection
        })
        .collect();
    assert_eq!(waiting[0].receive(Duration::from_millis(300)), Reply::Silence, "a join waits");
    let (status, took) = server.terminate();
    assert!(status.success(), "{status}");
    println!("stopped in {took:?} with 200 members waiting");
    assert!(took < Duration::from_secs(5), "the stop took {took:?}");
    for connection in &mut waiting {
        match connection.receive(PATIENCE) {
            Reply::Closed => {}
            // Told to look for another coordinator, or to try again.
            Reply::Frame(frame) => assert!([14, 15, 16, 27].contains(&groups::joined(&frame[4..]).error)),
            Reply::Silence => panic!("a connection of a stopped server stays open"),
        }
    }
}

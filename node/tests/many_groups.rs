//! As many groups, and as many members of one, as a node is made for: how long it takes, what it costs, what is given back.

mod support;

use std::time::{Duration, Instant};
use support::bounds::{assert_growth_below, metric, resident, undisturbed};
use support::frames::{self, Connection, Reply};
use support::groups::{self, Join};
use support::process::hard_limit_of_files;
use support::server::Server;
use support::whole_machine;
use support::witness::Witness;

const GROUPS: usize = 10_000;
const MEMBERS: usize = 5_000;

fn open(server: &Server) -> Connection {
    Connection::open(server.address()).expect("the server accepts")
}

/// Commits one offset for each group, over some connections with some requests each under way.
fn commit_to_all(server: &Server, names: &[String]) {
    std::thread::scope(|scope| {
        for some in names.chunks(names.len().div_ceil(8)) {
            scope.spawn(move || {
                let mut connection = open(server);
                for names in some.chunks(50) {
                    let requests: Vec<Vec<u8>> =
                        names.iter().map(|name| groups::commit(name, "log", &[(0, 7)], "metadata")).collect();
                    assert!(connection.send(&requests.concat()));
                    for name in names {
                        let Reply::Frame(frame) = connection.receive(groups::JOIN_LIMIT) else {
                            panic!("no answer to the commit of {name}")
                        };
                        assert_eq!(groups::committed(&frame[4..]), [(0, 0)], "{name}");
                    }
                }
            });
        }
    });
}

#[test]
fn ten_thousand_groups_come_and_go() {
    let _alone = whole_machine();
    let mut server = Server::start("many-groups");
    groups::await_coordinator(server.address());
    frames::create_topic(server.address(), "log", 1, &[]);
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let names: Vec<String> = (0..GROUPS).map(|number| format!("group-{number:05}")).collect();
    let mut after_first = 0;
    for round in 0..3 {
        let begin = Instant::now();
        commit_to_all(&server, &names);
        let made = begin.elapsed();
        let mut connection = open(&server);
        let timed = |what: &str, begin: Instant| println!("{what} in {:?}", begin.elapsed());
        println!("{GROUPS} groups made in {made:?}");
        let begin = Instant::now();
        let mut listed = groups::list(&mut connection);
        timed("listed", begin);
        listed.sort();
        assert!(listed == names, "{} groups are listed", listed.len());
        let begin = Instant::now();
        let described = groups::describe(&mut connection, &names);
        timed("described", begin);
        assert!(
            described
                .iter()
                .all(|(_, error, state, members)| (*error, &state[..], *members) == (0, "Empty", 0))
        );
        assert_eq!(described.len(), GROUPS);
        let begin = Instant::now();
        let fetched = groups::fetch_of_many(&mut connection, &names);
        timed("fetched", begin);
        assert!(
            fetched
                .iter()
                .zip(&names)
                .all(|((group, error, offsets), name)| { (group, *error, *offsets) == (name, 0, 1) })
        );
        assert_eq!(fetched.len(), GROUPS);
        assert_growth_below(&server, before, 128);
        let begin = Instant::now();
        let deleted = groups::delete(&mut connection, &names);
        timed("deleted", begin);
        assert_eq!(deleted, vec![0; GROUPS]);
        assert!(groups::list(&mut connection).is_empty());
        let held = metric(&server, "ringmain_groups_held_bytes");
        assert!(held < 64 << 10, "{held} bytes are held for no groups");
        let now = resident(&server);
        println!("round {round}: {} KiB above the beginning", now.saturating_sub(before) >> 10);
        if round == 0 {
            after_first = now;
        }
    }
    // What allocators keep they use again: later rounds cost nothing more.
    let grown = resident(&server).saturating_sub(after_first);
    assert!(grown < 24 << 20, "{} MiB more after groups have come and gone again", grown >> 20);
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn ten_thousand_groups_are_there_after_a_restart() {
    let _alone = whole_machine();
    let mut server = Server::start("reloaded-groups");
    if !server.is_ours() {
        return;
    }
    groups::await_coordinator(server.address());
    frames::create_topic(server.address(), "log", 1, &[]);
    let names: Vec<String> = (0..GROUPS).map(|number| format!("group-{number:05}")).collect();
    for _ in 0..3 {
        commit_to_all(&server, &names);
    }
    server.kill();
    let ready = server.restart();
    // Others are served while the groups load.
    let begin = Instant::now();
    let witness = Witness::start(server.address(), "witness");
    let first = begin.elapsed();
    let mut connection = open(&server);
    let mut tries = 0;
    let fetched = loop {
        let fetched = groups::fetch_of_many(&mut connection, &names);
        let loading = fetched.iter().filter(|(_, error, _)| *error != 0).count();
        assert!(
            fetched.iter().all(|(_, error, _)| [0, 14, 15, 16].contains(error)),
            "a group that loads says so: {:?}",
            fetched.iter().find(|(_, error, _)| ![0, 14, 15, 16].contains(error))
        );
        if loading == 0 {
            break fetched;
        }
        tries += 1;
        assert!(begin.elapsed() < Duration::from_secs(20), "{loading} groups are not loaded");
        std::thread::sleep(Duration::from_millis(5));
    };
    println!(
        "ready after {ready:?}, a topic made {first:?} later, all groups there after {:?}, {tries} tries",
        begin.elapsed()
    );
    assert!(fetched.iter().all(|(_, _, offsets)| *offsets == 1), "no commit is lost");
    assert!(ready < Duration::from_secs(5), "ready only after {ready:?}");
    undisturbed(&witness.finish());
    server.assert_alive();
}

#[test]
fn five_thousand_members_share_a_group() {
    let _alone = whole_machine();
    let limit = hard_limit_of_files();
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), &format!("--nofile={limit}:{limit}")])
        .status();
    if !raised.is_ok_and(|status| status.success()) || limit < u64::try_from(MEMBERS).expect("few") + 200 {
        support::skip("the limit of open files cannot be raised far enough");
        return;
    }
    let mut server = Server::start("many-members");
    groups::await_coordinator(server.address());
    let witness = Witness::start(server.address(), "witness");
    let before = resident(&server);
    let begin = Instant::now();
    let protocols: [(&str, &[u8]); 1] = [("range", &[7; 100])];
    let mut connections: Vec<Connection> = (0..MEMBERS)
        .map(|_| {
            let mut connection = open(&server);
            let mut join = Join::first("crowd", &protocols);
            // Long enough that the last of them comes before the first is waited for no more.
            join.rebalance = Duration::from_secs(8);
            assert!(connection.send(&join.frame()));
            connection
        })
        .collect();
    println!("{MEMBERS} joins sent in {:?}", begin.elapsed());
    let mut members = Vec::new();
    let mut leader = None;
    let mut generation = 0;
    for (index, connection) in connections.iter_mut().enumerate() {
        let joined = groups::receive_joined(connection, Duration::from_secs(30));
        assert_eq!(joined.error, 0, "member {index}");
        generation = joined.generation;
        if joined.leader == joined.member {
            assert_eq!(joined.members.len(), MEMBERS, "the leader sees all");
            leader = Some(index);
        } else {
            assert!(joined.members.is_empty(), "only the leader sees the members");
        }
        members.push(joined.member);
    }
    println!("joined after {:?}", begin.elapsed());
    let leader = leader.expect("one of them leads");
    let syncing = Instant::now();
    for (index, connection) in connections.iter_mut().enumerate().filter(|(index, _)| *index != leader) {
        assert!(connection.send(&groups::sync("crowd", generation, &members[index], &[])));
    }
    let assignments: Vec<(String, Vec<u8>)> =
        members.iter().map(|member| (member.clone(), member.as_bytes().to_vec())).collect();
    assert!(connections[leader].send(&groups::sync("crowd", generation, &members[leader], &assignments)));
    for (connection, member) in connections.iter_mut().zip(&members) {
        let Reply::Frame(frame) = connection.receive(groups::JOIN_LIMIT) else {
            panic!("a member waits for its assignment for ever")
        };
        let (error, assignment) = groups::synced(&frame[4..]);
        assert_eq!(error, 0);
        assert!(assignment == member.as_bytes(), "each gets what is its own");
    }
    println!("assigned in {:?}", syncing.elapsed());
    assert_growth_below(&server, before, 256);
    let beating = Instant::now();
    for (connection, member) in connections.iter_mut().zip(&members) {
        assert!(connection.send(&groups::heartbeat("crowd", generation, member)));
    }
    for connection in &mut connections {
        let Reply::Frame(frame) = connection.receive(groups::JOIN_LIMIT) else {
            panic!("a heartbeat is not answered")
        };
        assert_eq!(frames::Answer(&frame[4..]).i16(), 0);
    }
    println!("{MEMBERS} heartbeats in {:?}", beating.elapsed());
    let leaving = Instant::now();
    let left = groups::leave_together(&mut open(&server), "crowd", &members);
    println!("{MEMBERS} left in {:?}", leaving.elapsed());
    assert_eq!(left, vec![0; MEMBERS]);
    undisturbed(&witness.finish());
    server.assert_alive();
}

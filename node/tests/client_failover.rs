//! Groups whose members come, go and die, in several languages at once, and a server that is killed and stopped under them.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::client::Client;
use support::feeder::{Feeder, finish};
use support::members::{self, Event, Group, Member, Noted};
use support::server::Server;
use support::tools;

const PARTITIONS: u32 = 6;
/// The shortest that a broker allows by default.
const SESSION: Duration = Duration::from_secs(6);
/// A group forms 3 s after its first member; the machine may be busy.
const FORMS: Duration = Duration::from_secs(40);

/// A folder for the notes of one test; those of the run before go.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("notes-of-{name}"));
    // It is not there at the first run.
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn create_topic(server: &Server, python: &Path, topic: &str) {
    let mut command = Command::new(python);
    command.arg(tools::sources().join("python/topics.py")).arg(server.address().to_string());
    tools::run(command.arg(PARTITIONS.to_string()).arg(topic)).expect("the topic can be created");
}

#[test]
fn three_languages_share_a_group_and_one_is_killed() {
    let clients = [Client::librdkafka(tools::LIBRDKAFKA), Client::franz(), Client::kafkajs()];
    let [python, go, javascript] = clients;
    let (python, go, javascript) = (or_skip!(python), or_skip!(go), or_skip!(javascript));
    let interpreter = or_skip!(tools::librdkafka(tools::LIBRDKAFKA));
    for (victim, clients) in
        [[&go, &python, &javascript], [&python, &javascript, &go]].into_iter().enumerate()
    {
        let name = format!("three-languages-{victim}");
        let server = Server::start(&name);
        create_topic(&server, &interpreter, &name);
        let folder = folder(&name);
        let feeder = Feeder::start(&server, &interpreter, &name, PARTITIONS, &folder);
        let group = Group {
            name: &name,
            topic: &name,
            partitions: PARTITIONS,
            assignor: "roundrobin",
            session: SESSION,
            folder,
        };
        let mut joined: Vec<Member> = clients
            .iter()
            .enumerate()
            .map(|(index, client)| {
                group.join(&server, client, &format!("member {index}, {}", client.title()), None)
            })
            .collect();
        group.wait_until_shared(&joined.iter().collect::<Vec<_>>(), FORMS);
        std::thread::sleep(Duration::from_secs(1));
        let mut victim = joined.remove(0);
        let lost = victim.owned();
        victim.kill();
        let begin = Instant::now();
        group.wait_until_shared(&joined.iter().collect::<Vec<_>>(), 2 * FORMS);
        let after = begin.elapsed();
        println!("the partitions {lost:?} were taken over after {after:?}");
        if server.is_ours() {
            assert!(after < SESSION + Duration::from_secs(9), "taken over only after {after:?}");
        }
        finish(feeder, &mut joined, std::slice::from_ref(&victim), FORMS);
    }
    for client in [&python, &go, &javascript] {
        client.did("a group of three languages, one killed");
    }
}

/// Two members; the second is static, goes without a word and comes back within its session.
fn restarts_without_a_rebalance(server: &Server, interpreter: &Path, client: &Client, name: &str) {
    create_topic(server, interpreter, name);
    let folder = folder(name);
    let feeder = Feeder::start(server, interpreter, name, PARTITIONS, &folder);
    let session = 3 * SESSION;
    let group = Group { name, topic: name, partitions: PARTITIONS, assignor: "range", session, folder };
    let first = group.join(server, client, "first", Some("instance-1"));
    let mut second = group.join(server, client, "second", Some("instance-2"));
    group.wait_until_shared(&[&first, &second], FORMS);
    let owned = second.owned();
    let quiet_since = members::now_ms();
    // Once it closes, as in a rolling restart; once it is killed.
    second.leave();
    let mut second = group.join(server, client, "second again", Some("instance-2"));
    members::wait_until(FORMS, || {
        if second.owned() == owned {
            Ok(())
        } else {
            Err(format!("{:?} of {owned:?} are back", second.owned()))
        }
    });
    second.kill();
    let second = group.join(server, client, "second for the third time", Some("instance-2"));
    members::wait_until(FORMS, || {
        if second.owned() == owned {
            Ok(())
        } else {
            Err(format!("{:?} of {owned:?} are back", second.owned()))
        }
    });
    let disturbed: Vec<Noted> = first
        .notes()
        .into_iter()
        .filter(|noted| {
            noted.at_ms > quiet_since && matches!(noted.event, Event::Assigned { .. } | Event::Revoked(_))
        })
        .collect();
    assert!(disturbed.is_empty(), "the other member had a rebalance: {disturbed:?}");
    let generations: Vec<_> = members::by_generation(&second.notes()).into_keys().collect();
    let before = members::by_generation(&first.notes()).into_keys().next_back();
    assert_eq!(generations.last().copied(), before, "the generation has changed");
    drop(feeder.stop());
    client.did("static members (restarts without a rebalance)");
}

/// A second member joins the first: what the first keeps it never gives up, and reads on.
fn rebalances_incrementally(server: &Server, interpreter: &Path, client: &Client, name: &str) {
    create_topic(server, interpreter, name);
    let folder = folder(name);
    let feeder = Feeder::start(server, interpreter, name, PARTITIONS, &folder);
    let assignor = "cooperative-sticky";
    let group = Group { name, topic: name, partitions: PARTITIONS, assignor, session: SESSION, folder };
    let first = group.join(server, client, "first", None);
    group.wait_until_shared(&[&first], FORMS);
    std::thread::sleep(Duration::from_millis(500));
    let joined_at = members::now_ms();
    let second = group.join(server, client, "second", None);
    group.wait_until_shared(&[&first, &second], FORMS);
    std::thread::sleep(Duration::from_secs(1));
    let (kept, settled_at) = (first.owned(), members::now_ms());
    assert_eq!(kept.len(), usize::try_from(PARTITIONS / 2).expect("small"), "the first has {kept:?}");
    let revoked: Vec<_> = first
        .notes()
        .into_iter()
        .filter_map(|noted| match noted.event {
            Event::Revoked(partitions) if noted.at_ms >= joined_at => {
                Some(partitions.expect("they are named"))
            }
            _ => None,
        })
        .flatten()
        .collect();
    assert!(
        !revoked.is_empty() && revoked.iter().all(|one| !kept.contains(one)),
        "gave up {revoked:?}, has {kept:?}"
    );
    // While the group rebalanced, the first read on from what it kept.
    let reads: Vec<u64> = first
        .notes()
        .into_iter()
        .filter(|noted| matches!(&noted.event, Event::Record { partition, .. } if kept.contains(partition)))
        .map(|noted| noted.at_ms)
        .filter(|at| (joined_at..=settled_at).contains(at))
        .collect();
    let longest = reads.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX);
    println!("{}: {} records meanwhile, the longest pause {longest} ms", client.title(), reads.len());
    assert!(longest < 3_000, "the first read nothing for {longest} ms");
    finish(feeder, &mut [first, second], &[], FORMS);
    client.did("cooperative rebalance (incremental)");
}

#[test]
fn static_members_and_cooperative_ones() {
    let librdkafka = or_skip!(Client::librdkafka(tools::LIBRDKAFKA));
    let franz = or_skip!(Client::franz());
    let interpreter = or_skip!(tools::librdkafka(tools::LIBRDKAFKA));
    let server = Server::start("members");
    let (server, interpreter) = (&server, &interpreter);
    std::thread::scope(|scope| {
        for (name, client) in [("librdkafka", &librdkafka), ("franz-go", &franz)] {
            scope.spawn(move || {
                restarts_without_a_rebalance(server, interpreter, client, &format!("static-{name}"));
            });
            scope.spawn(move || {
                rebalances_incrementally(server, interpreter, client, &format!("cooperative-{name}"));
            });
        }
    });
}

#[test]
fn a_group_goes_on_when_the_node_is_killed_and_when_it_is_stopped() {
    let clients = [Client::librdkafka(tools::LIBRDKAFKA), Client::franz(), Client::kafkajs()];
    let [python, go, javascript] = clients;
    let (python, go, javascript) = (or_skip!(python), or_skip!(go), or_skip!(javascript));
    let interpreter = or_skip!(tools::librdkafka(tools::LIBRDKAFKA));
    let mut server = Server::start("restarts");
    if !server.is_ours() {
        return;
    }
    let name = "restarts";
    create_topic(&server, &interpreter, name);
    let folder = folder(name);
    let feeder = Feeder::start(&server, &interpreter, name, PARTITIONS, &folder);
    let watched = folder.join("watch.stop");
    let watched_words = ["watch", name, name, watched.to_str().expect("the tests' paths are UTF-8")];
    let group = Group {
        name,
        topic: name,
        partitions: PARTITIONS,
        assignor: "roundrobin",
        session: 2 * SESSION,
        folder,
    };
    let mut members: Vec<Member> = [&python, &go, &javascript]
        .into_iter()
        .map(|client| group.join(&server, client, &client.title(), None))
        .collect();
    group.wait_until_shared(&members.iter().collect::<Vec<_>>(), FORMS);
    let watch_said = watched.with_extension("said");
    let mut watch = go.spawn(&server, &watched_words, &watch_said);
    std::thread::sleep(Duration::from_secs(1));
    for round in ["kill", "stop", "kill"] {
        if round == "kill" {
            server.kill();
        } else {
            let (status, took) = server.terminate();
            assert!(status.success(), "the server ended with {status}");
            println!("stopped in {took:?}");
        }
        server.restart();
        let since = members::now_ms();
        members::wait_until(FORMS, || {
            let idle: Vec<&str> =
                members.iter().filter(|member| !commits_since(member, since)).map(Member::name).collect();
            if idle.is_empty() {
                Ok(())
            } else {
                Err(format!("after the {round}, nothing is committed by {idle:?}"))
            }
        });
        println!("after the {round}, everybody had committed within {} ms", members::now_ms() - since);
    }
    let notes = finish(feeder, &mut members, &[], FORMS);
    for (name, notes) in &notes {
        println!("{name}: {:?}", members::by_generation(notes));
    }
    std::fs::write(&watched, "").expect("a file can be made");
    let status = watch.wait().expect("a child can be waited for");
    let said = std::fs::read_to_string(&watch_said).unwrap_or_default();
    assert!(status.success(), "committed offsets went back, or were lost: {said}");
    println!("watched from outside: {said}");
    for client in [&python, &go, &javascript] {
        client.did("a group through kill -9 and SIGTERM of the node");
    }
}

fn commits_since(member: &Member, since_ms: u64) -> bool {
    let notes = member.notes();
    notes.iter().any(|noted| noted.at_ms > since_ms && matches!(noted.event, Event::Committed { .. }))
}

mod judgement {
    //! The judges themselves: each notices what it is there for.

    use super::members::{Event, Noted, assert_all_read, assert_one_owner, assert_resumed};

    fn life(events: Vec<Event>) -> Vec<Noted> {
        let times = events.into_iter().enumerate();
        times.map(|(index, event)| Noted { at_ms: 10 * index as u64, event }).collect()
    }

    fn assigned(generation: i32, partitions: &[u32]) -> Event {
        Event::Assigned { generation, partitions: partitions.iter().copied().collect() }
    }

    fn record(offset: u64) -> Event {
        Event::Record { partition: 0, offset, value: format!("value {offset}") }
    }

    fn committed(offset: u64) -> [Event; 2] {
        [Event::Committing { partition: 0, offset }, Event::Committed { partition: 0, offset }]
    }

    #[test]
    #[should_panic(expected = "partition 1 in generation 2")]
    fn two_owners_in_one_generation() {
        let first = life(vec![assigned(1, &[0, 1]), Event::Revoked(None), assigned(2, &[0, 1])]);
        let second = life(vec![assigned(-1, &[1, 2]), Event::Generation(2)]);
        assert_one_owner(&[("first", first), ("second", second)]);
    }

    #[test]
    #[should_panic(expected = "began at 4: committed was 5")]
    fn a_commit_that_went_back() {
        let [asked, answered] = committed(5);
        assert_resumed(&[("one", life(vec![asked, answered, assigned(3, &[0]), record(4)]))]);
    }

    #[test]
    #[should_panic(expected = "began at 6: committed was 5")]
    fn a_gap_behind_the_commit() {
        let [asked, answered] = committed(5);
        assert_resumed(&[("one", life(vec![asked, answered, assigned(3, &[0]), record(6)]))]);
    }

    #[test]
    #[should_panic(expected = "1 of 3 were not read")]
    fn a_record_that_nobody_read() {
        let written: Vec<_> = (0..3).map(|offset| (0, offset, format!("value {offset}"))).collect();
        assert_all_read(&written, &[("one", life(vec![record(0), record(2), record(2)]))]);
    }

    #[test]
    fn an_orderly_life() {
        let [asked, answered] = committed(2);
        let one = life(vec![assigned(1, &[0]), record(0), record(1), asked, answered, Event::Revoked(None)]);
        let mut other = life(vec![assigned(2, &[0]), record(2)]);
        other.iter_mut().for_each(|noted| noted.at_ms += 1_000);
        let notes = [("one", one), ("other", other)];
        assert_resumed(&notes);
        assert_eq!(assert_one_owner(&notes), 2);
        let written: Vec<_> = (0..3).map(|offset| (0, offset, format!("value {offset}"))).collect();
        assert_eq!(assert_all_read(&written, &notes), 0);
    }
}

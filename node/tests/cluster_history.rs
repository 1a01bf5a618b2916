//! The judge of the cluster's histories is judged: every anomaly is found and named in a history that has it, and good
//! histories, those with unknown outcomes among them, are found good.

#[path = "cluster/history/mod.rs"]
mod history;

use history::{
    Anomaly, Batch, Commit, Contradiction, FinalLog, History, Outcome, Position, Read, Record, Send, Session,
    check,
};
use std::time::Duration;

const NODES: [i32; 3] = [1, 2, 3];
const PARTITION: i32 = 4;
const GROUP: u32 = 7;

fn record(producer: u32, number: u32) -> Record {
    Record { producer, number }
}

fn at(second: u64) -> Duration {
    Duration::from_secs(second)
}

fn send(producer: u32, first_number: u32, count: u32, outcome: Outcome<Option<i64>>) -> Send {
    Send { producer, partition: PARTITION, first_number, count, outcome }
}

fn acknowledged(producer: u32, first_number: u32, count: u32, base_offset: i64) -> Send {
    send(producer, first_number, count, Outcome::Acknowledged(Some(base_offset)))
}

fn batches_of(records: &[Record]) -> Vec<Batch> {
    let digest = |record: &Record| u64::from(record.producer) << 32 | u64::from(record.number);
    (0..).zip(records).map(|(base_offset, record)| Batch { base_offset, digest: digest(record) }).collect()
}

fn log(node: i32, records: &[Record]) -> FinalLog {
    FinalLog {
        node,
        partition: PARTITION,
        start: 0,
        end: i64::try_from(records.len()).expect("a few"),
        records: (0..).zip(records.iter().copied()).collect(),
        batches: batches_of(records),
    }
}

fn session(reader: &str, first_offset: i64, records: &[Record]) -> Session {
    let read = |(offset, record): (i64, &Record)| Read { offset, record: *record, node: 2, at: at(5) };
    Session {
        reader: reader.into(),
        partition: PARTITION,
        group: None,
        reads: (first_offset..).zip(records).map(read).collect(),
        cut_off_at: None,
    }
}

fn commit(offset: i64, begin: u64, outcome: Outcome<()>) -> Commit {
    Commit { group: GROUP, partition: PARTITION, offset, begin: at(begin), end: at(begin + 1), outcome }
}

fn position(offset: Option<i64>, begin: u64) -> Position {
    Position { group: GROUP, partition: PARTITION, offset, begin: at(begin), end: at(begin + 1) }
}

/// The log that all histories below have: two producers, one of them with a second incarnation.
fn the_log() -> Vec<Record> {
    [(1, 0), (1, 1), (2, 0), (1, 2), (2, 1), (2, 2), (3, 0), (3, 1)]
        .map(|(producer, number)| record(producer, number))
        .to_vec()
}

/// A good history with every kind of outcome in it.
fn good() -> History {
    let records = the_log();
    let mut of_group = session("member", 0, &records[..5]);
    of_group.group = Some(GROUP);
    History {
        sends: vec![
            acknowledged(1, 0, 2, 0),
            acknowledged(2, 0, 1, 2),
            // A duplicate whose offset the leader did not remember.
            send(1, 2, 1, Outcome::Acknowledged(None)),
            // Unknown, and there.
            send(2, 1, 2, Outcome::Unknown),
            // Unknown, and not there.
            send(2, 3, 3, Outcome::Unknown),
            acknowledged(3, 0, 2, 6),
            send(3, 2, 4, Outcome::Failed),
        ],
        sessions: vec![
            session("early", 0, &records[..4]),
            session("late", 3, &records[3..]),
            session("nothing", 8, &[]),
            of_group,
        ],
        commits: vec![
            commit(2, 10, Outcome::Acknowledged(())),
            commit(3, 20, Outcome::Unknown),
            commit(5, 30, Outcome::Acknowledged(())),
            commit(5, 40, Outcome::Failed),
        ],
        positions: vec![
            position(None, 5),
            position(Some(2), 15),
            position(Some(5), 32),
            // The commit of 3 was on its way all the time, and came last.
            position(Some(3), 50),
        ],
        final_logs: NODES.map(|node| log(node, &records)).to_vec(),
        contradictions: Vec::new(),
    }
}

/// What is found in the good history after one change, by name; each name once.
fn names_after(change: impl FnOnce(&mut History)) -> Vec<&'static str> {
    let mut history = good();
    change(&mut history);
    let mut names: Vec<&str> = check(&history).iter().map(Anomaly::name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Changes the log of every replica in the same way.
fn in_every_log(history: &mut History, change: impl Fn(&mut Vec<Record>)) {
    for final_log in &mut history.final_logs {
        let mut records: Vec<Record> = final_log.records.iter().map(|(_, record)| *record).collect();
        change(&mut records);
        *final_log = log(final_log.node, &records);
    }
    // What readers were given stands in the way of seeing what producers lost.
    history.sessions.clear();
    history.commits.clear();
    history.positions.clear();
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(check(&good()), []);
    assert_eq!(check(&History::default()), []);
}

#[test]
fn records_that_retention_has_taken_are_not_missed() {
    let mut history = good();
    for final_log in &mut history.final_logs {
        final_log.start = 3;
        final_log.records.drain(..3);
        final_log.batches.drain(..3);
    }
    assert_eq!(check(&history), []);
}

#[test]
fn an_acknowledged_record_that_is_lost() {
    let names = names_after(|history| {
        in_every_log(history, |records| {
            records.truncate(7);
        });
    });
    assert_eq!(names, ["acknowledged record lost"]);
    let names = names_after(|history| {
        history.sends[2].outcome = Outcome::Acknowledged(None);
        in_every_log(history, |records| records[3] = record(2, 3));
    });
    assert!(names.contains(&"acknowledged record lost"), "{names:?}");
}

#[test]
fn an_acknowledged_record_at_another_offset() {
    let names = names_after(|history| history.sends[5].outcome = Outcome::Acknowledged(Some(5)));
    assert_eq!(names, ["acknowledged record at another offset"]);
}

#[test]
fn a_record_that_is_there_twice() {
    let names = names_after(|history| in_every_log(history, |records| records.push(record(2, 2))));
    assert_eq!(names, ["record present twice"]);
}

#[test]
fn records_of_one_producer_in_another_order() {
    let names = names_after(|history| {
        in_every_log(history, |records| records.swap(4, 5));
    });
    assert_eq!(names, ["order of a producer broken"]);
}

#[test]
fn a_batch_of_which_a_part_is_there() {
    let names = names_after(|history| in_every_log(history, |records| records.push(record(2, 3))));
    assert_eq!(names, ["batch torn"]);
}

#[test]
fn a_record_that_was_refused_and_is_there() {
    let names = names_after(|history| {
        history.sends[6].count = 1;
        in_every_log(history, |records| records.push(record(3, 2)));
    });
    assert_eq!(names, ["failed record present"]);
}

#[test]
fn a_record_that_nobody_sent() {
    let names = names_after(|history| in_every_log(history, |records| records.push(record(9, 0))));
    assert_eq!(names, ["record that nobody produced"]);
    let names = names_after(|history| {
        // Sent, but to another partition.
        history.sends.push(Send { partition: PARTITION + 1, ..acknowledged(8, 0, 1, 0) });
        in_every_log(history, |records| records.push(record(8, 0)));
    });
    assert_eq!(names, ["record that nobody produced"]);
}

#[test]
fn a_hole_in_a_log() {
    let names = names_after(|history| history.final_logs.iter_mut().for_each(|log| log.end += 1));
    assert_eq!(names, ["hole in a log"]);
    let names = names_after(|history| {
        for log in &mut history.final_logs {
            log.records.iter_mut().skip(7).for_each(|(offset, _)| *offset += 1);
            log.batches.iter_mut().skip(7).for_each(|batch| batch.base_offset += 1);
            log.end += 1;
        }
        history.sessions.clear();
        history.sends[5] = acknowledged(3, 0, 1, 6);
        history.sends.push(acknowledged(3, 1, 1, 8));
        history.sends[6].outcome = Outcome::Unknown;
        history.commits.clear();
        history.positions.clear();
    });
    assert_eq!(names, ["hole in a log"]);
}

#[test]
fn replicas_that_differ() {
    type Change = fn(&mut FinalLog);
    let changes: [Change; 4] = [
        |log| log.batches[6].digest += 1,
        |log| {
            log.batches.pop();
        },
        |log| log.batches.push(Batch { base_offset: 8, digest: 0 }),
        |log| log.batches[3].base_offset += 1,
    ];
    for change in changes {
        for replica in [1, 2] {
            let names = names_after(|history| change(&mut history.final_logs[replica]));
            assert_eq!(names, ["replicas differ"]);
        }
    }
    let names = names_after(|history| {
        let shorter = the_log()[..6].to_vec();
        history.final_logs[2] = log(3, &shorter);
    });
    assert_eq!(names, ["replicas differ"]);
}

#[test]
fn a_read_of_what_is_not_in_the_log() {
    // At the end of the log, as a leader shows it that has not heard of its successor.
    let names = names_after(|history| {
        history.sessions[1].reads.push(Read { offset: 8, record: record(2, 3), node: 1, at: at(6) });
    });
    assert_eq!(names, ["uncommitted read"]);
    let names = names_after(|history| history.sessions[0].reads[3].record = record(2, 3));
    assert_eq!(names, ["two values at one offset", "uncommitted read"]);
}

#[test]
fn two_readers_with_different_values_at_one_offset() {
    let names = names_after(|history| {
        history.sessions[0].reads[3].record = record(2, 2);
    });
    assert_eq!(names, ["two values at one offset"]);
    // The same without any final log: the readers are enough.
    let names = names_after(|history| {
        history.sessions[0].reads[3].record = record(2, 2);
        history.final_logs.clear();
        history.sends.clear();
    });
    assert_eq!(names, ["two values at one offset"]);
}

#[test]
fn a_reader_that_skips_or_goes_back() {
    let names = names_after(|history| {
        history.sessions[1].reads.remove(2);
    });
    assert_eq!(names, ["reader skipped a record"]);
    let names = names_after(|history| {
        let again = history.sessions[1].reads[2];
        history.sessions[1].reads.insert(3, again);
    });
    assert_eq!(names, ["reader went back"]);
}

#[test]
fn a_log_that_ends_below_a_reader() {
    let names = names_after(|history| history.sessions[1].cut_off_at = Some(8));
    assert_eq!(names, ["log cut off below a reader"]);
}

#[test]
fn a_commit_that_is_lost() {
    let names = names_after(|history| history.positions[2].offset = Some(2));
    assert!(names.contains(&"commit lost"), "{names:?}");
    let names = names_after(|history| history.positions[1].offset = None);
    assert_eq!(names, ["commit lost"]);
}

#[test]
fn a_commit_that_goes_back() {
    let names = names_after(|history| {
        // Never acknowledged, but told: it may not be less afterwards.
        history.commits[2].outcome = Outcome::Unknown;
        history.commits[1].outcome = Outcome::Acknowledged(());
        history.positions[3].offset = Some(3);
    });
    assert_eq!(names, ["commit went back"]);
}

#[test]
fn a_commit_that_nobody_made() {
    let names = names_after(|history| history.positions[2].offset = Some(6));
    assert_eq!(names, ["commit that nobody made"]);
}

#[test]
fn a_group_that_skips() {
    let names = names_after(|history| {
        history.sessions[3].reads.drain(..2);
    });
    assert_eq!(names, ["group skipped a record"]);
}

#[test]
fn a_client_that_was_told_nonsense() {
    let names = names_after(|history| {
        let (client, said) = ("producer 1".to_owned(), "a gap in its sequence".to_owned());
        history.contradictions.push(Contradiction { client, partition: PARTITION, said });
    });
    assert_eq!(names, ["client contradicted"]);
}

/// Whatever one record of the log is replaced by, dropped for, doubled or swapped with: something is found.
#[test]
fn no_change_of_one_record_goes_unnoticed() {
    let count = the_log().len();
    for place in 0..count {
        type Change = fn(&mut Vec<Record>, usize);
        let changes: [Change; 4] = [
            |records, place| {
                records.remove(place);
            },
            |records, place| records.insert(place, records[place]),
            |records, place| records[place].number += 100,
            |records, place| {
                let other = (place + 1) % records.len();
                records.swap(place, other);
            },
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut history = good();
            for final_log in &mut history.final_logs {
                let mut records = the_log();
                change(&mut records, place);
                *final_log = log(final_log.node, &records);
            }
            let found = check(&history);
            assert!(!found.is_empty(), "change {index} of the record at {place}");
            assert!(found.iter().all(|anomaly| anomaly.to_string().starts_with(anomaly.name())));
        }
    }
}

//! What readers were given, against the log and against each other.

use super::{AgreedLog, Anomaly, Record, Session};
use std::collections::BTreeMap;

/// Checks every session of every reader.
pub(super) fn check(sessions: &[Session], logs: &BTreeMap<i32, AgreedLog>, found: &mut Vec<Anomaly>) {
    let mut shown: BTreeMap<(i32, i64), Record> = BTreeMap::new();
    for session in sessions {
        against_the_log(session, logs.get(&session.partition), found);
        against_the_others(session, &mut shown, found);
        in_order(session, logs.get(&session.partition), found);
        if let Some(offset) = session.cut_off_at {
            let (reader, partition) = (session.reader.clone(), session.partition);
            found.push(Anomaly::CutOff { reader, partition, offset });
        }
    }
}

fn against_the_log(session: &Session, log: Option<&AgreedLog>, found: &mut Vec<Anomaly>) {
    let Some(log) = log else { return };
    let partition = session.partition;
    for read in session.reads.iter().filter(|read| read.offset >= log.start) {
        let (offset, record) = (read.offset, read.record);
        let stays = log.records.get(&offset);
        if stays == Some(&record) {
            continue;
        }
        if !log.places.contains_key(&record) {
            let (reader, node) = (session.reader.clone(), read.node);
            found.push(Anomaly::UncommittedRead { reader, node, partition, offset, record });
        }
        if let Some(one) = stays {
            let seen_by = format!("{} at node {}", session.reader, read.node);
            found.push(Anomaly::TwoValues { partition, offset, one: *one, other: record, seen_by });
        }
    }
}

fn against_the_others(session: &Session, shown: &mut BTreeMap<(i32, i64), Record>, found: &mut Vec<Anomaly>) {
    let partition = session.partition;
    for read in &session.reads {
        let one = *shown.entry((partition, read.offset)).or_insert(read.record);
        if one != read.record {
            let seen_by = format!("{} at node {}", session.reader, read.node);
            let (offset, other) = (read.offset, read.record);
            let anomaly = Anomaly::TwoValues { partition, offset, one, other, seen_by };
            if !found.contains(&anomaly) {
                found.push(anomaly);
            }
        }
    }
}

fn in_order(session: &Session, log: Option<&AgreedLog>, found: &mut Vec<Anomaly>) {
    for pair in session.reads.windows(2) {
        let (after, next) = (pair[0].offset, pair[1].offset);
        let (reader, partition) = (session.reader.clone(), session.partition);
        if next <= after {
            found.push(Anomaly::WentBack { reader, partition, after, next });
        } else if log.is_some_and(|log| log.records.range(after + 1..next).next().is_some()) {
            found.push(Anomaly::Skipped { reader, partition, after, next });
        }
    }
}

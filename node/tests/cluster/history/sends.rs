//! What producers were told, against the log.

use super::{AgreedLog, Anomaly, Outcome, Record, Send};
use std::collections::BTreeMap;

/// Checks every send, and then every record of the logs for somebody who sent it.
pub(super) fn check(sends: &[Send], logs: &BTreeMap<i32, AgreedLog>, found: &mut Vec<Anomaly>) {
    let mut sent_to: BTreeMap<Record, (i32, &Send)> = BTreeMap::new();
    for send in sends {
        for record in records(send) {
            sent_to.insert(record, (send.partition, send));
        }
        if let Some(log) = logs.get(&send.partition) {
            check_send(send, log, found);
        }
    }
    for (partition, log) in logs {
        check_records(*partition, log, &sent_to, found);
        check_order(*partition, log, found);
    }
}

fn records(send: &Send) -> impl Iterator<Item = Record> + '_ {
    (0..send.count).map(|index| Record { producer: send.producer, number: send.first_number + index })
}

fn check_send(send: &Send, log: &AgreedLog, found: &mut Vec<Anomaly>) {
    let present = records(send).filter(|record| log.places.contains_key(record)).count();
    let present = u32::try_from(present).expect("no more than were sent");
    match send.outcome {
        Outcome::Acknowledged(base_offset) => check_acknowledged(send, base_offset, log, found),
        Outcome::Failed | Outcome::Unknown => {
            // What retention has taken is not torn.
            let first = Record { producer: send.producer, number: send.first_number };
            let is_whole = present == 0 || present == send.count;
            if !is_whole && log.start == 0 {
                let (partition, sent) = (send.partition, send.count);
                found.push(Anomaly::Torn { partition, first, sent, found: present });
            }
        }
    }
}

fn check_acknowledged(send: &Send, base_offset: Option<i64>, log: &AgreedLog, found: &mut Vec<Anomaly>) {
    let partition = send.partition;
    for (index, record) in (0..).zip(records(send)) {
        let offset = base_offset.map(|base| base + index);
        match (offset, log.places.get(&record)) {
            (Some(offset), _) if offset < log.start => {}
            (None, None) if log.start > 0 => {}
            (_, None) => found.push(Anomaly::Lost { partition, record, offset, log_end: log.end }),
            (Some(acknowledged), Some(places)) if !places.contains(&acknowledged) => {
                found.push(Anomaly::Moved { partition, record, acknowledged, found: places[0] });
            }
            (_, Some(_)) => {}
        }
    }
}

fn check_records(
    partition: i32,
    log: &AgreedLog,
    sent_to: &BTreeMap<Record, (i32, &Send)>,
    found: &mut Vec<Anomaly>,
) {
    for (record, offsets) in &log.places {
        if offsets.len() > 1 {
            found.push(Anomaly::Duplicated { partition, record: *record, offsets: offsets.clone() });
        }
        let (record, offset) = (*record, offsets[0]);
        match sent_to.get(&record) {
            Some((to, send)) if *to == partition => {
                if send.outcome == Outcome::Failed {
                    found.push(Anomaly::FailedButPresent { partition, record, offset });
                }
            }
            _ => found.push(Anomaly::Invented { partition, record, offset }),
        }
    }
}

/// A copy that is there for the second time is a duplicate, not disorder.
fn check_order(partition: i32, log: &AgreedLog, found: &mut Vec<Anomaly>) {
    let mut last: BTreeMap<u32, Record> = BTreeMap::new();
    for (offset, record) in &log.records {
        if log.places[record][0] != *offset {
            continue;
        }
        match last.get(&record.producer) {
            Some(behind) if behind.number > record.number => {
                let (record, offset, behind) = (*record, *offset, *behind);
                found.push(Anomaly::Reordered { partition, record, offset, behind });
            }
            _ => {
                last.insert(record.producer, *record);
            }
        }
    }
}

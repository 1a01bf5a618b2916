//! The disk of a leader fails, or hangs: the others lead without it and go on, and nothing that was acknowledged is lost.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    cluster::{Cluster, NODES},
    faults::Nemesis,
    volatile_disk::Condition,
};

/// Clients work for so long before the next disk goes bad.
const WORK: Duration = Duration::from_millis(700);
/// Within this the others acknowledge something, on however busy a machine.
const GOES_ON_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// So many records that they are not what was on its way.
const RECORDS: u64 = 50;

/// One after the other the leaders of the first partition lose their disks.
pub(crate) fn of_leaders(cluster: &mut Cluster, nemesis: &mut Nemesis<'_>) -> Result<(), String> {
    for condition in [Condition::FailingFlushes, Condition::Hanging, Condition::FailingWrites] {
        thread::sleep(WORK);
        let described = cluster.describe(nemesis.topic()).ok_or("nobody describes the topic")?;
        let victim = described.partitions.first().map(|partition| partition.leader);
        let victim = victim.filter(|leader| NODES.contains(leader)).ok_or("nobody leads in peace")?;
        nemesis.note(&format!("the disk of node {victim} is {condition:?}"));
        cluster.node(victim).spoil_disk(condition)?;
        let topic = nemesis.topic().to_owned();
        let took = cluster.wait_until_led_without(victim, &topic);
        let took = took.map_err(|reason| format!("a disk that is {condition:?}: {reason}"))?;
        nemesis.note(&format!("the others lead after {took:?}"));
        let took = wait_until_they_go_on(nemesis)?;
        nemesis.note(&format!("and acknowledged {RECORDS} records in {took:?}"));
        cluster.heal()?;
        let took = nemesis.wait_until_in_sync(cluster)?;
        nemesis.note(&format!("everything is in sync {took:?} after the disk was mended"));
    }
    Ok(())
}

fn wait_until_they_go_on(nemesis: &Nemesis<'_>) -> Result<Duration, String> {
    let (begin, before) = (Instant::now(), nemesis.acknowledged());
    while nemesis.acknowledged() < before + RECORDS {
        if begin.elapsed() > GOES_ON_LIMIT {
            return Err(format!("the others acknowledge nothing in {GOES_ON_LIMIT:?}"));
        }
        thread::sleep(POLL);
    }
    Ok(begin.elapsed())
}

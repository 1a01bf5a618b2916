//! A producer beside the members of a group, and the judgement of what they read of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::members::{self, Event, Member, Noted};
use super::server::Brokers;
use super::tools;

/// Records a second: more than any commit interval can hide, little enough for three clients on one machine.
const RATE: &str = "400";

/// A producer that goes on until it is told to stop, with its notes of what was acknowledged.
pub(crate) struct Feeder {
    process: Child,
    notes: PathBuf,
    stop: PathBuf,
}

impl Feeder {
    pub(crate) fn start(
        brokers: &impl Brokers,
        python: &Path,
        topic: &str,
        partitions: u32,
        folder: &Path,
    ) -> Self {
        std::fs::create_dir_all(folder).expect("the folder of notes can be made");
        let (notes, stop) = (folder.join("producer.notes"), folder.join("producer.stop"));
        let process = Command::new(python)
            .arg(tools::sources().join("python/crash_producer.py"))
            .args([&brokers.addresses(), topic, &partitions.to_string(), "record"])
            .args([&notes, &stop])
            .arg(RATE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the producer starts");
        Self { process, notes, stop }
    }

    /// Stops it; what is stored: partition, offset, value.
    pub(crate) fn stop(mut self) -> Vec<(u32, u64, String)> {
        std::fs::write(&self.stop, "").expect("a file can be made");
        let status = self.process.wait().expect("a child can be waited for");
        assert!(status.success(), "the producer ended with {status}");
        let notes = std::fs::read_to_string(&self.notes).expect("the producer has written its notes");
        let written = notes.lines().map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().expect("three words a line");
            let number = |word: &str| word.parse().expect("a number");
            (u32::try_from(number(word())).expect("a partition"), number(word()), word().to_owned())
        });
        written.collect()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // It has ended by itself where it was told to stop.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the members have read every record, then lets them go; the notes of all.
pub(crate) fn finish<'a>(
    feeder: Feeder,
    members: &'a mut [Member],
    dead: &'a [Member],
    limit: Duration,
) -> Vec<(&'a str, Vec<Noted>)> {
    let written = feeder.stop();
    let everybody = || members.iter().chain(dead);
    let read = || {
        let notes = everybody().flat_map(Member::notes);
        let places = notes.filter_map(|noted| match noted.event {
            Event::Record { partition, offset, .. } => Some((partition, offset)),
            _ => None,
        });
        places.collect::<std::collections::BTreeSet<_>>().len()
    };
    members::wait_until(limit, || match read() {
        count if count >= written.len() => Ok(()),
        count => Err(format!("{count} records of {} were read", written.len())),
    });
    for member in members.iter() {
        member.part();
    }
    for member in members.iter_mut() {
        member.gone();
    }
    let notes: Vec<_> = members.iter().chain(dead).map(|member| (member.name(), member.notes())).collect();
    let again = members::assert_all_read(&written, &notes);
    let generations = members::assert_one_owner(&notes);
    members::assert_resumed(&notes);
    println!("{} records, {again} read again, {generations} generations", written.len());
    assert!(written.len() > 500 && generations > 0, "too little happened");
    notes
}

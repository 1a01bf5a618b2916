//! Members of consumer groups in several languages, and the judgement of what they lived through.
//!
//! Each member is a process that writes down one line an event, each before the next thing happens:
//!
//! ```text
//! TIME_MS assigned GENERATION PARTITIONS     partitions came, beside those it has; -1: the generation follows
//! TIME_MS generation GENERATION              of the last assignment
//! TIME_MS revoked PARTITIONS|all             partitions were given up, or lost
//! TIME_MS record PARTITION OFFSET VALUE      a record was read
//! TIME_MS committing PARTITION OFFSET        a commit is about to be asked for
//! TIME_MS committed PARTITION OFFSET         it was answered without an error
//! TIME_MS said ...                           for the reader of a failed test
//! ```
//!
//! PARTITIONS are numbers with commas between them, or `-` for none. All processes read one clock.

use super::client::Client;
use super::server::Brokers;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A member that was told to leave and has not after this long is stuck.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);

pub(crate) type Partitions = BTreeSet<u32>;

/// One event of a member's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Assigned { generation: i32, partitions: Partitions },
    Generation(i32),
    Revoked(Option<Partitions>),
    Record { partition: u32, offset: u64, value: String },
    Committing { partition: u32, offset: u64 },
    Committed { partition: u32, offset: u64 },
    Said,
}

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) at_ms: u64,
    pub(crate) event: Event,
}

/// What a group is, for the members that join it.
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partitions: u32,
    pub(crate) assignor: &'a str,
    pub(crate) session: Duration,
    /// Where notes go: a folder of the test's own.
    pub(crate) folder: PathBuf,
}

/// A running member. Dropped, it is killed.
pub(crate) struct Member {
    name: String,
    notes: PathBuf,
    stop: PathBuf,
    process: Option<Child>,
}

/// Milliseconds of the clock that members write down.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    u64::try_from(since.as_millis()).expect("milliseconds of this age")
}

impl Group<'_> {
    /// Starts a member; one of the same name goes on in the same notes.
    pub(crate) fn join(
        &self,
        brokers: &impl Brokers,
        client: &Client,
        name: &str,
        instance: Option<&str>,
    ) -> Member {
        fs::create_dir_all(&self.folder).expect("the folder of notes can be made");
        let notes = self.folder.join(format!("{name}.notes"));
        let stop = self.folder.join(format!("{name}.stop"));
        // It is there when a member of that name has left before.
        let _ = fs::remove_file(&stop);
        let text = |path: &Path| path.to_str().expect("the tests' paths are UTF-8").to_owned();
        let session = self.session.as_millis().to_string();
        let (notes_word, stop_word) = (text(&notes), text(&stop));
        let mut words =
            vec!["member", self.name, self.topic, &notes_word, &stop_word, self.assignor, &session];
        words.extend(instance);
        let process = Some(client.spawn(brokers, &words, &notes.with_extension("said")));
        Member { name: name.into(), notes, stop, process }
    }

    /// Waits until every partition is owned by exactly one of the members, and each of them owns some.
    pub(crate) fn wait_until_shared(&self, members: &[&Member], limit: Duration) {
        let all: Partitions = (0..self.partitions).collect();
        wait_until(limit, || {
            let owned: Vec<Partitions> = members.iter().map(|member| member.owned()).collect();
            let union: Partitions = owned.iter().flatten().copied().collect();
            let count: usize = owned.iter().map(BTreeSet::len).sum();
            let shared = union == all && count == all.len() && owned.iter().all(|one| !one.is_empty());
            if shared { Ok(()) } else { Err(format!("{} is owned as {owned:?}", self.name)) }
        });
    }
}

impl Member {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn notes(&self) -> Vec<Noted> {
        let text = fs::read_to_string(&self.notes).unwrap_or_default();
        // The last line may be on its way, or have been cut by a kill.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| parse(line).unwrap_or_else(|| panic!("{}: {line:?}", self.name))).collect()
    }

    /// The partitions that it has now.
    pub(crate) fn owned(&self) -> Partitions {
        let mut owned = Partitions::new();
        for noted in self.notes() {
            follow(&mut owned, &noted.event);
        }
        owned
    }

    /// kill -9: it says nothing to anybody.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the member runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    /// Asks it to go, and waits until it has gone.
    pub(crate) fn leave(&mut self) {
        self.part();
        self.gone();
    }

    /// Asks it to go.
    pub(crate) fn part(&self) {
        fs::write(&self.stop, "").expect("a file can be made");
    }

    /// Waits until it has gone as it should.
    pub(crate) fn gone(&mut self) {
        let mut process = self.process.take().expect("the member runs");
        let begin = Instant::now();
        loop {
            if let Some(status) = process.try_wait().expect("a child can be waited for") {
                assert!(status.success(), "{} ended with {status}", self.name);
                return;
            }
            if begin.elapsed() > LEAVE_LIMIT {
                // It would outlive the test.
                let _ = process.kill();
                panic!("{} does not leave", self.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let events = self.notes().into_iter();
            let shown = events.filter(|noted| !matches!(noted.event, Event::Record { .. }));
            let shown: Vec<String> =
                shown.map(|noted| format!("{} {:?}", noted.at_ms, noted.event)).collect();
            let end = &shown[shown.len().saturating_sub(40)..];
            eprintln!(
                "the end of {} (all of it in {}):\n{}",
                self.name,
                self.notes.display(),
                end.join("\n")
            );
        }
    }
}

/// Asks again until it is so; what is said last is shown if it never is.
pub(crate) fn wait_until(limit: Duration, mut holds: impl FnMut() -> Result<(), String>) {
    let begin = Instant::now();
    loop {
        match holds() {
            Ok(()) => return,
            Err(still) => assert!(begin.elapsed() < limit, "after {limit:?}: {still}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn parse(line: &str) -> Option<Noted> {
    let mut words = line.splitn(3, ' ');
    let at_ms = words.next()?.parse().ok()?;
    let kind = words.next()?;
    let rest = words.next().unwrap_or_default();
    let mut words = rest.splitn(3, ' ');
    let pair = |mut words: std::str::SplitN<'_, char>| {
        Some((
            words.next()?.parse().ok()?,
            words.next()?.parse().ok()?,
            words.next().unwrap_or_default().to_owned(),
        ))
    };
    let event = match kind {
        "assigned" => {
            let generation = words.next()?.parse().ok()?;
            Event::Assigned { generation, partitions: partitions(words.next()?)? }
        }
        "generation" => Event::Generation(rest.parse().ok()?),
        "revoked" if rest == "all" => Event::Revoked(None),
        "revoked" => Event::Revoked(Some(partitions(rest)?)),
        "record" => {
            let (partition, offset, value) = pair(words)?;
            Event::Record { partition, offset, value }
        }
        "committing" => pair(words).map(|(partition, offset, _)| Event::Committing { partition, offset })?,
        "committed" => pair(words).map(|(partition, offset, _)| Event::Committed { partition, offset })?,
        "said" => Event::Said,
        _ => return None,
    };
    Some(Noted { at_ms, event })
}

fn partitions(list: &str) -> Option<Partitions> {
    if list == "-" {
        return Some(Partitions::new());
    }
    list.split(',').map(|number| number.parse().ok()).collect()
}

fn follow(owned: &mut Partitions, event: &Event) {
    match event {
        Event::Assigned { partitions, .. } => owned.extend(partitions),
        Event::Revoked(None) => owned.clear(),
        Event::Revoked(Some(partitions)) => owned.retain(|partition| !partitions.contains(partition)),
        _ => {}
    }
}

/// No partition has two owners in one generation. How many generations could be judged.
pub(crate) fn assert_one_owner(members: &[(&str, Vec<Noted>)]) -> usize {
    let mut owners: BTreeMap<(i32, u32), &str> = BTreeMap::new();
    let mut generations = BTreeSet::new();
    for (name, notes) in members {
        for (generation, owned) in by_generation(notes) {
            generations.insert(generation);
            for partition in owned {
                let other = owners.insert((generation, partition), name);
                assert!(
                    other.is_none_or(|other| other == *name),
                    "partition {partition} in generation {generation}: {name} and {other:?}"
                );
            }
        }
    }
    generations.len()
}

/// What a member had in each generation, after it had given up what it was to give up.
pub(crate) fn by_generation(notes: &[Noted]) -> BTreeMap<i32, Partitions> {
    let mut found = BTreeMap::new();
    let mut owned = Partitions::new();
    let mut now = -1;
    for noted in notes {
        match &noted.event {
            Event::Assigned { generation, .. } | Event::Generation(generation) => now = *generation,
            // What is given up in order to join the next generation was owned in this one.
            Event::Revoked(given_up) if given_up.as_ref().is_none_or(|some| *some == owned) => {
                follow(&mut owned, &noted.event);
                now = -1;
            }
            _ => {}
        }
        follow(&mut owned, &noted.event);
        if now >= 0 {
            found.insert(now, owned.clone());
        }
    }
    found
}

/// Whoever gets a partition begins where the last commit says: not before what was acknowledged, not behind what was asked for.
pub(crate) fn assert_resumed(members: &[(&str, Vec<Noted>)]) {
    for (name, notes) in members {
        let mut waiting: BTreeMap<u32, u64> = BTreeMap::new();
        for noted in notes {
            match &noted.event {
                Event::Assigned { partitions, .. } => {
                    waiting.extend(partitions.iter().map(|&partition| (partition, noted.at_ms)));
                }
                Event::Record { partition, offset, .. } => {
                    let Some(since) = waiting.remove(partition) else { continue };
                    let (acknowledged, asked) = commits_before(members, *partition, since);
                    assert!(
                        (acknowledged..=asked).contains(offset),
                        "{name} got partition {partition} at {since} and began at {offset}: committed was {acknowledged}, \
                         asked for {asked}"
                    );
                }
                _ => {}
            }
        }
    }
}

/// The highest offset of a partition whose commit was acknowledged, and whose commit was asked for, before a time.
fn commits_before(members: &[(&str, Vec<Noted>)], of: u32, before_ms: u64) -> (u64, u64) {
    let (mut acknowledged, mut asked) = (0, 0);
    let notes = members.iter().flat_map(|(_, notes)| notes).filter(|noted| noted.at_ms < before_ms);
    for noted in notes {
        match noted.event {
            Event::Committed { partition, offset } if partition == of => {
                acknowledged = offset.max(acknowledged)
            }
            Event::Committing { partition, offset } if partition == of => asked = offset.max(asked),
            _ => {}
        }
    }
    (acknowledged, asked)
}

/// Every record that a producer was told is stored was read by somebody, with that value; how often more than once.
pub(crate) fn assert_all_read(written: &[(u32, u64, String)], members: &[(&str, Vec<Noted>)]) -> usize {
    let mut read: BTreeMap<(u32, u64), &str> = BTreeMap::new();
    let mut again = 0;
    for noted in members.iter().flat_map(|(_, notes)| notes) {
        if let Event::Record { partition, offset, value } = &noted.event {
            let before = read.insert((*partition, *offset), value);
            assert!(before.is_none_or(|before| before == value), "two values of {partition} at {offset}");
            again += usize::from(before.is_some());
        }
    }
    let missing = written.iter().filter(|(partition, offset, value)| {
        read.get(&(*partition, *offset)).is_none_or(|found| found != value)
    });
    let missing: Vec<_> = missing.collect();
    assert!(
        missing.is_empty(),
        "{} of {} were not read, first {:?}",
        missing.len(),
        written.len(),
        missing[0]
    );
    again
}

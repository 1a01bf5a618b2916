//! Scenario `failover`: the leader of a partition is taken away while a producer writes to it, again and
//! again; what is measured is the longest time without an acknowledged record.
//!
//! 1. All replicas are in sync. A partition is chosen whose leader is the controller too, or is not, in
//!    turns; a producer begins to write to it on a schedule.
//! 2. The leader is killed with -9, or stopped so that it is silent. Somewhere another replica becomes
//!    the leader, the producer finds it, and records are acknowledged again.
//! 3. The node comes back and catches up, the preferred replicas lead again, the producer still writing.
//! 4. The producer ends; the partition must have grown by exactly what was acknowledged.
//!
//! What must hold: nothing acknowledged is lost and nothing is stored twice, or the run has no result.
//! What is measured is the cluster: the producer asks every node for the leader every few milliseconds.
//! The librdkafka driver says what a usual client makes of it.

mod gaps;
#[cfg(feature = "librdkafka")]
mod library;
mod nodes;
mod outcome;
mod settings;
mod stream;

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use ringmain_protocol::messages::LATEST_TIMESTAMP;

use crate::context::broker::Terms;
use crate::driver::wire::client::{Client, other};
use crate::driver::wire::cluster::{ANSWER_MAX, Cluster, ClusterView};
use crate::driver::wire::leader_watch::{Asker, LeaderWatch};
use crate::driver::wire::stubborn::Work as Writing;
use crate::measure::{Figures, Sample, Work, latency_histogram};
use crate::outcome::Outcome;
use crate::processes::Processes;
use crate::scenario::Context;
use crate::system;
use crate::target::Target;

pub(crate) use self::outcome::{doubts, table};
pub(crate) use self::settings::FailoverSettings;

use self::nodes::Nodes;
use self::stream::Stream;

/// Longest time that a cluster may take to name another leader, to acknowledge again, or to have all
/// replicas in sync.
const RECOVERY_MAX: Duration = Duration::from_secs(180);
/// Time from one look at the cluster to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// After it began, a producer's first acknowledgements do not count: they found the leader.
const BEGIN: Duration = Duration::from_millis(500);
/// How long the producer goes on once the preferred replicas lead again: followers of Kafka wait a second
/// before they ask a new leader.
const RETURNED: Duration = Duration::from_secs(3);
/// Until when the end of the log must be what was acknowledged: a new leader learns of the high
/// watermark from its followers.
const VERIFY_MAX: Duration = Duration::from_secs(10);

/// One kill and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Kill {
    node: i32,
    was_controller: bool,
    /// The longest time without an acknowledged record.
    gap: Duration,
    /// Until a node named another leader.
    named: Duration,
    /// The longest gap just before: what this machine and its other load make of a healthy cluster.
    gap_before: Duration,
    /// From its start until all replicas were in sync.
    returned: Duration,
    /// The longest gap from its start until its leaderships were given back.
    gap_at_return: Duration,
    records: u64,
}

/// What all kills have in common.
struct Scene<'a> {
    settings: &'a FailoverSettings,
    context: &'a Context,
    cluster: Cluster,
    topic: &'a str,
}

/// What a report says before the run: the first node stands for all.
pub(crate) fn target(settings: &FailoverSettings) -> io::Result<Target> {
    let nodes = read_nodes(settings)?;
    let address = nodes.addresses()[0];
    // Processes that come and go have no costs to tell.
    let processes = Processes::default();
    Ok(Target { name: "cluster".into(), address, processes, data_dir: None, configs: Vec::new() })
}

/// What its acknowledgements are worth depends on these.
pub(crate) fn terms(configs: &[(String, String)]) -> Terms<'_> {
    Terms { acks: Some(-1), topic: None, configs }
}

fn read_nodes(settings: &FailoverSettings) -> io::Result<Nodes> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", settings.nodes.display()));
    let text = fs::read_to_string(&settings.nodes).map_err(named)?;
    Nodes::parse(&text, settings.restart.clone()).map_err(other)
}

/// Kills, and says what came of it.
pub(crate) fn run(
    settings: &FailoverSettings,
    configs: &[(String, String)],
    context: &Context,
) -> io::Result<(Vec<Kill>, Outcome)> {
    let mut nodes = read_nodes(settings)?;
    let cluster = Cluster::new(nodes.addresses());
    let topic = context.next_topic();
    let (partitions, replicas) = (settings.partitions, settings.replication_factor);
    cluster.ask_any_patiently(|client| client.create_topic(&topic, partitions, replicas, configs))?;
    let scene = Scene { settings, context, cluster, topic: &topic };
    let result = scene.kill_all(&mut nodes);
    let deleted = scene.cluster.ask_any_patiently(|client| client.delete_topic(&topic));
    // What went wrong first is what the user should read.
    let result = result?;
    deleted?;
    Ok(result)
}

impl Scene<'_> {
    fn kill_all(&self, nodes: &mut Nodes) -> io::Result<(Vec<Kill>, Outcome)> {
        let start = Sample::begin(&Processes::default())?;
        let mut latencies = latency_histogram();
        let mut kills = Vec::new();
        for number in 1..=self.settings.kills {
            let kill = self.kill(nodes, number, &mut latencies)?;
            let of = self.settings.kills;
            self.context.progress.say(&format!("kill {number} of {of}: {}", outcome::describe(&kill)));
            kills.push(kill);
        }
        let end = Sample::end(&Processes::default())?;
        let records = kills.iter().map(|kill| kill.records).sum();
        let bytes = records * self.settings.record_size.0;
        let work = Work { requests: records, records, bytes };
        let figures = Figures::new(work, &start, &end, self.context.processor_count);
        let outcome = outcome::of(&kills, figures, &latencies);
        Ok((kills, outcome))
    }

    fn kill(&self, nodes: &mut Nodes, number: u32, latencies: &mut Histogram<u64>) -> io::Result<Kill> {
        let view = self.await_in_sync(nodes)?;
        let partition = choose(&view, self.cluster.controller()?, number)?;
        let first_offset = self.await_log_end(partition)?;
        let watch = Arc::new(LeaderWatch::start(&nodes.addresses(), self.topic, partition)?);
        let writing = Writing {
            topic: self.topic.to_owned(),
            partition,
            first_offset,
            rate: self.settings.rate(),
            record_size_bytes: usize::try_from(self.settings.record_size.0).map_err(io::Error::other)?,
        };
        let mut stream = Stream::start(self.settings.driver, &self.cluster, writing, &watch)?;
        stream.go_on(Instant::now() + BEGIN)?;
        let begun = Instant::now();
        stream.go_on(begun + self.settings.before().mul_f64(1.0 + chance()?))?;

        // Whoever leads now is meant, whatever happened since the partition was chosen.
        let controller = self.cluster.controller()?;
        let view = self.cluster.view(self.topic)?;
        let (before, _) = view.leader_of(partition).ok_or_else(|| other("the leader is gone".into()))?;
        let (victim, epoch) = (before.leader.expect("it has an address"), before.leader_epoch);
        let struck_at = nodes.strike(victim, self.settings.how)?;
        let survived = self.survive(&mut stream, &watch, epoch, struck_at);
        let survived_until = Instant::now();
        // Also after an error: a node that stands still is not left so.
        let back = nodes.bring_back(victim, self.settings.how);
        let named_at = survived?;
        back?;
        let returned_from = survived_until;
        self.await_in_sync(nodes)?;
        let returned = returned_from.elapsed();
        // Some cluster may have given the leadership back already, or refuse; it leads who leads.
        if let Err(error) = self.cluster.elect_preferred(self.topic, self.settings.partitions) {
            self.context.progress.say(&format!("preferred leaders were not elected: {error}"));
        }
        stream.go_on(Instant::now() + RETURNED)?;
        let ended = Instant::now();
        let (sent, times) = stream.finish()?;
        self.verify(partition, first_offset, sent.records)?;
        latencies.add(&sent.latencies).map_err(io::Error::other)?;
        Ok(Kill {
            node: victim,
            was_controller: controller == victim,
            gap: gaps::longest(&times, struck_at, survived_until),
            named: named_at.saturating_duration_since(struck_at),
            gap_before: gaps::longest(&times, begun, struck_at),
            returned,
            gap_at_return: gaps::longest(&times, survived_until, ended),
            records: sent.records,
        })
    }

    /// Goes on until records are acknowledged by another leader, and a while longer; says when such a
    /// leader was heard of first.
    fn survive(
        &self,
        stream: &mut Stream,
        watch: &LeaderWatch,
        epoch: i32,
        struck_at: Instant,
    ) -> io::Result<Instant> {
        watch.want(Asker::Scenario, true);
        let deadline = struck_at + RECOVERY_MAX;
        let named_at = loop {
            if let Some(newest) = watch.newest().filter(|newest| newest.epoch > epoch) {
                break newest.heard_at;
            }
            if Instant::now() > deadline {
                return Err(other(format!("no other leader was named in {} s", RECOVERY_MAX.as_secs())));
            }
            stream.go_on(Instant::now() + LOOK_INTERVAL)?;
        };
        watch.want(Asker::Scenario, false);
        while stream.last().is_none_or(|last| last < named_at) {
            if Instant::now() > deadline {
                let seconds = RECOVERY_MAX.as_secs();
                return Err(other(format!("the new leader acknowledged nothing in {seconds} s")));
            }
            stream.go_on(Instant::now() + LOOK_INTERVAL)?;
        }
        stream.go_on(Instant::now() + self.settings.after())?;
        Ok(named_at)
    }

    /// Waits until all nodes are there and all replicas are in sync.
    fn await_in_sync(&self, nodes: &Nodes) -> io::Result<ClusterView> {
        let deadline = Instant::now() + RECOVERY_MAX;
        loop {
            let found = self.cluster.view(self.topic);
            let is_whole = |view: &ClusterView| {
                view.nodes.len() >= nodes.count()
                    && view.partitions.len() == self.settings.partitions as usize
                    && view.partitions.iter().all(|partition| {
                        partition.in_sync.len() == partition.replicas.len()
                            && view.leader_of(partition.index).is_some()
                    })
            };
            match found {
                Ok(view) if is_whole(&view) => return Ok(view),
                found if Instant::now() > deadline => {
                    let seconds = RECOVERY_MAX.as_secs();
                    return Err(other(format!("not all replicas are in sync after {seconds} s: {found:?}")));
                }
                _ => {}
            }
            if system::is_interrupted() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the run was interrupted"));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn log_end(&self, partition: i32) -> io::Result<i64> {
        let view = self.cluster.view(self.topic)?;
        let (_, address) = view.leader_of(partition).ok_or_else(|| other("it has no leader".into()))?;
        Client::connect_within(address, ANSWER_MAX)?.offset(self.topic, partition, LATEST_TIMESTAMP)
    }

    /// The same, once the leader knows that it is one: others may tell of it before.
    fn await_log_end(&self, partition: i32) -> io::Result<i64> {
        let deadline = Instant::now() + VERIFY_MAX;
        loop {
            match self.log_end(partition) {
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(LOOK_INTERVAL),
                found => return found,
            }
        }
    }

    fn verify(&self, partition: i32, first_offset: i64, records: u64) -> io::Result<()> {
        let expected = first_offset + records.cast_signed();
        let deadline = Instant::now() + VERIFY_MAX;
        loop {
            let found = self.log_end(partition);
            match found {
                Ok(end) if end == expected => return Ok(()),
                found if Instant::now() > deadline || found.as_ref().is_ok_and(|end| *end > expected) => {
                    return Err(other(format!(
                        "{records} records were acknowledged, the log should end at {expected}: {found:?}"
                    )));
                }
                _ => std::thread::sleep(LOOK_INTERVAL),
            }
        }
    }
}

/// A partition whose leader is the controller, or for odd numbers is not; any if there is none such.
fn choose(view: &ClusterView, controller: i32, number: u32) -> io::Result<i32> {
    let wants_controller = number.is_multiple_of(2);
    let fits = view.partitions.iter().filter(|found| (found.leader == Some(controller)) == wants_controller);
    let fitting: Vec<i32> = fits.map(|partition| partition.index).collect();
    let all = || view.partitions.iter().map(|partition| partition.index).collect();
    let candidates = if fitting.is_empty() { all() } else { fitting };
    let at = (number as usize / 2) % candidates.len().max(1);
    candidates.get(at).copied().ok_or_else(|| other("the topic has no partitions".into()))
}

/// A number from 0 to 1 that no clock of the cluster knows.
fn chance() -> io::Result<f64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    // The lowest digits of a nanosecond clock, spread by a multiplication.
    let mixed = u64::from(now.subsec_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Ok((mixed >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::wire::cluster::PartitionView;

    #[test]
    fn kills_take_turns_between_controllers_and_others() {
        let partition = |index, leader| PartitionView {
            index,
            leader: Some(leader),
            leader_epoch: 0,
            in_sync: vec![1, 2, 3],
            replicas: vec![1, 2, 3],
        };
        let partitions = (0..6).map(|index| partition(index, 1 + index % 3)).collect();
        let view = ClusterView { nodes: Vec::new(), partitions };
        for number in 1..20 {
            let chosen = choose(&view, 2, number).expect("there are partitions");
            assert_eq!(chosen % 3 == 1, number % 2 == 0, "kill {number}: partition {chosen}");
        }
        let only_one = ClusterView { partitions: vec![partition(0, 1)], ..view };
        assert_eq!(choose(&only_one, 2, 2).expect("any is better than none"), 0);
    }

    #[test]
    fn chance_is_between_0_and_1() {
        for _ in 0..100 {
            let drawn = chance().expect("the clock runs");
            assert!((0.0..1.0).contains(&drawn), "{drawn}");
        }
    }
}

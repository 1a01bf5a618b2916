//! What happens to a cluster while clients use it, drawn from a seed.
//!
//! Whatever falls together is allowed, with one exception: a disk is lost only when all replicas of everything are in sync,
//! because the promise is to bear the loss of one disk.

use std::{
    thread,
    time::{Duration, Instant},
};

use ringmain_storage::disk::simulated::Random;

use super::{
    cluster::{Cluster, NODES},
    node::Node,
    product::Product,
    recorder::{Recorder, Remark},
    volatile_disk::Condition,
};

/// Between two faults, at most; some follow at once. Kafka's nodes take seconds to start.
const CALM_MS_MAX: u64 = 1_500;
const KAFKA_CALM_MS_MAX: u64 = 12_000;
/// How long a fault stays: shorter than the time after which a node is taken for dead, and longer.
const HOLD_MS_MIN: u64 = 200;
const HOLD_MS_SPREAD: u64 = 3_500;
/// Of a disk that is about to die.
const SLOW_DISK_MS_MAX: u64 = 120;
const LOSS_PERCENT_MAX: u64 = 25;
/// On a busy machine a run may take so many fourths of the planned time.
const FOURTHS_MAX: u32 = 5;
const FLAP: Duration = Duration::from_millis(500);
const OFFSETS_TOPIC: &str = "__consumer_offsets";
const OFFSETS_PARTITIONS: i32 = 4;

/// A kind of fault; the victim is drawn when it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    KillAll,
    Stop,
    Pause,
    /// Cut off from its peers both ways, and reached by clients.
    Isolate,
    Deafen,
    Mute,
    /// Two nodes do not hear each other; both hear the third.
    CutPair,
    /// Without its cable: clients do not reach it either.
    Unplug,
    Lose,
    /// Links as narrow as 10 Mbit/s.
    Throttle,
    /// The cable of a node goes out and in, once a second.
    Flap,
    /// Killed, and back with an empty disk.
    Wipe,
    /// A machine without power: its disk forgets what was not flushed.
    CutPower,
    CutPowerOfAll,
    /// Its disk answers every write with an error, or every flush.
    FailWrites,
    FailFlushes,
    /// Its disk answers nothing for a while, or late.
    HangDisk,
    SlowDisk,
}

/// Those that are here twice come twice as often.
const USUAL: &[Fault] = &[
    Fault::Wipe,
    Fault::Kill,
    Fault::Kill,
    Fault::KillAll,
    Fault::Stop,
    Fault::Pause,
    Fault::Pause,
    Fault::Isolate,
    Fault::Deafen,
    Fault::Mute,
    Fault::CutPair,
    Fault::Unplug,
    Fault::Lose,
    Fault::Throttle,
    Fault::Flap,
];

/// Processes that die: the leader of something, the controller, anybody, all of them.
pub(crate) const KILLS: &[Fault] = &[Fault::Kill, Fault::Kill, Fault::Kill, Fault::KillAll];

/// For nodes with disks of their own.
pub(crate) const POWER_CUTS: &[Fault] = &[
    Fault::CutPower,
    Fault::CutPower,
    Fault::CutPowerOfAll,
    Fault::FailWrites,
    Fault::FailFlushes,
    Fault::HangDisk,
    Fault::SlowDisk,
    Fault::Kill,
    Fault::Isolate,
];

/// The faults of a usual run. Kafka 3.9 does not promise to bear the loss of a disk: its node takes its old place with it.
pub(crate) fn usual() -> &'static [Fault] {
    match Product::from_environment() {
        Product::Ringmain => USUAL,
        Product::Kafka(_) => &USUAL[1..],
    }
}

/// Makes faults.
pub(crate) struct Nemesis<'r> {
    random: Random,
    faults: &'static [Fault],
    calm_ms_max: u64,
    recorder: &'r Recorder,
    topic: String,
    partitions: i32,
    /// What happened when, for whoever has to understand it.
    pub(crate) events: Vec<Remark>,
    pub(crate) count: usize,
}

impl<'r> Nemesis<'r> {
    pub(crate) fn new(
        seed: u64,
        faults: &'static [Fault],
        recorder: &'r Recorder,
        topic: &str,
        partitions: i32,
    ) -> Nemesis<'r> {
        let random = Random::new(seed ^ 0xfa_017);
        let topic = topic.to_owned();
        let calm_ms_max = match Product::from_environment() {
            Product::Ringmain => CALM_MS_MAX,
            Product::Kafka(_) => KAFKA_CALM_MS_MAX,
        };
        let events = Vec::new();
        Nemesis { random, faults, calm_ms_max, recorder, topic, partitions, events, count: 0 }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Makes faults for so long, and until clients have made so many operations, if they do so soon; heals the last one.
    pub(crate) fn run(
        &mut self,
        cluster: &mut Cluster,
        duration: Duration,
        operations: u64,
    ) -> Result<(), String> {
        let begin = Instant::now();
        let recorder = self.recorder;
        let goes_on = |elapsed| {
            elapsed < duration || elapsed < duration * FOURTHS_MAX / 4 && recorder.operations() < operations
        };
        while goes_on(begin.elapsed()) {
            let calm = self.random.below(self.calm_ms_max);
            thread::sleep(Duration::from_millis(calm));
            cluster.nobody_has_ended()?;
            let fault = self.faults[self.below(self.faults.len())];
            self.strike(cluster, fault)?;
            self.count += 1;
            self.hold();
            if self.random.chance(4) {
                // Another one on top of it.
                let second = self.faults[self.below(self.faults.len())];
                if second != Fault::Wipe {
                    self.strike(cluster, second)?;
                    self.count += 1;
                    self.hold();
                }
            }
            self.note("healed");
            cluster.heal()?;
        }
        Ok(())
    }

    fn strike(&mut self, cluster: &mut Cluster, fault: Fault) -> Result<(), String> {
        let (victim, role) = self.victim(cluster);
        let other = NODES.into_iter().filter(|node| *node != victim).nth(self.below(2)).expect("three nodes");
        self.note(&format!("{fault:?} of node {victim} ({role})"));
        match fault {
            Fault::Kill => cluster.node(victim).kill(),
            Fault::KillAll => cluster.nodes.iter_mut().try_for_each(Node::kill),
            Fault::Stop => {
                // A node that stands still cannot stop.
                cluster.node(victim).resume()?;
                let took = cluster.node(victim).terminate()?;
                self.note(&format!("node {victim} stopped within {took:?}"));
                Ok(())
            }
            Fault::Pause => cluster.node(victim).pause(),
            Fault::Isolate => cluster.network.isolate(victim),
            Fault::Deafen => cluster.network.deafen(victim),
            Fault::Mute => cluster.network.mute(victim),
            Fault::CutPair => {
                self.note(&format!("the other is node {other}"));
                cluster.network.cut(victim, other)
            }
            Fault::Unplug => cluster.network.plug(victim, false),
            Fault::Lose => {
                let percent = 1 + self.random.below(LOSS_PERCENT_MAX);
                self.note(&format!("{percent} of 100 packets are lost"));
                cluster.network.lose(percent)
            }
            Fault::Throttle => cluster.network.throttle(),
            Fault::Flap => {
                for is_plugged in [false, true, false, true, false] {
                    cluster.network.plug(victim, is_plugged)?;
                    thread::sleep(FLAP);
                }
                Ok(())
            }
            Fault::Wipe => self.wipe(cluster, victim),
            Fault::CutPower => cluster.node(victim).cut_power(),
            Fault::CutPowerOfAll => cluster.nodes.iter_mut().try_for_each(Node::cut_power),
            Fault::FailWrites => cluster.node(victim).spoil_disk(Condition::FailingWrites),
            Fault::FailFlushes => cluster.node(victim).spoil_disk(Condition::FailingFlushes),
            Fault::HangDisk => cluster.node(victim).spoil_disk(Condition::Hanging),
            Fault::SlowDisk => {
                let delay = Duration::from_millis(1 + self.random.below(SLOW_DISK_MS_MAX));
                self.note(&format!("its disk takes {delay:?} longer"));
                cluster.node(victim).spoil_disk(Condition::Slow(delay))
            }
        }
    }

    fn wipe(&mut self, cluster: &mut Cluster, victim: i32) -> Result<(), String> {
        cluster.heal()?;
        let took = self.wait_until_in_sync(cluster)?;
        self.note(&format!("everything is in sync after {took:?}: node {victim} loses its disk"));
        cluster.node(victim).kill()?;
        cluster.node(victim).wipe()
    }

    /// Records that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.recorder.acknowledgements().records
    }

    /// Waits until everything that the run uses is in sync; how long that took.
    pub(crate) fn wait_until_in_sync(&self, cluster: &mut Cluster) -> Result<Duration, String> {
        let begin = Instant::now();
        cluster.wait_until_in_sync(&self.topic, self.partitions)?;
        cluster.wait_until_in_sync(OFFSETS_TOPIC, OFFSETS_PARTITIONS)?;
        Ok(begin.elapsed())
    }

    /// Who is hit: the leader of some partition, a follower, the controller, or anybody.
    fn victim(&mut self, cluster: &mut Cluster) -> (i32, &'static str) {
        let anybody = NODES[self.below(NODES.len())];
        let Some(description) = cluster.describe(&self.topic) else { return (anybody, "nobody is asked") };
        let leader = match description.partitions.len() {
            0 => -1,
            count => description.partitions[self.below(count)].leader,
        };
        let (node, role) = match self.random.below(4) {
            0 | 1 => (leader, "a leader"),
            2 => (description.controller, "the controller as clients know it"),
            _ => (anybody, "anybody"),
        };
        if NODES.contains(&node) { (node, role) } else { (anybody, "anybody") }
    }

    fn hold(&mut self) {
        let hold = HOLD_MS_MIN + self.random.below(HOLD_MS_SPREAD);
        thread::sleep(Duration::from_millis(hold));
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.random.below(count as u64)).expect("below a usize")
    }

    pub(crate) fn note(&mut self, what: &str) {
        self.events.push(Remark { at: self.recorder.now(), text: what.to_owned() });
    }
}

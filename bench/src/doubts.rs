//! Why a result should not be trusted, in sentences.
//!
//! A figure is only as good as the conditions under which it was taken. They are looked at by the
//! program, since a reader of a table cannot see them.

use std::fs;
use std::io;

use crate::outcome::{Outcome, Phase, SAMPLES_BEYOND_MIN};
use crate::scenario::COLD_FROM_DEVICES;
use crate::target::Target;

/// Above this share of a processor the client is likely what limits the run.
const CLIENT_BUSY_MAX: f64 = 0.9;
/// Above this share of the machine others, or its host, make a run doubtful.
const OTHERS_SHARE_MAX: f64 = 0.1;
/// So many requests cost any broker at least a tick of the clock that counts its CPU time.
const IDLE_REQUESTS_MAX: u64 = 10_000;
/// Of what is read as cold, a smaller share from the devices means that it was not.
const FROM_DEVICES_MIN: f64 = 0.5;

/// Where the scheduler lets a process run, and with which claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Processors, as the kernel lists them: "0", "0-3".
    pub(crate) processors: String,
    /// Nice value.
    pub(crate) nice: i64,
    /// Scheduling policy by its number in the kernel.
    pub(crate) policy: u64,
}

impl Placement {
    /// Of this thread.
    pub(crate) fn own() -> io::Result<Self> {
        Self::read("/proc/thread-self")
    }

    /// Of the process's first thread.
    pub(crate) fn of_process(pid: u32) -> io::Result<Self> {
        Self::read(&format!("/proc/{pid}"))
    }

    fn read(folder: &str) -> io::Result<Self> {
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        parse_placement(&status, &stat)
            .ok_or_else(|| io::Error::other(format!("{folder} has not the form expected")))
    }

    fn is_pinned(&self) -> bool {
        self.processors.parse::<usize>().is_ok()
    }
}

fn parse_placement(status: &str, stat: &str) -> Option<Placement> {
    let processors = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    // The name in parentheses may contain blanks; fields are counted from behind it, the state is 0.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    Some(Placement {
        processors: processors.trim().to_owned(),
        nice: fields.get(16)?.parse().ok()?,
        policy: fields.get(38)?.parse().ok()?,
    })
}

/// What is wrong with where the broker and this client run; called while the broker still runs.
pub(crate) fn of_placement(target: &Target) -> io::Result<Vec<String>> {
    if !target.processes.is_known() {
        return Ok(vec![format!("{}: its process is not known, so its costs are not", target.name)]);
    }
    let mut doubts = Vec::new();
    for pid in target.processes.ids() {
        doubts.extend(judge_placement(&target.name, &Placement::of_process(*pid)?, &Placement::own()?));
    }
    // What holds for one node mostly holds for all.
    doubts.dedup();
    Ok(doubts)
}

fn judge_placement(name: &str, broker: &Placement, client: &Placement) -> Vec<String> {
    let mut doubts = Vec::new();
    if !broker.is_pinned() {
        doubts.push(format!("{name} is not pinned to one processor, but may run on {}", broker.processors));
    }
    if !client.is_pinned() {
        doubts
            .push(format!("the client is not pinned to one processor, but may run on {}", client.processors));
    } else if broker.processors == client.processors {
        doubts.push(format!("{name} and the client share processor {}", client.processors));
    }
    if (broker.nice, broker.policy) != (client.nice, client.policy) {
        doubts.push(format!(
            "{name} has another scheduling class than the client: nice {} and {}, policy {} and {}",
            broker.nice, client.nice, broker.policy, client.policy
        ));
    }
    doubts
}

/// What is wrong with one run.
pub(crate) fn of_run(name: &str, outcome: &Outcome) -> Vec<String> {
    let mut doubts = of_conditions(name, outcome);
    doubts.extend(outcome.phases.iter().flat_map(|phase| of_samples(name, phase)));
    doubts
}

/// What is wrong with the conditions of a run, whatever was measured in it.
pub(crate) fn of_conditions(name: &str, outcome: &Outcome) -> Vec<String> {
    let mut doubts: Vec<String> = outcome.phases.iter().flat_map(|phase| of_phase(name, phase)).collect();
    let cold = outcome.facts.iter().find(|fact| fact.name == COLD_FROM_DEVICES);
    if let Some(fact) = cold.filter(|fact| fact.value < FROM_DEVICES_MIN) {
        let share = (fact.value * 100.0).round();
        doubts.push(format!("{name}: of what was read as cold only {share} % came from a device"));
    }
    doubts
}

fn of_phase(name: &str, phase: &Phase) -> Vec<String> {
    let mut doubts = Vec::new();
    let (figures, part) = (&phase.figures, &phase.name);
    let percent = |share: f64| (share * 100.0).round();
    if figures.client.busy_processors > CLIENT_BUSY_MAX {
        let busy = percent(figures.client.busy_processors);
        doubts.push(format!(
            "{name}, {part}: the client was busy for {busy} % of the time and may be the limit"
        ));
    }
    let is_idle = figures.broker.is_some_and(|broker| broker.cpu_seconds == 0.0);
    if is_idle && figures.requests > IDLE_REQUESTS_MAX {
        let requests = figures.requests;
        doubts.push(format!(
            "{name}, {part}: the process used no CPU time while {requests} requests were answered: it is hardly the broker"
        ));
    }
    if let Some(share) = figures.others_share.filter(|share| *share > OTHERS_SHARE_MAX) {
        let who = figures.name_others();
        doubts.push(format!("{name}, {part}: others used {} % of the machine{who}", percent(share)));
    }
    if figures.stolen_share > OTHERS_SHARE_MAX {
        let stolen = percent(figures.stolen_share);
        doubts.push(format!("{name}, {part}: the host took {stolen} % of the machine"));
    }
    doubts
}

/// The first percentile of each latency that rests on too few samples.
fn of_samples(name: &str, phase: &Phase) -> Vec<String> {
    let too_few = phase.latencies.iter().filter_map(|latency| {
        let samples = latency.summary.samples;
        let needed =
            [("p99", 100), ("p99.9", 1000)].map(|(name, one_in)| (name, one_in * SAMPLES_BEYOND_MIN));
        let (percentile, _) = needed.into_iter().find(|(_, needed)| samples < *needed)?;
        let (part, what) = (&phase.name, latency.name);
        Some(format!("{name}, {part}: {samples} samples are too few for the {percentile} of {what}"))
    });
    too_few.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;
    use crate::outcome::{Better, Fact};

    fn placement(processors: &str, nice: i64) -> Placement {
        Placement { processors: processors.into(), nice, policy: 0 }
    }

    #[test]
    fn placement_is_read_from_behind_the_name() {
        let stat = format!("7 (a) b) S {} 5 -5 {} 3 0", "0 ".repeat(14).trim(), "0 ".repeat(20).trim());
        let found = parse_placement("Name:\ta\nCpus_allowed_list:\t0-1\n", &stat).expect("parses");
        assert_eq!((found.processors.as_str(), found.nice), ("0-1", -5));
        let own = Placement::own().expect("readable");
        assert_eq!(own.policy, 0, "tests run in the usual class");
    }

    #[test]
    fn sharing_a_processor_or_favouring_one_side_is_doubtful() {
        assert!(judge_placement("a", &placement("0", 0), &placement("1", 0)).is_empty());
        for (broker, client) in [("0-1", "1"), ("0", "0-1"), ("1", "1")] {
            let doubts = judge_placement("a", &placement(broker, 0), &placement(client, 0));
            assert_eq!(doubts.len(), 1, "{broker} {client}: {doubts:?}");
        }
        assert_eq!(judge_placement("a", &placement("0", -10), &placement("1", 0)).len(), 1);
    }

    #[test]
    fn a_process_that_does_nothing_is_not_the_broker() {
        let mut idle = outcome(1.0, 0.0, 0.0);
        idle.phases[0].figures.requests = 20_000;
        assert_eq!(of_conditions("a", &idle), [] as [String; 0], "it used a second");
        idle.phases[0].figures.broker.as_mut().expect("is known").cpu_seconds = 0.0;
        assert!(of_conditions("a", &idle)[0].contains("hardly the broker"));
    }

    #[test]
    fn cold_reads_that_no_device_saw_are_doubtful() {
        let mut cold = outcome(1.0, 1.0, 0.0);
        let fact =
            |value| Fact { name: COLD_FROM_DEVICES.into(), value, unit: "ratio", better: Better::Neither };
        cold.facts.push(fact(1.02));
        assert_eq!(of_conditions("a", &cold), [] as [String; 0]);
        cold.facts = vec![fact(0.1)];
        assert!(of_conditions("a", &cold)[0].contains("only 10 %"));
    }

    #[test]
    fn a_run_with_one_sample_beside_others_is_doubtful() {
        let doubts = of_run("a", &outcome(1.0, 1.0, 0.2));
        assert!(
            doubts.iter().any(|doubt| doubt.contains("others used 20 % of the machine (java 20 %)")),
            "{doubts:?}"
        );
        assert!(doubts.iter().any(|doubt| doubt.contains("too few for the p99")), "{doubts:?}");
        assert_eq!(doubts.len(), 2, "{doubts:?}");
    }
}

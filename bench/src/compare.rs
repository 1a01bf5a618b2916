//! Any scenario against several brokers in turn, round after round.
//!
//! Absolute figures of a shared machine move by tens of percent within minutes; ratios of runs that
//! follow one another move little. So a round runs the baseline, every other target, and the
//! baseline again: the ratio of its two runs says how much the ratios can be trusted. Each run begins
//! when all brokers are at rest: none pays for what another left behind. Rounds in which something
//! else used the machine are repeated. What speaks against the result stands in it.

use std::io;

use serde::Serialize;

use crate::doubts;
use crate::driver::wire::client::other;
use crate::measure::Figures;
use crate::outcome::{Better, CPU_A_GIGABYTE, MEDIAN, Metric, Outcome, THROUGHPUT};
use crate::quiet;
use crate::scenario::{self, Context, Scenario};
use crate::target::Target;

/// Rounds that are thrown away before the comparison is given up, for each round that counts.
const DISTURBED_ROUNDS_MAX: usize = 2;

/// Between these the median ratio of the baseline to itself must lie.
const CONTROL_MIN: f64 = 0.9;
const CONTROL_MAX: f64 = 1.1;

/// What the control is judged by.
const STEADY_METRICS: [&str; 3] = [THROUGHPUT, CPU_A_GIGABYTE, MEDIAN];

/// A p99.9 of fewer runs is chance, and is left out.
const ROUNDS_FOR_P999_MIN: usize = 5;

/// How often, and under which conditions.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CompareSettings {
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// Rounds before them that do not, so that compilers and caches are warm.
    pub(crate) warm_up_rounds: usize,
    /// Rounds in which others used a larger share of the machine are repeated.
    pub(crate) others_max: f64,
}

/// One round: each target's outcome in the order of the targets, then the baseline's again.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Round {
    /// Outcomes of the targets.
    pub(crate) outcomes: Vec<Outcome>,
    /// The baseline's second outcome.
    pub(crate) control: Outcome,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    /// The rounds that count.
    pub(crate) rounds: Vec<Round>,
    /// Rounds thrown away because others used the machine.
    pub(crate) disturbed_rounds: usize,
    /// Every number that all outcomes have.
    pub(crate) metrics: Vec<ComparedMetric>,
    /// Why the result is not to be trusted; none if it is.
    pub(crate) doubts: Vec<String>,
}

/// One number of all targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ComparedMetric {
    /// Empty for a fact of the whole run.
    pub(crate) phase: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// Ratios of the baseline's second run to its first.
    pub(crate) control: Spread,
    /// All targets, the baseline first.
    pub(crate) targets: Vec<TargetMetric>,
}

/// One number of one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TargetMetric {
    pub(crate) name: String,
    pub(crate) value: Spread,
    /// To the baseline within the same round.
    pub(crate) ratio: Spread,
}

/// Median, least and greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there are no numbers, or one is not finite.
    pub(crate) fn of(mut numbers: Vec<f64>) -> Option<Self> {
        if numbers.iter().any(|number| !number.is_finite()) {
            return None;
        }
        numbers.sort_by(f64::total_cmp);
        let (min, max) = (*numbers.first()?, *numbers.last()?);
        let (lower, upper) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

/// Runs the rounds.
pub(crate) fn run(
    scenario: &Scenario,
    targets: &[Target],
    settings: &CompareSettings,
    context: &Context,
) -> io::Result<Comparison> {
    let baseline = targets.first().ok_or_else(|| other("nothing to compare".into()))?;
    let once = |target: &Target| {
        quiet::wait(targets.iter().map(|target| &target.processes))?;
        scenario::run(scenario, target, context)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", target.name)))
    };
    for round in 0..settings.warm_up_rounds {
        context.progress.say(&format!("warm-up {} of {}", round + 1, settings.warm_up_rounds));
        targets.iter().try_for_each(|target| once(target).map(drop))?;
    }
    let mut counted: Vec<Round> = Vec::with_capacity(settings.rounds);
    let mut disturbed_rounds = 0;
    while counted.len() < settings.rounds {
        let outcomes = targets.iter().map(once).collect::<io::Result<Vec<_>>>()?;
        let round = Round { outcomes, control: once(baseline)? };
        context.progress.say(&describe(targets, &round, counted.len() + 1, settings.rounds));
        if round.others_share() <= settings.others_max {
            counted.push(round);
            continue;
        }
        disturbed_rounds += 1;
        if disturbed_rounds > settings.rounds * DISTURBED_ROUNDS_MAX {
            return Err(other(format!("others used the machine in {disturbed_rounds} rounds: no result")));
        }
    }
    let mut comparison = summarise(targets, counted, disturbed_rounds);
    for target in targets {
        comparison.doubts.extend(doubts::of_placement(target)?);
    }
    Ok(comparison)
}

impl Round {
    /// The largest share of the machine that others used in one of the runs.
    fn others_share(&self) -> f64 {
        self.most_disturbed().and_then(|figures| figures.others_share).unwrap_or(0.0)
    }

    /// Of the run in which it was that large.
    fn most_disturbed(&self) -> Option<&Figures> {
        let runs = self.outcomes.iter().chain([&self.control]);
        let figures = runs.flat_map(|run| &run.phases).map(|phase| &phase.figures);
        let share = |figures: &&Figures| figures.others_share.unwrap_or(0.0);
        figures.max_by(|left, right| share(left).total_cmp(&share(right)))
    }
}

fn summarise(targets: &[Target], rounds: Vec<Round>, disturbed_rounds: usize) -> Comparison {
    let known = rounds.first().map_or_else(Vec::new, |round| round.outcomes[0].metrics());
    let metrics: Vec<ComparedMetric> =
        known.iter().filter_map(|metric| compared(targets, &rounds, metric)).collect();
    let mut doubts = Vec::new();
    if disturbed_rounds > rounds.len() {
        let all = disturbed_rounds + rounds.len();
        doubts.push(format!("others used the machine in {disturbed_rounds} of {all} rounds"));
    }
    doubts.extend(metrics.iter().filter_map(unsteady));
    for (index, target) in targets.iter().enumerate() {
        let of_rounds =
            rounds.iter().flat_map(|round| doubts::of_conditions(&target.name, &round.outcomes[index]));
        // What holds for one round mostly holds for all, in other numbers: once is enough.
        let mut own: Vec<String> = of_rounds.collect();
        own.dedup_by_key(|doubt| doubt.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
        doubts.extend(own);
    }
    Comparison { rounds, disturbed_rounds, metrics, doubts }
}

/// The metric in all outcomes; `None` where one lacks it, or a ratio would have no meaning.
fn compared(targets: &[Target], rounds: &[Round], metric: &Metric) -> Option<ComparedMetric> {
    if metric.samples_needed > 0 {
        // Each round has a percentile of its own; what they rest on together is what counts.
        let rounds_needed = if metric.name.ends_with("p99.9") { ROUNDS_FOR_P999_MIN } else { 1 };
        let least = (0..targets.len()).map(|index| {
            let samples = rounds.iter().map(|round| metric.samples_in(&round.outcomes[index]));
            samples.sum::<u64>()
        });
        if rounds.len() < rounds_needed || least.min() < Some(metric.samples_needed) {
            return None;
        }
    }
    let value = |outcome: &Outcome| {
        let same = |other: &Metric| other.phase == metric.phase && other.name == metric.name;
        outcome.metrics().into_iter().find(same).map(|found| found.value)
    };
    let ratios = |of: &dyn Fn(&Round) -> Option<f64>| -> Option<Spread> {
        let pairs = rounds.iter().map(|round| Some(of(round)? / value(&round.outcomes[0])?));
        Spread::of(pairs.collect::<Option<Vec<_>>>()?)
    };
    let of_targets = targets.iter().enumerate().map(|(index, target)| {
        let values = rounds.iter().map(|round| value(&round.outcomes[index]));
        Some(TargetMetric {
            name: target.name.clone(),
            value: Spread::of(values.collect::<Option<Vec<_>>>()?)?,
            ratio: ratios(&|round| value(&round.outcomes[index]))?,
        })
    });
    Some(ComparedMetric {
        phase: metric.phase.clone().into_owned(),
        name: metric.name.clone(),
        unit: metric.unit.to_owned(),
        better: metric.better,
        control: ratios(&|round| value(&round.control))?,
        targets: of_targets.collect::<Option<Vec<_>>>()?,
    })
}

/// Says if the baseline differs from itself in what the comparison is about. Tails and facts differ
/// from run to run by their nature; they carry their spread.
fn unsteady(metric: &ComparedMetric) -> Option<String> {
    let median = metric.control.median;
    let is_steady = (CONTROL_MIN..=CONTROL_MAX).contains(&median);
    if is_steady || !STEADY_METRICS.iter().any(|name| metric.name.ends_with(name)) {
        return None;
    }
    let (phase, name) = (&metric.phase, &metric.name);
    Some(format!("{phase} {name}: the baseline differs from itself by a ratio of {median:.2}"))
}

fn describe(targets: &[Target], round: &Round, number: usize, rounds: usize) -> String {
    let names = targets.iter().map(|target| target.name.as_str()).chain(["again"]);
    let runs = round.outcomes.iter().chain([&round.control]);
    let cells = names.zip(runs).map(|(name, run)| {
        let phase = run.phases.last();
        let rate = phase.map_or(0.0, |phase| phase.figures.megabytes_per_second);
        let broker = phase.and_then(|phase| phase.figures.broker);
        let cpu =
            broker.map_or_else(|| "-".into(), |broker| format!("{:.3}", broker.cpu_seconds_per_gigabyte));
        format!("{name} {rate:.0} MB/s {cpu} CPU-s/GB")
    });
    let cells = cells.collect::<Vec<_>>().join(", ");
    let others = round.others_share() * 100.0;
    let who = round.most_disturbed().map_or_else(String::new, Figures::name_others);
    format!("round {number} of {rounds}: {cells}; others at most {others:.0} %{who}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{outcome, with_samples};

    fn round(base: f64, one: f64, again: f64) -> Round {
        Round {
            outcomes: vec![outcome(base, 1.0, 0.02), outcome(one, 0.5, 0.05)],
            control: outcome(again, 1.0, 0.01),
        }
    }

    fn targets() -> [Target; 2] {
        ["base=127.0.0.1:1", "one=127.0.0.1:2"].map(|text| Target::parse(text).expect("parses"))
    }

    fn find<'c>(comparison: &'c Comparison, name: &str) -> &'c ComparedMetric {
        comparison.metrics.iter().find(|metric| metric.name == name).expect("is compared")
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let rounds = vec![round(100.0, 200.0, 100.0), round(50.0, 150.0, 55.0), round(10.0, 25.0, 10.0)];
        assert_eq!(rounds[0].others_share(), 0.05);
        let comparison = summarise(&targets(), rounds, 1);
        let throughput = find(&comparison, "throughput");
        assert_eq!(throughput.targets[1].ratio, Spread { median: 2.5, min: 2.0, max: 3.0 });
        assert_eq!(throughput.targets[1].value.median, 150.0);
        assert_eq!(throughput.targets[0].ratio.max, 1.0);
        assert_eq!(throughput.control.median, 1.0);
        let cpu = find(&comparison, "broker CPU a gigabyte");
        assert_eq!(cpu.targets[1].ratio, Spread { median: 0.5, min: 0.5, max: 0.5 });
        assert!(!comparison.doubts.iter().any(|doubt| doubt.contains("itself")), "{:?}", comparison.doubts);
    }

    #[test]
    fn a_baseline_that_differs_from_itself_is_doubtful() {
        let comparison = summarise(&targets(), vec![round(100.0, 200.0, 115.0)], 0);
        let doubt = |text: &str| comparison.doubts.iter().filter(|doubt| doubt.contains(text)).count();
        assert_eq!(doubt("itself by a ratio of 1.15"), 1, "{:?}", comparison.doubts);
        assert_eq!(doubt("itself"), 1, "once, not for each name of the same number");
        assert_eq!(doubt("rounds"), 0, "no round was disturbed");
        let disturbed = summarise(&targets(), vec![round(100.0, 200.0, 100.0)], 2);
        assert!(disturbed.doubts.iter().any(|doubt| doubt.contains("in 2 of 3 rounds")));
    }

    #[test]
    fn percentiles_that_rest_on_too_few_samples_are_left_out() {
        let rounds = |samples: u64, count| {
            let one = || with_samples(outcome(100.0, 1.0, 0.0), samples);
            let round = || Round { outcomes: vec![one(), one()], control: one() };
            (0..count).map(|_| round()).collect::<Vec<_>>()
        };
        for (samples, count, names) in [
            (100, 6, &["p50"][..]),
            (1000, 6, &["p50", "p99"]),
            (2000, 6, &["p50", "p99", "p99.9"]),
            (50_000, 4, &["p50", "p99"]),
        ] {
            let comparison = summarise(&targets(), rounds(samples, count), 0);
            let of_latency = comparison.metrics.iter().filter(|metric| metric.name.contains(" p"));
            let found: Vec<&str> =
                of_latency.filter_map(|metric| metric.name.split(' ').next_back()).collect();
            assert_eq!(found, names, "{samples} samples in {count} rounds");
        }
    }

    #[test]
    fn numbers_without_a_ratio_are_left_out() {
        let comparison = summarise(&targets(), vec![round(0.0, 200.0, 0.0)], 0);
        assert!(comparison.metrics.iter().all(|metric| metric.name != "throughput"));
        assert_eq!(find(&comparison, "time to connect").targets[1].ratio.median, 1.0);
    }

    #[test]
    fn median_of_an_even_number_lies_between() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).expect("numbers").median, 2.5);
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![f64::NAN]), None);
    }
}

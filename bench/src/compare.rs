//! Scenario `compare`: several brokers in turn, round after round.
//!
//! Absolute figures of a shared machine move by tens of percent within minutes; ratios of runs that
//! follow one another move little. So a round runs the baseline, every other target, and the
//! baseline again: the ratio of its two runs says how much the ratios can be trusted. Rounds in
//! which something else used the machine are repeated.

use std::io;
use std::net::SocketAddr;

use serde::Serialize;

use crate::cli::{name_and_value, resolve};
use crate::driver::wire::client::other;
use crate::measure::Figures;
use crate::scenario::produce::{self, ProduceResult, ProduceSettings};

/// Rounds that are thrown away before the comparison is given up, for each round that counts.
const DISTURBED_ROUNDS_MAX: usize = 2;

/// Between these the median ratio of the baseline to itself must lie.
const CONTROL_MIN: f64 = 0.9;
const CONTROL_MAX: f64 = 1.1;

/// A broker, and how its topic is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Target {
    /// As the report calls it.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process.
    pub(crate) pid: Option<u32>,
    /// Configs of its topic, beside those of the load.
    pub(crate) configs: Vec<(String, String)>,
}

impl Target {
    /// Reads `NAME=HOST:PORT[,pid=PID][,TOPIC-CONFIG=VALUE]...`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let (name, address) = name_and_value(parts.next().unwrap_or_default())?;
        let mut target = Self { name, address: resolve(&address)?, pid: None, configs: Vec::new() };
        for part in parts {
            match name_and_value(part)? {
                (name, value) if name == "pid" => {
                    target.pid = Some(value.parse().map_err(|error| format!("pid {value}: {error}"))?);
                }
                config => target.configs.push(config),
            }
        }
        Ok(target)
    }
}

/// One round: each target's result in the order of the targets, then the baseline's again.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Round {
    /// Results of the targets.
    pub(crate) results: Vec<ProduceResult>,
    /// The baseline's second result.
    pub(crate) control: ProduceResult,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    /// The rounds that count.
    pub(crate) rounds: Vec<Round>,
    /// Rounds thrown away because others used the machine.
    pub(crate) disturbed_rounds: usize,
    /// The baseline against itself.
    pub(crate) control: Ratios,
    /// Each other target against the baseline, in their order.
    pub(crate) against_baseline: Vec<Ratios>,
    /// Whether the control lies where it must.
    pub(crate) is_valid: bool,
}

/// Ratios of one target to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Ratios {
    /// Of payload bytes a second: above 1 is better.
    pub(crate) throughput: Spread,
    /// Of the broker's CPU time for the same payload: below 1 is better.
    pub(crate) cpu: Option<Spread>,
}

/// Median, least and greatest of some ratios.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there are no ratios, or one is not a number.
    fn of(mut ratios: Vec<f64>) -> Option<Self> {
        if ratios.iter().any(|ratio| !ratio.is_finite()) {
            return None;
        }
        ratios.sort_by(f64::total_cmp);
        let (min, max) = (*ratios.first()?, *ratios.last()?);
        let (lower, upper) = (ratios[(ratios.len() - 1) / 2], ratios[ratios.len() / 2]);
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

/// Runs the rounds; `progress` is told a line after each.
pub(crate) fn run(
    targets: &[Target],
    rounds: usize,
    others_max: f64,
    topic: &str,
    settings: &ProduceSettings,
    processor_count: usize,
    mut progress: impl FnMut(&str),
) -> io::Result<Comparison> {
    let (baseline, others) = targets.split_first().ok_or_else(|| other("nothing to compare".into()))?;
    let once = |target: &Target| {
        let mut settings = settings.clone();
        settings.configs.extend(target.configs.iter().cloned());
        produce::run(target.address, target.pid, topic, &settings, processor_count)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", target.name)))
    };
    let mut counted: Vec<Round> = Vec::with_capacity(rounds);
    let mut disturbed_rounds = 0;
    while counted.len() < rounds {
        let mut results = vec![once(baseline)?];
        for target in others {
            results.push(once(target)?);
        }
        let round = Round { results, control: once(baseline)? };
        let share = round.others_share();
        progress(&describe(targets, &round, share));
        if share <= others_max {
            counted.push(round);
            continue;
        }
        disturbed_rounds += 1;
        if disturbed_rounds > rounds * DISTURBED_ROUNDS_MAX {
            return Err(other(format!("others used the machine in {disturbed_rounds} rounds: no result")));
        }
    }
    summarise(targets.len(), counted, disturbed_rounds)
}

impl Round {
    /// The largest share of the machine that others used in one of the runs.
    fn others_share(&self) -> f64 {
        let runs = self.results.iter().chain([&self.control]);
        runs.filter_map(|run| run.figures.others_share).fold(0.0, f64::max)
    }
}

fn summarise(target_count: usize, rounds: Vec<Round>, disturbed_rounds: usize) -> io::Result<Comparison> {
    let missing = || other("a run without throughput cannot be compared".into());
    let ratios = |of: &dyn Fn(&Round) -> &ProduceResult| -> io::Result<Ratios> {
        let pairs = || rounds.iter().map(|round| (&of(round).figures, &round.results[0].figures));
        let throughput = pairs().map(|(one, base)| one.megabytes_per_second / base.megabytes_per_second);
        let cpu: Option<Vec<f64>> = pairs().map(|(one, base)| Some(cpu(one)? / cpu(base)?)).collect();
        Ok(Ratios {
            throughput: Spread::of(throughput.collect()).ok_or_else(missing)?,
            cpu: cpu.and_then(Spread::of),
        })
    };
    let control = ratios(&|round| &round.control)?;
    let against_baseline = (1..target_count)
        .map(|index| ratios(&|round| &round.results[index]))
        .collect::<io::Result<Vec<_>>>()?;
    let is_steady = |spread: Spread| (CONTROL_MIN..=CONTROL_MAX).contains(&spread.median);
    let is_valid = is_steady(control.throughput) && control.cpu.is_none_or(is_steady);
    Ok(Comparison { rounds, disturbed_rounds, control, against_baseline, is_valid })
}

fn cpu(figures: &Figures) -> Option<f64> {
    figures.broker.map(|broker| broker.cpu_seconds_per_gigabyte)
}

fn describe(targets: &[Target], round: &Round, others_share: f64) -> String {
    let names = targets.iter().map(|target| target.name.as_str()).chain(["again"]);
    let runs = round.results.iter().chain([&round.control]);
    let cells = names.zip(runs).map(|(name, run)| {
        let cpu = cpu(&run.figures).map_or_else(|| "-".into(), |cpu| format!("{cpu:.3}"));
        format!("{name} {:.0} MB/s {cpu} CPU-s/GB", run.figures.megabytes_per_second)
    });
    format!("{} (others {:.0} %)", cells.collect::<Vec<_>>().join(", "), others_share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{BrokerFigures, ClientFigures};

    fn result(megabytes_per_second: f64, cpu_seconds_per_gigabyte: f64, others: f64) -> ProduceResult {
        ProduceResult {
            figures: Figures {
                seconds: 1.0,
                requests: 1,
                records: 1,
                payload_bytes: 1,
                megabytes_per_second,
                requests_per_second: 1.0,
                broker: Some(BrokerFigures {
                    cpu_seconds: 1.0,
                    user_seconds: 0.5,
                    system_seconds: 0.5,
                    cpu_seconds_per_gigabyte,
                    cpu_microseconds_per_request: 1.0,
                    busy_processors: 1.0,
                }),
                client: ClientFigures { cpu_seconds_per_gigabyte: 0.1, busy_processors: 0.1 },
                others_share: Some(others),
                stolen_share: 0.0,
            },
            acknowledgement_us: None,
            records_per_request: 1,
            batch_bytes: 1,
        }
    }

    fn round(base: f64, one: f64, again: f64) -> Round {
        Round {
            results: vec![result(base, 1.0, 0.02), result(one, 0.5, 0.05)],
            control: result(again, 1.0, 0.01),
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let rounds = vec![round(100.0, 200.0, 100.0), round(50.0, 150.0, 55.0), round(10.0, 25.0, 10.0)];
        assert_eq!(rounds[0].others_share(), 0.05);
        let comparison = summarise(2, rounds, 1).expect("has ratios");
        assert_eq!(comparison.against_baseline[0].throughput, Spread { median: 2.5, min: 2.0, max: 3.0 });
        assert_eq!(comparison.against_baseline[0].cpu, Some(Spread { median: 0.5, min: 0.5, max: 0.5 }));
        assert_eq!(comparison.control.throughput.median, 1.0);
        assert!(comparison.is_valid);
    }

    #[test]
    fn a_baseline_that_differs_from_itself_makes_no_result() {
        let comparison = summarise(2, vec![round(100.0, 200.0, 115.0)], 0).expect("has ratios");
        assert!(!comparison.is_valid);
        assert!(summarise(2, vec![round(0.0, 200.0, 0.0)], 0).is_err());
    }

    #[test]
    fn median_of_an_even_number_lies_between() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).expect("numbers").median, 2.5);
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![f64::NAN]), None);
    }

    #[test]
    fn targets_carry_their_configs() {
        let target = Target::parse("kafka=127.0.0.1:9192,pid=12,flush.messages=1").expect("parses");
        assert_eq!((target.name.as_str(), target.pid), ("kafka", Some(12)));
        assert_eq!(target.configs, [("flush.messages".to_owned(), "1".to_owned())]);
        assert!(Target::parse("127.0.0.1:9192").is_err());
        assert!(Target::parse("a=127.0.0.1:1,pid=x").is_err());
    }
}

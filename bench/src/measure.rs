//! What is read from the clocks at both ends of a measurement, and what follows from it.

mod census;
pub(crate) mod flow;

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use self::census::{Census, Spent};
use crate::context::clocks::{self, CpuTime, MachineTime};
use crate::processes::Processes;
use crate::system;

/// Longest latency that the histogram tells apart: a request that takes longer is an outage.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Digits that the histogram keeps.
const LATENCY_DIGITS: u8 = 3;

/// A gigabyte and a megabyte are decimal, as in network and disk rates.
const BYTES_PER_GIGABYTE: f64 = 1e9;
const BYTES_PER_MEGABYTE: f64 = 1e6;

/// A histogram of latencies in nanoseconds.
pub(crate) fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, LATENCY_DIGITS)
        .expect("the bounds are in order and the digits are few")
}

/// A duration as histograms count it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Names of others that a report tells, those who used most.
const OTHERS_NAMED_MAX: usize = 3;
/// Whoever used less of the machine is not named.
const NAMED_SHARE_MIN: f64 = 0.01;

/// The clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    at: Instant,
    broker: Option<CpuTime>,
    own: Duration,
    machine: MachineTime,
}

/// One end of a measurement: the clocks, and all processes of about the same moment.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    clocks: Clocks,
    census: Census,
}

impl Sample {
    /// Reads the clocks now; the broker's if its processes are known. The census comes first, since it
    /// takes milliseconds, which must not fall into the measurement.
    pub(crate) fn begin(broker: &Processes) -> io::Result<Self> {
        let census = Census::take(broker)?;
        Ok(Self { census, clocks: Clocks::read(broker)? })
    }

    /// Reads the clocks now, then the census.
    pub(crate) fn end(broker: &Processes) -> io::Result<Self> {
        Clocks::read(broker)?.complete(broker)
    }

    /// When it was taken.
    pub(crate) fn at(&self) -> Instant {
        self.clocks.at
    }
}

impl Clocks {
    /// Reads them now: the end of a measurement, which lacks the census yet.
    pub(crate) fn read(broker: &Processes) -> io::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            broker: broker.cpu_time()?,
            own: system::own_cpu_time()?,
            machine: clocks::machine_time()?,
        })
    }

    /// Adds the census, when nothing is under way any more.
    pub(crate) fn complete(self, broker: &Processes) -> io::Result<Sample> {
        Ok(Sample { clocks: self, census: Census::take(broker)? })
    }

    /// When they were read.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }
}

/// What was done between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Requests answered without an error.
    pub(crate) requests: u64,
    /// Records in them.
    pub(crate) records: u64,
    /// Bytes of record batches in them.
    pub(crate) bytes: u64,
}

impl Work {
    /// Adds what was done elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// The figures of one measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) records: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) megabytes_per_second: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) broker: Option<BrokerFigures>,
    pub(crate) client: ClientFigures,
    /// Share of the machine that neither the broker nor this client nor the kernel's own threads
    /// used; null without a broker's process id.
    pub(crate) others_share: Option<f64>,
    /// Where that is from.
    pub(crate) others_source: OthersSource,
    /// Who they were, the greatest first; not all.
    pub(crate) others: Vec<NamedShare>,
    /// Share of the machine that the kernel's own threads used: write-back, journals, devices.
    pub(crate) kernel_share: f64,
    /// Share of the machine that its host gave to others.
    pub(crate) stolen_share: f64,
}

/// How it is known what others used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OthersSource {
    /// From the CPU times of all processes.
    #[default]
    Processes,
    /// From the machine's busy time in `/proc/stat`, since not all processes are seen. Where that is sampled
    /// at clock ticks, whoever wakes in step with them makes it wrong.
    ClockTicks,
}

/// What one of the others used of the machine, or all of the same name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct NamedShare {
    pub(crate) name: String,
    pub(crate) share: f64,
}

/// What the work cost the broker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct BrokerFigures {
    pub(crate) cpu_seconds: f64,
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    pub(crate) cpu_seconds_per_gigabyte: f64,
    pub(crate) cpu_microseconds_per_request: f64,
    /// How many processors it kept busy.
    pub(crate) busy_processors: f64,
}

/// What the work cost this client. At nearly one busy processor the client is what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct ClientFigures {
    pub(crate) cpu_seconds_per_gigabyte: f64,
    pub(crate) busy_processors: f64,
}

impl Figures {
    /// The figures of `work`, done from `start` to `end` on a machine of so many processors.
    pub(crate) fn new(work: Work, start: &Sample, end: &Sample, processor_count: usize) -> Self {
        let spent = end.census.since(&start.census);
        let source = if start.census.sees_all() { OthersSource::Processes } else { OthersSource::ClockTicks };
        Self::of(work, &start.clocks, &end.clocks, &spent, source, processor_count)
    }

    fn of(
        work: Work,
        start: &Clocks,
        end: &Clocks,
        spent: &Spent,
        others_source: OthersSource,
        processor_count: usize,
    ) -> Self {
        let elapsed = end.at - start.at;
        let seconds = elapsed.as_secs_f64();
        let gigabytes = work.bytes as f64 / BYTES_PER_GIGABYTE;
        let own = end.own.saturating_sub(start.own);
        let broker = start.broker.zip(end.broker).map(|(start, end)| end.since(start));
        let capacity = seconds * processor_count as f64;
        // The censuses lie around the clocks, and the last one behind all that was waited for.
        let share =
            |used: Duration| ratio(used.as_secs_f64(), spent.elapsed.as_secs_f64() * processor_count as f64);
        let others = |broker: CpuTime| match others_source {
            OthersSource::Processes => share(spent.others),
            OthersSource::ClockTicks => {
                let busy = end.machine.busy.saturating_sub(start.machine.busy);
                ratio(busy.saturating_sub(broker.total()).saturating_sub(own).as_secs_f64(), capacity)
            }
        };
        let named =
            spent.by_name.iter().map(|(name, used)| NamedShare { name: name.clone(), share: share(*used) });
        let named = named.filter(|named| named.share >= NAMED_SHARE_MIN).take(OTHERS_NAMED_MAX);
        let stolen = end.machine.stolen.saturating_sub(start.machine.stolen);
        Self {
            seconds,
            requests: work.requests,
            records: work.records,
            payload_bytes: work.bytes,
            megabytes_per_second: ratio(work.bytes as f64 / BYTES_PER_MEGABYTE, seconds),
            requests_per_second: ratio(work.requests as f64, seconds),
            broker: broker.map(|cpu| BrokerFigures {
                cpu_seconds: cpu.total().as_secs_f64(),
                user_seconds: cpu.user.as_secs_f64(),
                system_seconds: cpu.system.as_secs_f64(),
                cpu_seconds_per_gigabyte: ratio(cpu.total().as_secs_f64(), gigabytes),
                cpu_microseconds_per_request: ratio(cpu.total().as_secs_f64() * 1e6, work.requests as f64),
                busy_processors: ratio(cpu.total().as_secs_f64(), seconds),
            }),
            client: ClientFigures {
                cpu_seconds_per_gigabyte: ratio(own.as_secs_f64(), gigabytes),
                busy_processors: ratio(own.as_secs_f64(), seconds),
            },
            others_share: broker.map(others),
            others_source,
            others: if broker.is_some() { named.collect() } else { Vec::new() },
            kernel_share: share(spent.kernel),
            stolen_share: ratio(stolen.as_secs_f64(), capacity),
        }
    }
}

impl Figures {
    /// Who the others were: ` (java 20 %, sh 1 %)`; nothing where nobody stands out.
    pub(crate) fn name_others(&self) -> String {
        let each = self.others.iter().map(|other| format!("{} {:.0} %", other.name, other.share * 100.0));
        let each = each.collect::<Vec<_>>().join(", ");
        if each.is_empty() { each } else { format!(" ({each})") }
    }
}

/// Percentiles of a latency, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
    pub(crate) samples: u64,
}

impl Latency {
    /// Percentiles of a histogram in nanoseconds; `None` if it is empty.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1e3,
            mean: histogram.mean() / 1e3,
            samples: histogram.len(),
        })
    }
}

/// `0` where nothing was done, so that a report has no infinite figures.
fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0.0 { numerator / denominator } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(
        at: Instant,
        broker_ms: Option<(u64, u64)>,
        own_ms: u64,
        busy_ms: u64,
        stolen_ms: u64,
    ) -> Clocks {
        let ms = Duration::from_millis;
        Clocks {
            at,
            broker: broker_ms.map(|(user, system)| CpuTime { user: ms(user), system: ms(system) }),
            own: ms(own_ms),
            machine: MachineTime { busy: ms(busy_ms), stolen: ms(stolen_ms) },
        }
    }

    fn spent() -> Spent {
        let ms = Duration::from_millis;
        let by_name = [("java", 250), ("sh", 50), ("a", 45), ("b", 41), ("c", 14)];
        Spent {
            elapsed: ms(2500),
            kernel: ms(100),
            others: ms(400),
            by_name: by_name.map(|(name, used)| (name.to_owned(), ms(used))).into(),
        }
    }

    #[test]
    fn figures_are_differences_over_time_and_work() {
        let start = Instant::now();
        let end = start + Duration::from_secs(2);
        let work = Work { requests: 1000, records: 63_000, bytes: 500_000_000 };
        let (start, end) =
            (clocks(start, Some((100, 200)), 50, 1000, 10), clocks(end, Some((400, 900)), 250, 2600, 50));
        let figures = Figures::of(work, &start, &end, &spent(), OthersSource::Processes, 2);
        assert_eq!(figures.megabytes_per_second, 250.0);
        assert_eq!(figures.requests_per_second, 500.0);
        let broker = figures.broker.expect("its time is known");
        assert_eq!((broker.user_seconds, broker.system_seconds), (0.3, 0.7));
        assert_eq!(broker.cpu_seconds_per_gigabyte, 2.0);
        assert_eq!(broker.cpu_microseconds_per_request, 1000.0);
        assert_eq!(broker.busy_processors, 0.5);
        assert_eq!(figures.client.cpu_seconds_per_gigabyte, 0.4);
        assert_eq!(figures.client.busy_processors, 0.1);
        // Of five processor-seconds between the censuses.
        assert!((figures.others_share.expect("known") - 0.08).abs() < 1e-9);
        assert!((figures.kernel_share - 0.02).abs() < 1e-9);
        assert_eq!(figures.stolen_share, 0.01);
        let named: Vec<_> = figures.others.iter().map(|named| named.name.as_str()).collect();
        assert_eq!(named, ["java", "sh"], "others below a hundredth are not named");
    }

    #[test]
    fn where_processes_are_not_seen_the_ticks_say_what_is_left() {
        let start = Instant::now();
        let end = start + Duration::from_secs(2);
        let (start, end) =
            (clocks(start, Some((100, 200)), 50, 1000, 10), clocks(end, Some((400, 900)), 250, 2600, 50));
        let figures = Figures::of(Work::default(), &start, &end, &spent(), OthersSource::ClockTicks, 2);
        // Busy 1.6 s, of which the broker had 1.0 and the client 0.2, on four processor-seconds.
        assert!((figures.others_share.expect("known") - 0.1).abs() < 1e-9);
    }

    #[test]
    fn without_the_brokers_process_others_are_unknown() {
        let still = clocks(Instant::now(), None, 0, 0, 0);
        let figures = Figures::of(Work::default(), &still, &still, &spent(), OthersSource::Processes, 2);
        assert_eq!((figures.broker, figures.others_share, figures.others.len()), (None, None, 0));
        assert_eq!(figures.megabytes_per_second, 0.0);
    }

    #[test]
    fn percentiles_are_microseconds() {
        let mut histogram = latency_histogram();
        assert_eq!(Latency::of(&histogram), None);
        for microseconds in 1..=1000_u64 {
            histogram.record(microseconds * 1000).expect("within bounds");
        }
        let latency = Latency::of(&histogram).expect("has samples");
        assert!((latency.p50 - 500.0).abs() < 1.0 && (latency.p99 - 990.0).abs() < 1.0);
        assert!((latency.max - 1000.0).abs() < 1.0);
        assert_eq!(latency.samples, 1000);
    }
}

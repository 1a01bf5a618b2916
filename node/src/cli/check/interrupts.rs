//! Which cores the devices interrupt.

use super::SystemFiles;
use super::finding::Verdict;

/// Fewer since the start of the machine say nothing.
const COUNT_MIN: u64 = 100_000;
/// On fewer cores there is nothing to spread.
const CORES_MIN: usize = 4;
/// A core that takes more than this part of all of them, in percent, has less for its shard than the others.
const SHARE_MAX: u64 = 60;

/// The interrupts of devices since the machine started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InterruptFacts {
    /// The processors that are counted for, in the order of the columns.
    cores: Vec<usize>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    number: u32,
    counts: Vec<u64>,
    device: String,
}

impl InterruptFacts {
    pub(super) fn read(system: &SystemFiles) -> Self {
        Self::parse(&system.text("proc/interrupts").unwrap_or_default())
    }

    /// A heading of processors; then a line for each interrupt: its number, a count for each processor, its device.
    fn parse(text: &str) -> Self {
        let heading = text.lines().next().unwrap_or_default();
        let cores: Vec<usize> = heading
            .split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix("CPU")?.parse().ok())
            .collect();
        let lines = text.lines().filter_map(|line| {
            let (number, rest) = line.split_once(':')?;
            // Those with names are the processors' own: timers, calls between them.
            let number = number.trim().parse().ok()?;
            let counts: Vec<u64> =
                rest.split_ascii_whitespace().map_while(|word| word.parse().ok()).take(cores.len()).collect();
            let device = rest.split_ascii_whitespace().last().unwrap_or_default().to_owned();
            Some(Line { number, counts, device })
        });
        Self { lines: lines.collect(), cores }
    }
}

pub(super) fn placement(facts: &InterruptFacts, shard_cores: &[usize]) -> Verdict {
    let total_of =
        |column: usize| -> u64 { facts.lines.iter().filter_map(|line| line.counts.get(column)).sum() };
    let totals: Vec<u64> = (0..facts.cores.len()).map(total_of).collect();
    let total: u64 = totals.iter().sum();
    let Some((column, most)) = totals.iter().copied().enumerate().max_by_key(|(_, count)| *count) else {
        return Verdict::ok("/proc/interrupts tells none");
    };
    if total < COUNT_MIN {
        return Verdict::ok("devices have hardly interrupted yet");
    }
    let (core, share) = (facts.cores[column], most * 100 / total);
    let busiest = facts.lines.iter().max_by_key(|line| line.counts.get(column).copied().unwrap_or(0));
    let device = busiest.map_or_else(String::new, |line| format!(", most of them by {}", line.device));
    let found = format!("core {core} takes {share} % of the devices' interrupts{device}");
    if facts.cores.len() < CORES_MIN || share <= SHARE_MAX || !shard_cores.contains(&core) {
        return Verdict::ok(found);
    }
    let number = busiest.map_or(0, |line| line.number);
    Verdict::advice(
        format!("{found}, and is a shard's"),
        format!(
            "apt-get install irqbalance; a device with one queue: echo CORE > /proc/irq/{number}/smp_affinity_list, and \
             leave that core out of the shards (shards, first_core)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const TABLE: &str = "\
            CPU0       CPU1       CPU2       CPU3
  36:          5   9000000          0          7   PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
  41:     100000          0      50000          0   PCI-MSIX-0000:00:04.0   1-edge      virtio3-rx
 LOC:   38742577   29019832          1          1   Local timer interrupts
 ERR:          0
";

    #[test]
    fn only_devices_count() {
        let facts = InterruptFacts::parse(TABLE);
        assert_eq!(facts.cores, [0, 1, 2, 3]);
        assert_eq!(facts.lines.len(), 2);
        assert_eq!(facts.lines[0].counts, [5, 9_000_000, 0, 7]);
        assert_eq!(facts.lines[0].device, "virtio1-req.0");
    }

    #[test]
    fn a_shards_core_that_takes_most_is_told() {
        let facts = InterruptFacts::parse(TABLE);
        let verdict = placement(&facts, &[0, 1, 2, 3]);
        assert_eq!(verdict.status, Status::Advice, "{verdict:?}");
        assert!(verdict.remedy.expect("a way out").contains("/proc/irq/36/"));
        assert_eq!(placement(&facts, &[0, 2, 3]).status, Status::Ok, "no shard is there");
        assert_eq!(placement(&InterruptFacts::default(), &[0]).status, Status::Ok);
    }
}

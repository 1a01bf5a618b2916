//! Processors: which ones the shards get, how fast they tell the time and run, and which memory is near.

use std::collections::BTreeMap;

use super::SystemFiles;
use super::files::{field, number_list};
use super::finding::{Setting, Status, Verdict};
use crate::config::{NodeConfig, Shards};

/// Clocks that are read without asking the kernel.
const FAST_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];

/// What was read of the processors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CpuFacts {
    /// Those that this process may use.
    pub(super) allowed: Vec<usize>,
    /// The cores of the shards, in their order.
    pub(super) shard_cores: Vec<usize>,
    /// Thousandths of a core that the control group may use; `None` is no limit.
    pub(super) quota_millis: Option<u64>,
    pub(super) clock_source: Option<String>,
    pub(super) clock_sources: String,
    /// How many processors each governor steers; empty where the system steers none.
    pub(super) governors: BTreeMap<String, usize>,
    /// The cores of each node of memory.
    pub(super) nodes: Vec<Vec<usize>>,
    /// `kernel.numa_balancing`.
    pub(super) balancing: Option<u64>,
}

impl CpuFacts {
    pub(super) fn read(system: &SystemFiles, config: Option<&NodeConfig>) -> Self {
        const CLOCKS: &str = "sys/devices/system/clocksource/clocksource0";
        let status = system.text("proc/self/status").unwrap_or_default();
        let allowed = number_list(field(&status, "Cpus_allowed_list").unwrap_or("0"));
        let online =
            system.text("sys/devices/system/cpu/online").map(|text| number_list(&text)).unwrap_or_default();
        let mut governors = BTreeMap::new();
        for core in online {
            let path = format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
            if let Some(governor) = system.text(&path) {
                *governors.entry(governor).or_insert(0) += 1;
            }
        }
        let nodes =
            system.text("sys/devices/system/node/online").map(|text| number_list(&text)).unwrap_or_default();
        let cores_of = |node: usize| {
            let list = system.text(&format!("sys/devices/system/node/node{node}/cpulist"));
            number_list(&list.unwrap_or_default())
        };
        Self {
            shard_cores: config.map(|config| shard_cores(&allowed, config)).unwrap_or_default(),
            allowed,
            quota_millis: quota_millis(system),
            clock_source: system.text(&format!("{CLOCKS}/current_clocksource")),
            clock_sources: system.text(&format!("{CLOCKS}/available_clocksource")).unwrap_or_default(),
            governors,
            nodes: nodes.into_iter().map(cores_of).filter(|cores| !cores.is_empty()).collect(),
            balancing: system.number("proc/sys/kernel/numa_balancing"),
        }
    }
}

/// As the node assigns them: one after the other, from `first_core` on.
fn shard_cores(allowed: &[usize], config: &NodeConfig) -> Vec<usize> {
    let count = match config.shards {
        Shards::Auto => allowed.len(),
        Shards::Count(count) => count,
    };
    let first = config.first_core % allowed.len().max(1);
    allowed.iter().copied().cycle().skip(first).take(if allowed.is_empty() { 0 } else { count }).collect()
}

/// The smallest quota of this process's control group and those above it.
fn quota_millis(system: &SystemFiles) -> Option<u64> {
    let groups = system.text("proc/self/cgroup")?;
    let mut path = groups.lines().find_map(|line| line.strip_prefix("0::"))?.trim_matches('/').to_owned();
    let mut least = None;
    loop {
        let quota = system.text(&format!("sys/fs/cgroup/{path}/cpu.max")).and_then(|text| parse_quota(&text));
        least = [least, quota].into_iter().flatten().min();
        match path.rfind('/') {
            Some(end) => path.truncate(end),
            None if path.is_empty() => return least,
            None => path.clear(),
        }
    }
}

/// `150000 100000` is one core and a half; `max 100000` is no limit.
fn parse_quota(text: &str) -> Option<u64> {
    let (quota, period) = text.split_once(' ')?;
    quota.parse::<u64>().ok()?.checked_mul(1000)?.checked_div(period.trim().parse().ok()?)
}

pub(super) fn shards(facts: &CpuFacts) -> Verdict {
    let (shards, allowed) = (facts.shard_cores.len(), facts.allowed.len());
    let found = format!("{shards} shards on {allowed} usable cores");
    if let Some(quota) = facts.quota_millis.filter(|quota| *quota < 1000 * shards as u64) {
        return Verdict::advice(
            format!("{found}, of which the control group gives {:.1}", quota as f64 / 1000.0),
            format!(
                "set shards = {} in the configuration, or raise the quota (CPUQuota=, docker --cpus)",
                (quota / 1000).max(1)
            ),
        )
        .because("a shard whose quota is used up stands still for the rest of each tenth of a second");
    }
    if shards > allowed {
        return Verdict::advice(found, format!("set shards = {allowed} (or \"auto\") in the configuration"));
    }
    Verdict::ok(found)
}

pub(super) fn clock_source(facts: &CpuFacts) -> Verdict {
    let Some(source) = &facts.clock_source else { return Verdict::ok("the kernel does not tell") };
    if FAST_CLOCKS.contains(&source.as_str()) {
        return Verdict::ok(source);
    }
    let fast = FAST_CLOCKS.into_iter().find(|fast| facts.clock_sources.split(' ').any(|name| name == *fast));
    let remedy = match fast {
        Some(fast) => {
            format!("echo {fast} > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        }
        None => "dmesg | grep -i -e tsc -e clocksource    # says why the kernel gave the fast one up; where its firmware \
                 is to blame, boot with tsc=reliable"
            .to_owned(),
    };
    Verdict::advice(format!("{source} (available: {})", facts.clock_sources), remedy)
}

pub(super) fn governor(facts: &CpuFacts) -> Verdict {
    let slow: Vec<&str> =
        facts.governors.keys().map(String::as_str).filter(|governor| *governor != "performance").collect();
    if facts.governors.is_empty() {
        return Verdict::ok("the system steers no frequency (firmware or the host does)");
    }
    if slow.is_empty() {
        return Verdict::ok("performance");
    }
    let found: Vec<String> =
        facts.governors.iter().map(|(governor, cores)| format!("{governor} on {cores} cores")).collect();
    let rule = "SUBSYSTEM==\"cpu\", ACTION==\"add\", TEST==\"cpufreq/scaling_governor\", \
                ATTR{cpufreq/scaling_governor}=\"performance\"";
    Verdict::advice(
        found.join(", "),
        "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )
    .mended_by(Setting::Udev(rule.to_owned()))
}

pub(super) fn memory_nodes(facts: &CpuFacts) -> Verdict {
    if facts.nodes.len() < 2 {
        return Verdict::ok("one node");
    }
    let used: Vec<usize> = (0..facts.nodes.len())
        .filter(|node| facts.shard_cores.iter().any(|core| facts.nodes[*node].contains(core)))
        .collect();
    let count = facts.nodes.len();
    if facts.balancing.is_some_and(|balancing| balancing > 0) {
        return Verdict::sysctl(
            Status::Advice,
            format!("{count} nodes, and the kernel moves memory between them (kernel.numa_balancing = 1)"),
            "kernel.numa_balancing",
            0,
        )
        .because(
            "shards are pinned and their memory is near them; looking for what to move only interrupts them",
        );
    }
    if used.len() < 2 {
        return Verdict::ok(format!("{count} nodes, all shards on one of them"));
    }
    let first = facts.nodes[used[0]].first().copied().unwrap_or(0);
    Verdict::advice(
        format!("{count} nodes, shards on {} of them", used.len()),
        format!(
            "one Ringmain node for each: shards = {} and first_core = {first} for the first; or leave it where cores \
             matter more than latency",
            facts.nodes[used[0]].len()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_thousandths_of_cores() {
        assert_eq!(parse_quota("150000 100000"), Some(1500));
        assert_eq!(parse_quota("max 100000"), None);
        assert_eq!(parse_quota(""), None);
    }

    #[test]
    fn shards_need_cores() {
        let facts = |shards: usize, quota_millis| CpuFacts {
            allowed: vec![0, 1],
            shard_cores: (0..shards).collect(),
            quota_millis,
            ..CpuFacts::default()
        };
        assert_eq!(shards(&facts(2, None)).status, Status::Ok);
        assert_eq!(shards(&facts(3, None)).status, Status::Advice);
        assert_eq!(shards(&facts(2, Some(1500))).status, Status::Advice);
        assert_eq!(shards(&facts(2, Some(2000))).status, Status::Ok);
    }

    #[test]
    fn slow_clocks_are_replaced_by_one_that_is_there() {
        let facts = |source: &str, all: &str| CpuFacts {
            clock_source: Some(source.to_owned()),
            clock_sources: all.to_owned(),
            ..CpuFacts::default()
        };
        assert_eq!(clock_source(&facts("tsc", "tsc hpet")).status, Status::Ok);
        let slow = clock_source(&facts("hpet", "tsc hpet acpi_pm"));
        assert_eq!(slow.status, Status::Advice);
        assert!(slow.remedy.expect("a way out").starts_with("echo tsc >"));
        let without = clock_source(&facts("acpi_pm", "acpi_pm")).remedy.expect("a way out");
        assert!(without.starts_with("dmesg"));
    }

    #[test]
    fn governors_and_nodes() {
        let mut facts = CpuFacts::default();
        assert_eq!(governor(&facts).status, Status::Ok);
        facts.governors.insert("powersave".to_owned(), 4);
        let verdict = governor(&facts);
        assert_eq!((verdict.status, verdict.settings.len()), (Status::Advice, 1));
        assert_eq!(memory_nodes(&facts).status, Status::Ok);
        facts.nodes = vec![vec![0, 1], vec![2, 3]];
        facts.shard_cores = vec![2, 3];
        assert_eq!(memory_nodes(&facts).status, Status::Ok);
        facts.shard_cores = vec![0, 1, 2];
        assert_eq!(memory_nodes(&facts).status, Status::Advice);
        facts.balancing = Some(1);
        assert_eq!(memory_nodes(&facts).settings, [Setting::Sysctl("kernel.numa_balancing", "0".to_owned())]);
    }
}

//! The machine that was measured on, as far as it bears on figures.

use std::fs;
use std::io;

use serde::Serialize;

/// Clock sources that only exist below a hypervisor, and which one that is.
const HYPERVISOR_CLOCKS: [(&str, &str); 3] = [("kvm-clock", "KVM"), ("hyperv", "Hyper-V"), ("xen", "Xen")];

/// This machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Machine {
    /// As the processor names itself.
    pub(crate) processor: String,
    /// Processors that the kernel runs, in every thread's sense.
    pub(crate) processor_count: usize,
    /// What decides their frequency (`performance`, `schedutil`); unknown on most virtual machines.
    pub(crate) governor: Option<String>,
    /// What this machine runs on: a hypervisor's name, `unknown hypervisor`, or `None` on bare metal.
    pub(crate) virtualisation: Option<String>,
    /// Release of the kernel.
    pub(crate) kernel: String,
    /// Physical memory.
    pub(crate) memory_bytes: u64,
    /// Memory that could be had without swapping when the report was begun.
    pub(crate) memory_available_bytes: u64,
    /// Whether free pages are given back to the host, which makes fresh page cache dear.
    pub(crate) reports_free_pages: bool,
    /// Runnable threads over the last minute, before the measurement.
    pub(crate) load_average: Option<f64>,
}

impl Machine {
    /// Describes this machine.
    pub(crate) fn here() -> io::Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let bytes = |name| {
            kibibytes(&memory, name)
                .ok_or_else(|| io::Error::other(format!("/proc/meminfo does not say {name}")))
        };
        Ok(Self {
            processor: value_of(&processors, "model name").unwrap_or("unknown").to_owned(),
            processor_count: processor_count(&processors),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            virtualisation: virtualisation(&processors),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            memory_bytes: bytes("MemTotal")?,
            memory_available_bytes: bytes("MemAvailable")?,
            reports_free_pages: fs::exists("/sys/module/page_reporting").unwrap_or(false),
            load_average: line("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        })
    }
}

/// Processors in `/proc/cpuinfo`.
pub(crate) fn processor_count(cpuinfo: &str) -> usize {
    cpuinfo.lines().filter(|line| line.starts_with("processor")).count()
}

fn virtualisation(cpuinfo: &str) -> Option<String> {
    let flags = value_of(cpuinfo, "flags")?;
    if !flags.split(' ').any(|flag| flag == "hypervisor") {
        return None;
    }
    let clocks = line("/sys/devices/system/clocksource/clocksource0/available_clocksource");
    let clocks = clocks.unwrap_or_default();
    let named = HYPERVISOR_CLOCKS.iter().find(|(clock, _)| clocks.contains(clock));
    let product = line("/sys/class/dmi/id/product_name").map(|name| format!(" ({name})"));
    let name = named.map_or("unknown hypervisor", |(_, name)| name);
    Some(name.to_owned() + &product.unwrap_or_default())
}

/// A file of one line; `None` if it is not there or empty.
fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Bytes of a line `name : 12 kB`.
pub(crate) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let count: u64 = value_of(text, name)?.strip_suffix("kB")?.trim().parse().ok()?;
    count.checked_mul(1024)
}

/// The value in the line `name : value`.
pub(crate) fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_described() {
        let machine = Machine::here().expect("readable");
        assert!(machine.processor_count > 0);
        assert!(machine.memory_bytes >= machine.memory_available_bytes);
        assert!(!machine.kernel.is_empty());
    }

    #[test]
    fn bare_metal_has_no_hypervisor() {
        assert_eq!(virtualisation("flags\t\t: fpu sse2\n"), None);
        assert!(virtualisation("flags\t\t: fpu hypervisor sse2\n").is_some());
    }

    #[test]
    fn values_stand_behind_their_names() {
        assert_eq!(kibibytes("MemTotal:   2048 kB\n", "MemTotal"), Some(2 << 20));
        assert_eq!(kibibytes("MemTotal:   2048\n", "MemTotal"), None);
        assert_eq!(processor_count("processor\t: 0\nx : y\nprocessor\t: 1\n"), 2);
    }
}

//! The devices below the data directory: who orders their requests, how many wait, whether they turn.

use super::finding::{Setting, Status, Verdict};
use super::volume::Device;

/// Fewer requests in the queue make a device idle between rounds of several shards.
const REQUESTS_MIN: u64 = 64;

pub(super) fn scheduler(devices: &[Device]) -> Vec<Verdict> {
    per_device(devices, |device| {
        let name = &device.name;
        // A device that is made of others, or that takes requests at once, has none.
        let Some(scheduler) = &device.scheduler else {
            return Verdict::ok(format!("{name}: none to choose"));
        };
        let wanted = if device.is_rotational && !device.is_virtual { "mq-deadline" } else { "none" };
        let is_fine = match scheduler.as_str() {
            "mq-deadline" => true,
            "none" => wanted == "none",
            _ => false,
        };
        if is_fine {
            return Verdict::ok(format!("{name}: {scheduler}"));
        }
        let offers = |name: &str| device.schedulers.split(['[', ']', ' ']).any(|offered| offered == name);
        let wanted = if offers(wanted) { wanted } else { "mq-deadline" };
        set_attribute(Status::Advice, device, format!("{name}: {scheduler}"), "scheduler", wanted)
    })
}

pub(super) fn rotation(devices: &[Device]) -> Vec<Verdict> {
    per_device(devices, |device| {
        let name = &device.name;
        match (device.is_rotational, device.is_virtual) {
            (false, _) => Verdict::ok(format!("{name}: does not turn")),
            (true, true) => {
                Verdict::ok(format!("{name}: said to turn, as virtual disks do unless told otherwise"))
            }
            (true, false) => Verdict::advice(
                format!("{name}: turns"),
                "put data_dir on a solid-state drive; ringmain check disk measures what this one gives",
            ),
        }
    })
}

pub(super) fn queue(devices: &[Device]) -> Vec<Verdict> {
    per_device(devices, |device| {
        let name = &device.name;
        match device.requests {
            None => Verdict::ok(format!("{name}: not told")),
            Some(requests) if requests < REQUESTS_MIN => {
                let found = format!("{name}: {requests} requests");
                set_attribute(Status::Advice, device, found, "nr_requests", "256")
            }
            Some(requests) => Verdict::ok(format!("{name}: {requests} requests")),
        }
    })
}

/// A verdict whose remedy sets an attribute of the device's queue, now and by a rule for later.
pub(super) fn set_attribute(
    status: Status,
    device: &Device,
    found: String,
    attribute: &str,
    value: &str,
) -> Verdict {
    let name = &device.name;
    let rule = format!(
        "ACTION==\"add|change\", SUBSYSTEM==\"block\", KERNEL==\"{name}\", ATTR{{queue/{attribute}}}=\"{value}\""
    );
    let remedy = format!("echo '{value}' > /sys/block/{name}/queue/{attribute}");
    Verdict { status, ..Verdict::advice(found, remedy) }.mended_by(Setting::Udev(rule))
}

pub(super) fn per_device(devices: &[Device], judge: impl Fn(&Device) -> Verdict) -> Vec<Verdict> {
    if devices.is_empty() {
        return vec![Verdict::ok("no block device is known below the data directory")];
    }
    devices.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(scheduler: &str, is_rotational: bool) -> Device {
        Device {
            name: "sdb".to_owned(),
            scheduler: Some(scheduler.to_owned()),
            schedulers: "none mq-deadline [bfq]".to_owned(),
            is_rotational,
            requests: Some(32),
            ..Device::default()
        }
    }

    #[test]
    fn schedulers_that_weigh_are_replaced() {
        let judge = |device: Device| scheduler(&[device]).remove(0);
        assert_eq!(judge(device("none", false)).status, Status::Ok);
        assert_eq!(judge(device("mq-deadline", false)).status, Status::Ok);
        assert_eq!(
            judge(device("none", true)).remedy.as_deref(),
            Some("echo 'mq-deadline' > /sys/block/sdb/queue/scheduler")
        );
        let weighing = judge(device("bfq", false));
        assert_eq!(weighing.remedy.as_deref(), Some("echo 'none' > /sys/block/sdb/queue/scheduler"));
        let rule =
            "ACTION==\"add|change\", SUBSYSTEM==\"block\", KERNEL==\"sdb\", ATTR{queue/scheduler}=\"none\"";
        assert_eq!(weighing.settings, [Setting::Udev(rule.to_owned())]);
    }

    #[test]
    fn turning_disks_and_short_queues() {
        assert_eq!(rotation(&[device("none", true)])[0].status, Status::Advice);
        assert_eq!(rotation(&[Device { is_virtual: true, ..device("none", true) }])[0].status, Status::Ok);
        assert_eq!(queue(&[device("none", false)])[0].status, Status::Advice);
        assert_eq!(queue(&[Device { requests: Some(256), ..device("none", false) }])[0].status, Status::Ok);
        assert_eq!(queue(&[])[0].status, Status::Ok);
    }
}

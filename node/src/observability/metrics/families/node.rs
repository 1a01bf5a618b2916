//! This process, the machine under it, and the disk that holds the data.

use std::time::UNIX_EPOCH;

use super::{
    super::{
        family::{Family, Kind},
        text::Samples,
    },
    NodeSnapshot,
};
use crate::observability::snapshot::{DiskSpace, ProcessNumbers};

/// In the order of the reference.
pub(super) static FAMILIES: [Family; 12] = [
    Family {
        name: "ringmain_build",
        kind: Kind::Info,
        labels: &["version"],
        help: "The release that runs here.",
        look: "",
        write: |_, to| to.put(&[&env!("CARGO_PKG_VERSION")], 1.0),
    },
    Family {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the process started, since the Unix epoch.",
        look: "a node came back without anybody having started it",
        write: |it, to| of_process(it, to, |process| process.start_seconds),
    },
    Family {
        name: "process_cpu_seconds",
        kind: Kind::Counter,
        labels: &[],
        help: "Time of processors that the process took, of all its threads.",
        look: "it comes near the number of shards a second: the node is at its limit",
        write: |it, to| of_process(it, to, |process| process.cpu_seconds),
    },
    Family {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Memory of the process that is in the machine.",
        look: "it grows beyond the budgets of the configuration",
        write: |it, to| of_process(it, to, |process| process.resident_bytes as f64),
    },
    Family {
        name: "process_virtual_memory_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Address space of the process.",
        look: "",
        write: |it, to| of_process(it, to, |process| process.virtual_bytes as f64),
    },
    Family {
        name: "process_open_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Descriptors that are open: connections, segments, rings.",
        look: "it comes near `process_max_fds`",
        write: |it, to| of_process(it, to, |process| process.open_files as f64),
    },
    Family {
        name: "process_max_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Descriptors that may be open.",
        look: "",
        write: |it, to| {
            if let Some(max) = it.process.and_then(|process| process.open_files_max) {
                to.count(&[], max);
            }
        },
    },
    Family {
        name: "process_threads",
        kind: Kind::Gauge,
        labels: &[],
        help: "Threads of the process.",
        look: "",
        write: |it, to| of_process(it, to, |process| process.threads as f64),
    },
    Family {
        name: "ringmain_disk_size_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Size of the file system that holds the data.",
        look: "",
        write: |it, to| of_disk(it, to, |disk| disk.size_bytes),
    },
    Family {
        name: "ringmain_disk_free_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "What is free of it for this process.",
        look: "it falls: see the runbook of a disk that fills up",
        write: |it, to| of_disk(it, to, |disk| disk.free_bytes),
    },
    Family {
        name: "ringmain_disk_free_inodes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Files that can still be made on it.",
        look: "it comes near 0: small segments of many partitions",
        write: |it, to| of_disk(it, to, |disk| disk.free_inodes),
    },
    Family {
        name: "ringmain_certificate_expiry_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the other nodes will refuse the certificate of this one, since the Unix epoch.",
        look: "it is less than a month away",
        write: |it, to| {
            let since_epoch = it.certificate_until.and_then(|until| until.duration_since(UNIX_EPOCH).ok());
            if let Some(since_epoch) = since_epoch {
                to.count(&[], since_epoch.as_secs());
            }
        },
    },
];

fn of_process(snapshot: &NodeSnapshot, to: &mut Samples<'_>, value: fn(&ProcessNumbers) -> f64) {
    if let Some(process) = &snapshot.process {
        to.put(&[], value(process));
    }
}

fn of_disk(snapshot: &NodeSnapshot, to: &mut Samples<'_>, value: fn(&DiskSpace) -> u64) {
    if let Some(disk) = &snapshot.disk {
        to.count(&[], value(disk));
    }
}

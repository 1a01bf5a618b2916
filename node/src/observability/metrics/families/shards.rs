//! How each shard gets on: stages of produced batches, delays, memory.

use super::super::family::{Family, Kind};

/// In the order of the reference.
pub(super) static FAMILIES: [Family; 14] = [
    Family {
        name: "ringmain_produce_stage_seconds",
        kind: Kind::Histogram,
        labels: &["shard", "stage"],
        help: "Time of produced batches in each stage between receiving and answering.",
        look: "producers are slow: see [the stages](operating.md#where-the-time-of-producers-goes)",
        write: |it, to| {
            for shard in &it.shards {
                for (stage, values) in shard.stages.iter() {
                    to.histogram(&[&shard.shard, &stage], values);
                }
            }
        },
    },
    Family {
        name: "ringmain_shard_delay_seconds",
        kind: Kind::Histogram,
        labels: &["shard"],
        help: "How late the shard came to something that was due, asked ten times a second: so long a request may have waited.",
        look: "it is above some milliseconds: the core is shared, or one request holds the shard",
        write: |it, to| {
            for shard in &it.shards {
                to.histogram(&[&shard.shard], &shard.delays);
            }
        },
    },
    Family {
        name: "ringmain_shard_snapshot_age_seconds",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "How old the numbers of this shard are: above a second it does not answer.",
        look: "it grows: the shard stands still",
        write: |it, to| {
            for shard in &it.shards {
                let age = it.taken.saturating_duration_since(shard.taken);
                to.put(&[&shard.shard], age.as_secs_f64());
            }
        },
    },
    Family {
        name: "ringmain_shard_turns",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Times that the shard was seen to go on: its loop turns, its rounds end, its disk answers; ten a second.",
        look: "it stands still",
        write: |it, to| {
            for (shard, (turns, _)) in it.turns.iter().enumerate() {
                to.count(&[&shard], *turns);
            }
        },
    },
    Family {
        name: "ringmain_shard_silence_seconds",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "For how long the shard has not gone on.",
        look: "it is above a second: the shard, or its disk, stands still",
        write: |it, to| {
            for (shard, (_, silence)) in it.turns.iter().enumerate() {
                to.put(&[&shard], silence.as_secs_f64());
            }
        },
    },
    Family {
        name: "ringmain_request_held_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Request bytes under way, of limits.shard_in_flight_bytes_max.",
        look: "it stays near its limit: sockets are not read meanwhile",
        write: |it, to| to.shards(it, |shard| shard.request_bytes.0 as u64),
    },
    Family {
        name: "ringmain_request_held_limit_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "How many there may be.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.request_bytes.1 as u64),
    },
    Family {
        name: "ringmain_unwritten_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Records accepted and not yet written, of memory.unwritten_bytes_per_shard.",
        look: "it stays near its limit: the disk is behind",
        write: |it, to| to.shards(it, |shard| shard.store.unwritten_bytes as u64),
    },
    Family {
        name: "ringmain_unwritten_limit_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "How many there may be.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.store.unwritten_bytes_max as u64),
    },
    Family {
        name: "ringmain_tail_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Newest records kept in memory for readers, of memory.tail_bytes_per_shard.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.store.tail_bytes as u64),
    },
    Family {
        name: "ringmain_tail_limit_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "How many there may be.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.store.tail_bytes_max as u64),
    },
    Family {
        name: "ringmain_buffers_allocated_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Memory of the buffers for disk operations and tails.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.store.buffers.allocated_bytes as u64),
    },
    Family {
        name: "ringmain_buffers_free_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Of that, what is kept for reuse.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.store.buffers.free_bytes as u64),
    },
    Family {
        name: "ringmain_buffers_limit_bytes",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "How much there may be.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.store.buffers.budget_bytes as u64),
    },
];

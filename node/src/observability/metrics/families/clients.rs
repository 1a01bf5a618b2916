//! What clients ask, what they are told, and how much goes to and fro.

use std::collections::BTreeMap;

use ringmain_protocol::{ApiKey, ErrorCode};

use super::{
    super::family::{Family, Kind},
    NodeSnapshot,
};
use crate::observability::HistogramValues;

/// In the order of the reference.
pub(super) static FAMILIES: [Family; 17] = [
    Family {
        name: "ringmain_requests",
        kind: Kind::Counter,
        labels: &["shard", "api"],
        help: "Requests received, by Kafka's name of their API.",
        look: "one API is asked for far more often than before",
        write: |it, to| {
            for shard in &it.shards {
                for (api_key, count) in &shard.requests.received {
                    to.count(&[&shard.shard, api_key], *count);
                }
            }
        },
    },
    Family {
        name: "ringmain_request_errors",
        kind: Kind::Counter,
        labels: &["api", "error"],
        help: "Error codes in answers, by API and by Kafka's name of the code; an answer may have several.",
        look: "producers or consumers complain: it says what they are told",
        write: |it, to| {
            let mut errors = BTreeMap::new();
            for (api_key, code, count) in it.shards.iter().flat_map(|shard| &shard.requests.errors) {
                *errors.entry((*api_key, code.0)).or_default() += *count;
            }
            for ((api_key, code), count) in errors {
                to.count(&[&api_key, &ErrorCode(code)], count);
            }
        },
    },
    Family {
        name: "ringmain_request_seconds",
        kind: Kind::Histogram,
        labels: &["api"],
        help: "Time from a request that is complete to its answer with the kernel, of all shards; APIs that are not of producers or consumers together as other.",
        look: "clients are slow; a fetch waits as long as its client allows",
        write: |it, to| {
            for (api_key, seconds) in request_seconds(it) {
                let name = api_key.map_or_else(|| "other".to_owned(), |api_key| api_key.to_string());
                to.histogram(&[&name], &seconds);
            }
        },
    },
    Family {
        name: "ringmain_requests_refused",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Requests that could not be answered and ended their connection.",
        look: "a client speaks another version, or no Kafka at all",
        write: |it, to| to.shards(it, |shard| shard.counters.requests_refused),
    },
    Family {
        name: "ringmain_frames_refused",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Frames of impossible length, each of which ended its connection.",
        look: "something that is no Kafka client dials the port",
        write: |it, to| to.shards(it, |shard| shard.counters.frames_refused),
    },
    Family {
        name: "ringmain_connections_open",
        kind: Kind::Gauge,
        labels: &["shard"],
        help: "Connections of clients that are open.",
        look: "it falls at once (clients are gone) or comes near the limit",
        write: |it, to| to.shards(it, |shard| shard.connections_open),
    },
    Family {
        name: "ringmain_connections_max",
        kind: Kind::Gauge,
        labels: &[],
        help: "Connections that there may be on the whole node.",
        look: "",
        write: |it, to| to.count(&[], it.connections_max as u64),
    },
    Family {
        name: "ringmain_connections_accepted",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Connections accepted.",
        look: "it grows fast while as many stay open: clients connect anew all the time",
        write: |it, to| to.shards(it, |shard| shard.counters.connections_accepted),
    },
    Family {
        name: "ringmain_connections_refused",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Connections closed at once: the node had as many as it may have.",
        look: "it grows at all",
        write: |it, to| to.shards(it, |shard| shard.counters.connections_refused),
    },
    Family {
        name: "ringmain_connections_idle_closed",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Connections closed because nothing moved for limits.connection_idle_ms.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.counters.connections_idle_closed),
    },
    Family {
        name: "ringmain_received_bytes",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Bytes received from clients.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.counters.received_bytes),
    },
    Family {
        name: "ringmain_sent_bytes",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Bytes sent to clients from memory.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.counters.sent_bytes),
    },
    Family {
        name: "ringmain_sendfile_bytes",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Bytes sent to clients from segments, past the memory of the process.",
        look: "consumers read old records",
        write: |it, to| to.shards(it, |shard| shard.counters.sendfile_bytes),
    },
    Family {
        name: "ringmain_appended_batches",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Batches of producers in the log, as their leader.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.counters.appended_batches),
    },
    Family {
        name: "ringmain_appended_records",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Records of producers in the log, as their leader.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.counters.appended_records),
    },
    Family {
        name: "ringmain_appended_bytes",
        kind: Kind::Counter,
        labels: &["shard"],
        help: "Bytes of producers in the log, compressed as they came, as their leader.",
        look: "",
        write: |it, to| to.shards(it, |shard| shard.counters.appended_bytes),
    },
    Family {
        name: "ringmain_fetched_bytes",
        kind: Kind::Counter,
        labels: &["shard", "source"],
        help: "Record bytes read for consumers: from the newest records in memory, or from segments.",
        look: "the share of segments grows: consumers lag behind, or the memory for tails is small",
        write: |it, to| {
            for shard in &it.shards {
                to.count(&[&shard.shard, &"memory"], shard.counters.fetched_memory_bytes);
                to.count(&[&shard.shard, &"segment"], shard.counters.fetched_file_bytes);
            }
        },
    },
];

/// The times of answers, of all shards together; without those APIs that nobody asked for.
fn request_seconds(snapshot: &NodeSnapshot) -> BTreeMap<Option<ApiKey>, HistogramValues> {
    let mut sums: BTreeMap<Option<ApiKey>, HistogramValues> = BTreeMap::new();
    for (api_key, seconds) in snapshot.shards.iter().flat_map(|shard| &shard.requests.seconds) {
        if seconds.count() > 0 {
            sums.entry(*api_key).and_modify(|sum| sum.add(seconds)).or_insert_with(|| seconds.clone());
        }
    }
    sums
}

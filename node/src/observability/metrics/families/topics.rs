//! Traffic and size by topic: `metrics.topics_max` of them by name, all others together.

use super::super::family::{Family, Kind};

/// In the order of the reference.
pub(super) static FAMILIES: [Family; 7] = [
    Family {
        name: "ringmain_topic_appended_records",
        kind: Kind::Counter,
        labels: &["topic"],
        help: "Records of producers that this node appended as leader; an empty topic is all without metrics of their own.",
        look: "a topic is written to far more, or not at all",
        write: |it, to| {
            it.topics.iter().for_each(|topic| to.count(&[&topic.topic], topic.traffic.appended_records))
        },
    },
    Family {
        name: "ringmain_topic_appended_batches",
        kind: Kind::Counter,
        labels: &["topic"],
        help: "The same in batches.",
        look: "batches are small: producers that do not wait for more",
        write: |it, to| {
            it.topics.iter().for_each(|topic| to.count(&[&topic.topic], topic.traffic.appended_batches))
        },
    },
    Family {
        name: "ringmain_topic_appended_bytes",
        kind: Kind::Counter,
        labels: &["topic"],
        help: "The same in bytes, as they came.",
        look: "",
        write: |it, to| {
            it.topics.iter().for_each(|topic| to.count(&[&topic.topic], topic.traffic.appended_bytes))
        },
    },
    Family {
        name: "ringmain_topic_fetched_bytes",
        kind: Kind::Counter,
        labels: &["topic"],
        help: "Record bytes read for consumers here.",
        look: "",
        write: |it, to| {
            it.topics.iter().for_each(|topic| to.count(&[&topic.topic], topic.traffic.fetched_bytes))
        },
    },
    Family {
        name: "ringmain_topic_partitions",
        kind: Kind::Gauge,
        labels: &["topic"],
        help: "Replicas that this node keeps.",
        look: "",
        write: |it, to| it.topics.iter().for_each(|topic| to.count(&[&topic.topic], topic.partitions)),
    },
    Family {
        name: "ringmain_topic_size_bytes",
        kind: Kind::Gauge,
        labels: &["topic"],
        help: "Bytes of the logs that this node keeps.",
        look: "the disk fills: it says whose records they are",
        write: |it, to| it.topics.iter().for_each(|topic| to.count(&[&topic.topic], topic.size_bytes)),
    },
    Family {
        name: "ringmain_topic_segments",
        kind: Kind::Gauge,
        labels: &["topic"],
        help: "Segments of the logs that this node keeps.",
        look: "",
        write: |it, to| it.topics.iter().for_each(|topic| to.count(&[&topic.topic], topic.segments)),
    },
];

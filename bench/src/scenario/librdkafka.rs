//! Scenarios through librdkafka: `produce`, `end-to-end`, and `consume` of what lies there.
//!
//! The wire client makes the topic, fills what is read, and verifies that the log grew by what was sent.
//! Payload is the bytes of the values, and each record counts as a request: how the library packs them
//! is its own business, and one of the facts.

use std::io;

use ringmain_protocol::messages::LATEST_TIMESTAMP;

use crate::driver::librdkafka::{self, Driven, Fetching, Receiving, Sending};
use crate::driver::wire::client::other;
use crate::driver::wire::leaders::Leaders;
use crate::outcome::{Better, Fact, NamedLatency, Outcome, Phase};
use crate::scenario::cold_files::ColdFiles;
use crate::scenario::consume::{fill, ranges};
use crate::scenario::options::{Codec, ReadFrom};
use crate::scenario::settings::Settings;
use crate::scenario::topic::with_topic;
use crate::scenario::{Context, Kind};
use crate::target::Target;

/// Runs a scenario against a broker.
pub(crate) fn run(
    kind: Kind,
    target: &Target,
    settings: &Settings,
    context: &Context,
) -> io::Result<Outcome> {
    if settings.codec != Codec::None {
        return Err(other("records are not compressed through librdkafka here".into()));
    }
    with_topic(target, settings, settings.partitions, context, |topic| match kind {
        Kind::Produce => produce(target, topic, settings, context),
        Kind::EndToEnd => end_to_end(target, topic, settings, context),
        Kind::Consume => consume(target, topic, settings, context),
        _ => Err(other(format!("{} does not know librdkafka", kind.name()))),
    })
}

/// The library's settings and version, for reports.
pub(crate) fn settings_of(kind: Kind, settings: &Settings) -> io::Result<Vec<(&'static str, String)>> {
    let mut all = vec![("version", librdkafka::version())];
    if kind != Kind::Consume {
        all.extend(librdkafka::producer_settings(&sending(settings)?));
    }
    if kind != Kind::Produce {
        all.extend(librdkafka::consumer_settings(&fetching(settings)));
    }
    Ok(all)
}

fn produce(target: &Target, topic: &str, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    let before = log_end(target, topic, settings)?;
    let sending = sending(settings)?;
    let count = context.processor_count;
    let driven = librdkafka::produce(target.address, &target.processes, topic, &sending, count)?;
    let grown = log_end(target, topic, settings)? - before;
    if u64::try_from(grown) != Ok(driven.records) {
        return Err(other(format!("{} records were sent, but the log grew by {grown}", driven.records)));
    }
    Ok(outcome("produce", "acknowledgement", driven))
}

fn end_to_end(target: &Target, topic: &str, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    let (sending, fetching) = (sending(settings)?, fetching(settings));
    let count = context.processor_count;
    let driven =
        librdkafka::end_to_end(target.address, &target.processes, topic, &sending, &fetching, count)?;
    Ok(outcome("end to end", "end to end", driven))
}

fn consume(target: &Target, topic: &str, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    if settings.topic.is_none() {
        fill(target, topic, settings, context)?;
    }
    let bounds = ranges(target, topic)?.iter().map(|range| (range.start, range.end)).collect();
    let receiving = Receiving { bounds, passes: settings.passes, fetching: fetching(settings) };
    let read = |receiving: &Receiving| {
        librdkafka::consume(target.address, &target.processes, topic, receiving, context.processor_count)
    };
    match settings.from {
        ReadFrom::Warm => drop(read(&Receiving { passes: 1, ..receiving.clone() })?),
        ReadFrom::Cold => ColdFiles::of_topic(target, topic)?.evict_now()?,
        ReadFrom::Tail => return Err(other("the tail is read by end-to-end".into())),
    }
    Ok(outcome("consume", "response", read(&receiving)?))
}

fn log_end(target: &Target, topic: &str, settings: &Settings) -> io::Result<i64> {
    let leaders = Leaders::find(target.address, topic, settings.partitions)?;
    Ok(leaders.offsets(topic, LATEST_TIMESTAMP)?.iter().sum())
}

fn outcome(name: &'static str, latency_name: &'static str, driven: Driven) -> Outcome {
    let records = driven.records_per_batch.map(|records| Fact {
        name: "records in a batch, as librdkafka says".into(),
        value: records,
        unit: "records",
        better: Better::Neither,
    });
    let phase = Phase {
        name: name.into(),
        figures: driven.figures,
        latencies: NamedLatency::of(latency_name, &driven.latencies).into_iter().collect(),
        timeline: Vec::new(),
    };
    Outcome { phases: vec![phase], facts: records.into_iter().collect() }
}

fn sending(settings: &Settings) -> io::Result<Sending> {
    // A rate is one of requests, whose records are sent one by one here.
    let records = f64::from(settings.encode_batch()?.record_count);
    Ok(Sending {
        record_size_bytes: settings.record_size,
        batch_size_bytes: settings.batch_size,
        records_per_batch: settings.records_per_request,
        acks: settings.acks.on_wire(),
        clients: settings.connections,
        in_flight: settings.in_flight,
        partitions: settings.partitions,
        rate: settings.rate.map(|rate| rate * records),
        warm_up: settings.warm_up,
        duration: settings.seconds,
    })
}

fn fetching(settings: &Settings) -> Fetching {
    Fetching {
        partition_max_bytes: settings.partition_max_bytes,
        max_bytes: settings.max_bytes,
        verify_checksums: settings.verify_checksums,
    }
}

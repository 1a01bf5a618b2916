//! Scenario `consume`: reads a topic from its start to its end as fast as the broker answers.
//!
//! `warm`: what was read just before, so that it lies in memory wherever the broker keeps it.
//! `cold`: its files were taken out of the page cache, so that the broker must read its disk.
//! `tail`: while it is produced (`fan-out` with one consumer).
//!
//! Every record must come, in order and once for each pass. What the broker read from its devices is
//! reported, so that warm and cold are not a matter of trust.

use std::fs;
use std::io;

use ringmain_protocol::messages::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};

use crate::driver::wire::client::{Client, other};
use crate::driver::wire::reader::Range;
use crate::outcome::{Better, Fact, Outcome};
use crate::scenario::Context;
use crate::scenario::cold_files::ColdFiles;
use crate::scenario::fan_out;
use crate::scenario::options::ReadFrom;
use crate::scenario::session::Session;
use crate::scenario::settings::Settings;
use crate::scenario::topic::with_topic;
use crate::target::Target;

/// Share of the bytes that the broker read from its devices, when all of it should be.
pub(crate) const COLD_FROM_DEVICES: &str = "share of cold bytes read from devices";

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    if settings.from == ReadFrom::Tail {
        return fan_out::run(target, settings, context);
    }
    with_topic(target, settings, settings.partitions, context, |topic| {
        if settings.topic.is_none() {
            fill(target, topic, settings, context)?;
        }
        read(target, topic, settings, context)
    })
}

/// Produces what is to be read, as fast as the broker answers.
pub(crate) fn fill(target: &Target, topic: &str, settings: &Settings, context: &Context) -> io::Result<()> {
    let mut session = Session::new(context, target, topic, settings.partitions)?;
    let filling = Settings { rate: None, ..settings.clone() };
    session.produce(&filling.encode_batch()?, filling.producers())?;
    session.produce_bytes(settings.bytes)?;
    session.finish_and_verify().map(drop)
}

/// What the topic holds now.
pub(crate) fn ranges(target: &Target, topic: &str) -> io::Result<Vec<Range>> {
    let mut client = Client::connect(target.address)?;
    let partitions = client.partition_count(topic)?;
    let starts = client.offsets(topic, partitions, EARLIEST_TIMESTAMP)?;
    let ends = client.offsets(topic, partitions, LATEST_TIMESTAMP)?;
    let bounds = (0_i32..).zip(starts.into_iter().zip(ends));
    Ok(bounds.map(|(partition, (start, end))| Range::new(partition, start, end)).collect())
}

fn read(target: &Target, topic: &str, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    let ranges = ranges(target, topic)?;
    let held: i64 = ranges.iter().map(|range| range.end - range.start).sum();
    if held == 0 {
        return Err(other(format!("topic {topic} holds nothing to read")));
    }
    let mut session = Session::new(context, target, topic, 1)?;
    session.read(topic, ranges, settings.readers, settings.reading())?;
    if settings.from == ReadFrom::Cold {
        ColdFiles::of_topic(target, topic)?.evict_now()?;
    } else {
        session.read_all()?;
    }
    let before = device_reads(target);
    let window = session.measure_passes("consume", settings.passes)?;
    let from_device = device_reads(target).zip(before).map(|(after, before)| after.saturating_sub(before));
    let (work, passes) = (window.consumed.work(), u64::from(settings.passes));
    if i64::try_from(work.records / passes) != Ok(held) || !work.records.is_multiple_of(passes) {
        return Err(other(format!("{} records came in {passes} passes over {held}", work.records)));
    }
    let phase = window.phase("consume", &window.consumed, None);
    // With several passes only the first one is cold.
    let passes = if settings.from == ReadFrom::Cold { passes } else { 1 };
    let facts = from_device.map(|bytes| Fact {
        name: match settings.from {
            ReadFrom::Cold => COLD_FROM_DEVICES.into(),
            _ => "share read from devices".into(),
        },
        value: bytes as f64 * passes as f64 / work.bytes.max(1) as f64,
        unit: "ratio",
        better: Better::Neither,
    });
    Ok(Outcome { phases: vec![phase], facts: facts.into_iter().collect() })
}

/// Bytes that the broker had fetched from block devices so far; unknown without its process, or
/// without the right to look.
fn device_reads(target: &Target) -> Option<u64> {
    let counters = fs::read_to_string(format!("/proc/{}/io", target.processes.first()?)).ok()?;
    counters.lines().find_map(|line| line.strip_prefix("read_bytes: ")?.parse().ok())
}

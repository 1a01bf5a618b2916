//! Scenario `mixed`: producers at a rate, first alone, then while readers fetch an older topic from
//! disk as fast as they get it.
//!
//! What matters is by how much the readers worsen the producers' latency. The older topic's files are
//! taken out of the page cache before each pass, on a thread of its own.

use std::io;

use crate::driver::wire::client::other;
use crate::outcome::{Better, Fact, NamedLatency, Outcome};
use crate::scenario::Context;
use crate::scenario::cold_files::ColdFiles;
use crate::scenario::consume::{fill, ranges};
use crate::scenario::session::{Session, Window};
use crate::scenario::settings::Settings;
use crate::scenario::topic::with_topic;
use crate::target::Target;

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    with_topic(target, settings, 1, context, |cold| {
        fill(target, cold, &Settings { partitions: 1, ..settings.clone() }, context)?;
        let mut files = ColdFiles::of_topic(target, cold)?;
        // Writing back what was filled must not fall into the measurement.
        files.evict_now()?;
        with_topic(target, settings, settings.partitions, context, |topic| {
            drive(target, topic, (cold, files), settings, context)
        })
    })
}

fn drive(
    target: &Target,
    topic: &str,
    (cold, files): (&str, ColdFiles),
    settings: &Settings,
    context: &Context,
) -> io::Result<Outcome> {
    let mut session = Session::new(context, target, topic, settings.partitions)?;
    session.produce(&settings.encode_batch()?, settings.producers())?;
    session.warm_up(settings.warm_up)?;
    let alone = session.measure("producers alone", settings.seconds)?;
    session.read(cold, ranges(target, cold)?, settings.readers, settings.reading())?;
    session.read_cold_files(files)?;
    session.warm_up(settings.warm_up / 2)?;
    let beside = session.measure("producers beside cold readers", settings.seconds)?;
    session.stop_reading();
    session.finish_and_verify()?;
    if beside.consumed.work().records == 0 {
        return Err(other("the cold readers got nothing".into()));
    }
    let facts = ["p50", "p99"].iter().filter_map(|percentile| ratio(percentile, &alone, &beside));
    Ok(Outcome {
        facts: facts.collect(),
        phases: vec![
            alone.produce_phase("producers alone"),
            beside.produce_phase("producers beside cold readers"),
            beside.phase("cold readers", &beside.consumed, None),
        ],
    })
}

/// How many times as long producers wait beside the readers.
fn ratio(percentile: &str, alone: &Window, beside: &Window) -> Option<Fact> {
    let of = |latency: NamedLatency| match percentile {
        "p50" => latency.summary.p50,
        _ => latency.summary.p99,
    };
    let value = of(beside.produced.latency()?) / of(alone.produced.latency()?).max(f64::MIN_POSITIVE);
    Some(Fact {
        name: format!("{percentile} beside readers to alone"),
        value,
        unit: "ratio",
        better: Better::Lower,
    })
}

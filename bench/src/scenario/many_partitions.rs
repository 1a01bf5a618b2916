//! Scenario `many-partitions`: the same bytes to one partition, then over many, in one run.
//!
//! A log of each partition has to be written and made durable; how much that costs is the ratio.

use std::io;

use crate::outcome::{Better, Fact, Outcome};
use crate::scenario::Context;
use crate::scenario::session::{Session, Window};
use crate::scenario::settings::Settings;
use crate::scenario::topic::with_topic;
use crate::target::Target;

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    let one = measure(target, &Settings { partitions: 1, ..settings.clone() }, "one partition", context)?;
    let many = measure(target, settings, "many partitions", context)?;
    let of = |window: &Window| window.produced.work().bytes as f64;
    let facts = vec![
        Fact {
            name: "throughput over many partitions to one".into(),
            value: of(&many) / of(&one).max(1.0),
            unit: "ratio",
            better: Better::Higher,
        },
        Fact {
            name: "partitions".into(),
            value: f64::from(settings.partitions),
            unit: "partitions",
            better: Better::Neither,
        },
    ];
    Ok(Outcome {
        phases: vec![one.produce_phase("one partition"), many.produce_phase("many partitions")],
        facts,
    })
}

fn measure(target: &Target, settings: &Settings, what: &str, context: &Context) -> io::Result<Window> {
    let batch = settings.encode_batch()?;
    with_topic(target, settings, settings.partitions, context, |topic| {
        let mut session = Session::new(context, target, topic, settings.partitions)?;
        session.produce(&batch, settings.producers())?;
        session.warm_up(settings.warm_up)?;
        let window = session.measure(what, settings.seconds)?;
        session.finish_and_verify()?;
        Ok(window)
    })
}

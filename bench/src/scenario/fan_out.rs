//! Scenario `fan-out`: several consumers, each of which gets every record while it is produced.
//!
//! `consume` from the tail is the same with one consumer. At the end each consumer must have got
//! exactly what was produced.

use std::io;

use crate::outcome::{Better, Fact, Outcome};
use crate::scenario::Context;
use crate::scenario::session::Session;
use crate::scenario::settings::Settings;
use crate::scenario::topic::with_topic;
use crate::target::Target;

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    let batch = settings.encode_batch()?;
    with_topic(target, settings, settings.partitions, context, |topic| {
        let mut session = Session::new(context, target, topic, settings.partitions)?;
        session.produce(&batch, settings.producers())?;
        session.follow(settings.consumers, settings.reading())?;
        session.warm_up(settings.warm_up)?;
        let window = session.measure("fan-out", settings.seconds)?;
        session.finish_and_verify()?;
        let phases = vec![window.phase("consume", &window.consumed, None), window.produce_phase("produce")];
        let fact = Fact {
            name: "consumers".into(),
            value: settings.consumers as f64,
            unit: "consumers",
            better: Better::Neither,
        };
        Ok(Outcome { phases, facts: vec![fact] })
    })
}

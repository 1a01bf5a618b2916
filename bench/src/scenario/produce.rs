//! Scenario `produce`: sends the same encoded batch as fast as the broker answers, or at a rate.
//!
//! At the end the log must have grown by exactly the records that were sent.

use std::io;

use crate::driver::wire::batch::Batch;
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
        session.warm_up(settings.warm_up)?;
        let window = session.measure("produce", settings.seconds)?;
        session.finish_and_verify()?;
        Ok(Outcome { phases: vec![window.produce_phase("produce")], facts: batch_facts(&batch) })
    })
}

/// What a request carries.
pub(crate) fn batch_facts(batch: &Batch) -> Vec<Fact> {
    let fact = |name: &str, value, unit| Fact { name: name.into(), value, unit, better: Better::Neither };
    vec![
        fact("records in a request", f64::from(batch.record_count), "records"),
        fact("size of a batch", batch.bytes.len() as f64, "B"),
        fact("size of a batch before compression", batch.uncompressed_bytes as f64, "B"),
    ]
}

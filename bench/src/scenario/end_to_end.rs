//! Scenario `end-to-end`: how long after a record should have been sent a consumer has it.
//!
//! Producers send on a schedule, a consumer waits with a fetch that the broker answers when there is
//! something. Records of a partition keep their order, so an offset says which request is behind it
//! and when that was due: nothing is written into the records. Producers and consumer are served by
//! the same thread, so no clocks need to agree.

use std::io;

use crate::outcome::Outcome;
use crate::scenario::Context;
use crate::scenario::produce::batch_facts;
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
        session.follow(1, settings.reading())?;
        session.warm_up(settings.warm_up)?;
        let window = session.measure("end to end", settings.seconds)?;
        session.finish_and_verify()?;
        let phase = window.phase("end to end", &window.consumed, Some(&window.produced));
        Ok(Outcome { phases: vec![phase], facts: batch_facts(&batch) })
    })
}

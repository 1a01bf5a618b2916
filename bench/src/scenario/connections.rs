//! Scenario `connections`: opens many connections that then idle, beside producers at a rate.
//!
//! Each is asked for something, so that it is known to be served, not only to be queued by the
//! kernel. Measured are the time that takes, the broker's memory for each, and the producers' latency
//! before and while they idle.

use std::io;
use std::time::Instant;

use crate::driver::wire::client::Client;
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
        let before = session.measure("before", settings.seconds)?;
        let rss = || target.processes.rss_bytes();
        let (rss_before, start) = (rss()?, Instant::now());
        let idle = open(target, topic, settings.idle_connections, context)?;
        let (elapsed, rss_after) = (start.elapsed(), rss()?);
        // What became due while they were opened is late by that; it is not what is asked here.
        session.warm_up(settings.warm_up)?;
        let beside = session.measure("beside idle connections", settings.seconds)?;
        session.finish_and_verify()?;
        let count = idle.len() as f64;
        for mut client in idle {
            client.partition_count(topic)?;
        }
        let fact = |name: &str, value, unit| Fact { name: name.into(), value, unit, better: Better::Lower };
        let mut facts = vec![
            fact("time to connect", elapsed.as_secs_f64() * 1e6 / count, "us a connection"),
            Fact { better: Better::Neither, ..fact("idle connections", count, "connections") },
        ];
        if let Some((before, after)) = rss_before.zip(rss_after) {
            let grown = after.saturating_sub(before) as f64 / 1024.0;
            facts.push(fact("memory for an idle connection", grown / count, "KiB"));
        }
        let phases = vec![
            before.produce_phase("before they are opened"),
            beside.produce_phase("beside idle connections"),
        ];
        Ok(Outcome { phases, facts })
    })
}

fn open(target: &Target, topic: &str, count: usize, context: &Context) -> io::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    for opened in 0..count {
        let mut client = Client::connect(target.address)?;
        client.partition_count(topic)?;
        clients.push(client);
        context.progress.tick(Instant::now(), || format!("{}: {opened} of {count} connections", target.name));
    }
    Ok(clients)
}

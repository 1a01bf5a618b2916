//! Scenario `replicated`: as `produce`, to a cluster, each record acknowledged by all in-sync replicas.
//!
//! Costs are those of all nodes whose processes were named. Connections go to the leaders of their
//! partitions; with as many partitions as connections, leaders and their load lie on several nodes.
//!
//! What must hold: all replicas were in sync when it began and when it ended, or the work of some of
//! them is missing in the costs, and the run has no result.

use std::io;
use std::time::{Duration, Instant};

use crate::context::clocks::process_cpu_time;
use crate::driver::wire::client::{Client, other};
use crate::driver::wire::cluster::ClusterView;
use crate::outcome::{Better, Fact, Outcome};
use crate::scenario::Context;
use crate::scenario::produce::batch_facts;
use crate::scenario::session::Session;
use crate::scenario::settings::Settings;
use crate::scenario::topic::with_topic;
use crate::target::Target;

/// How long replicas may take to be in sync at the begin, and those that lag at the end.
const IN_SYNC_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs the scenario against a cluster.
pub(crate) fn run(target: &Target, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    let batch = settings.encode_batch()?;
    with_topic(target, settings, settings.partitions, context, |topic| {
        await_in_sync(target, topic, settings.replication_factor)?;
        let mut session = Session::new(context, target, topic, settings.partitions)?;
        session.produce(&batch, settings.producers())?;
        session.warm_up(settings.warm_up)?;
        let before = cpu_of_each(target)?;
        let window = session.measure("replicated", settings.seconds)?;
        let used: Vec<Duration> =
            cpu_of_each(target)?.iter().zip(&before).map(|(after, before)| *after - *before).collect();
        // Before anything is waited for: who lagged behind is told by who is in sync now.
        let in_sync = lowest_in_sync(&view(target, topic)?);
        session.finish_and_verify()?;
        if in_sync < usize::try_from(settings.replication_factor).map_err(io::Error::other)? {
            return Err(other(format!("only {in_sync} replicas were in sync at the end")));
        }
        let phase = window.produce_phase("replicated");
        let mut facts = batch_facts(&batch);
        facts.push(Fact {
            name: "replicas".into(),
            value: settings.replication_factor.into(),
            unit: "copies",
            better: Better::Neither,
        });
        if let Some(broker) = phase.figures.broker {
            facts.push(Fact {
                name: "CPU of all nodes a gigabyte of copies".into(),
                value: broker.cpu_seconds_per_gigabyte / f64::from(settings.replication_factor),
                unit: "s/GB",
                better: Better::Lower,
            });
        }
        let all: Duration = used.iter().sum();
        if let Some(most) = used.iter().max().filter(|_| !all.is_zero()) {
            facts.push(Fact {
                name: "share of the busiest node in it".into(),
                value: most.as_secs_f64() / all.as_secs_f64(),
                unit: "ratio",
                better: Better::Neither,
            });
        }
        Ok(Outcome { phases: vec![phase], facts })
    })
}

fn cpu_of_each(target: &Target) -> io::Result<Vec<Duration>> {
    target.processes.ids().iter().map(|pid| Ok(process_cpu_time(*pid)?.total())).collect()
}

fn view(target: &Target, topic: &str) -> io::Result<ClusterView> {
    ClusterView::ask(&mut Client::connect(target.address)?, topic)
}

/// Of the partition that has the fewest.
fn lowest_in_sync(view: &ClusterView) -> usize {
    view.partitions.iter().map(|partition| partition.in_sync.len()).min().unwrap_or(0)
}

fn await_in_sync(target: &Target, topic: &str, replication_factor: i16) -> io::Result<()> {
    let deadline = Instant::now() + IN_SYNC_MAX;
    loop {
        let in_sync = lowest_in_sync(&view(target, topic)?);
        if i16::try_from(in_sync).is_ok_and(|count| count >= replication_factor) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(other(format!("only {in_sync} replicas are in sync before anything is sent")));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

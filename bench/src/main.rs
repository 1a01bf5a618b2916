//! Measures any Kafka-compatible broker.
//!
//! One thread sends requests that were encoded beforehand, so that the client costs as little as it
//! can and is never what is measured; the broker's CPU time and memory come from `/proc`. A run in
//! which anything went wrong has no result.

mod cli;
mod compare;
mod context;
mod driver;
mod measure;
mod null_broker;
mod report;
mod scenario;
mod schedule;
mod spawned_broker;
mod steady_memory;
mod system;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{BrokerArgs, Cli, Command, ConsumeArgs, ProduceArgs, RunArgs};
use crate::compare::Target;
use crate::context::machine;
use crate::driver::wire::client;
use crate::report::{Heading, Report};
use crate::scenario::{consume, end_to_end, produce};
use crate::spawned_broker::SpawnedBroker;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringmain-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> io::Result<ExitCode> {
    match command {
        Command::Produce { run, broker, load } => produce(&run, &broker, &load),
        Command::Consume { run, broker, load } => consume(&run, &broker, &load),
        Command::EndToEnd { run, broker, load } => end_to_end(&run, &broker, &load),
        Command::Compare { targets, rounds, others_max, run, load } => {
            compare(&targets, rounds, others_max, &run, &load)
        }
        Command::Itself { broker_core, run, load } => measure_itself(broker_core, &run, &load),
        Command::NullBroker { listen, core } => {
            if let Some(core) = core {
                system::pin_thread(core)?;
            }
            let listener = TcpListener::bind(listen)?;
            println!("{}", listener.local_addr()?);
            io::stdout().flush()?;
            null_broker::serve(&listener)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::SteadyMemory { gibibytes } => {
            let _held = steady_memory::SteadyMemory::scatter(usize::from(gibibytes) << 30)?;
            println!("holding; end this process to let go");
            loop {
                std::thread::park();
            }
        }
    }
}

fn produce(run: &RunArgs, broker: &BrokerArgs, load: &ProduceArgs) -> io::Result<ExitCode> {
    prepare_thread(run)?;
    let settings = load.settings();
    let topic = broker.topic.clone().unwrap_or_else(own_topic);
    let count = machine::machine()?.processor_count;
    let result = produce::run(broker.broker, broker.broker_pid, &topic, &settings, count)?;
    let heading = Heading::new("produce", run.note.clone(), broker.broker_pid)?;
    print(run, &Report::Produce { heading, settings: &settings, result: &result })
}

fn consume(run: &RunArgs, broker: &BrokerArgs, load: &ConsumeArgs) -> io::Result<ExitCode> {
    prepare_thread(run)?;
    let settings = load.settings();
    let Some(topic) = &broker.topic else {
        return Err(client::other("consume needs a --topic that holds records".into()));
    };
    if let Some(directory) = &load.evict {
        consume::evict_directory(directory)?;
    }
    let count = machine::machine()?.processor_count;
    let result = consume::run(broker.broker, broker.broker_pid, topic, &settings, count)?;
    let heading = Heading::new("consume", run.note.clone(), broker.broker_pid)?;
    print(run, &Report::Consume { heading, settings: &settings, result: &result })
}

fn end_to_end(run: &RunArgs, broker: &BrokerArgs, load: &ProduceArgs) -> io::Result<ExitCode> {
    prepare_thread(run)?;
    let settings = load.settings();
    let topic = broker.topic.clone().unwrap_or_else(own_topic);
    let count = machine::machine()?.processor_count;
    let result = end_to_end::run(broker.broker, broker.broker_pid, &topic, &settings, count)?;
    let heading = Heading::new("end-to-end", run.note.clone(), broker.broker_pid)?;
    print(run, &Report::EndToEnd { heading, settings: &settings, result: &result })
}

/// Exits with an error if the comparison has no result.
fn compare(
    targets: &[Target],
    rounds: usize,
    others_max: f64,
    run: &RunArgs,
    load: &ProduceArgs,
) -> io::Result<ExitCode> {
    prepare_thread(run)?;
    let settings = load.settings();
    let count = machine::machine()?.processor_count;
    let progress = |line: &str| eprintln!("{line}");
    let result = compare::run(targets, rounds, others_max, &own_topic(), &settings, count, progress)?;
    let heading = Heading::new("compare", run.note.clone(), None)?;
    print(run, &Report::Compare { heading, settings: &settings, targets, result: &result })?;
    Ok(if result.is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure_itself(broker_core: Option<usize>, run: &RunArgs, load: &ProduceArgs) -> io::Result<ExitCode> {
    let broker = SpawnedBroker::start(broker_core)?;
    prepare_thread(run)?;
    let settings = load.settings();
    let count = machine::machine()?.processor_count;
    let result = produce::run(broker.address(), Some(broker.pid()), &own_topic(), &settings, count)?;
    let heading = Heading::new("self", run.note.clone(), Some(broker.pid()))?;
    print(run, &Report::Produce { heading, settings: &settings, result: &result })
}

fn prepare_thread(run: &RunArgs) -> io::Result<()> {
    system::make_sleeps_exact();
    run.client_core.map_or(Ok(()), system::pin_thread)
}

/// A topic of this run's own.
fn own_topic() -> String {
    format!("ringmain-bench-{}", std::process::id())
}

fn print(run: &RunArgs, report: &Report<'_>) -> io::Result<ExitCode> {
    let text = if run.json { report.to_json()? + "\n" } else { report.to_text() };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

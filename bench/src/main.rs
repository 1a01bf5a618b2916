//! Measures any Kafka-compatible broker.
//!
//! One thread sends requests that were encoded beforehand, so that the client costs as little as it
//! can and is never what is measured; the broker's CPU time and memory come from `/proc`. A run in
//! which anything went wrong has no result.

mod cli;
mod compare;
mod context;
mod doubts;
mod driver;
mod measure;
mod null_broker;
mod outcome;
mod progress;
mod report;
mod scenario;
mod schedule;
mod spawned_broker;
mod steady_memory;
mod system;
mod target;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, CompareArgs, CompareCommand, RunArgs};
use crate::context::machine;
use crate::driver::wire::client::other;
use crate::progress::Progress;
use crate::report::{Report, TargetFacts};
use crate::scenario::disk::{self, DiskSettings};
use crate::scenario::{Context, Scenario};
use crate::spawned_broker::SpawnedBroker;
use crate::target::Target;

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
        Command::Produce { run, broker, load } => {
            let scenario = Scenario::Produce(load.settings(broker.topic.clone()));
            measure(&run, &scenario, scenario.name(), &broker.target())
        }
        Command::Consume { run, broker, load } => {
            let needed = || other("consume needs a --topic that holds records".into());
            let scenario = Scenario::Consume(load.settings(broker.topic.clone().ok_or_else(needed)?));
            measure(&run, &scenario, scenario.name(), &broker.target())
        }
        Command::EndToEnd { run, broker, load } => {
            let scenario = Scenario::EndToEnd(load.settings(broker.topic.clone()));
            measure(&run, &scenario, scenario.name(), &broker.target())
        }
        Command::Disk { run, work } => measure_disk(&run, work),
        Command::Compare { scenario } => match scenario {
            CompareCommand::Produce { compare, run, load } => {
                compare_all(&run, &Scenario::Produce(load.settings(None)), &compare)
            }
            CompareCommand::Consume { compare, run, load, topic } => {
                compare_all(&run, &Scenario::Consume(load.settings(topic)), &compare)
            }
            CompareCommand::EndToEnd { compare, run, load } => {
                compare_all(&run, &Scenario::EndToEnd(load.settings(None)), &compare)
            }
        },
        Command::Itself { broker_core, run, load } => {
            let broker = SpawnedBroker::start(broker_core)?;
            let target = Target {
                name: "null broker".into(),
                address: broker.address(),
                pid: Some(broker.pid()),
                data_dir: None,
                configs: Vec::new(),
            };
            measure(&run, &Scenario::Produce(load.settings(None)), "self", &target)
        }
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

/// One run against one broker.
fn measure(run: &RunArgs, scenario: &Scenario, name: &'static str, target: &Target) -> io::Result<ExitCode> {
    let context = prepare(run)?;
    let outcome = scenario::run(scenario, target, &context)?;
    context.progress.clear();
    let mut doubts = doubts::of_run(&target.name, &outcome);
    doubts.extend(doubts::of_placement(target)?);
    let targets = std::slice::from_ref(target);
    print(run, &report(run, scenario, name, targets, report::Result::Outcome(outcome), doubts)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Rows of one disk, as a table.
fn measure_disk(run: &RunArgs, work: DiskSettings) -> io::Result<ExitCode> {
    let context = prepare(run)?;
    let outcome = disk::run(&work, &context)?;
    context.progress.clear();
    let (doubts, table) = (disk::doubts(&outcome), disk::table(&outcome));
    let scenario = Scenario::Disk(work);
    let report = report(run, &scenario, scenario.name(), &[], report::Result::Outcome(outcome), doubts)?;
    if run.json {
        print(run, &report)?;
    } else {
        let doubts = report.doubts.iter().map(|doubt| format!("DOUBT       {doubt}\n"));
        io::stdout().write_all((table + &doubts.collect::<String>()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Exits with an error if the comparison has no result.
fn compare_all(run: &RunArgs, scenario: &Scenario, compare: &CompareArgs) -> io::Result<ExitCode> {
    let context = prepare(run)?;
    let mut comparison = compare::run(scenario, &compare.targets, &compare.settings(), &context)?;
    context.progress.clear();
    let doubts = std::mem::take(&mut comparison.doubts);
    let code = if doubts.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let result = report::Result::Comparison(comparison);
    print(run, &report(run, scenario, scenario.name(), &compare.targets, result, doubts)?)?;
    Ok(code)
}

fn report(
    run: &RunArgs,
    scenario: &Scenario,
    name: &'static str,
    targets: &[Target],
    result: report::Result,
    doubts: Vec<String>,
) -> io::Result<Report> {
    Ok(Report {
        scenario: name,
        workload: toml::to_string(scenario).map_err(io::Error::other)?,
        command_line: std::env::args().collect::<Vec<_>>().join(" "),
        note: run.note.clone(),
        version: env!("CARGO_PKG_VERSION"),
        machine: machine::machine()?,
        targets: targets.iter().map(TargetFacts::of).collect::<io::Result<Vec<_>>>()?,
        result,
        doubts,
    })
}

/// Prepares this thread, and what all runs share.
fn prepare(run: &RunArgs) -> io::Result<Context> {
    system::make_sleeps_exact();
    run.client_core.map_or(Ok(()), system::pin_thread)?;
    Ok(Context {
        processor_count: machine::machine()?.processor_count,
        topic_prefix: format!("ringmain-bench-{}", std::process::id()),
        progress: Progress::to_stderr(),
    })
}

fn print(run: &RunArgs, report: &Report) -> io::Result<()> {
    let text = if run.json { report.to_json()? + "\n" } else { report.to_text() };
    io::stdout().write_all(text.as_bytes())
}

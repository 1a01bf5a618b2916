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
mod processes;
mod progress;
mod quiet;
mod report;
mod scenario;
mod schedule;
mod spawned_broker;
mod steady_memory;
mod system;
mod target;
#[cfg(test)]
mod tests;
mod workload;

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::FromArgMatches;

use crate::cli::{Cli, Command, CompareArgs, MeasureArgs, RunArgs};
use crate::context::broker::Terms;
use crate::context::disk::Disk;
use crate::context::machine::Machine;
use crate::driver::wire::client::other;
use crate::processes::Processes;
use crate::progress::Progress;
use crate::report::{Heading, Measured, Report};
use crate::scenario::disk::{self, DiskSettings};
use crate::scenario::failover::{self, FailoverSettings};
use crate::scenario::options::LoadOptions;
use crate::scenario::settings::Settings;
use crate::scenario::transport::{self, TransportSettings};
use crate::scenario::{Context, Kind, Scenario};
use crate::spawned_broker::SpawnedBroker;
use crate::target::Target;
use crate::workload::Workload;

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
    let result = Cli::from_arg_matches(&matches).map_err(io::Error::other).and_then(|cli| run(cli.command));
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringmain-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> io::Result<ExitCode> {
    match command {
        Command::Produce(args) => measure_kind(Kind::Produce, &args),
        Command::Replicated(args) => measure_kind(Kind::Replicated, &args),
        Command::EndToEnd(args) => measure_kind(Kind::EndToEnd, &args),
        Command::Consume(args) => measure_kind(Kind::Consume, &args),
        Command::Mixed(args) => measure_kind(Kind::Mixed, &args),
        Command::FanOut(args) => measure_kind(Kind::FanOut, &args),
        Command::ManyPartitions(args) => measure_kind(Kind::ManyPartitions, &args),
        Command::Connections(args) => measure_kind(Kind::Connections, &args),
        Command::Soak(args) => measure_kind(Kind::Soak, &args),
        Command::Run { file, measure: args } => {
            let workload = Workload::read(&file).map_err(other)?;
            let scenario = workload.scenario(&args.load, &args.topic.configs).map_err(other)?;
            eprintln!("{}: {}", workload.name, workload.description.trim());
            measure(&args.run, &scenario, scenario.kind.name(), &args.broker.target())
        }
        Command::Disk { run, work } => measure_disk(&run, &work),
        Command::Failover { run, topic, work } => measure_failover(&run, &work, &topic.configs),
        Command::Transport { run, work } => measure_transport(&run, &work),
        Command::Compare(args) => compare_all(&args),
        Command::Itself { broker_core, run, load } => {
            let scenario = resolve(Kind::Produce, &load, &[])?;
            let broker = SpawnedBroker::start(broker_core)?;
            let target = Target {
                name: "null broker".into(),
                address: broker.address(),
                processes: Processes::new(vec![broker.pid()]),
                data_dir: None,
                configs: Vec::new(),
            };
            measure(&run, &scenario, "self", &target)
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

fn measure_kind(kind: Kind, args: &MeasureArgs) -> io::Result<ExitCode> {
    let scenario = resolve(kind, &args.load, &args.topic.configs)?;
    measure(&args.run, &scenario, kind.name(), &args.broker.target())
}

fn resolve(kind: Kind, load: &LoadOptions, configs: &[(String, String)]) -> io::Result<Scenario> {
    let settings = Settings::resolve(kind, load, configs.to_vec()).map_err(other)?;
    Ok(Scenario { kind, settings })
}

/// One run against one broker.
fn measure(run: &RunArgs, scenario: &Scenario, name: &'static str, target: &Target) -> io::Result<ExitCode> {
    let context = prepare(run)?;
    let heading = heading(run, name, scenario, std::slice::from_ref(target))?;
    let outcome = scenario::run(scenario, target, &context);
    context.progress.clear();
    let outcome = outcome?;
    let mut doubts = doubts::of_run(&target.name, &outcome);
    doubts.extend(doubts::of_placement(target)?);
    publish(run, &heading.report(Measured::Outcome(outcome), doubts))?;
    Ok(ExitCode::SUCCESS)
}

/// Rows of one disk, as a table.
fn measure_disk(run: &RunArgs, work: &DiskSettings) -> io::Result<ExitCode> {
    let context = prepare(run)?;
    let disk = Disk::of(&work.directory, None).ok();
    let outcome = disk::run(work, &context)?;
    context.progress.clear();
    let (doubts, table) = (disk::doubts(&outcome), disk::table(&outcome));
    let workload = toml::to_string(work).map_err(io::Error::other)?;
    let no_broker = Terms { acks: None, topic: None, configs: &[] };
    let heading = Heading { disk, ..Heading::new("disk", workload, &no_broker, &[], run.note.clone())? };
    let report = heading.report(Measured::Outcome(outcome), doubts);
    if run.json {
        publish(run, &report)?;
    } else {
        write_files(run, &report)?;
        let doubts = report.doubts.iter().map(|doubt| format!("DOUBT       {doubt}\n"));
        io::stdout().write_all((table + &doubts.collect::<String>()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows of the transport between nodes, as a table.
fn measure_transport(run: &RunArgs, work: &TransportSettings) -> io::Result<ExitCode> {
    let context = prepare(run)?;
    let outcome = transport::run(work, &context)?;
    context.progress.clear();
    let table = transport::table(&outcome);
    let workload = toml::to_string(work).map_err(io::Error::other)?;
    let no_broker = Terms { acks: None, topic: None, configs: &[] };
    let heading = Heading::new("transport", workload, &no_broker, &[], run.note.clone())?;
    let report = heading.report(Measured::Outcome(outcome), Vec::new());
    if run.json {
        publish(run, &report)?;
    } else {
        write_files(run, &report)?;
        io::stdout().write_all(table.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Each kill, as a table.
fn measure_failover(
    run: &RunArgs,
    work: &FailoverSettings,
    configs: &[(String, String)],
) -> io::Result<ExitCode> {
    let context = prepare(run)?;
    let target = failover::target(work)?;
    let workload = toml::to_string(work).map_err(io::Error::other)?;
    let terms = failover::terms(configs);
    let heading = Heading::new("failover", workload, &terms, &[target], run.note.clone())?;
    let result = failover::run(work, configs, &context);
    context.progress.clear();
    let (kills, outcome) = result?;
    let report = heading.report(Measured::Outcome(outcome), failover::doubts(&kills));
    if run.json {
        publish(run, &report)?;
    } else {
        write_files(run, &report)?;
        let doubts = report.doubts.iter().map(|doubt| format!("DOUBT       {doubt}\n"));
        io::stdout().write_all((failover::table(&kills) + &doubts.collect::<String>()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Exits with an error if the comparison has no result.
fn compare_all(args: &CompareArgs) -> io::Result<ExitCode> {
    let (kind, targets) = args.scenario_and_targets().map_err(other)?;
    let configs = &args.topic.configs;
    let scenario = match (kind, &args.workload) {
        (Some(kind), _) => resolve(kind, &args.load, configs)?,
        (None, Some(file)) => {
            Workload::read(file).and_then(|workload| workload.scenario(&args.load, configs)).map_err(other)?
        }
        (None, None) => return Err(other("compare needs a scenario or a workload".into())),
    };
    let context = prepare(&args.run)?;
    let heading = heading(&args.run, scenario.kind.name(), &scenario, &targets)?;
    let comparison = compare::run(&scenario, &targets, &args.settings(), &context);
    context.progress.clear();
    let mut comparison = comparison?;
    let doubts = std::mem::take(&mut comparison.doubts);
    let code = if doubts.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    publish(&args.run, &heading.report(Measured::Comparison(comparison), doubts))?;
    Ok(code)
}

/// Everything that a report says of a scenario before it runs.
fn heading(
    run: &RunArgs,
    name: &'static str,
    scenario: &Scenario,
    targets: &[Target],
) -> io::Result<Heading> {
    let workload = workload::to_toml(scenario).map_err(io::Error::other)?;
    Heading::new(name, workload, &scenario.terms(), targets, run.note.clone())
}

/// Prepares this thread, and what all runs share.
fn prepare(run: &RunArgs) -> io::Result<Context> {
    system::make_sleeps_exact();
    system::note_interrupts();
    system::raise_open_files_limit()?;
    run.client_core.map_or(Ok(()), system::pin_thread)?;
    Ok(Context::new(Machine::here()?.processor_count, Progress::to_stderr()))
}

/// Prints the report, and writes it to the files that were asked for.
fn publish(run: &RunArgs, report: &Report) -> io::Result<()> {
    write_files(run, report)?;
    let text = if run.json { report.to_json()? + "\n" } else { report.to_text() };
    io::stdout().write_all(text.as_bytes())
}

fn write_files(run: &RunArgs, report: &Report) -> io::Result<()> {
    let write = |path: &PathBuf, text: String| {
        std::fs::write(path, text)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    if let Some(path) = &run.json_file {
        write(path, report.to_json()? + "\n")?;
    }
    if let Some(path) = &run.html {
        write(path, report.to_html()?)?;
    }
    Ok(())
}

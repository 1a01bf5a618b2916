//! `check`: whether this machine suits a node, before one is started or while it runs, and what to do where it does not.
//!
//! Three steps: read what the machine says ([`facts`]), judge it ([`table`]: each check is a pure function from what was
//! read to a verdict), show it ([`report`]). `check disk` measures the device instead.
//!
//! What must hold: it takes seconds; it changes nothing (a small file in the data directory comes and goes) unless `--fix`
//! is given; what it could not read it says. Ends with 1 when there is a problem, with 0 otherwise: advice is no problem.

mod certificates;
mod clock;
mod device;
mod disk;
mod facts;
mod files;
mod finding;
mod fix;
mod interrupts;
mod kernel;
mod limits;
mod memory;
mod names;
mod network;
mod ports;
mod processors;
mod report;
mod space;
mod storage;
mod subject;
mod table;
mod unit;
mod volume;

use self::facts::Facts;
pub(super) use self::files::SystemFiles;
use self::finding::{Finding, Status};
pub(super) use self::subject::{Subject, Unusable};
use super::arguments::{CheckArguments, CheckCommand};
use super::failure::Failure;
use super::output::{print, print_json};

/// Does what a `check` command says.
pub(super) fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    match &arguments.command {
        Some(CheckCommand::Disk(disk)) => disk::run(disk),
        None => pre_flight(arguments),
    }
}

/// Everything that was found, for the report and for a bundle.
pub(super) fn findings(system: &SystemFiles, subject: Subject) -> Vec<Finding> {
    table::judge(&Facts::gather(system, subject))
}

/// The findings as `--json` prints them.
pub(super) fn as_json(findings: &[Finding]) -> serde_json::Value {
    report::as_json(findings)
}

fn pre_flight(arguments: &CheckArguments) -> Result<(), Failure> {
    let system = SystemFiles::new(&arguments.system_root);
    let subject = Subject::find(&arguments.subject, &system);
    let findings = findings(&system, subject);
    if arguments.json {
        print_json(&report::as_json(&findings))?;
    } else {
        print(&report::as_text(&findings))?;
    }
    if arguments.fix {
        fix::write(&findings, &arguments.root, arguments.yes)?;
    }
    match findings.iter().filter(|finding| finding.status == Status::Problem).count() {
        0 => Ok(()),
        1 => Err(Failure::Other("there is a problem".to_owned())),
        count => Err(Failure::Other(format!("there are {count} problems"))),
    }
}

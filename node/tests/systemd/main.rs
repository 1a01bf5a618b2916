//! The package: what is in it, and its life on a machine of its own, which is a fresh Debian under a real systemd.
//!
//! The machine is a container (systemd-nspawn) with a network of its own and a small disk for the data; what happens to the
//! service there is what an operator sees: every check asks systemd or one of the tools of the package.
//!
//! Needs root, debootstrap and a Debian mirror (the one that apt uses here), systemd-nspawn, lintian and mkfs.ext4; says
//! `SKIPPED` otherwise, which is a failure in CI.

mod disk_troubles;
mod life;
mod machine;
mod package;
mod starvation;
#[path = "../support/mod.rs"]
mod support;

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use machine::Machine;
use support::tools;

/// Exposure that `systemd-analyze security` may find, in tenths.
const EXPOSURE_MAX: &str = "12";

#[test]
fn the_service_is_hardened() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/ringmain.service");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", &threshold]).arg(unit);
    if analyze.output().is_err() {
        return support::skip("systemd-analyze is not installed");
    }
    tools::run(&mut analyze).expect("the exposure of the unit is as low as it has to be");
}

/// Something that happens to the service, and what must be so afterwards.
type Step = fn(&Machine);

/// One after another in one machine: each step leaves a service that runs.
#[test]
fn a_package_lives_on_a_real_machine() {
    // The first run fetches the one and builds the tool for the other: each is done while the other waits.
    let (debian, package) = thread::scope(|scope| {
        let debian = scope.spawn(machine::debian);
        let package = package::made();
        (debian.join().expect("what it cannot do is an error"), package)
    });
    or_skip!(debian);
    let package = or_skip!(package);
    package.passes_lintian();
    let machine = or_skip!(Machine::boot(&package));
    let steps: [(&str, Step); 15] = [
        ("install", life::install),
        ("use", life::produce_and_consume),
        ("reload", life::reload),
        ("kill", life::kill),
        ("stop", life::stop),
        ("hang", life::hang),
        ("configuration error", life::configuration_error),
        ("few descriptors", starvation::descriptors),
        ("little memory", starvation::memory),
        ("full disk", disk_troubles::full),
        ("frozen disk", disk_troubles::frozen),
        ("upgrade under load", life::upgrade_under_load),
        ("remove", life::remove),
        ("purge", life::purge),
        ("tarball", life::tarball),
    ];
    // The others may have something to say, too.
    let mut failed = Vec::new();
    for (name, step) in steps {
        let begin = Instant::now();
        println!("{name} ...");
        let ended = panic::catch_unwind(AssertUnwindSafe(|| step(&machine)));
        println!("{name}: {:.1} s", begin.elapsed().as_secs_f32());
        if ended.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}; the first one counts");
}

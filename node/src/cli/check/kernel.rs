//! The kernel: its version, and whether io_uring can be used.

use ringmain_storage::disk::direct::{RingError, probe_ring};

use super::SystemFiles;
use super::files::field;
use super::finding::{Setting, Status, Verdict};

/// The oldest kernel with every operation that we use.
const OLDEST: (u32, u32) = (5, 19);
/// From here on completions interrupt nobody, and the alignment of direct I/O is told.
const WANTED: (u32, u32) = (6, 1);

/// What was read of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KernelFacts {
    pub(super) release: Option<String>,
    /// `kernel.io_uring_disabled`: 0 everybody may, 1 a group may, 2 nobody. Kernels before 6.6 have none.
    pub(super) io_uring_disabled: Option<u64>,
    /// 2: a filter decides which system calls this process may use.
    pub(super) seccomp_mode: Option<u64>,
    /// A real ring, set up here.
    pub(super) ring: Result<(), RingError>,
}

impl KernelFacts {
    pub(super) fn read(system: &SystemFiles) -> Self {
        let status = system.text("proc/self/status").unwrap_or_default();
        Self {
            release: system.text("proc/sys/kernel/osrelease"),
            io_uring_disabled: system.number("proc/sys/kernel/io_uring_disabled"),
            seccomp_mode: field(&status, "Seccomp").and_then(|mode| mode.parse().ok()),
            ring: probe_ring(),
        }
    }
}

pub(super) fn version(facts: &KernelFacts) -> Verdict {
    let remedy = "install a newer kernel; on Debian: apt-get install linux-image-amd64";
    let Some(release) = &facts.release else {
        return Verdict::advice("/proc/sys/kernel/osrelease cannot be read", "uname -r");
    };
    match parse_version(release) {
        Some(version) if version < OLDEST => Verdict::problem(release, remedy),
        Some(version) if version < WANTED => Verdict::advice(release, remedy).because(
            "from 6.1 on the ends of disk operations interrupt no shard, which saves processor time",
        ),
        _ => Verdict::ok(release),
    }
}

/// `6.18.44-vendor` is 6.18.
fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn io_uring(facts: &KernelFacts) -> Verdict {
    const ALLOW: &str = "kernel.io_uring_disabled";
    let allowed = || Setting::Sysctl(ALLOW, "0".to_owned());
    match (facts.io_uring_disabled, &facts.ring) {
        (Some(2..), _) => {
            Verdict::sysctl(Status::Problem, format!("{ALLOW} = 2: nobody may use it"), ALLOW, 0)
        }
        (Some(1), Err(error)) => Verdict::sysctl(
            Status::Problem,
            format!("{ALLOW} = 1: only a privileged process or the group kernel.io_uring_group may use it ({error})"),
            ALLOW,
            0,
        ),
        (Some(1), Ok(())) => Verdict::advice(
            format!("{ALLOW} = 1: this user may use it; the service's may not, unless it is in kernel.io_uring_group"),
            format!("sysctl -w {ALLOW}=0"),
        )
        .mended_by(allowed()),
        (_, Ok(())) => Verdict::ok("a ring was set up, with every operation that a node uses"),
        (_, Err(error)) => {
            let remedy = match error {
                RingError::Denied if facts.seccomp_mode == Some(2) => {
                    "a seccomp filter of the container or the service hides it. Docker: --security-opt \
                     seccomp=PROFILE with io_uring_setup, io_uring_enter and io_uring_register; systemd: \
                     SystemCallFilter=@io-event"
                }
                RingError::LockedMemory => "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
                RingError::TooManyOpenFiles => "ulimit -n 1048576, or LimitNOFILE=1048576 in the unit",
                RingError::Denied => "sysctl -w kernel.io_uring_disabled=0",
                RingError::Missing | RingError::TooOld { .. } | RingError::Io { .. } => {
                    "apt-get install linux-image-amd64"
                }
            };
            Verdict::problem(error.to_string(), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(disabled: Option<u64>, ring: Result<(), RingError>) -> KernelFacts {
        KernelFacts { release: None, io_uring_disabled: disabled, seccomp_mode: Some(0), ring }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (release, status) in [
            ("5.4.0-150-generic", Status::Problem),
            ("5.19.17", Status::Advice),
            ("6.0.0", Status::Advice),
            ("6.1.0-18-amd64", Status::Ok),
            ("6.18.44-vendor", Status::Ok),
            ("10.0", Status::Ok),
        ] {
            let found = KernelFacts { release: Some(release.to_owned()), ..facts(None, Ok(())) };
            assert_eq!(version(&found).status, status, "{release}");
        }
    }

    #[test]
    fn a_ring_that_cannot_be_had_is_a_problem() {
        assert_eq!(io_uring(&facts(None, Ok(()))).status, Status::Ok);
        assert_eq!(io_uring(&facts(Some(0), Ok(()))).status, Status::Ok);
        let one = io_uring(&facts(Some(1), Ok(())));
        assert_eq!(one.status, Status::Advice, "root may, the service may not");
        let two = io_uring(&facts(Some(2), Ok(())));
        assert_eq!(
            (two.status, two.remedy.as_deref()),
            (Status::Problem, Some("sysctl -w kernel.io_uring_disabled=0"))
        );
        let hidden = KernelFacts { seccomp_mode: Some(2), ..facts(Some(0), Err(RingError::Denied)) };
        let hidden = io_uring(&hidden);
        assert_eq!(hidden.status, Status::Problem);
        assert!(hidden.remedy.expect("a way out").contains("seccomp"));
    }
}

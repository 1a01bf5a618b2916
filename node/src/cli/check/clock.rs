//! The machine's clock: whether somebody keeps it right.
#![expect(unsafe_code, reason = "a system call that the standard library does not wrap")]

use std::mem::MaybeUninit;

use super::finding::Verdict;

/// Whether the clock is kept; the kernel says so itself, whatever keeps it (chrony, ntpd, systemd-timesyncd, the host).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockFacts {
    /// `None`: the kernel, or a sandbox, does not tell.
    pub(super) is_kept: Option<bool>,
    /// How far it may be off, in microseconds.
    pub(super) error_us_max: i64,
}

impl ClockFacts {
    pub(super) fn read() -> Self {
        let mut state = MaybeUninit::<libc::timex>::zeroed();
        // SAFETY: the memory is as large as the call expects; all zeros ask for nothing to be changed.
        let result = unsafe { libc::adjtimex(state.as_mut_ptr()) };
        if result < 0 {
            return Self { is_kept: None, error_us_max: 0 };
        }
        // SAFETY: every bit pattern is a timex, and it was zeroed.
        let state = unsafe { state.assume_init() };
        Self { is_kept: Some(state.status & libc::STA_UNSYNC == 0), error_us_max: state.maxerror }
    }
}

pub(super) fn synchronised(facts: ClockFacts) -> Verdict {
    match facts.is_kept {
        Some(true) => {
            let milliseconds = facts.error_us_max.div_euclid(1000);
            Verdict::ok(format!("kept, at most {milliseconds} ms off"))
        }
        Some(false) => {
            Verdict::advice("nobody keeps it", "apt-get install chrony, or: timedatectl set-ntp true")
        }
        None => Verdict::advice("the kernel does not tell", "timedatectl"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_clock_that_nobody_keeps_is_told() {
        let judge = |is_kept| synchronised(ClockFacts { is_kept, error_us_max: 16_000 }).status;
        assert_eq!(judge(Some(true)), Status::Ok);
        assert_eq!(judge(Some(false)), Status::Advice);
        assert_eq!(judge(None), Status::Advice);
        // Whatever this machine says, it says something.
        assert!(!synchronised(ClockFacts::read()).found.is_empty());
    }
}

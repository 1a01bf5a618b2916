//! Time as the processor counts it: an instant for a few nanoseconds, exact enough to measure stages of a request with.
//!
//! What must hold: instants of different threads can be compared, which is so where the kernel itself keeps its time by the
//! processor's counter; anywhere else the system's monotonic clock is asked, which costs three times as much.
//! Does not do: time of day, timers.

use std::time::{Duration, Instant};

/// How long the counter is compared with the clock at a start: the error is below one part in ten thousand.
const CALIBRATION_TIME: Duration = Duration::from_millis(1);

/// An instant, in steps that only its [`TickSource`] can make a time of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticks(u64);

/// Gives instants, and tells the time between two of them. One for the whole node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TickSource {
    origin: Instant,
    /// Nanoseconds of one step of the processor's counter, times 2^32; `None` where there is no such counter.
    counter_step: Option<u64>,
}

impl TickSource {
    /// Finds out how fast the processor counts.
    pub(crate) fn calibrated() -> Self {
        let origin = Instant::now();
        Self { origin, counter_step: counter_is_kernel_clock().then(measure_step).flatten() }
    }

    /// This instant.
    #[inline]
    pub(crate) fn now(&self) -> Ticks {
        match self.counter_step {
            Some(_) => Ticks(counter()),
            None => Ticks(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    /// Nanoseconds from one instant to a later one; none if it is not later.
    #[inline]
    pub(crate) fn nanoseconds(&self, from: Ticks, to: Ticks) -> u64 {
        let steps = to.0.saturating_sub(from.0);
        match self.counter_step {
            Some(step) => ((u128::from(steps) * u128::from(step)) >> 32) as u64,
            None => steps,
        }
    }
}

fn measure_step() -> Option<u64> {
    let (clock, first) = (Instant::now(), counter());
    std::thread::sleep(CALIBRATION_TIME);
    let (elapsed, steps) = (clock.elapsed(), counter().wrapping_sub(first));
    let step = (elapsed.as_nanos() << 32).checked_div(u128::from(steps))?;
    u64::try_from(step).ok().filter(|&step| step > 0)
}

/// The kernel keeps its time by this counter only where it counts evenly and alike on all processors.
#[cfg(target_arch = "x86_64")]
fn counter_is_kernel_clock() -> bool {
    const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    std::fs::read_to_string(CLOCK_SOURCE).is_ok_and(|name| name.trim() == "tsc")
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_is_kernel_clock() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction; it only reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_pass_as_the_clock_does() {
        for source in [TickSource::calibrated(), TickSource { origin: Instant::now(), counter_step: None }] {
            let (clock, first) = (Instant::now(), source.now());
            std::thread::sleep(Duration::from_millis(20));
            let (measured, elapsed) = (source.nanoseconds(first, source.now()), clock.elapsed());
            let measured = Duration::from_nanos(measured);
            assert!(measured >= Duration::from_millis(19), "{measured:?}");
            assert!(measured <= elapsed + elapsed / 50, "{measured:?} where the clock says {elapsed:?}");
            assert_eq!(source.nanoseconds(source.now(), first), 0, "time does not go back");
        }
    }
}

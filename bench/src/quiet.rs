//! The pause between two runs of a comparison: until all brokers have ended what the last run left behind.
//!
//! A broker deletes the topic of its run, compiles, writes back or gives memory back for seconds after it. Whoever is
//! measured next on the same processor would pay for that, and it would count as use of the machine by others.
//!
//! What it does not: wait for programs that are no target. Those are what the share of others in a report is about.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::context::clocks::CpuTime;
use crate::processes::Processes;

/// Over so long it is judged whether brokers are at rest. CPU times come in steps of 10 ms.
const WINDOW: Duration = Duration::from_millis(400);

/// So many such times one after the other are rest. Kafka renames what it deletes, is at rest, and deletes it a second later
/// (`log.segment.delete.delay.ms` of `kafka.sh`): of 1,000 partitions, a second of CPU time.
const WINDOWS: u32 = 4;

/// At rest all brokers together use at most this share of one processor: an idle JVM uses one or two hundredths.
const SHARE_OF_PROCESSOR_MAX: f64 = 0.05;

/// Then the next run begins all the same, and its report says what others used meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Waits until the processes are at rest, for so long at most. Says whether they are.
pub(crate) fn wait<'a>(brokers: impl Iterator<Item = &'a Processes> + Clone) -> io::Result<bool> {
    let used = || {
        let each = brokers.clone().map(Processes::cpu_time).collect::<io::Result<Vec<_>>>()?;
        Ok(each.into_iter().flatten().map(CpuTime::total).sum())
    };
    wait_for(used, WINDOW, WINDOWS, WAIT_MAX)
}

fn wait_for(
    mut used: impl FnMut() -> io::Result<Duration>,
    window: Duration,
    windows: u32,
    at_most: Duration,
) -> io::Result<bool> {
    let began = Instant::now();
    let mut before = used()?;
    let mut rested = 0;
    loop {
        let since = Instant::now();
        thread::sleep(window);
        let now = used()?;
        rested = if is_at_rest(now.saturating_sub(before), since.elapsed()) { rested + 1 } else { 0 };
        if rested == windows {
            return Ok(true);
        }
        if began.elapsed() >= at_most {
            return Ok(false);
        }
        before = now;
    }
}

fn is_at_rest(used: Duration, elapsed: Duration) -> bool {
    used.as_secs_f64() <= elapsed.as_secs_f64() * SHARE_OF_PROCESSOR_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_of_a_processor_is_rest() {
        let ms = Duration::from_millis;
        assert!(is_at_rest(ms(20), ms(400)));
        assert!(!is_at_rest(ms(30), ms(400)));
    }

    #[test]
    fn who_works_is_waited_for() {
        let ms = Duration::from_millis;
        // Each time a second more, five times; then a pause, and once more, then nothing.
        let mut calls = 0;
        let ends = || {
            calls += 1;
            Ok(Duration::from_secs(if calls < 8 { calls.min(5) } else { 6 }))
        };
        assert!(wait_for(ends, ms(1), 3, Duration::from_secs(60)).expect("nothing fails"));
        // At the fifth it ends, sixth and seventh are alike, at the eighth there was more: three behind that.
        assert_eq!(calls, 11);
        let mut seconds = 0;
        let goes_on = || {
            seconds += 1;
            Ok(Duration::from_secs(seconds))
        };
        assert!(!wait_for(goes_on, ms(1), 1, ms(20)).expect("nothing fails"));
        assert!(wait([Processes::default()].iter()).expect("nothing is read"), "nobody is waited for");
    }
}

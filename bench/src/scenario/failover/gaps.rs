//! The longest time without an acknowledged record within a window.

use std::time::{Duration, Instant};

/// The longest time between two acknowledgements, one of which may lie before `from`, or from the last
/// one to `until`. `times` are ascending.
pub(super) fn longest(times: &[Instant], from: Instant, until: Instant) -> Duration {
    let before = times.partition_point(|time| *time <= from);
    let behind = times.partition_point(|time| *time < until);
    // The last one before the window begins the first gap; without one the window does.
    let first = before.checked_sub(1).map_or(from, |last| times[last]);
    let inside = times[before..behind.max(before)].iter().copied().chain([until]);
    let (longest, _) = inside.fold((Duration::ZERO, first), |(longest, last), time| {
        (longest.max(time.saturating_duration_since(last)), time)
    });
    longest
}

/// The value in the middle, or between the two in the middle.
pub(super) fn median(mut values: Vec<Duration>) -> Option<Duration> {
    values.sort();
    let (lower, upper) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((*lower + *upper) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_from_the_last_acknowledgement_before_the_kill() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let times = [at(10), at(20), at(90), at(95), at(400)];
        let longest = |from, until| longest(&times, at(from), at(until)).as_millis();
        assert_eq!(longest(25, 100), 70, "from 20 to 90");
        assert_eq!(longest(91, 96), 5, "from 90 to 95");
        assert_eq!(longest(91, 300), 205, "nothing came until the end of the window");
        assert_eq!(longest(91, 500), 305, "from 95 to 400");
        assert_eq!(longest(0, 15), 10, "nothing came before the window");
        assert_eq!(longest(500, 600), 200, "nothing came in it");
    }

    #[test]
    fn median_is_in_the_middle() {
        let ms = Duration::from_millis;
        assert_eq!(median(vec![ms(5), ms(1), ms(3)]), Some(ms(3)));
        assert_eq!(median(vec![ms(5), ms(1)]), Some(ms(3)));
        assert_eq!(median(Vec::new()), None);
    }
}

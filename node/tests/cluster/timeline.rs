//! What happened while nothing was acknowledged: faults, what clients were told and waited for, and what the nodes said, in the
//! order of time. It says where the time of a gap went; it judges nothing.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::recorder::{Gap, Remark};

/// So much of what came before a gap is shown: its cause.
const BEFORE: Duration = Duration::from_millis(2_500);
const AFTER: Duration = Duration::from_millis(200);
const DAY: Duration = Duration::from_secs(86_400);
/// A node that says the same a hundred times says nothing new.
const LINES_MAX: usize = 150;

/// Everything that has a time.
pub(crate) struct Sources<'r> {
    /// The time of day when the run began, since 1970.
    pub(crate) begin_wall: Duration,
    pub(crate) events: &'r [Remark],
    pub(crate) remarks: &'r [Remark],
    /// What each node has said, in all its lives.
    pub(crate) outputs: &'r [(i32, String)],
}

/// The story of a gap, line by line.
pub(crate) fn of(what: &str, gap: Gap, sources: &Sources<'_>) -> String {
    let (from, until) = (gap.from.saturating_sub(BEFORE), gap.until + AFTER);
    let is_within = |at: Duration| at >= from && at <= until;
    let mut lines: Vec<(Duration, String)> = Vec::new();
    for event in sources.events.iter().filter(|event| is_within(event.at)) {
        lines.push((event.at, format!("FAULT   {}", event.text)));
    }
    lines.extend(once_each(sources.remarks.iter().filter(|remark| is_within(remark.at))));
    for (node, output) in sources.outputs {
        let said = output.lines().filter_map(|line| {
            let at = said_at(line, sources.begin_wall)?;
            is_within(at).then(|| (at, format!("node {node}  {}", without_time(line))))
        });
        lines.extend(said);
    }
    lines.push((gap.from, "------  the last acknowledgement".to_owned()));
    lines.push((gap.until, "------  the next acknowledgement".to_owned()));
    lines.sort_by_key(|(at, _)| *at);
    let mut text = String::new();
    let (length, begin) = (gap.length().as_secs_f64(), gap.from.as_secs_f64());
    writeln!(text, "{what}: nothing was acknowledged for {length:.3} s from {begin:.3} s on")
        .expect("a string takes text");
    let left_out = lines.len().saturating_sub(LINES_MAX);
    for (at, line) in lines.iter().take(LINES_MAX) {
        let since = at.as_secs_f64() - gap.from.as_secs_f64();
        writeln!(text, "  {since:+7.3} s  {line}").expect("a string takes text");
    }
    if left_out > 0 {
        writeln!(text, "  and {left_out} lines more").expect("a string takes text");
    }
    text
}

/// What clients are told again and again stands where it was told first, with how often and until when.
fn once_each<'r>(remarks: impl Iterator<Item = &'r Remark>) -> impl Iterator<Item = (Duration, String)> {
    let mut told: BTreeMap<&str, (Duration, Duration, usize)> = BTreeMap::new();
    for remark in remarks {
        let (_, last, count) = told.entry(&remark.text).or_insert((remark.at, remark.at, 0));
        (*last, *count) = (remark.at, *count + 1);
    }
    told.into_iter().map(|(text, (first, last, count))| {
        let during = last.saturating_sub(first).as_secs_f64();
        let again = if count > 1 { format!(" ({count} times in {during:.3} s)") } else { String::new() };
        (first, format!("client  {text}{again}"))
    })
}

/// When a node said a line, on the run's clock: its time of day is at the front, as `T16:20:05.123`.
fn said_at(line: &str, begin_wall: Duration) -> Option<Duration> {
    let time = line.split_once('T')?.1;
    let (hours, rest) = time.split_once(':')?;
    let (minutes, rest) = rest.split_once(':')?;
    let (seconds, rest) = rest.split_once('.')?;
    let fraction: String = rest.chars().take_while(char::is_ascii_digit).take(3).collect();
    let [hours, minutes, seconds, millis]: [u64; 4] =
        [hours.parse().ok()?, minutes.parse().ok()?, seconds.parse().ok()?, fraction.parse().ok()?];
    let of_day = Duration::from_millis(((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis);
    let begin_of_day = Duration::from_millis(u64::try_from(begin_wall.as_millis() % DAY.as_millis()).ok()?);
    // A run may go on after midnight.
    let of_day = if of_day < begin_of_day { of_day + DAY } else { of_day };
    Some(of_day - begin_of_day)
}

fn without_time(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, rest)| rest.trim_start())
}

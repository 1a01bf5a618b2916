//! What the kills come to: numbers for reports, a table to read, and what speaks against them.

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Kill, gaps};
use crate::measure::{Figures, latency_histogram, nanoseconds};
use crate::outcome::{Better, Fact, NamedLatency, Outcome, Phase};

/// A healthy cluster on a machine of its own is silent for a few milliseconds; a longer gap before the
/// kill than this share of the gap behind it says that something else held it up.
const GAP_BEFORE_SHARE_MAX: f64 = 0.5;

/// As a line of progress says it.
pub(super) fn describe(kill: &Kill) -> String {
    format!(
        "node {} ({}): {:.0} ms without an acknowledgement, another leader named after {:.0} ms, back in sync after {:.1} s",
        kill.node,
        what(kill),
        milliseconds(kill.gap),
        milliseconds(kill.named),
        kill.returned.as_secs_f64()
    )
}

fn what(kill: &Kill) -> &'static str {
    if kill.was_controller { "leader and controller" } else { "leader" }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// As a report shows it.
pub(super) fn of(kills: &[Kill], figures: Figures, acknowledgements: &Histogram<u64>) -> Outcome {
    let mut gaps = latency_histogram();
    for kill in kills {
        gaps.saturating_record(nanoseconds(kill.gap));
    }
    let latencies = [NamedLatency::of("gap", &gaps), NamedLatency::of("acknowledgement", acknowledgements)];
    let phase = Phase {
        name: "failover".into(),
        figures,
        latencies: latencies.into_iter().flatten().collect(),
        timeline: Vec::new(),
    };
    Outcome { phases: vec![phase], facts: facts(kills) }
}

fn facts(kills: &[Kill]) -> Vec<Fact> {
    let fact = |name: String, duration: Duration| Fact {
        name,
        value: milliseconds(duration),
        unit: "ms",
        better: Better::Lower,
    };
    let mut facts = Vec::new();
    for (suffix, wanted) in [("", None), (", leader", Some(false)), (", leader and controller", Some(true))] {
        let belongs = |kill: &Kill| wanted.is_none_or(|wanted| kill.was_controller == wanted);
        let of = |value: &dyn Fn(&Kill) -> Duration| -> Vec<Duration> {
            kills.iter().filter(|kill| belongs(kill)).map(value).collect()
        };
        let all = of(&|kill| kill.gap);
        if let (Some(median), Some(worst)) = (gaps::median(all.clone()), all.iter().max()) {
            facts.push(fact(format!("longest gap{suffix}: median"), median));
            facts.push(fact(format!("longest gap{suffix}: worst"), *worst));
        }
        if let Some(named) = gaps::median(of(&|kill| kill.named)) {
            facts.push(fact(format!("another leader named{suffix}: median"), named));
        }
    }
    let at_return = kills.iter().map(|kill| kill.gap_at_return).collect();
    facts.extend(
        gaps::median(at_return).map(|gap| fact("longest gap while it came back: median".into(), gap)),
    );
    for (number, kill) in (1..).zip(kills) {
        facts.push(fact(format!("kill {number}: node {}, {}", kill.node, what(kill)), kill.gap));
    }
    facts
}

/// What speaks against the result.
pub(crate) fn doubts(kills: &[Kill]) -> Vec<String> {
    let is_disturbed =
        |kill: &&Kill| kill.gap_before.as_secs_f64() > kill.gap.as_secs_f64() * GAP_BEFORE_SHARE_MAX;
    let disturbed = kills.iter().filter(is_disturbed).count();
    let mut doubts = Vec::new();
    if disturbed > 0 {
        doubts.push(format!(
            "before {disturbed} of {} kills a gap was half as long already as the one behind it: something else holds the cluster up",
            kills.len()
        ));
    }
    doubts
}

/// All kills as a table.
pub(crate) fn table(kills: &[Kill]) -> String {
    let mut text = format!(
        "{:>4}  {:>4}  {:22}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}\n",
        "kill", "node", "what it was", "gap", "named", "before", "in sync", "return"
    );
    for (number, kill) in (1..).zip(kills) {
        writeln!(
            text,
            "{number:>4}  {:>4}  {:22}  {:>6.0} ms  {:>6.0} ms  {:>6.0} ms  {:>7.1} s  {:>6.0} ms",
            kill.node,
            what(kill),
            milliseconds(kill.gap),
            milliseconds(kill.named),
            milliseconds(kill.gap_before),
            kill.returned.as_secs_f64(),
            milliseconds(kill.gap_at_return),
        )
        .expect("a string takes everything");
    }
    text.push_str(
        "\ngap: longest time without an acknowledged record; named: until a node named another leader;\n\
         before: longest gap of the healthy cluster; in sync: from the node's start until all replicas are\n\
         in sync; return: longest gap from its start until its leaderships were given back.\n\n",
    );
    for fact in facts(kills).iter().filter(|fact| !fact.name.starts_with("kill ")) {
        writeln!(text, "{:52}  {:>6.0} {}", fact.name, fact.value, fact.unit).expect("as above");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kill(gap_ms: u64, was_controller: bool) -> Kill {
        Kill {
            node: 2,
            was_controller,
            gap: Duration::from_millis(gap_ms),
            named: Duration::from_millis(gap_ms / 2),
            gap_before: Duration::from_millis(10),
            returned: Duration::from_secs(3),
            gap_at_return: Duration::from_millis(7),
            records: 100,
        }
    }

    #[test]
    fn medians_and_worst_are_told_for_each_kind() {
        let kills = [kill(100, false), kill(900, true), kill(300, false)];
        let facts = facts(&kills);
        let value = |name: &str| facts.iter().find(|fact| fact.name == name).expect(name).value;
        assert_eq!((value("longest gap: median"), value("longest gap: worst")), (300.0, 900.0));
        assert_eq!(value("longest gap, leader: worst"), 300.0);
        assert_eq!(value("longest gap, leader and controller: median"), 900.0);
        assert_eq!(value("kill 2: node 2, leader and controller"), 900.0);
        assert!(table(&kills).lines().any(|line| line.contains("900 ms") && line.contains("controller")));
    }

    #[test]
    fn a_cluster_that_was_held_up_before_is_doubtful() {
        assert_eq!(doubts(&[kill(100, false)]), [] as [String; 0]);
        assert!(doubts(&[kill(100, false), kill(15, true)])[0].contains("1 of 2"));
    }
}

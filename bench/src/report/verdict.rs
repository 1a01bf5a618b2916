//! Whether a ratio says anything: only what lies outside the baseline's difference from itself does.

use crate::compare::Spread;
use crate::outcome::Better;

/// What a ratio to the baseline says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Better,
    Worse,
    /// The rounds overlap with those of the baseline against itself.
    NoDifference,
    /// The number has no direction.
    Neither,
}

impl Verdict {
    /// Judges a ratio beside the control.
    pub(super) fn of(ratio: Spread, control: Spread, better: Better) -> Self {
        let is_above = ratio.min > control.max;
        let is_below = ratio.max < control.min;
        match better {
            Better::Neither => Self::Neither,
            _ if !is_above && !is_below => Self::NoDifference,
            Better::Higher if is_above => Self::Better,
            Better::Lower if is_below => Self::Better,
            _ => Self::Worse,
        }
    }

    /// As a report says it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference seen",
            Self::Neither => "",
        }
    }
}

/// Which way a number should move.
pub(super) fn direction(better: Better) -> &'static str {
    match better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
        Better::Neither => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(min: f64, max: f64) -> Spread {
        Spread { median: f64::midpoint(min, max), min, max }
    }

    #[test]
    fn only_what_the_control_does_not_reach_is_a_difference() {
        let control = spread(0.95, 1.05);
        let judge = |min, max, better| Verdict::of(spread(min, max), control, better);
        assert_eq!(judge(2.0, 2.5, Better::Higher), Verdict::Better);
        assert_eq!(judge(2.0, 2.5, Better::Lower), Verdict::Worse);
        assert_eq!(judge(0.3, 0.4, Better::Lower), Verdict::Better);
        assert_eq!(judge(0.3, 0.4, Better::Higher), Verdict::Worse);
        assert_eq!(judge(1.0, 2.5, Better::Higher), Verdict::NoDifference);
        assert_eq!(judge(2.0, 2.5, Better::Neither), Verdict::Neither);
    }
}

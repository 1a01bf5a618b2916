//! Axes: from values to places, and the ticks that stand at them.

use crate::report::numbers::{microseconds, number, tick};

/// Above this ratio of greatest to least a linear axis hides the least.
const LOG_ABOVE: f64 = 20.0;
/// Ticks that a linear axis has at most.
const TICKS_MAX: f64 = 6.0;

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) enum Scale {
    Linear {
        min: f64,
        max: f64,
    },
    Log {
        min: f64,
        max: f64,
    },
    /// Quantiles below 1: each step is a tenth of what lies above, so the tail has as much room as the rest.
    Tail {
        nines: f64,
    },
}

/// What an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Unit {
    Number,
    Microseconds,
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Axis {
    pub(in crate::report) scale: Scale,
    pub(in crate::report) label: String,
    pub(in crate::report) unit: Unit,
}

impl Scale {
    /// From zero to a round number above the values.
    pub(in crate::report) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let greatest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let step = round_step(greatest);
        Self::Linear { min: 0.0, max: (greatest / step).ceil() * step }
    }

    /// From zero, or logarithmic where the values lie too far apart for that.
    pub(in crate::report) fn fitting(values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.clone().filter(|value| value.is_finite() && *value > 0.0);
        let least = positive.clone().fold(f64::INFINITY, f64::min);
        let greatest = positive.fold(0.0, f64::max);
        if greatest > least * LOG_ABOVE { Self::log(least, greatest) } else { Self::from_zero(values) }
    }

    /// Ratios: logarithmic, with 1 and a little room on both sides in it.
    pub(in crate::report) fn ratios(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(0.8, f64::min);
        let greatest = values.fold(1.25, f64::max);
        Self::Log { min: least / 1.08, max: greatest * 1.08 }
    }

    /// Whole decades, or their halves and fifths, around the values.
    fn log(least: f64, greatest: f64) -> Self {
        let below = |value: f64| {
            let decade = 10_f64.powf(value.log10().floor());
            [5.0, 2.0, 1.0].map(|step| step * decade).into_iter().find(|at| *at <= value).unwrap_or(decade)
        };
        let above = |value: f64| {
            let decade = 10_f64.powf(value.log10().floor());
            [1.0, 2.0, 5.0, 10.0]
                .map(|step| step * decade)
                .into_iter()
                .find(|at| *at >= value)
                .unwrap_or(decade * 10.0)
        };
        Self::Log { min: below(least), max: above(greatest) }
    }

    /// Where on the axis a value lies, 0 to 1; what lies outside is put on its end.
    pub(in crate::report) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { min, max } => (value - min) / (max - min),
            Self::Log { min, max } => (value / min).ln() / (max / min).ln(),
            Self::Tail { nines } => -(1.0 - value).log10() / nines,
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// Values at which ticks stand.
    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { min, max } => {
                let step = round_step(max - min);
                let count = ((max - min) / step + 1e-9) as usize;
                (0..=count).map(|index| min + index as f64 * step).collect()
            }
            Self::Log { min, max } => log_ticks(min, max),
            Self::Tail { nines } => {
                let whole = (1..=nines as i32).map(|nines| 1.0 - 10_f64.powi(-nines));
                [0.0, 0.5].into_iter().chain(whole).collect()
            }
        }
    }
}

/// 1, 2, 5 of each decade; fewer where there are many decades, more where there is not even one.
fn log_ticks(min: f64, max: f64) -> Vec<f64> {
    let decades = (max / min).log10();
    let steps: &[f64] = match decades {
        _ if decades > 3.0 => &[1.0],
        _ if decades > 0.8 => &[1.0, 2.0, 5.0],
        _ if decades > 0.4 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
        _ => &[1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    };
    let exponents = min.log10().floor() as i32..=max.log10().ceil() as i32;
    let all = exponents.flat_map(|exponent| steps.iter().map(move |step| step * 10_f64.powi(exponent)));
    all.filter(|tick| (min * 0.999..=max * 1.001).contains(tick)).collect()
}

/// A step of 1, 2 or 5 times a power of ten that makes few ticks.
fn round_step(range: f64) -> f64 {
    let rough = range / TICKS_MAX;
    let decade = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].map(|step| step * decade).into_iter().find(|step| *step >= rough).unwrap_or(decade * 10.0)
}

impl Axis {
    /// An axis.
    pub(in crate::report) fn new(label: &str, scale: Scale, unit: Unit) -> Self {
        let logarithmic = matches!(scale, Scale::Log { .. });
        let label = if logarithmic { format!("{label}, log scale") } else { label.to_owned() };
        Self { scale, label, unit }
    }

    /// The ticks: where they stand, 0 to 1, and what is written at them.
    pub(in crate::report) fn ticks(&self) -> Vec<(f64, String)> {
        let text = |value: f64| match (self.scale, self.unit) {
            (Scale::Tail { .. }, _) => percent(value),
            (_, Unit::Microseconds) if value > 0.0 => microseconds(value),
            _ => tick(value),
        };
        self.scale.ticks().into_iter().map(|value| (self.scale.place(value), text(value))).collect()
    }
}

/// A value as its axis would write it, with its unit.
pub(in crate::report) fn written(axis: &Axis, value: f64) -> String {
    match axis.unit {
        Unit::Microseconds => microseconds(value),
        Unit::Number => number(value),
    }
}

/// `99.9 %`, with as many digits as a quantile needs.
fn percent(quantile: f64) -> String {
    let text = format!("{:.6}", quantile * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale, unit: Unit) -> Vec<String> {
        Axis::new("x", scale, unit).ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn linear_axes_begin_at_zero_and_end_at_a_round_number() {
        let scale = Scale::from_zero([3.0, 830.0].into_iter());
        assert_eq!(scale, Scale::Linear { min: 0.0, max: 1000.0 });
        assert_eq!(texts(scale, Unit::Number), ["0", "200", "400", "600", "800", "1,000"]);
        assert_eq!(Scale::from_zero([].into_iter()), Scale::Linear { min: 0.0, max: 1.0 });
        assert_eq!(scale.place(500.0), 0.5);
        assert_eq!(scale.place(f64::NAN), 0.0);
    }

    #[test]
    fn values_far_apart_make_a_log_axis() {
        let scale = Scale::fitting([120.0, 40_000.0].into_iter());
        assert_eq!(scale, Scale::Log { min: 100.0, max: 50_000.0 });
        let ticks = texts(scale, Unit::Microseconds);
        assert_eq!(ticks.first().map(String::as_str), Some("100 \u{b5}s"));
        assert!(ticks.contains(&"10 ms".to_owned()), "{ticks:?}");
        assert!(matches!(Scale::fitting([1.0, 19.0].into_iter()), Scale::Linear { min: 0.0, .. }));
        assert!(Axis::new("x", scale, Unit::Number).label.ends_with("log scale"));
    }

    #[test]
    fn each_nine_of_the_tail_has_the_same_room() {
        let scale = Scale::Tail { nines: 4.0 };
        assert_eq!(texts(scale, Unit::Number), ["0%", "50%", "90%", "99%", "99.9%", "99.99%"]);
        assert!((scale.place(0.99) - 0.5).abs() < 1e-9 && (scale.place(0.999) - 0.75).abs() < 1e-9);
        assert_eq!(scale.place(1.0), 1.0);
    }

    #[test]
    fn ratios_have_one_in_them() {
        let Scale::Log { min, max } = Scale::ratios([2.0, 3.0].into_iter()) else {
            panic!("not a log scale")
        };
        assert!(min < 1.0 && max > 3.0);
        for values in [vec![0.3, 0.31], vec![1.0], vec![0.01, 40.0]] {
            let scale = Scale::ratios(values.iter().copied());
            let ticks = Axis::new("x", scale, Unit::Number).ticks();
            assert!(ticks.len() >= 3, "{values:?}: {ticks:?}");
        }
    }
}

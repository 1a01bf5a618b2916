//! Rows with a name, a number in words, and a drawing of it: bars from zero, or the dots of ratios.

use super::axis::{Axis, Scale};
use super::{Anchor, Picture, STYLES, WIDTH, shorten, width_of};

const SIDE: f64 = 10.0;
const LANE_HEIGHT: f64 = 46.0;
/// Of a lane, what its texts take.
const TEXT_HEIGHT: f64 = 20.0;
const BAR_HEIGHT: f64 = 15.0;
/// Below the lanes: ticks and the axis's label.
const BOTTOM: f64 = 40.0;
const TICK_GAP: f64 = 8.0;

/// A row of bars.
#[derive(Debug)]
pub(in crate::report) struct Bar {
    pub(in crate::report) style: usize,
    pub(in crate::report) name: String,
    /// The number as it is read.
    pub(in crate::report) words: String,
    /// What the bar is made of, from zero on: user and system time.
    pub(in crate::report) parts: Vec<f64>,
    /// Least and greatest of the rounds.
    pub(in crate::report) range: Option<(f64, f64)>,
}

/// A row of dots.
#[derive(Debug)]
pub(in crate::report) struct Dots {
    /// `None` is the control.
    pub(in crate::report) style: Option<usize>,
    pub(in crate::report) name: String,
    pub(in crate::report) words: String,
    /// One a round, in their order.
    pub(in crate::report) values: Vec<f64>,
    pub(in crate::report) median: f64,
}

/// Bars from zero.
pub(in crate::report) fn bars(axis: &Axis, bars: &[Bar], description: &str) -> String {
    let mut picture = Picture::new();
    let height = frame(&mut picture, axis, bars.len());
    let x = |value: f64| across(axis, value);
    for (index, bar) in bars.iter().enumerate() {
        let top = index as f64 * LANE_HEIGHT;
        texts(&mut picture, top, &bar.name, &bar.words);
        let mut from = 0.0;
        for (part, length) in bar.parts.iter().enumerate() {
            let class = format!("bar s{} part{part}", bar.style % STYLES);
            let (left, right) = (x(from), x(from + length));
            picture.rectangle(&class, (left, top + TEXT_HEIGHT), (right - left, BAR_HEIGHT));
            from += length;
        }
        if let Some((least, greatest)) = bar.range {
            let middle = top + TEXT_HEIGHT + BAR_HEIGHT / 2.0;
            picture.line("whisker", (x(least), middle), (x(greatest), middle));
            for end in [least, greatest] {
                picture.line("whisker", (x(end), middle - 4.0), (x(end), middle + 4.0));
            }
        }
    }
    picture.finish(height, description)
}

/// Dots of ratios around 1; `control` is the range in which a ratio says nothing.
pub(in crate::report) fn dots(
    axis: &Axis,
    lanes: &[Dots],
    control: Option<(f64, f64)>,
    description: &str,
) -> String {
    let mut picture = Picture::new();
    let x = |value: f64| across(axis, value);
    let bottom = lanes.len() as f64 * LANE_HEIGHT;
    if let Some((least, greatest)) = control {
        picture.rectangle("control-band", (x(least), 0.0), ((x(greatest) - x(least)).max(1.0), bottom));
    }
    let height = frame(&mut picture, axis, lanes.len());
    picture.line("one", (x(1.0), 0.0), (x(1.0), bottom));
    for (index, lane) in lanes.iter().enumerate() {
        let top = index as f64 * LANE_HEIGHT;
        texts(&mut picture, top, &lane.name, &lane.words);
        let middle = top + TEXT_HEIGHT + BAR_HEIGHT / 2.0;
        picture.line("median", (x(lane.median), middle - 9.0), (x(lane.median), middle + 9.0));
        for (round, value) in lane.values.iter().enumerate() {
            let title = format!("round {}: {}", round + 1, super::axis::written(axis, *value));
            // Rounds go a little down one after another, so that equal ones are told apart.
            let step = if lane.values.len() > 1 { 8.0 / (lane.values.len() - 1) as f64 } else { 0.0 };
            let at = (x(*value), middle - 4.0 + step * round as f64);
            match lane.style {
                Some(style) => picture.marker(style, at, &title),
                None => picture.hollow_marker(at, &title),
            }
        }
    }
    picture.finish(height, description)
}

/// Where a value lies in the picture.
fn across(axis: &Axis, value: f64) -> f64 {
    SIDE + axis.scale.place(value) * (WIDTH - 2.0 * SIDE)
}

/// Grid, ticks and the axis's label; says how high the picture is.
fn frame(picture: &mut Picture, axis: &Axis, lanes: usize) -> f64 {
    let bottom = lanes as f64 * LANE_HEIGHT;
    let mut written_to = 0.0;
    for (place, text) in axis.ticks() {
        let x = SIDE + place * (WIDTH - 2.0 * SIDE);
        picture.line("guide", (x, 0.0), (x, bottom));
        let half = width_of(&text) / 2.0;
        // The first and the last may stand at the very edge: they are moved inside.
        let at = x.clamp(half, WIDTH - half);
        if at - half >= written_to {
            picture.text("tick", (at, bottom + 16.0), Anchor::Middle, &text);
            written_to = at + half + TICK_GAP;
        }
    }
    if matches!(axis.scale, Scale::Linear { .. }) {
        picture.line("axis", (SIDE, 0.0), (SIDE, bottom));
    }
    picture.text("axis-label", (WIDTH - SIDE, bottom + BOTTOM - 6.0), Anchor::End, &axis.label);
    bottom + BOTTOM
}

/// The name on the left and the number on the right, above a lane.
fn texts(picture: &mut Picture, top: f64, name: &str, words: &str) {
    let room = WIDTH - 2.0 * SIDE - width_of(words) - 2.0 * TICK_GAP;
    picture.text("lane", (SIDE, top + TEXT_HEIGHT - 6.0), Anchor::Start, &shorten(name, room));
    picture.text("value", (WIDTH - SIDE, top + TEXT_HEIGHT - 6.0), Anchor::End, words);
}

#[cfg(test)]
mod tests {
    use super::super::axis::Unit;
    use super::*;

    fn attribute(element: &str, name: &str) -> f64 {
        let value = element.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        value.expect("has it").parse().expect("a number")
    }

    #[test]
    fn bars_are_as_long_as_their_numbers() {
        let axis = Axis::new("CPU-s/GB", Scale::from_zero([2.0].into_iter()), Unit::Number);
        let bar = |parts: &[f64]| Bar {
            style: 0,
            name: "a".into(),
            words: String::new(),
            parts: parts.to_vec(),
            range: None,
        };
        let drawn = bars(&axis, &[bar(&[1.0, 1.0]), bar(&[0.5])], "cost");
        let found: Vec<&str> = drawn.split("<rect").skip(1).collect();
        let (user, system, other) = (found[0], found[1], found[2]);
        assert_eq!(attribute(user, "x"), SIDE);
        assert_eq!(attribute(user, "width"), attribute(system, "width"));
        assert!((attribute(user, "x") + attribute(user, "width") - attribute(system, "x")).abs() < 0.11);
        assert!((attribute(user, "width") - 2.0 * attribute(other, "width")).abs() < 0.11);
    }

    #[test]
    fn each_round_has_its_dot_and_the_control_its_band() {
        let axis = Axis::new("ratio", Scale::ratios([0.5, 2.0].into_iter()), Unit::Number);
        let lane = |style| Dots {
            style,
            name: "x".into(),
            words: "2.00".into(),
            values: vec![1.9, 2.0, 2.1],
            median: 2.0,
        };
        let drawn = dots(&axis, &[lane(Some(1)), lane(None)], Some((0.95, 1.05)), "ratios");
        assert_eq!(drawn.matches("class=\"mark s1\"").count(), 3);
        assert_eq!(drawn.matches("class=\"hollow\"").count(), 3);
        assert_eq!(drawn.matches("control-band").count(), 1);
        assert!(drawn.contains("<title>round 3: 2.10</title>"));
    }
}

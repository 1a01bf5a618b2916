//! Curves over two axes: percentiles, and what happened over time.

use super::axis::Axis;
use super::{Anchor, Picture, STYLES, WIDTH, width_of};

const HEIGHT: f64 = 290.0;
/// Room above for the label of the vertical axis, below for ticks and label of the other.
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;
const RIGHT: f64 = 22.0;
/// Between two texts at ticks.
const TICK_GAP: f64 = 8.0;

/// One series, in as many pieces as it was measured in.
#[derive(Debug)]
pub(in crate::report) struct Curve {
    pub(in crate::report) style: usize,
    pub(in crate::report) pieces: Vec<Vec<(f64, f64)>>,
    /// Drawn thin and without markers: a single round beside the median of all.
    pub(in crate::report) is_faint: bool,
}

/// Draws curves; `rules` are values of the horizontal axis at which something begins anew.
pub(in crate::report) fn draw(
    across: &Axis,
    up: &Axis,
    curves: &[Curve],
    rules: &[f64],
    description: &str,
) -> String {
    let mut picture = Picture::new();
    let up_ticks = up.ticks();
    let left = 14.0 + up_ticks.iter().map(|(_, text)| width_of(text)).fold(0.0, f64::max);
    let (width, height) = (WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM);
    let x = |place: f64| left + place * width;
    let y = |place: f64| TOP + (1.0 - place) * height;
    for (place, text) in &up_ticks {
        picture.line("guide", (left, y(*place)), (WIDTH - RIGHT, y(*place)));
        picture.text("tick", (left - 7.0, y(*place) + 4.5), Anchor::End, text);
    }
    let mut written_to = 0.0;
    for (place, text) in across.ticks() {
        picture.line("guide", (x(place), TOP), (x(place), TOP + height));
        let half = width_of(&text) / 2.0;
        // A text that would touch the last one, or the edge, is left out; its line stays.
        if x(place) - half > written_to && x(place) + half < WIDTH {
            picture.text("tick", (x(place), HEIGHT - BOTTOM + 18.0), Anchor::Middle, &text);
            written_to = x(place) + half + TICK_GAP;
        }
    }
    for rule in rules {
        let at = x(across.scale.place(*rule));
        picture.line("rule", (at, TOP), (at, TOP + height));
    }
    picture.line("axis", (left, TOP + height), (WIDTH - RIGHT, TOP + height));
    picture.text("axis-label", (4.0, 14.0), Anchor::Start, &up.label);
    picture.text("axis-label", (WIDTH - RIGHT, HEIGHT - 6.0), Anchor::End, &across.label);
    // What is faint lies below what is not.
    for curve in
        curves.iter().filter(|curve| curve.is_faint).chain(curves.iter().filter(|curve| !curve.is_faint))
    {
        let style = curve.style % STYLES;
        for piece in &curve.pieces {
            let points: Vec<(f64, f64)> = piece
                .iter()
                .map(|(across_value, up_value)| {
                    (x(across.scale.place(*across_value)), y(up.scale.place(*up_value)))
                })
                .collect();
            let class = if curve.is_faint { format!("faint s{style}") } else { format!("curve s{style}") };
            picture.polyline(&class, &points);
        }
        if !curve.is_faint {
            mark_ends(
                &mut picture,
                curve,
                |point| (x(across.scale.place(point.0)), y(up.scale.place(point.1))),
                up,
            );
        }
    }
    picture.finish(HEIGHT, description)
}

/// A marker at the end of a series (and at a piece of one point), so that it is known without colour.
fn mark_ends(picture: &mut Picture, curve: &Curve, at: impl Fn((f64, f64)) -> (f64, f64), up: &Axis) {
    let single = curve.pieces.iter().filter(|piece| piece.len() == 1).flatten();
    let last = curve.pieces.iter().rev().find_map(|piece| piece.last());
    for point in single.chain(last) {
        let title = super::axis::written(up, point.1);
        picture.marker(curve.style, at(*point), &title);
    }
}

#[cfg(test)]
mod tests {
    use super::super::axis::{Scale, Unit};
    use super::*;

    #[test]
    fn curves_stay_in_the_picture() {
        let across = Axis::new("time, s", Scale::Linear { min: 0.0, max: 10.0 }, Unit::Number);
        let up = Axis::new("MB/s", Scale::from_zero([900.0].into_iter()), Unit::Number);
        let curve = Curve {
            style: 1,
            pieces: vec![vec![(0.0, 0.0), (10.0, 900.0), (20.0, 5000.0)]],
            is_faint: false,
        };
        let drawn = draw(&across, &up, &[curve], &[5.0], "throughput");
        let points =
            drawn.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a curve");
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').expect("two numbers");
            assert!((0.0..=WIDTH).contains(&x.parse().expect("a number")), "{point}");
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y.parse::<f64>().expect("a number")), "{point}");
        }
        assert_eq!(drawn.matches("class=\"rule\"").count(), 1);
        assert!(drawn.contains(">MB/s<") && drawn.contains(">time, s<"));
    }
}

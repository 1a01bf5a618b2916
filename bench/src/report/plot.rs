//! Plots as SVG, drawn here so that a page needs no script. Colours, dashes and markers come from the
//! page's style sheet by class (`s0`, `s1`, ...), which knows light, dark and print.
//!
//! What must hold: every text fits the picture, axes are labelled with their units, bars begin at
//! zero, and no series is told apart by colour alone.

pub(super) mod axis;
pub(super) mod lanes;
pub(super) mod lines;

use std::fmt::Write;

/// Width of every picture, in its own units; it is scaled to the page, down to a phone's.
const WIDTH: f64 = 460.0;
/// Styles that the style sheet has; more series than that begin again.
pub(super) const STYLES: usize = 6;
/// Width of a character of the pictures' font, rather too wide than too narrow.
const CHARACTER_WIDTH: f64 = 7.3;

/// Text as HTML and SVG need it, also within quotation marks.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // A control character is no character of HTML; what sent it should be seen.
            control if control.is_control() && control != '\n' && control != '\t' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A picture under construction.
#[derive(Debug)]
struct Picture {
    elements: String,
}

/// Where a text stands beside its point.
#[derive(Debug, Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Picture {
    fn new() -> Self {
        Self { elements: String::new() }
    }

    /// The whole element; `description` is what a reader hears who does not see it.
    fn finish(self, height: f64, description: &str) -> String {
        let description = escape(description);
        let elements = self.elements;
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{description}\">{elements}</svg>"
        )
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn rectangle(&mut self, class: &str, corner: (f64, f64), size: (f64, f64)) {
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            corner.0, corner.1, size.0, size.1
        ));
    }

    fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }

    fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            at.0,
            at.1,
            escape(text)
        ));
    }

    /// The marker of a series, with a text that shows when one points at it.
    fn marker(&mut self, style: usize, at: (f64, f64), title: &str) {
        let (x, y) = at;
        let shape = match style % STYLES {
            0 => format!("M{:.1} {y:.1}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z", x - 4.5),
            1 => format!("M{:.1} {:.1}h8v8h-8z", x - 4.0, y - 4.0),
            2 => format!("M{x:.1} {:.1}l5 9h-10z", y - 5.0),
            3 => format!("M{x:.1} {:.1}l5.2 5.2l-5.2 5.2l-5.2 -5.2z", y - 5.2),
            4 => format!("M{x:.1} {:.1}l5 -9h-10z", y + 5.0),
            _ => format!("M{:.1} {:.1}l8 8m0 -8l-8 8", x - 4.0, y - 4.0),
        };
        self.path(&format!("mark s{}", style % STYLES), &shape, title);
    }

    /// The marker of the control.
    fn hollow_marker(&mut self, at: (f64, f64), title: &str) {
        let shape = format!("M{:.1} {:.1}l4.6 4.6l-4.6 4.6l-4.6 -4.6z", at.0, at.1 - 4.6);
        self.path("hollow", &shape, title);
    }

    fn path(&mut self, class: &str, shape: &str, title: &str) {
        self.push(format_args!(
            "<path class=\"{class}\" d=\"{shape}\"><title>{}</title></path>",
            escape(title)
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.elements.write_fmt(element).expect("a string takes everything");
    }
}

/// A sample of a series' line and marker, for a legend.
pub(super) fn legend_sample(style: usize) -> String {
    let mut picture = Picture::new();
    picture.line(&format!("curve s{}", style % STYLES), (0.0, 7.0), (34.0, 7.0));
    picture.marker(style, (17.0, 7.0), "");
    let elements = picture.elements.replace("<title></title>", "");
    format!("<svg class=\"sample\" viewBox=\"0 0 34 14\" aria-hidden=\"true\">{elements}</svg>")
}

/// The text cut to what fits into `width`.
fn shorten(text: &str, width: f64) -> String {
    let room = (width / CHARACTER_WIDTH).max(1.0) as usize;
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    kept + "\u{2026}"
}

/// How wide a text is drawn at most.
fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER_WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        assert_eq!(
            escape("<b a='1' c=\"2\">&\u{1b}[2J</b>\n"),
            "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\u{fffd}[2J&lt;/b&gt;\n"
        );
        let mut picture = Picture::new();
        picture.text("label", (0.0, 0.0), Anchor::Start, "</text><script>");
        picture.marker(0, (0.0, 0.0), "</title>");
        let drawn = picture.finish(10.0, "\"><script>");
        assert!(!drawn.contains("<script>") && !drawn.contains("</title></title>"), "{drawn}");
    }

    #[test]
    fn long_names_are_cut_to_the_room() {
        assert_eq!(shorten("kafka", 100.0), "kafka");
        let short = shorten("a-name-that-is-much-too-long", 100.0);
        assert!(short.ends_with('\u{2026}') && width_of(&short) <= 100.0, "{short}");
    }
}

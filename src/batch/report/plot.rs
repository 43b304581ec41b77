//! A plot: shapes that stretch with the page, and beside them labels that do not.
//!
//! The shapes are an SVG without a size of its own. Labels are text of the page, placed by shares of
//! the plot, so they stay as large as other text on a telephone and on a wide screen.

use std::fmt::Write;

use super::axis::Axis;
use super::escape::Text;

/// The side of the square that shapes are drawn in.
const SIDE: f64 = 1_000.0;

/// A plot on its way into the page. What has been added to it is HTML; texts are escaped as they come.
pub(super) struct Plot {
    title: String,
    hint: String,
    legend: Vec<(&'static str, String)>,
    x: Axis,
    y: Axis,
    shapes: String,
    notes: String,
    is_low: bool,
}

impl Plot {
    pub(super) fn new(title: &str, x: Axis, y: Axis) -> Self {
        Self {
            title: title.to_owned(),
            hint: String::new(),
            legend: Vec::new(),
            x,
            y,
            shapes: String::new(),
            notes: String::new(),
            is_low: false,
        }
    }

    /// Sets the line that says how to read it.
    pub(super) fn hint(mut self, text: &str) -> Self {
        self.hint = text.to_owned();
        self
    }

    /// Makes it half as high.
    pub(super) fn low(mut self) -> Self {
        self.is_low = true;
        self
    }

    /// Says what a kind of shape stands for.
    pub(super) fn legend(&mut self, class: &'static str, text: &str) {
        self.legend.push((class, text.to_owned()));
    }

    /// What lies below a line.
    pub(super) fn area(&mut self, class: &str, points: &[(f64, f64)]) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return;
        };
        let line = self.path(points);
        let (begin, end) = (
            coordinate(self.x.place(first.0)),
            coordinate(self.x.place(last.0)),
        );
        // Writing to a string does not fail, here and below.
        let _ = write!(
            self.shapes,
            r#"<path class="{class} fill" d="M{begin} 1000L{line}L{end} 1000Z"/><path class="{class} line" d="M{line}"/>"#
        );
    }

    /// A line.
    pub(super) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let line = self.path(points);
        let _ = write!(self.shapes, r#"<path class="{class} line" d="M{line}"/>"#);
    }

    /// A bar from one place to the next, and from one amount up to another.
    pub(super) fn bar(&mut self, class: &str, x: (f64, f64), y: (f64, f64)) {
        let (left, right) = (self.x.place(x.0), self.x.place(x.1));
        let (low, high) = (self.y.place(y.0), self.y.place(y.1));
        let _ = write!(
            self.shapes,
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"/>"#,
            coordinate(left),
            coordinate(1.0 - high),
            coordinate(right - left),
            coordinate(high - low),
        );
    }

    /// A strip above the field over a stretch of x.
    pub(super) fn strip(&mut self, class: &str, from: f64, to: f64) {
        let (left, right) = (self.x.place(from), self.x.place(to));
        let _ = write!(
            self.shapes,
            r#"<rect class="{class}" x="{}" y="-42" width="{}" height="26"/>"#,
            coordinate(left),
            coordinate(right - left),
        );
    }

    /// Adds the text that is shown when a stretch of x is pointed at.
    pub(super) fn tell(&mut self, from: f64, to: f64, text: &str) {
        let (left, right) = (self.x.place(from), self.x.place(to));
        let _ = write!(
            self.shapes,
            r#"<rect class="tell" x="{}" y="0" width="{}" height="1000"><title>{}</title></rect>"#,
            coordinate(left),
            coordinate(right - left),
            Text(text),
        );
    }

    /// A line upward at a place, with its label in a row of its own, so that none covers another.
    pub(super) fn mark(&mut self, row: usize, at: f64, label: &str) {
        let place = self.x.place(at);
        let side = if place > 0.6 { " flip" } else { "" };
        let _ = write!(
            self.notes,
            r#"<span class="mark row{row}{side}" style="left:{:.2}%"><b>{}</b></span>"#,
            place * 100.0,
            Text(label)
        );
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let place = |(x, y): &(f64, f64)| {
            let (x, y) = (self.x.place(*x), 1.0 - self.y.place(*y));
            format!("{} {}", coordinate(x), coordinate(y))
        };
        points.iter().map(place).collect::<Vec<_>>().join("L")
    }

    /// The finished plot.
    pub(super) fn html(&self) -> String {
        let Self {
            title,
            hint,
            legend,
            x,
            y,
            shapes,
            notes,
            is_low,
        } = self;
        let low = if *is_low { " low" } else { "" };
        let title = Text(title);
        let mut out = format!("<figure>\n<figcaption><h3>{title}</h3>");
        if !hint.is_empty() {
            let _ = write!(out, "<p>{}</p>", Text(hint));
        }
        if !legend.is_empty() {
            out.push_str(r#"<p class="legend">"#);
            for (class, text) in legend {
                let _ = write!(
                    out,
                    r#"<span><i class="{class}"></i>{}</span> "#,
                    Text(text)
                );
            }
            out.push_str("</p>");
        }
        let _ = write!(
            out,
            "</figcaption>\n<div class=\"plot{low}\"><div class=\"y\">"
        );
        for tick in &y.ticks {
            let (at, label) = (tick.at * 100.0, Text(&tick.label));
            let _ = write!(out, r#"<span style="bottom:{at:.2}%">{label}</span>"#);
        }
        out.push_str("</div><div class=\"field\">");
        for tick in &y.ticks {
            let _ = write!(out, r#"<s style="bottom:{:.2}%"></s>"#, tick.at * 100.0);
        }
        let _ = write!(
            out,
            r#"<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label="{title}">{shapes}</svg>{notes}</div><div class="x">"#
        );
        for tick in &x.ticks {
            let side = match tick.at {
                at if at < 0.02 => r#" class="first""#,
                at if at > 0.97 => r#" class="last""#,
                _ => "",
            };
            let (at, label) = (tick.at * 100.0, Text(&tick.label));
            let _ = write!(out, r#"<span{side} style="left:{at:.2}%">{label}</span>"#);
        }
        out.push_str("</div></div>\n</figure>\n");
        out
    }
}

/// A share of the side, with one decimal: a tenth of a pixel.
fn coordinate(share: f64) -> String {
    super::words::trimmed(share * SIDE, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_placed_by_their_axes_and_texts_are_escaped() {
        let mut plot = Plot::new("a <b>", Axis::times(10.0), Axis::amounts(4.0)).hint("h & h");
        plot.area("use", &[(0.0, 0.0), (5.0, 4.0)]);
        plot.bar("bad", (0.0, 2.5), (1.0, 2.0));
        plot.tell(0.0, 10.0, "<i>");
        plot.mark(1, 9.0, "\"2\"");
        let html = plot.html();
        for part in [
            "<h3>a &lt;b&gt;</h3><p>h &amp; h</p>",
            r#"d="M0 1000L0 1000L500 0L500 1000Z""#,
            r#"<rect class="bad" x="0" y="500" width="250" height="250"/>"#,
            "<title>&lt;i&gt;</title>",
            r#"<span class="mark row1 flip" style="left:90.00%"><b>&quot;2&quot;</b></span>"#,
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        // A line of nothing is none.
        let mut empty = Plot::new("", Axis::times(10.0), Axis::amounts(4.0));
        empty.area("use", &[]);
        assert!(!empty.html().contains("<path"));
    }
}

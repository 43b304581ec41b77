//! What is printed.

use std::time::Duration;

/// What stands where there is nothing to say.
pub(crate) const NONE: &str = "–";
/// What stands where the kernel tells nothing, which is everywhere but on Linux.
pub(crate) const NOT_COUNTED: &str = "not counted here";

/// One thing that was measured.
#[derive(Debug)]
pub(crate) struct Row {
    /// The cells, up to what is judged.
    cells: [String; 4],
    /// What is judged, and the most that it may be.
    judged: Option<(f64, f64)>,
    unit: &'static str,
}

impl Row {
    /// A row that is shown and not judged.
    pub(crate) fn shown(what: impl Into<String>, own: String, beside: String) -> Self {
        Self {
            cells: [what.into(), own, beside, NONE.to_owned()],
            judged: None,
            unit: "",
        }
    }

    /// A row whose figure may be at most `aim`, both in the same unit. What is not a number is
    /// beyond any aim.
    pub(crate) fn judged(mut self, figure: f64, aim: f64, unit: &'static str) -> Self {
        self.cells[3] = format!("{figure:.3}{unit}");
        self.judged = Some((figure, aim));
        self.unit = unit;
        self
    }

    /// A row with a figure that nobody judges.
    pub(crate) fn with_ratio(mut self, ratio: f64) -> Self {
        self.cells[3] = format!("{ratio:.3}");
        self
    }

    /// Whether it is within its aim, or has none.
    pub(crate) fn holds(&self) -> bool {
        self.judged.is_none_or(|(figure, aim)| figure <= aim)
    }

    fn texts(&self) -> [String; 6] {
        let [what, own, beside, figure] = self.cells.clone();
        let (aim, within) = match self.judged {
            Some((_, aim)) => (
                format!("≤ {aim:.2}{}", self.unit),
                if self.holds() { "yes" } else { "NO" },
            ),
            None => (NONE.to_owned(), NONE),
        };
        [what, own, beside, figure, aim, within.to_owned()]
    }
}

pub(crate) fn print(rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let heads = [
        "what",
        "paceline",
        "beside it",
        "ratio or figure",
        "aim",
        "within?",
    ];
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::texts));
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    println!();
    for line in &lines {
        let mut text = format!("{:<w$}", line[0], w = widths[0]);
        for (cell, width) in line.iter().zip(widths).skip(1) {
            text.push_str(&format!("  {cell:>width$}"));
        }
        println!("{}", text.trim_end());
    }
}

pub(crate) fn micros(seconds: f64) -> String {
    format!("{:.1} µs", seconds * 1e6)
}

pub(crate) fn millis(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// A count with its thousands apart.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

//! Cells of CSV that a spreadsheet would run as a formula: `=HYPERLINK(…)`, `@SUM(…)`, `+cmd|…`.
//!
//! An answer is what a model was made to say, perhaps by another person's prompt. A spreadsheet
//! that opens the file runs it. OWASP names the beginnings; the wide forms are taken for the
//! others where a language has them.

use std::borrow::Cow;

const BEGINNINGS: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// The cell, with a mark in front where it would be run.
pub(super) fn marked(cell: &str) -> Cow<'_, str> {
    match cell.starts_with(BEGINNINGS) && !is_number(cell) {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

/// True for `-1`, `+2.5` and `-1e-7`; not for `-inf`, which is a name.
fn is_number(cell: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    cell.bytes().all(is_part) && cell.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_marked_and_numbers_are_not() {
        let marked_ones = [
            "=1+1",
            "=HYPERLINK(\"http://x\")",
            "+cmd|' /C calc'!A0",
            "-2+3",
            "-",
            "-inf",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\u{ff1d}1",
            "- a list",
        ];
        for cell in marked_ones {
            assert_eq!(marked(cell), format!("'{cell}"));
        }
        for cell in [
            "", "plain", "-1", "+2.5", "-1e-7", "1-1", "'=1", " =1", "[-1]", "-.5",
        ] {
            assert_eq!(marked(cell), cell);
        }
    }
}

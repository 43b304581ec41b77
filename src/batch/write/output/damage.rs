//! What a power cut leaves of a file, and what can be kept of it.
//!
//! A file system may give a file its new length before its new data: then there are zeros where the
//! last lines were, at the end or, when a later run has appended, in the middle. Or a line ends early,
//! and the next one begins behind it. Neither stands in whole lines, which hold no zero byte and hold
//! [`LINE_START`] at their beginning alone, so whole lines are found between the pieces.

use std::fmt;

use crate::batch::record::LINE_START;

/// What stands near the end of a line of ours, by which a piece without a beginning is known.
const NEAR_END: &[u8] = b",\"error\":null";
/// The same of a failure, whose message is of any length.
const FAILURE: &[u8] = b",\"error\":{\"code\":\"";
/// How near, in bytes: marks of the line may follow.
const NEAR: usize = 100;

/// A line that cannot be read, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces<'a> {
    /// Whole lines, without their ends.
    pub(super) whole: Vec<&'a [u8]>,
    /// What else there is, without zeros.
    pub(super) torn: Vec<&'a [u8]>,
    pub(super) zeros: u64,
}

/// Whose line it is that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A piece of an output file by its own look.
    Ours,
    /// A piece of one if the file is one.
    Maybe,
    /// Text of another program, which is left alone.
    Foreign,
}

impl<'a> Pieces<'a> {
    /// Takes a line apart, at zeros and where a line of ours begins.
    pub(super) fn of(line: &'a [u8], is_whole: impl Fn(&[u8]) -> bool) -> Self {
        let mut pieces = Self::default();
        for part in line.split(|byte| *byte == 0) {
            pieces.zeros += 1; // one more than there are
            let mut rest = part.trim_ascii();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(next_start(rest));
                let piece = piece.trim_ascii();
                match is_whole(piece) {
                    true => pieces.whole.push(piece),
                    false => pieces.torn.push(piece),
                }
                rest = after;
            }
        }
        pieces.zeros -= 1;
        pieces
    }

    /// True when zeros stand beside the beginning or the end of a line of ours: then a file is one of ours
    /// also where none of its lines is whole.
    pub(super) fn are_of_power_cut(&self) -> bool {
        let is_ours = |piece: &&[u8]| piece.starts_with(LINE_START.as_bytes()) || is_tail(piece);
        self.zeros > 0 && self.torn.iter().any(is_ours)
    }

    pub(super) fn origin(&self) -> Origin {
        let is_ours = |piece: &&[u8]| begins_line(piece);
        if self.torn.iter().all(is_ours) {
            return Origin::Ours;
        }
        let is_text = |piece: &[u8]| {
            let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
            std::str::from_utf8(piece).is_ok_and(|text| !text.contains(is_control))
        };
        let is_foreign = |piece: &&[u8]| is_text(piece) && !is_tail(piece) && !begins_line(piece);
        match self.zeros == 0 && self.whole.is_empty() && self.torn.iter().all(is_foreign) {
            true => Origin::Foreign,
            false => Origin::Maybe,
        }
    }
}

/// True for what ends as a line of ours does.
fn is_tail(piece: &[u8]) -> bool {
    let last = &piece[piece.len().saturating_sub(NEAR)..];
    let mut near = last.windows(NEAR_END.len());
    let mut all = piece.windows(FAILURE.len());
    (last.ends_with(b"}") && near.any(|window| window == NEAR_END))
        || (last.ends_with(b"}}") && all.any(|window| window == FAILURE))
}

/// Where the next line of ours begins, behind the first byte; the end if there is none.
fn next_start(bytes: &[u8]) -> usize {
    let start = LINE_START.as_bytes();
    let found = bytes.windows(start.len()).skip(1);
    let found = found.into_iter().position(|window| window == start);
    found.map_or(bytes.len(), |at| at + 1)
}

/// True for what may be the beginning of a line of ours, as much of it as there is.
pub(super) fn begins_line(bytes: &[u8]) -> bool {
    let length = bytes.len().min(LINE_START.len());
    bytes[..length] == LINE_START.as_bytes()[..length]
}

/// What is wrong with a file that is one of ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::batch) struct Damage {
    /// The number of the first line that cannot be read, and where it begins.
    pub(super) first: Option<(u64, u64)>,
    pub(super) torn: u64,
    pub(super) zeros: u64,
    /// The last line was cut short, as a kill does: no more than that is wrong.
    pub(super) is_plain_cut: bool,
    /// Where the file ends when it is repaired.
    pub(super) end: u64,
    /// The last line is whole, and only its end is missing.
    pub(super) lacks_its_end: bool,
}

impl Damage {
    /// No damage, in a file of `end` bytes.
    pub(super) fn none(end: u64) -> Self {
        Self {
            end,
            ..Self::default()
        }
    }

    /// True when cutting the end off is all that there is to do.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.first.is_none_or(|(_, at)| at == self.end)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64, one: &str| match count {
            1 => format!("1 {one}"),
            many => format!("{many} {one}s"),
        };
        let zeros = (self.zeros > 0).then(|| plural(self.zeros, "zero byte"));
        let torn = (self.torn > 0).then(|| plural(self.torn, "torn line"));
        let parts: Vec<_> = zeros.into_iter().chain(torn).collect();
        f.write_str(&parts.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = r#"{"id":"batch_req_1","custom_id":"a","response":null,"error":null}"#;
    const B: &str = r#"{"id":"batch_req_2","custom_id":"b","response":null,"error":null}"#;

    fn pieces(line: &[u8]) -> (Vec<String>, Vec<String>, u64, Origin) {
        let is_whole = |piece: &[u8]| serde_json::from_slice::<serde_json::Value>(piece).is_ok();
        let pieces = Pieces::of(line, is_whole);
        let text = |pieces: &[&[u8]]| {
            let text = pieces.iter().map(|piece| String::from_utf8_lossy(piece));
            text.map(std::borrow::Cow::into_owned).collect()
        };
        (
            text(&pieces.whole),
            text(&pieces.torn),
            pieces.zeros,
            pieces.origin(),
        )
    }

    #[test]
    fn whole_lines_are_found_between_the_pieces() {
        let of = |whole: &[&str], torn: &[&str], zeros, origin| {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            (owned(whole), owned(torn), zeros, origin)
        };
        let (head, tail) = A.split_at(40);
        let failed = r#"ull,"error":{"code":"no_answer","message":"http://h: refused"}}"#;
        let table = [
            (format!("{head}{B}\n"), of(&[B], &[head], 0, Origin::Ours)),
            (format!("{head}\n"), of(&[], &[head], 0, Origin::Ours)),
            (format!("\0\0\0{B}\n"), of(&[B], &[], 3, Origin::Ours)),
            (format!("{A}\0\0{B}"), of(&[A, B], &[], 2, Origin::Ours)),
            (format!("{A}{B}\n"), of(&[A, B], &[], 0, Origin::Ours)),
            (format!("{head}\0\0"), of(&[], &[head], 2, Origin::Ours)),
            ("\0\0\n".to_owned(), of(&[], &[], 2, Origin::Ours)),
            (format!("{tail}\n"), of(&[], &[tail], 0, Origin::Maybe)),
            (format!("{failed}\n"), of(&[], &[failed], 0, Origin::Maybe)),
            (format!("\0{tail}"), of(&[], &[tail], 1, Origin::Maybe)),
            (
                "\u{1}\u{2}\n".to_owned(),
                of(&[], &["\u{1}\u{2}"], 0, Origin::Maybe),
            ),
            (
                "my notes\n".to_owned(),
                of(&[], &["my notes"], 0, Origin::Foreign),
            ),
            (
                format!("notes{A}\n"),
                of(&[A], &["notes"], 0, Origin::Maybe),
            ),
        ];
        for (step, (line, expected)) in table.into_iter().enumerate() {
            assert_eq!(pieces(line.as_bytes()), expected, "step {step}: {line:?}");
        }
    }
}

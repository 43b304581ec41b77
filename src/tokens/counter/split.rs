//! The pieces of a text: what the expressions of the encodings match, without an engine.
//!
//! Each function is one expression, and its comments quote it. What it gives is the end of the
//! piece that begins at `at`. It is where a backtracking engine ends, found without going back more
//! than once, so a text is split in time in proportion to its length.

use super::classes::{BREAK, Class, Classes, END, HEAD, LETTER, MARK, NUMBER, SPACE, TAIL};

/// What an expression calls neither space nor letter nor number. Marks are among them.
const fn is_other(class: Class) -> bool {
    class & (SPACE | LETTER | NUMBER | END) == 0
}

/// `[^\r\n\p{L}\p{N}]`: what may lead a word.
const fn may_lead(class: Class) -> bool {
    class & (BREAK | LETTER | NUMBER | END) == 0
}

#[derive(Clone, Copy)]
pub(super) struct Splitter<'a> {
    pub(super) classes: &'a Classes,
    pub(super) text: &'a [u8],
}

/// The expression of `o200k_base`.
#[inline]
pub(super) fn o200k(pieces: Splitter<'_>, at: usize) -> usize {
    let (class, len) = pieces.class(at);
    let after = at + len;
    if class & (BREAK | NUMBER) == 0
        && let Some(end) = pieces.cased_word(at, class, after)
    {
        return pieces.contraction(end).unwrap_or(end);
    }
    if class & NUMBER != 0 {
        return pieces.number(after);
    }
    //  ?[^\s\p{L}\p{N}]+[\r\n/]*
    if let Some(end) = pieces.others(at, class, after) {
        let is_taken = |&&byte: &&u8| matches!(byte, b'\r' | b'\n' | b'/');
        return end + pieces.text[end..].iter().take_while(is_taken).count();
    }
    // \s*[\r\n]+|\s+(?!\S)|\s+
    let spaces = pieces.spaces(at);
    spaces.break_end.unwrap_or_else(|| spaces.before_a_word())
}

/// The expression of `cl100k_base`.
#[inline]
pub(super) fn cl100k(pieces: Splitter<'_>, at: usize) -> usize {
    let (class, len) = pieces.class(at);
    let after = at + len;
    // '(?i:[sdmt]|ll|ve|re)
    if let Some(end) = pieces.contraction(at) {
        return end;
    }
    // [^\r\n\p{L}\p{N}]?+\p{L}++
    if class & LETTER != 0 || (may_lead(class) && pieces.class(after).0 & LETTER != 0) {
        return pieces.run(after, LETTER);
    }
    if class & NUMBER != 0 {
        return pieces.number(after);
    }
    //  ?[^\s\p{L}\p{N}]++[\r\n]*+
    if let Some(end) = pieces.others(at, class, after) {
        return pieces.run(end, BREAK);
    }
    // \s++$|\s*[\r\n]|\s+(?!\S)|\s
    let spaces = pieces.spaces(at);
    match spaces.break_end {
        Some(end) if spaces.end < pieces.text.len() => end,
        _ => spaces.before_a_word(),
    }
}

/// The expression of `p50k_base` and `r50k_base`.
#[inline]
pub(super) fn r50k(pieces: Splitter<'_>, at: usize) -> usize {
    // '(?:[sdmt]|ll|ve|re)
    if let [b'\'', rest @ ..] = &pieces.text[at..] {
        match rest {
            [b's' | b'd' | b'm' | b't', ..] => return at + 2,
            [b'l', b'l', ..] | [b'v' | b'r', b'e', ..] => return at + 3,
            _ => {}
        }
    }
    //  ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++
    let start = at + usize::from(pieces.text[at] == b' ');
    let (class, len) = pieces.class(start);
    if class & LETTER != 0 {
        return pieces.run(start + len, LETTER);
    }
    if class & NUMBER != 0 {
        return pieces.run(start + len, NUMBER);
    }
    if is_other(class) {
        return pieces.other_run(start + len);
    }
    // \s++$|\s+(?!\S)|\s
    pieces.spaces(at).before_a_word()
}

impl Splitter<'_> {
    #[inline]
    fn class(self, at: usize) -> (Class, usize) {
        self.classes.at(self.text, at)
    }

    /// The end of the characters from there on that are all of a set.
    #[inline]
    fn run(self, mut at: usize, set: Class) -> usize {
        loop {
            let (class, len) = self.class(at);
            if class & set == 0 {
                return at;
            }
            at += len;
        }
    }

    fn other_run(self, mut at: usize) -> usize {
        loop {
            let (class, len) = self.class(at);
            if !is_other(class) {
                return at;
            }
            at += len;
        }
    }

    /// ` ?[^\s\p{L}\p{N}]+`
    #[inline]
    fn others(self, at: usize, class: Class, after: usize) -> Option<usize> {
        let leads = self.text[at] == b' ' && is_other(self.class(after).0);
        (leads || is_other(class)).then(|| self.other_run(after))
    }

    /// `\p{N}{1,3}`, the first of which is known.
    fn number(self, mut at: usize) -> usize {
        for _ in 0..2 {
            let (class, len) = self.class(at);
            if class & NUMBER == 0 {
                break;
            }
            at += len;
        }
        at
    }

    /// ```text
    /// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+
    /// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*
    /// ```
    #[inline]
    fn cased_word(self, at: usize, class: Class, after: usize) -> Option<usize> {
        let start = if may_lead(class) { after } else { at };
        let mut head_end = start;
        // Behind the last character that is head and tail in one: letters without case, marks.
        let mut both_end = None;
        loop {
            let (class, len) = self.class(head_end);
            if class & HEAD == 0 {
                if class & TAIL != 0 {
                    return Some(self.run(head_end + len, TAIL));
                }
                break;
            }
            head_end += len;
            if class & TAIL != 0 {
                both_end = Some(head_end);
            }
        }
        // No small letter follows. So the head gives back until its next character can be the
        // tail, which then is just that one.
        if both_end.is_some() {
            return both_end;
        }
        // Nothing for the tail behind the lead; the lead itself is one if it is a mark.
        if class & MARK != 0 {
            return Some(after);
        }
        // The second one: capitals alone.
        (head_end > start).then_some(head_end)
    }

    /// `'(?i:[sdmt]|ll|ve|re)`, in which `s` is also the long `ſ`.
    #[inline]
    fn contraction(self, at: usize) -> Option<usize> {
        let [b'\'', rest @ ..] = self.text.get(at..)? else {
            return None;
        };
        let len = match rest {
            [b's' | b'S' | b'd' | b'D' | b'm' | b'M' | b't' | b'T', ..] => 2,
            [b'l' | b'L', b'l' | b'L', ..] => 3,
            [b'v' | b'V' | b'r' | b'R', b'e' | b'E', ..] => 3,
            [0xC5, 0xBF, ..] => 3,
            _ => return None,
        };
        Some(at + len)
    }

    /// The spaces from there on, of which there is one at least.
    fn spaces(self, start: usize) -> Spaces {
        let (mut last, mut end, mut break_end) = (start, start, None);
        loop {
            let (class, len) = self.class(end);
            if class & SPACE == 0 {
                break;
            }
            last = end;
            end += len;
            if class & BREAK != 0 {
                break_end = Some(end);
            }
        }
        let is_last = end == self.text.len();
        Spaces {
            start,
            last,
            end,
            break_end,
            is_last,
        }
    }
}

/// A run of spaces.
struct Spaces {
    start: usize,
    /// Where the last of them begins.
    last: usize,
    end: usize,
    /// Behind the last line break among them.
    break_end: Option<usize>,
    is_last: bool,
}

impl Spaces {
    /// `\s+(?!\S)|\s+`: all of them but the last, which goes with what follows; all of them at the
    /// end of the text, and one that is alone.
    fn before_a_word(&self) -> usize {
        if self.is_last || self.last == self.start {
            self.end
        } else {
            self.last
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the expressions are subtle. That their pieces are right everywhere follows from the
    /// counts, except where two ways to split come to the same count.
    #[test]
    fn pieces_are_what_the_expressions_match() {
        type Expression = fn(Splitter<'_>, usize) -> usize;
        let table: [(Expression, &str, &[&str]); 12] = [
            (o200k, "HTMLParser DON'T", &["HTMLParser", " DON'T"]),
            (o200k, "aB'sC", &["a", "B's", "C"]),
            (
                o200k,
                "\u{301}AB a\u{301}b",
                &["\u{301}", "AB", " a\u{301}b"],
            ),
            (o200k, "AB中CD", &["AB中", "CD"]),
            (o200k, "!!\n/\n/a 1234", &["!!\n/\n/", "a", " ", "123", "4"]),
            (o200k, "a \n  \n  ", &["a", " \n  \n", "  "]),
            (cl100k, "a \n  \n  ", &["a", " \n  \n  "]),
            (cl100k, "a \n  b", &["a", " \n", " ", " b"]),
            (cl100k, "'sd'Lx'ſ", &["'s", "d", "'Lx", "'ſ"]),
            (
                cl100k,
                "!!\n\n/ \u{301}a",
                &["!!\n\n", "/", " \u{301}", "a"],
            ),
            (
                r50k,
                "'S's  12345 !\n",
                &["'", "S", "'s", " ", " 12345", " !", "\n"],
            ),
            (r50k, "\t\ta\u{301} ", &["\t", "\t", "a", "\u{301}", " "]),
        ];
        for (step, (expression, text, expected)) in table.into_iter().enumerate() {
            let splitter = Splitter {
                classes: Classes::get(),
                text: text.as_bytes(),
            };
            let (mut pieces, mut at) = (Vec::new(), 0);
            while at < text.len() {
                let end = expression(splitter, at);
                pieces.push(&text[at..end]);
                at = end;
            }
            assert_eq!(pieces, expected, "step {step}");
        }
    }
}

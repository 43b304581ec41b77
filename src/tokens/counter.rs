//! Counting a text in the tokens of one encoding, exactly as the reference does, which splits it by
//! an expression into pieces and merges the bytes of each.

mod classes; //    which category each character is of
mod memory; //     the counts of long stretches
mod merge; //      how many tokens a piece is
mod ranks; //      the tokens of each encoding
mod recent; //     what pieces were found to be
mod split; //      where pieces end
mod vocabulary; // which bytes are a token

use super::segment::{SEGMENT, segments};
use classes::Classes;
use memory::Memory;
use recent::Recent;
use split::Splitter;
use vocabulary::{SHORT, Vocabulary, key_at};

/// Counts in one encoding.
pub(super) struct Counter {
    expression: Expression,
    classes: &'static Classes,
    vocabulary: Vocabulary,
    recent: Recent,
    memory: Memory,
}

enum Expression {
    O200k,
    Cl100k,
    R50k,
}

impl Counter {
    pub(super) fn o200k() -> Self {
        Self::new(Expression::O200k, ranks::O200K, ranks::O200K_TOKENS)
    }

    pub(super) fn cl100k() -> Self {
        Self::new(Expression::Cl100k, ranks::CL100K, ranks::CL100K_TOKENS)
    }

    pub(super) fn p50k() -> Self {
        Self::new(Expression::R50k, ranks::P50K, ranks::P50K_TOKENS)
    }

    pub(super) fn r50k() -> Self {
        Self::new(Expression::R50k, ranks::P50K, ranks::R50K_TOKENS)
    }

    fn new(expression: Expression, file: &[u8], count: usize) -> Self {
        let packed = ranks::unpacked(file);
        Self {
            expression,
            classes: Classes::get(),
            vocabulary: Vocabulary::new(count, ranks::tokens(&packed).take(count)),
            recent: Recent::new(),
            memory: Memory::new(),
        }
    }

    /// The number of tokens of a text.
    pub(super) fn count(&self, text: &str) -> u64 {
        if text.len() < 2 * SEGMENT {
            return self.count_anew(text);
        }
        let count = |segment| self.memory.get(segment, |segment| self.count_anew(segment));
        segments(text).map(count).sum()
    }

    /// The same, whether or not it has been counted before; it is not remembered.
    pub(super) fn count_anew(&self, text: &str) -> u64 {
        match self.expression {
            Expression::O200k => self.count_by(text, split::o200k),
            Expression::Cl100k => self.count_by(text, split::cl100k),
            Expression::R50k => self.count_by(text, split::r50k),
        }
    }

    #[inline]
    fn count_by(&self, text: &str, end: impl Fn(Splitter<'_>, usize) -> usize) -> u64 {
        let text = text.as_bytes();
        let splitter = Splitter {
            classes: self.classes,
            text,
        };
        let recent = self.recent.table();
        let (mut count, mut at) = (0, 0);
        while at < text.len() {
            let end = end(splitter, at);
            count += match end - at {
                1 => 1, // every byte is a token
                len @ ..=SHORT => {
                    recent.get(key_at(text, at, len), |key| self.vocabulary.short(key, len))
                }
                _ => self.vocabulary.long(&text[at..end]),
            } as u64;
            at = end;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a long text was counted as is known afterwards, stretch by stretch: all but a few, which
    /// have lost their places to others.
    #[test]
    fn long_texts_are_remembered_and_short_ones_are_not() {
        let counter = Counter::r50k();
        let number = |number: usize| format!("Line {number} of it, isn't it?\n");
        let text = String::from_iter((0..20_000).map(number));
        let count = counter.count(&text);
        assert_eq!(counter.count_anew(&text), count);
        assert_eq!(counter.count(&text), count);
        let known = |segment: &str| counter.memory.get(segment, |_| u64::MAX) != u64::MAX;
        let segments: Vec<&str> = segments(&text).collect();
        let found = segments.iter().filter(|segment| known(segment)).count();
        assert!(segments.len() > 1_000, "{}", segments.len());
        assert!(
            found > segments.len() * 9 / 10,
            "{found} of {}",
            segments.len()
        );
        let short = "x".repeat(2 * SEGMENT - 1);
        counter.count(&short);
        assert!(!known(&short));
    }
}

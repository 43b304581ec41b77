//! Text of a given number of tokens: small words, repeated.

use std::ops::RangeInclusive;

use super::super::charge::CAP_UNSET;
use super::super::draw::Draw;

/// Most tokens of one answer, whatever its cap: a cap of a billion must not fill memory.
pub(super) const MOST: u64 = 16_384;
/// Three letters and a space are four characters, so the simulator counts each as one token.
pub(super) const WORDS: [&str; 8] = ["the", "sun", "and", "sea", "are", "old", "but", "new"];

/// One answer's text, and why it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Words {
    first: usize,
    tokens: u64,
    cut: bool,
}

impl Words {
    /// Draws a length from `range`, or up to the cap without a range, and cuts it at the cap.
    pub(super) fn draw(
        draw: &mut Draw,
        cap: Option<u64>,
        range: Option<&RangeInclusive<u64>>,
    ) -> Self {
        let cap = cap.unwrap_or(CAP_UNSET).clamp(1, MOST);
        let length = match range {
            Some(range) => draw.between(*range.start(), *range.end()).max(1),
            None => draw.between(1, cap),
        };
        let first = usize::try_from(draw.between(0, WORDS.len() as u64 - 1)).unwrap_or(0);
        Self {
            first,
            tokens: length.min(cap),
            cut: length >= cap,
        }
    }

    pub(in crate::sim) fn tokens(&self) -> u64 {
        self.tokens
    }

    pub(super) fn cut(&self) -> bool {
        self.cut
    }

    pub(super) fn text(&self) -> String {
        self.pieces(1).concat()
    }

    /// The text in at most `most` pieces of about the same length.
    pub(super) fn pieces(&self, most: u64) -> Vec<String> {
        let tokens = usize::try_from(self.tokens).unwrap_or(0);
        let size = usize::try_from(self.tokens.div_ceil(most.max(1))).unwrap_or(1);
        let mut pieces: Vec<String> = Vec::new();
        for at in 0..tokens {
            if at.is_multiple_of(size.max(1)) {
                pieces.push(String::new());
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(if at == 0 { "" } else { " " });
                piece.push_str(WORDS[(self.first + at) % WORDS.len()]);
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::charge::Text;
    use super::*;

    #[test]
    fn answers_keep_to_their_cap_and_say_when_it_cut_them() {
        // cap, range, least tokens, most tokens
        let table = [
            (None, None, 1, 16),
            (Some(1), None, 1, 1),
            (Some(100), None, 1, 100),
            (Some(100), Some(5..=5), 5, 5),
            (Some(100), Some(90..=300), 90, 100),
            (Some(100), Some(0..=0), 1, 1),
            (Some(u64::MAX), Some(u64::MAX..=u64::MAX), MOST, MOST),
        ];
        for (step, (cap, range, least, most)) in table.into_iter().enumerate() {
            let mut draw = Draw::new(3, b"words");
            for _ in 0..20 {
                let words = Words::draw(&mut draw, cap, range.as_ref());
                let tokens = words.tokens();
                assert!((least..=most).contains(&tokens), "step {step}: {tokens}");
                let at_cap = tokens == cap.unwrap_or(16).min(MOST);
                assert_eq!(words.cut(), at_cap, "step {step}");
            }
        }
    }

    #[test]
    fn the_text_has_as_many_tokens_as_it_says_in_any_number_of_pieces() {
        for tokens in [1, 2, 3, 63, 64, 65, 1_000] {
            let words = Words {
                first: 5,
                tokens,
                cut: false,
            };
            let mut text = Text::default();
            text.add(&json!(words.text()));
            assert_eq!(text.tokens(), tokens);
            for most in [1, 2, 64] {
                let pieces = words.pieces(most);
                assert!(pieces.len() as u64 <= most, "{tokens} in {most} pieces");
                assert_eq!(pieces.concat(), words.text(), "{tokens} in {most} pieces");
            }
        }
    }
}

//! Inputs changed at random, from a seed: the same seed makes the same inputs.

/// What parsers trip over, put in whole.
const TOKENS: [&[u8]; 44] = [
    b"0",
    b"-1",
    b"1e999",
    b"-0.0",
    b"NaN",
    b"Infinity",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"4294967295",
    b"1e-320",
    b"99999999999999999999999999999999",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc2\x9b",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
    b"\\u0000",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"data: ",
    b"[DONE]",
    b"null",
    b"'",
    b";",
    b"=",
    b"%",
    b"6m0s",
];

/// Makes inputs of a corpus.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// A generator that starts with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Of 0 nothing else would come.
        Self { state: seed | 1 }
    }

    /// A number below `end`, 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let mixed = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed)
            .unwrap_or(0)
            .checked_rem(end)
            .unwrap_or(0)
    }

    /// An input of the corpus with up to eight changes, of at most `longest` bytes.
    pub fn input(&mut self, corpus: &[Vec<u8>], longest: usize) -> Vec<u8> {
        let pick = |it: &mut Self| {
            corpus
                .get(it.below(corpus.len()))
                .cloned()
                .unwrap_or_default()
        };
        let mut input = pick(self);
        for _ in 0..=self.below(8) {
            let at = self.below(input.len() + 1);
            let length = match self.below(4) {
                0 => self.below(input.len() - at + 1),
                _ => self.below((input.len() - at).min(16) + 1),
            };
            let range = at..at + length;
            match self.below(9) {
                0 => drop(input.drain(range)),
                1 => {
                    let copy = input[range].to_vec();
                    let to = self.below(input.len() + 1);
                    input.splice(to..to, copy);
                }
                2 if at < input.len() => input[at] ^= 1 << self.below(8),
                3 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap_or(0),
                4 => {
                    let other = pick(self);
                    let from = self.below(other.len() + 1);
                    input.splice(at.., other[from..].iter().copied());
                }
                5 => input.truncate(at),
                6 => self.number(&mut input),
                7 if length > 0 => {
                    let piece = input[range].to_vec();
                    let times = self.below(200);
                    input.splice(at..at, piece.repeat(times));
                }
                _ => {
                    let token = TOKENS[self.below(TOKENS.len())];
                    input.splice(at..at, token.iter().copied());
                }
            }
            input.truncate(longest);
        }
        input
    }

    /// Puts another number in place of one.
    fn number(&mut self, input: &mut Vec<u8>) {
        let begins = |at: &usize| {
            input[*at].is_ascii_digit()
                && !at
                    .checked_sub(1)
                    .is_some_and(|it| input[it].is_ascii_digit())
        };
        let numbers: Vec<usize> = (0..input.len()).filter(begins).collect();
        let Some(start) = numbers.get(self.below(numbers.len())).copied() else {
            return;
        };
        let digits = input[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let token = TOKENS[self.below(14)];
        input.splice(start..start + digits, token.iter().copied());
    }
}

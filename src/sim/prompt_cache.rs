//! A prompt cache: reports the beginning of a prompt that was seen before as cached tokens.

use std::collections::{HashSet, VecDeque};

use parking_lot::Mutex;

use super::draw::fingerprint;

/// Tokens of a block: prompts are cached in whole blocks. From OpenAI's guide "Prompt caching".
const BLOCK: u64 = 128;
/// Shorter prompts are not cached, says the same guide.
const LEAST: u64 = 1_024;
/// Characters of a block, at four a token.
const BLOCK_BYTES: usize = 512;
/// Blocks that are remembered; the oldest are forgotten.
const MOST: usize = 1 << 20;

/// The beginnings of a prompt: a fingerprint for one block, for two, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Beginnings(Vec<u64>);

impl Beginnings {
    pub(super) fn of(model: &str, prompt: &str) -> Self {
        let mut before = fingerprint(model.as_bytes());
        let blocks = prompt.as_bytes().chunks_exact(BLOCK_BYTES);
        let beginnings = blocks.map(|block| {
            before = before.rotate_left(5) ^ fingerprint(block);
            before
        });
        Self(beginnings.collect())
    }
}

/// What was seen. The lock is held for look-ups alone.
#[derive(Debug, Default)]
pub(super) struct PromptCache(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl PromptCache {
    /// The tokens of this prompt that are cached, of `tokens` in all; it is cached from now on.
    pub(super) fn visit(&self, beginnings: &Beginnings, tokens: u64) -> u64 {
        let mut seen = self.0.lock();
        let known = beginnings.0.iter().take_while(|it| seen.known.contains(it));
        let blocks = u64::try_from(known.count()).unwrap_or(u64::MAX);
        for beginning in &beginnings.0 {
            if seen.known.insert(*beginning) {
                seen.order.push_back(*beginning);
            }
        }
        while seen.order.len() > MOST {
            if let Some(oldest) = seen.order.pop_front() {
                seen.known.remove(&oldest);
            }
        }
        let cached = blocks.saturating_mul(BLOCK).min(tokens / BLOCK * BLOCK);
        if cached < LEAST { 0 } else { cached }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_beginning_is_cached_in_whole_blocks_from_the_second_time_on() {
        let cache = PromptCache::default();
        let prompt = "word ".repeat(1_200); // 6,000 bytes: 11 whole blocks
        let other = format!("{}{}", &prompt[..4_700], "end ".repeat(300));
        let visit = |model: &str, prompt: &str| {
            let tokens = prompt.len() as u64 / 4;
            cache.visit(&Beginnings::of(model, prompt), tokens)
        };
        assert_eq!(visit("a", &prompt), 0);
        assert_eq!(visit("a", &prompt), 11 * BLOCK);
        assert_eq!(visit("a", &other), 9 * BLOCK);
        assert_eq!(visit("b", &prompt), 0, "of another model");
        assert_eq!(visit("a", &prompt[..4_000]), 0, "7 blocks are too few");
    }
}

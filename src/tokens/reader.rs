//! Counting what is read, however much it is.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::thread;

use super::counter::Counter;
use super::segment::{first_split, last_split};

/// How much is read for each core before it is counted: it takes some ten milliseconds, beside
/// which starting threads is nothing.
const BLOCK: usize = 1 << 20;
/// At most this many threads, so a block for all of them takes 16 MB at most.
const MOST_THREADS: usize = 16;

/// The tokens of all that the reader has. What is not UTF-8 is U+FFFD, as in
/// [`String::from_utf8_lossy`].
pub(super) fn count(counter: &Counter, reader: impl Read) -> io::Result<u64> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(MOST_THREADS);
    count_in_blocks(counter, reader, threads, threads * BLOCK)
}

fn count_in_blocks(
    counter: &Counter,
    mut reader: impl Read,
    threads: usize,
    block: usize,
) -> io::Result<u64> {
    let (mut tokens, mut bytes, mut text) = (0_u64, Vec::new(), String::new());
    loop {
        let read = reader.by_ref().take(block as u64).read_to_end(&mut bytes)?;
        let is_end = read < block;
        let whole = if is_end { bytes.len() } else { whole(&bytes) };
        text.push_str(&String::from_utf8_lossy(&bytes[..whole]));
        bytes.drain(..whole);
        let end = match last_split(&text) {
            Some(split) if !is_end => split,
            // A whole block without a place to split: it is cut where it ends.
            _ => text.len(),
        };
        tokens = tokens.saturating_add(side_by_side(counter, &text[..end], threads));
        text.drain(..end);
        if is_end {
            return Ok(tokens);
        }
    }
}

/// The length without the character that may have been read in part: without the last bytes from
/// a first byte of several on.
fn whole(bytes: &[u8]) -> usize {
    let is_first = |&byte: &u8| byte >= 0b1100_0000;
    let last = &bytes[bytes.len().saturating_sub(3)..];
    match last.iter().rposition(is_first) {
        Some(at) => bytes.len() - last.len() + at,
        None => bytes.len(),
    }
}

/// Counts about equal parts of the text, each in a thread of its own.
fn side_by_side(counter: &Counter, text: &str, threads: usize) -> u64 {
    let mut parts = Vec::with_capacity(threads);
    let mut rest = text;
    for left in (2..=threads).rev() {
        let Some(split) = first_split(rest, rest.len() / left) else {
            break;
        };
        let (part, after) = rest.split_at(split);
        parts.push(part);
        rest = after;
    }
    thread::scope(|scope| {
        let started: Vec<_> = parts
            .into_iter()
            .map(|part| {
                let builder = thread::Builder::new().name("paceline-text".to_owned());
                let thread = builder.spawn_scoped(scope, || counter.count_anew(part));
                (part, thread)
            })
            .collect();
        let own = counter.count_anew(rest);
        let others = started.into_iter().map(|(part, thread)| {
            // Without a thread of its own it is counted here.
            let count = thread.ok().and_then(|thread| thread.join().ok());
            count.unwrap_or_else(|| counter.count_anew(part))
        });
        others.fold(own, u64::saturating_add)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;

    /// Gives a few bytes at once.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(len);
            buffer[..len].copy_from_slice(now);
            self.0 = later;
            Ok(len)
        }
    }

    #[test]
    fn what_is_read_counts_like_the_text() {
        const BLOCK: usize = 5_000;
        let units: [&[u8]; 6] = [
            "One line of it, isn't it?\n".as_bytes(),
            "人人生而自由，在尊严和权利上一律平等。".as_bytes(),
            "😀👍🏽 é ".as_bytes(),
            b"\xF0\x9F\x98 \xFFa\x80\xE4\xB8 \xC3\n",
            b"a b  c\t\t\n\n  \r\n d    ",
            b"\xE4\xB8\xAD\xE4",
        ];
        let encoding = Encoding::Cl100kBase;
        for (step, unit) in units.into_iter().enumerate() {
            for (threads, drip) in [(1, 4_999), (2, 70), (3, 10_000), (16, 1)] {
                let bytes = [b"<", unit.repeat(50_000 / unit.len()).as_slice()].concat();
                let expected = encoding.count(&String::from_utf8_lossy(&bytes));
                let reader = Dripping(&bytes, drip);
                let found = count_in_blocks(encoding.counter(), reader, threads, BLOCK);
                let off = found.expect("nothing fails").abs_diff(expected);
                // Nothing splits the last one, which is cut at the end of each block.
                let most = if step == 5 { 3 * 10 } else { 0 };
                assert!(off <= most, "step {step}, {threads} threads: {off}");
            }
        }
        assert_eq!(encoding.count_reader(io::empty()).ok(), Some(0));
    }

    #[test]
    fn a_reader_that_fails_gives_its_error() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let reader = "some text".as_bytes().chain(Failing);
        let error = Encoding::O200kBase
            .count_reader(reader)
            .expect_err("it fails");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

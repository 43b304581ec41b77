//! Where the bytes of a body are among those that arrive, pure.

use super::head::Framing;
use super::problem::Problem;

/// The longest line before a chunk: its size, and what else a server may say there.
const MAX_LINE: usize = 4 * 1024;
/// All that may come behind the last chunk.
const MAX_TRAILERS: usize = 64 * 1024;

/// Tells the bytes of a body from those around them.
#[derive(Debug)]
pub(super) struct Body {
    state: State,
    trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This many bytes are left.
    Data(u64),
    /// This many bytes of a chunk are left.
    Chunk(u64),
    ChunkEnd,
    Size,
    Trailers,
    UntilClose,
    Done,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Bytes of the body, at most this many.
    Data(u64),
    /// More input is needed to tell.
    Input,
    /// The body has ended.
    Done,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Data(length),
            Framing::Chunked => State::Size,
            Framing::Close => State::UntilClose,
        };
        Self { state, trailers: 0 }
    }

    /// Goes over what stands between data at the start of `input`; returns its length and what comes next.
    pub(super) fn next(&mut self, input: &[u8]) -> Result<(usize, Next), Problem> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            match self.state {
                State::Data(left) | State::Chunk(left) => return Ok((used, Next::Data(left))),
                State::UntilClose => return Ok((used, Next::Data(u64::MAX))),
                State::Done => return Ok((used, Next::Done)),
                State::ChunkEnd => match rest {
                    [] | [b'\r'] => return Ok((used, Next::Input)),
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::Size;
                    }
                    _ => return Err(Problem::BadBody("chunk without an end")),
                },
                // Without a digit it would pass for the last one.
                State::Size if rest.first().is_some_and(|it| !it.is_ascii_hexdigit()) => {
                    return Err(Problem::BadBody("chunk of an invalid size"));
                }
                State::Size => match httparse::parse_chunk_size(rest) {
                    Ok(httparse::Status::Complete((length, size))) => {
                        used += length;
                        self.state = match size {
                            0 => State::Trailers,
                            size => State::Chunk(size),
                        };
                    }
                    Ok(httparse::Status::Partial) if rest.len() < MAX_LINE => {
                        return Ok((used, Next::Input));
                    }
                    _ => return Err(Problem::BadBody("chunk of an invalid size")),
                },
                State::Trailers => {
                    let line = rest.iter().position(|byte| *byte == b'\n');
                    let length = line.map_or(rest.len(), |end| end + 1);
                    if self.trailers.saturating_add(length) > MAX_TRAILERS {
                        return Err(Problem::BadBody("chunks with too much behind them"));
                    }
                    let Some(end) = line else {
                        return Ok((used, Next::Input));
                    };
                    self.trailers += length;
                    used += length;
                    if matches!(rest.get(..end), Some([] | [b'\r'])) {
                        self.state = State::Done;
                    }
                }
            }
        }
    }

    /// The caller has taken `count` bytes of data.
    pub(super) fn took(&mut self, count: u64) {
        self.state = match self.state {
            State::Data(left) if left <= count => State::Done,
            State::Data(left) => State::Data(left - count),
            State::Chunk(left) if left <= count => State::ChunkEnd,
            State::Chunk(left) => State::Chunk(left - count),
            other => other,
        };
    }

    /// The connection has ended; true if that is how the body was to end.
    pub(super) fn ends_by_close(&mut self) -> bool {
        let ends = self.state == State::UntilClose;
        if ends {
            self.state = State::Done;
        }
        ends
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn is_chunked(&self) -> bool {
        matches!(self.state, State::Chunk(_))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data among these bytes when they arrive in pieces of this length, and what is left over.
    fn data(framing: Framing, bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
        let (mut body, mut data) = (Body::new(framing), Vec::new());
        let (mut input, mut rest) = (Vec::new(), bytes);
        loop {
            let (used, next) = body.next(&input).map_err(|error| format!("{error:?}"))?;
            input.drain(..used);
            match next {
                Next::Done => return Ok((data, [&input, rest].concat())),
                Next::Data(most) if !input.is_empty() => {
                    let most = input.len().min(usize::try_from(most).unwrap_or(usize::MAX));
                    data.extend(input.drain(..most));
                    body.took(most as u64);
                }
                _ if rest.is_empty() => {
                    return match body.ends_by_close() {
                        true => Ok((data, Vec::new())),
                        false => Err("cut".to_owned()),
                    };
                }
                _ => {
                    let (more, after) = rest.split_at(piece.min(rest.len()));
                    input.extend_from_slice(more);
                    rest = after;
                }
            }
        }
    }

    #[test]
    fn bodies_are_told_from_what_is_around_them_in_pieces_of_any_size() {
        use Framing::{Chunked, Close, Length};
        let table: [(_, &[u8], _); 15] = [
            (Length(3), b"abcd", Ok(("abc", "d"))),
            (Length(0), b"d", Ok(("", "d"))),
            (Length(3), b"ab", Err("cut")),
            (Close, b"abc", Ok(("abc", ""))),
            (Close, b"", Ok(("", ""))),
            (
                Chunked,
                b"3\r\nabc\r\n01;x=y\r\nd\r\n0\r\n\r\nz",
                Ok(("abcd", "z")),
            ),
            (Chunked, b"3\r\nabc\r\n0\r\nx: y\r\n\r\nz", Ok(("abc", "z"))),
            (
                Chunked,
                b"A\r\n0123456789\r\n0\r\n\r\n",
                Ok(("0123456789", "")),
            ),
            (Chunked, b"3\r\nabc\r\n0\r\n", Err("cut")),
            (Chunked, b"3\r\nabc", Err("cut")),
            (Chunked, b"3\r\nabcd\r\n", Err("without an end")),
            (Chunked, b"xyz\r\n{}\r\n", Err("invalid size")),
            (Chunked, b"-1\r\n{}\r\n", Err("invalid size")),
            (Chunked, b"fffffffffffffffff\r\n{}\r\n", Err("invalid size")),
            (Chunked, b"\r\n\r\n", Err("invalid size")),
        ];
        for (framing, bytes, expected) in table {
            for piece in [1, 2, 3, 1_000] {
                let found = data(framing, bytes, piece);
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                let found = found.map(|(data, rest)| (text(data), text(rest)));
                match (&found, expected) {
                    (Ok((data, rest)), Ok(expected)) => {
                        assert_eq!((data.as_str(), rest.as_str()), expected);
                    }
                    (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
                    _ => panic!("{bytes:?} in pieces of {piece}: {found:?}"),
                }
            }
        }
        let line = [b"1;", &[b'x'; MAX_LINE][..]].concat();
        assert!(data(Chunked, &line, 100).unwrap_err().contains("size"));
        let trailers = [b"0\r\n", &b"x: y\r\n".repeat(20_000)[..]].concat();
        assert!(
            data(Chunked, &trailers, 100)
                .unwrap_err()
                .contains("behind")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_pieces_do_not_matter(
            bytes in prop::collection::vec(prop::sample::select(&b"0123af\r\n;x"[..]), 0..60),
            piece in 1_usize..9,
        ) {
            let whole = data(Framing::Chunked, &bytes, 1_000);
            let parts = data(Framing::Chunked, &bytes, piece);
            if let (Ok(whole), Ok(parts)) = (&whole, &parts) {
                prop_assert_eq!(whole, parts);
            }
            prop_assert_eq!(whole.is_ok(), parts.is_ok());
        }
    }
}

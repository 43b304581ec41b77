//! The text of an input, in UTF-8: another encoding is decoded as it is read, and another format is
//! refused before anything of it is.
//!
//! Nothing is held back but what may be half of a character or of a line end, so a pipe that says
//! one line at a time is read one line at a time.

use std::io::{self, BufRead, Read};

use super::kind::{ENOUGH, Encoding, Foreign, recognise};
use super::mark::filled;

/// As old DOS programs end a text.
const CTRL_Z: u8 = 0x1a;
/// A surrogate without its partner, as UTF-8 would encode it if it were a character: its line is
/// reported as any other line that is no UTF-8.
const NO_TEXT: &[u8] = b"\xed\xa0\x80";
/// Bytes of another format, at most, that are read to see whether they can be read at all.
const JUDGED: u64 = 1 << 16;
/// Bytes that are decoded at once.
const SOME: usize = 1 << 15;

/// What becomes of a `\r` that no `\n` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoneReturn {
    /// It ends a line, as on old Macs, and is given as `\n`.
    EndsLine,
    /// It stays, for a parser that knows quotes.
    Stays,
}

/// The text of a reader. Waits for its first line, or its first 512 bytes.
pub(super) fn text(
    mut reader: Box<dyn BufRead + Send>,
    lone_return: LoneReturn,
) -> io::Result<Result<Box<dyn BufRead + Send>, Foreign>> {
    let start = start(&mut reader)?;
    let encoding = match recognise(&start) {
        Ok(encoding) => encoding,
        Err(foreign) => {
            // What is packed and damaged comes out as nonsense before it is seen to be damaged.
            io::copy(&mut reader.take(JUDGED), &mut io::sink())?;
            return Ok(Err(foreign));
        }
    };
    let bytes: Box<dyn BufRead + Send> = Box::new(io::Cursor::new(start).chain(reader));
    let utf_8: Box<dyn BufRead + Send> = match encoding {
        Encoding::Utf8 => bytes,
        Encoding::Utf16 { is_big_endian } => Box::new(Utf16::new(bytes, is_big_endian)),
    };
    Ok(Ok(Box::new(Ends::new(utf_8, lone_return))))
}

/// What it takes to recognise a format: the first line, or as much as is enough.
fn start(reader: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    loop {
        let has_line = start.last() == Some(&b'\n');
        // In UTF-16 the line end is one byte of two, and two characters tell the encoding.
        let is_whole = !start.contains(&0) || start.len() >= 4;
        if start.len() >= ENOUGH || (has_line && is_whole) {
            return Ok(start);
        }
        let bytes = filled(reader)?;
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let taken = line.map_or(bytes.len(), |end| end + 1);
        let taken = taken.min(ENOUGH - start.len());
        if taken == 0 {
            return Ok(start);
        }
        start.extend_from_slice(&bytes[..taken]);
        reader.consume(taken);
    }
}

/// UTF-16 as UTF-8.
struct Utf16<R> {
    inner: R,
    is_big_endian: bool,
    /// The first byte of two.
    half: Option<u8>,
    /// The first surrogate of two.
    high: Option<u16>,
    decoded: Vec<u8>,
    /// How much of that was taken.
    taken: usize,
}

impl<R: BufRead> Utf16<R> {
    fn new(inner: R, is_big_endian: bool) -> Self {
        Self {
            inner,
            is_big_endian,
            half: None,
            high: None,
            decoded: Vec::new(),
            taken: 0,
        }
    }

    fn push(&mut self, unit: u16) {
        let high = self.high.take();
        if let Some(high) = high
            && !matches!(unit, 0xdc00..=0xdfff)
        {
            debug_assert!(matches!(high, 0xd800..=0xdbff));
            self.decoded.extend_from_slice(NO_TEXT);
        }
        let units = high.into_iter().filter(|_| matches!(unit, 0xdc00..=0xdfff));
        match char::decode_utf16(units.chain([unit])).next() {
            Some(Ok(char)) => {
                let mut bytes = [0; 4];
                let encoded = char.encode_utf8(&mut bytes);
                self.decoded.extend_from_slice(encoded.as_bytes());
            }
            _ if matches!(unit, 0xd800..=0xdbff) => self.high = Some(unit),
            _ => self.decoded.extend_from_slice(NO_TEXT),
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        self.decoded.clear();
        self.taken = 0;
        while self.decoded.is_empty() {
            let bytes = filled(&mut self.inner)?;
            let some: Vec<u8> = bytes.iter().copied().take(SOME).collect();
            self.inner.consume(some.len());
            if some.is_empty() {
                // What ends in the middle of a character is damaged, which its last line says.
                if self.high.take().is_some() | self.half.take().is_some() {
                    self.decoded.extend_from_slice(NO_TEXT);
                }
                return Ok(());
            }
            for byte in some {
                match self.half.take() {
                    None => self.half = Some(byte),
                    Some(first) if self.is_big_endian => {
                        self.push(u16::from_be_bytes([first, byte]));
                    }
                    Some(first) => self.push(u16::from_le_bytes([first, byte])),
                }
            }
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Utf16<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.decoded.len() {
            self.decode()?;
        }
        Ok(&self.decoded[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.decoded.len());
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read(self, buffer)
    }
}

/// Line ends, and the end of the text. Most of a text goes through without a copy.
struct Ends<R> {
    inner: R,
    lone_return: LoneReturn,
    /// The last byte, of which it takes the next one to know what it means.
    held: Option<u8>,
    changed: Vec<u8>,
    /// How much of that was taken.
    taken: usize,
    /// How many of the inner reader's next bytes are given as they are.
    plain: usize,
}

impl<R: BufRead> Ends<R> {
    fn new(inner: R, lone_return: LoneReturn) -> Self {
        Self {
            inner,
            lone_return,
            held: None,
            changed: Vec::new(),
            taken: 0,
            plain: 0,
        }
    }

    /// Whether it takes the next byte to know what this one means.
    fn is_held(&self, byte: u8) -> bool {
        byte == CTRL_Z || (byte == b'\r' && self.lone_return == LoneReturn::EndsLine)
    }

    /// Gets the next bytes: those of the inner reader, or changed ones.
    fn advance(&mut self) -> io::Result<()> {
        self.changed.clear();
        self.taken = 0;
        while self.changed.is_empty() {
            let has_returns = self.lone_return == LoneReturn::EndsLine;
            let bytes = filled(&mut self.inner)?;
            let is_plain = bytes.last() != Some(&CTRL_Z)
                && !(has_returns && bytes.contains(&b'\r'))
                && !bytes.is_empty();
            if is_plain && self.held.is_none() {
                self.plain = bytes.len();
                return Ok(());
            }
            let bytes: Vec<u8> = bytes.iter().copied().take(SOME).collect();
            self.inner.consume(bytes.len());
            if bytes.is_empty() {
                if self.held.take() == Some(b'\r') {
                    self.changed.push(b'\n');
                }
                return Ok(()); // a Ctrl-Z at the end is dropped
            }
            for byte in bytes {
                match self.held.take() {
                    Some(b'\r') if byte != b'\n' => self.changed.push(b'\n'),
                    Some(held) => self.changed.push(held),
                    None => {}
                }
                match self.is_held(byte) {
                    true => self.held = Some(byte),
                    false => self.changed.push(byte),
                }
            }
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Ends<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.plain == 0 && self.taken == self.changed.len() {
            self.advance()?;
        }
        if self.plain == 0 {
            return Ok(&self.changed[self.taken..]);
        }
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..self.plain.min(bytes.len())])
    }

    fn consume(&mut self, amount: usize) {
        if self.plain == 0 {
            self.taken = (self.taken + amount).min(self.changed.len());
            return;
        }
        let amount = amount.min(self.plain);
        self.plain -= amount;
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Ends<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read(self, buffer)
    }
}

fn read(reader: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let bytes = reader.fill_buf()?;
    let read = bytes.len().min(buffer.len());
    buffer[..read].copy_from_slice(&bytes[..read]);
    reader.consume(read);
    Ok(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a fixed number of bytes at a time.
    struct Chunks(Vec<u8>, usize, usize);

    impl Read for Chunks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let end = (self.1 + self.2.max(1)).min(self.0.len());
            let some = &self.0[self.1..end];
            let read = some.len().min(buffer.len());
            buffer[..read].copy_from_slice(&some[..read]);
            self.1 += read;
            Ok(read)
        }
    }

    fn read_in(bytes: &[u8], chunk: usize, lone_return: LoneReturn) -> Option<Vec<u8>> {
        let chunks = io::BufReader::with_capacity(chunk.max(1), Chunks(bytes.to_vec(), 0, chunk));
        let mut found = Vec::new();
        let reader = text(Box::new(chunks), lone_return).unwrap();
        reader.ok()?.read_to_end(&mut found).unwrap();
        Some(found)
    }

    fn utf_16(text: &str, is_big_endian: bool) -> Vec<u8> {
        let bytes = |unit: u16| match is_big_endian {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf_16_is_read_with_and_without_a_mark() {
        for text in ["id,text\n1,Grüße 😀\n", "a\n", "{\"a\": 1}\r\n"] {
            for (mark, is_big_endian) in [
                ("", false),
                ("", true),
                ("\u{feff}", false),
                ("\u{feff}", true),
            ] {
                let whole = format!("{mark}{text}");
                let bytes = utf_16(&whole, is_big_endian);
                for chunk in [1, 2, 3, 1_000] {
                    let found = read_in(&bytes, chunk, LoneReturn::EndsLine);
                    assert_eq!(found.as_deref(), Some(whole.as_bytes()), "{whole:?}");
                }
            }
        }
    }

    #[test]
    fn damaged_utf_16_is_no_text_in_its_line_alone() {
        let mut bytes = utf_16("\u{feff}a\nb", false);
        bytes.extend([0x00, 0xd8]); // half a pair
        bytes.extend(utf_16("\nc\n", false));
        bytes.push(b'x'); // half a character
        let found = read_in(&bytes, 5, LoneReturn::EndsLine).unwrap();
        let lines: Vec<_> = found
            .split(|byte| *byte == b'\n')
            .map(str::from_utf8)
            .collect();
        assert!(lines[0].is_ok() && lines[1].is_err() && lines[2] == Ok("c") && lines[3].is_err());
    }

    #[test]
    fn line_ends_of_three_systems_and_the_end_of_dos() {
        for (text, ends, stays) in [
            ("a\rb\r", "a\nb\n", "a\rb\r"),
            ("a\r\nb", "a\r\nb", "a\r\nb"),
            ("a\r\r\nb", "a\n\r\nb", "a\r\r\nb"),
            ("a\n\x1a", "a\n", "a\n"),
            ("a\x1ab\n", "a\x1ab\n", "a\x1ab\n"),
            ("\r\x1a", "\n", "\r"),
        ] {
            for chunk in [1, 2, 100] {
                let found = |rule| {
                    String::from_utf8(read_in(text.as_bytes(), chunk, rule).unwrap()).unwrap()
                };
                assert_eq!(found(LoneReturn::EndsLine), ends, "{text:?}");
                assert_eq!(found(LoneReturn::Stays), stays, "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference_and_nothing_panics(
            bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(0x1a), any::<u8>()], 0..80),
            mark in prop::sample::select(vec![&b""[..], b"\xff\xfe", b"\xfe\xff", b"a\0b\0"]),
            chunk in 1..9_usize,
        ) {
            let bytes = [mark, &bytes].concat();
            for rule in [LoneReturn::EndsLine, LoneReturn::Stays] {
                prop_assert_eq!(read_in(&bytes, chunk, rule), read_in(&bytes, 1_000, rule));
            }
        }
    }
}

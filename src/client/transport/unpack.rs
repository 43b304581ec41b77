//! Answers that are compressed although the request did not ask for it.
//!
//! What a body begins with is believed before what its header says: on the way of an answer
//! headers are lost, and bodies unpacked without a word.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How much is unpacked between two looks at what is held, in bytes.
const PIECE: u64 = 256 * 1024;

/// How often an answer can be packed in itself.
const MOST_LAYERS: usize = 3;

/// What a header says of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Coding {
    /// Nothing, or that it is as it is.
    Plain,
    /// That it is packed in a way that its first bytes tell: gzip or zstd.
    Known,
    Deflate,
    /// That it is packed in another way, of this name.
    Unknown(String),
}

impl Coding {
    /// Reads the value of `content-encoding`.
    pub(super) fn of(header: &str) -> Self {
        // The last one that was put around it.
        let mut names = header
            .rsplit(',')
            .map(|name| name.trim().to_ascii_lowercase());
        match names.find(|name| !name.is_empty() && name != "identity") {
            None => Self::Plain,
            Some(name) => match name.as_str() {
                "gzip" | "x-gzip" | "zstd" => Self::Known,
                "deflate" => Self::Deflate,
                _ => Self::Unknown(name),
            },
        }
    }
}

/// Why a body cannot be read.
#[derive(Debug)]
pub(super) enum Unpackable {
    /// It ends too early, or is damaged.
    Broken(String),
    /// It is packed in a way that is not understood.
    Foreign(String),
    /// It is larger than the limit when it is unpacked.
    TooLarge,
}

/// Whether a body begins like one that is packed.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP) || bytes.starts_with(&ZSTD)
}

/// A whole body as it was meant, of at most `limit` bytes. `holds` is called with the bytes that are held
/// meanwhile, and may wait.
pub(super) fn unpacked(
    mut bytes: Vec<u8>,
    coding: &Coding,
    limit: u64,
    holds: &dyn Fn(usize) -> bool,
) -> Result<Vec<u8>, Unpackable> {
    let broken = |name: &str, error: &io::Error| {
        Unpackable::Broken(format!("the response is broken: {name}: {error}"))
    };
    let mut is_unpacked = false;
    for _ in 0..MOST_LAYERS {
        let packed = bytes.as_slice();
        let filled = |reader: &mut dyn Read| filled(reader, limit, packed.len(), holds);
        let read = if packed.starts_with(&GZIP) {
            filled(&mut MultiGzDecoder::new(packed)).map_err(|error| ("gzip", error))
        } else if packed.starts_with(&ZSTD) {
            match StreamingDecoder::new(packed) {
                Ok(mut decoder) => filled(&mut decoder).map_err(|error| ("zstd", error)),
                Err(error) => Err(("zstd", io::Error::new(ErrorKind::InvalidData, error))),
            }
        } else {
            break;
        };
        bytes = match read {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Unpackable::TooLarge),
            Err((name, error)) => return Err(broken(name, &error)),
        };
        is_unpacked = true;
    }
    // The ordinary answer is looked at no further.
    let is_plain = matches!(coding, Coding::Plain | Coding::Known);
    if is_plain || is_unpacked || bytes.is_empty() || is_text(&bytes) {
        return Ok(bytes);
    }
    match coding {
        Coding::Plain | Coding::Known => Ok(bytes),
        Coding::Unknown(name) => Err(foreign(name)),
        Coding::Deflate => {
            // The name is used for two formats; only one of them has a head to be known by.
            let packed = bytes.as_slice();
            let filled = |reader: &mut dyn Read| filled(reader, limit, packed.len(), holds);
            let read = match filled(&mut ZlibDecoder::new(packed)) {
                Err(_) if !is_zlib(packed) => filled(&mut DeflateDecoder::new(packed)),
                read => read,
            };
            let read = read.map_err(|error| broken("deflate", &error))?;
            read.ok_or(Unpackable::TooLarge)
        }
    }
}

/// Why a body cannot be read that is packed in a way of this name.
pub(super) fn foreign(name: &str) -> Unpackable {
    Unpackable::Foreign(format!(
        "the response is compressed with {name}, which was not asked for and cannot be read"
    ))
}

/// Everything, or none if it is more than the limit. `beside` bytes are held besides.
fn filled(
    reader: &mut dyn Read,
    limit: u64,
    beside: usize,
    holds: &dyn Fn(usize) -> bool,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    loop {
        if reader.take(PIECE).read_to_end(&mut bytes)? == 0 {
            return Ok(Some(bytes));
        }
        let is_over = u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit;
        if is_over || !holds(beside.saturating_add(bytes.len())) {
            return Ok(None);
        }
    }
}

/// Whether a body is JSON or a page as it is, whatever its header says.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    start.is_some_and(|start| b"{[<\"".contains(start)) && std::str::from_utf8(bytes).is_ok()
}

fn is_zlib(bytes: &[u8]) -> bool {
    match bytes {
        [first, second, ..] => {
            first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0
        }
        _ => false,
    }
}

/// A stream as it was meant, decided by its first bytes.
pub(super) struct Unpacking {
    state: State,
    coding: Coding,
    /// How many bytes may still come.
    left: u64,
}

type Bytes = Box<dyn Read + Send>;

enum State {
    Undecided(Bytes),
    Decided(Bytes),
    Failed,
}

impl Unpacking {
    pub(super) fn new(reader: impl Read + Send + 'static, coding: Coding, limit: u64) -> Self {
        Self {
            state: State::Undecided(Box::new(reader)),
            coding,
            left: limit,
        }
    }
}

fn decide(bytes: Bytes, coding: &Coding) -> io::Result<Bytes> {
    let mut reader = BufReader::new(bytes);
    let start = reader.fill_buf()?;
    if start.first() == GZIP.first() {
        return Ok(Box::new(MultiGzDecoder::new(reader)));
    }
    if start.starts_with(&ZSTD) {
        let invalid = |error| io::Error::new(ErrorKind::InvalidData, error);
        return Ok(Box::new(StreamingDecoder::new(reader).map_err(invalid)?));
    }
    match coding {
        Coding::Deflate if is_zlib(start) => Ok(Box::new(ZlibDecoder::new(reader))),
        // Events begin with a letter, a colon, the mark of UTF-8 or the end of a line.
        Coding::Unknown(name) if std::str::from_utf8(start).is_err() => {
            let message = format!("compressed with {name}, which was not asked for");
            Err(io::Error::new(ErrorKind::InvalidData, message))
        }
        _ => Ok(Box::new(reader)),
    }
}

impl Read for Unpacking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Undecided(bytes) => State::Decided(decide(bytes, &self.coding)?),
            decided => decided,
        };
        let State::Decided(bytes) = &mut self.state else {
            return Err(io::Error::other("it failed before"));
        };
        let read = bytes.read(buffer)?;
        let left = self
            .left
            .checked_sub(u64::try_from(read).unwrap_or(u64::MAX));
        self.left = left.ok_or_else(|| io::Error::other("larger than any answer"))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = br#"{"id": "x", "choices": []}"#;
    const LIMIT: u64 = 10_000;

    fn unpacked(bytes: Vec<u8>, coding: &Coding, limit: u64) -> Result<Vec<u8>, Unpackable> {
        super::unpacked(bytes, coding, limit, &|_| true)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        ruzstd::encoding::compress_to_vec(text, level)
    }

    #[test]
    fn headers_are_read() {
        let foreign = || Coding::Unknown("br".to_owned());
        let table = [
            ("", Coding::Plain),
            ("identity", Coding::Plain),
            ("gzip", Coding::Known),
            ("GZip , identity", Coding::Known),
            ("x-gzip", Coding::Known),
            ("zstd", Coding::Known),
            ("deflate", Coding::Deflate),
            ("br", foreign()),
            ("gzip, BR", foreign()),
        ];
        for (header, expected) in table {
            assert_eq!(Coding::of(header), expected, "{header}");
        }
    }

    #[test]
    fn answers_are_read_however_they_are_packed() {
        let two = [gzip(&TEXT[..5]), gzip(&TEXT[5..])].concat();
        let table = [
            (TEXT.to_vec(), ""),
            (TEXT.to_vec(), "gzip"), // unpacked on its way
            (TEXT.to_vec(), "deflate"),
            (TEXT.to_vec(), "br"),
            (gzip(TEXT), "gzip"),
            (gzip(TEXT), ""), // the header was lost
            (two, "gzip"),
            (gzip(&gzip(TEXT)), "gzip, gzip"),
            (zlib(TEXT), "deflate"),
            (deflate(TEXT), "deflate"),
            (zstd(TEXT), "zstd"),
        ];
        for (step, (packed, header)) in table.into_iter().enumerate() {
            let coding = Coding::of(header);
            let whole = unpacked(packed.clone(), &coding, LIMIT).unwrap();
            assert_eq!(whole, TEXT, "step {step}: {header}");
            if (step, header) != (9, "deflate") && step != 7 {
                let mut streamed = Vec::new();
                let mut stream = Unpacking::new(io::Cursor::new(packed), coding, LIMIT);
                stream.read_to_end(&mut streamed).unwrap();
                assert_eq!(streamed, TEXT, "step {step}: {header}");
            }
        }
        assert_eq!(unpacked(Vec::new(), &Coding::Known, LIMIT).unwrap(), b"");
    }

    #[test]
    fn what_is_broken_foreign_or_too_large_is_told_apart() {
        let long = vec![b'a'; 10_001];
        let mut damaged = gzip(TEXT);
        let at = damaged.len() - 6;
        damaged[at] ^= 1; // its checksum
        let table = [
            (gzip(TEXT)[..20].to_vec(), "gzip", "broken"),
            (damaged, "gzip", "broken"),
            (zstd(TEXT)[..12].to_vec(), "zstd", "broken"),
            (zlib(TEXT)[..8].to_vec(), "deflate", "broken"),
            (vec![0x8b, 0x0c, 0x80, 0xff], "br", "foreign"),
            (gzip(&long), "gzip", "large"),
            (zstd(&long), "zstd", "large"),
            (zlib(&long), "deflate", "large"),
        ];
        for (step, (packed, header, expected)) in table.into_iter().enumerate() {
            let found = match unpacked(packed, &Coding::of(header), LIMIT).unwrap_err() {
                Unpackable::Broken(message) => {
                    assert!(message.contains(header), "{message}");
                    "broken"
                }
                Unpackable::Foreign(message) => {
                    assert!(message.contains("with br"), "{message}");
                    "foreign"
                }
                Unpackable::TooLarge => "large",
            };
            assert_eq!(found, expected, "step {step}: {header}");
        }
        assert_eq!(
            unpacked(gzip(&long[1..]), &Coding::Known, LIMIT).unwrap(),
            &long[1..]
        );
        let stream = |packed: Vec<u8>, header: &str| {
            let mut stream = Unpacking::new(io::Cursor::new(packed), Coding::of(header), LIMIT);
            let read = stream.read_to_end(&mut Vec::new());
            read.unwrap_err().to_string()
        };
        assert!(stream(gzip(&long), "gzip").contains("larger"));
        assert!(stream(vec![0x8b, 0x0c, 0x80, 0xff], "br").contains("with br"));
        stream(gzip(TEXT)[..20].to_vec(), "gzip");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, start in 0_usize..4, coding in 0_usize..3) {
            let start: &[u8] = [&GZIP[..], &ZSTD, b"", &[0x78, 0x9c]][start];
            let coding = Coding::of(["gzip", "deflate", "br"][coding]);
            let _ = unpacked([start, &bytes].concat(), &coding, LIMIT);
            let mut stream = Unpacking::new(io::Cursor::new(bytes), coding, LIMIT);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

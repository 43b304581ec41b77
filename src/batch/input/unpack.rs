//! Compressed input: gzip and zstd, known by their first bytes, read as if they were not packed.
//!
//! A gzip file may have several members and a zstd file several frames, as when files are packed
//! one by one and put together. Both have checksums, which are checked. Nothing is looked at before
//! the first read: a pipe may have nothing to say yet.

use std::io::{self, BufRead, BufReader, Read};
use std::mem;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

const BUFFER: usize = 1 << 16;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A zstd frame to be left out, as parallel packers put before theirs: the first byte is `0x5?`.
const ZSTD_SKIP: [u8; 3] = [0x2a, 0x4d, 0x18];

/// What a reader gives, unpacked if it is packed.
pub(in crate::batch) fn unpacked(reader: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    let source = Source::new(BufReader::with_capacity(BUFFER, reader));
    let unpacked = Unpacked {
        state: State::Unknown(source),
    };
    Box::new(BufReader::with_capacity(BUFFER, unpacked))
}

struct Unpacked<R> {
    state: State<R>,
}

enum State<R> {
    Unknown(Source<R>),
    Plain(Source<R>),
    Gzip(Box<MultiGzDecoder<Source<R>>>),
    Zstd(Box<Frames<R>>),
    /// Nothing can be read on after an error.
    Failed,
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let State::Unknown(source) = &mut self.state {
            let packing = source.packing()?;
            let State::Unknown(source) = mem::replace(&mut self.state, State::Failed) else {
                return Ok(0); // it was Unknown a line above
            };
            self.state = match packing {
                Packing::None => State::Plain(source),
                Packing::Gzip => State::Gzip(Box::new(MultiGzDecoder::new(source))),
                Packing::Zstd => State::Zstd(Box::new(Frames::new(source))),
            };
        }
        let read = match &mut self.state {
            State::Plain(source) => {
                let read = source.read(buffer);
                return read.map_err(|error| source.failure.take().unwrap_or(error));
            }
            State::Gzip(decoder) => {
                let read = decoder.read(buffer);
                read.map_err(|error| decoder.get_mut().explain("gzip", &error))
            }
            State::Zstd(frames) => {
                let read = frames.read_some(buffer);
                read.map_err(|error| frames.source.explain("zstd", &error))
            }
            State::Unknown(_) | State::Failed => return Err(io::ErrorKind::InvalidData.into()),
        };
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.state = State::Failed;
        }
        read
    }
}

enum Packing {
    None,
    Gzip,
    Zstd,
}

/// The packed bytes. Remembers what its decoder cannot tell: whether they came to an end, and why
/// they could not be read.
struct Source<R> {
    /// What was read of the start to see what it is, and has not been given on yet.
    start: io::Cursor<Vec<u8>>,
    inner: R,
    ended: bool,
    failure: Option<io::Error>,
}

impl<R: BufRead> Source<R> {
    fn new(inner: R) -> Self {
        Self {
            start: io::Cursor::new(Vec::new()),
            inner,
            ended: false,
            failure: None,
        }
    }

    /// Waits for no more bytes than it takes to tell.
    fn packing(&mut self) -> io::Result<Packing> {
        loop {
            let start = self.start.get_ref();
            let may_be_packed = match start.first() {
                None => true,
                Some(&first) if first == GZIP[0] => start.len() < GZIP.len(),
                Some(&first) if first == ZSTD[0] || first & 0xf0 == 0x50 => {
                    start.len() < ZSTD.len()
                }
                Some(_) => false,
            };
            if !may_be_packed {
                break;
            }
            let more = self.inner.fill_buf()?;
            let Some(byte) = more.first().copied() else {
                break;
            };
            self.inner.consume(1);
            self.start.get_mut().push(byte);
        }
        Ok(match self.start.get_ref().as_slice() {
            start if start == GZIP => Packing::Gzip,
            start if start == ZSTD => Packing::Zstd,
            [first, rest @ ..] if first & 0xf0 == 0x50 && rest == ZSTD_SKIP => Packing::Zstd,
            _ => Packing::None,
        })
    }

    /// What an error of the decoder comes from.
    fn explain(&mut self, packing: &str, error: &io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::Interrupted {
            return error.kind().into();
        }
        if let Some(failure) = self.failure.take() {
            return failure;
        }
        if self.ended {
            let message = format!("the {packing} data is truncated: its end is missing");
            return io::Error::new(io::ErrorKind::UnexpectedEof, message);
        }
        let message = format!("the {packing} data is damaged: {error}");
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let read = available.len().min(buffer.len());
        buffer[..read].copy_from_slice(&available[..read]);
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start.position() < self.start.get_ref().len() as u64 {
            return self.start.fill_buf();
        }
        match self.inner.fill_buf() {
            Ok(bytes) => {
                self.ended |= bytes.is_empty();
                Ok(bytes)
            }
            Err(error) => {
                let kind = error.kind();
                if kind != io::ErrorKind::Interrupted {
                    self.failure = Some(error);
                }
                Err(kind.into())
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        let left = self.start.get_ref().len() as u64 - self.start.position();
        if left > 0 {
            self.start.consume(amount);
        } else {
            self.inner.consume(amount);
        }
    }
}

/// The frames of a zstd stream, one after the other.
struct Frames<R> {
    source: Source<R>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: Source<R>) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            in_frame: false,
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame && !self.begin()? {
                return Ok(0);
            }
            if !self.in_frame {
                continue; // a frame that was skipped
            }
            let decoder = &mut self.decoder;
            while decoder.can_collect() == 0 && !decoder.is_finished() {
                // A block is at most 128 KiB, and a window is held back: 128 MiB at most.
                let some = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = decoder.decode_blocks(&mut self.source, some);
                decoded.map_err(io::Error::other)?;
            }
            let read = decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let stated = decoder.get_checksum_from_data();
            if stated.is_some() && stated != decoder.get_calculated_checksum() {
                return Err(io::Error::other("its checksum is another"));
            }
            self.in_frame = false;
        }
    }

    /// Begins the next frame, or skips it. False at the end.
    fn begin(&mut self) -> io::Result<bool> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.reset(&mut self.source) {
            Ok(()) => self.in_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = u64::from(length);
                let mut skipped = (&mut self.source).take(length);
                if io::copy(&mut skipped, &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const TEXT: &str = "How far is the moon? How far is the sun? How far is the moon from the sun?\n\
        How far is it?\n";
    /// The text as the `zstd` command packs it, with a checksum.
    const BY_ZSTD: &[u8] =
        b"\x28\xb5\x2f\xfd\x24\x5a\x95\x01\x00\x44\x02\x48\x6f\x77\x20\x66\x61\x72\x20\
        \x69\x73\x20\x74\x68\x65\x20\x6d\x6f\x6f\x6e\x3f\x20\x73\x75\x6e\x3f\x20\x20\
        \x66\x72\x6f\x6d\x0a\x69\x74\x3f\x0a\x04\x00\xc0\x88\xa2\x0a\xcd\x54\xa2\x63\
        \x37\x99\x77\x58\x09\xb3";
    /// A frame of four bytes that mean nothing.
    const SKIPPED: &[u8] = b"\x5a\x2a\x4d\x18\x04\0\0\0\x28\xb5\x2f\xfd";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    /// Gives one byte at a time, as a slow pipe does.
    struct Slow(io::Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }

    /// All that can be read, and how it ended.
    fn read(reader: impl Read + Send + 'static) -> (Vec<u8>, io::Result<usize>) {
        let mut bytes = Vec::new();
        let result = unpacked(reader).read_to_end(&mut bytes);
        (bytes, result)
    }

    fn read_bytes(bytes: &[u8]) -> (Vec<u8>, io::Result<usize>) {
        read(io::Cursor::new(bytes.to_vec()))
    }

    #[test]
    fn what_is_packed_is_read_as_it_was() {
        let text = TEXT.as_bytes();
        let long: Vec<u8> = TEXT.bytes().cycle().take(700_000).collect();
        let table = [
            (text.to_vec(), text.to_vec()),
            (vec![], vec![]),
            (vec![0x1f], vec![0x1f]),
            (ZSTD[..3].to_vec(), ZSTD[..3].to_vec()),
            (b"Plain".to_vec(), b"Plain".to_vec()),
            (gzip(text), text.to_vec()),
            (gzip(b""), vec![]),
            (
                [gzip(text), gzip(b""), gzip(b"x")].concat(),
                [text, b"x"].concat(),
            ),
            (BY_ZSTD.to_vec(), text.to_vec()),
            (zstd(b""), vec![]),
            (
                [SKIPPED, BY_ZSTD, &zstd(b"x"), SKIPPED].concat(),
                [text, b"x"].concat(),
            ),
            (gzip(&long), long.clone()),
            (zstd(&long), long.clone()),
        ];
        for (step, (bytes, expected)) in table.into_iter().enumerate() {
            let (found, result) = read_bytes(&bytes);
            assert!(result.is_ok(), "step {step}: {result:?}");
            assert!(found == expected, "step {step}");
            let (found, result) = read(Slow(io::Cursor::new(bytes)));
            assert!(result.is_ok() && found == expected, "step {step}, slowly");
        }
    }

    #[test]
    fn what_is_cut_short_is_called_truncated_and_what_was_there_is_read() {
        let packed = [(gzip(TEXT.as_bytes()), "gzip"), (BY_ZSTD.to_vec(), "zstd")];
        for (bytes, name) in packed {
            // From where it is known what it is.
            for length in 4..bytes.len() {
                let (found, result) = read_bytes(&bytes[..length]);
                let error = result.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length}");
                let message = format!("the {name} data is truncated: its end is missing");
                assert_eq!(error.to_string(), message, "after {length} bytes");
                assert!(TEXT.as_bytes().starts_with(&found), "after {length} bytes");
                let second = [&bytes[..], &bytes[..length]].concat();
                let (found, result) = read_bytes(&second);
                assert!(result.is_err(), "the second, after {length} bytes");
                assert!(found.starts_with(TEXT.as_bytes()), "the first one is whole");
            }
        }
    }

    #[test]
    fn what_is_damaged_is_never_read_as_something_else() {
        for (bytes, name) in [(gzip(TEXT.as_bytes()), "gzip"), (BY_ZSTD.to_vec(), "zstd")] {
            let mut damaged = 0;
            for at in 4..bytes.len() {
                for bit in 0..8 {
                    let mut bytes = bytes.clone();
                    bytes[at] ^= 1 << bit;
                    let (found, result) = read_bytes(&bytes);
                    match result {
                        Ok(_) => assert!(found == TEXT.as_bytes(), "{name}: bit {bit} of {at}"),
                        Err(error) => {
                            let message = error.to_string();
                            let start = format!("the {name} data is ");
                            assert!(message.starts_with(&start), "{message}");
                            damaged += usize::from(message[start.len()..].starts_with("damaged: "));
                        }
                    }
                }
            }
            assert!(
                damaged > bytes.len(),
                "{name}: {damaged} of {} bytes",
                bytes.len()
            );
        }
        let (_, result) = read_bytes(&[&gzip(b"x"), &b"rubbish, and more"[..]].concat());
        assert!(
            result
                .unwrap_err()
                .to_string()
                .contains("the gzip data is damaged")
        );
    }

    /// Fails as a disk does.
    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_as_it_is() {
        for start in [&gzip(TEXT.as_bytes())[..20], &BY_ZSTD[..20], b"", b"plain"] {
            let reader = io::Cursor::new(start.to_vec()).chain(Failing);
            let (_, result) = read(reader);
            let error = result.unwrap_err().to_string();
            assert!(error.contains("the disk is on fire"), "{start:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            start in prop_oneof![
                Just(&GZIP[..]), Just(&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..]),
                Just(&ZSTD[..]), Just(SKIPPED), Just(&BY_ZSTD[..12]), Just(&b""[..]),
            ],
            rest in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let _ = read_bytes(&[start, &rest].concat());
        }

        #[test]
        fn any_text_comes_back(text in prop::collection::vec(any::<u8>(), 0..3_000)) {
            for packed in [gzip(&text), zstd(&text)] {
                let (found, result) = read_bytes(&packed);
                prop_assert!(result.is_ok(), "{result:?}");
                prop_assert!(found == text);
            }
        }
    }
}

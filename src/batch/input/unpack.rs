//! Compressed input: gzip and zstd, known by their first bytes, read as if they were not packed.
//!
//! A gzip file may have several members and a zstd file several frames, as when files are packed
//! one by one and put together. Both have checksums, which are checked. Nothing is looked at before
//! the first read: a pipe may have nothing to say yet.

#[cfg(test)]
mod tests;

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

/// What a reader gives, unpacked if it is packed with gzip or zstd, which is seen by its first bytes
/// and not before the first read. [`Input`](super::Input) does so by itself.
///
/// A read fails when what is packed is damaged, or when its end is missing.
///
/// ```
/// use std::io::Read;
///
/// let mut text = String::new();
/// let reader = std::io::Cursor::new("not packed");
/// paceline::batch::unpacked(reader).read_to_string(&mut text)?;
/// assert_eq!(text, "not packed");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn unpacked(reader: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
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

//! Requests that wait on the disk, because they would not fit into memory.
//!
//! First in, first out, in files without a name, which are gone with the process. Each holds some
//! megabytes and is let go when all of it has been read, so what is used of the disk is what waits.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::batch::fingerprint::Fingerprint;
use crate::tokens::Estimate;

/// The size of a file from which the next one is begun.
const SEGMENT: u64 = 8 * 1024 * 1024;
/// How much is written at once.
const WRITE: usize = 64 * 1024;

/// A request as it stands on the disk.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::batch) struct Spooled<'a> {
    pub(in crate::batch) line: u64,
    pub(in crate::batch) custom_id: Cow<'a, str>,
    pub(in crate::batch) fingerprint: Fingerprint,
    pub(in crate::batch) path: Cow<'a, str>,
    pub(in crate::batch) model: Cow<'a, str>,
    pub(in crate::batch) estimate: Estimate,
    /// JSON.
    pub(in crate::batch) body: Cow<'a, str>,
}

impl Spooled<'_> {
    /// The numbers, then each text with its length. Not as JSON: the body is that already, and all its
    /// quotes would be escaped.
    fn to_bytes(&self) -> Vec<u8> {
        let Estimate {
            tokens,
            characters,
            prompt,
            output,
        } = self.estimate;
        let numbers = [
            self.line,
            self.fingerprint.0,
            tokens,
            characters,
            prompt,
            output,
        ];
        let texts = [&self.custom_id, &self.path, &self.model, &self.body];
        let sizes = texts.iter().map(|text| 8 + text.len());
        let mut bytes = Vec::with_capacity(8 * numbers.len() + sizes.sum::<usize>());
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for text in texts {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

impl Spooled<'static> {
    /// None for what [`to_bytes`](Spooled::to_bytes) has not made.
    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let spooled = Self {
            line: number(rest)?,
            fingerprint: Fingerprint(number(rest)?),
            estimate: Estimate {
                tokens: number(rest)?,
                characters: number(rest)?,
                prompt: number(rest)?,
                output: number(rest)?,
            },
            custom_id: text(rest)?,
            path: text(rest)?,
            model: text(rest)?,
            body: text(rest)?,
        };
        rest.is_empty().then_some(spooled)
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn text(rest: &mut &[u8]) -> Option<Cow<'static, str>> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok().map(Cow::Owned)
}

/// A queue on the disk.
#[derive(Debug, Default)]
pub(in crate::batch) struct Spool {
    segments: VecDeque<Segment>,
    /// What is not written yet, the newest of all.
    fresh: VecDeque<Vec<u8>>,
    fresh_bytes: usize,
    /// What was read and not given out yet, the oldest of all.
    read: VecDeque<Vec<u8>>,
    waiting: usize,
    bytes: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Up to where it has been written, and the lengths of what has not been read.
    written: u64,
    lengths: VecDeque<u32>,
}

impl Spool {
    pub(in crate::batch) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// What it takes of the disk, and what has to get there yet.
    pub(in crate::batch) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts a request at the end.
    ///
    /// # Errors
    ///
    /// When the disk is full, or there is no place for such files. It is not in the queue then, but
    /// all the others are.
    pub(in crate::batch) fn push(&mut self, request: &Spooled<'_>) -> io::Result<()> {
        let bytes = request.to_bytes();
        if self.fresh_bytes + bytes.len() > WRITE {
            self.write_fresh()?;
        }
        self.fresh_bytes += bytes.len();
        self.bytes += bytes.len() as u64;
        self.fresh.push_back(bytes);
        self.waiting += 1;
        Ok(())
    }

    /// Takes the oldest request.
    ///
    /// # Errors
    ///
    /// When what was written cannot be read again.
    pub(in crate::batch) fn pop(&mut self) -> io::Result<Option<Spooled<'static>>> {
        if self.read.is_empty() {
            self.read_some()?;
        }
        let next = match self.read.pop_front() {
            Some(bytes) => bytes,
            None => match self.fresh.pop_front() {
                Some(bytes) => {
                    self.fresh_bytes -= bytes.len();
                    bytes
                }
                None => return Ok(None),
            },
        };
        self.waiting -= 1;
        self.bytes -= next.len() as u64;
        match Spooled::from_bytes(&next) {
            Some(spooled) => Ok(Some(spooled)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the disk gives back something else than was written",
            )),
        }
    }

    fn write_fresh(&mut self) -> io::Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let is_full = |segment: &Segment| segment.written >= SEGMENT;
        if self.segments.back().is_none_or(is_full) {
            self.segments.push_back(Segment {
                file: tempfile::tempfile()?,
                written: 0,
                lengths: VecDeque::new(),
            });
        }
        let Some(segment) = self.segments.back_mut() else {
            return Ok(());
        };
        let together: Vec<u8> = self.fresh.iter().flatten().copied().collect();
        // A write that failed in the middle is written over.
        segment.file.seek(SeekFrom::Start(segment.written))?;
        segment.file.write_all(&together)?;
        segment.written += together.len() as u64;
        let lengths = self.fresh.drain(..);
        // A line is far below 4 GiB.
        let lengths = lengths.map(|bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        segment.lengths.extend(lengths);
        self.fresh_bytes = 0;
        Ok(())
    }

    fn read_some(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.front_mut() else {
            return Ok(());
        };
        let unread: u64 = segment
            .lengths
            .iter()
            .map(|length| u64::from(*length))
            .sum();
        segment
            .file
            .seek(SeekFrom::Start(segment.written - unread))?;
        let mut taken = 0;
        while taken < WRITE
            && let Some(length) = segment.lengths.pop_front()
        {
            let mut bytes = vec![0; length as usize];
            segment.file.read_exact(&mut bytes)?;
            taken += bytes.len();
            self.read.push_back(bytes);
        }
        if segment.lengths.is_empty() {
            self.segments.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(line: u64, size: usize) -> Spooled<'static> {
        Spooled {
            line,
            custom_id: format!("id-{line}").into(),
            fingerprint: Fingerprint::of("/v1/embeddings", &line.into()),
            path: "/v1/chat/completions".into(),
            model: "é".into(),
            estimate: Estimate {
                tokens: line,
                characters: 2,
                prompt: 3,
                output: u64::MAX,
            },
            body: "x".repeat(size).into(),
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_no_request() {
        let request = request(7, 3);
        let bytes = request.to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Spooled::from_bytes(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(Spooled::from_bytes(&[&bytes[..], b"x"].concat()), None);
        let text = bytes.len() - 3;
        for (place, wrong) in [(text, 0xFF), (text - 1, 0xFF), (text - 8, 4)] {
            let mut bytes = bytes.clone();
            bytes[place] = wrong;
            assert_eq!(Spooled::from_bytes(&bytes), None, "{wrong} at {place}");
        }
        assert_eq!(Spooled::from_bytes(&bytes), Some(request));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_goes_in_comes_out_in_order(
            steps in prop::collection::vec((any::<bool>(), 0..200_000_usize), 1..120)
        ) {
            let mut spool = Spool::default();
            let mut expected = VecDeque::new();
            for (line, (puts, size)) in steps.into_iter().enumerate() {
                if puts {
                    let request = request(line as u64, size);
                    spool.push(&request).unwrap();
                    expected.push_back(request);
                } else {
                    prop_assert_eq!(spool.pop().unwrap(), expected.pop_front());
                }
                prop_assert_eq!(spool.is_empty(), expected.is_empty());
            }
            for request in expected {
                prop_assert_eq!(spool.pop().unwrap(), Some(request));
            }
            prop_assert_eq!((spool.bytes(), spool.pop().unwrap()), (0, None));
            prop_assert!(spool.segments.is_empty(), "a file is kept that nobody needs");
        }
    }
}

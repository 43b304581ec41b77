//! Requests that wait on the disk: so many that they would not fit into memory.
//!
//! First in, first out, in files without a name, which are gone with the process. Each holds some
//! megabytes and is let go when all of it has been read, so what is used of the disk is what waits.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use crate::tokens::Estimate;

/// The size of a file from which the next one is begun.
const SEGMENT: u64 = 8 * 1024 * 1024;
/// How much is written at once.
const WRITE: usize = 64 * 1024;

/// A request as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Spooled {
    pub(super) line: u64,
    pub(super) custom_id: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) path: String,
    pub(super) model: String,
    pub(super) estimate: Estimate,
    /// JSON.
    pub(super) body: String,
}

/// A queue on the disk.
#[derive(Debug, Default)]
pub(super) struct Spool {
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
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// What it takes of the disk, and what has to get there yet.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts a request at the end.
    ///
    /// # Errors
    ///
    /// When the disk is full, or there is no place for such files. It is not in the queue then, but
    /// all the others are.
    pub(super) fn push(&mut self, request: &Spooled) -> io::Result<()> {
        let bytes = serde_json::to_vec(request)?;
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
    pub(super) fn pop(&mut self) -> io::Result<Option<Spooled>> {
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
        Ok(Some(serde_json::from_slice(&next)?))
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

    fn request(line: u64, size: usize) -> Spooled {
        Spooled {
            line,
            custom_id: format!("id-{line}"),
            fingerprint: Fingerprint::of("/v1/embeddings", &line.into()),
            path: "/v1/chat/completions".to_owned(),
            model: "m".to_owned(),
            estimate: Estimate {
                tokens: line,
                ..Estimate::default()
            },
            body: "x".repeat(size),
        }
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

//! Where the line of each id stands in the files of results and errors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::vectors::rows_in;
use super::{Extracted, Line, MOST_NAMED};
use crate::batch::fingerprint::Fingerprint;
use crate::batch::fs::{How, OpenFile, system};
use crate::batch::ids::{Ids, Known};
use crate::batch::read::requests::RequestSet;
use crate::{Error, Result};

/// Bits of a place that say where a line begins. 16 TiB are more than any file has.
const OFFSET_BITS: u32 = 44;
/// The bit of a place whose line has an answer.
const IS_ANSWER: u64 = 1 << 63;
/// The most files.
const MOST_FILES: usize = 1 << 18;

/// Bytes that are read of a line first.
const FIRST_READ: usize = 4 * 1024;

/// The places of lines by `custom_id`. It takes 29 bytes an id.
pub(super) struct Index {
    ids: Ids,
    files: Vec<(PathBuf, Box<dyn OpenFile>)>,
    /// The last row of each request that embeds several, by the first one.
    pub(super) packs: BTreeMap<u64, u64>,
    /// Ids with an answer, and those without one. A request for several rows counts as these.
    pub(super) answers: u64,
    pub(super) failures: u64,
    /// Of these the lines that were no request.
    pub(super) bad_lines: u64,
}

impl Index {
    /// Reads files of results and of errors, each of which may have lines of both kinds. Of the lines of one
    /// id an answer counts before a failure, and then the last. A file that ends in the middle of a line
    /// ends before it.
    pub(super) fn read(
        paths: &[PathBuf],
        only: Option<&RequestSet>,
        found: &mut Extracted,
    ) -> Result<Self> {
        let mut index = Self {
            ids: Ids::default(),
            files: Vec::new(),
            packs: BTreeMap::new(),
            answers: 0,
            failures: 0,
            bad_lines: 0,
        };
        for path in paths.iter().take(MOST_FILES) {
            index.add(path, only, found)?;
        }
        Ok(index)
    }

    fn add(&mut self, path: &Path, only: Option<&RequestSet>, found: &mut Extracted) -> Result<()> {
        let fail = |error| Error::io(path, error);
        let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(fail)?);
        let of_file = (self.files.len() as u64) << OFFSET_BITS;
        let (mut at, mut number, mut bytes) = (0_u64, 0_u64, Vec::new());
        let (mut read, mut wrong) = (0_u64, None);
        loop {
            bytes.clear();
            let length = reader.read_until(b'\n', &mut bytes).map_err(fail)?;
            if length == 0 {
                break;
            }
            let begin = at;
            at += length as u64;
            number += 1;
            let text = std::str::from_utf8(&bytes).ok();
            let text = text.map(|text| text.trim_start_matches('\u{feff}'));
            if text.is_some_and(|text| text.trim_ascii().is_empty()) {
                continue;
            }
            let line = text.and_then(Line::read_any);
            let Some(AnyLine { id, of, is_answer }) = line else {
                if !bytes.ends_with(b"\n") {
                    break; // cut short
                }
                let message = format!("{}:{number}: not a line of results", path.display());
                wrong.get_or_insert_with(|| message.clone());
                found.unreadable += 1;
                if found.first_unreadable.len() < MOST_NAMED {
                    found.first_unreadable.push(message);
                }
                continue;
            };
            read += 1;
            let Some(id) = id else {
                continue; // of a line that had none
            };
            // A line that was no request names none: its failure is taken by its id.
            let is_bad_line = !is_answer && of.is_none();
            if !is_bad_line && only.is_some_and(|only| !only.has(&id, of)) {
                found.others += u64::from(is_answer);
                continue;
            }
            let answer = if is_answer { IS_ANSWER } else { 0 };
            let place = of_file | begin | answer;
            let had_answer =
                matches!(self.ids.get(&id), Some(Known::Line(old)) if old & IS_ANSWER != 0);
            if is_answer || !had_answer {
                let old = self.ids.set(&id, Known::Line(place));
                let pack = rows_in(&id);
                let rows = pack.map_or(1, |(first, last)| (last - first).saturating_add(1));
                if is_answer && !had_answer {
                    self.answers = self.answers.saturating_add(rows);
                    if old.is_some() {
                        self.failures = self.failures.saturating_sub(rows);
                    }
                }
                if !is_answer && old.is_none() {
                    self.failures = self.failures.saturating_add(rows);
                    self.bad_lines += u64::from(is_bad_line);
                }
                if let Some((first, last)) = pack {
                    self.add_pack(first, last, is_answer);
                }
            }
        }
        if let (Some(message), 0) = (wrong, read) {
            return Err(Error::Batch(message)); // it is something else
        }
        let file = system().open(path, How::Read).map_err(fail)?;
        self.files.push((path.to_owned(), file));
        Ok(())
    }

    /// Takes note of a request for several rows. One with an answer counts before one without, and then the
    /// last one.
    fn add_pack(&mut self, first: u64, last: u64, is_answer: bool) {
        let is_better = self.packs.get(&first).is_none_or(|old| {
            let old = self.ids.get(&format!("rows-{first}-{old}"));
            is_answer || !matches!(old, Some(Known::Line(place)) if place & IS_ANSWER != 0)
        });
        if is_better {
            self.packs.insert(first, last);
        }
    }

    /// The line of an id, and whether it is an answer.
    pub(super) fn line(&self, id: &str) -> Result<Option<(String, bool)>> {
        let Some(Known::Line(place)) = self.ids.get(id) else {
            return Ok(None);
        };
        let is_answer = place & IS_ANSWER != 0;
        let place = place & !IS_ANSWER;
        let (file, at) = (place >> OFFSET_BITS, place & ((1 << OFFSET_BITS) - 1));
        let Some((path, file)) = usize::try_from(file).ok().and_then(|at| self.files.get(at))
        else {
            return Ok(None);
        };
        let line = line_at(&**file, at).map_err(|error| Error::io(path, error))?;
        Ok(Some((line, is_answer)))
    }
}

/// The line that begins here.
fn line_at(file: &dyn OpenFile, at: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut size = FIRST_READ;
    loop {
        let before = bytes.len();
        bytes.resize(before + size, 0);
        let read = file.read_at(&mut bytes[before..], at + before as u64)?;
        bytes.truncate(before + read);
        let end = bytes[before..].iter().position(|byte| *byte == b'\n');
        if let Some(end) = end {
            bytes.truncate(before + end);
        } else if read > 0 {
            size *= 2;
            continue;
        }
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
}

/// What a line of any kind says of its request.
pub(super) struct AnyLine<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) of: Option<Fingerprint>,
    pub(super) is_answer: bool,
}

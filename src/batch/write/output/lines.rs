//! The lines of an output file, and what is read of them.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Holds;
use crate::batch::count::cut_off::{CutOff, Shorter};
use crate::batch::fingerprint::Fingerprint;
use crate::batch::fs::{Cursor, OpenFile};
use crate::batch::inside::is_failure_inside;
use crate::batch::record::INVALID_LINE;
use crate::{Error, Result};

/// A byte order mark, as some editors leave it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// All that is read of a line that was written before.
#[derive(Debug, Deserialize)]
pub(in crate::batch) struct Finished<'a> {
    /// Tells that the file is one of ours, or of the hosted service's. Azure's has none.
    #[serde(default)]
    id: Option<String>,
    pub(in crate::batch) custom_id: Option<String>,
    #[serde(borrow)]
    response: Option<Answered<'a>>,
    error: Option<Value>,
    /// A simulated API answered.
    #[serde(default)]
    pub(in crate::batch) simulated: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Answered<'a> {
    pub(super) status_code: u16,
    #[serde(borrow, default)]
    pub(super) body: Option<&'a RawValue>,
}

impl Finished<'_> {
    pub(super) fn holds(&self) -> Holds {
        match &self.response {
            Some(answer) if self.error.is_none() && (200..300).contains(&answer.status_code) => {
                Holds::Results
            }
            _ => Holds::Failures,
        }
    }

    /// True when the body is that of a failure, though it stands among results.
    pub(in crate::batch) fn is_failure_inside(&self) -> bool {
        let body = self.response.as_ref().and_then(|answer| answer.body);
        body.is_some_and(|body| is_failure_inside(body.get()))
    }

    /// The answer, if it ended at its cap.
    pub(in crate::batch) fn cut_off(&self) -> Option<Shorter> {
        let body = self.response.as_ref().and_then(|answer| answer.body)?;
        CutOff::read(self.fingerprint(), body.get())
    }

    /// The request that it is of, where that is known.
    pub(in crate::batch) fn fingerprint(&self) -> Option<Fingerprint> {
        Fingerprint::from_line_id(self.id.as_deref()?)
    }

    /// True when it tells of a line of an input that was no request.
    pub(in crate::batch) fn is_of_bad_line(&self) -> bool {
        self.of_error("code") == Some(INVALID_LINE)
    }

    /// The same, of the input of this name, in whatever folder.
    pub(in crate::batch) fn is_of_bad_line_of(&self, input: &str) -> bool {
        let name = |path: &str| {
            path.rsplit(['/', '\\'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let place = self.of_error("message").unwrap_or_default();
        let place = place.split(": ").next().unwrap_or_default();
        let of = place.rsplit_once(':').map_or(place, |(file, _line)| file);
        self.is_of_bad_line() && (name(of) == name(input) || of == place)
    }

    fn of_error(&self, field: &str) -> Option<&str> {
        self.error.as_ref()?.get(field)?.as_str()
    }
}

/// The lines of an output file, one by one.
pub(super) struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<Cursor<'a>>,
    number: u64,
    /// Where the next line begins.
    at: u64,
    bytes: Vec<u8>,
}

pub(super) struct Line<'a> {
    pub(super) number: u64,
    /// Where it begins.
    pub(super) at: u64,
    pub(super) bytes: &'a [u8],
}

impl<'a> Lines<'a> {
    /// Those from `start` on.
    pub(super) fn of(path: &'a Path, file: &'a dyn OpenFile, start: u64) -> Self {
        Self {
            path,
            reader: BufReader::with_capacity(1 << 16, Cursor::new(file, start)),
            number: 0,
            at: start,
            bytes: Vec::new(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>> {
        self.bytes.clear();
        let read = self.reader.read_until(b'\n', &mut self.bytes);
        let read = read.map_err(|error| Error::io(self.path, error))?;
        let at = self.at;
        self.at += read as u64;
        self.number += 1;
        Ok((read > 0).then_some(Line {
            number: self.number,
            at,
            bytes: &self.bytes,
        }))
    }
}

impl Line<'_> {
    pub(super) fn is_whole(&self) -> bool {
        self.bytes.last() == Some(&b'\n')
    }

    /// What it holds; `None` of a blank one.
    pub(super) fn parse(&self) -> Option<serde_json::Result<Finished<'_>>> {
        let bytes = match self.at {
            0 => self.bytes.strip_prefix(MARK).unwrap_or(self.bytes),
            _ => self.bytes,
        };
        (!bytes.trim_ascii().is_empty()).then(|| parse(bytes))
    }
}

/// What a line holds.
pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Finished<'_>> {
    // Checked as text first: the parser does not look into strings that it skips.
    let text = std::str::from_utf8(bytes).map_err(serde::de::Error::custom)?;
    let line: Finished<'_> = serde_json::from_str(text)?;
    // A line of an input has a `custom_id`, too, and nothing that came of it.
    let has_end = line.response.is_some() || line.error.is_some();
    match line.id.is_some() || line.custom_id.is_some() && has_end {
        true => Ok(line),
        false => Err(serde::de::Error::missing_field("id")),
    }
}

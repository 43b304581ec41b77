//! The first lines of an input, read before anything is sent or written: whether it is what it is
//! read as.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::records::{Draft, Records, object};
use crate::{Error, InputKind, Result};

/// Lines that are checked. When none of them can be sent, the input is refused as a whole, with this
/// number in its message.
const LOOKED_AT: usize = 100;

/// An input whose first lines are read: up to the first one that can be sent.
pub(super) struct Begun {
    first: VecDeque<First>,
    records: Records,
    has_ended: bool,
}

/// What comes next.
pub(super) enum Next {
    Line(First),
    /// A line of which nothing is left to do.
    Done {
        /// In bytes, about.
        size: usize,
    },
}

/// A line as it was read.
pub(super) struct First {
    pub(super) line: u64,
    /// In bytes, about.
    pub(super) size: usize,
    pub(super) draft: Result<Draft, String>,
}

impl First {
    /// What is wrong with it.
    fn fault(&self) -> Option<&str> {
        match &self.draft {
            Err(fault)
            | Ok(Draft {
                request: Err(fault),
                ..
            }) => Some(fault),
            Ok(_) => None,
        }
    }
}

impl Begun {
    /// The next line; one that `is_done` stays unread. `None` at the end.
    pub(super) fn next(&mut self, is_done: impl FnOnce(&Records) -> bool) -> Result<Option<Next>> {
        if let Some(first) = self.first.pop_front() {
            return Ok(Some(Next::Line(first)));
        }
        self.has_ended = self.has_ended || !self.records.advance()?;
        if self.has_ended {
            return Ok(None);
        }
        Ok(Some(match is_done(&self.records) {
            true => Next::Done {
                size: self.records.size(),
            },
            false => Next::Line(read(&self.records)),
        }))
    }
}

fn read(records: &Records) -> First {
    First {
        line: records.line(),
        size: records.size(),
        draft: records.draft(),
    }
}

/// Reads up to the first line that can be sent.
///
/// # Errors
///
/// [`Error::Input`] when the input is of another format, or there is no such line among the first
/// 100; also what reading fails with.
pub(super) fn begin(mut records: Records) -> Result<Begun> {
    let mut first = VecDeque::new();
    let mut has_ended = false;
    let mut looks_like = None;
    let mut is_good = false;
    while !is_good && !has_ended && first.len() < LOOKED_AT {
        if !records.advance()? {
            has_ended = true;
            break;
        }
        if first.is_empty() {
            looks_like = kind(&records);
        }
        let line = read(&records);
        is_good = line.fault().is_none();
        first.push_back(line);
    }
    // A part may have no line at all, or only such as the whole has few of.
    let is_refused = !(is_good || has_ended && records.is_part());
    if let (true, Some(line)) = (is_refused, first.front()) {
        let (name, number) = (records.name(), line.line);
        let of = match (has_ended, first.len()) {
            (true, 1) => "its only line cannot be sent".to_owned(),
            (true, all) => format!("none of its {all} lines can be sent"),
            (false, some) => format!("none of its first {some} lines can be sent"),
        };
        let fault = line.fault().unwrap_or_default();
        return Err(Error::Input {
            message: format!("{name}: {of}; the first: {name}:{number}: {fault}"),
            looks_like,
        });
    }
    Ok(Begun {
        first,
        records,
        has_ended,
    })
}

/// What the first line looks like, in case none can be sent.
fn kind(records: &Records) -> Option<InputKind> {
    let line = records.json()?;
    let fields = object(line).unwrap_or_default();
    let is_request = |fields: &Map<String, Value>| {
        fields.get("custom_id").is_some_and(Value::is_string)
            && fields.get("body").is_some_and(Value::is_object)
    };
    match (records.has_prompt(), serde_json::from_slice::<Value>(line)) {
        (true, Ok(Value::Object(fields))) if is_request(&fields) => Some(InputKind::Requests),
        (false, Ok(Value::Object(_))) if has_no_part_of_request(&fields) => Some(InputKind::Rows),
        (_, Ok(Value::Object(_))) => None,
        (_, Err(_)) if line.trim_ascii_start().starts_with(b"{") => None,
        _ if is_header(line) => Some(InputKind::Table),
        _ => Some(InputKind::Text),
    }
}

fn has_no_part_of_request(fields: &Map<String, Value>) -> bool {
    !["custom_id", "url", "body"]
        .iter()
        .any(|name| fields.contains_key(*name))
}

/// Whether a line could be the header of a table: short names with separators between them.
fn is_header(line: &[u8]) -> bool {
    const LONGEST: usize = 40;
    let line = line.trim_ascii();
    let mut names = line.split(|byte| b",;\t|".contains(byte));
    line.iter().any(|byte| b",;\t|".contains(byte))
        && names.all(|name| name.len() <= LONGEST && !name.ends_with(b"."))
}

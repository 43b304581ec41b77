//! JSON of what is not quite JSON: an answer that was paid for is not thrown away for a byte.

use std::fmt;

use serde::{Serialize, Serializer};

use super::cursor::{Cursor, Edit, Why};

/// What had to be repaired in a body, to make JSON of it.
///
/// ```
/// use paceline::Repair;
///
/// assert_eq!(Repair::NotANumber.to_string(), "NaN or Infinity became null");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repair {
    /// It began with a byte order mark, which was dropped.
    ByteOrderMark,
    /// Bytes that are no UTF-8 became U+FFFD.
    InvalidUtf8,
    /// `NaN` and `Infinity` became null.
    NotANumber,
    /// Line ends and other control characters within strings were escaped.
    ControlCharacter,
    /// Backslashes that escape nothing were doubled.
    Escape,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => "byte order mark dropped",
            Self::InvalidUtf8 => "invalid UTF-8 became U+FFFD",
            Self::NotANumber => "NaN or Infinity became null",
            Self::ControlCharacter => "control characters were escaped",
            Self::Escape => "invalid escapes were doubled",
        })
    }
}

/// As its `Display`.
impl Serialize for Repair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of a body.
pub(super) fn text(mut bytes: Vec<u8>, repairs: &mut Vec<Repair>) -> String {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
        repairs.push(Repair::ByteOrderMark);
    }
    String::from_utf8(bytes).unwrap_or_else(|error| {
        repairs.push(Repair::InvalidUtf8);
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

/// The text with its edits, which are in order and do not overlap.
pub(super) fn edited(text: &str, edits: &[Edit], repairs: &mut Vec<Repair>) -> String {
    let mut edited = String::with_capacity(text.len() + 8 * edits.len());
    let mut at = 0;
    for edit in edits {
        edited.push_str(text.get(at..edit.range.start).unwrap_or_default());
        edited.push_str(&edit.with);
        at = edit.range.end;
        let repair = match edit.why {
            Why::NotANumber => Repair::NotANumber,
            Why::ControlCharacter => Repair::ControlCharacter,
            Why::Escape => Repair::Escape,
            Why::Unreadable => continue,
        };
        if !repairs.contains(&repair) {
            repairs.push(repair);
        }
    }
    edited.push_str(text.get(at..).unwrap_or_default());
    edited
}

/// The deepest nesting of a value: far above what any answer has, and below what a small stack holds.
const MAX_DEPTH: usize = 512;

/// JSON as a value, also where serde refuses it: half a surrogate pair becomes U+FFFD, a number that no
/// type holds null.
///
/// # Errors
///
/// When it is no JSON, or nested more than 512 deep.
pub(crate) fn value(text: &str) -> serde_json::Result<serde_json::Value> {
    serde_json::from_str(text).or_else(|error| {
        let mut cursor = Cursor::strict(text);
        if cursor.skip().is_err() || cursor.end().is_err() || cursor.deepest > MAX_DEPTH {
            return Err(error);
        }
        let readable = edited(text, &cursor.edits, &mut Vec::new());
        let mut reader = serde_json::Deserializer::from_str(&readable);
        reader.disable_recursion_limit();
        serde::Deserialize::deserialize(&mut reader)
    })
}

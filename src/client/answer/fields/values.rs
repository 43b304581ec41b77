//! What a value holds, as far as a caller reads it.

use super::Held;
use crate::client::answer::cursor::{Cursor, Kind, Read};

/// Reads each item of a list.
pub(super) fn each(
    cursor: &mut Cursor<'_>,
    mut item: impl FnMut(&mut Cursor<'_>) -> Read,
) -> Read<Held> {
    if cursor.kind()? != Kind::Array {
        let mut other = Held::default();
        held(cursor, &mut other)?;
        return Ok(other);
    }
    let mut is_empty = true;
    cursor.array(|cursor| {
        is_empty = false;
        item(cursor)
    })?;
    Ok(match is_empty {
        true => Held::Empty,
        false => Held::Something,
    })
}

/// What the next value holds.
pub(super) fn held(cursor: &mut Cursor<'_>, found: &mut Held) -> Read {
    *found = match cursor.kind()? {
        Kind::Null => Held::Null,
        Kind::Text => {
            return cursor.text().map(|text| {
                *found = match is_blank(text) {
                    true => Held::Empty,
                    false => Held::Something,
                };
            });
        }
        Kind::Object | Kind::Array => {
            let mut is_empty = true;
            match cursor.kind()? {
                Kind::Object => cursor.object(|cursor, _| {
                    is_empty = false;
                    cursor.skip()
                })?,
                _ => cursor.array(|cursor| {
                    is_empty = false;
                    cursor.skip()
                })?,
            }
            *found = match is_empty {
                true => Held::Empty,
                false => Held::Something,
            };
            return Ok(());
        }
        Kind::Number | Kind::Bool => Held::Something,
    };
    cursor.skip()
}

/// White space alone, as it is written.
fn is_blank(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let is_space = match byte {
            b'\\' => matches!(bytes.next(), Some(b'n' | b'r' | b't')),
            byte => byte.is_ascii_whitespace(),
        };
        if !is_space {
            return false;
        }
    }
    true
}

/// A text as it is written; None for anything else.
pub(super) fn word<'a>(cursor: &mut Cursor<'a>) -> Read<Option<&'a [u8]>> {
    match cursor.kind()? {
        Kind::Text => cursor.text().map(Some),
        _ => cursor.skip().map(|()| None),
    }
}

/// Whether a field `error` tells of one. Some servers have it in every answer: as null, false, 0,
/// empty, or with nothing but nulls in it.
pub(super) fn is_error(cursor: &mut Cursor<'_>) -> Read<bool> {
    match cursor.kind()? {
        Kind::Object => {
            let mut found = false;
            cursor.object(|cursor, _| {
                found |= cursor.kind()? != Kind::Null;
                cursor.skip()
            })?;
            Ok(found)
        }
        Kind::Number => Ok(cursor.raw()? != b"0"),
        Kind::Bool => Ok(cursor.raw()? == b"true"),
        _ => {
            let mut error = Held::default();
            held(cursor, &mut error)?;
            Ok(error == Held::Something)
        }
    }
}

//! What an answer says it used.

use crate::client::answer::cursor::{Cursor, Kind, Read};
use crate::cost::Usage;

/// Under the names of any endpoint.
pub(super) fn usage(cursor: &mut Cursor<'_>) -> Read<Option<Usage>> {
    if cursor.kind()? != Kind::Object {
        return cursor.skip().map(|()| None);
    }
    let (mut prompt, mut input, mut completion, mut output) = (None, None, None, None);
    let (mut prompt_cached, mut input_cached) = (None, None);
    cursor.object(|cursor, name| {
        match name {
            b"prompt_tokens" => prompt = number(cursor)?,
            b"input_tokens" => input = number(cursor)?,
            b"completion_tokens" => completion = number(cursor)?,
            b"output_tokens" => output = number(cursor)?,
            b"prompt_tokens_details" => prompt_cached = cached(cursor)?,
            b"input_tokens_details" => input_cached = cached(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(prompt.or(input).map(|input_tokens| Usage {
        input_tokens,
        output_tokens: completion.or(output).unwrap_or(0),
        cached_tokens: prompt_cached.or(input_cached).unwrap_or(0),
    }))
}

fn cached(cursor: &mut Cursor<'_>) -> Read<Option<u64>> {
    if cursor.kind()? != Kind::Object {
        return cursor.skip().map(|()| None);
    }
    let mut found = None;
    cursor.object(|cursor, name| match name {
        b"cached_tokens" => {
            found = number(cursor)?;
            Ok(())
        }
        _ => cursor.skip(),
    })?;
    Ok(found)
}

/// A whole number that is not negative; None for anything else.
fn number(cursor: &mut Cursor<'_>) -> Read<Option<u64>> {
    let text = cursor.raw()?;
    Ok(str::from_utf8(text).ok().and_then(|text| text.parse().ok()))
}

//! What an answer says it used.

use crate::client::answer::cursor::{Cursor, Kind, Read};
use crate::cost::{ServiceTier, Usage};

/// What is said of the use of a request, under the names of any endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Said {
    pub(super) usage: Option<Usage>,
    /// The tokens of the answer, where nothing is said of the prompt.
    pub(super) output: Option<u64>,
    /// Anthropic's stands here.
    pub(super) tier: Option<ServiceTier>,
}

pub(super) fn usage(cursor: &mut Cursor<'_>) -> Read<Said> {
    if cursor.kind()? != Kind::Object {
        return cursor.skip().map(|()| Said::default());
    }
    let (mut prompt, mut input, mut completion, mut output) = (None, None, None, None);
    let (mut prompt_cache, mut input_cache) = (Cache::default(), Cache::default());
    // Anthropic's, which are not among its input tokens.
    let mut beside = Cache::default();
    let (mut tier, mut reasoning) = (None, None);
    cursor.object(|cursor, name| {
        match name {
            b"prompt_tokens" => prompt = number(cursor)?,
            b"input_tokens" => input = number(cursor)?,
            b"completion_tokens" => completion = number(cursor)?,
            b"output_tokens" => output = number(cursor)?,
            b"prompt_tokens_details" => prompt_cache = cache(cursor)?,
            b"input_tokens_details" => input_cache = cache(cursor)?,
            b"completion_tokens_details" | b"output_tokens_details" => {
                reasoning = detail(cursor)?.or(reasoning);
            }
            b"cache_read_input_tokens" => beside.read = number(cursor)?,
            b"cache_creation_input_tokens" => beside.written = number(cursor)?,
            b"service_tier" => tier = service_tier(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    let inside = Cache {
        read: prompt_cache.read.or(input_cache.read),
        written: prompt_cache.written.or(input_cache.written),
    };
    let beside_input = match prompt {
        // A gateway that speaks both has them among the tokens of the prompt.
        Some(_) => 0,
        None => beside.total(),
    };
    let usage = prompt.or(input).map(|input_tokens| Usage {
        input_tokens: input_tokens.saturating_add(beside_input),
        output_tokens: completion.or(output).unwrap_or(0),
        cached_tokens: inside.read.or(beside.read).unwrap_or(0),
        cache_write_tokens: inside.written.or(beside.written).unwrap_or(0),
        reasoning_tokens: reasoning.unwrap_or(0),
    });
    Ok(Said {
        usage,
        output: output.filter(|_| usage.is_none()),
        tier,
    })
}

/// Tokens of a prompt that a cache held or took.
#[derive(Debug, Clone, Copy, Default)]
struct Cache {
    read: Option<u64>,
    written: Option<u64>,
}

impl Cache {
    fn total(self) -> u64 {
        let (read, written) = (self.read.unwrap_or(0), self.written.unwrap_or(0));
        read.saturating_add(written)
    }
}

fn cache(cursor: &mut Cursor<'_>) -> Read<Cache> {
    if cursor.kind()? != Kind::Object {
        return cursor.skip().map(|()| Cache::default());
    }
    let mut found = Cache::default();
    cursor.object(|cursor, name| {
        match name {
            b"cached_tokens" => found.read = number(cursor)?,
            b"cache_write_tokens" => found.written = number(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(found)
}

/// The tokens of reasoning among those of an answer.
fn detail(cursor: &mut Cursor<'_>) -> Read<Option<u64>> {
    if cursor.kind()? != Kind::Object {
        return cursor.skip().map(|()| None);
    }
    let mut found = None;
    cursor.object(|cursor, name| {
        match name {
            b"reasoning_tokens" => found = number(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(found)
}

/// The tier that a text names.
pub(super) fn service_tier(cursor: &mut Cursor<'_>) -> Read<Option<ServiceTier>> {
    let name = super::values::word(cursor)?;
    let name = name.and_then(|name| str::from_utf8(name).ok());
    Ok(name.and_then(ServiceTier::from_name))
}

/// A whole number that is not negative; None for anything else.
fn number(cursor: &mut Cursor<'_>) -> Read<Option<u64>> {
    let text = cursor.raw()?;
    Ok(str::from_utf8(text).ok().and_then(|text| text.parse().ok()))
}

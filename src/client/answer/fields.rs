//! The few fields of an answer that say what it is, found in one pass. What they mean is decided
//! elsewhere; here is only what is there.

mod usage; //  what an answer says it used
mod values; // what a value holds
mod words; //  what providers call the ends of answers

use super::cursor::{Cursor, Kind, Read};
use crate::cost::{ServiceTier, Usage};
use usage::{service_tier, usage};
use values::{each, held, is_error, word};
use words::{CUT_OFF, REFUSED, STEPS};

/// What was found of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub(super) root: Root,
    /// The number of fields of the outermost object.
    pub(super) count: usize,
    /// Of that object, or of the first in a list.
    pub(super) error: bool,
    /// `object` or `type` is `error`.
    pub(super) is_error: bool,
    /// `object` is `response`.
    pub(super) is_response: bool,
    /// `object` is anything else: a job, a file.
    pub(super) is_named: bool,
    pub(super) choices: Held,
    pub(super) output: Held,
    pub(super) data: Held,
    pub(super) content: Held,
    /// Any other field in which some endpoint has what was asked for.
    pub(super) other: Held,
    pub(super) results: Held,
    pub(super) status: Status,
    pub(super) choice_error: bool,
    pub(super) ended_by_error: bool,
    pub(super) cut_off: bool,
    pub(super) refused: bool,
    /// There is text, a call or anything else that was asked for.
    pub(super) has_content: bool,
    pub(super) usage: Option<Usage>,
    /// The tokens of the answer, where nothing is said of the prompt: in a stream of messages.
    pub(super) output_tokens: Option<u64>,
    pub(super) tier: Option<ServiceTier>,
    /// `type` says that it is the last event of a stream: `message_stop` of messages, `response.completed`
    /// or `response.incomplete` of responses.
    pub(super) is_stop: bool,
}

/// What the whole body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Root {
    #[default]
    Object,
    List,
    Scalar,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Held {
    #[default]
    Nothing,
    Null,
    /// An empty list, object or text.
    Empty,
    Something,
}

/// `status` of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Status {
    #[default]
    Other,
    Failed,
    Cancelled,
    /// `queued`, `in_progress`.
    Pending,
    Incomplete,
}

impl Fields {
    /// Reads a whole body.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Read<Self> {
        let mut found = Self::default();
        match cursor.kind()? {
            Kind::Object => found.object(cursor)?,
            Kind::Array => {
                found.root = Root::List;
                found.list(cursor)?;
            }
            _ => {
                found.root = Root::Scalar;
                cursor.skip()?;
            }
        }
        cursor.end()?;
        Ok(found)
    }

    /// Some servers put their errors into a list.
    fn list(&mut self, cursor: &mut Cursor<'_>) -> Read {
        let mut is_first = true;
        cursor.array(|cursor| {
            if !std::mem::take(&mut is_first) || cursor.kind()? != Kind::Object {
                return cursor.skip();
            }
            cursor.object(|cursor, name| match name {
                b"error" => {
                    self.error = is_error(cursor)?;
                    Ok(())
                }
                _ => cursor.skip(),
            })
        })
    }

    fn object(&mut self, cursor: &mut Cursor<'_>) -> Read {
        cursor.object(|cursor, name| {
            self.count += 1;
            match name {
                b"choices" => {
                    self.choices = each(cursor, |cursor| self.choice(cursor))?;
                    Ok(())
                }
                b"output" => {
                    self.output = match cursor.kind()? {
                        Kind::Array => each(cursor, |cursor| self.item(cursor))?,
                        _ => self.text(cursor)?,
                    };
                    Ok(())
                }
                b"content" => {
                    self.content = self.content(cursor)?;
                    Ok(())
                }
                b"candidates" => {
                    self.other = each(cursor, |cursor| self.choice(cursor))?;
                    Ok(())
                }
                b"data" => held(cursor, &mut self.data),
                b"results" => held(cursor, &mut self.results),
                b"result" | b"embedding" | b"embeddings" => held(cursor, &mut self.other),
                b"error" => {
                    self.error = is_error(cursor)?;
                    Ok(())
                }
                b"usage" => {
                    let said = usage(cursor)?;
                    (self.usage, self.tier) = (said.usage, said.tier.or(self.tier));
                    self.output_tokens = said.output;
                    Ok(())
                }
                b"service_tier" => {
                    self.tier = service_tier(cursor)?.or(self.tier);
                    Ok(())
                }
                b"incomplete_details" => self.incomplete(cursor),
                b"object" | b"type" => {
                    match word(cursor)? {
                        Some(b"error") => self.is_error = true,
                        Some(b"response") => self.is_response = true,
                        Some(b"message_stop" | b"response.completed" | b"response.incomplete") => {
                            self.is_stop = true;
                        }
                        Some(_) => self.is_named |= name == b"object",
                        None => {}
                    }
                    Ok(())
                }
                b"status" => {
                    self.status = match word(cursor)? {
                        Some(b"failed") => Status::Failed,
                        Some(b"cancelled" | b"canceled") => Status::Cancelled,
                        Some(b"queued" | b"in_progress") => Status::Pending,
                        Some(b"incomplete") => Status::Incomplete,
                        _ => Status::Other,
                    };
                    Ok(())
                }
                b"response" => self.response(cursor),
                // Of a stream of messages, what it adds.
                b"message" | b"delta" => self.message(cursor),
                b"stop_reason" | b"finish_reason" | b"done_reason" => self.ended(cursor),
                _ => cursor.skip(),
            }
        })
    }

    /// The response that an event of its stream tells of.
    fn response(&mut self, cursor: &mut Cursor<'_>) -> Read {
        if cursor.kind()? != Kind::Object {
            return cursor.skip();
        }
        let mut inner = Self::default();
        inner.object(cursor)?;
        self.usage = inner.usage.or(self.usage);
        self.tier = inner.tier.or(self.tier);
        self.error |= inner.error;
        self.refused |= inner.refused;
        self.cut_off |= inner.cut_off;
        self.has_content |= inner.has_content;
        self.output = inner.output;
        self.status = inner.status;
        Ok(())
    }

    /// One of `choices`, or of Gemini's `candidates`.
    fn choice(&mut self, cursor: &mut Cursor<'_>) -> Read {
        if cursor.kind()? != Kind::Object {
            return cursor.skip();
        }
        cursor.object(|cursor, name| match name {
            // Of a stream, what it adds.
            b"message" | b"delta" => self.message(cursor),
            b"content" => self.content(cursor).map(|_| ()),
            b"text" => self.text(cursor).map(|_| ()),
            b"finish_reason" | b"finishReason" => self.ended(cursor),
            b"error" => {
                self.choice_error |= is_error(cursor)?;
                Ok(())
            }
            _ => cursor.skip(),
        })
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Read {
        if cursor.kind()? != Kind::Object {
            return cursor.skip();
        }
        cursor.object(|cursor, name| match name {
            b"content" => self.content(cursor).map(|_| ()),
            b"text" | b"partial_json" => self.text(cursor).map(|_| ()),
            b"stop_reason" => self.ended(cursor),
            b"usage" => {
                let said = usage(cursor)?;
                (self.usage, self.tier) = (said.usage.or(self.usage), said.tier.or(self.tier));
                Ok(())
            }
            b"refusal" => {
                let mut refusal = Held::default();
                held(cursor, &mut refusal)?;
                self.refused |= refusal == Held::Something;
                Ok(())
            }
            b"tool_calls" | b"function_call" | b"audio" | b"images" => {
                let mut call = Held::default();
                held(cursor, &mut call)?;
                self.has_content |= call == Held::Something;
                Ok(())
            }
            _ => cursor.skip(),
        })
    }

    /// Text, or a list of parts.
    fn content(&mut self, cursor: &mut Cursor<'_>) -> Read<Held> {
        match cursor.kind()? {
            Kind::Array => each(cursor, |cursor| self.part(cursor)),
            // Gemini's
            Kind::Object => {
                cursor.object(|cursor, name| match name {
                    b"parts" => each(cursor, |cursor| self.part(cursor)).map(|_| ()),
                    _ => cursor.skip(),
                })?;
                Ok(Held::Something)
            }
            _ => self.text(cursor),
        }
    }

    /// A part of the content. One that only shows how the model thought is no answer.
    fn part(&mut self, cursor: &mut Cursor<'_>) -> Read {
        if cursor.kind()? != Kind::Object {
            return cursor.skip();
        }
        let (mut is_empty_text, mut is_thought) = (None, false);
        cursor.object(|cursor, name| match name {
            b"type" => {
                match word(cursor)? {
                    Some(b"refusal") => self.refused = true,
                    Some(b"thinking" | b"redacted_thinking" | b"reasoning") => is_thought = true,
                    _ => {}
                }
                Ok(())
            }
            b"text" => {
                let mut text = Held::default();
                held(cursor, &mut text)?;
                is_empty_text = Some(text != Held::Something);
                Ok(())
            }
            _ => cursor.skip(),
        })?;
        self.has_content |= !is_thought && is_empty_text != Some(true);
        Ok(())
    }

    /// An item of a response's `output`.
    fn item(&mut self, cursor: &mut Cursor<'_>) -> Read {
        if cursor.kind()? != Kind::Object {
            return cursor.skip();
        }
        let mut is_step = false;
        let before = self.has_content;
        let mut has_parts = false;
        cursor.object(|cursor, name| match name {
            b"type" => {
                is_step = word(cursor)?.is_some_and(|word| STEPS.contains(&word));
                Ok(())
            }
            b"content" => {
                has_parts = true;
                self.content(cursor).map(|_| ())
            }
            _ => cursor.skip(),
        })?;
        self.has_content = before || !is_step && (self.has_content || !has_parts);
        Ok(())
    }

    fn text(&mut self, cursor: &mut Cursor<'_>) -> Read<Held> {
        let mut text = Held::default();
        held(cursor, &mut text)?;
        self.has_content |= text == Held::Something;
        Ok(text)
    }

    fn incomplete(&mut self, cursor: &mut Cursor<'_>) -> Read {
        if cursor.kind()? != Kind::Object {
            return cursor.skip();
        }
        cursor.object(|cursor, name| match name {
            b"reason" => self.ended(cursor),
            _ => cursor.skip(),
        })
    }

    /// Why it ended, in the words of any provider.
    fn ended(&mut self, cursor: &mut Cursor<'_>) -> Read {
        let Some(reason) = word(cursor)? else {
            return Ok(());
        };
        let is_one_of =
            |words: &[&[u8]]| words.iter().any(|word| reason.eq_ignore_ascii_case(word));
        self.ended_by_error |= is_one_of(&[b"error"]);
        self.cut_off |= is_one_of(&CUT_OFF);
        self.refused |= is_one_of(&REFUSED);
        Ok(())
    }
}

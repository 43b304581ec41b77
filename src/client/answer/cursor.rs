//! A reader of JSON that goes over a text once, whatever it holds. It parses only the fields that the
//! caller reads, and its depth takes memory and never stack. What some servers write in place of JSON
//! is noted as an [`Edit`] and not refused.
//!
//! It takes what the grammar allows, and so more than a reader into values does: halves of surrogate
//! pairs, numbers beyond every range, any depth.

mod open; //    which containers it is in
mod scalars; // strings, numbers and words

use std::borrow::Cow;
use std::ops::Range;

use open::Open;

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is the beginning of some.
    EndsEarly,
    /// It is something else from this byte on.
    NotJson(usize),
}

pub(super) type Read<T = ()> = Result<T, Flaw>;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Bool,
    /// Numbers that JSON does not have are null, too.
    Null,
}

/// What has to be written in place of a part of the text, to make JSON of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) with: Cow<'static, str>,
    pub(super) why: Why,
}

/// What was wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// `NaN`, `Infinity`.
    NotANumber,
    /// A line end or another control character that should have been escaped.
    ControlCharacter,
    /// A backslash before what needs none.
    Escape,
    /// Half a surrogate pair, or a number that no type holds: JSON, but not to every reader.
    Unreadable,
}

pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether what is JSON and cannot become a value is noted, too.
    is_strict: bool,
    pub(super) edits: Vec<Edit>,
    /// The deepest nesting of what was skipped.
    pub(super) deepest: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            is_strict: false,
            edits: Vec::new(),
            deepest: 0,
        }
    }

    pub(super) fn strict(text: &'a str) -> Self {
        Self {
            is_strict: true,
            ..Self::new(text)
        }
    }

    /// Nothing but white space may be left.
    pub(super) fn end(&mut self) -> Read {
        match self.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(Flaw::NotJson(self.at)),
        }
    }

    /// What the next value is.
    pub(super) fn kind(&mut self) -> Read<Kind> {
        let first = self.peek()?;
        let second = self.text.get(self.at + 1);
        match first {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::Text),
            b't' | b'f' => Ok(Kind::Bool),
            b'-' if second.is_some_and(|byte| !byte.is_ascii_digit()) => Ok(Kind::Null),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            b'n' | b'N' | b'i' | b'I' => Ok(Kind::Null),
            _ => Err(Flaw::NotJson(self.at)),
        }
    }

    /// Goes through an object, with the name of each field. `field` has to read its value.
    pub(super) fn object(&mut self, mut field: impl FnMut(&mut Self, &[u8]) -> Read) -> Read {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = self.name()?;
            field(self, &name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(Flaw::NotJson(self.at)),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Goes through a list. `item` has to read each.
    pub(super) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Read) -> Read {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(Flaw::NotJson(self.at)),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The next value as it is written, which is text: what stands between its quotes.
    pub(super) fn text(&mut self) -> Read<&'a [u8]> {
        let range = self.string()?;
        Ok(self.text.get(range).unwrap_or_default())
    }

    /// The next value as it is written.
    pub(super) fn raw(&mut self) -> Read<&'a [u8]> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Passes over the next value, whatever it holds.
    pub(super) fn skip(&mut self) -> Read {
        let mut open = Open::default();
        loop {
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    if self.peek()? != b'}' {
                        open.push(true);
                        self.deepest = self.deepest.max(open.depth);
                        self.name()?;
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if self.peek()? != b']' {
                        open.push(false);
                        self.deepest = self.deepest.max(open.depth);
                        continue;
                    }
                    self.at += 1;
                }
                _ => self.scalar()?,
            }
            // A value has ended, and perhaps those around it.
            loop {
                let Some(is_object) = open.innermost() else {
                    return Ok(());
                };
                match (self.peek()?, is_object) {
                    (b',', _) => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return Err(Flaw::NotJson(self.at)),
                }
            }
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Read<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Flaw::EndsEarly),
            }
        }
    }

    fn take(&mut self, expected: u8) -> Read {
        if self.peek()? != expected {
            return Err(Flaw::NotJson(self.at));
        }
        self.at += 1;
        Ok(())
    }

    /// The name of a field, with its colon.
    fn name(&mut self) -> Read<Cow<'a, [u8]>> {
        let start = self.at;
        let range = self.string()?;
        self.take(b':')?;
        let name = self.text.get(range.clone()).unwrap_or_default();
        if !name.contains(&b'\\') {
            return Ok(Cow::Borrowed(name));
        }
        let quoted = self.text.get(start..=range.end).unwrap_or_default();
        let text: Option<String> = serde_json::from_slice(quoted).ok();
        Ok(text.map_or(Cow::Borrowed(name), |text| Cow::Owned(text.into_bytes())))
    }

    fn edit(&mut self, range: Range<usize>, with: impl Into<Cow<'static, str>>, why: Why) {
        self.edits.push(Edit {
            range,
            with: with.into(),
            why,
        });
    }
}

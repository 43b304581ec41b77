//! A reader of JSON that goes over a text once, whatever it holds: it takes nothing apart that nobody
//! asks for, its depth is a matter of memory and never of the stack, and what some servers write
//! in place of JSON is noted as an [`Edit`] and not refused.
//!
//! It takes what the grammar allows, and so more than a reader into values does: halves of surrogate
//! pairs, numbers beyond every range, any depth.

use std::borrow::Cow;
use std::ops::Range;

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

    fn scalar(&mut self) -> Read {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            _ => match self.kind()? {
                Kind::Null => self.null(),
                Kind::Number => self.number(),
                _ => Err(Flaw::NotJson(self.at)),
            },
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Read {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(match word.starts_with(rest) {
            true => Flaw::EndsEarly,
            false => Flaw::NotJson(self.at),
        })
    }

    /// `null`, or what others print where JSON has no number.
    fn null(&mut self) -> Read {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.first() == Some(&b'n') && !is_word(rest.get(1..2), b"a") {
            return self.literal(b"null");
        }
        let sign = usize::from(rest.first() == Some(&b'-'));
        let word = rest.get(sign..).unwrap_or_default();
        let known: [&[u8]; 3] = [b"infinity", b"inf", b"nan"];
        // Asked first, because `Infi` begins with another of them.
        let is_begun =
            |known: &[u8]| word.len() < known.len() && is_word(known.get(..word.len()), word);
        if known.into_iter().any(is_begun) {
            return Err(Flaw::EndsEarly);
        }
        let found = known
            .into_iter()
            .find(|known| is_word(word.get(..known.len()), known));
        let found = found.ok_or(Flaw::NotJson(self.at))?;
        let end = self.at + sign + found.len();
        self.edit(self.at..end, "null", Why::NotANumber);
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Read {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
            if self.is_strict {
                let text = self.text.get(start..self.at).unwrap_or_default();
                if serde_json::from_slice::<serde_json::Value>(text).is_err() {
                    self.edit(start..self.at, "null", Why::Unreadable);
                }
            }
        }
        Ok(())
    }

    /// One or more.
    fn digits(&mut self) -> Read {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.byte() {
            _ if self.at > start => Ok(()),
            None => Err(Flaw::EndsEarly),
            Some(_) => Err(Flaw::NotJson(self.at)),
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// A string with its quotes; returns what is between them.
    fn string(&mut self) -> Read<Range<usize>> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < b' ';
            let Some(length) = rest.iter().position(special) else {
                return Err(Flaw::EndsEarly);
            };
            self.at += length;
            match rest[length] {
                b'"' => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(start..end);
                }
                b'\\' => self.escape()?,
                control => {
                    let with = format!("\\u{control:04x}");
                    self.edit(self.at..self.at + 1, with, Why::ControlCharacter);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Read {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match rest.get(1) {
            None => return Err(Flaw::EndsEarly),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(());
            }
            Some(b'u') => {
                let digits = rest.get(2..rest.len().min(6)).unwrap_or_default();
                if digits.iter().all(u8::is_ascii_hexdigit) {
                    if digits.len() < 4 {
                        return Err(Flaw::EndsEarly);
                    }
                    self.at += match self.is_strict {
                        true => self.surrogate(rest),
                        false => 6,
                    };
                    return Ok(());
                }
            }
            Some(_) => {}
        }
        // Whatever stands behind it stands for itself.
        self.edit(self.at..self.at, "\\", Why::Escape);
        self.at += 1;
        Ok(())
    }

    /// The length of the escape that `rest` begins with, or of both where it is a pair.
    fn surrogate(&mut self, rest: &[u8]) -> usize {
        let unit = |at: usize| {
            let escape = rest.get(at..at + 6)?;
            let digits = escape.strip_prefix(b"\\u")?;
            u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
        };
        match (unit(0), unit(6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                self.edit(self.at..self.at + 6, "\\ufffd", Why::Unreadable);
                6
            }
            _ => 6,
        }
    }

    fn edit(&mut self, range: Range<usize>, with: impl Into<Cow<'static, str>>, why: Why) {
        self.edits.push(Edit {
            range,
            with: with.into(),
            why,
        });
    }
}

fn is_word(text: Option<&[u8]>, word: &[u8]) -> bool {
    text.is_some_and(|text| text.eq_ignore_ascii_case(word))
}

/// The containers that are open, the innermost last: one bit each, true for an object.
#[derive(Default)]
struct Open {
    depth: usize,
    /// The innermost up to 64.
    bits: u64,
    /// Those around them, 64 a word.
    outer: Vec<u64>,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or(self.bits);
        }
    }

    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

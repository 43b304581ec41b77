//! Strings, numbers and words.

use std::ops::Range;

use super::{Cursor, Flaw, Kind, Read, Why};

impl Cursor<'_> {
    pub(super) fn scalar(&mut self) -> Read {
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
    pub(super) fn string(&mut self) -> Read<Range<usize>> {
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
}

fn is_word(text: Option<&[u8]>, word: &[u8]) -> bool {
    text.is_some_and(|text| text.eq_ignore_ascii_case(word))
}

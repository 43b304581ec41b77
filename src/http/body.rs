//! How long a request's body is, and reading it.

use std::str;

use super::limits::{MAX_LINE, MAX_TRAILER_LINES};
use super::request::{Fault, Reader};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

impl Framing {
    /// What the headers say. A body framed in two ways is refused: two readers could disagree
    /// about where it ends. So is one in chunks of HTTP/1.0, which has none.
    pub(super) fn of(headers: &[httparse::Header<'_>], is_http_10: bool) -> Result<Self, Fault> {
        let mut length = None;
        let mut chunked = false;
        for header in headers {
            let value = str::from_utf8(header.value).map_or("", str::trim);
            if header.name.eq_ignore_ascii_case("content-length") {
                let stated = parse_length(value).ok_or_else(wrong_length)?;
                if length.replace(stated).is_some_and(|other| other != stated) {
                    return Err(wrong_length());
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                if chunked || !value.eq_ignore_ascii_case("chunked") {
                    return Err(Fault::malformed(
                        501,
                        "Only the chunked coding is understood.",
                    ));
                }
                chunked = true;
            }
        }
        match (length, chunked) {
            (Some(_), true) => Err(wrong_length()),
            (None, true) if is_http_10 => Err(wrong_length()),
            (None, true) => Ok(Self::Chunked),
            (length, false) => Ok(Self::Length(length.unwrap_or(0))),
        }
    }

    /// True unless it is known that there is no body.
    pub(super) fn expects_more(self) -> bool {
        self != Self::Length(0)
    }

    /// Refuses a body that is stated to be too long, before it is asked for.
    pub(super) fn check(self, max_body: u64) -> Result<(), Fault> {
        match self {
            Self::Length(length) if length > max_body => Err(too_large()),
            Self::Length(_) | Self::Chunked => Ok(()),
        }
    }

    /// Reads the body, and leaves in the buffer what comes after it.
    pub(super) fn read(self, reader: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
        self.check(reader.limits.max_body)?;
        match self {
            Self::Length(length) => {
                let mut body = Vec::new();
                reader.take(usize::try_from(length).map_err(|_| too_large())?, &mut body)?;
                Ok(body)
            }
            Self::Chunked => read_chunks(reader),
        }
    }
}

/// Digits only: what `u64::from_str` also takes, such as a plus sign, is not a length.
fn parse_length(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if digits { value.parse().ok() } else { None }
}

/// The size that the line before a chunk states, without its end. Hexadecimal digits alone, then perhaps an
/// extension, which is ignored. No spaces: not every reader skips them.
fn parse_chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| *byte == b';');
    let (digits, extension) = line.split_at(end.unwrap_or(line.len()));
    let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    let is_size = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    if !is_size || !extension.iter().all(is_text) {
        return None;
    }
    let digits = str::from_utf8(digits).ok()?.trim_start_matches('0');
    match digits.is_empty() {
        true => Some(0),
        // More digits than fit are a size that is too large, not a malformed one.
        false => Some(u64::from_str_radix(digits, 16).unwrap_or(u64::MAX)),
    }
}

fn wrong_length() -> Fault {
    Fault::malformed(400, "The length of your request's body is not clear.")
}

fn wrong_chunk() -> Fault {
    Fault::malformed(400, "The body of your request is not in chunks as it says.")
}

fn too_large() -> Fault {
    Fault::malformed(413, "The body of your request is too large.")
}

fn read_chunks(reader: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    let mut end = Vec::new();
    loop {
        let line = read_line(reader)?;
        let size = parse_chunk_size(&line).ok_or_else(wrong_chunk)?;
        if size == 0 {
            skip_trailer(reader)?;
            return Ok(body);
        }
        if size > reader.limits.max_body.saturating_sub(body.len() as u64) {
            return Err(too_large());
        }
        let size = usize::try_from(size).map_err(|_| too_large())?;
        reader.take(size, &mut body)?;
        end.clear();
        reader.take(2, &mut end)?;
        if end != b"\r\n" {
            return Err(wrong_chunk());
        }
    }
}

/// Skips the lines after the last chunk, up to and including the empty one.
fn skip_trailer(reader: &mut Reader<'_>) -> Result<(), Fault> {
    for _ in 0..MAX_TRAILER_LINES {
        if read_line(reader)?.is_empty() {
            return Ok(());
        }
    }
    Err(wrong_chunk())
}

/// The next line without its end, which is CR LF: a reader that takes a bare LF for an end sees other
/// lines.
fn read_line(reader: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
    loop {
        if let Some(end) = reader.buffer.iter().position(|byte| *byte == b'\n') {
            let mut line: Vec<u8> = reader.buffer.drain(..=end).collect();
            line.pop();
            return match line.pop() {
                Some(b'\r') if !line.contains(&b'\r') => Ok(line),
                _ => Err(wrong_chunk()),
            };
        }
        if reader.buffer.len() > MAX_LINE {
            return Err(wrong_chunk());
        }
        reader.fill()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(headers: &[(&str, &str)], is_http_10: bool) -> Result<Framing, u16> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| httparse::Header {
                name,
                value: value.as_bytes(),
            })
            .collect();
        Framing::of(&headers, is_http_10).map_err(|fault| match fault {
            Fault::Malformed(malformed) => malformed.status,
            Fault::Closed => 0,
        })
    }

    #[test]
    fn a_body_ends_where_every_reader_would_say() {
        let length = "Content-Length";
        let coding = "transfer-encoding";
        let table: [(&[_], _); 13] = [
            (&[], Ok(Framing::Length(0))),
            (&[(length, "12")], Ok(Framing::Length(12))),
            (&[(length, " 12 ")], Ok(Framing::Length(12))),
            (&[(length, "12"), (length, "12")], Ok(Framing::Length(12))),
            (&[(length, "12"), (length, "13")], Err(400)),
            (&[(length, "12, 12")], Err(400)),
            (&[(length, "+12")], Err(400)),
            (&[(length, "-1")], Err(400)),
            (&[(length, "")], Err(400)),
            (&[(length, "99999999999999999999")], Err(400)),
            (&[(coding, "Chunked")], Ok(Framing::Chunked)),
            (&[(coding, "gzip, chunked")], Err(501)),
            (&[(coding, "chunked"), (length, "1")], Err(400)),
        ];
        for (step, (headers, expected)) in table.into_iter().enumerate() {
            assert_eq!(framing(headers, false), expected, "step {step}");
        }
        assert_eq!(framing(&[(coding, "chunked")], true), Err(400));
    }

    #[test]
    fn the_size_of_a_chunk_is_digits_alone() {
        let table: [(&str, Option<u64>); 12] = [
            ("0", Some(0)),
            ("00a", Some(10)),
            ("A;x=y", Some(10)),
            ("a;x=\"\t \"", Some(10)),
            ("ffffffffffffffffff", Some(u64::MAX)),
            ("", None),
            (";x", None),
            ("0x1", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("1;\u{0}", None),
        ];
        for (line, expected) in table {
            assert_eq!(parse_chunk_size(line.as_bytes()), expected, "{line:?}");
        }
    }
}

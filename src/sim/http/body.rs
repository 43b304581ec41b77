//! How long a request's body is, and reading it.

use std::str;

use super::request::{Fault, Reader};

/// Most bytes of a body.
pub(super) const MAX_BODY: u64 = 32 * 1024 * 1024;
/// Most bytes of the line before a chunk, and of each line of a trailer.
const MAX_LINE: usize = 4 * 1024;
const MAX_TRAILER_LINES: usize = 100;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

impl Framing {
    /// What the headers say. A body framed in two ways is refused: two readers could disagree
    /// about where it ends.
    pub(super) fn of(headers: &[httparse::Header<'_>]) -> Result<Self, Fault> {
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
                    return Err(Fault::refused(
                        501,
                        "Only the chunked coding is understood.",
                    ));
                }
                chunked = true;
            }
        }
        match (length, chunked) {
            (Some(_), true) => Err(wrong_length()),
            (None, true) => Ok(Self::Chunked),
            (length, false) => Ok(Self::Length(length.unwrap_or(0))),
        }
    }

    /// True unless it is known that there is no body.
    pub(super) fn expects_more(self) -> bool {
        self != Self::Length(0)
    }

    /// Refuses a body that is stated to be too long, before it is asked for.
    pub(super) fn check(self) -> Result<(), Fault> {
        match self {
            Self::Length(length) if length > MAX_BODY => Err(too_large()),
            Self::Length(_) | Self::Chunked => Ok(()),
        }
    }

    /// Reads the body, and leaves in the buffer what comes after it.
    pub(super) fn read(self, reader: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
        self.check()?;
        match self {
            Self::Length(length) => {
                let mut body = Vec::new();
                take(reader, length, &mut body)?;
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

fn wrong_length() -> Fault {
    Fault::refused(400, "The length of your request's body is not clear.")
}

fn wrong_chunk() -> Fault {
    Fault::refused(400, "The body of your request is not in chunks as it says.")
}

fn too_large() -> Fault {
    Fault::refused(
        413,
        "The body of your request is too large: at most 32 MiB.",
    )
}

/// Moves the next `length` bytes from the connection to the end of `body`.
fn take(reader: &mut Reader<'_>, length: u64, body: &mut Vec<u8>) -> Result<(), Fault> {
    let mut left = usize::try_from(length).map_err(|_| too_large())?;
    loop {
        let here = left.min(reader.buffer.len());
        body.extend(reader.buffer.drain(..here));
        left -= here;
        if left == 0 {
            return Ok(());
        }
        reader.fill()?;
    }
}

fn read_chunks(reader: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let size = loop {
            match httparse::parse_chunk_size(&reader.buffer) {
                Ok(httparse::Status::Complete((used, size))) => {
                    reader.buffer.drain(..used);
                    break size;
                }
                Ok(httparse::Status::Partial) if reader.buffer.len() <= MAX_LINE => {
                    reader.fill()?;
                }
                _ => return Err(wrong_chunk()),
            }
        };
        if size == 0 {
            skip_trailer(reader)?;
            return Ok(body);
        }
        if size > MAX_BODY.saturating_sub(body.len() as u64) {
            return Err(too_large());
        }
        take(reader, size, &mut body)?;
        let mut end = Vec::new();
        take(reader, 2, &mut end)?;
        if end != b"\r\n" {
            return Err(wrong_chunk());
        }
    }
}

/// Skips the lines after the last chunk, up to and including the empty one.
fn skip_trailer(reader: &mut Reader<'_>) -> Result<(), Fault> {
    for _ in 0..MAX_TRAILER_LINES {
        let end = loop {
            if let Some(end) = reader.buffer.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if reader.buffer.len() > MAX_LINE {
                return Err(wrong_chunk());
            }
            reader.fill()?;
        };
        let line: Vec<u8> = reader.buffer.drain(..=end).collect();
        if line == b"\n" || line == b"\r\n" {
            return Ok(());
        }
    }
    Err(wrong_chunk())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(headers: &[(&str, &str)]) -> Result<Framing, u16> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| httparse::Header {
                name,
                value: value.as_bytes(),
            })
            .collect();
        Framing::of(&headers).map_err(|fault| match fault {
            Fault::Refused(refusal) => refusal.status,
            Fault::Closed => 0,
        })
    }

    #[test]
    fn a_body_ends_where_every_reader_would_say() {
        let length = "Content-Length";
        let coding = "transfer-encoding";
        let table: [(&[_], _); 12] = [
            (&[], Ok(Framing::Length(0))),
            (&[(length, "12")], Ok(Framing::Length(12))),
            (&[(length, " 12 ")], Ok(Framing::Length(12))),
            (&[(length, "12"), (length, "12")], Ok(Framing::Length(12))),
            (&[(length, "12"), (length, "13")], Err(400)),
            (&[(length, "+12")], Err(400)),
            (&[(length, "-1")], Err(400)),
            (&[(length, "")], Err(400)),
            (&[(length, "99999999999999999999")], Err(400)),
            (&[(coding, "Chunked")], Ok(Framing::Chunked)),
            (&[(coding, "gzip, chunked")], Err(501)),
            (&[(coding, "chunked"), (length, "1")], Err(400)),
        ];
        for (step, (headers, expected)) in table.into_iter().enumerate() {
            assert_eq!(framing(headers), expected, "step {step}");
        }
    }
}

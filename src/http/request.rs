//! Reading requests from a connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::str;

use super::body::Framing;
use super::clock::Pace;
use super::limits::{HttpLimits, MAX_HEAD, MAX_HEADERS};

/// A request that has arrived in full.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// In the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) keep_alive: bool,
    pub(crate) is_http_10: bool,
}

impl Request {
    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or("")
    }

    /// The first header of this name, whatever its letters' case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Queries and headers can hold keys, and bodies what concerns the caller alone.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What came is not a request that can be answered. After the answer the connection closes, because where the
/// next request begins is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) status: u16,
    /// For the client.
    pub(crate) message: &'static str,
}

/// Why no request came.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection ended, or was idle for too long.
    Closed,
    Malformed(Malformed),
}

impl Fault {
    pub(super) fn malformed(status: u16, message: &'static str) -> Self {
        Self::Malformed(Malformed { status, message })
    }
}

/// A connection's incoming bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    stream: &'a TcpStream,
    pub(super) limits: &'a HttpLimits,
    /// What was read and not yet used; it may hold the beginning of the next request.
    pub(super) buffer: Vec<u8>,
    pace: Pace,
    /// Whether a part of the next request has come.
    has_begun: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(stream: &'a TcpStream, limits: &'a HttpLimits) -> Self {
        Self {
            stream,
            limits,
            buffer: Vec::new(),
            pace: Pace::new(limits.idle),
            has_begun: false,
        }
    }

    /// Waits for the next request and reads it to its end.
    pub(super) fn next(&mut self) -> Result<Request, Fault> {
        self.pace = Pace::new(self.limits.idle);
        self.has_begun = !self.buffer.is_empty();
        if self.buffer.is_empty() {
            // Nothing is held for a connection that is idle.
            self.buffer = Vec::new();
        }
        let mut seen = 0;
        let mut next_try = 0;
        let head = loop {
            let unseen = &self.buffer[seen.max(1) - 1..];
            let may_end = unseen
                .windows(2)
                .any(|pair| pair == b"\n\r" || pair == b"\n\n");
            seen = self.buffer.len();
            // What comes byte by byte is not parsed byte by byte; what is not HTTP is refused soon.
            if may_end || seen >= next_try {
                if let Some(head) = parse_head(&self.buffer)? {
                    break head;
                }
                next_try = seen + seen / 2 + 1;
            }
            if seen > MAX_HEAD {
                return Err(too_many_headers());
            }
            let is_first = self.buffer.is_empty();
            self.fill()?;
            if is_first {
                // The clock for a request starts with its first byte.
                self.pace = Pace::new(self.limits.transfer);
                self.has_begun = true;
            }
        };
        self.buffer.drain(..head.used);
        let framing = head.framing;
        if head.expects_continue && framing.expects_more() && self.buffer.is_empty() {
            framing.check(self.limits.max_body)?;
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .map_err(|_| Fault::Closed)?;
        }
        let body = framing.read(self)?;
        Ok(Request {
            body,
            ..head.request
        })
    }

    /// Moves the next `length` bytes from the connection to the end of `body`.
    pub(super) fn take(&mut self, length: usize, body: &mut Vec<u8>) -> Result<(), Fault> {
        let here = length.min(self.buffer.len());
        body.extend(self.buffer.drain(..here));
        let mut left = length - here;
        while left > 0 {
            // Memory grows with what has come, not with what is announced.
            let start = body.len();
            body.resize(start + left.min(64 * 1024), 0);
            let read = self.read(&mut body[start..]);
            body.truncate(start + *read.as_ref().unwrap_or(&0));
            left -= read?;
        }
        Ok(())
    }

    /// Reads more into the buffer: at least one byte.
    pub(super) fn fill(&mut self) -> Result<(), Fault> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let start = buffer.len();
        buffer.resize(start + 4 * 1024, 0);
        let read = self.read(&mut buffer[start..]);
        buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        self.buffer = buffer;
        read.map(drop)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let Some(left) = self.pace.left() else {
                return Err(self.timed_out());
            };
            if self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(Fault::Closed);
            }
            match self.stream.read(into) {
                Ok(0) => return Err(Fault::Closed),
                Ok(count) => {
                    self.pace.progress(count);
                    return Ok(count);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted
                    | io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut => {}
                    _ => return Err(Fault::Closed),
                },
            }
        }
    }

    fn timed_out(&self) -> Fault {
        if !self.has_begun {
            return Fault::Closed;
        }
        Fault::malformed(408, "The request did not arrive in time.")
    }
}

fn too_many_headers() -> Fault {
    Fault::malformed(431, "The headers of your request are too large.")
}

fn malformed() -> Fault {
    Fault::malformed(400, "Your request is not HTTP/1.1.")
}

/// The head of a request.
struct Head {
    /// Bytes of it.
    used: usize,
    /// Without its body.
    request: Request,
    framing: Framing,
    /// Whether the client waits for leave to send the body.
    expects_continue: bool,
}

/// None when the head is not complete yet.
fn parse_head(buffer: &[u8]) -> Result<Option<Head>, Fault> {
    let mut space = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut space);
    let used = match head.parse(buffer) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(too_many_headers()),
        Err(_) => return Err(malformed()),
    };
    if used > MAX_HEAD {
        return Err(too_many_headers());
    }
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Err(malformed());
    };
    let is_http_10 = version == 0;
    // httparse takes a bare LF for the end of a line, and skips lines before the first; others do not.
    let starts = buffer.starts_with(method.as_bytes());
    if !starts || has_bare_line_feed(&buffer[..used]) {
        return Err(malformed());
    }
    let framing = Framing::of(head.headers, is_http_10)?;
    let mut keep_alive = !is_http_10;
    let mut headers = Vec::with_capacity(head.headers.len());
    let mut expects_continue = false;
    let mut hosts = 0;
    for header in head.headers.iter() {
        let named = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = str::from_utf8(header.value)
            .map_err(|_| malformed())?
            .trim();
        if named("connection") {
            for word in value.split(',').map(str::trim) {
                if word.eq_ignore_ascii_case("close") {
                    keep_alive = false;
                } else if word.eq_ignore_ascii_case("keep-alive") && is_http_10 {
                    keep_alive = true;
                }
            }
        } else if named("expect") {
            if !value.eq_ignore_ascii_case("100-continue") {
                return Err(Fault::malformed(
                    417,
                    "Only Expect: 100-continue is understood.",
                ));
            }
            expects_continue = !is_http_10;
        } else if named("host") {
            hosts += 1;
        }
        headers.push((header.name.to_owned(), value.to_owned()));
    }
    if hosts > 1 {
        return Err(Fault::malformed(
            400,
            "Your request has more than one Host.",
        ));
    }
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: Vec::new(),
        keep_alive,
        is_http_10,
    };
    Ok(Some(Head {
        used,
        request,
        framing,
        expects_continue,
    }))
}

/// Whether a line ends with LF alone.
fn has_bare_line_feed(head: &[u8]) -> bool {
    let mut before = 0;
    head.iter().any(|byte| {
        let is_bare = *byte == b'\n' && before != b'\r';
        before = *byte;
        is_bare
    })
}

//! Reading requests from a connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::str;
use std::time::{Duration, Instant};

use super::super::clock::now;
use super::super::errors::Refusal;
use super::body::Framing;

/// Longest time between two requests on a connection, and longest time for one to arrive.
pub(in crate::sim) const PATIENCE: Duration = Duration::from_secs(75);
/// Most bytes of request line and headers.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// A request that has arrived in full.
#[derive(Debug)]
pub(in crate::sim) struct Request {
    pub(in crate::sim) method: String,
    /// The target without its query.
    pub(in crate::sim) path: String,
    /// In the order in which they came.
    headers: Vec<(String, String)>,
    pub(in crate::sim) body: Vec<u8>,
    pub(in crate::sim) keep_alive: bool,
    pub(in crate::sim) http_10: bool,
}

impl Request {
    /// The first header of this name, whatever its letters' case.
    pub(in crate::sim) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Why no request came.
#[derive(Debug)]
pub(in crate::sim) enum Fault {
    /// The connection ended, or was idle for too long.
    Closed,
    /// What came is not a request that can be answered; after this answer the connection closes,
    /// because where the next request begins is not known.
    Refused(Refusal),
}

impl Fault {
    pub(super) fn refused(status: u16, message: &str) -> Self {
        Self::Refused(Refusal::new(status, message))
    }
}

/// A connection's incoming bytes.
#[derive(Debug)]
pub(in crate::sim) struct Reader<'a> {
    stream: &'a TcpStream,
    /// What was read and not yet used; it may hold the beginning of the next request.
    pub(super) buffer: Vec<u8>,
    deadline: Instant,
}

impl<'a> Reader<'a> {
    pub(in crate::sim) fn new(stream: &'a TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            deadline: now() + PATIENCE,
        }
    }

    /// Waits for the next request and reads it to its end.
    pub(in crate::sim) fn next(&mut self) -> Result<Request, Fault> {
        self.deadline = now() + PATIENCE;
        let (head, framing, expects_continue) = loop {
            if let Some((used, head, framing, expects_continue)) = parse_head(&self.buffer)? {
                self.buffer.drain(..used);
                break (head, framing, expects_continue);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(too_many_headers());
            }
            let idle = self.buffer.is_empty();
            self.fill()?;
            if idle {
                // The clock for a request starts with its first byte.
                self.deadline = now() + PATIENCE;
            }
        };
        if expects_continue && framing.expects_more() && self.buffer.is_empty() {
            framing.check()?;
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .map_err(|_| Fault::Closed)?;
        }
        let body = framing.read(self)?;
        Ok(Request { body, ..head })
    }

    /// Reads more into the buffer: at least one byte.
    pub(super) fn fill(&mut self) -> Result<(), Fault> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let left = self.deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Err(self.timed_out());
            }
            // A timeout below 1 ms could be rounded to 0, which means no timeout.
            let left = left.max(Duration::from_millis(1));
            if self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(Fault::Closed);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Fault::Closed),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                    _ => return Err(Fault::Closed),
                },
            }
        }
    }

    fn timed_out(&self) -> Fault {
        if self.buffer.is_empty() {
            return Fault::Closed;
        }
        Fault::refused(408, "The request did not arrive in time.")
    }
}

fn too_many_headers() -> Fault {
    Fault::refused(431, "The headers of your request are too large.")
}

fn malformed() -> Fault {
    Fault::refused(400, "Your request is not HTTP/1.1.")
}

/// The bytes used, the request without its body, how its body is framed, and whether the client
/// waits for leave to send it. None when the head is not complete yet.
fn parse_head(buffer: &[u8]) -> Result<Option<(usize, Request, Framing, bool)>, Fault> {
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
    let http_10 = version == 0;
    let mut keep_alive = !http_10;
    let mut headers = Vec::with_capacity(head.headers.len());
    let mut expects_continue = false;
    for header in head.headers.iter() {
        let named = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = str::from_utf8(header.value).map_or("", str::trim);
        if named("connection") {
            for word in value.split(',').map(str::trim) {
                if word.eq_ignore_ascii_case("close") {
                    keep_alive = false;
                } else if word.eq_ignore_ascii_case("keep-alive") && http_10 {
                    keep_alive = true;
                }
            }
        } else if named("expect") {
            expects_continue = value.eq_ignore_ascii_case("100-continue") && !http_10;
        }
        headers.push((header.name.to_owned(), value.to_owned()));
    }
    let framing = Framing::of(head.headers)?;
    let request = Request {
        method: method.to_owned(),
        path: target.split(['?', '#']).next().unwrap_or("").to_owned(),
        headers,
        body: Vec::new(),
        keep_alive,
        http_10,
    };
    Ok(Some((used, request, framing, expects_continue)))
}

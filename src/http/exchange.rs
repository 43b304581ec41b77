//! One response: whole, or piece by piece.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::Arc;

use super::limits::HttpLimits;
use super::request::Request;
use super::response::{BodyEnd, head};
use super::writing::write_all;

/// Where the response to one request goes. Exactly one of [`send`](Self::send) and [`start`](Self::start) is
/// called; what comes after the first is ignored.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    stream: &'a Arc<TcpStream>,
    limits: &'a HttpLimits,
    keep_alive: bool,
    is_head: bool,
    is_http_10: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// The head has gone, and the body goes in chunks, as it comes, or not at all.
    Chunks,
    Plain,
    Bodiless,
    Ended,
    /// The rest of the response can no longer be sent.
    Broken,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        stream: &'a Arc<TcpStream>,
        limits: &'a HttpLimits,
        request: &Request,
    ) -> Self {
        Self {
            stream,
            limits,
            keep_alive: request.keep_alive,
            is_head: request.is_head(),
            is_http_10: request.is_http_10,
            state: State::Waiting,
        }
    }

    /// A place for the answer to what is no request.
    pub(super) fn of_malformed(stream: &'a Arc<TcpStream>, limits: &'a HttpLimits) -> Self {
        Self {
            stream,
            limits,
            keep_alive: false,
            is_head: false,
            is_http_10: false,
            state: State::Waiting,
        }
    }

    /// The connection, to watch whether the client leaves.
    pub(crate) fn stream(&self) -> &'a Arc<TcpStream> {
        self.stream
    }

    /// Whether the connection continues after this response.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Closes the connection after this response.
    pub(crate) fn close(&mut self) {
        self.keep_alive = false;
    }

    /// Whether a part of the response has gone.
    pub(super) fn has_started(&self) -> bool {
        self.state != State::Waiting
    }

    /// Whether the response has ended as it should.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Sends a whole response.
    ///
    /// # Errors
    ///
    /// When the client is gone, or does not read.
    pub(crate) fn send<'h>(
        &mut self,
        status: u16,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        body: &[u8],
    ) -> io::Result<()> {
        if self.has_started() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let (end, body) = match status {
            204 | 304 => (BodyEnd::Nothing, &[][..]),
            _ if self.is_head => (BodyEnd::Length(body.len()), &[][..]),
            _ => (BodyEnd::Length(body.len()), body),
        };
        let head = head(status, headers, end, self.keep_alive);
        self.write(&head, body)?;
        self.state = State::Ended;
        Ok(())
    }

    /// Sends bytes that are a whole response, or a part of one after which the connection is closed.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes, &[])?;
        self.state = State::Ended;
        Ok(())
    }

    /// Sends the head of a response whose body follows [piece by piece](Self::piece).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub(crate) fn start<'h>(
        &mut self,
        status: u16,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
    ) -> io::Result<()> {
        if self.has_started() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let (end, next) = match status {
            204 | 304 => (BodyEnd::Nothing, State::Bodiless),
            _ if self.is_http_10 => (BodyEnd::Close, State::Plain),
            _ if self.is_head => (BodyEnd::Chunks, State::Bodiless),
            _ => (BodyEnd::Chunks, State::Chunks),
        };
        if end == BodyEnd::Close {
            self.keep_alive = false;
        }
        let head = head(status, headers, end, self.keep_alive);
        self.write(&head, &[])?;
        self.state = match next {
            State::Plain if self.is_head => State::Bodiless,
            next => next,
        };
        Ok(())
    }

    /// Sends a piece of the body at once.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.state {
            // A chunk without bytes would be the last one.
            _ if bytes.is_empty() => Ok(()),
            State::Chunks => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                self.write(&chunk, b"\r\n")
            }
            State::Plain => self.write(bytes, &[]),
            State::Bodiless => Ok(()),
            State::Waiting | State::Ended | State::Broken => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Ends the body. Without this the client sees that it was cut off.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self.state {
            State::Chunks => self.write(b"0\r\n\r\n", &[])?,
            State::Plain | State::Bodiless => {}
            State::Waiting | State::Ended | State::Broken => {
                return Err(ErrorKind::InvalidInput.into());
            }
        }
        self.state = State::Ended;
        Ok(())
    }

    fn write(&mut self, first: &[u8], second: &[u8]) -> io::Result<()> {
        let written = write_all(self.stream, self.limits.transfer, first, second);
        if written.is_err() {
            self.state = State::Broken;
        }
        written
    }
}

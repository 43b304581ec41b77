//! One connection: a request out, the head of a response in, and its body piece by piece.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use super::body::{Body, Next};
use super::head::{self, Head, MAX_HEAD};
use super::interrupt::Interrupt;
use super::problem::Problem;
use super::stream::Stream;

/// Bytes of the buffer with which a response, or the next piece of a stream, is awaited. Most heads fit,
/// and some whole responses.
const AWAITING: usize = 1024;
/// Bytes that are read at once when more has arrived than that.
const ARRIVING: usize = 8 * 1024;
/// Responses that only announce another one, such as 103, before the real one.
const MAX_INTERIM: u32 = 64;
/// The response that makes another protocol of the connection, which no request asks for.
const SWITCHING: u16 = 101;

/// A connection to the server.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    /// What has arrived and was not read. Empty, and without memory, while the connection is idle.
    input: Vec<u8>,
    /// Whether the last read filled its buffer.
    is_flowing: bool,
    /// Whether it has carried a request before.
    pub(super) is_reused: bool,
}

/// How far a request came that failed.
#[derive(Debug)]
pub(super) enum Unsendable {
    /// Not all of it was handed to the system, and nothing has come back.
    InPart(Problem),
    Whole(Problem),
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            is_flowing: false,
            is_reused: false,
        }
    }

    /// The stream below, if all that has arrived was read.
    pub(super) fn into_stream(self) -> Option<Stream> {
        self.input.is_empty().then_some(self.stream)
    }

    /// Sets when reads and writes end from now on.
    pub(super) fn set_end(&mut self, end: Instant) {
        self.stream.set_end(end);
    }

    /// Has `interrupt` shut it down.
    pub(super) fn attach_to(&self, interrupt: &Interrupt) -> Result<(), Problem> {
        interrupt.attach(self.stream.tcp())
    }

    /// Whether another request can be sent on it.
    pub(super) fn is_quiet(&self) -> bool {
        self.input.is_empty() && self.stream.is_quiet()
    }

    /// Sends a request, and returns the head of the response when it is there: also one that comes while
    /// the request is being sent, which ends the sending and is the last on this connection.
    pub(super) fn exchange(&mut self, head: &[u8], body: &[u8]) -> Result<Head, Unsendable> {
        self.stream.set_yielding(true);
        let sent = self.send(head, body);
        self.stream.set_yielding(false);
        match sent {
            Ok(None) => self.receive_head().map_err(Unsendable::Whole),
            Ok(Some(early)) => Ok(Head {
                keeps_alive: false,
                ..early
            }),
            // A server may answer before it has read everything, and close the connection.
            Err(problem) => match self.has_arrived() {
                true => self.receive_head().map_err(|_| Unsendable::Whole(problem)),
                false => Err(Unsendable::InPart(problem)),
            },
        }
    }

    /// Sends a request. On a stream that yields it returns the head of a response that comes before all
    /// of it is sent.
    pub(super) fn send(&mut self, head: &[u8], body: &[u8]) -> Result<Option<Head>, Problem> {
        let (mut head, mut body) = (head, body);
        loop {
            let is_sent = head.is_empty() && body.is_empty();
            let written = match is_sent {
                true => self.stream.flush().map(|()| 0),
                false => {
                    let pieces = [IoSlice::new(head), IoSlice::new(body)];
                    self.stream.write_vectored(&pieces)
                }
            };
            match written {
                Ok(_) if is_sent => return Ok(None),
                Ok(0) => return Err(Problem::Io(ErrorKind::WriteZero.into())),
                Ok(written) => {
                    let of_head = written.min(head.len());
                    head = head.get(of_head..).unwrap_or_default();
                    body = body.get(written - of_head..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Some(early) = self.wait_for_room()? {
                        return Ok(Some(early));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until more can be sent, or for a response that comes before.
    fn wait_for_room(&mut self) -> Result<Option<Head>, Problem> {
        if !self.stream.wait_for_room()? {
            return Ok(None);
        }
        match self.receive() {
            Ok(0) => return Err(Problem::Io(ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            // Of TLS something that is no data, or part of a record.
            Err(Problem::Io(error)) if is_brief(&error) => return Ok(None),
            Err(problem) => return Err(problem),
        }
        while let Some((length, head)) = self.head_that_arrived()? {
            self.input.drain(..length);
            if is_final(&head)? {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn head_that_arrived(&self) -> Result<Option<(usize, Head)>, Problem> {
        match self.input.is_empty() {
            true => Ok(None),
            false => head::read(&self.input),
        }
    }

    /// Whether something of a response is there, or can be read at once.
    fn has_arrived(&mut self) -> bool {
        // Of what cannot be written to any more, a read tells at once what is left to be read.
        !self.input.is_empty() || matches!(self.receive(), Ok(count) if count > 0)
    }

    /// The head of the next response, without those that only announce it.
    pub(super) fn receive_head(&mut self) -> Result<Head, Problem> {
        for _ in 0..MAX_INTERIM {
            let (length, head) = self.next_head()?;
            self.input.drain(..length);
            if is_final(&head)? {
                return Ok(head);
            }
        }
        Err(Problem::NotHttp(
            "it announces responses without end".to_owned(),
        ))
    }

    fn next_head(&mut self) -> Result<(usize, Head), Problem> {
        let mut looked_at = 0;
        loop {
            // Read only when its end may be there, so that bytes that come one by one are not read again
            // and again; and once at its start, to refuse what is no HTTP.
            let from = looked_at.min(self.input.len()).saturating_sub(3);
            let is_due =
                looked_at == 0 || has_blank_line(self.input.get(from..).unwrap_or_default());
            if !self.input.is_empty()
                && (is_due || self.input.len() >= MAX_HEAD)
                && let Some(found) = head::read(&self.input)?
            {
                return Ok(found);
            }
            looked_at = self.input.len();
            if self.receive()? == 0 {
                return Err(Problem::Io(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads once into the input, with a small buffer unless the last one was filled.
    fn receive(&mut self) -> Result<usize, Problem> {
        let size = match self.is_flowing {
            true => ARRIVING,
            false => AWAITING,
        };
        if self.input.is_empty() && self.input.capacity() > size {
            self.input = Vec::new();
        }
        let before = self.input.len();
        self.input.resize(before + size, 0);
        let read = self.stream.read(&mut self.input[before..]);
        let count = *read.as_ref().unwrap_or(&0);
        self.input.truncate(before + count);
        self.is_flowing = count == size;
        Ok(read?)
    }

    /// Reads some of a body; 0 bytes are its end.
    pub(super) fn read_body(
        &mut self,
        body: &mut Body,
        buffer: &mut [u8],
    ) -> Result<usize, Problem> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let (used, next) = body.next(&self.input)?;
            self.input.drain(..used);
            let read = match next {
                Next::Done => return Ok(0),
                Next::Data(most) => {
                    let most = usize::try_from(most)
                        .unwrap_or(usize::MAX)
                        .min(buffer.len());
                    let target = &mut buffer[..most];
                    if !self.input.is_empty() {
                        let count = most.min(self.input.len());
                        target[..count].copy_from_slice(&self.input[..count]);
                        self.input.drain(..count);
                        count
                    } else if body.is_chunked() && most < ARRIVING {
                        // With a small chunk comes what stands behind it.
                        self.receive()?;
                        match self.input.is_empty() {
                            true => 0,
                            false => continue,
                        }
                    } else {
                        self.stream.read(target)?
                    }
                }
                Next::Input => match self.receive()? {
                    0 => 0,
                    _ => continue,
                },
            };
            if read == 0 {
                return match body.ends_by_close() {
                    true => Ok(0),
                    false => Err(Problem::Io(ErrorKind::UnexpectedEof.into())),
                };
            }
            body.took(read as u64);
            return Ok(read);
        }
    }

    /// Makes it ready to wait for another request, if it can.
    pub(super) fn rest(mut self, interrupt: Option<&Arc<Interrupt>>) -> Option<Self> {
        let is_whole = interrupt.is_none_or(|interrupt| interrupt.detach());
        if !is_whole || !self.input.is_empty() {
            return None;
        }
        self.input = Vec::new();
        self.is_reused = true;
        Some(self)
    }
}

/// Whether a head is that of a response, and not of one that only announces it.
fn is_final(head: &Head) -> Result<bool, Problem> {
    match head.status {
        SWITCHING => Err(Problem::NotHttp("it switches protocols".to_owned())),
        status => Ok(status >= 200),
    }
}

fn is_brief(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// Whether a line is empty, with either end of a line.
fn has_blank_line(bytes: &[u8]) -> bool {
    let mut after_line = false;
    bytes.iter().any(|byte| {
        let is_blank = after_line && *byte == b'\n';
        after_line = *byte == b'\n' || (after_line && *byte == b'\r');
        is_blank
    })
}

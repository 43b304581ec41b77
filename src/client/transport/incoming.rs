//! The body of a response as it arrives.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::Body;
use super::bounds::Limits;
use super::connection::Connection;
use super::head::Framing;
use super::interrupt::Interrupt;
use super::pool::Pool;
use super::problem::Problem;
use crate::limiter::Clock;

/// A body that arrives. Read to its end, its connection waits for another request; dropped before, it is
/// closed.
pub(super) struct Incoming {
    /// None when the body was read or has failed.
    open: Option<Open>,
    /// What another transport brings in its place.
    other: Option<Box<dyn Read + Send>>,
}

struct Open {
    connection: Connection,
    body: Body,
    /// Where the connection goes, if it can be used again.
    pool: Option<Arc<Pool>>,
    interrupt: Option<Arc<Interrupt>>,
    /// The end of the attempt.
    end: Instant,
    /// The longest wait for more.
    silence: Option<Duration>,
}

impl Open {
    /// Reads some of the body, for at most as long as a silence may last.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        let Some(silence) = self.silence else {
            return self.connection.read_body(&mut self.body, buffer);
        };
        let silent_end = Clock::real().now() + silence;
        self.connection.set_end(silent_end.min(self.end));
        match self.connection.read_body(&mut self.body, buffer) {
            Err(Problem::Timeout) if silent_end < self.end => Err(Problem::Silence(silence)),
            read => read,
        }
    }
}

impl Incoming {
    pub(super) fn new(
        connection: Connection,
        framing: Framing,
        pool: Option<Arc<Pool>>,
        interrupt: Option<Arc<Interrupt>>,
        limits: &Limits<'_>,
    ) -> Self {
        let body = Body::new(framing);
        let is_empty = body.is_done();
        let mut incoming = Self {
            open: Some(Open {
                connection,
                body,
                pool,
                interrupt,
                end: limits.end,
                silence: limits.read,
            }),
            other: None,
        };
        if is_empty {
            incoming.end();
        }
        incoming
    }

    /// One without a body.
    pub(super) fn none() -> Self {
        Self {
            open: None,
            other: None,
        }
    }

    /// One that another transport brings.
    pub(super) fn of(reader: Box<dyn Read + Send>) -> Self {
        Self {
            open: None,
            other: Some(reader),
        }
    }

    /// Reads some of it; 0 bytes are its end.
    pub(super) fn some(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        if let Some(reader) = &mut self.other {
            return read(reader, buffer);
        }
        let Some(open) = &mut self.open else {
            return Ok(0);
        };
        let read = open.read(buffer);
        let is_over = !matches!(read, Ok(1..)) && !buffer.is_empty();
        let interrupt = open.interrupt.as_ref();
        // A connection that was shut down looks like one that the server has closed.
        if is_over && interrupt.is_some_and(|interrupt| interrupt.is_cancelled()) {
            self.open = None;
            return Err(Problem::Cancelled);
        }
        if read.is_err() {
            self.open = None;
        } else if open.body.is_done() {
            self.end();
        }
        read
    }

    fn end(&mut self) {
        let Some(open) = self.open.take() else { return };
        let rested = open.connection.rest(open.interrupt.as_ref());
        if let (Some(connection), Some(pool)) = (rested, open.pool) {
            pool.put(connection);
        }
    }
}

fn read(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Problem> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(Problem::from),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.open.is_some() || self.other.is_some();
        f.debug_struct("Incoming").field("open", &is_open).finish()
    }
}

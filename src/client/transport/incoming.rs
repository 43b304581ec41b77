//! The body of a response as it arrives.

use std::fmt;
use std::sync::Arc;

use super::body::Body;
use super::connection::Connection;
use super::head::Framing;
use super::interrupt::Interrupt;
use super::pool::Pool;
use super::problem::Problem;

/// A body that arrives. Read to its end, its connection waits for another request; dropped before, it is
/// closed.
pub(super) struct Incoming {
    /// None when the body was read or has failed.
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    body: Body,
    /// Where the connection goes, if it can be used again.
    pool: Option<Arc<Pool>>,
    interrupt: Option<Arc<Interrupt>>,
}

impl Incoming {
    pub(super) fn new(
        connection: Connection,
        framing: Framing,
        pool: Option<Arc<Pool>>,
        interrupt: Option<Arc<Interrupt>>,
    ) -> Self {
        let body = Body::new(framing);
        let is_empty = body.is_done();
        let mut incoming = Self {
            open: Some(Open {
                connection,
                body,
                pool,
                interrupt,
            }),
        };
        if is_empty {
            incoming.end();
        }
        incoming
    }

    /// One without a body.
    pub(super) fn none() -> Self {
        Self { open: None }
    }

    /// Reads some of it; 0 bytes are its end.
    pub(super) fn some(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        let Some(open) = &mut self.open else {
            return Ok(0);
        };
        let read = open.connection.read_body(&mut open.body, buffer);
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

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.open.is_some();
        f.debug_struct("Incoming").field("open", &is_open).finish()
    }
}

//! Connections that wait for another request.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use parking_lot::Mutex;

use super::addresses::FRESH;
use super::connection::Connection;
use crate::limiter::Clock;

/// Idle connections, the one that was used last at the end.
///
/// # Locking
///
/// The list is locked to take one out or to put one in, not while one is tried or closed.
pub(super) struct Pool {
    idle: Mutex<VecDeque<(Connection, Instant)>>,
    most: usize,
    clock: Clock,
}

impl Pool {
    /// Keeps at most this many, each for at most 30 s.
    pub(super) fn new(most: usize) -> Self {
        Self {
            idle: Mutex::default(),
            most,
            clock: Clock::real(),
        }
    }

    /// The connection that was used last, of those that are still open.
    pub(super) fn take(&self) -> Option<Connection> {
        loop {
            let old = self.take_old();
            drop(old);
            let (connection, _) = self.idle.lock().pop_back()?;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    pub(super) fn put(&self, connection: Connection) {
        let old = self.take_old();
        let mut idle = self.idle.lock();
        let excess = match idle.len() >= self.most {
            true => idle.pop_front(),
            false => None,
        };
        if self.most > 0 {
            idle.push_back((connection, self.clock.now()));
        }
        drop(idle);
        drop((old, excess));
    }

    /// Those that have waited too long.
    fn take_old(&self) -> Vec<(Connection, Instant)> {
        let now = self.clock.now();
        let is_old = |since: Instant| now.saturating_duration_since(since) >= FRESH;
        let mut idle = self.idle.lock();
        let count = idle.iter().take_while(|(_, since)| is_old(*since)).count();
        idle.drain(..count).collect()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool")
            .field(&self.idle.lock().len())
            .finish()
    }
}

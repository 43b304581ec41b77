//! Closing the connection of an attempt from another thread.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::problem::Problem;
use crate::limiter::{CancelToken, Watcher};

/// Shuts a socket down when a token is cancelled. The system then ends every read, write and connect
/// that waits on it.
///
/// # Locking
///
/// The state is locked while a socket is put in, taken out or shut down. So a socket that was taken
/// out, to be used by another request, is not shut down afterwards.
#[derive(Debug, Default)]
pub(super) struct Interrupt(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_cancelled: bool,
    socket: Option<Arc<TcpStream>>,
}

impl Watcher for Interrupt {
    fn cancelled(&self) {
        let mut state = self.0.lock();
        state.is_cancelled = true;
        if let Some(socket) = &state.socket {
            let _ = socket.shutdown(Shutdown::Both); // it may be closed already
        }
    }
}

impl Interrupt {
    /// One that `token` triggers.
    pub(super) fn new(token: &CancelToken) -> Arc<Self> {
        let interrupt = Arc::new(Self::default());
        token.watch(&(Arc::downgrade(&interrupt) as Weak<dyn Watcher>));
        // Cancelled before the watch began: the token will not call.
        if token.is_cancelled() {
            interrupt.cancelled();
        }
        interrupt
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.lock().is_cancelled
    }

    /// Shuts `socket` down when the token is cancelled, in place of an earlier one.
    pub(super) fn attach(&self, socket: &Arc<TcpStream>) -> Result<(), Problem> {
        let mut state = self.0.lock();
        if state.is_cancelled {
            return Err(Problem::Cancelled);
        }
        state.socket = Some(Arc::clone(socket));
        Ok(())
    }

    /// Leaves the socket alone from now on. False if it was shut down.
    pub(super) fn detach(&self) -> bool {
        let mut state = self.0.lock();
        state.socket = None;
        !state.is_cancelled
    }
}

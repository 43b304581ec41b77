//! Those that wait for a limit, to send them away.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::CancelToken;

/// The requests that wait, each by the token that ends its wait.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    is_over: bool,
    all: HashMap<u64, CancelToken>,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    of: &'a Waiting,
    id: u64,
}

impl Waiting {
    /// A request that begins to wait. Its wait ends at once where all of them have been ended.
    pub(super) fn join(&self, token: &CancelToken) -> Waiter<'_> {
        let mut inner = self.0.lock();
        let id = inner.next;
        inner.next += 1;
        if inner.is_over {
            token.cancel();
        }
        inner.all.insert(id, token.clone());
        Waiter { of: self, id }
    }

    /// Ends all waits, those of later requests, too. Returns whether there were any.
    pub(super) fn end(&self) -> bool {
        let tokens: Vec<_> = {
            let mut inner = self.0.lock();
            inner.is_over = true;
            inner.all.values().cloned().collect()
        };
        tokens.iter().for_each(CancelToken::cancel);
        !tokens.is_empty()
    }

    /// Whether all waits have been ended.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().is_over
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.of.0.lock().all.remove(&self.id);
    }
}

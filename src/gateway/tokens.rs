//! Requests that can be ended from elsewhere.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::CancelToken;

/// Requests, each by the token that ends it.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    is_over: bool,
    all: HashMap<u64, CancelToken>,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    of: &'a Tokens,
    id: u64,
}

impl Tokens {
    /// A request that begins. It ends at once where all have been ended.
    pub(super) fn join(&self, token: &CancelToken) -> Joined<'_> {
        let mut inner = self.0.lock();
        let id = inner.next;
        inner.next += 1;
        if inner.is_over {
            token.cancel();
        }
        inner.all.insert(id, token.clone());
        Joined { of: self, id }
    }

    /// Ends all of them, and all later ones. Returns whether there were any.
    pub(super) fn end(&self) -> bool {
        let tokens: Vec<_> = {
            let mut inner = self.0.lock();
            inner.is_over = true;
            inner.all.values().cloned().collect()
        };
        tokens.iter().for_each(CancelToken::cancel);
        !tokens.is_empty()
    }

    /// Whether all have been ended.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().is_over
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        self.of.0.lock().all.remove(&self.id);
    }
}

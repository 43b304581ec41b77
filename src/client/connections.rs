//! Connections that were opened, and the callbacks for each.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// A callback for opened connections.
pub(crate) trait OnConnection: Send + Sync {
    /// A connection was established, up to the end of its TLS handshake.
    fn connected(&self);
}

/// The connections of a client. Clones are of the same client.
///
/// # Locking
///
/// The list is locked while it is copied, not while a callback runs.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    opened: AtomicU64,
    told: Mutex<Vec<Weak<dyn OnConnection>>>,
}

impl Connections {
    /// How many were ever opened.
    pub(crate) fn opened(&self) -> u64 {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// Registers a callback for each connection from now on, until it is dropped.
    pub(crate) fn tell(&self, listener: &Weak<dyn OnConnection>) {
        let mut told = self.0.told.lock();
        told.retain(|known| known.strong_count() > 0);
        told.push(Weak::clone(listener));
    }

    pub(super) fn opens(&self) {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        let told = self.0.told.lock().clone();
        for listener in told.iter().filter_map(Weak::upgrade) {
            listener.connected();
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.opened()).finish()
    }
}

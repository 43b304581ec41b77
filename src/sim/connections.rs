//! The open connections and their threads, so that all of them can be ended at once.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::Shared;

/// Enough for parsing JSON at `serde_json`'s greatest depth, and small enough for thousands.
const STACK: usize = 512 * 1024;

#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    closed: bool,
    next: u64,
    most: u64,
    threads: HashMap<u64, (Arc<TcpStream>, JoinHandle<()>)>,
}

impl Connections {
    /// Runs `serve` on a thread of its own. The connection closes when it returns.
    pub(super) fn start(
        &self,
        stream: TcpStream,
        shared: &Arc<Shared>,
        serve: impl FnOnce(&TcpStream) + Send + 'static,
    ) -> io::Result<()> {
        // One socket for both sides: a clone of it would cost a second file descriptor.
        let stream = Arc::new(stream);
        let for_thread = stream.clone();
        let mut open = self.open.lock();
        if open.closed {
            return Ok(());
        }
        let id = open.next;
        let shared = shared.clone();
        // Under the lock: a thread that ends at once finds its entry there, and removes it.
        let thread = thread::Builder::new()
            .name(format!("sim-{id}"))
            .stack_size(STACK)
            .spawn(move || {
                // Made here and not outside: should the thread not start, then its closure is
                // dropped while the lock is held, and dropping an entry takes the lock.
                let _entry = Entry { id, shared };
                serve(&for_thread);
            })?;
        open.next += 1;
        open.threads.insert(id, (stream, thread));
        open.most = open.most.max(open.threads.len() as u64);
        Ok(())
    }

    pub(super) fn most(&self) -> u64 {
        self.open.lock().most
    }

    /// Ends all connections and waits for their threads; later ones are closed at once.
    pub(super) fn close(&self) {
        let threads = {
            let mut open = self.open.lock();
            open.closed = true;
            std::mem::take(&mut open.threads)
        };
        for (stream, _) in threads.values() {
            // An error means that the other side was faster.
            let _ = stream.shutdown(Shutdown::Both);
        }
        for (_, thread) in threads.into_values() {
            let _ = thread.join();
        }
    }
}

/// Takes a connection off the list when its thread ends, also by a panic.
struct Entry {
    id: u64,
    shared: Arc<Shared>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.shared.connections.open.lock();
        let entry = open.threads.remove(&self.id);
        drop(open);
        drop(entry);
    }
}

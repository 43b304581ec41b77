//! The open connections and their threads, so that all of them can be ended at once.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::limits::HttpLimits;

#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    /// Notified when the last one ends.
    ended: Condvar,
    draining: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Open {
    closed: bool,
    next: u64,
    most: usize,
    threads: HashMap<u64, One>,
}

#[derive(Debug)]
struct One {
    stream: Arc<TcpStream>,
    busy: Busy,
    thread: JoinHandle<()>,
}

/// Whether a connection answers a request, or waits for one.
#[derive(Debug, Clone)]
pub(super) struct Busy {
    state: Arc<AtomicU8>,
    draining: Arc<AtomicBool>,
}

const IDLE: u8 = 0;
const BUSY: u8 = 1;
const ENDED: u8 = 2;

impl Busy {
    /// A request has come; false where the connection was ended before.
    pub(super) fn begin(&self) -> bool {
        let swap = self
            .state
            .compare_exchange(IDLE, BUSY, Ordering::SeqCst, Ordering::SeqCst);
        swap.is_ok()
    }

    /// The response is sent; false where the connection is to end.
    pub(super) fn end(&self) -> bool {
        self.state.store(IDLE, Ordering::SeqCst);
        // After the state: a drain either finds it idle, or this finds the drain.
        !self.is_draining()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Ends it if it waits for a request.
    fn end_if_idle(&self) -> bool {
        let swap = self
            .state
            .compare_exchange(IDLE, ENDED, Ordering::SeqCst, Ordering::SeqCst);
        swap.is_ok()
    }
}

impl Connections {
    /// Runs `serve` on a thread of its own. The connection closes when it returns.
    pub(super) fn start(
        self: &Arc<Self>,
        stream: TcpStream,
        limits: &HttpLimits,
        serve: impl FnOnce(&Arc<TcpStream>, &Busy) + Send + 'static,
    ) -> io::Result<()> {
        // One socket for both sides: a clone of it would cost a second file descriptor.
        let stream = Arc::new(stream);
        let for_thread = stream.clone();
        let busy = Busy {
            state: Arc::default(),
            draining: self.draining.clone(),
        };
        let for_serve = busy.clone();
        let mut open = self.open.lock();
        if open.closed {
            return Ok(());
        }
        let id = open.next;
        let all = self.clone();
        // Under the lock: a thread that ends at once finds its entry there, and removes it.
        let thread = thread::Builder::new()
            .name(format!("{}-{id}", limits.name))
            .stack_size(limits.stack)
            .spawn(move || {
                // Made here and not outside: should the thread not start, then its closure is
                // dropped while the lock is held, and dropping an entry takes the lock.
                let _entry = Entry { id, all };
                serve(&for_thread, &for_serve);
            })?;
        open.next += 1;
        open.threads.insert(
            id,
            One {
                stream,
                busy,
                thread,
            },
        );
        open.most = open.most.max(open.threads.len());
        Ok(())
    }

    pub(super) fn count(&self) -> usize {
        self.open.lock().threads.len()
    }

    pub(super) fn most(&self) -> usize {
        self.open.lock().most
    }

    /// Ends each connection that waits for a request, and each other one after its response; waits for that
    /// until `end`. False where some remain.
    pub(super) fn drain(&self, end: Instant) -> bool {
        self.draining.store(true, Ordering::SeqCst);
        let mut open = self.open.lock();
        for one in open.threads.values() {
            if one.busy.end_if_idle() {
                // An error means that the other side was faster.
                let _ = one.stream.shutdown(Shutdown::Both);
            }
        }
        while !open.threads.is_empty() {
            if self.ended.wait_until(&mut open, end).timed_out() {
                return open.threads.is_empty();
            }
        }
        true
    }

    /// Ends all connections and waits for their threads; later ones are closed at once.
    pub(super) fn close(&self) {
        let threads = {
            let mut open = self.open.lock();
            open.closed = true;
            std::mem::take(&mut open.threads)
        };
        for one in threads.values() {
            let _ = one.stream.shutdown(Shutdown::Both);
        }
        for one in threads.into_values() {
            let _ = one.thread.join();
        }
    }
}

/// Takes a connection off the list when its thread ends, also by a panic.
struct Entry {
    id: u64,
    all: Arc<Connections>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.all.open.lock();
        let entry = open.threads.remove(&self.id);
        let was_last = open.threads.is_empty();
        drop(open);
        drop(entry);
        if was_last {
            self.all.ended.notify_all();
        }
    }
}

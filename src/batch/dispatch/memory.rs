//! One budget of memory for all that is in flight and all that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

/// What a request in flight takes besides its bodies, in bytes: what its thread has touched of its
/// stack, the buffers of its connection and, over TLS, the session. The benchmark `scale` prints what
/// it is.
pub(in crate::batch) const REQUEST: u64 = 64 * 1024;
/// A response up to this size is read without a question, in bytes. Nearly all are smaller.
const SMALL: u64 = 1024 * 1024;
/// The largest response that a client reads, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// The part of the budget that large responses may take together: what a link brings does not grow
/// with how many are read at once, and requests keep the rest.
const PART_OF_LARGE: u64 = 8;
/// The part of the budget that requests may take which wait for their limiter.
const PART_OF_WAITING: u64 = 8;

/// # Locking
///
/// The lock is held for one look, and by threads that hold no other.
#[derive(Debug)]
pub(in crate::batch) struct Memory {
    limit: u64,
    /// Of requests that are in flight, or wait for their limiter as the first of their lane.
    in_flight: AtomicU64,
    /// Reserved for large responses.
    large: Mutex<u64>,
    freed: Condvar,
}

impl Memory {
    pub(in crate::batch) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            in_flight: AtomicU64::new(0),
            large: Mutex::new(0),
            freed: Condvar::new(),
        })
    }

    /// What requests may take that wait.
    pub(in crate::batch) fn for_waiting(&self) -> u64 {
        self.limit / PART_OF_WAITING
    }

    /// Whether one more request may be in flight while others that wait take so much.
    pub(in crate::batch) fn has_room(&self, waiting: u64) -> bool {
        let taken = self.in_flight.load(Ordering::SeqCst);
        taken.saturating_add(waiting).saturating_add(REQUEST) <= self.limit
    }

    /// Takes what a request with such a body needs in flight, until that is dropped.
    pub(in crate::batch) fn take(self: &Arc<Self>, body: usize) -> Held {
        let own = REQUEST.saturating_add(body as u64);
        self.in_flight.fetch_add(own, Ordering::SeqCst);
        Held {
            memory: Arc::clone(self),
            own,
            response: AtomicU64::new(0),
        }
    }

    /// Waits until one more large response may be read.
    fn reserve(&self) {
        let most = LARGEST.max(self.limit / PART_OF_LARGE);
        let mut large = self.large.lock();
        while *large > 0 && *large + LARGEST > most {
            self.freed.wait(&mut large);
        }
        *large += LARGEST;
    }

    fn release(&self) {
        // Changed under the lock that `reserve` holds until it waits: no wake-up is lost. One large
        // response takes what one gives back, so one thread is woken.
        *self.large.lock() -= LARGEST;
        self.freed.notify_one();
    }
}

/// What one request takes, until this is dropped.
#[derive(Debug)]
pub(in crate::batch) struct Held {
    memory: Arc<Memory>,
    own: u64,
    /// Of its response: nothing as long as that is a piece, [`LARGEST`] when it is a large one. Only
    /// the thread of the request changes it.
    response: AtomicU64,
}

impl Held {
    /// Its response takes this many bytes, and more are to be read. Before a response grows large it
    /// waits until its whole size fits: of several that wait for one another none would end.
    pub(in crate::batch) fn response(&self, bytes: usize) {
        let before = self.response.load(Ordering::SeqCst);
        // The line that is written of it stands beside it for a moment.
        let now = (bytes as u64).saturating_mul(2);
        match bytes as u64 > SMALL {
            true if before == LARGEST => {}
            true => {
                self.memory.reserve();
                self.becomes(before, LARGEST);
            }
            false if before == now => {}
            false => {
                self.becomes(before, now);
                if before == LARGEST {
                    self.memory.release(); // another attempt
                }
            }
        }
    }

    fn becomes(&self, before: u64, now: u64) {
        let in_flight = &self.memory.in_flight;
        in_flight.fetch_add(now, Ordering::SeqCst);
        in_flight.fetch_sub(before, Ordering::SeqCst);
        self.response.store(now, Ordering::SeqCst);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.response(0);
        let in_flight = &self.memory.in_flight;
        in_flight.fetch_sub(self.own, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_request_takes_its_place_its_body_and_its_response() {
        let memory = Memory::new(2 * REQUEST + 1_000);
        assert!(memory.has_room(0) && memory.has_room(REQUEST + 1_000));
        assert!(!memory.has_room(REQUEST + 1_001));
        let first = memory.take(1_000);
        assert!(memory.has_room(0) && !memory.has_room(1));
        first.response(100);
        assert!(!memory.has_room(0));
        first.response(0); // the next attempt
        assert!(memory.has_room(0));
        first.response(MIB);
        drop(first);
        assert_eq!(memory.in_flight.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn large_responses_are_read_a_few_at_a_time_and_one_always() {
        for (limit, at_once) in [(1, 1), (8 * LARGEST, 1), (24 * LARGEST, 3)] {
            let memory = Memory::new(limit);
            let held: Vec<_> = (0..=at_once).map(|_| memory.take(0)).collect();
            let (last, others) = held.split_last().unwrap();
            for held in others {
                held.response(MIB + 1);
                held.response(50 * MIB);
            }
            thread::scope(|scope| {
                let (told, tells) = mpsc::channel();
                scope.spawn(move || {
                    last.response(MIB);
                    told.send(()).unwrap();
                    last.response(MIB + 1);
                    told.send(()).unwrap();
                });
                tells.recv().unwrap();
                assert!(
                    tells
                        .recv_timeout(std::time::Duration::from_millis(20))
                        .is_err()
                );
                others[0].response(0);
                tells.recv().unwrap();
            });
            drop(held);
            assert_eq!(*memory.large.lock(), 0, "{limit}");
            assert_eq!(memory.in_flight.load(Ordering::SeqCst), 0, "{limit}");
        }
    }
}

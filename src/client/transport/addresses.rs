//! The addresses of hosts: looked up once in a while, and once for all threads that ask at one time.
//!
//! # Locking
//!
//! The map is locked to look into it and to write into it, not during a lookup.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::handover::Handover;
use super::lookup::{Found, Resolve, System, literal};
use super::problem::Problem;
use crate::limiter::{CancelToken, Clock};

/// For how long an address is taken to be right: as long as an idle connection is kept.
pub(super) const FRESH: Duration = Duration::from_secs(30);

pub(super) struct Addresses {
    resolver: Box<dyn Resolve>,
    clock: Clock,
    known: Mutex<HashMap<(String, u16), Known>>,
}

#[derive(Default)]
struct Known {
    addresses: Option<(Arc<[SocketAddr]>, Instant)>,
    /// The lookup that is being made.
    asked: Option<Arc<Handover<Found>>>,
}

impl Addresses {
    pub(super) fn new() -> Self {
        Self::with(Box::new(System), Clock::real())
    }

    fn with(resolver: Box<dyn Resolve>, clock: Clock) -> Self {
        Self {
            resolver,
            clock,
            known: Mutex::default(),
        }
    }

    /// The addresses of a host, of which there is at least one.
    pub(super) fn of(
        &self,
        host: &str,
        port: u16,
        end: Instant,
        cancel: Option<&CancelToken>,
    ) -> Result<Arc<[SocketAddr]>, Problem> {
        if let Some(address) = literal(host, port) {
            return Ok([address].into());
        }
        let key = (host.to_owned(), port);
        let now = self.clock.now();
        let (asked, is_first) = {
            let mut all = self.known.lock();
            let known = all.entry(key.clone()).or_default();
            if let Some((addresses, since)) = &known.addresses
                && now.saturating_duration_since(*since) < FRESH
            {
                return Ok(Arc::clone(addresses));
            }
            match &known.asked {
                Some(asked) => (Arc::clone(asked), false),
                None => (Arc::clone(known.asked.insert(Handover::new())), true),
            }
        };
        if is_first {
            self.resolver.begin(host, port, &asked);
        }
        let found = asked.wait(end, cancel);
        let mut all = self.known.lock();
        let known = all.entry(key).or_default();
        // The first thread that sees the result, or gives up, lets the next one look up anew.
        let is_theirs = |it: &Arc<_>| Arc::ptr_eq(it, &asked);
        let gave_up = matches!(found, Err(Problem::Timeout));
        if (found.is_ok() || gave_up) && known.asked.as_ref().is_some_and(is_theirs) {
            known.asked = None;
            if let Ok(Ok(addresses)) = &found {
                known.addresses = Some((Arc::clone(addresses), now));
            }
        }
        let problem = match found {
            Ok(Ok(addresses)) => return Ok(addresses),
            Ok(Err(reason)) => reason.into(),
            Err(problem) => problem,
        };
        // Where it was is a better guess than none.
        match (&known.addresses, problem) {
            (_, Problem::Cancelled) => Err(Problem::Cancelled),
            (Some((addresses, _)), problem) => {
                log::warn!("{host}: {problem:?}; its address is taken to be the one before");
                Ok(Arc::clone(addresses))
            }
            (None, problem) => Err(problem),
        }
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
    use std::thread;

    use super::super::lookup::NotFound;
    use super::*;
    use crate::limiter::ManualClock;

    /// Gives out a port for each lookup, or none for 0.
    #[derive(Debug, Clone, Default)]
    struct Ports(Arc<AtomicU16>);

    impl Resolve for Ports {
        fn begin(&self, _: &str, _: u16, result: &Arc<Handover<Found>>) {
            let port = self.0.load(Ordering::SeqCst);
            result.put(match port {
                0 => Err(NotFound::Unknown),
                port => Ok([([127, 0, 0, 1], port).into()].into()),
            });
        }
    }

    fn minute() -> Instant {
        Clock::real().now() + Duration::from_secs(60)
    }

    #[test]
    fn an_address_is_looked_up_again_when_it_is_old_and_kept_when_that_fails() {
        let (ports, clock) = (Ports::default(), ManualClock::new());
        let addresses = Addresses::with(Box::new(ports.clone()), Clock::from(&clock));
        let ask = |host: &str, at: u16, port: u16| {
            ports.0.store(port, Ordering::SeqCst);
            let found = addresses.of(host, at, minute(), None);
            found.ok().map(|found| found[0].port())
        };
        assert_eq!(ask("h", 80, 0), None);
        assert_eq!(ask("h", 80, 1), Some(1), "a failure is not kept");
        assert_eq!(ask("h", 80, 2), Some(1));
        assert_eq!(ask("other", 80, 3), Some(3));
        assert_eq!(ask("h", 443, 4), Some(4), "it is another port");
        clock.advance(FRESH);
        assert_eq!(ask("h", 80, 0), Some(1));
        assert_eq!(ask("h", 80, 5), Some(5));
    }

    /// A name server that does not answer.
    #[derive(Default)]
    struct Silent(Arc<AtomicUsize>, Mutex<Vec<Arc<Handover<Found>>>>);

    impl Resolve for Silent {
        fn begin(&self, _: &str, _: u16, result: &Arc<Handover<Found>>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1.lock().push(Arc::clone(result));
        }
    }

    #[test]
    fn a_lookup_is_shared_and_a_token_or_the_time_ends_the_wait_for_it() {
        let silent = Silent::default();
        let begun = Arc::clone(&silent.0);
        let addresses = Addresses::with(Box::new(silent), Clock::real());
        let token = CancelToken::new();
        thread::scope(|scope| {
            let waiting =
                [(); 8].map(|()| scope.spawn(|| addresses.of("h", 80, minute(), Some(&token))));
            token.cancel();
            for waiting in waiting {
                let found = waiting.join().unwrap();
                assert!(matches!(found, Err(Problem::Cancelled)), "{found:?}");
            }
        });
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        let soon = Clock::real().now() + Duration::from_millis(5);
        let found = addresses.of("h", 80, soon, None);
        assert!(matches!(found, Err(Problem::Timeout)), "{found:?}");
    }
}

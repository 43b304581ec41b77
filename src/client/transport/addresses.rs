//! The addresses of hosts: looked up once in a while, and not for each request.
//!
//! The wire asks for them before it looks whether it has a connection already, and on a thread of
//! its own, so that the lookup can be given up in time. For each request that would be a thread,
//! and a question to a name server that may not answer.
//!
//! # Locking
//!
//! The map is locked to look into it and to write into it, not during a lookup. Requests that find
//! nothing, or something old, at the same time look it up side by side.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::dial::{Step, Unsent};
use super::lookup::Lookup;
use crate::limiter::Clock;

/// For how long an address is taken to be right: as long as a connection is kept that nobody uses.
pub(super) const FRESH: Duration = Duration::from_secs(30);

pub(super) struct Addresses<R = Lookup> {
    lookup: R,
    clock: Clock,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone)]
struct Known {
    addresses: ResolvedSocketAddrs,
    since: Instant,
}

impl<R: Resolver> Addresses<R> {
    pub(super) fn new(lookup: R, clock: Clock) -> Self {
        Self {
            lookup,
            clock,
            known: Mutex::default(),
        }
    }
}

impl<R: Resolver> Resolver for Addresses<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let scheme = uri.scheme_str().unwrap_or_default();
        // Without what a proxy's address may hold before its `@`, for this is logged.
        let host = uri.authority().map(|host| host.as_str().rsplit('@').next());
        let host = format!("{scheme}://{}", host.flatten().unwrap_or_default());
        let known = self.known.lock().get(&host).cloned();
        let now = self.clock.now();
        if let Some(known) = &known
            && now.saturating_duration_since(known.since) < FRESH
        {
            return Ok(known.addresses.clone());
        }
        match self.lookup.resolve(uri, config, timeout) {
            Ok(addresses) => {
                let known = Known {
                    addresses: addresses.clone(),
                    since: now,
                };
                self.known.lock().insert(host, known);
                Ok(addresses)
            }
            // Where it was is a better guess than none.
            Err(error) => match known {
                Some(known) => {
                    log::warn!("{host}: {error}; its address is taken to be the one before");
                    Ok(known.addresses)
                }
                None => {
                    let host = uri.host().unwrap_or_default().to_owned();
                    Err(Unsent::at(Step::Resolve(host), error))
                }
            },
        }
    }
}

impl<R> fmt::Debug for Addresses<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, Ordering};

    use super::*;
    use crate::limiter::ManualClock;

    /// Gives out a port for each lookup, or 0 for an error.
    #[derive(Debug, Clone, Default)]
    struct Ports(Arc<AtomicU16>);

    impl Resolver for Ports {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            let port = self.0.load(Ordering::SeqCst);
            if port == 0 {
                return Err(Error::HostNotFound);
            }
            let mut addresses = self.empty();
            addresses.push(([127, 0, 0, 1], port).into());
            Ok(addresses)
        }
    }

    #[test]
    fn an_address_is_looked_up_again_when_it_is_old_and_kept_when_that_fails() {
        let (lookup, clock) = (Ports::default(), ManualClock::new());
        let addresses = Addresses::new(lookup.clone(), Clock::from(&clock));
        let ask = |url: &str, port: u16| {
            lookup.0.store(port, Ordering::SeqCst);
            let found = addresses.resolve(
                &url.parse().unwrap(),
                &Config::default(),
                NextTimeout::default(),
            );
            found.ok().map(|found| found[0].port())
        };
        assert_eq!(ask("http://h/v1", 0), None);
        assert_eq!(ask("http://h/v1", 1), Some(1), "a failure is not kept");
        assert_eq!(ask("http://h/v1/x", 2), Some(1));
        assert_eq!(ask("http://other/v1", 3), Some(3));
        assert_eq!(ask("https://h/v1", 4), Some(4), "it has another port");
        clock.advance(FRESH);
        assert_eq!(ask("http://h/v1", 0), Some(1));
        assert_eq!(ask("http://h/v1", 5), Some(5));
    }
}

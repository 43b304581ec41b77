//! A local server through which programs in any language keep the limits of their API.
//!
//! A program names the gateway as its base URL, and no code of it changes: each call waits its turn in the same
//! queue as all others, and is sent to the provider. Where waiting makes no sense, because the caller's own time-out
//! would pass first, the call is refused at once, with the time that it would have had to wait.
//!
//! ```no_run
//! use paceline::gateway::Gateway;
//! use paceline::{Limits, RateLimitedClient};
//!
//! let upstream = RateLimitedClient::builder().limits(Limits::tokens_per_minute(30_000)?);
//! let gateway = Gateway::builder(upstream).start()?;
//! println!("OPENAI_BASE_URL={}", gateway.base_url());
//! gateway.wait();
//! # Ok::<(), paceline::Error>(())
//! ```
//!
//! It speaks HTTP/1.1 on threads, without TLS, which is left to a front. `docs/gateway.md` says what it does with
//! each request.

mod access; //   who may ask, by Host and Origin: pure
mod builder; //  settings
mod clients; //  who may ask, by key
mod clock; //    when requests come
mod counters; // what it has done so far
mod forward; //  the way of one request
mod headers; //  what headers of requests say, and which are passed on: pure
mod recent; //   the last refusals
mod refusal; //  errors in the provider's form: pure
mod service; //  from a request to who answers it
mod status; //   where it stands, for programs and for people
mod tokens; //   requests that can be ended from elsewhere
mod upstream; // clients of the provider, by key

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

pub use builder::GatewayBuilder;
pub use clients::GatewayClient;

use service::Proxy;

use crate::ClientBuilder;
use crate::http::Server;

/// How long refusals may take at the end of a drain.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running gateway. It stops when it is dropped: the port is closed, connections end, and every thread that
/// it started has ended.
///
/// ```no_run
/// use std::time::Duration;
/// use paceline::RateLimitedClient;
/// use paceline::gateway::Gateway;
///
/// let gateway = Gateway::builder(RateLimitedClient::builder())
///     .listen(([127, 0, 0, 1], 8317))
///     .start()?;
/// println!("{}", gateway.base_url());
/// gateway.drain(Duration::from_secs(30));
/// # Ok::<(), paceline::Error>(())
/// ```
pub struct Gateway {
    server: Server,
    proxy: Arc<Proxy>,
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Gateway {
    /// Settings of a gateway before the API that `upstream` names, with its limits, key and headers.
    pub fn builder(upstream: ClientBuilder) -> GatewayBuilder {
        GatewayBuilder::new(upstream)
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// What to give a client as its base URL: `http://127.0.0.1:8317/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.local_addr())
    }

    /// Serves until another thread calls [`drain`](Self::drain) or [`stop`](Self::stop).
    pub fn wait(&self) {
        let mut stopped = self.stopped.lock();
        self.changed.wait_while(&mut stopped, |stopped| !*stopped);
    }

    /// Closes the port, and waits up to `grace` until all requests that have come have their responses. Then those
    /// that still wait for a limit are refused (503), and those in flight are cut off. Returns whether there were none.
    pub fn drain(&self, grace: Duration) -> bool {
        let mut is_done = self.server.drain(clock::now() + grace);
        if !is_done && self.proxy.waiting.end() {
            // Refusals are on their way in no time.
            self.server.drain(clock::now() + LAST_WORDS);
            is_done = false;
        }
        self.stop();
        is_done
    }

    /// Closes the port and all connections, also those in the middle of a response, and returns when their threads
    /// have ended. Requests that have reached the provider are charged by it all the same.
    pub fn stop(&self) {
        self.proxy.waiting.end();
        self.proxy.in_flight.end();
        self.server.stop();
        self.is_over();
    }

    fn is_over(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("addr", &self.local_addr())
            .field("counters", self.proxy.counters())
            .finish_non_exhaustive()
    }
}

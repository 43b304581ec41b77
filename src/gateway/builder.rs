//! Settings of a gateway.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::Gateway;
use super::clients::{Clients, GatewayClient};
use super::service::Proxy;
use super::upstream::Upstream;
use crate::http::{HttpLimits, Server};
use crate::{ClientBuilder, Error, Result};

/// The port that it listens on unless another is named.
const DEFAULT_PORT: u16 = 8317;

/// Settings of a [`Gateway`], each with a default.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::gateway::Gateway;
///
/// let gateway = Gateway::builder(RateLimitedClient::builder())
///     .listen(([127, 0, 0, 1], 0)) // any free port
///     .max_connections(1_000)
///     .start()?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct GatewayBuilder {
    upstream: ClientBuilder,
    listen: SocketAddr,
    limits: HttpLimits,
    clients: Vec<GatewayClient>,
}

impl GatewayBuilder {
    pub(super) fn new(upstream: ClientBuilder) -> Self {
        Self {
            upstream,
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            limits: HttpLimits {
                max_body: 64 * 1024 * 1024,
                max_connections: 10_000,
                name: "gateway",
                ..HttpLimits::default()
            },
            clients: Vec::new(),
        }
    }

    /// Sets the address to listen on. Default: 127.0.0.1:8317.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = address.into();
        self
    }

    /// Adds a client. Where there is one, each request needs the key of one. Default: no clients, and none is needed.
    pub fn client(mut self, client: GatewayClient) -> Self {
        self.clients.push(client);
        self
    }

    /// Caps connections; further ones get a 503. Default: 10,000.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// Caps the body of a request, in bytes. Default: 64 MiB.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.limits.max_body = bytes;
        self
    }

    /// Starts it. It answers as soon as this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the port is taken, when it would listen beyond this machine without clients that have
    /// keys, and those of [`ClientBuilder::build`], except for a missing key: callers bring theirs.
    pub fn start(self) -> Result<Gateway> {
        let Self {
            upstream,
            listen,
            limits,
            clients,
        } = self;
        if !listen.ip().is_loopback() && clients.is_empty() {
            return Err(Error::config(
                "listen",
                format!(
                    "listening on {listen} would let other machines spend the key: listen on 127.0.0.1, or \
                 give the clients keys"
                ),
            ));
        }
        let clients = Clients::new(clients)?;
        let upstream = Upstream::new(upstream)?;
        if clients.are_named() && upstream.client_for(&[])?.is_none() {
            let message =
                "clients have keys of the gateway's own, so the gateway needs the provider's key";
            return Err(Error::config("api key", message));
        }
        let failed = |error: &io::Error| {
            Error::config("listen", format!("cannot listen on {listen}: {error}"))
        };
        let listener = TcpListener::bind(listen).map_err(|error| failed(&error))?;
        let proxy = Proxy::new(upstream, clients, listen.ip().is_loopback())
            .map_err(|error| failed(&error))?;
        let proxy = Arc::new(proxy);
        let server = Server::start(listener, limits, proxy.clone());
        Ok(Gateway {
            server: server.map_err(|error| failed(&error))?,
            proxy,
            stopped: Mutex::new(false),
            changed: Condvar::new(),
        })
    }
}

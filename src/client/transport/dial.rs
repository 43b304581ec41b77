//! Connecting, with a note at each failure which step it was.
//!
//! The wire reports a refused connection alike whether it was the server's or the proxy's, and a
//! time-out alike before and after a request has left. What fails in here has sent nothing.

use std::fmt;

use ureq::Error;
use ureq::unversioned::transport::{
    ChainedConnector, ConnectProxyConnector, ConnectionDetails, Connector, RustlsConnector,
    SocksConnector, TcpConnector, Transport,
};

use super::coarse_timeouts::Patient;
use crate::client::connections::Connections;

/// A step of connecting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Looking up this host.
    Resolve(String),
    /// Everything up to the end of the proxy's part.
    Proxy,
    Connect,
    Tls,
}

/// A failure before anything of the request was sent.
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) step: Step,
    pub(super) error: Error,
}

impl Unsent {
    /// As what the wire passes on untouched.
    pub(super) fn at(step: Step, error: Error) -> Error {
        Error::Other(Box::new(Self { step, error }))
    }

    /// The note at a failure, if it has one.
    pub(super) fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::Other(inner) => inner.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Unsent {}

/// Opens connections: through the proxy if there is one, else directly, then with TLS if the
/// address asks for it.
#[derive(Debug)]
pub(super) struct Dial {
    proxy: ChainedConnector<(), SocksConnector, ConnectProxyConnector>,
    tcp: TcpConnector,
    tls: RustlsConnector,
    connections: Connections,
    /// Whether connections go through a proxy.
    is_proxied: bool,
}

impl Dial {
    /// Counts what it opens in `connections`, through a proxy if it `is_proxied`.
    pub(super) fn new(connections: Connections, is_proxied: bool) -> Self {
        Self {
            proxy: Connector::<()>::chain(
                SocksConnector::default(),
                ConnectProxyConnector::default(),
            ),
            tcp: TcpConnector::default(),
            tls: RustlsConnector::default(),
            connections,
            is_proxied,
        }
    }
}

impl Connector<()> for Dial {
    type Out = Patient<Box<dyn Transport>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let at = |step: Step| move |error| Unsent::at(step, error);
        let proxied = self.proxy.connect(details, None).map_err(at(Step::Proxy))?;
        let connected = self.tcp.connect(details, proxied);
        let connected = connected.map_err(at(Step::Connect))?;
        let secured = self.tls.connect(details, connected);
        let secured = secured.map_err(at(Step::Tls))?;
        // The proxy's connector comes here once more, without a proxy, for its own connection. That one
        // has reached the proxy and not the server, which the proxy may yet refuse.
        let is_whole = details.config.proxy().is_some() == self.is_proxied;
        if secured.is_some() && is_whole {
            self.connections.opens();
        }
        Ok(secured.map(|wire| Patient(wire.boxed())))
    }
}

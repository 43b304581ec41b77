//! Why no response came.

use std::fmt;

/// The step at which an exchange failed that brought no whole response: it decides what to do.
///
/// ```
/// use paceline::{Error, TransportKind};
///
/// fn advise(error: &Error) -> &'static str {
///     match error {
///         Error::Transport { kind: TransportKind::Dns, .. } => "check the host name",
///         Error::Transport { kind: TransportKind::Certificate, .. } => "check the certificates",
///         Error::Transport { .. } => "check the network",
///         _ => "the network is fine",
///     }
/// }
/// # assert_eq!(advise(&Error::Closed), "the network is fine");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// The host name has no address, or the name server did not answer.
    Dns,
    /// No connection: refused, unreachable, or not established within the connect time-out.
    Connect,
    /// The proxy could not be reached, or refused to connect further.
    Proxy,
    /// The TLS certificate of the server is not trusted, expired, or for another host. Sending
    /// again does not help.
    Certificate,
    /// Any other failure of the TLS handshake.
    Tls,
    /// The response did not come within the time-out of an attempt.
    Timeout,
    /// The connection was closed or reset before the response was complete.
    Disconnected,
    /// This side is out of descriptors, ports, threads or memory.
    Resources,
    /// Anything else.
    Other,
}

impl TransportKind {
    /// True when the server was never reached: nothing that is sent to it now would arrive.
    #[must_use]
    pub fn is_unreachable(self) -> bool {
        matches!(
            self,
            Self::Dns | Self::Connect | Self::Proxy | Self::Certificate | Self::Tls
        )
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "host not found",
            Self::Connect => "cannot connect",
            Self::Proxy => "proxy error",
            Self::Certificate => "invalid certificate",
            Self::Tls => "TLS error",
            Self::Timeout => "timeout",
            Self::Disconnected => "connection lost",
            Self::Resources => "out of local resources",
            Self::Other => "no response",
        })
    }
}

//! What can go wrong while a request is sent, before it is put into words.

use std::io;
use std::time::Duration;

/// A failure of an attempt.
#[derive(Debug)]
pub(super) enum Problem {
    Io(io::Error),
    Timeout,
    /// Nothing more of a body came for this long.
    Silence(Duration),
    Cancelled,
    HostNotFound,
    /// The proxy refused to connect further, with this status.
    RefusedByProxy(Option<u16>),
    /// A SOCKS proxy refused to connect further.
    RefusedBySocks(String),
    /// The head of the response is not HTTP.
    NotHttp(String),
    /// The body of the response breaks the rules of its framing.
    BadBody(&'static str),
    /// The response is larger than this many bytes.
    TooLarge(u64),
    /// The request cannot be sent as it is.
    BadRequest(&'static str),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        // Without a number it is of `Socket`, whose time is up.
        if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
            return Self::Timeout;
        }
        Self::Io(error)
    }
}

/// A copy of an error, with its system error number or its message.
pub(super) fn copy(error: &io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match (error.raw_os_error(), inner) {
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, Some(tls)) => io::Error::new(error.kind(), rustls::Error::clone(tls)),
        (None, None) => io::Error::new(error.kind(), error.to_string()),
    }
}

/// A step of connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Looking up a host.
    Resolve,
    Connect,
    Tls,
    /// What is said to a proxy.
    Tunnel,
}

/// A failure while connecting: nothing of the request was sent.
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) step: Step,
    /// Whether it was the way to the proxy, or the proxy itself.
    pub(super) is_proxy: bool,
    /// The host of the step.
    pub(super) host: String,
    pub(super) problem: Problem,
}

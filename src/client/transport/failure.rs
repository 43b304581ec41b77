//! Why no response came: the step that failed, in words of the system and not of our libraries.

use std::io;
use std::time::Duration;

use super::bounds::Timeouts;
use super::problem::{Problem, Step, Unsent, copy};
use super::roots::Unreadable;
use super::url::without_query;
use crate::Error;
use crate::error::{TransportKind, human};

/// What is known of the way when something on it fails.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// The proxy as it may be shown.
    pub(super) proxy: Option<String>,
    pub(super) is_https: bool,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    /// The longest wait for more of a body.
    pub(super) read_timeout: Option<Duration>,
}

/// The longest time-out that is set: it is added to an instant, which has an end.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);

impl Way {
    /// The way with these time-outs in place of its own, each at most a year.
    pub(super) fn with(mut self, timeouts: Timeouts) -> Self {
        let bounded = |timeout: Duration| timeout.min(MAX_TIMEOUT);
        self.timeout = bounded(timeouts.attempt.unwrap_or(self.timeout));
        self.connect_timeout = bounded(timeouts.connect.unwrap_or(self.connect_timeout));
        self.read_timeout = timeouts.read.or(self.read_timeout).map(bounded);
        self
    }

    /// What helps where hosts are looked up here though a proxy could do it.
    fn lookup_hint(&self) -> &'static str {
        let proxy = self.proxy.as_deref().unwrap_or_default();
        match proxy.split_once("://") {
            Some(("socks5", _)) => "; with socks5h:// the proxy looks it up",
            Some(("socks4", _)) => "; with socks4a:// the proxy looks it up",
            _ => "",
        }
    }
}

/// The error that a failure is after the connection was there.
pub(super) fn failure(url: &str, problem: &Problem, way: &Way, is_deadline: bool) -> Error {
    if let Problem::Cancelled = problem {
        return Error::Cancelled;
    }
    let is_late = is_deadline && matches!(problem, Problem::Timeout);
    let (kind, message) = match is_late {
        true => (TransportKind::Timeout, "no complete response".to_owned()),
        false => exchanging(problem, way),
    };
    let error = Error::Transport {
        url: without_query(url),
        kind,
        message,
        unsent: matches!(problem, Problem::BadRequest(_)),
        source: source_of(problem),
    };
    late_if(is_late, error)
}

/// What lies below a failure.
fn source_of(problem: &Problem) -> Option<io::Error> {
    match problem {
        Problem::Io(error) => Some(copy(error)),
        _ => None,
    }
}

/// The error of an attempt that its deadline has ended.
pub(super) fn late_if(is_late: bool, error: Error) -> Error {
    match is_late {
        true => Error::DeadlineExceeded {
            wait: Duration::ZERO,
            last: Some(Box::new(error)),
        },
        false => error,
    }
}

/// The error that a failure is while connecting.
pub(super) fn unsent(url: &str, failed: &Unsent, way: &Way, is_deadline: bool) -> Error {
    if let Problem::Cancelled = failed.problem {
        return Error::Cancelled;
    }
    let is_late = is_deadline && matches!(failed.problem, Problem::Timeout);
    let (kind, mut message) = match is_late {
        true => (TransportKind::Timeout, "no connection".to_owned()),
        false => connecting(failed, way),
    };
    if failed.step == Step::Resolve && !failed.is_proxy {
        message.push_str(way.lookup_hint());
    }
    let error = Error::Transport {
        url: without_query(url),
        kind,
        message,
        unsent: true,
        source: source_of(&failed.problem),
    };
    late_if(is_late, error)
}

/// The error that certificates are which cannot be read.
pub(super) fn no_roots(url: &str, unreadable: Unreadable) -> Error {
    let exhausted = unreadable.source.as_ref().is_some_and(is_exhausted);
    Error::Transport {
        url: without_query(url),
        kind: match exhausted {
            true => TransportKind::Resources,
            false => TransportKind::Certificate,
        },
        message: unreadable.message,
        unsent: true,
        source: unreadable.source,
    }
}

/// The kind of a failure, and what to say of it.
type Said = (TransportKind, String);

/// A failure before the connection was there.
fn connecting(failed: &Unsent, way: &Way) -> Said {
    let (kind, message) = at_step(failed, way);
    match (failed.is_proxy, kind) {
        (true, TransportKind::Resources) | (false, _) => (kind, message),
        (true, _) => {
            let proxy = way.proxy.as_deref().unwrap_or_default();
            (TransportKind::Proxy, format!("proxy {proxy}: {message}"))
        }
    }
}

fn at_step(failed: &Unsent, way: &Way) -> Said {
    match (failed.step, &failed.problem) {
        (_, Problem::Io(error)) if is_exhausted(error) => (TransportKind::Resources, words(error)),
        (Step::Resolve, problem) => {
            let message = unresolved(&failed.host, problem, way);
            (TransportKind::Dns, message)
        }
        (Step::Connect, Problem::Timeout) => (TransportKind::Connect, late("connection", way)),
        (Step::Connect, Problem::Io(error)) => (TransportKind::Connect, words(error)),
        (Step::Tls, problem) => securing(problem, way),
        (Step::Tunnel, Problem::RefusedByProxy(status)) => {
            (TransportKind::Proxy, refused_by_proxy(*status))
        }
        (Step::Tunnel, Problem::Timeout) => (TransportKind::Proxy, late("answer", way)),
        (_, problem) => exchanging(problem, way),
    }
}

fn unresolved(host: &str, problem: &Problem, way: &Way) -> String {
    match problem {
        Problem::Io(error) => format!("cannot resolve host {host}: {}", words(error)),
        Problem::Timeout => {
            let late = late("answer of the name server", way);
            format!("cannot resolve host {host}: {late}")
        }
        _ => format!("cannot resolve host {host}"),
    }
}

/// A failure of the TLS handshake.
fn securing(problem: &Problem, way: &Way) -> Said {
    let inner = match problem {
        Problem::Timeout => return (TransportKind::Connect, late("TLS handshake", way)),
        Problem::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => inner,
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                let message = "connection closed during the TLS handshake; is it http://?";
                return (TransportKind::Tls, message.to_owned());
            }
            None => {
                let message = format!("{} during the TLS handshake", words(error));
                return (TransportKind::Tls, message);
            }
        },
        problem => return (TransportKind::Tls, exchanging(problem, way).1),
    };
    match inner {
        rustls::Error::InvalidCertificate(reason) => {
            (TransportKind::Certificate, certificate(reason))
        }
        rustls::Error::InvalidMessage(_) => {
            let message = "the server does not speak TLS; is it http://?";
            (TransportKind::Tls, message.to_owned())
        }
        other => (TransportKind::Tls, format!("TLS: {other}")),
    }
}

/// What is wrong with a certificate, and what helps.
fn certificate(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Bad;
    match reason {
        Bad::UnknownIssuer => "certificate of an unknown authority; if you trust it, name its \
                               certificate in SSL_CERT_FILE"
            .to_owned(),
        Bad::Expired | Bad::ExpiredContext { .. } => "certificate expired".to_owned(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "certificate not valid yet; is the clock of this machine right?".to_owned()
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "certificate of another host".to_owned()
        }
        other => format!("invalid certificate: {other}"),
    }
}

/// What a proxy said in place of connecting further.
fn refused_by_proxy(status: Option<u16>) -> String {
    match status {
        Some(407) => {
            "it answers 407: it wants a user name and a password, or refuses those in its URL"
                .to_owned()
        }
        Some(status) => format!("it answers {status}, and does not connect further"),
        None => "it closes the connection and does not answer".to_owned(),
    }
}

/// A failure after the connection was there.
fn exchanging(problem: &Problem, way: &Way) -> Said {
    match problem {
        Problem::Timeout => {
            let message = format!("timeout: no whole response within {}", human(way.timeout));
            (TransportKind::Timeout, message)
        }
        Problem::Silence(limit) => {
            let message = format!("timeout: no more of the response within {}", human(*limit));
            (TransportKind::Timeout, message)
        }
        Problem::Io(error) if is_exhausted(error) => (TransportKind::Resources, words(error)),
        Problem::Io(error) => (kind_of_io(error), words(error)),
        Problem::BadBody(said) => {
            let message = format!("broken in the middle of the response: {said}");
            (TransportKind::Disconnected, message)
        }
        Problem::NotHttp(said) => {
            let hint = match way.is_https {
                true => "",
                false => "; is it https://?",
            };
            let message = format!("the response is not HTTP ({said}){hint}");
            (TransportKind::Other, message)
        }
        Problem::TooLarge(limit) => {
            let message = format!("the response is larger than {} MiB", limit >> 20);
            (TransportKind::Other, message)
        }
        Problem::RefusedBySocks(said) => (TransportKind::Proxy, said.clone()),
        Problem::RefusedByProxy(status) => (TransportKind::Proxy, refused_by_proxy(*status)),
        Problem::BadRequest(said) => (TransportKind::Other, (*said).to_owned()),
        Problem::HostNotFound => (TransportKind::Dns, "host not found".to_owned()),
        Problem::Cancelled => (TransportKind::Other, "cancelled".to_owned()),
    }
}

fn kind_of_io(error: &io::Error) -> TransportKind {
    use io::ErrorKind as Io;
    // TLS errors travel inside those of the system.
    let inner = error.get_ref();
    if inner
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some()
    {
        return TransportKind::Tls;
    }
    match error.kind() {
        Io::TimedOut | Io::WouldBlock => TransportKind::Timeout,
        Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::BrokenPipe
        | Io::NotConnected
        | Io::UnexpectedEof
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::NetworkDown => TransportKind::Disconnected,
        _ => TransportKind::Other,
    }
}

/// No connection, handshake or answer in the time for connecting.
fn late(what: &str, way: &Way) -> String {
    let time = way.connect_timeout.min(way.timeout);
    format!("timeout: no {what} within {}", human(time))
}

/// What the system says, without its number.
fn words(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "connection closed before the response was complete".to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    // The standard library's words for the lookup, before those of the system.
    let text = text.rsplit("failed to lookup address information: ").next();
    let mut letters = text.unwrap_or_default().chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "unknown error".to_owned(),
    }
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM, and no port that is free: the fault is on this side.
fn is_exhausted(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, OutOfMemory};
    matches!(error.kind(), AddrNotAvailable | OutOfMemory) || is_out_of_descriptors(error)
}

#[cfg(unix)]
fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| exhausted.contains(&errno))
}

#[cfg(not(unix))]
fn is_out_of_descriptors(_: &io::Error) -> bool {
    false
}

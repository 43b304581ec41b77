//! The wire: one agent, its pool and its timeouts. With its parts, the only file that names ureq.

mod addresses; // of hosts, kept for a while
mod patience; //  timeouts that the system is told seldom

use std::io::{self, Read};
use std::net::IpAddr;
use std::time::Duration;

use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Body, Timeout};

use addresses::Addresses;
use patience::Patience;

use super::config::{Secret, Settings};
use crate::limiter::Clock;
use crate::{Error, TransportKind};

/// The largest answer that is read: far above any the API gives, and below what would exhaust a
/// machine with many in flight.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;
/// The most memory that is taken for an answer because its head says that it is that long.
const MOST_AT_ONCE: u64 = 1024 * 1024;
/// The longest timeout that is set: the wire adds it to an instant, which has an end.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Sends requests over pooled connections. Clones share the pool.
#[derive(Clone)]
pub(super) struct Transport {
    agent: Agent,
    base_url: String,
    headers: HeaderMap,
}

/// An answer whose head has arrived.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    /// With its query, in which there can be a key.
    sent_to: String,
    body: Body,
}

/// Headers by lower-case name.
pub(super) struct Headers(HeaderMap);

impl Headers {
    /// Those that are text, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
    }
}

impl Transport {
    pub(super) fn new(base_url: String, headers: &[(String, Secret)], settings: &Settings) -> Self {
        let mut config = Agent::config_builder()
            // As an error it would come without headers and body, and `retry-after` with them.
            .http_status_as_error(false)
            .timeout_connect(Some(settings.connect_timeout.min(MAX_TIMEOUT)))
            .timeout_global(Some(settings.timeout.min(MAX_TIMEOUT)))
            .max_idle_connections(settings.max_in_flight)
            .max_idle_connections_per_host(settings.max_in_flight)
            .max_idle_age(Duration::from_secs(30))
            // A redirected POST would go out again without passing the limiter.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("paceline/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base_url) {
            // No proxy elsewhere can reach it, and the simulator lives there.
            config = config.proxy(None);
        }
        let config = config.build();
        let addresses = Addresses::new(DefaultResolver::default(), Clock::real());
        let stated = headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?; // checked by `is_header`
            let mut value = HeaderValue::try_from(value.0.as_str()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let mut headers: HeaderMap = stated.collect();
        let json = || HeaderValue::from_static("application/json");
        headers.entry(CONTENT_TYPE).or_insert_with(json);
        Self {
            agent: Agent::with_parts(
                config,
                DefaultConnector::default().chain(Patience),
                addresses,
            ),
            base_url,
            headers,
        }
    }

    /// Where a request for `path` goes: the base URL and the path, whose `/v1` may stand in both.
    pub(super) fn url(&self, path: &str) -> String {
        let path = path.trim_start_matches('/');
        let version = self.base_url.rsplit('/').next().unwrap_or_default();
        let path = match path.strip_prefix(version) {
            Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
            _ => path,
        };
        format!("{}/{path}", self.base_url)
    }

    /// Whether a path makes a URL. Most are of letters, which always do.
    pub(super) fn takes(&self, path: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        path.bytes().all(is_plain) || is_url(&self.url(path))
    }

    /// A body without what the headers keep secret: some servers quote the key that they refuse.
    pub(super) fn without_secrets(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body).into_owned();
        let secrets = self
            .headers
            .values()
            .filter_map(|value| value.to_str().ok());
        let secrets = secrets.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        // A shorter one is no key, and would be found in ordinary words.
        let secrets = secrets.filter(|secret| secret.len() >= 8);
        secrets.fold(text, |text, secret| text.replace(secret, "[secret]"))
    }

    /// Sends a JSON body and returns when the head of the answer is there.
    pub(super) fn post(&self, path: &str, body: &[u8]) -> Result<Answer, Error> {
        let url = self.url(path);
        let mut request = self.agent.post(&url);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&self.headers);
        }
        match request.send(body) {
            Ok(response) => {
                let (head, body) = response.into_parts();
                Ok(Answer {
                    status: head.status.as_u16(),
                    headers: Headers(head.headers),
                    sent_to: url,
                    body,
                })
            }
            Err(error) => Err(failure(&url, &error, never_left(&error))),
        }
    }
}

impl Answer {
    pub(super) fn is_error(&self) -> bool {
        // A redirect is none of the API's answers either.
        !StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// Reads the whole body.
    pub(super) fn read(&mut self) -> Result<Vec<u8>, Error> {
        let length = self.body.content_length().unwrap_or(0).min(MOST_AT_ONCE);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let mut body = self.body.with_config().limit(MAX_ANSWER).reader();
        match body.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(failure(&self.sent_to, &error.into(), false)),
        }
    }

    /// Where it came from, for errors.
    pub(super) fn url(&self) -> String {
        without_query(&self.sent_to)
    }

    /// The body as it arrives.
    pub(super) fn into_reader(self) -> impl Read + Send + 'static {
        self.body.into_with_config().limit(MAX_ANSWER).reader()
    }
}

fn failure(url: &str, error: &ureq::Error, unsent: bool) -> Error {
    Error::Transport {
        url: without_query(url),
        kind: kind(error),
        message: error.to_string(),
        unsent,
    }
}

/// The step at which the exchange failed.
fn kind(error: &ureq::Error) -> TransportKind {
    match error {
        ureq::Error::HostNotFound => TransportKind::Dns,
        ureq::Error::ConnectionFailed => TransportKind::Connect,
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => TransportKind::Proxy,
        ureq::Error::Rustls(rustls::Error::InvalidCertificate(_)) => TransportKind::Certificate,
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => TransportKind::Tls,
        ureq::Error::Timeout(Timeout::Resolve) => TransportKind::Dns,
        ureq::Error::Timeout(Timeout::Connect) => TransportKind::Connect,
        ureq::Error::Timeout(_) => TransportKind::Timeout,
        ureq::Error::Io(error) => kind_of_io(error),
        _ => TransportKind::Other,
    }
}

fn kind_of_io(error: &io::Error) -> TransportKind {
    use io::ErrorKind as Io;
    // TLS errors travel inside those of the system.
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => return TransportKind::Certificate,
        Some(_) => return TransportKind::Tls,
        None => {}
    }
    match error.kind() {
        Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown => {
            TransportKind::Connect
        }
        Io::AddrNotAvailable | Io::OutOfMemory => TransportKind::Resources,
        Io::TimedOut | Io::WouldBlock => TransportKind::Timeout,
        Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::BrokenPipe
        | Io::NotConnected
        | Io::UnexpectedEof => TransportKind::Disconnected,
        _ if is_out_of_descriptors(error) => TransportKind::Resources,
        _ => TransportKind::Other,
    }
}

/// EMFILE, ENFILE, ENOBUFS and ENOMEM, which the standard library has no names for.
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

/// Whether an error before the answer's head is one of connecting, so that nothing was sent.
fn never_left(error: &ureq::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let never_connected = [
        AddrNotAvailable,
        ConnectionRefused,
        HostUnreachable,
        NetworkUnreachable,
    ];
    match error {
        ureq::Error::Io(error) => never_connected.contains(&error.kind()),
        ureq::Error::Timeout(timeout) => matches!(timeout, Timeout::Resolve | Timeout::Connect),
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::BadUri(_)
        | ureq::Error::Http(_) => true,
        _ => false,
    }
}

/// What may be printed of an address. A query can hold a key, as some gateways have it.
pub(super) fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Whether HTTP can carry this header.
pub(super) fn is_header(name: &str, value: &str) -> bool {
    HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

/// Whether this is a whole URL, without a user name or password in it.
pub(super) fn is_url(url: &str) -> bool {
    Uri::try_from(url).is_ok_and(|uri| {
        uri.authority()
            .is_some_and(|host| !host.as_str().contains('@') && !host.host().is_empty())
    })
}

fn is_loopback(url: &str) -> bool {
    let uri = Uri::try_from(url).ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::RateLimitedClient;

    #[test]
    fn paths_join_the_base_url_and_a_version_stands_once() {
        let table = [
            (
                "http://h/v1",
                "/v1/chat/completions",
                "http://h/v1/chat/completions",
            ),
            (
                "http://h/v1",
                "chat/completions",
                "http://h/v1/chat/completions",
            ),
            ("http://h/v1/", "/embeddings", "http://h/v1/embeddings"),
            ("http://h", "/v1/embeddings", "http://h/v1/embeddings"),
            (
                "http://h/openai",
                "/v1/embeddings",
                "http://h/openai/v1/embeddings",
            ),
            ("http://h/v1", "/v12/x", "http://h/v1/v12/x"),
        ];
        for (step, (base, path, url)) in table.into_iter().enumerate() {
            let client = RateLimitedClient::builder()
                .api_key("k")
                .base_url(base)
                .build()
                .unwrap();
            assert_eq!(client.transport().url(path), url, "step {step}");
        }
    }

    #[test]
    fn what_is_printed_of_a_url_has_no_query() {
        assert_eq!(
            without_query("http://h/v1/x?api-key=s3cret#f"),
            "http://h/v1/x"
        );
    }

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        let table = [
            ("http://127.0.0.1:8080/v1", true),
            ("http://127.9.9.9", true),
            ("https://[::1]:8080/v1", true),
            ("http://LocalHost/v1", true),
            ("https://api.openai.com/v1", false),
            ("http://192.168.0.1/v1", false),
            ("http://localhost.example/v1", false),
            ("http://127.0.0.1.example/v1", false),
            ("", false),
        ];
        for (step, (url, expected)) in table.into_iter().enumerate() {
            assert_eq!(is_loopback(url), expected, "step {step}: {url}");
        }
    }
}

//! The wire: one agent, its pool and its timeouts. With its parts, the only file that names ureq.

mod addresses; // of hosts, kept for a while
mod dial; //      connecting, and which step of it failed
mod failure; //   why no response came, in words
mod lookup; //    of a host, by the system
mod patience; //  timeouts that the system is told seldom
mod url; //       base URLs, and where a path leads from them

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ureq::{Agent, Body};

pub(super) use url::{BaseUrl, without_query};

use addresses::Addresses;
use dial::Dial;
use failure::{Way, describe};
use lookup::Lookup;
use url::is_url;

use super::config::{Secret, Settings};
use crate::Error;
use crate::limiter::Clock;

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
    base_url: BaseUrl,
    headers: HeaderMap,
    way: Arc<Way>,
}

/// An answer whose head has arrived.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    /// With its query, in which there can be a key.
    sent_to: String,
    body: Body,
    way: Arc<Way>,
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
    pub(super) fn new(
        base_url: BaseUrl,
        headers: &[(String, Secret)],
        settings: &Settings,
    ) -> Self {
        let connect_timeout = settings.connect_timeout.min(MAX_TIMEOUT);
        let timeout = settings.timeout.min(MAX_TIMEOUT);
        let mut config = Agent::config_builder()
            // As an error it would come without headers and body, and `retry-after` with them.
            .http_status_as_error(false)
            .timeout_resolve(Some(connect_timeout))
            .timeout_connect(Some(connect_timeout))
            .timeout_global(Some(timeout))
            .max_idle_connections(settings.max_in_flight)
            .max_idle_connections_per_host(settings.max_in_flight)
            .max_idle_age(Duration::from_secs(30))
            // A redirected POST would go out again without passing the limiter, and the key with
            // it to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("paceline/", env!("CARGO_PKG_VERSION")));
        if base_url.is_loopback() {
            // No proxy elsewhere can reach it, and the simulator lives there.
            config = config.proxy(None);
        }
        let config = config.build();
        let addresses = Addresses::new(Lookup, Clock::real());
        let way = Way {
            proxy: None,
            is_https: base_url.is_https(),
            timeout,
            connect_timeout,
        };
        Self {
            agent: Agent::with_parts(config, Dial::default(), addresses),
            headers: sent_always(headers),
            base_url,
            way: Arc::new(way),
        }
    }

    /// Where a request for `path` goes.
    fn url(&self, path: &str) -> String {
        self.base_url.join(path)
    }

    /// Whether a path makes a URL. Most are of letters, which always do.
    pub(super) fn takes(&self, path: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        path.bytes().all(is_plain) || is_url(&self.url(path))
    }

    /// A body without the keys of headers and of the base URL: some servers quote what they refuse.
    pub(super) fn without_secrets(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body).into_owned();
        let headers = self
            .headers
            .iter()
            .filter(|(_, value)| value.is_sensitive());
        let headers = headers.filter_map(|(_, value)| value.to_str().ok());
        let headers = headers.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        let secrets = headers.chain(self.base_url.secrets());
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
                    way: Arc::clone(&self.way),
                })
            }
            Err(error) => Err(failure(&url, &error, &self.way)),
        }
    }
}

impl Answer {
    pub(super) fn is_error(&self) -> bool {
        // A redirect is none of the API's answers either.
        !StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// Reads the whole body, or as much of it as arrives, behind what `bytes` holds.
    pub(super) fn read(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let length = self.body.content_length().unwrap_or(0).min(MOST_AT_ONCE);
        bytes.reserve_exact(usize::try_from(length).unwrap_or(0));
        let mut body = self.body.with_config().limit(MAX_ANSWER).reader();
        match body.read_to_end(bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(failure(&self.sent_to, &error.into(), &self.way)),
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

/// The headers of every request.
fn sent_always(headers: &[(String, Secret)]) -> HeaderMap {
    let stated = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name.as_str()).ok()?; // checked by `is_header`
        let mut value = HeaderValue::try_from(value.0.as_str()).ok()?;
        value.set_sensitive(!is_public(name.as_str()));
        Some((name, value))
    });
    let mut headers: HeaderMap = stated.collect();
    let json = || HeaderValue::from_static("application/json");
    headers.entry(CONTENT_TYPE).or_insert_with(json);
    let plain = || HeaderValue::from_static("identity");
    headers.entry(ACCEPT_ENCODING).or_insert_with(plain);
    headers
}

/// Whether a header's value is quoted to help, and never a key.
fn is_public(name: &str) -> bool {
    name.starts_with("accept") || name.starts_with("content-") || name.ends_with("-version")
}

fn failure(url: &str, error: &ureq::Error, way: &Way) -> Error {
    let (kind, message, unsent) = describe(error, way);
    Error::Transport {
        url: without_query(url),
        kind,
        message,
        unsent,
    }
}

/// Whether HTTP can carry this header.
pub(super) fn is_header(name: &str, value: &str) -> bool {
    HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

//! The wire: one agent, its pool and its timeouts. With its parts, the only file that names ureq.

mod addresses; // of hosts, kept for a while
mod answer; //    what came back
mod coarse_timeouts; //  timeouts that the system is told seldom
mod dial; //      connecting, and which step of it failed
mod failure; //   why no response came, in words
mod lookup; //    of a host, by the system
mod no_proxy; //  which hosts are reached directly, pure
mod proxy; //     which one the environment names, pure
mod redirect; //  what to do about one, pure
mod roots; //     the authorities that are trusted
mod unpack; //    answers that are compressed
mod url; //       base URLs, and where a path leads from them

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};
use ureq::tls::{RootCerts, TlsConfig};

pub(super) use answer::{Answer, Headers};
pub(super) use url::{BaseUrl, without_query};

use addresses::Addresses;
use dial::Dial;
use failure::{Way, failure, no_roots};
use lookup::Lookup;
use proxy::proxy_for;
use url::is_url;

use super::authorization::{Secret, is_credential};
use super::config::Settings;
use super::connections::Connections;
use crate::limiter::Clock;
use crate::{Error, Result};

/// The longest timeout that is set: the wire adds it to an instant, which has an end.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Bytes of a connection's buffers, which it keeps while it waits: with ureq's own 128 kB each, 10,000
/// requests in flight take 2.6 GB. The head of a response has to fit into the first one; the largest
/// that common servers and proxies send is 16 kB (nginx and Node.js allow 8 and 16 kB). A body passes
/// through in as many pieces as it takes.
const INPUT_BUFFER: usize = 16 * 1024;
const OUTPUT_BUFFER: usize = 8 * 1024;

/// Sends requests over pooled connections.
pub(super) struct Transport {
    /// Set up for the first request: who sends none reads no certificates.
    agent: OnceLock<Agent>,
    base_url: BaseUrl,
    headers: HeaderMap,
    proxy: Option<ureq::Proxy>,
    proxy_password: Option<String>,
    /// Whether TLS is spoken to the server or to the proxy.
    is_secure: bool,
    way: Arc<Way>,
    connections: usize,
    opened: Connections,
}

impl Transport {
    pub(super) fn new(
        base_url: BaseUrl,
        headers: &[(String, Secret)],
        settings: &Settings,
    ) -> Result<Self> {
        let proxy = proxy_for(&base_url, |name| std::env::var(name).ok());
        let proxy = proxy.map_err(Error::Config)?;
        let wire = proxy.as_ref().map(proxy::Proxy::build).transpose();
        let proxy_password = proxy.as_ref().and_then(proxy::Proxy::password);
        let is_secure = base_url.is_https() || proxy.as_ref().is_some_and(proxy::Proxy::is_https);
        // What somebody has named is looked at before anything is done with it.
        if is_secure && roots::are_named() {
            roots::trusted().map_err(|unreadable| Error::Config(unreadable.message))?;
        }
        let way = Way {
            proxy: proxy.map(|proxy| proxy.to_string()),
            is_https: base_url.is_https(),
            timeout: settings.timeout.min(MAX_TIMEOUT),
            connect_timeout: settings.connect_timeout.min(MAX_TIMEOUT),
        };
        Ok(Self {
            agent: OnceLock::new(),
            headers: sent_always(headers),
            base_url,
            proxy: wire.map_err(Error::Config)?,
            proxy_password,
            is_secure,
            way: Arc::new(way),
            connections: settings.max_idle_connections,
            opened: Connections::default(),
        })
    }

    /// The agent, which the first request sets up.
    fn agent(&self, url: &str) -> Result<&Agent> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let roots = match self.is_secure {
            true => roots::trusted().map_err(|unreadable| no_roots(url, unreadable))?,
            false => RootCerts::WebPki, // nobody asks
        };
        Ok(self.agent.get_or_init(|| self.set_up(roots)))
    }

    fn set_up(&self, roots: RootCerts) -> Agent {
        let config = Agent::config_builder()
            // As an error it would come without headers and body, and `retry-after` with them.
            .http_status_as_error(false)
            .timeout_resolve(Some(self.way.connect_timeout))
            .timeout_connect(Some(self.way.connect_timeout))
            .timeout_global(Some(self.way.timeout))
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .max_idle_connections(self.connections)
            .max_idle_connections_per_host(self.connections)
            .max_idle_age(Duration::from_secs(30))
            // A redirected POST would go out again without passing the limiter, and the key with
            // it to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(self.proxy.clone())
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent(concat!("paceline/", env!("CARGO_PKG_VERSION")))
            .build();
        let addresses = Addresses::new(Lookup, Clock::real());
        Agent::with_parts(
            config,
            Dial::new(self.opened.clone(), self.proxy.is_some()),
            addresses,
        )
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.opened
    }

    /// The base URL as it may be shown.
    pub(super) fn shown_base_url(&self) -> String {
        self.base_url.shown()
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

    /// Credentials besides those in headers: in the base URL's query, and of the proxy.
    pub(super) fn secrets(&self) -> Vec<String> {
        let of_url = self.base_url.secrets().map(str::to_owned);
        of_url.chain(self.proxy_password.clone()).collect()
    }

    /// Sends a JSON body and returns when the head of the answer is there.
    pub(super) fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let url = self.url(path);
        let mut request = self.agent(&url)?.post(&url);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&self.headers);
        }
        match request.send(body) {
            Ok(response) => Ok(Answer::new(response, url, &self.way)),
            Err(error) => Err(failure(&url, &error, &self.way)),
        }
    }

    /// What to say of an answer that is a redirect, in place of its body.
    pub(super) fn redirect(&self, answer: &Answer) -> Option<String> {
        answer.redirect(&self.base_url)
    }
}

/// The headers of every request.
fn sent_always(headers: &[(String, Secret)]) -> HeaderMap {
    let stated = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name.as_str()).ok()?; // checked by `is_header`
        let mut value = HeaderValue::try_from(value.0.as_str()).ok()?;
        value.set_sensitive(is_credential(name.as_str()));
        Some((name, value))
    });
    let mut headers: HeaderMap = stated.collect();
    let json = || HeaderValue::from_static("application/json");
    headers.entry(CONTENT_TYPE).or_insert_with(json);
    let plain = || HeaderValue::from_static("identity");
    headers.entry(ACCEPT_ENCODING).or_insert_with(plain);
    headers
}

/// Whether HTTP can carry this header.
pub(super) fn is_header(name: &str, value: &str) -> bool {
    HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

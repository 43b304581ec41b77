//! The transport: requests and responses over connections that are kept. HTTP/1.1 (RFC 9112), blocking.

mod addresses; //  of hosts, kept for a while
#[cfg(feature = "ureq")]
mod agent; //      one of ureq in its place
mod answer; //     what came back
mod body; //       where its bytes are, pure
mod bounds; //     when an attempt has to end
mod connection; // one request after another
mod dial; //       opening one, step by step
mod failure; //    why no response came, in words
mod handover; //   a result of another thread
mod head; //       what the head of a response says, pure
mod incoming; //   a body as it arrives
mod interrupt; //  closing a connection from another thread
mod lookup; //     of a host, by the system
mod no_proxy; //   which hosts are reached directly, pure
mod pool; //       connections that wait for a request
mod problem; //    what can go wrong
mod proxy; //      which one the environment names, pure
mod ready; //      what a socket does without waiting
mod redirect; //   what to do about one, pure
mod replaced; //   a transport of the caller's in its place
mod request; //    the head of a request, pure
mod roots; //      the authorities that are trusted
mod socket; //     reads and writes that end at an instant
mod socks; //      what is said to a SOCKS proxy
mod stream; //     plain, or over TLS
mod tcp; //        connecting, until it is cancelled
mod tls; //        its settings and its handshake
mod unpack; //     answers that are compressed
mod url; //        base URLs, and where a path leads from them

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) use answer::{Answer, Headers};
pub(super) use bounds::{Bounds, Timeouts};
pub(super) use replaced::Replaced;
pub use replaced::{HttpRequest, HttpResponse, HttpTransport};
pub(super) use request::Outgoing;
pub(super) use url::{BaseUrl, without_query};

use addresses::Addresses;
use answer::Arrived;
use bounds::Limits;
use connection::{Connection, Unsendable};
use dial::{Dialer, Terms};
use failure::{Way, failure, late_if, no_roots, unsent};
use head::Framing;
use incoming::Incoming;
use interrupt::Interrupt;
use pool::Pool;
use problem::Problem;
use proxy::proxy_for;
use tls::Tls;
use url::is_url;

#[cfg(feature = "gateway")]
use super::authorization::is_carrier;
use super::authorization::{Secret, is_credential_header};
use super::config::{ProxyChoice, Settings};
use super::connections::Connections;
use crate::{ConfigError, Error, Result, TransportKind};

/// Sends requests over pooled connections.
pub(super) struct Transport {
    base_url: BaseUrl,
    headers: HeaderMap,
    /// The headers as they are sent, with the host.
    constant: Vec<u8>,
    dialer: Dialer,
    tls: Tls,
    way: Arc<Way>,
    pool: Arc<Pool>,
    opened: Connections,
    /// Sends in its place.
    replaced: Option<Replaced>,
}

impl Transport {
    pub(super) fn new(
        base_url: BaseUrl,
        headers: &[(String, Secret)],
        settings: &Settings,
    ) -> Result<Self> {
        let proxy = match &settings.proxy {
            ProxyChoice::Environment => proxy_for(&base_url, |name| std::env::var(name).ok()),
            ProxyChoice::Direct => Ok(None),
            ProxyChoice::Named(url) => proxy::named(&url.0).map(Some),
        };
        let proxy = proxy.map_err(|it| ConfigError::new("proxy", it))?;
        let roots = settings.root_certificates.as_deref().map(roots::of_pem);
        let roots = roots.transpose();
        let roots = roots
            .map_err(|it| ConfigError::new("root certificates", it))?
            .map(Arc::new);
        let way = Way {
            proxy: proxy.as_ref().map(ToString::to_string),
            is_https: base_url.is_https(),
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            read_timeout: settings.read_timeout,
        };
        let way = way.with(Timeouts::default());
        let dialer = Dialer {
            host: base_url.host_in_url().to_owned(),
            port: base_url.port(),
            is_https: base_url.is_https(),
            proxy,
            addresses: Addresses::new(),
        };
        // Certificates that the user named are checked before the first request.
        if dialer.is_secure() && roots.is_none() && roots::are_named() {
            roots::trusted().map_err(|it| ConfigError::new("root certificates", it.message))?;
        }
        let headers = sent_always(headers);
        Ok(Self {
            constant: request::constant(base_url.authority(), &headers),
            headers,
            base_url,
            dialer,
            tls: Tls::new(roots),
            way: Arc::new(way),
            pool: Arc::new(Pool::new(settings.max_idle_connections)),
            opened: Connections::default(),
            replaced: settings.transport.clone(),
        })
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.opened
    }

    /// Whether a key goes with every request.
    #[cfg(feature = "gateway")]
    pub(super) fn has_key(&self) -> bool {
        let mut names = self.headers.keys().map(HeaderName::as_str);
        names.any(is_carrier)
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
        let of_url = self.base_url.secrets();
        let of_proxy = self
            .dialer
            .proxy
            .iter()
            .filter_map(|proxy| proxy.password());
        of_url.chain(of_proxy).map(str::to_owned).collect()
    }

    /// Sends a request and returns when the head of the answer is there. Reading the answer ends at
    /// the same bounds.
    pub(super) fn send(&self, outgoing: &Outgoing<'_>) -> Result<Answer> {
        let Outgoing {
            method,
            path,
            body,
            bounds,
            ..
        } = *outgoing;
        let url = self.url(path);
        let way = match bounds.timeouts == Timeouts::default() {
            true => Arc::clone(&self.way),
            false => Arc::new((*self.way).clone().with(bounds.timeouts)),
        };
        let limits = Limits::new(bounds, &way);
        if let Some(replaced) = &self.replaced {
            let headers = outgoing.headers(&self.headers);
            let sent = replaced.send(&HttpRequest::new(outgoing, &url, &headers, &limits));
            let sent = sent.map_err(|error| {
                let is_timeout = matches!(&error, Error::Transport { kind, .. }
                    if *kind == TransportKind::Timeout);
                late_if(is_timeout && limits.is_deadline, error)
            })?;
            let arrived = Arrived {
                status: sent.status,
                headers: sent.headers,
                framing: Framing::Close,
                body: Incoming::of(sent.body),
            };
            return Ok(Answer::new(arrived, url, &way, limits.is_deadline));
        }
        let interrupt = bounds.cancel.map(Interrupt::new);
        let interrupt = interrupt.as_ref();
        let failed = |problem: &Problem| {
            let is_cancelled = limits.is_cancelled();
            let problem = if is_cancelled {
                &Problem::Cancelled
            } else {
                problem
            };
            failure(&url, problem, &way, limits.is_deadline)
        };
        let own = outgoing.constant(self.base_url.authority(), &self.headers);
        let constant = own.as_ref().unwrap_or(&self.constant);
        let head = request::head(method, self.base_url.target(&url), constant, body.len());
        let head = head.map_err(|problem| failed(&problem))?;
        let mut pooled = self.pool.take();
        let (connection, head) = loop {
            let mut connection = match pooled.take() {
                Some(connection) => connection,
                None => self.connect(&url, &way, &limits, interrupt)?,
            };
            connection.set_end(limits.end);
            if let Some(interrupt) = interrupt {
                let attached = connection.attach_to(interrupt);
                attached.map_err(|problem| failed(&problem))?;
            }
            match connection.exchange(&head, body) {
                Ok(head) => break (connection, head),
                // The server has closed it while it waited, and has not got the whole request.
                Err(Unsendable::InPart(_)) if connection.is_reused && !limits.is_cancelled() => {}
                Err(Unsendable::InPart(problem) | Unsendable::Whole(problem)) => {
                    return Err(failed(&problem));
                }
            }
        };
        let pool = head.keeps_alive.then(|| Arc::clone(&self.pool));
        let interrupt = interrupt.cloned();
        let body = Incoming::new(connection, head.framing, pool, interrupt, &limits);
        let arrived = Arrived {
            status: head.status,
            headers: head.headers,
            framing: head.framing,
            body,
        };
        Ok(Answer::new(arrived, url, &way, limits.is_deadline))
    }

    /// Opens a connection.
    #[inline(never)]
    fn connect(
        &self,
        url: &str,
        way: &Way,
        limits: &Limits<'_>,
        interrupt: Option<&Arc<Interrupt>>,
    ) -> Result<Connection> {
        let tls = match self.dialer.is_secure() {
            true => {
                let settings = self.tls.settings();
                Some(settings.map_err(|unreadable| no_roots(url, unreadable))?)
            }
            false => None,
        };
        let terms = Terms {
            limits,
            interrupt,
            tls: tls.as_ref(),
        };
        let opened = self.dialer.open(terms);
        let is_deadline = limits.is_connect_deadline();
        let opened = opened.map_err(|failed| unsent(url, &failed, way, is_deadline))?;
        self.opened.opens();
        Ok(opened)
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
        value.set_sensitive(is_credential_header(name.as_str()));
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

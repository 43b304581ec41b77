//! A transport of the caller's in place of this one.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::bounds::Limits;
use super::request::Outgoing;
use crate::limiter::CancelToken;
use crate::{Error, Result};

/// Sends requests in place of the crate's own HTTP client: for tests without a network, or over another
/// client. Set by [`ClientBuilder::transport`](crate::ClientBuilder::transport).
///
/// Counting, limits, retries and the reading of responses stay the client's. Closures are transports:
///
/// ```
/// use paceline::{HttpResponse, RateLimitedClient};
/// use serde_json::json;
///
/// let client = RateLimitedClient::builder()
///     .api_key("any")
///     .transport(|request: &paceline::HttpRequest<'_>| {
///         assert!(request.url().ends_with("/v1/chat/completions"));
///         let answer = json!({"choices": [{"message": {"content": "Titan"}}]});
///         Ok(HttpResponse::json(200, &answer))
///     })
///     .build()?;
/// assert_eq!(client.chat("Name the largest moon of Saturn.")?.text(), "Titan");
/// # Ok::<(), paceline::Error>(())
/// ```
pub trait HttpTransport: Send + Sync {
    /// Sends a request and returns when the head of its response is there.
    ///
    /// # Errors
    ///
    /// [`Error::Transport`] where no response came, which may be [made](Error::transport). Its kind and
    /// whether it was sent decide what the client does.
    fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse>;
}

impl<F> HttpTransport for F
where
    F: Fn(&HttpRequest<'_>) -> Result<HttpResponse> + Send + Sync,
{
    fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse> {
        self(request)
    }
}

/// A request that a [transport](HttpTransport) is to send.
///
/// `Debug` prints the names of its headers alone: there is a key among the values.
///
/// ```
/// use paceline::{HttpRequest, HttpResponse, Result};
///
/// fn log(request: &HttpRequest<'_>) -> Result<HttpResponse> {
///     println!("{} {}: {} bytes", request.method(), request.url(), request.body().len());
///     Ok(HttpResponse::new(200, &b"{}"[..]))
/// }
/// # let _ = log;
/// ```
#[derive(Clone, Copy)]
pub struct HttpRequest<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) end: Instant,
    pub(super) connect_end: Instant,
    pub(super) cancel: Option<&'a CancelToken>,
}

impl<'a> HttpRequest<'a> {
    pub(super) fn new(
        outgoing: &Outgoing<'a>,
        url: &'a str,
        headers: &'a HeaderMap,
        limits: &Limits<'a>,
    ) -> Self {
        Self {
            method: outgoing.method,
            url,
            headers,
            body: outgoing.body,
            end: limits.end,
            connect_end: limits.connect_end,
            cancel: limits.cancel,
        }
    }

    /// The method, in capitals.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> &'a str {
        self.url
    }

    /// Names and values of its headers, without `host` and `content-length`.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let all = self.headers.iter();
        all.map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    /// The first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// When the attempt has to end: its time-out, or the deadline of the call.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.end
    }

    /// When the connection has to be there; not after the [deadline](Self::deadline).
    #[must_use]
    pub fn connect_deadline(&self) -> Instant {
        self.connect_end
    }

    /// The token that ends the attempt. An error after it was cancelled becomes [`Error::Cancelled`].
    #[must_use]
    pub fn cancel_token(&self) -> Option<&'a CancelToken> {
        self.cancel
    }
}

impl fmt::Debug for HttpRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &super::without_query(self.url))
            .field("headers", &names)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A response that a [transport](HttpTransport) has got.
///
/// ```
/// use paceline::HttpResponse;
///
/// let refused = HttpResponse::new(429, &b"{}"[..]).header("retry-after", "2");
/// # let _ = refused;
/// ```
#[must_use]
pub struct HttpResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Box<dyn Read + Send>,
}

impl HttpResponse {
    /// A response without headers, whose body is read as it arrives.
    pub fn new(status: u16, body: impl Read + Send + 'static) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Box::new(body),
        }
    }

    /// A response with a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let bytes = std::io::Cursor::new(body.to_string().into_bytes());
        Self::new(status, bytes).header("content-type", "application/json")
    }

    /// Adds a header. One that HTTP cannot carry is left out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).ok();
        if let Some((name, value)) = name.zip(HeaderValue::try_from(value).ok()) {
            self.headers.append(name, value);
        }
        self
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The transport of a client that has one of its own.
#[derive(Clone)]
pub(in crate::client) struct Replaced(Arc<dyn HttpTransport>);

impl Replaced {
    pub(in crate::client) fn new(transport: impl HttpTransport + 'static) -> Self {
        Self(Arc::new(transport))
    }

    pub(super) fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse> {
        self.0.send(request).map_err(|error| {
            let is_cancelled = request.cancel.is_some_and(CancelToken::is_cancelled);
            if is_cancelled {
                Error::Cancelled
            } else {
                error
            }
        })
    }
}

impl fmt::Debug for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

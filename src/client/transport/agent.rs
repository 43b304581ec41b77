//! An agent of ureq as a transport.

use std::io::ErrorKind;
use std::time::Duration;

use ::ureq::http::Request;
use ::ureq::{Agent, Timeout};

use super::bounds::time_until;
use super::replaced::{HttpRequest, HttpResponse, HttpTransport};
use crate::error::TransportKind;
use crate::{Error, Result};

/// Sends requests over an agent of the caller's, with its proxies, certificates and middleware. The
/// client's time-outs and deadlines hold; a token ends an attempt when it has been answered or timed
/// out, because an agent cannot be interrupted.
///
/// ```
/// use paceline::RateLimitedClient;
///
/// let agent = ureq::Agent::new_with_defaults();
/// let client = RateLimitedClient::builder().api_key("secret").transport(agent).build()?;
/// # Ok::<(), paceline::Error>(())
/// ```
impl HttpTransport for Agent {
    fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse> {
        let fail = |kind, message: String| Error::transport(without_query(request), kind, message);
        let mut outgoing = Request::builder()
            .method(request.method())
            .uri(request.url());
        for (name, value) in request.headers() {
            outgoing = outgoing.header(name, value);
        }
        let outgoing = outgoing
            .body(request.body())
            .map_err(|error| fail(TransportKind::Other, error.to_string()))?;
        // A time-out of 0 is none.
        let left = |end| time_until(end).or(Some(Duration::from_nanos(1)));
        let outgoing = self
            .configure_request(outgoing)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(left(request.deadline()))
            .timeout_connect(left(request.connect_deadline()))
            .build();
        let response = self
            .run(outgoing)
            .map_err(|error| fail(kind_of(&error), error.to_string()))?;
        let (head, body) = response.into_parts();
        let mut received = HttpResponse::new(head.status.as_u16(), body.into_reader());
        received.headers = head.headers;
        Ok(received)
    }
}

fn without_query(request: &HttpRequest<'_>) -> String {
    super::without_query(request.url())
}

/// The step that failed.
fn kind_of(error: &::ureq::Error) -> TransportKind {
    use ::ureq::Error as Failed;
    match error {
        Failed::HostNotFound | Failed::Timeout(Timeout::Resolve) => TransportKind::Dns,
        Failed::ConnectionFailed | Failed::Timeout(Timeout::Connect) => TransportKind::Connect,
        Failed::ConnectProxyFailed(_) | Failed::InvalidProxyUrl => TransportKind::Proxy,
        Failed::Timeout(_) => TransportKind::Timeout,
        Failed::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => TransportKind::Connect,
            ErrorKind::TimedOut => TransportKind::Timeout,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => TransportKind::Disconnected,
            _ => TransportKind::Other,
        },
        _ => TransportKind::Other,
    }
}

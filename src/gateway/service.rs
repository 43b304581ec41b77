//! From a request to who answers it.

use std::fmt;
use std::io;

use super::access;
use super::clients::Clients;
use super::counters::{Counters, Open};
use super::forward;
use super::headers::sorted;
use super::recent::Recent;
use super::refusal::{Form, Refusal};
use super::status;
use super::tokens::Tokens;
use super::upstream::Upstream;
use crate::http::{Exchange, HangUps, Malformed, Request, Service};

/// Methods that are passed on.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Roots of providers' APIs.
const ROOTS: [&str; 4] = ["/v1/", "/v1beta/", "/openai/", "/api/"];

/// What answers the requests of a gateway.
pub(super) struct Proxy {
    pub(super) upstream: Upstream,
    pub(super) clients: Clients,
    /// Whether it listens for this machine alone.
    is_local: bool,
    pub(super) hang_ups: HangUps,
    pub(super) counters: Counters,
    /// Requests that wait for a limit.
    pub(super) waiting: Tokens,
    /// Requests whose response has not ended.
    pub(super) in_flight: Tokens,
    pub(super) recent: Recent,
}

impl Proxy {
    pub(super) fn new(upstream: Upstream, clients: Clients, is_local: bool) -> io::Result<Self> {
        Ok(Self {
            upstream,
            clients,
            is_local,
            hang_ups: HangUps::new()?,
            counters: Counters::default(),
            waiting: Tokens::default(),
            in_flight: Tokens::default(),
            recent: Recent::default(),
        })
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The form of errors on a path.
    pub(super) fn form(&self, path: &str) -> Form {
        Form::of(path, self.upstream.provider())
    }

    /// What the gateway says of itself, to programs of this machine.
    fn own(&self, request: &Request, exchange: &Exchange<'_>) -> Option<Route> {
        let peer = exchange.stream().peer_addr().ok()?;
        let has_key = || {
            let keys = sorted(&request.headers).keys;
            self.clients.are_named() && self.clients.of(&keys).is_ok()
        };
        if request.method != "GET" || !(peer.ip().is_loopback() || has_key()) {
            return None;
        }
        let accept = request.header("accept").unwrap_or_default();
        match request.path() {
            "/status" if accept.contains("text/html") => {
                Some(Route::Own("text/html; charset=utf-8", status::page(self)))
            }
            "/status" => Some(Route::Own("application/json", status::json_text(self))),
            "/metrics" => Some(Route::Own(
                "text/plain; version=0.0.4; charset=utf-8",
                status::metrics(self),
            )),
            _ => None,
        }
    }

    fn route(&self, request: &Request, exchange: &Exchange<'_>) -> Result<Route, Refusal> {
        let host = request.header("host");
        // Beyond this machine clients have keys, which no page of a browser knows.
        if self.is_local {
            access::judge(host, request.header("origin"), &[]).map_err(|denied| {
                self.counters.denied.add();
                Refusal::new(403, "foreign_request", denied.message())
            })?;
        }
        if request.header("upgrade").is_some() {
            let message = "the gateway passes on no other protocols, such as WebSocket";
            return Err(Refusal::new(501, "no_upgrades", message));
        }
        let path = request.path();
        if let Some(own) = self.own(request, exchange) {
            return Ok(own);
        }
        if !ROOTS.iter().any(|root| path.starts_with(root)) {
            let message = format!("no API is at {path}; the gateway's base URL ends in /v1");
            return Err(Refusal::new(404, "unknown_url", message));
        }
        let known = METHODS.into_iter().find(|known| *known == request.method);
        known.map(Route::Api).ok_or_else(|| {
            let message = format!("the gateway does not pass on {}", request.method);
            Refusal::new(405, "method_not_supported", message)
        })
    }
}

/// Who answers a request.
enum Route {
    /// The provider, by this method.
    Api(&'static str),
    /// The gateway, with a text of this kind.
    Own(&'static str, String),
}

impl Service for Proxy {
    fn serve(&self, request: Request, exchange: &mut Exchange<'_>) {
        self.counters.requests.add();
        let _open = Open::new(&self.counters.open);
        let form = self.form(request.path());
        let refused = match self.route(&request, exchange) {
            Ok(Route::Api(method)) => forward::forward(self, method, request, exchange),
            Ok(Route::Own(kind, text)) => {
                let headers = [
                    ("content-type", kind),
                    ("cache-control", "no-store"),
                    (
                        "content-security-policy",
                        "default-src 'none'; style-src 'unsafe-inline'",
                    ),
                    ("x-content-type-options", "nosniff"),
                ];
                let _ = exchange.send(200, headers.into_iter(), text.as_bytes());
                Ok(())
            }
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = refused {
            self.recent.add(&refusal);
            send(&refusal, form, exchange);
        }
    }

    fn refuse(&self, malformed: Malformed, exchange: &mut Exchange<'_>) {
        let refusal = Refusal::new(malformed.status, "malformed_request", malformed.message);
        send(&refusal, Form::OpenAi, exchange);
    }
}

/// Sends a response of the gateway's own.
fn send(refusal: &Refusal, form: Form, exchange: &mut Exchange<'_>) {
    let headers = refusal.headers();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    // An error means that the client is gone, which its connection notices.
    let _ = exchange.send(refusal.status, headers, &refusal.body(form));
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("upstream", &self.upstream)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

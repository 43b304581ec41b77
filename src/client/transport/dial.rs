//! Opening a connection: through the proxy if there is one, then with TLS if the address asks for it.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::ClientConfig;

use super::addresses::Addresses;
use super::bounds::Limits;
use super::connection::Connection;
use super::interrupt::Interrupt;
use super::problem::{Problem, Step, Unsent};
use super::proxy::{Protocol, Proxy};
use super::request::push;
use super::socket::Socket;
use super::socks::{self, Target};
use super::stream::Stream;
use super::tcp;
use super::tls::secured;

/// Opens connections to one server.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_https: bool,
    pub(super) proxy: Option<Proxy>,
    pub(super) addresses: Addresses,
}

/// What one connection is opened with.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) limits: &'a Limits<'a>,
    pub(super) interrupt: Option<&'a Arc<Interrupt>>,
    /// There where it is needed.
    pub(super) tls: Option<&'a Arc<ClientConfig>>,
}

/// One end of a step: a host, and whether it is the proxy.
#[derive(Clone, Copy)]
struct Peer<'a> {
    host: &'a str,
    port: u16,
    is_proxy: bool,
}

impl Peer<'_> {
    /// Notes at a failure which step it was.
    fn failed_at(self, step: Step) -> impl FnOnce(Problem) -> Unsent {
        let host = self.host.to_owned();
        move |problem| Unsent {
            step,
            is_proxy: self.is_proxy,
            host,
            problem,
        }
    }
}

impl Dialer {
    /// Whether a connection needs TLS, to the server or to the proxy.
    pub(super) fn is_secure(&self) -> bool {
        self.is_https || self.proxy.as_ref().is_some_and(Proxy::is_https)
    }

    /// Opens a connection, up to the end of its TLS handshake. What fails in here has sent nothing.
    #[inline(never)]
    pub(super) fn open(&self, terms: Terms<'_>) -> Result<Connection, Unsent> {
        let opened = self.stream(terms);
        let mut opened = opened.map_err(|unsent| match terms.limits.is_cancelled() {
            true => Unsent {
                problem: Problem::Cancelled,
                ..unsent
            },
            false => unsent,
        })?;
        opened.set_end(terms.limits.end);
        Ok(Connection::new(opened))
    }

    fn server(&self) -> Peer<'_> {
        Peer {
            host: &self.host,
            port: self.port,
            is_proxy: false,
        }
    }

    fn stream(&self, terms: Terms<'_>) -> Result<Stream, Unsent> {
        let server = self.server();
        let stream = match &self.proxy {
            None => reach(server, &resolve(&self.addresses, server, terms)?, terms)?,
            Some(proxy) => self.through(proxy, terms)?,
        };
        match terms.tls.filter(|_| self.is_https) {
            Some(tls) => secured(stream, server.host, tls).map_err(server.failed_at(Step::Tls)),
            None => Ok(stream),
        }
    }

    /// A stream to the server through a proxy.
    fn through(&self, proxy: &Proxy, terms: Terms<'_>) -> Result<Stream, Unsent> {
        let server = self.server();
        let found = match proxy.protocol() {
            Protocol::Socks4 | Protocol::Socks5 => Some(resolve(&self.addresses, server, terms)?),
            _ => None,
        };
        let peer = Peer {
            host: proxy.host(),
            port: proxy.port(),
            is_proxy: true,
        };
        let mut stream = reach(peer, &resolve(&self.addresses, peer, terms)?, terms)?;
        if let Some(tls) = terms.tls.filter(|_| proxy.is_https()) {
            stream = secured(stream, peer.host, tls).map_err(peer.failed_at(Step::Tls))?;
        }
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let by_name = Target::Name(bare, self.port);
        let by_address = |is_usable: &dyn Fn(&SocketAddr) -> bool| {
            let mut all = found.iter().flat_map(|found| found.iter());
            let first = all.find(|address| is_usable(address));
            first.map_or(by_name, |address| Target::Address(*address))
        };
        let user = proxy
            .user()
            .map(|user| (user, proxy.password().unwrap_or_default()));
        let said = match proxy.protocol() {
            Protocol::Http | Protocol::Https => {
                let tunnel = tunnel(stream, server, user);
                return tunnel.map_err(peer.failed_at(Step::Tunnel));
            }
            Protocol::Socks4 => {
                let target = by_address(&SocketAddr::is_ipv4);
                match target {
                    Target::Address(_) => socks::version_4(&mut stream, target, proxy.user()),
                    Target::Name(..) => Err(Problem::RefusedBySocks(
                        "SOCKS 4 takes no IPv6 address".to_owned(),
                    )),
                }
            }
            Protocol::Socks4a => socks::version_4(&mut stream, by_name, proxy.user()),
            Protocol::Socks5 => socks::version_5(&mut stream, by_address(&|_| true), user),
            Protocol::Socks5h => socks::version_5(&mut stream, by_name, user),
        };
        said.map_err(peer.failed_at(Step::Tunnel))?;
        Ok(stream)
    }
}

fn resolve(
    addresses: &Addresses,
    peer: Peer<'_>,
    terms: Terms<'_>,
) -> Result<Arc<[SocketAddr]>, Unsent> {
    let Limits {
        connect_end,
        cancel,
        ..
    } = *terms.limits;
    let found = addresses.of(peer.host, peer.port, connect_end, cancel);
    found.map_err(peer.failed_at(Step::Resolve))
}

fn reach(peer: Peer<'_>, addresses: &[SocketAddr], terms: Terms<'_>) -> Result<Stream, Unsent> {
    let stream = tcp::connect(addresses, terms.limits, terms.interrupt);
    let stream = stream.map_err(peer.failed_at(Step::Connect))?;
    Ok(Stream::Plain(Socket::new(stream, terms.limits.connect_end)))
}

/// Has an HTTP proxy connect further.
fn tunnel(stream: Stream, server: Peer<'_>, user: Option<(&str, &str)>) -> Result<Stream, Problem> {
    let authority = format!("{}:{}", server.host, server.port);
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\n").into_bytes();
    push(&mut head, "host", authority.as_bytes());
    push(&mut head, "proxy-connection", b"keep-alive");
    if let Some((user, password)) = user {
        let both = BASE64_STANDARD.encode(format!("{user}:{password}"));
        push(
            &mut head,
            "proxy-authorization",
            format!("Basic {both}").as_bytes(),
        );
    }
    head.extend_from_slice(b"\r\n");
    let mut connection = Connection::new(stream);
    connection.send(&head, &[])?;
    match connection.receive_head() {
        Ok(head) if (200..300).contains(&head.status) => {}
        Ok(head) => return Err(Problem::RefusedByProxy(Some(head.status))),
        Err(Problem::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(Problem::RefusedByProxy(None));
        }
        Err(problem) => return Err(problem),
    }
    // A server speaks first only where it was asked something.
    connection.into_stream().ok_or(Problem::NotHttp(
        "the proxy says more than that it is connected".to_owned(),
    ))
}

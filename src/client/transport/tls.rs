//! TLS: its settings, made once, and its handshake.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::problem::Problem;
use super::roots::{Unreadable, trusted};
use super::stream::Stream;

/// The settings of a client's sessions, which the first connection makes: reading certificates takes
/// some milliseconds that a client of plain HTTP need not wait.
#[derive(Debug, Default)]
pub(super) struct Tls {
    made: Mutex<Option<Arc<ClientConfig>>>,
    /// The authorities that the caller trusts, in place of those of the process.
    roots: Option<Arc<RootCertStore>>,
}

impl Tls {
    pub(super) fn new(roots: Option<Arc<RootCertStore>>) -> Self {
        Self {
            made: Mutex::default(),
            roots,
        }
    }

    /// Settles what it needs to be.
    pub(super) fn settings(&self) -> Result<Arc<ClientConfig>, Unreadable> {
        let mut settings = self.made.lock();
        if let Some(settings) = &*settings {
            return Ok(Arc::clone(settings));
        }
        let roots = match &self.roots {
            Some(roots) => Arc::clone(roots),
            None => trusted()?,
        };
        let provider = rustls::crypto::CryptoProvider::get_default().cloned();
        let provider =
            provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| Unreadable {
                message: format!("TLS: {error}"),
                source: None,
            })?;
        let made = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Arc::clone(settings.insert(Arc::new(made))))
    }
}

/// Speaks TLS to `host` over a stream. The handshake is done when this returns.
#[inline(never)]
pub(super) fn secured(
    stream: Stream,
    host: &str,
    settings: &Arc<ClientConfig>,
) -> Result<Stream, Problem> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Problem::BadRequest("the host is no name that a certificate can have"))?;
    let session = ClientConnection::new(Arc::clone(settings), name);
    let session = session.map_err(std::io::Error::other)?;
    let mut tls = Box::new(StreamOwned::new(session, stream));
    while tls.conn.is_handshaking() {
        let StreamOwned { conn, sock } = &mut *tls;
        conn.complete_io(sock)?;
    }
    Ok(Stream::Tls(tls))
}

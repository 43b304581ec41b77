//! The lookup of a host, on a thread of its own where it can take long.
//!
//! The wire has one, too, which panics when no thread can be started, and starts one even for an
//! address that needs no lookup.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// As many addresses of a host as are tried.
const MOST: usize = 16;

/// Asks the system.
#[derive(Debug)]
pub(super) struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or_else(|| usual_port(uri));
        let mut found = self.empty();
        if let Ok(address) = host.parse::<IpAddr>() {
            found.push(SocketAddr::new(address, port));
            return Ok(found);
        }
        let addresses = look_up(host.to_owned(), port, timeout)?;
        for address in addresses.into_iter().take(MOST) {
            found.push(address);
        }
        if found.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(found)
    }
}

/// The port of a scheme, that of a proxy included.
fn usual_port(uri: &Uri) -> u16 {
    let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => 1080,
    }
}

fn look_up(host: String, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
    let (tell, told) = mpsc::sync_channel(1);
    let asked = move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // Whoever asked may have given up.
        let _ = tell.send(found.map(Vec::from_iter));
    };
    let started = thread::Builder::new()
        .name("paceline-lookup".to_owned())
        .spawn(asked);
    started.map_err(|error| {
        let reason = format!("no thread to look it up: {error}");
        Error::Io(io::Error::new(io::ErrorKind::OutOfMemory, reason))
    })?;
    match told.recv_timeout(*timeout.after) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Error::Io(out_of_descriptors().unwrap_or(error))),
        Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(timeout.reason)),
        Err(RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
    }
}

/// Whether the system has no descriptor left: the library of C then says that there is no such
/// host, since it could not read its files or ask.
fn out_of_descriptors() -> Option<io::Error> {
    UdpSocket::bind(("127.0.0.1", 0)).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are_and_names_are_looked_up() {
        let table = [
            ("http://127.0.0.1:81/v1", Some("127.0.0.1:81")),
            ("https://127.0.0.1", Some("127.0.0.1:443")),
            ("http://[::1]/v1", Some("[::1]:80")),
            ("SOCKS5://10.0.0.1", Some("10.0.0.1:1080")),
            ("http://no-such-host.invalid", None),
        ];
        for (uri, expected) in table {
            let found = Lookup.resolve(
                &uri.parse().unwrap(),
                &Config::default(),
                NextTimeout::default(),
            );
            let first = found.ok().map(|found| found[0].to_string());
            assert_eq!(first.as_deref(), expected, "{uri}");
        }
        let found = Lookup.resolve(
            &"http://localhost:82".parse().unwrap(),
            &Config::default(),
            NextTimeout::default(),
        );
        assert!(
            found
                .unwrap()
                .iter()
                .all(|found| found.ip().is_loopback() && found.port() == 82)
        );
    }
}

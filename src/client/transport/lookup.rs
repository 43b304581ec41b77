//! The lookup of a host by the system, on a thread of its own: it can take long, and cannot be cancelled.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::thread;

use super::handover::Handover;
use super::problem::{Problem, copy};

/// The most addresses of a host that are tried.
const MOST: usize = 16;

/// Addresses of a host, or why there are none.
pub(super) type Found = Result<Arc<[SocketAddr]>, NotFound>;

/// Why a host has no address.
#[derive(Debug, Clone)]
pub(super) enum NotFound {
    Unknown,
    Io(Arc<io::Error>),
}

impl From<NotFound> for Problem {
    fn from(reason: NotFound) -> Self {
        match reason {
            NotFound::Unknown => Self::HostNotFound,
            NotFound::Io(error) => Self::Io(copy(&error)),
        }
    }
}

/// What gets asked for addresses.
pub(super) trait Resolve: Send + Sync {
    /// Begins a lookup, whose result is put into the handover.
    fn begin(&self, host: &str, port: u16, result: &Arc<Handover<Found>>);
}

/// Asks the system.
#[derive(Debug)]
pub(super) struct System;

/// An address that needs no lookup. IPv6 may be in brackets.
pub(super) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(address, port))
}

impl Resolve for System {
    fn begin(&self, host: &str, port: u16, result: &Arc<Handover<Found>>) {
        let (name, theirs) = (host.to_owned(), Arc::clone(result));
        let started = thread::Builder::new()
            .name("paceline-lookup".to_owned())
            .spawn(move || theirs.put(look_up(&name, port)));
        if let Err(error) = started {
            let reason = format!("no thread to look it up: {error}");
            let error = io::Error::new(io::ErrorKind::OutOfMemory, reason);
            result.put(Err(NotFound::Io(Arc::new(error))));
        }
    }
}

fn look_up(host: &str, port: u16) -> Found {
    match (host, port).to_socket_addrs() {
        Ok(found) => {
            let found: Arc<[SocketAddr]> = found.take(MOST).collect();
            match found.is_empty() {
                true => Err(NotFound::Unknown),
                false => Ok(found),
            }
        }
        Err(error) => Err(NotFound::Io(Arc::new(
            out_of_descriptors().unwrap_or(error),
        ))),
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
    use std::time::Duration;

    use crate::limiter::Clock;

    #[test]
    fn addresses_are_taken_as_they_are() {
        let table = [
            ("127.0.0.1", Some("127.0.0.1:81")),
            ("[::1]", Some("[::1]:81")),
            ("::1", Some("[::1]:81")),
            ("localhost", None),
            ("", None),
        ];
        for (host, expected) in table {
            let found = literal(host, 81).map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn names_are_looked_up() {
        let minute = Clock::real().now() + Duration::from_secs(60);
        let ask = |host: &str| {
            let result = Handover::new();
            System.begin(host, 82, &result);
            result.wait(minute, None).unwrap()
        };
        let found = ask("localhost").unwrap();
        let is_right = |found: &SocketAddr| found.ip().is_loopback() && found.port() == 82;
        assert!(!found.is_empty() && found.iter().all(is_right));
        ask("no-such-host.invalid").unwrap_err();
    }
}

//! A port and its threads: one that accepts, one that starts others, one for each connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::connection;
use super::connections::Connections;
use super::exchange::Exchange;
use super::limits::HttpLimits;
use super::request::{Malformed, Request};

/// How long to leave the system alone when it is out of sockets or threads.
const PAUSE: Duration = Duration::from_millis(5);
/// How long to try to wake the listener.
const WAKE: Duration = Duration::from_secs(5);
/// Connections above the most that are told so; those beyond are closed without a word.
const REFUSED_AT_ONCE: usize = 32;
/// How long one that is refused may take.
const REFUSAL: Duration = Duration::from_secs(5);

/// What answers requests. A panic in it is one 500.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one request, on the thread of its connection.
    fn serve(&self, request: Request, exchange: &mut Exchange<'_>);

    /// Answers what is not even a request, or a request for which there is no room.
    fn refuse(&self, malformed: Malformed, exchange: &mut Exchange<'_>);
}

/// A running server. Dropping it [stops](Self::stop) it.
#[derive(Debug)]
pub(crate) struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// What the threads of a server share.
#[derive(Debug, Default)]
struct Shared {
    connections: Arc<Connections>,
    /// Raised once, to end the listener.
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Shared {
    fn is_closed(&self) -> bool {
        *self.closed.lock()
    }

    /// Sleeps, unless the server ends meanwhile; false when it does.
    fn pause(&self) -> bool {
        let mut closed = self.closed.lock();
        self.changed
            .wait_while_for(&mut closed, |closed| !*closed, PAUSE);
        !*closed
    }
}

impl Server {
    /// Serves the connections of a port. It answers as soon as this returns.
    ///
    /// # Errors
    ///
    /// When the system is out of threads.
    pub(crate) fn start(
        listener: TcpListener,
        limits: HttpLimits,
        service: Arc<dyn Service>,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (sender, accepted) = mpsc::channel();
        let for_starter = shared.clone();
        let name = limits.name;
        let starter = thread::Builder::new()
            .name(format!("{name}-starter"))
            .spawn(move || serve_all(&accepted, &for_starter, &Arc::new(limits), &service))?;
        let for_listener = shared.clone();
        let thread = thread::Builder::new()
            .name(format!("{name}-listener"))
            .spawn(move || {
                accept(&listener, &sender, &for_listener);
                // The port closes before anything else, and the starter's thread ends when the last
                // sender is dropped.
                drop(listener);
                drop(sender);
                let _ = starter.join();
            })?;
        Ok(Self {
            addr,
            shared,
            listener: Mutex::new(Some(thread)),
        })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Open connections.
    #[cfg(test)]
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Most connections at once so far.
    pub(crate) fn most_connections(&self) -> usize {
        self.shared.connections.most()
    }

    /// Closes the port, ends idle connections, and waits until the others have their responses, until `end`
    /// at the latest. False where some have none by then: [`stop`](Self::stop) cuts them off.
    pub(crate) fn drain(&self, end: Instant) -> bool {
        let mut listener = self.listener.lock();
        self.close_port(&mut listener);
        self.shared.connections.drain(end)
    }

    /// Closes the port and all connections, also those in the middle of a response, and returns
    /// when their threads have ended.
    pub(crate) fn stop(&self) {
        // Held through all joins, so that a second caller returns no earlier than the first.
        let mut listener = self.listener.lock();
        *self.shared.closed.lock() = true;
        self.shared.connections.close();
        self.close_port(&mut listener);
    }

    fn close_port(&self, listener: &mut Option<JoinHandle<()>>) {
        *self.shared.closed.lock() = true;
        // The flag changes under the lock, so a sleeper either sees it or is already waiting.
        self.shared.changed.notify_all();
        let Some(thread) = listener.take() else {
            return;
        };
        // The listener sleeps in `accept`, which only a connection ends. One that is refused
        // finds it awake, or gone. Should there be none at all, then the thread is left to end
        // with the next one that comes: better than to hang here.
        let woken = match TcpStream::connect_timeout(&reachable(self.addr), WAKE) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionRefused || thread.is_finished(),
        };
        if woken {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The address by which this machine reaches one that may stand for all of its own.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let mut addr = addr;
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

/// The listener's thread: takes connections as fast as they come, until the flag is raised.
///
/// Another thread starts the connections' threads, because that is slower. The system's queue of
/// connections to accept is short, and a client that finds it full tries again only after 1 s: a
/// crowd that arrives at once would take many seconds to connect.
fn accept(listener: &TcpListener, accepted: &Sender<TcpStream>, shared: &Shared) {
    loop {
        let connection = listener.accept();
        if shared.is_closed() {
            return;
        }
        let taken = match connection {
            Ok((stream, _)) => accepted.send(stream).is_ok(),
            // Out of sockets: some will come free. At once again would only burn a core.
            Err(_) => shared.pause(),
        };
        if !taken {
            return;
        }
    }
}

/// The starter's thread: a thread for every connection, until the listener is gone.
fn serve_all(
    accepted: &Receiver<TcpStream>,
    shared: &Shared,
    limits: &Arc<HttpLimits>,
    service: &Arc<dyn Service>,
) {
    const FULL: Malformed = Malformed {
        status: 503,
        message: "The server has as many connections as it takes at once. Try again later.",
    };
    let brief = Arc::new(HttpLimits {
        transfer: REFUSAL,
        ..(**limits).clone()
    });
    for stream in accepted {
        let open = shared.connections.count();
        let service = service.clone();
        let started = if open < limits.max_connections {
            let limits = limits.clone();
            shared
                .connections
                .start(stream, &limits.clone(), move |stream, busy| {
                    connection::serve(stream, &limits, &*service, busy);
                })
        } else if open < limits.max_connections.saturating_add(REFUSED_AT_ONCE) {
            let limits = brief.clone();
            shared
                .connections
                .start(stream, &limits.clone(), move |stream, _| {
                    connection::refuse(stream, &limits, &*service, FULL);
                })
        } else {
            Ok(())
        };
        if started.is_err() {
            // Out of threads. This connection is closed, and the next waits for one to end.
            shared.pause();
        }
    }
}

//! Who of those that wait for a response has left.
//!
//! A client that has sent its request may shut down its side of the connection and wait for the response: that
//! is no hang-up. Over TCP it looks like one, so who shuts down is looked up on this machine, and asked elsewhere: an
//! interim response (100) is nothing to a client that waits, and is reset by a system whose client is gone.

#[cfg(target_os = "linux")]
pub(crate) use linux::HangUps;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::HangUps;

/// Elsewhere a client that has left is noticed when it is answered.
#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::marker::PhantomData;
    use std::net::TcpStream;
    use std::sync::Arc;

    #[derive(Debug)]
    pub(crate) struct HangUps;

    #[derive(Debug)]
    pub(crate) struct Watched<'a>(PhantomData<&'a HangUps>);

    impl HangUps {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn watch(
            &self,
            _stream: &Arc<TcpStream>,
            _may_ask: bool,
            _left: impl FnOnce() + Send + 'static,
        ) -> Watched<'_> {
            Watched(PhantomData)
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{HashMap, HashSet};
    use std::fmt;
    use std::fs;
    use std::io::{self, Write};
    use std::net::{IpAddr, SocketAddr, TcpStream};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::thread::{Builder, JoinHandle};
    use std::time::Duration;

    use parking_lot::Mutex;
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::event::{EventfdFlags, eventfd};

    /// The event that ends the thread.
    const END: u64 = u64::MAX;
    /// When those that have shut down their side are looked at again: soon, because a program that closes its
    /// socket sends the FIN a moment before the system forgets whose it was, and later, because one that closes a
    /// socket that was shut down before sends nothing. Nothing is looked at while all clients can still send.
    const SOON: Duration = Duration::from_millis(20);
    const LATER: Duration = Duration::from_secs(1);
    const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

    /// Watches the connections of clients that wait, on one thread that sleeps until one of them leaves.
    pub(crate) struct HangUps {
        shared: Arc<Shared>,
        end: OwnedFd,
        thread: Option<JoinHandle<()>>,
    }

    struct Shared {
        epoll: OwnedFd,
        watched: Mutex<Watches>,
    }

    #[derive(Default)]
    struct Watches {
        next: u64,
        all: HashMap<u64, Watch>,
    }

    struct Watch {
        stream: Arc<TcpStream>,
        /// Whether the client takes interim responses.
        may_ask: bool,
        left: Box<dyn FnOnce() + Send>,
    }

    /// A connection that is watched, until this is dropped. Nothing may be written to it before.
    pub(crate) struct Watched<'a> {
        of: &'a HangUps,
        id: u64,
    }

    impl HangUps {
        pub(crate) fn new() -> io::Result<Self> {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            let end = eventfd(0, EventfdFlags::CLOEXEC)?;
            epoll::add(&epoll, &end, EventData::new_u64(END), EventFlags::IN)?;
            let shared = Arc::new(Shared {
                epoll,
                watched: Mutex::default(),
            });
            let for_thread = shared.clone();
            let thread = Builder::new()
                .name("gateway-hang-ups".to_owned())
                .spawn(move || for_thread.run())?;
            Ok(Self {
                shared,
                end,
                thread: Some(thread),
            })
        }

        /// Calls `left` once should the client leave. `may_ask` says whether it takes interim responses, as those of
        /// HTTP/1.1 do.
        pub(crate) fn watch(
            &self,
            stream: &Arc<TcpStream>,
            may_ask: bool,
            left: impl FnOnce() + Send + 'static,
        ) -> Watched<'_> {
            let mut watched = self.shared.watched.lock();
            let id = watched.next;
            watched.next += 1;
            let watch = Watch {
                stream: stream.clone(),
                may_ask,
                left: Box::new(left),
            };
            watched.all.insert(id, watch);
            // Under the lock: an event finds the watch. Out of memory: then the client is not watched.
            let flags = EventFlags::RDHUP | EventFlags::ONESHOT;
            let _ = epoll::add(&self.shared.epoll, stream, EventData::new_u64(id), flags);
            Watched { of: self, id }
        }
    }

    impl fmt::Debug for HangUps {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let watched = self.shared.watched.lock().all.len();
            f.debug_struct("HangUps")
                .field("watched", &watched)
                .finish_non_exhaustive()
        }
    }

    impl Drop for Watched<'_> {
        fn drop(&mut self) {
            let mut watched = self.of.shared.watched.lock();
            if let Some(watch) = watched.all.remove(&self.id) {
                let _ = epoll::delete(&self.of.shared.epoll, &watch.stream);
            }
        }
    }

    impl Drop for HangUps {
        fn drop(&mut self) {
            if rustix::io::write(&self.end, &1_u64.to_ne_bytes()).is_ok()
                && let Some(thread) = self.thread.take()
            {
                let _ = thread.join();
            }
        }
    }

    impl Shared {
        fn run(&self) {
            let mut events = Vec::with_capacity(1_024);
            // Those that have shut down their side and were seen listening.
            let mut listening: Vec<u64> = Vec::new();
            let mut again = SOON;
            loop {
                events.clear();
                let timeout = (!listening.is_empty()).then_some(again);
                let timeout = timeout.and_then(|it| rustix::event::Timespec::try_from(it).ok());
                let space = rustix::buffer::spare_capacity(&mut events);
                match epoll::wait(&self.epoll, space, timeout.as_ref()) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => {
                        log::warn!("clients that hang up are noticed late: {error}");
                        return;
                    }
                }
                // One look at the system's table for all that leave together.
                let mut sockets = None;
                again = if events.is_empty() { LATER } else { SOON };
                let before = std::mem::take(&mut listening);
                let looks = before.into_iter().map(|id| (id, EventFlags::RDHUP));
                let news = events.iter().map(|event| (event.data.u64(), event.flags));
                for (id, flags) in looks.chain(news) {
                    if id == END {
                        return;
                    }
                    if self.look(id, flags, &mut sockets) {
                        listening.push(id);
                    }
                }
            }
        }

        /// A client has shut down its side, or the whole connection. Returns whether it still listens.
        fn look(&self, id: u64, flags: EventFlags, sockets: &mut Option<Sockets>) -> bool {
            let mut watched = self.watched.lock();
            let Some(watch) = watched.all.get_mut(&id) else {
                return false;
            };
            let is_over = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            let (has_left, listens) = match is_over {
                true => (true, false),
                false => match peer(&watch.stream, sockets) {
                    Peer::Gone => (true, false),
                    Peer::Waits => (false, true),
                    // It is asked once; a reset is reported.
                    Peer::Elsewhere => {
                        let asks = std::mem::take(&mut watch.may_ask);
                        (asks && (&*watch.stream).write_all(INTERIM).is_err(), false)
                    }
                },
            };
            if has_left {
                if let Some(watch) = watched.all.remove(&id) {
                    let _ = epoll::delete(&self.epoll, &watch.stream);
                    drop(watched);
                    (watch.left)();
                }
                return false;
            }
            // A reset still ends it: that is always reported.
            let flags = EventFlags::ONESHOT;
            let _ = epoll::modify(&self.epoll, &watch.stream, EventData::new_u64(id), flags);
            listens
        }
    }

    /// The other end of a connection that was shut down from there.
    #[derive(Debug, PartialEq, Eq)]
    enum Peer {
        /// A program has it open.
        Waits,
        Gone,
        /// It is not of this machine.
        Elsewhere,
    }

    /// The sockets of this machine that a program has open, each by both of its addresses.
    type Sockets = HashSet<String>;

    fn peer(stream: &TcpStream, sockets: &mut Option<Sockets>) -> Peer {
        let (Ok(peer), Ok(own)) = (stream.peer_addr(), stream.local_addr()) else {
            return Peer::Gone;
        };
        if !peer.ip().is_loopback() && peer.ip() != own.ip() {
            return Peer::Elsewhere;
        }
        let sockets = sockets.get_or_insert_with(|| {
            let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
            let tables = tables.map(|path| fs::read_to_string(path).unwrap_or_default());
            tables.iter().flat_map(|table| open_in(table)).collect()
        });
        match sockets.contains(&format!("{} {}", written(peer), written(own))) {
            true => Peer::Waits,
            // Where the table cannot be read there is none in it.
            false if sockets.is_empty() => Peer::Elsewhere,
            false => Peer::Gone,
        }
    }

    /// The sockets of a table. Those that no program has any more have the inode 0.
    fn open_in(table: &str) -> impl Iterator<Item = String> {
        // IPv4 within IPv6 is written longer.
        let short = |address: &str| match address.split_once("0000000000000000FFFF0000") {
            Some(("", rest)) => rest.to_owned(),
            _ => address.to_owned(),
        };
        table.lines().skip(1).filter_map(move |line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, remote) = (fields.next()?, fields.next()?);
            let inode = fields.nth(6)?;
            (inode != "0").then(|| format!("{} {}", short(local), short(remote)))
        })
    }

    /// An address as that table has it.
    fn written(address: SocketAddr) -> String {
        let port = address.port();
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip.octets())),
            IpAddr::V6(ip) => {
                let words = ip.octets();
                let words = words.chunks_exact(4).map(|word| {
                    let word = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
                    format!("{word:08X}")
                });
                format!("{}:{port:04X}", words.collect::<String>())
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::net::{Ipv4Addr, Shutdown, TcpListener};
        use std::sync::mpsc::channel;

        use super::*;

        fn pair() -> (TcpStream, Arc<TcpStream>) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, Arc::new(listener.accept().unwrap().0))
        }

        #[test]
        fn a_client_that_leaves_is_noticed_and_one_that_only_listens_is_not() {
            let hang_ups = HangUps::new().unwrap();
            let (sender, left) = channel();
            let tell = |name| {
                let sender = sender.clone();
                move || sender.send(name).unwrap()
            };
            let (listens, server) = pair();
            let _listens = hang_ups.watch(&server, true, tell("listens"));
            listens.shutdown(Shutdown::Write).unwrap();
            let (leaves, server) = pair();
            let _leaves = hang_ups.watch(&server, true, tell("leaves"));
            drop(leaves);
            assert_eq!(left.recv_timeout(Duration::from_secs(60)), Ok("leaves"));
            let (gone, server) = pair();
            drop(gone);
            let _gone = hang_ups.watch(&server, true, tell("gone"));
            assert_eq!(left.recv_timeout(Duration::from_secs(60)), Ok("gone"));
            // In the order of events, the first would have come by now.
            assert!(left.try_recv().is_err());
            // It had shut down its side before, so this sends nothing.
            drop(listens);
            assert_eq!(left.recv_timeout(Duration::from_secs(60)), Ok("listens"));
        }

        #[test]
        fn what_is_not_watched_any_more_is_not_reported() {
            let hang_ups = HangUps::new().unwrap();
            let (client, server) = pair();
            let (sender, left) = channel::<()>();
            drop(hang_ups.watch(&server, true, move || sender.send(()).unwrap()));
            drop(client);
            drop(hang_ups);
            assert!(left.recv().is_err());
        }
    }
}

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
    use std::collections::HashMap;
    use std::fmt;
    use std::fs;
    use std::io::{self, Write};
    use std::net::{IpAddr, SocketAddr, TcpStream};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::thread::{Builder, JoinHandle};

    use parking_lot::Mutex;
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::event::{EventfdFlags, eventfd};

    /// The event that ends the thread.
    const END: u64 = u64::MAX;
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
            let mut events = Vec::with_capacity(64);
            loop {
                events.clear();
                let waited = epoll::wait(
                    &self.epoll,
                    rustix::buffer::spare_capacity(&mut events),
                    None,
                );
                match waited {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => {
                        log::warn!("clients that hang up are noticed late: {error}");
                        return;
                    }
                }
                for event in &events {
                    // Copied: the event is packed.
                    let (data, flags) = (event.data, event.flags);
                    match data.u64() {
                        END => return,
                        id => self.look(id, flags),
                    }
                }
            }
        }

        /// A client has shut down its side, or the whole connection.
        fn look(&self, id: u64, flags: EventFlags) {
            let mut watched = self.watched.lock();
            let Some(watch) = watched.all.get(&id) else {
                return;
            };
            let is_over = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            let has_left = is_over
                || match peer(&watch.stream) {
                    Peer::Gone => true,
                    Peer::Waits => false,
                    Peer::Elsewhere => {
                        watch.may_ask && (&*watch.stream).write_all(INTERIM).is_err()
                    }
                };
            if has_left {
                let watch = watched.all.remove(&id);
                if let Some(watch) = watch {
                    let _ = epoll::delete(&self.epoll, &watch.stream);
                    drop(watched);
                    (watch.left)();
                }
                return;
            }
            // A reset still ends it: that is always reported.
            let flags = EventFlags::ONESHOT;
            let _ = epoll::modify(&self.epoll, &watch.stream, EventData::new_u64(id), flags);
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

    fn peer(stream: &TcpStream) -> Peer {
        let (Ok(peer), Ok(own)) = (stream.peer_addr(), stream.local_addr()) else {
            return Peer::Gone;
        };
        if !peer.ip().is_loopback() && peer.ip() != own.ip() {
            return Peer::Elsewhere;
        }
        let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
        let tables = tables.map(|path| fs::read_to_string(path).unwrap_or_default());
        match tables.iter().any(|table| !table.is_empty()) {
            true => match tables.iter().find_map(|table| inode(table, peer, own)) {
                Some(inode) if inode != 0 => Peer::Waits,
                _ => Peer::Gone,
            },
            false => Peer::Elsewhere,
        }
    }

    /// The inode of a socket in the system's table: 0 where no program has it any more.
    fn inode(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
        let (local, remote) = (written(local), written(remote));
        table.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            // Those of the other family have the address in a longer form.
            let is =
                |field: Option<&str>, address: &str| field.is_some_and(|it| it.ends_with(address));
            if !is(fields.next(), &local) || !is(fields.next(), &remote) {
                return None;
            }
            fields.nth(6)?.parse().ok()
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
        use std::time::Duration;

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
            drop(listens);
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

//! Bytes to and from a server, plain or over TLS.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::{ClientConnection, StreamOwned};

use super::socket::Socket;

/// A connection to a server, or to a proxy.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    /// Over a plain one, or over that to a proxy with TLS.
    Tls(Box<StreamOwned<ClientConnection, Stream>>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.sock.socket(),
        }
    }

    /// Sets when reads and writes end from now on.
    pub(super) fn set_end(&mut self, end: Instant) {
        match self {
            Self::Plain(socket) => socket.set_end(end),
            Self::Tls(tls) => tls.sock.set_end(end),
        }
    }

    /// Sets whether reads and writes fail with `WouldBlock` where they would wait.
    pub(super) fn set_yielding(&mut self, yielding: bool) {
        match self {
            Self::Plain(socket) => socket.set_yielding(yielding),
            Self::Tls(tls) => tls.sock.set_yielding(yielding),
        }
    }

    /// Waits until more can be written or something has arrived, and returns whether that has.
    pub(super) fn wait_for_room(&self) -> io::Result<bool> {
        self.socket().wait_for_room()
    }

    pub(super) fn tcp(&self) -> &Arc<TcpStream> {
        self.socket().stream()
    }

    /// Whether it is open and no unrequested bytes have arrived.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_quiet(),
            // False while there is plain text that was not read.
            Self::Tls(tls) => tls.conn.wants_read() && tls.sock.is_quiet(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => receive(tls, buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(pieces),
            Self::Tls(tls) => tls.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// Reads over TLS, and writes nothing: rustls's own stream first writes what is left to be written, which
/// a server that answers early may never read.
fn receive(
    tls: &mut StreamOwned<ClientConnection, Stream>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        match tls.conn.reader().read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read,
        }
        // At the end of the connection the next look says so.
        tls.conn.read_tls(&mut tls.sock)?;
        let state = tls.conn.process_new_packets();
        state.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    }
}

//! What a socket does without waiting, and waiting until it can do more.

use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::time::Duration;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Writable,
    /// Also for something to read, the end of the connection included.
    WritableOrReadable,
}

/// Writes what the system takes at once, or fails with `WouldBlock`.
///
/// Unlike the standard library's, this raises no SIGPIPE, which a program that is not Rust's own may
/// not ignore.
#[cfg(unix)]
pub(super) fn write(stream: &TcpStream, pieces: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::DONTWAIT;
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(sendmsg(
        stream,
        pieces,
        &mut SendAncillaryBuffer::default(),
        flags,
    )?)
}

/// Reads what has arrived, or fails with `WouldBlock`.
#[cfg(unix)]
pub(super) fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let (_, count) = rustix::net::recv(stream, buffer, rustix::net::RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// Waits for at most `most`. Returns whether something can be read, where that is waited for; it may
/// return for nothing.
#[cfg(unix)]
pub(super) fn wait(stream: &TcpStream, until: Until, most: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    let most = Timespec::try_from(most).ok(); // six centuries are for ever
    let events = match until {
        Until::Writable => PollFlags::OUT,
        Until::WritableOrReadable => PollFlags::OUT | PollFlags::IN,
    };
    let mut sockets = [PollFd::new(stream, events)];
    match poll(&mut sockets, most.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ended = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
    Ok(until == Until::WritableOrReadable && sockets[0].revents().intersects(ended))
}

/// Whether the peer has neither closed the connection nor sent anything.
#[cfg(unix)]
pub(super) fn is_quiet(stream: &TcpStream) -> bool {
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, recv};
    let mut byte = [0_u8; 1];
    let found = recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    matches!(found, Err(Errno::AGAIN))
}

// Elsewhere a write waits in the system, and a response is read when the request is written.

/// Writes, and waits for room until the time is up, which is `WouldBlock` or `TimedOut`.
#[cfg(not(unix))]
pub(super) fn write(
    mut stream: &TcpStream,
    pieces: &[IoSlice<'_>],
    most: Duration,
) -> io::Result<usize> {
    stream.set_write_timeout(Some(most))?;
    std::io::Write::write_vectored(&mut stream, pieces)
}

#[cfg(not(unix))]
pub(super) fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    std::io::Read::read(&mut stream, buffer)
}

#[cfg(not(unix))]
pub(super) fn wait(_: &TcpStream, _: Until, _: Duration) -> io::Result<bool> {
    Ok(false)
}

#[cfg(not(unix))]
pub(super) fn is_quiet(stream: &TcpStream) -> bool {
    let peek = || {
        stream.set_nonblocking(true)?;
        let found = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        found
    };
    peek().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

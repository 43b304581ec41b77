//! TCP connections that a token can end before they are there.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use super::bounds::{Limits, time_until};
use super::interrupt::Interrupt;
use super::problem::Problem;

/// Connects to the first of these addresses that accepts. Each gets an equal part of the time that is
/// left, so that one that does not answer leaves some for the others.
pub(super) fn connect(
    addresses: &[SocketAddr],
    limits: &Limits<'_>,
    interrupt: Option<&Arc<Interrupt>>,
) -> Result<Arc<TcpStream>, Problem> {
    let mut failed = Problem::HostNotFound;
    for (index, address) in addresses.iter().enumerate() {
        let left = time_until(limits.connect_end).ok_or(Problem::Timeout)?;
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let end = limits.connect_end - (left - left / others);
        match open(*address, end, limits, interrupt) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(_) if limits.is_cancelled() => return Err(Problem::Cancelled),
            Err(problem) => failed = problem,
        }
    }
    Err(failed)
}

/// The socket is put into the interrupt before it is connected: where it is shut down, the system ends
/// the wait for it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open(
    address: SocketAddr,
    end: Instant,
    limits: &Limits<'_>,
    interrupt: Option<&Arc<Interrupt>>,
) -> Result<Arc<TcpStream>, Problem> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::net::sockopt::socket_error;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None);
    let stream = Arc::new(TcpStream::from(socket.map_err(io::Error::from)?));
    if let Some(interrupt) = interrupt {
        interrupt.attach(&stream)?;
    }
    match rustix::net::connect(&*stream, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => loop {
            let left = time_until(end).ok_or(Problem::Timeout)?;
            let left = Timespec::try_from(left).map_err(|_| Problem::Timeout)?;
            match poll(&mut [PollFd::new(&*stream, PollFlags::OUT)], Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => break,
                Err(error) => return Err(io::Error::from(error).into()),
            }
        },
        Err(error) => return Err(io::Error::from(error).into()),
    }
    if limits.is_cancelled() {
        return Err(Problem::Cancelled);
    }
    let failed = socket_error(&*stream).map_err(io::Error::from)?;
    failed.map_err(io::Error::from)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Elsewhere a socket that is not connected cannot be shut down. One that can be cancelled is connected on
/// a thread of its own, which is left alone with it when the token is cancelled.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open(
    address: SocketAddr,
    end: Instant,
    limits: &Limits<'_>,
    interrupt: Option<&Arc<Interrupt>>,
) -> Result<Arc<TcpStream>, Problem> {
    use super::handover::Handover;
    use super::problem::copy;

    let left = time_until(end).ok_or(Problem::Timeout)?;
    let timed_out = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => Problem::Timeout,
        _ => Problem::Io(error),
    };
    let Some(interrupt) = interrupt else {
        let stream = TcpStream::connect_timeout(&address, left).map_err(timed_out)?;
        return Ok(Arc::new(stream));
    };
    let handover = Handover::new();
    let theirs = Arc::clone(&handover);
    std::thread::Builder::new()
        .name("paceline-connect".to_owned())
        .spawn(move || {
            let connected = TcpStream::connect_timeout(&address, left);
            theirs.put(connected.map(Arc::new).map_err(Arc::new));
        })?;
    let connected = handover.wait(end, limits.cancel)?;
    let stream = connected.map_err(|error| timed_out(copy(&error)))?;
    interrupt.attach(&stream)?;
    Ok(stream)
}

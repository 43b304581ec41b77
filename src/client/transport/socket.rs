//! A socket whose reads and writes end at an instant.
//!
//! A large request is written only as fast as the server reads it, and the server may answer first.
//! So a write can be made to [yield](Socket::set_yielding): it returns where it would wait, and its caller
//! [waits](Socket::wait_for_room) for room and for a response at once.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bounds::time_until;
use super::ready::{self, Until};

/// A connected socket. Its reads and writes fail with `TimedOut` at `end`.
///
/// The system ends a read after a time-out, which takes a system call to set. The time left until the
/// end is never the same twice, so it is rounded down: mostly to the time-out of the request before,
/// which needs no call. A thread that is woken before the end waits for the rest.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    end: Instant,
    read: Option<Duration>,
    is_yielding: bool,
}

impl Socket {
    pub(super) fn new(stream: Arc<TcpStream>, end: Instant) -> Self {
        Self {
            stream,
            end,
            read: None,
            is_yielding: false,
        }
    }

    pub(super) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Sets when reads and writes end from now on.
    pub(super) fn set_end(&mut self, end: Instant) {
        self.end = end;
    }

    /// Sets whether reads and writes fail with `WouldBlock` where they would wait.
    pub(super) fn set_yielding(&mut self, yielding: bool) {
        self.is_yielding = yielding && cfg!(unix);
    }

    /// Waits until more can be written or something has arrived, and returns whether that has.
    pub(super) fn wait_for_room(&self) -> io::Result<bool> {
        ready::wait(&self.stream, Until::WritableOrReadable, self.left()?)
    }

    /// Whether the peer has neither closed the connection nor sent anything.
    pub(super) fn is_quiet(&self) -> bool {
        ready::is_quiet(&self.stream)
    }

    fn left(&self) -> io::Result<Duration> {
        time_until(self.end).ok_or_else(|| ErrorKind::TimedOut.into())
    }

    fn arm_read(&mut self) -> io::Result<()> {
        if let Some(after) = retold(self.end, self.read)? {
            self.stream.set_read_timeout(Some(after))?;
            self.read = Some(after);
        }
        Ok(())
    }
}

/// Whether the system's time-out was up, or a signal came: both are tried again.
fn is_brief(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    // A connection that the network has lost is a time-out by its kind, too.
    match error.kind() {
        Interrupted | WouldBlock => true,
        TimedOut => cfg!(windows),
        _ => false,
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_yielding {
                return ready::read(&self.stream, buffer);
            }
            self.arm_read()?;
            match (&*self.stream).read(buffer) {
                Err(error) if is_brief(&error) => {}
                read => return read,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match ready::write(&self.stream, pieces, self.left()?) {
                Err(error) if self.is_yielding && error.kind() == ErrorKind::WouldBlock => {
                    return Err(error);
                }
                Err(error) if is_brief(&error) => {
                    ready::wait(&self.stream, Until::Writable, self.left()?)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time-out to set, if it is another than the one that is set.
fn retold(end: Instant, told: Option<Duration>) -> io::Result<Option<Duration>> {
    let left = time_until(end).ok_or(ErrorKind::TimedOut)?;
    let fits = |told: Duration| told <= left && told >= left - left / 8;
    Ok((!told.is_some_and(fits)).then(|| rounded_down(left)))
}

/// To a multiple of a power of two that is between a sixteenth and an eighth of it. The system's shortest
/// time-out is a microsecond, and 0 is none at all.
fn rounded_down(left: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(1);
    let Ok(nanos) = u64::try_from(left.as_nanos()) else {
        return left; // six centuries
    };
    let step = 1 << nanos.checked_ilog2().unwrap_or(0).saturating_sub(4);
    Duration::from_nanos(nanos - nanos % step).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limiter::Clock;

    #[test]
    fn a_time_out_is_told_when_it_differs_by_much() {
        let minutes = Duration::from_secs(600);
        let end = Clock::real().now() + minutes;
        let told = retold(end, None).unwrap();
        assert_eq!(told, Some(rounded_down(minutes - Duration::from_secs(1))));
        assert_eq!(retold(end, told).unwrap(), None, "told once");
        let near = Clock::real().now() + Duration::from_secs(30);
        let again = retold(near, told).unwrap();
        assert!(again.is_some_and(|again| again <= Duration::from_secs(30)));
        let past = Clock::real().now();
        assert_eq!(retold(past, told).unwrap_err().kind(), ErrorKind::TimedOut);
    }

    proptest! {
        #[test]
        fn no_time_out_gets_longer_nor_much_shorter(nanos in 1_000_000_u64..) {
            let left = Duration::from_nanos(nanos);
            let told = rounded_down(left);
            prop_assert!(told <= left);
            prop_assert!(left - told <= left / 8, "{left:?}: {told:?}");
        }
    }
}

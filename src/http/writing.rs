//! Writes that end: a client that does not read holds no thread for ever.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::clock::Pace;

/// Writes all of both pieces, as one where there is room.
///
/// # Errors
///
/// `TimedOut` when the client reads too slowly: see [`Pace`].
pub(super) fn write_all(
    mut stream: &TcpStream,
    time: Duration,
    first: &[u8],
    second: &[u8],
) -> io::Result<()> {
    let mut pace = Pace::new(time);
    let mut written = 0;
    let length = first.len() + second.len();
    while written < length {
        let left = pace.left().ok_or(ErrorKind::TimedOut)?;
        stream.set_write_timeout(Some(left))?;
        let sent = match first.get(written..).filter(|rest| !rest.is_empty()) {
            Some(rest) => stream.write_vectored(&[IoSlice::new(rest), IoSlice::new(second)]),
            None => stream.write(&second[written - first.len()..]),
        };
        match sent {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                written += count;
                pace.progress(count);
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

//! One connection: requests in, answers out, one after the other.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::clock::{Stop, now};
use super::http::{Fault, PATIENCE, Reader};
use super::service::{Answer, Service};

/// How long, and how many bytes, a refused client's requests are read after the answer. Twice the largest
/// body, so that `a_client_that_is_still_sending_too_much_hears_why` sees the answer.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// Serves until the client leaves, breaks HTTP, or the flag is raised.
pub(super) fn serve(stream: &TcpStream, service: &Service, stop: &Stop) {
    // Without it an answer could wait for the client's delayed acknowledgement. An error means
    // that the connection is gone, which the first read will show.
    let _ = stream.set_nodelay(true);
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let mut reader = Reader::new(stream);
    loop {
        match reader.next() {
            Ok(request) => {
                let (keep_alive, http_10) = (request.keep_alive, request.http_10);
                let head = request.method == "HEAD";
                let Some((answer, _in_flight)) = service.answer(&request, stop) else {
                    return;
                };
                // What was read is not needed while a slow client takes its answer.
                drop(request);
                let response = match answer {
                    Answer::Whole(response) => response,
                    Answer::Half(response) => {
                        let _ = send(stream, &response.to_half(http_10));
                        return;
                    }
                    Answer::Drop => return,
                    Answer::Hang => return outlast(stream),
                };
                let sent = send(stream, &response.to_bytes(keep_alive, head, http_10));
                if sent.is_err() || !keep_alive {
                    return;
                }
            }
            Err(Fault::Closed) => return,
            Err(Fault::Refused(refusal)) => {
                let response = service.malformed(refusal);
                if send(stream, &response.to_bytes(false, false, false)).is_ok() {
                    linger(stream);
                }
                return;
            }
        }
    }
}

/// Says nothing until the client gives up, or the simulator closes the connection.
fn outlast(mut stream: &TcpStream) {
    let mut chunk = [0; 1024];
    if stream.set_read_timeout(None).is_ok() {
        while stream.read(&mut chunk).is_ok_and(|count| count > 0) {}
    }
}

fn send(mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)
}

/// Listens on until the client leaves. Closing with unread bytes would reset the connection, and the
/// client, still sending, could lose the answer that says what is wrong.
fn linger(mut stream: &TcpStream) {
    let deadline = now() + LINGER;
    let mut left = LINGER_BYTES;
    let mut chunk = [0; 16 * 1024];
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    while left > 0 {
        let time = deadline.saturating_duration_since(now());
        if time.is_zero() || stream.set_read_timeout(Some(time)).is_err() {
            return;
        }
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => left = left.saturating_sub(count),
            _ => return,
        }
    }
}

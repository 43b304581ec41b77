//! One connection: requests in, responses out, one after the other.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::clock::now;
use super::connections::Busy;
use super::exchange::Exchange;
use super::limits::HttpLimits;
use super::request::{Fault, Malformed, Reader};
use super::server::Service;

/// How long, and how many bytes, a refused client's requests are read after the answer. Twice the largest
/// body, so that `a_client_that_is_still_sending_too_much_hears_why` sees the answer.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// Serves until the client leaves, breaks HTTP, or the server ends.
pub(super) fn serve(
    stream: &Arc<TcpStream>,
    limits: &HttpLimits,
    service: &dyn Service,
    busy: &Busy,
) {
    // Without it an answer could wait for the client's delayed acknowledgement. An error means
    // that the connection is gone, which the first read will show.
    let _ = stream.set_nodelay(true);
    let mut reader = Reader::new(stream, limits);
    loop {
        let request = match reader.next() {
            Ok(request) => request,
            Err(Fault::Closed) => return,
            Err(Fault::Malformed(malformed)) => {
                return refuse(stream, limits, service, malformed);
            }
        };
        if !busy.begin() {
            return;
        }
        let mut exchange = Exchange::new(stream, limits, &request);
        if busy.is_draining() {
            exchange.close();
        }
        let served = catch_unwind(AssertUnwindSafe(|| service.serve(request, &mut exchange)));
        if served.is_err() {
            exchange.close();
            if !exchange.has_started() {
                const PANIC: Malformed = Malformed {
                    status: 500,
                    message: "The server failed at your request.",
                };
                let _ = catch_unwind(AssertUnwindSafe(|| service.refuse(PANIC, &mut exchange)));
            }
        }
        // A response that did not end shows that by the end of its connection.
        let goes_on = exchange.keeps_alive() && exchange.has_ended();
        if !busy.end() || !goes_on {
            return;
        }
    }
}

/// Answers what is no request, and lets the client read the answer.
pub(super) fn refuse(
    stream: &Arc<TcpStream>,
    limits: &HttpLimits,
    service: &dyn Service,
    malformed: Malformed,
) {
    let mut exchange = Exchange::of_malformed(stream, limits);
    let _ = catch_unwind(AssertUnwindSafe(|| {
        service.refuse(malformed, &mut exchange);
    }));
    if exchange.has_ended() {
        linger(stream);
    }
}

/// Listens on until the client leaves. Closing with unread bytes would reset the connection, and the
/// client, still sending, could lose the answer that says what is wrong.
fn linger(mut stream: &TcpStream) {
    let deadline = now() + LINGER;
    let mut left = LINGER_BYTES;
    let mut chunk = [0; 4 * 1024];
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

//! What a client sends, as inputs of a fuzzer.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use super::limits::HttpLimits;
use super::request::Reader;
use super::response::{BodyEnd, head};

/// Requests on a connection, up to the first that is refused.
pub(crate) fn requests(bytes: &[u8]) {
    // What fits into the buffers of a connection needs no second thread.
    let bytes = &bytes[..bytes.len().min(16 * 1024)];
    let pair = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        client.write_all(bytes)?;
        client.shutdown(Shutdown::Write)?;
        Ok::<_, std::io::Error>((client, listener.accept()?.0))
    };
    let Ok((_client, server)) = pair() else {
        return;
    };
    let limits = HttpLimits::default();
    let mut reader = Reader::new(&server, &limits);
    while let Ok(request) = reader.next() {
        let headers = request.headers.iter();
        let echo = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        let end = BodyEnd::Length(request.body.len());
        let head = head(200, echo, end, request.keep_alive);
        // What was read as a request is written as lines that are those of one response.
        let mut space = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut space);
        let parsed = response.parse(&head);
        assert!(matches!(parsed, Ok(httparse::Status::Complete(used)) if used == head.len()));
    }
}

//! What a client sends, as inputs of a fuzzer.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use super::{Reader, Response};

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
    let mut reader = Reader::new(&server);
    while let Ok(request) = reader.next() {
        let response = Response::json(200, &serde_json::Value::Null);
        let _ = response.to_bytes(
            request.keep_alive,
            request.method == "HEAD",
            request.http_10,
        );
    }
}

//! Servers that break the rules: each failure has its kind, and nothing grows without bound.

use super::server::Server;
use super::*;
use crate::TransportKind::{self, Disconnected, Other};

fn failure(answer: Vec<u8>) -> (TransportKind, String) {
    let server = Server::start(move |_, _| Some(answer.clone()));
    let transport = transport(&server.url());
    // The server closes the connection when it has nothing more to say.
    let mut answer = match post(&transport, b"{}", Bounds::default()) {
        Ok(answer) => answer,
        Err(error) => return said(error),
    };
    server.close_all();
    said(answer.read(&mut Vec::new(), &|_| true).unwrap_err())
}

fn said(error: Error) -> (TransportKind, String) {
    match error {
        Error::Transport {
            kind,
            message,
            unsent: false,
            ..
        } => (kind, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_breaks_the_rules_is_refused_with_its_reason() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let length = |length: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(70_000));
    let table = [
        ("SSH-2.0-OpenSSH\r\n".to_owned(), Other, "is it https://?"),
        (long_head, Other, "longer than 64 kB"),
        (length("-1"), Other, "content-length"),
        (length("1, 2"), Other, "content-length"),
        (length("99999999999"), Other, "larger than 64 MiB"),
        (length("67108865"), Other, "larger than 64 MiB"),
        (format!("{}{{", length("9")), Disconnected, "closed before"),
        (
            format!("{chunked}ffffffffffffffff\r\n{{"),
            Disconnected,
            "closed before",
        ),
        (
            format!("{chunked}fffffffffffffffff\r\n{{"),
            Disconnected,
            "chunk of an invalid size",
        ),
        (format!("{chunked}2\r\nabc"), Disconnected, "without an end"),
        (
            format!("{chunked}1;{}", "x".repeat(9_000)),
            Disconnected,
            "invalid size",
        ),
        (
            format!("{chunked}0\r\n{}", "x: y\r\n".repeat(20_000)),
            Disconnected,
            "too much behind",
        ),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100),
            Other,
            "without end",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned(),
            Other,
            "switches protocols",
        ),
    ];
    for (answer, kind, expected) in table {
        let start = answer.get(..60).unwrap_or(&answer).to_owned();
        let found = failure(answer.into_bytes());
        assert_eq!(found.0, kind, "{start:?}: {found:?}");
        assert!(found.1.contains(expected), "{start:?}: {found:?}");
    }
}

#[test]
fn an_answer_ends_at_64_mib_also_when_it_is_unpacked() {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    let zeros = vec![b' '; 1 << 20];
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..65 {
        packed.write_all(&zeros).unwrap();
    }
    let packed = packed.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let found = failure([head.as_bytes(), &packed].concat());
    assert!(found.1.contains("larger than 64 MiB"), "{found:?}");
    // Without a length it grows until it is too large; the server never ends it.
    let endless = zeros.repeat(65);
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let server = Server::start(move |_, _| Some([&head[..], &endless].concat()));
    let transport = transport(&server.url());
    let error = ask(&transport, b"{}").unwrap_err().to_string();
    assert!(error.contains("larger than 64 MiB"), "{error}");
}

#[test]
fn who_watches_what_is_held_can_end_the_reading() {
    let body = "x".repeat(3 << 20);
    let answer = format!(
        "HTTP/1.1 500 No\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = Server::start(move |_, _| Some(answer.clone().into_bytes()));
    let transport = transport(&server.url());
    let mut answer = post(&transport, b"{}", Bounds::default()).unwrap();
    let mut bytes = Vec::new();
    answer.read(&mut bytes, &|held| held < 1 << 20).unwrap();
    assert!((1 << 20..2 << 20).contains(&bytes.len()), "{}", bytes.len());
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read() {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    server::start(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        // Closed with unread bytes, the connection would be reset.
        let mut request = Vec::new();
        while !request.ends_with(b"{}") {
            let mut piece = [0; 1024];
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the request ends early");
            request.extend_from_slice(&piece[..count]);
        }
        for byte in OK.bytes() {
            stream.write_all(&[byte]).unwrap();
        }
    });
    assert_eq!(ask(&transport(&url), b"{}").unwrap(), (200, b"ok".to_vec()));
}

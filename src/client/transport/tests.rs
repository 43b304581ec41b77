//! Requests to scripted servers: what comes back, and what becomes of the connection.

mod cancel; //  tokens and deadlines
mod hostile; // servers that break the rules
mod server;

use std::sync::Arc;
use std::time::Duration;

use server::Server;

use super::*;
use crate::client::config::ClientBuilder;
use crate::limiter::Clock;

fn transport(base: &str) -> Transport {
    let base = BaseUrl::parse(base).unwrap();
    Transport::new(base, &[], &ClientBuilder::default().settings).unwrap()
}

fn post(transport: &Transport, body: &[u8], bounds: Bounds<'_>) -> Result<Answer> {
    transport.send(&Outgoing {
        method: "POST",
        path: "/v1/x",
        body,
        headers: None,
        bounds,
    })
}

/// Status and body of an answer.
fn ask(transport: &Transport, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let mut answer = post(transport, body, Bounds::default())?;
    let mut bytes = Vec::new();
    answer.read(&mut bytes, &|_| true)?;
    Ok((answer.status, bytes))
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn a_connection_carries_request_after_request() {
    let server = Server::start(|_, _| Some(OK.as_bytes().to_vec()));
    let transport = transport(&server.url());
    for round in 0..5 {
        let body = vec![b'x'; round * 300_000];
        assert_eq!(ask(&transport, &body).unwrap(), (200, b"ok".to_vec()));
    }
    assert_eq!(transport.connections().opened(), 1);
    let requests = server.requests();
    let lengths: Vec<usize> = requests.iter().map(|request| request.body.len()).collect();
    assert_eq!(lengths, [0, 300_000, 600_000, 900_000, 1_200_000]);
    let head = &requests[0].head;
    assert!(
        head.starts_with("POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:"),
        "{head}"
    );
}

#[test]
fn a_connection_is_used_again_only_where_that_is_safe() {
    let keep = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n";
    let table = [
        (OK.to_owned(), 1),
        (format!("{keep}connection: close\r\n\r\nok"), 2),
        (OK.replace("1.1", "1.0"), 2),
        // Unrequested bytes would be the answer to the next request.
        (format!("{OK}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"), 2),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 1),
        (format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{OK}"), 1),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;x\r\nk\r\n0\r\nx: y\r\n\r\n"
                .to_owned(),
            1,
        ),
    ];
    for (answer, opened) in table {
        let bytes = answer.clone().into_bytes();
        let server = Server::start(move |_, _| Some(bytes.clone()));
        let transport = transport(&server.url());
        for _ in 0..2 {
            let (status, body) = ask(&transport, b"{}").unwrap();
            let expected: &[u8] = if status == 204 { b"" } else { b"ok" };
            assert_eq!(body, expected, "{answer:?}");
        }
        assert_eq!(transport.connections().opened(), opened, "{answer:?}");
    }
}

#[test]
fn a_connection_that_the_server_closed_while_it_waited_is_replaced() {
    let server = Server::start(|number, _| (number != 1).then(|| OK.as_bytes().to_vec()));
    let transport = transport(&server.url());
    ask(&transport, b"{}").unwrap();
    server.close_all();
    // Seen as soon as the end of the connection has arrived.
    while transport.pool.take().is_some_and(|connection| {
        transport.pool.put(connection);
        true
    }) {
        std::thread::yield_now();
    }
    // What was sent in whole is not sent again: the server may have done it.
    ask(&transport, b"{}").unwrap_err();
    ask(&transport, b"{}").unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_answer_that_comes_before_the_request_was_read_is_read() {
    let refusal = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    let server = Server::early(refusal);
    let transport = transport(&server.url());
    // The end of the connection may overtake its answer, as it may for every client.
    match ask(&transport, &vec![b'x'; 32 << 20]) {
        Ok(answer) => assert_eq!(answer, (413, b"no".to_vec())),
        Err(Error::Transport { kind, .. }) => {
            assert_eq!(kind, TransportKind::Disconnected);
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_answer_of_a_server_that_reads_no_further_ends_the_sending() {
    let refusal = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
    let announced =
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
    for answer in [refusal, announced] {
        let server = Server::deaf(answer);
        let transport = transport(&server.url());
        let soon = Bounds {
            deadline: Some(Clock::real().now() + Duration::from_secs(60)),
            ..Bounds::default()
        };
        for opened in 1..=2 {
            let mut answer = post(&transport, &vec![b'x'; 32 << 20], soon).unwrap();
            let mut bytes = Vec::new();
            answer.read(&mut bytes, &|_| true).unwrap();
            assert_eq!((answer.status, &bytes[..]), (413, &b"no"[..]));
            // Part of the request is still on its way.
            assert_eq!(transport.connections().opened(), opened);
        }
    }
}

#[test]
fn what_is_only_announced_ends_no_sending() {
    use std::io::{Read, Write};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    const LENGTH: usize = 32 << 20;
    server::start(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 10";
        stream.write_all(interim.as_bytes()).unwrap();
        let (mut read, mut chunk) = (0, vec![0; 1 << 20]);
        while read < LENGTH {
            read += stream.read(&mut chunk).unwrap();
        }
        stream.write_all(b"2 Processing\r\n\r\n").unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let answer = ask(&transport(&url), &vec![b'x'; LENGTH]).unwrap();
    assert_eq!(answer, (200, b"ok".to_vec()));
}

#[test]
fn threads_share_connections() {
    let server = Server::start(|_, _| Some(OK.as_bytes().to_vec()));
    let transport = Arc::new(transport(&server.url()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(ask(&transport, b"{}").unwrap().1, b"ok");
                }
            });
        }
    });
    assert!(transport.connections().opened() <= 8);
    assert_eq!(server.requests().len(), 160);
}

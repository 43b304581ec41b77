//! HTTP, well and badly spoken, at a service that says what it was asked.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;

use super::clock::now;
use super::{Exchange, HttpLimits, Malformed, Request, Server, Service};

/// Answers `method target body`; `/panic` panics, `/half` panics in its answer, `/stream` has pieces, and
/// `/wait` waits.
struct Echo {
    began: Mutex<Sender<()>>,
    goes_on: Mutex<Receiver<()>>,
}

impl Service for Echo {
    fn serve(&self, request: Request, exchange: &mut Exchange<'_>) {
        let none = std::iter::empty;
        let said = match request.path() {
            "/panic" => panic!("as asked"),
            "/half" => {
                exchange.start(200, none()).unwrap();
                exchange.piece(b"half").unwrap();
                panic!("as asked");
            }
            "/stream" => {
                let sent = exchange
                    .start(200, [("content-type", "text/event-stream")].into_iter())
                    .and_then(|()| exchange.piece(b"data: 1\n\n"))
                    .and_then(|()| exchange.piece(b""))
                    .and_then(|()| exchange.piece(b"data: 2\n\n"))
                    .and_then(|()| exchange.finish());
                return sent.unwrap();
            }
            "/wait" => {
                self.began.lock().send(()).unwrap();
                self.goes_on.lock().recv().unwrap();
                b"waited".to_vec()
            }
            _ => {
                let said = format!("{} {} ", request.method, request.target);
                [said.into_bytes(), request.body].concat()
            }
        };
        let _ = exchange.send(200, none(), &said);
    }

    fn refuse(&self, malformed: Malformed, exchange: &mut Exchange<'_>) {
        let message = malformed.message.as_bytes();
        let _ = exchange.send(malformed.status, std::iter::empty(), message);
    }
}

struct Running {
    server: Server,
    began: Receiver<()>,
    go_on: Sender<()>,
}

fn start(limits: HttpLimits) -> Running {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (sender, began) = channel();
    let (go_on, receiver) = channel();
    let echo = Echo {
        began: Mutex::new(sender),
        goes_on: Mutex::new(receiver),
    };
    Running {
        server: Server::start(listener, limits, Arc::new(echo)).unwrap(),
        began,
        go_on,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.addr()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// All that comes for these bytes, up to the end of the connection.
    fn answer(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        read_to_end(&mut stream)
    }
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Reads up to and including `end`.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let running = start(HttpLimits::default());
    let said = running.answer(
        b"GET /1?a=b HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
          2;x=y\r\nab\r\n1\r\nc\r\n0\r\nA: b\r\n\r\nHEAD /3 HTTP/1.1\r\n\r\n\
          PATCH /4 HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\nd",
    );
    let bodies: Vec<_> = said.split("HTTP/1.1 200 OK").collect();
    assert!(bodies[1].ends_with("\r\n\r\nGET /1?a=b "), "{said}");
    assert!(bodies[2].ends_with("\r\n\r\nPOST /2 abc"), "{said}");
    assert!(
        bodies[3].ends_with("Content-Length: 8\r\n\r\n"),
        "no body: {said}"
    );
    assert!(bodies[4].ends_with("\r\n\r\nPATCH /4 d"), "{said}");
}

#[test]
fn a_stream_is_chunks_and_bytes_alone_for_http_1_0() {
    let running = start(HttpLimits::default());
    let said = running.answer(b"GET /stream HTTP/1.1\r\n\r\n");
    let body = "chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n";
    assert!(said.ends_with(body), "{said:?}");
    let said = running.answer(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let body = "Connection: close\r\n\r\ndata: 1\n\ndata: 2\n\n";
    assert!(said.ends_with(body), "{said:?}");
    let said = running.answer(b"HEAD /stream HTTP/1.1\r\n\r\n");
    assert!(said.ends_with("chunked\r\n\r\n"), "{said:?}");
}

#[test]
fn what_two_readers_could_understand_differently_is_refused() {
    let running = start(HttpLimits::default());
    let post = "POST /x HTTP/1.1\r\n";
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    let both = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let table = [
        (format!("{post}{both}"), 400),
        (
            format!("{post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            400,
        ),
        (format!("{post}Content-Length: 1, 1\r\n\r\na"), 400),
        (format!("{post}Content-Length : 1\r\n\r\na"), 400),
        (format!("{post}Content-Length: 0x1\r\n\r\na"), 400),
        (
            format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            501,
        ),
        (
            format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            501,
        ),
        (
            "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /x HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("GET /x HTTP/1.1\r\nHost: a\nB: c\r\n\r\n".to_owned(), 400),
        ("GET /x HTTP/1.1\r\nA: b\r\n c\r\n\r\n".to_owned(), 400),
        (
            "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
            400,
        ),
        ("\r\nGET /x HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("{chunked}1\na\r\n0\r\n\r\n"), 400),
        (format!("{chunked}1 \r\na\r\n0\r\n\r\n"), 400),
        (format!("{chunked}1\r\nab\r\n0\r\n\r\n"), 400),
        (format!("{chunked}0\r\nA: b\n\r\n"), 400),
        (format!("{post}Expect: 200-ok\r\n\r\n"), 417),
    ];
    for (bytes, status) in table {
        let said = running.answer(format!("{bytes}GET /smuggled HTTP/1.1\r\n\r\n").as_bytes());
        let expected = format!("HTTP/1.1 {status} ");
        assert!(said.starts_with(&expected), "{bytes:?}: {said:?}");
        assert!(!said.contains("smuggled"), "{bytes:?}: {said:?}");
    }
}

#[test]
fn a_panic_is_one_response_and_the_server_lives() {
    let running = start(HttpLimits::default());
    let said = running.answer(b"GET /panic HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 500 "), "{said}");
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
    let said = running.answer(b"GET /half HTTP/1.1\r\n\r\n");
    assert!(said.ends_with("4\r\nhalf\r\n"), "cut off: {said:?}");
    let said = running.answer(b"GET /2 HTTP/1.1\r\n\r\n");
    assert!(said.ends_with("GET /2 "), "{said}");
}

#[test]
fn silent_and_slow_connections_end() {
    let running = start(HttpLimits {
        idle: Duration::from_millis(50),
        transfer: Duration::from_millis(50),
        ..HttpLimits::default()
    });
    let mut silent = running.connect();
    assert_eq!(read_to_end(&mut silent), "");
    for bytes in [
        "GET /",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let mut slow = running.connect();
        slow.write_all(bytes.as_bytes()).unwrap();
        let said = read_to_end(&mut slow);
        assert!(said.starts_with("HTTP/1.1 408 "), "{bytes:?}: {said}");
    }
}

#[test]
fn sizes_and_connections_are_bounded() {
    let running = start(HttpLimits {
        max_body: 3,
        max_connections: 2,
        ..HttpLimits::default()
    });
    for bytes in [
        "POST /1 HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n",
    ] {
        let said = running.answer(bytes.as_bytes());
        assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    }
    // A refused client is listened to until it leaves.
    while running.server.connections() > 0 {
        std::thread::yield_now();
    }
    let mut held: Vec<_> = (0..2).map(|_| running.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        read_until(stream, "GET /a ");
    }
    let said = running.answer(b"GET /b HTTP/1.1\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(said.contains("connections"), "{said}");
}

#[test]
fn draining_finishes_responses_and_ends_what_is_idle() {
    let running = start(HttpLimits::default());
    let mut idle = running.connect();
    idle.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
    read_until(&mut idle, "GET /a ");
    let mut busy = running.connect();
    busy.write_all(b"GET /wait HTTP/1.1\r\n\r\n").unwrap();
    running.began.recv().unwrap();
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| running.server.drain(now() + Duration::from_secs(60)));
        assert_eq!(read_to_end(&mut idle), "");
        running.go_on.send(()).unwrap();
        let said = read_to_end(&mut busy);
        assert!(said.ends_with("waited"), "{said}");
        assert!(drained.join().unwrap());
    });
    assert_eq!(running.server.connections(), 0);
    assert!(TcpStream::connect(running.server.addr()).is_err());
}

#[test]
fn what_does_not_end_in_time_is_cut_off() {
    let running = start(HttpLimits::default());
    let mut busy = running.connect();
    busy.write_all(b"GET /wait HTTP/1.1\r\n\r\n").unwrap();
    running.began.recv().unwrap();
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| {
            let is_done = running.server.drain(now());
            running.server.stop();
            is_done
        });
        // The connection ends at once, its thread with its request.
        assert_eq!(read_to_end(&mut busy), "");
        running.go_on.send(()).unwrap();
        assert!(!drained.join().unwrap());
    });
}

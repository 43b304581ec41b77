//! Tokens and deadlines end an attempt wherever it is, and close its connection.

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::server::{Server, start};
use super::*;
use crate::TransportKind;
use crate::limiter::{CancelToken, Clock};

/// Only so that a test that fails does not hang. An attempt that nothing ends takes ten minutes.
const SOON: Duration = Duration::from_secs(60);

fn after(duration: Duration) -> Instant {
    Clock::real().now() + duration
}

/// Cancels an attempt once `is_there` returns, and returns what it ended with.
fn cancelled(url: &str, body: &[u8], is_there: impl FnOnce()) -> Error {
    let (transport, token) = (transport(url), CancelToken::new());
    let bounds = Bounds {
        deadline: None,
        cancel: Some(&token),
        ..Bounds::default()
    };
    let began = after(Duration::ZERO);
    let error = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answer = post(&transport, body, bounds)?;
            answer.read(&mut Vec::new(), &|_| true)
        });
        is_there();
        token.cancel();
        asking.join().unwrap().unwrap_err()
    });
    assert!(began.elapsed() < SOON);
    error
}

#[test]
fn a_token_ends_an_attempt_while_it_waits_for_the_head() {
    let server = Server::start(|_, _| Some(Vec::new()));
    let error = cancelled(&server.url(), b"{}", || server.wait_for_requests(1));
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    server.wait_for_closed(1);
}

#[test]
fn a_token_ends_an_attempt_while_it_reads_a_body() {
    let heads = [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{",
        // The end of the connection would be that of the body.
        "HTTP/1.1 200 OK\r\n\r\n{",
    ];
    for head in heads {
        let server = Server::start(|_, _| Some(head.as_bytes().to_vec()));
        let error = cancelled(&server.url(), b"{}", || server.wait_for_requests(1));
        assert!(matches!(error, Error::Cancelled), "{head:?}: {error:?}");
        server.wait_for_closed(1);
    }
}

#[test]
fn a_token_ends_an_attempt_while_it_sends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let error = cancelled(&url, &vec![b'x'; 64 << 20], || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        start(move || drop(stream.read_to_end(&mut Vec::new())));
    });
    assert!(matches!(error, Error::Cancelled), "{error:?}");
}

#[test]
fn a_token_ends_an_attempt_during_the_tls_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let error = cancelled(&url, b"{}", || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        start(move || drop(stream.read_to_end(&mut Vec::new())));
    });
    assert!(matches!(error, Error::Cancelled), "{error:?}");
}

/// A listener whose queue is full answers no further connection, so that one stays half open.
#[cfg(target_os = "linux")]
#[test]
fn a_token_ends_an_attempt_while_it_connects() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let brief = Duration::from_millis(100);
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, brief) {
        queued.push(stream);
    }
    // Whether it has begun to connect cannot be seen; the token ends it either way.
    let error = cancelled(&format!("http://{address}"), b"{}", || {
        thread::park_timeout(brief);
    });
    assert!(matches!(error, Error::Cancelled), "{error:?}");
}

#[test]
fn a_token_that_was_cancelled_before_ends_an_attempt_at_once_and_leaves_other_requests_alone() {
    let server = Server::start(|_, _| Some(OK.as_bytes().to_vec()));
    let (transport, token) = (transport(&server.url()), CancelToken::new());
    let bounds = Bounds {
        deadline: None,
        cancel: Some(&token),
        ..Bounds::default()
    };
    let mut answer = post(&transport, b"{}", bounds).unwrap();
    let mut bytes = Vec::new();
    answer.read(&mut bytes, &|_| true).unwrap();
    assert_eq!(bytes, b"ok");
    // Its connection is another's now.
    token.cancel();
    drop(answer);
    assert_eq!(ask(&transport, b"{}").unwrap().1, b"ok");
    assert_eq!(transport.connections().opened(), 1);
    let refused = post(&transport, b"{}", bounds).err();
    assert!(matches!(refused, Some(Error::Cancelled)), "{refused:?}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_deadline_ends_an_attempt_and_says_so() {
    let server = Server::start(|_, _| Some(b"HTTP/1.1 200 OK\r\n\r\n{".to_vec()));
    let silent = Server::start(|_, _| Some(Vec::new()));
    for server in [server, silent] {
        let transport = transport(&server.url());
        let bounds = Bounds {
            deadline: Some(after(Duration::from_millis(50))),
            cancel: None,
            ..Bounds::default()
        };
        let read = |mut answer: Answer| answer.read(&mut Vec::new(), &|_| true);
        let ended = post(&transport, b"{}", bounds).and_then(read);
        let Err(Error::DeadlineExceeded {
            last: Some(last), ..
        }) = ended
        else {
            panic!("{ended:?}");
        };
        assert!(
            matches!(
                *last,
                Error::Transport {
                    kind: TransportKind::Timeout,
                    unsent: false,
                    ..
                }
            ),
            "{last:?}"
        );
        assert!(after(Duration::ZERO) >= bounds.deadline.unwrap());
        assert!(bounds.deadline.unwrap().elapsed() < SOON);
        server.wait_for_closed(1);
    }
}

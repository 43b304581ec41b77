//! Servers that give every request the same answer: at once, when told to, or never.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Server {
    pub(crate) base_url: String,
    /// Says something for every request that has arrived.
    pub(crate) arrived: Receiver<()>,
}

/// Answers every request with this status and body.
pub(crate) fn answering(status: &'static str, body: &'static str) -> Server {
    answering_each(move |_| (status, body))
}

/// Answers each request with the status and the body that `answer` makes of its body.
pub(crate) fn answering_each(
    answer: impl Fn(&str) -> (&'static str, &'static str) + Clone + Send + 'static,
) -> Server {
    serve(move |mut stream, request| {
        let (status, body) = answer(&String::from_utf8_lossy(&request));
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
        let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
    })
}

/// Takes every request and never answers.
pub(crate) fn silent() -> Server {
    serve(|mut stream, _| {
        let _ = stream.read(&mut [0]); // until the other side hangs up
    })
}

/// Begins a stream with one piece, and sends no more.
pub(crate) fn begun() -> Server {
    serve(|mut stream, _| {
        let piece = r#"data: {"choices":[{"delta":{"content":"a"}}]}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
        let _ = write!(stream, "{head}connection: close\r\n\r\n{piece}\n\n");
        let _ = stream.read(&mut [0]); // until the other side hangs up
    })
}

/// Answers every request with this status once the second value is dropped.
pub(crate) fn gated(status: &'static str) -> (Server, Sender<()>) {
    let (gate, closed) = mpsc::channel();
    let closed = Arc::new(Mutex::new(closed));
    let server = serve(move |mut stream, _| {
        let _ = closed.lock().unwrap().recv();
        let body = r#"{"choices":[{"message":{"content":"fine"}}]}"#;
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    });
    (server, gate)
}

fn serve(answer: impl Fn(TcpStream, Vec<u8>) + Clone + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell, arrived) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (tell, answer) = (tell.clone(), answer.clone());
            thread::spawn(move || {
                if let Some(body) = read_request(&stream, &tell) {
                    answer(stream, body);
                }
            });
        }
    });
    Server { base_url, arrived }
}

/// Reads a request to its end, and returns its body.
pub(crate) fn read_body(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn read_request(stream: &TcpStream, tell: &Sender<()>) -> Option<Vec<u8>> {
    let body = read_body(&mut BufReader::new(stream))?;
    let _ = tell.send(());
    Some(body)
}

//! A small HTTP client that can also misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in small letters.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(it, _)| it == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn error(&self, field: &str) -> Value {
        self.json()["error"][field].clone()
    }
}

impl Client {
    pub(super) fn new(simulator: &Simulator) -> Self {
        let stream = TcpStream::connect(simulator.addr()).unwrap();
        // Only so that a failing test fails and does not hang.
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(super) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.post_with(path, "Authorization: Bearer key\r\n", &body.to_string())
    }

    pub(super) fn post_with(&mut self, path: &str, headers: &str, body: &str) -> Answer {
        self.send_post(path, headers, body);
        self.answer()
    }

    pub(super) fn send_post(&mut self, path: &str, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: sim\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ));
    }

    pub(super) fn get(&mut self, method: &str, path: &str) -> Answer {
        self.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer key\r\n\r\n"
        ));
        self.answer()
    }

    /// Reads one answer; panics when the connection ends before it does.
    pub(super) fn answer(&mut self) -> Answer {
        let end = loop {
            match self.buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                Some(end) => break end,
                None => assert!(self.fill(), "the connection ended"),
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        let mut answer = Answer {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: headers.collect(),
            body: Vec::new(),
        };
        answer.body = match answer.header("content-length") {
            Some(length) => self.take(length.parse().unwrap()),
            None if answer.header("transfer-encoding") == Some("chunked") => self.chunks(),
            None => Vec::new(),
        };
        answer
    }

    /// True when the server has ended the connection and nothing more came.
    pub(super) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = loop {
                match self.buffer.windows(2).position(|it| it == b"\r\n") {
                    Some(end) => break self.take(end + 2),
                    None => assert!(self.fill(), "the connection ended"),
                }
            };
            let size = String::from_utf8(size).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            let chunk = self.take(size);
            assert_eq!(self.take(2), b"\r\n");
            if size == 0 {
                return body;
            }
            body.extend(chunk);
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.fill(), "the connection ended");
        }
        self.buffer.drain(..length).collect()
    }

    /// False at the end of the connection, a reset included.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                count > 0
            }
            Err(error) => {
                let kind = error.kind();
                assert_eq!(kind, io::ErrorKind::ConnectionReset, "{error}");
                false
            }
        }
    }
}

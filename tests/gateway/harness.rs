//! Clients, and servers before and behind the gateway.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use paceline::gateway::{Gateway, GatewayBuilder};
use paceline::sim::{SimConfig, SimLimits, Simulator};
use paceline::{ClientBuilder, LimitTable, Limits, RateLimitedClient, Registry};
use serde_json::{Value, json};

/// The provider's key, which must be seen nowhere.
pub(crate) const KEY: &str = "sk-proj-Zq81xT0pS3cr3tV7";
pub(crate) const CHAT: &str = "/v1/chat/completions";
/// More than any machine needs.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) fn unlimited() -> Limits {
    Limits::tokens_per_minute(1_000_000_000).unwrap()
}

/// A registry of its own with these limits for each model.
pub(crate) fn registry(limits: Limits) -> Arc<Registry> {
    Arc::new(Registry::new(LimitTable::empty(limits)))
}

/// Settings for the API at `base_url`, with the gateway's key.
pub(crate) fn upstream(base_url: &str, limits: Limits) -> ClientBuilder {
    RateLimitedClient::builder()
        .base_url(base_url)
        .api_key(KEY)
        .registry(registry(limits))
}

pub(crate) fn builder(upstream: ClientBuilder) -> GatewayBuilder {
    Gateway::builder(upstream).listen(([127, 0, 0, 1], 0))
}

pub(crate) fn simulator(config: SimConfig) -> Simulator {
    Simulator::start(config).unwrap()
}

/// A simulator without limits that takes the gateway's key alone.
pub(crate) fn free_simulator() -> Simulator {
    let config = SimConfig::new().default_limits(SimLimits::default());
    simulator(config.api_key(Some(KEY.to_owned())))
}

pub(crate) fn chat(cap: u64) -> Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "How far is the moon?"}],
        "max_completion_tokens": cap,
    })
}

/// A connection to the gateway.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a POST of JSON with further headers, each with its line's end.
    pub(crate) fn send_post(&mut self, path: &str, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ));
    }

    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &str) -> Answer {
        self.send_post(path, headers, body);
        self.answer()
    }

    pub(crate) fn get(&mut self, path: &str, headers: &str) -> Answer {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        ));
        self.answer()
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).unwrap();
        byte[0]
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte());
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    pub(crate) fn head(&mut self) -> Answer {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Answer {
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// The next chunk of a body; empty at its end.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let length = usize::from_str_radix(&self.line(), 16).unwrap();
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line(), "");
        chunk
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if let Some(length) = answer.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut body).unwrap();
            answer.body = body;
        } else if answer.header("transfer-encoding").is_some() {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                answer.body.extend(chunk);
            }
        }
        answer
    }
}

/// A server behind the gateway that says what a test has written, and shows what came. It serves one connection for
/// each answer, on a thread.
pub(crate) struct Canned {
    pub(crate) base_url: String,
    /// The requests as they came.
    pub(crate) seen: Receiver<Vec<u8>>,
}

/// What a canned server does with one connection.
pub(crate) type Act = Box<dyn FnOnce(&mut TcpStream) + Send>;

pub(crate) fn canned(acts: Vec<Act>) -> Canned {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (sender, seen) = channel();
    thread::spawn(move || {
        for act in acts {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = sender.send(read_request(&mut stream));
            act(&mut stream);
            let _ = stream.shutdown(Shutdown::Write);
        }
    });
    Canned { base_url, seen }
}

/// Answers with these bytes and closes the connection.
pub(crate) fn says(bytes: impl Into<Vec<u8>>) -> Act {
    let bytes = bytes.into();
    Box::new(move |stream| {
        let _ = stream.write_all(&bytes);
    })
}

fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return bytes;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    bytes.extend(body);
    bytes
}

/// Waits until the condition holds: however slow the machine, but not for ever.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "it never holds");
        thread::yield_now();
    }
}

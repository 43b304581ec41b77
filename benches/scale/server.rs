//! The server: one thread and a readiness loop, so that it costs little beside what is measured.
//!
//! It holds each request for a fixed latency and admits a fixed rate with a bucket of one second;
//! what comes above that gets a 429 at once. It counts on its own clock and shares no code with the
//! limiter.

use std::collections::{HashMap, VecDeque};
use std::env;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::Result;
use crate::system::raise_descriptor_limit;

pub(crate) const FLAG: &str = "--serve";

/// What the server enforces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) latency: Duration,
    /// Requests a second; 0 is no limit.
    pub(crate) rate: u64,
}

const OK: &str = concat!(
    r#"{"id":"c","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"Done."},"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}"#
);
const LIMITED: &str = concat!(
    r#"{"error":{"message":"Rate limit reached for requests","type":"requests","#,
    r#""param":null,"code":"rate_limit_exceeded"}}"#
);

fn response(status: &str, extra: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{extra}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A connection, plain or over TLS.
struct Peer {
    socket: TcpStream,
    tls: Option<ServerConnection>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Peer {
    /// Takes in what has arrived; false at the end of the connection.
    fn receive(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        loop {
            let read = match &mut self.tls {
                None => self.socket.read(&mut chunk),
                Some(tls) => tls.read_tls(&mut self.socket),
            };
            match read {
                Ok(0) => return Ok(false),
                Ok(count) if self.tls.is_none() => self.input.extend_from_slice(&chunk[..count]),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
            if let Some(tls) = &mut self.tls {
                let state = tls.process_new_packets().map_err(io::Error::other)?;
                let plain = state.plaintext_bytes_to_read();
                let mut bytes = vec![0; plain];
                tls.reader().read_exact(&mut bytes)?;
                self.input.extend_from_slice(&bytes);
            }
        }
    }

    /// Takes one whole request off the input.
    fn take_request(&mut self) -> bool {
        let Some(head) = find(&self.input, b"\r\n\r\n") else {
            return false;
        };
        let text = String::from_utf8_lossy(&self.input[..head]).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or(0);
        let end = head + 4 + length;
        if self.input.len() < end {
            return false;
        }
        self.input.drain(..end);
        if self.input.is_empty() {
            self.input = Vec::new(); // a connection that waits holds no buffer
        }
        true
    }

    /// Sends what can be sent; an answer this small always fits.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.output.extend_from_slice(bytes),
            Some(tls) => tls.writer().write_all(bytes)?,
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.output)?;
            }
        }
        if !self.output.is_empty() {
            self.socket.write_all(&self.output)?;
            self.output = Vec::new();
        }
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Serves until standard input ends, then prints how many it admitted and refused.
pub(crate) fn serve(mut arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    let mut next = || arguments.next().ok_or("too few arguments");
    let latency = Duration::from_millis(next()?.parse()?);
    let rate: u64 = next()?.parse()?;
    let certificate = arguments.next();
    raise_descriptor_limit()?;
    let tls = match certificate {
        Some(folder) => Some(Arc::new(tls_config(Path::new(&folder))?)),
        None => None,
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    rustix::net::listen(&listener, 20_000)?;
    listener.set_nonblocking(true)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("{scheme}://127.0.0.1:{}/v1", listener.local_addr()?.port());

    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64;
    epoll::add(&poll, &listener, data(0), epoll::EventFlags::IN)?;
    let stdin = io::stdin();
    epoll::add(&poll, stdin.as_fd(), data(1), epoll::EventFlags::IN)?;
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    let mut due: VecDeque<(Instant, u64)> = VecDeque::new();
    let mut number = 2;
    let mut events = Vec::with_capacity(1024);
    let (mut bucket, mut looked) = (rate as f64, Instant::now());
    let (mut admitted, mut refused, mut most) = (0_u64, 0_u64, 0_usize);
    let ok = response("200 OK", "", OK);
    let limited = response("429 Too Many Requests", "retry-after: 1\r\n", LIMITED);
    loop {
        let now = Instant::now();
        let wait = due.front().map(|(at, _)| at.saturating_duration_since(now));
        let wait = wait.map(|wait| Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), wait.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                0 => loop {
                    let (socket, _) = match listener.accept() {
                        Ok(peer) => peer,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    };
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    let flags = epoll::EventFlags::IN;
                    epoll::add(&poll, &socket, data(number), flags)?;
                    let tls = tls
                        .as_ref()
                        .map(|tls| ServerConnection::new(Arc::clone(tls)));
                    let peer = Peer {
                        socket,
                        tls: tls.transpose()?,
                        input: Vec::new(),
                        output: Vec::new(),
                    };
                    peers.insert(number, peer);
                    number += 1;
                },
                1 => {
                    println!("{admitted} {refused} {most}");
                    return Ok(ExitCode::SUCCESS);
                }
                id => {
                    let Some(peer) = peers.get_mut(&id) else {
                        continue;
                    };
                    let is_open = peer.receive().and_then(|open| peer.flush().map(|()| open));
                    while peer.take_request() {
                        let now = Instant::now();
                        let came = now.duration_since(looked).as_secs_f64() * rate as f64;
                        (bucket, looked) = ((bucket + came).min(rate as f64), now);
                        if rate == 0 || bucket >= 1.0 {
                            bucket -= 1.0;
                            admitted += 1;
                            due.push_back((now + latency, id));
                            most = most.max(due.len());
                        } else {
                            refused += 1;
                            let _ = peer.send(&limited);
                        }
                    }
                    if !matches!(is_open, Ok(true)) {
                        peers.remove(&id);
                    }
                }
            }
        }
        let now = Instant::now();
        while due.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = due.pop_front() else {
                break;
            };
            if let Some(peer) = peers.get_mut(&id)
                && peer.send(&ok).is_err()
            {
                peers.remove(&id);
            }
        }
    }
}

fn tls_config(folder: &Path) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(folder.join("cert.pem"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder
        .with_no_client_auth()
        .with_single_cert(chain.collect::<Result<_, _>>()?, key)?)
}

/// The server as a process of its own.
pub(crate) struct Server {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    url: String,
}

/// What a server saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    /// Held at once.
    pub(crate) most: u64,
}

impl Server {
    pub(crate) fn start(terms: Terms, certificate: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .arg(FLAG)
            .arg(terms.latency.as_millis().to_string())
            .arg(terms.rate.to_string());
        if let Some(folder) = certificate {
            command.arg(folder);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().ok_or("no standard output")?;
        let (mut said, mut url) = (BufReader::new(said), String::new());
        said.read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self { child, said, url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it, and returns what it saw.
    pub(crate) fn end(mut self) -> Result<Seen> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        self.child.wait()?;
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        match numbers[..] {
            [admitted, refused, most] => Ok(Seen {
                admitted,
                refused,
                most,
            }),
            _ => Err(format!("the server said {line:?}").into()),
        }
    }
}

//! A server that does as it is told: request k, in the order of arrival, gets step k.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Only so that a failing test fails and does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of one request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// These bytes, head and body; the connection stays open.
    Answer(String),
    /// The same of what is no text.
    Bytes(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(String),
    /// These bytes, when so many requests have arrived.
    Together(usize, String),
    /// Nothing, and the connection stays open.
    Stall,
}

impl Step {
    /// A whole answer with `headers` (lines without their ends) and a JSON body.
    pub(crate) fn json(status: u16, headers: &[&str], body: &str) -> Self {
        let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        Self::Answer(format!(
            "{head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// An error in the API's shape.
    pub(crate) fn error(status: u16, code: &str, headers: &[&str]) -> Self {
        let body = format!(r#"{{"error":{{"message":"as told","type":"t","code":"{code}"}}}}"#);
        Self::json(status, headers, &body)
    }

    /// A chat answer that says "fine", and what it used.
    pub(crate) fn chat(prompt_tokens: u64, completion_tokens: u64) -> Self {
        let body = format!(
            r#"{{"choices":[{{"message":{{"role":"assistant","content":"fine"}},"finish_reason":"stop"}}],
            "usage":{{"prompt_tokens":{prompt_tokens},"completion_tokens":{completion_tokens}}}}}"#
        );
        Self::json(200, &["x-request-id: req_1"], &body)
    }

    /// The end of the connection in place of an answer.
    pub(crate) fn hang_up() -> Self {
        Self::Last(String::new())
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// Method, path and version.
    pub(crate) line: String,
    /// One a line, as sent.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// A running server. Dropped, it has closed its connections and ended its threads.
pub(crate) struct Scripted {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    steps: Vec<Step>,
    stopped: AtomicBool,
    seen: Mutex<Seen>,
    arrived: Condvar,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Arrived>,
    connections: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Scripted {
    pub(crate) fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            steps: steps.into_iter().collect(),
            stopped: AtomicBool::new(false),
            seen: Mutex::new(Seen::default()),
            arrived: Condvar::new(),
        });
        let for_listener = Arc::clone(&shared);
        let listener = thread::spawn(move || accept(&listener, &for_listener));
        Self {
            addr,
            shared,
            listener: Some(listener),
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Arrived> {
        self.shared.seen.lock().unwrap().requests.clone()
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.seen.lock().unwrap().connections.len()
    }

    /// Blocks until `count` requests have arrived.
    pub(crate) fn wait_for(&self, count: usize) {
        self.shared.wait_for(count);
    }
}

impl Shared {
    fn wait_for(&self, count: usize) {
        let seen = self.seen.lock().unwrap();
        let few = |seen: &mut Seen| seen.requests.len() < count;
        let waited = self.arrived.wait_timeout_while(seen, PATIENCE, few);
        assert!(
            !waited.unwrap().1.timed_out(),
            "{count} requests never came"
        );
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The listener sleeps in `accept`, which only a connection ends.
        let _ = TcpStream::connect(self.addr);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let (connections, threads) = {
            // A test that failed with the lock held must not fail again here.
            let seen = self.shared.seen.lock();
            let mut seen = seen.unwrap_or_else(std::sync::PoisonError::into_inner);
            (
                std::mem::take(&mut seen.connections),
                std::mem::take(&mut seen.threads),
            )
        };
        for connection in connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.unwrap();
        let mut seen = shared.seen.lock().unwrap();
        seen.connections.push(stream.try_clone().unwrap());
        let for_thread = Arc::clone(shared);
        seen.threads
            .push(thread::spawn(move || serve(&stream, &for_thread)));
    }
}

/// Answers one connection until either side ends it.
fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let step = {
            let mut seen = shared.seen.lock().unwrap();
            seen.requests.push(request);
            shared.arrived.notify_all();
            shared.steps.get(seen.requests.len() - 1).cloned()
        };
        // A request that the script does not know of is final, and the test counts it.
        let step = step.unwrap_or_else(|| Step::error(400, "the_script_has_ended", &[]));
        let mut writer = stream;
        let written = match &step {
            Step::Answer(bytes) | Step::Last(bytes) => writer.write_all(bytes.as_bytes()),
            Step::Bytes(bytes) => writer.write_all(bytes),
            Step::Together(count, bytes) => {
                shared.wait_for(*count);
                writer.write_all(bytes.as_bytes())
            }
            Step::Stall => Ok(()),
        };
        if written.is_err() || matches!(step, Step::Last(_)) {
            // A clone of the stream is kept, so dropping this one would not close it.
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// The next request with its body; None at the end of the connection.
fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Arrived> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut headers = lines.into_iter();
    let line = headers.next()?;
    let headers: Vec<String> = headers.collect();
    let length = headers.iter().find_map(|header| {
        let (name, value) = header.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Arrived {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

//! A server for tests: what it answers to the request of each number, a function says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};

pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// What is done with a connection.
type Serve = dyn Fn(TcpStream, &State) + Send + Sync;

/// A running server. It ends with its test's process.
pub(super) struct Server {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    open: Vec<TcpStream>,
    /// Connections whose client has closed them.
    closed: usize,
}

impl Server {
    /// Answers with what `answer` returns for a request, counted from 0; with the end of the connection
    /// for none. What is empty leaves the request without an answer.
    pub(super) fn start(
        answer: impl Fn(usize, &Request) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::serving(Arc::new(move |stream: TcpStream, state: &State| {
            let kept = stream.try_clone();
            let _ = serve(stream, state, &answer);
            // Another handle of it is kept above.
            let _ = kept.and_then(|kept| kept.shutdown(Shutdown::Both));
        }))
    }

    /// Answers before it has read anything, and closes the connection.
    pub(super) fn early(answer: &'static str) -> Self {
        Self::serving(Arc::new(move |mut stream: TcpStream, state: &State| {
            let _ = stream.write_all(answer.as_bytes());
            state.seen.lock().open.clear(); // no handle of it is left
        }))
    }

    /// Answers before it has read anything, reads nothing, and keeps the connection open.
    pub(super) fn deaf(answer: &'static str) -> Self {
        Self::serving(Arc::new(move |mut stream: TcpStream, _: &State| {
            let _ = stream.write_all(answer.as_bytes());
        }))
    }

    fn serving(serve: Arc<Serve>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        start(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (serve, shared) = (Arc::clone(&serve), Arc::clone(&shared));
                let kept = stream.try_clone().unwrap();
                shared.seen.lock().open.push(kept);
                start(move || {
                    serve(stream, &shared);
                    shared.seen.lock().closed += 1;
                    shared.changed.notify_all();
                });
            }
        });
        Self { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.seen.lock().requests)
    }

    /// Waits until `count` requests have arrived.
    pub(super) fn wait_for_requests(&self, count: usize) {
        let mut seen = self.state.seen.lock();
        while seen.requests.len() < count {
            self.state.changed.wait(&mut seen);
        }
    }

    /// Waits until `count` connections have ended.
    pub(super) fn wait_for_closed(&self, count: usize) {
        let mut seen = self.state.seen.lock();
        while seen.closed < count {
            self.state.changed.wait(&mut seen);
        }
    }

    pub(super) fn close_all(&self) {
        for stream in self.state.seen.lock().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

pub(super) fn start(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().spawn(work).unwrap();
}

fn serve(
    mut stream: TcpStream,
    state: &State,
    answer: &dyn Fn(usize, &Request) -> Option<Vec<u8>>,
) -> std::io::Result<()> {
    let mut input = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let end = loop {
            if let Some(end) = input.windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                count => input.extend_from_slice(&chunk[..count]),
            }
        };
        let rest = input.split_off(end);
        let head = String::from_utf8(std::mem::replace(&mut input, rest)).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while input.len() < length {
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                count => input.extend_from_slice(&chunk[..count]),
            }
        }
        let rest = input.split_off(length);
        let body = std::mem::replace(&mut input, rest);
        let request = Request { head, body };
        let number = state.seen.lock().requests.len();
        let answer = answer(number, &request);
        state.seen.lock().requests.push(request);
        state.changed.notify_all();
        match answer {
            Some(answer) => stream.write_all(&answer)?,
            None => return Ok(()),
        }
    }
}

//! Reading and counting: one thread takes lines, as many as there are cores count tokens.

pub(super) mod fallback; // from the flex tier to the usual one

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::fingerprint::Fingerprint;
use super::ids::Known;
use super::input::{BadLine, Input, LineRead, Request, Requests};
use super::wait::{StopSignal, panicked, start};
use crate::batch::dispatch::spool::Spooled;
use crate::batch::read::requests::RequestSet;
use crate::limiter::CancelToken;
use crate::{Error, Prepared, RateLimitedClient, Result};

/// Lines that are read and not counted yet, at most: 8 hand-overs of [`TOGETHER`] lines.
const READ_AHEAD: usize = 1_024;
/// Lines that are handed on together, at most: for each hand-over a thread may have to be woken.
const TOGETHER: usize = 128;
/// Lines that together have this many bytes are handed on without more.
const TOGETHER_BYTES: usize = 64 * 1024;

/// What comes of a line.
pub(super) enum Event {
    /// A request, counted.
    Counted(Counted),
    /// It stands in the results already.
    Finished,
    /// It failed in an earlier run and is skipped.
    Failed,
    /// It is no request, or not the one that has a result already.
    Bad(BadLine),
    /// The input cannot be read on.
    Broken(Error),
}

/// A request that can be admitted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) line: u64,
    pub(super) custom_id: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) request: Prepared,
}

impl Counted {
    /// The line, which is not sent for this reason; `input` is what messages call its file.
    pub(super) fn refused(self, input: &str, message: &str) -> BadLine {
        BadLine {
            line: self.line,
            message: format!("{input}:{}: {message}", self.line),
            custom_id: Some(self.custom_id),
        }
    }

    /// One that has waited on the disk.
    pub(super) fn of(client: &RateLimitedClient, spooled: Spooled<'_>) -> Self {
        let Spooled {
            line,
            custom_id,
            fingerprint,
            path,
            model,
            estimate,
            body,
        } = spooled;
        let tier = fallback::tier_in(&body);
        Self {
            line,
            custom_id: custom_id.into_owned(),
            fingerprint,
            request: Prepared::of(
                client,
                path.into_owned(),
                body.into_owned(),
                model.into_owned(),
                estimate,
            )
            .in_tier(tier),
        }
    }
}

/// What the reading thread hands on.
pub(super) enum Line {
    Request(Request),
    Bad(BadLine),
    /// This number of lines that have a result of their own request.
    Finished(u64),
    Broken(Error),
}

/// Reads the first lines of an input, which fails when it is refused as a whole. From a pipe that
/// says nothing a stop returns at once, with nothing to read; the thread that reads stays behind.
pub(super) fn begin(mut input: Input, stop: &CancelToken) -> Result<Input> {
    if input.is_file() {
        return Ok(input); // it was looked at when it was opened
    }
    let name = input.name().to_owned();
    let (told, begun) = bounded(1);
    let stop_signal = StopSignal::on(stop);
    start("paceline-begin", move || {
        let checked = input.check();
        // The receiver is gone when the run was stopped meanwhile.
        let _ = told.send(checked.map(|()| input));
    })?;
    select! {
        recv(begun) -> begun => begun.map_err(|_| panicked("reads"))?,
        recv(stop_signal.stopped) -> _ => Ok(Input::reader(name, std::io::empty())),
    }
}

/// Starts the threads, which tell `sink` what comes of each line. They let go of it at the end of
/// the input, or soon after `stop`: also when the input is a pipe that says nothing, in whose read
/// the reading thread then stays behind. That one has no hold on the sink.
pub(super) fn count(
    client: &RateLimitedClient,
    requests: Requests,
    seen: Option<RequestSet>,
    stop: &CancelToken,
    sink: &Arc<impl Fn(Event) + Send + Sync + 'static>,
) -> Result<()> {
    let counter = Counter {
        client: client.clone(),
        name: requests.name().to_owned(),
        seen: seen.clone(),
    };
    let sink = Arc::clone(sink);
    let line_sink = move |line| {
        sink(match line {
            Line::Request(request) => counter.count(request),
            Line::Bad(bad) => Event::Bad(bad),
            Line::Finished(count) => return (0..count).for_each(|_| sink(Event::Finished)),
            Line::Broken(error) => Event::Broken(error),
        });
    };
    side_by_side(requests, seen, stop, &Arc::new(line_sink))
}

/// The same for what is done with each line.
pub(super) fn side_by_side(
    requests: Requests,
    seen: Option<RequestSet>,
    stop: &CancelToken,
    sink: &Arc<impl Fn(Line) + Send + Sync + 'static>,
) -> Result<()> {
    let (lines, queue) = bounded(READ_AHEAD / TOGETHER);
    let stop_signal = StopSignal::on(stop);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    for _ in 0..threads {
        let worker = Worker {
            queue: queue.clone(),
            stop_signal: Arc::clone(&stop_signal),
            stop: stop.clone(),
        };
        let sink = Arc::clone(sink);
        start("paceline-count", move || {
            let panicked = || sink(Line::Broken(panicked("counts")));
            let _told = InPanic(panicked);
            worker.take_lines(&*sink);
        })?;
    }
    let stop = stop.clone();
    start("paceline-read", move || {
        let panicked = || drop(lines.send(vec![Line::Broken(panicked("reads"))]));
        let _told = InPanic(panicked);
        read_lines(requests, seen.as_ref(), &lines, &stop);
    })
}

/// Calls this when its thread panics: a run that lost lines must not end as if it had not.
struct InPanic<F: Fn()>(F);

impl<F: Fn()> Drop for InPanic<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

fn read_lines(
    mut requests: Requests,
    seen: Option<&RequestSet>,
    lines: &Sender<Vec<Line>>,
    stop: &CancelToken,
) {
    let mut is_last = false;
    while !is_last && !stop.is_cancelled() {
        let (mut together, mut bytes) = (Vec::new(), 0_usize);
        loop {
            let finished = |id: &str, of| {
                if let Some(seen) = seen {
                    seen.add(id, of);
                }
            };
            let line = match requests.next_line(finished) {
                Ok(None) => {
                    is_last = true;
                    break;
                }
                Ok(Some(LineRead::Request(request))) => Line::Request(request),
                Ok(Some(LineRead::Bad(bad))) => Line::Bad(bad),
                Ok(Some(LineRead::Finished)) => Line::Finished(1),
                Err(error) => {
                    is_last = true; // nothing more can be read
                    Line::Broken(error)
                }
            };
            match (&line, together.last_mut()) {
                (Line::Finished(one), Some(Line::Finished(count))) => *count += one,
                _ => together.push(line),
            }
            bytes = bytes.saturating_add(requests.size());
            // What has arrived does not wait for what may never come.
            let is_enough = together.len() == TOGETHER || bytes >= TOGETHER_BYTES;
            if is_last || is_enough || !requests.is_at_hand() {
                break;
            }
        }
        if lines.send(together).is_err() {
            return; // every counting thread has ended
        }
    }
}

/// What a counting thread needs.
struct Worker {
    queue: Receiver<Vec<Line>>,
    stop_signal: Arc<StopSignal>,
    stop: CancelToken,
}

impl Worker {
    fn take_lines(self, sink: &impl Fn(Line)) {
        loop {
            let lines = select! {
                recv(self.queue) -> lines => lines.ok(),
                recv(self.stop_signal.stopped) -> _ => None,
            };
            let Some(lines) = lines else {
                return;
            };
            for line in lines {
                // The signal and lines can be there at once, and then either is taken.
                if self.stop.is_cancelled() {
                    return;
                }
                sink(line);
            }
        }
    }
}

/// What it takes to make an event of a request.
struct Counter {
    client: RateLimitedClient,
    name: String,
    /// Where the requests are collected, if they are.
    seen: Option<RequestSet>,
}

impl Counter {
    fn count(&self, request: Request) -> Event {
        let Request {
            line,
            custom_id,
            url,
            body,
            text: exact,
            known,
        } = request;
        let place = || format!("{}:{line}", self.name);
        let text = body.to_string();
        let fingerprint = Fingerprint::of_exact(&url, &body, &text, exact.as_deref());
        let text = exact.unwrap_or(text);
        if let Some(seen) = &self.seen {
            seen.add(&custom_id, fingerprint);
        }
        match known {
            Some(Known::Failed(print)) if print.is_none_or(|print| print == fingerprint) => {
                return Event::Failed;
            }
            Some(Known::Finished(Some(other))) if other != fingerprint => {
                let message = format!(
                    "{}: custom_id {custom_id:?} has a result already, of a request with \
                     another url or body (fingerprint {other}, here {fingerprint}); give this one \
                     another custom_id, or start over with --fresh",
                    place()
                );
                return Event::Bad(BadLine {
                    line,
                    custom_id: Some(custom_id),
                    message,
                });
            }
            Some(Known::Finished(_)) => return Event::Finished,
            // What failed was another request.
            Some(Known::Line(_) | Known::Failed(_)) | None => {}
        }
        match self.client.prepare_counted(&url, &body, text) {
            Ok(request) => Event::Counted(Counted {
                line,
                custom_id,
                fingerprint,
                request,
            }),
            Err(error) => Event::Bad(BadLine {
                line,
                custom_id: Some(custom_id),
                message: format!("{}: {error}", place()),
            }),
        }
    }
}

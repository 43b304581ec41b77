//! One thread reads lines, and as many as there are cores do something with each.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::requests::RequestSet;
use crate::batch::input::{BadLine, LineRead, Request, Requests};
use crate::batch::wait::{StopSignal, panicked, start};
use crate::limiter::CancelToken;
use crate::{Error, Result};

/// Lines that are read and not counted yet, at most: 8 hand-overs of [`TOGETHER`] lines.
const READ_AHEAD: usize = 1_024;
/// Lines that are handed on together, at most: for each hand-over a thread may have to be woken.
const TOGETHER: usize = 128;
/// Lines that together have this many bytes are handed on without more.
const TOGETHER_BYTES: usize = 64 * 1024;

/// What the reading thread hands on.
pub(in crate::batch) enum Line {
    Request(Request),
    Bad(BadLine),
    /// This number of lines that have a result of their own request.
    Finished(u64),
    Broken(Error),
}

/// Starts the threads, which pass each line to `sink`. They let go of it at the end of the input, or soon
/// after `stop`: also when the input is a pipe that says nothing, in whose read the reading thread then
/// stays behind. That one has no hold on the sink.
pub(in crate::batch) fn side_by_side(
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

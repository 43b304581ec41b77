//! Reading and counting: one thread takes lines, as many as there are cores count tokens.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::input::{BadLine, Request, Requests};
use crate::limiter::CancelToken;
use crate::{Error, Prepared, RateLimitedClient, Result};

/// Lines that are read and not counted yet, at most.
const READ_AHEAD: usize = 256;

/// What comes of a line.
pub(super) enum Event {
    /// A request, counted.
    Counted(Counted),
    /// It stands in the results already.
    Finished,
    /// It is no request.
    Bad(BadLine),
    /// The input cannot be read on.
    Broken(Error),
}

/// A request that can be admitted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) custom_id: String,
    pub(super) request: Prepared,
}

/// Starts the threads, which tell `sink` what comes of each line and end with the input, or soon
/// after `stop`.
pub(super) fn count(
    client: &RateLimitedClient,
    requests: Requests,
    finished: HashSet<String>,
    stop: &CancelToken,
    sink: &Arc<impl Fn(Event) + Send + Sync + 'static>,
) -> Result<()> {
    let (lines, queue) = bounded(READ_AHEAD);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    for _ in 0..threads {
        let (client, queue) = (client.clone(), queue.clone());
        let (sink, stop) = (Arc::clone(sink), stop.clone());
        start("paceline-count", move || {
            count_lines(&client, &queue, &stop, &*sink);
        })?;
    }
    let (sink, stop) = (Arc::clone(sink), stop.clone());
    start("paceline-read", move || {
        read_lines(requests, &finished, &lines, &stop, &*sink);
    })
}

fn read_lines(
    mut requests: Requests,
    finished: &HashSet<String>,
    lines: &Sender<Request>,
    stop: &CancelToken,
    sink: &impl Fn(Event),
) {
    while !stop.is_cancelled() {
        match requests.next() {
            Ok(None) => return,
            Ok(Some(Ok(request))) if finished.contains(&request.custom_id) => sink(Event::Finished),
            Ok(Some(Ok(request))) => {
                if lines.send(request).is_err() {
                    return; // nobody counts any more
                }
            }
            Ok(Some(Err(bad))) => sink(Event::Bad(bad)),
            Err(error) => return sink(Event::Broken(error)),
        }
    }
}

fn count_lines(
    client: &RateLimitedClient,
    queue: &Receiver<Request>,
    stop: &CancelToken,
    sink: &impl Fn(Event),
) {
    for Request {
        custom_id,
        url,
        body,
    } in queue
    {
        if stop.is_cancelled() {
            return;
        }
        sink(match client.prepare(&url, &body) {
            Ok(request) => Event::Counted(Counted { custom_id, request }),
            Err(error) => Event::Bad(BadLine {
                custom_id: Some(custom_id),
                message: error.to_string(),
            }),
        });
    }
}

/// Starts a thread of the run's.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::Threads {
            threads: 1,
            reason: error.to_string(),
        })
}

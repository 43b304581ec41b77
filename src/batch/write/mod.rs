//! The last stage: each outcome written as it comes, and kept while it cannot be.
//!
//! An answer is paid for. When it cannot be written, because the disk is full or the like, it is
//! kept in memory and no new request is begun, until there is room again or the timeout has passed.

pub(super) mod backpressure; // no new request while results cannot be written
pub(super) mod journal; //      the output files: what is done, and what failed
pub(super) mod names; //        where outputs go
pub(super) mod output; //       one of them: locked, read, appended to
mod parts; // what a writer needs, and what comes of it

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, bounded, never, select};
use parking_lot::{Mutex, MutexGuard};

use super::events::{Outcome, RunEvent};
use super::record::Record;
use crate::batch::write::output::{Sent, Stream};
use crate::{Error, Result};

pub(super) use parts::{Sink, Times, Writing, Written};

/// Outcomes that are kept while they cannot be written, at most: far fewer requests are in flight
/// when writing fails, unless their count is wrong as well. `write/tests.rs` checks it.
const MOST_KEPT: usize = 10_000;

/// Writes outcomes, on the threads that have them: a request keeps its thread until its answer stands
/// in the file, so a kill loses at most the requests in flight.
///
/// # Locking
///
/// The lock is held while a line is written or synced. Under it a run may be stopped and new requests be
/// held up, so no thread comes here with a lock of those. A thread that makes a flush due calls the
/// flush timer after it has released the lock.
pub(super) struct ResultWriter<S> {
    /// `None` when the run's grace is over: nothing is written any more.
    writer: Mutex<Option<Writer<S>>>,
    /// Threads that have an outcome and wait for the lock. Their answers came in time.
    waiting: AtomicUsize,
    /// Where failures and results go if that is no file. Its reader may hold up writers for ever, so
    /// they do not hold the lock.
    streams: [Option<Stream>; 2],
    simulated: bool,
    call: Sender<()>,
}

/// The thread that syncs and retries at their time while no outcome comes.
pub(super) struct FlushTimer<S> {
    result_writer: Arc<ResultWriter<S>>,
    called: Receiver<()>,
}

/// A result writer over `sink`, and its flush timer.
pub(super) fn result_writer<S: Sink>(
    sink: S,
    writing: Writing,
) -> (Arc<ResultWriter<S>>, FlushTimer<S>) {
    let (call, called) = bounded(1);
    let streams = [false, true].map(|succeeded| sink.stream(succeeded));
    let simulated = writing.simulated;
    let writer = Writer {
        sink,
        writing,
        kept: VecDeque::new(),
        outage: None,
        unsynced_since: None,
        failure: None,
        has_given_up: false,
    };
    let result_writer = Arc::new(ResultWriter {
        writer: Mutex::new(Some(writer)),
        waiting: AtomicUsize::new(0),
        streams,
        simulated,
        call,
    });
    let flush_timer = FlushTimer {
        result_writer: Arc::clone(&result_writer),
        called,
    };
    (result_writer, flush_timer)
}

impl<S: Sink> ResultWriter<S> {
    /// Writes an outcome, or keeps it until it can be written.
    pub(super) fn take(&self, mut outcome: Outcome) {
        if self.simulated {
            outcome.record.mark_simulated();
        }
        let stream = self.streams[usize::from(outcome.record.succeeded)].as_ref();
        let sent = match stream.map(|stream| stream.write(&outcome.record.line)) {
            None => None,
            Some(Sent::Written) => Some(Ok(())),
            Some(Sent::Failed(error)) => {
                let name = stream.map_or(Path::new(""), Stream::name);
                Some(Err(Error::io(name, error)))
            }
            Some(Sent::Left) => return, // it stays undone
        };
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.writer.lock();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let Some(writer) = guard.as_mut() else {
            return;
        };
        let was_due = writer.next_due();
        match sent {
            None => writer.take(outcome),
            Some(Ok(())) => writer.written(&outcome),
            Some(Err(error)) => writer.keep(outcome, error),
        }
        let now = writer.writing.clock.now();
        if writer.next_sync().is_some_and(|due| due <= now) {
            writer.sync();
        }
        let is_due = writer.next_due();
        drop(guard);
        if is_due.is_some_and(|due| was_due.is_none_or(|before| due < before)) {
            let _ = self.call.try_send(()); // when full, a call is pending: no wake-up is lost
        }
    }
}

impl<S: Sink> FlushTimer<S> {
    /// Sees to what is due until `done` is disconnected, which says that no outcome will come, or the
    /// run's grace is over, which begins when `stopped` is disconnected. Returns the sink.
    pub(super) fn keep(self, done: &Receiver<()>, stopped: &Receiver<()>) -> (S, Written) {
        let (nothing, no_word) = (never(), never());
        let (mut done, mut stopped) = (done, stopped);
        let (mut grace_ends, mut is_last) = (None, false);
        let mut was_stopped = false;
        loop {
            let mut guard = self.result_writer.writer.lock();
            // Only the flush timer takes it out, below.
            let Some(writer) = guard.as_mut() else {
                continue;
            };
            writer.see_to_what_is_due();
            let now = writer.writing.clock.now();
            if std::mem::take(&mut was_stopped) {
                // Asked now and not before the wait, which may have taken the whole run.
                grace_ends = match (writer.writing.is_hopeless)() {
                    true => Some(now),
                    false => writer.after(writer.writing.times.grace),
                };
            }
            let is_over = grace_ends.is_some_and(|end: Instant| end <= now);
            let is_written = is_last && (writer.kept.is_empty() || writer.has_given_up);
            let streams = || self.result_writer.streams.iter().flatten();
            if is_over {
                streams().for_each(Stream::close);
            }
            if is_over && self.result_writer.waiting.load(Ordering::SeqCst) > 0 {
                MutexGuard::unlock_fair(guard); // to the first of them
                continue;
            }
            if is_over || is_written {
                let abandoned = match is_written {
                    true => 0,
                    false => {
                        let left = streams().map(Stream::left).sum::<u64>();
                        writer.writing.events.watch().progress().in_flight + left
                    }
                };
                if let Some(writer) = guard.take() {
                    return writer.end(abandoned);
                }
                continue;
            }
            let due = [writer.next_due(), grace_ends];
            let due = due.into_iter().flatten().min().map_or_else(never, at);
            drop(guard);
            select! {
                recv(self.called) -> _ => {}
                recv(done) -> _ => {
                    done = &nothing;
                    is_last = true;
                }
                recv(stopped) -> _ => {
                    stopped = &no_word;
                    was_stopped = true;
                }
                recv(due) -> _ => {}
            }
        }
    }
}

struct Writer<S> {
    sink: S,
    writing: Writing,
    /// What could not be written yet, in order.
    kept: VecDeque<Outcome>,
    outage: Option<Outage>,
    unsynced_since: Option<Instant>,
    /// Why nothing can be written now, or why the run was stopped.
    failure: Option<Error>,
    has_given_up: bool,
}

/// A time in which nothing can be written.
struct Outage {
    /// `None` is never.
    gives_up_at: Option<Instant>,
    /// `None` when what was written in part cannot be taken back.
    next_try: Option<Instant>,
}

impl<S: Sink> Writer<S> {
    fn see_to_what_is_due(&mut self) {
        let now = self.writing.clock.now();
        if self.next_try().is_some_and(|due| due <= now) {
            self.write_kept();
        }
        if self.next_sync().is_some_and(|due| due <= now) {
            self.sync();
        }
    }

    fn end(mut self, abandoned: u64) -> (S, Written) {
        // There may be room again, for the last time.
        self.write_kept();
        self.sync();
        let failure = self.failure();
        let written = Written { abandoned, failure };
        (self.sink, written)
    }

    fn take(&mut self, outcome: Outcome) {
        let written = match self.outage {
            Some(_) => None,
            None => Some(self.write(&outcome)),
        };
        match written {
            Some(Ok(())) => {}
            Some(Err(error)) => self.keep(outcome, error),
            None => self.kept.push_back(outcome),
        }
        if self.kept.len() > MOST_KEPT {
            self.give_up();
        }
    }

    /// Keeps an outcome that could not be written.
    fn keep(&mut self, outcome: Outcome, error: Error) {
        if self.outage.is_none() {
            self.begin_outage(error, &outcome.record);
        }
        self.kept.push_back(outcome);
    }

    fn write(&mut self, outcome: &Outcome) -> Result<()> {
        self.sink.write(&outcome.record)?;
        self.written(outcome);
        Ok(())
    }

    /// Notes and tells that an outcome is written.
    fn written(&mut self, outcome: &Outcome) {
        self.writing.events.emit(RunEvent::Written(outcome));
        let now = self.writing.clock.now();
        self.unsynced_since.get_or_insert(now);
    }

    fn begin_outage(&mut self, error: Error, record: &Record) {
        self.writing.backpressure.apply();
        let Times {
            disk_full_timeout,
            retry_every,
            ..
        } = self.writing.times;
        let may_try_again = self.sink.may_try_again(record);
        if may_try_again && !disk_full_timeout.is_zero() && !self.has_given_up {
            log::error!(
                "{error}; what is answered is kept, and no request is begun, until it can be \
                 written, or for {disk_full_timeout:?}"
            );
        }
        self.outage = Some(Outage {
            gives_up_at: self.after(disk_full_timeout),
            next_try: self.after(retry_every).filter(|_| may_try_again),
        });
        self.failure.get_or_insert(error);
        if !may_try_again || disk_full_timeout.is_zero() {
            self.give_up();
        }
    }

    /// Tries to write what is kept, and ends the outage when all of it is written.
    fn write_kept(&mut self) {
        if self.next_try().is_none() {
            return;
        }
        let kept = self.kept.len();
        while let Some(outcome) = self.kept.pop_front() {
            let Err(error) = self.write(&outcome) else {
                continue;
            };
            self.kept.push_front(outcome);
            return self.go_on_waiting(error);
        }
        log::warn!("writing resumes: {kept} finished lines that were kept are written");
        self.outage = None;
        if !self.has_given_up {
            self.failure = None;
        }
        self.writing.backpressure.release();
    }

    fn go_on_waiting(&mut self, error: Error) {
        let next_try = self.after(self.writing.times.retry_every);
        let now = self.writing.clock.now();
        let Some(outage) = &mut self.outage else {
            return;
        };
        outage.next_try = next_try;
        if outage.gives_up_at.is_some_and(|end| end <= now) {
            self.failure = Some(error);
            self.give_up();
        }
    }

    /// Stops the run. It still takes the outcomes of requests in flight: they are paid for.
    fn give_up(&mut self) {
        self.has_given_up = true;
        (self.writing.stop)();
    }

    fn sync(&mut self) {
        if self.unsynced_since.take().is_none() {
            return;
        }
        if let Err(error) = self.sink.sync() {
            // What is on the disk is unknown: the system may report success at the next fsync.
            self.failure = Some(error);
            self.give_up();
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let due = [self.next_try(), self.next_sync()];
        due.into_iter().flatten().min()
    }

    fn next_try(&self) -> Option<Instant> {
        self.outage.as_ref()?.next_try
    }

    fn next_sync(&self) -> Option<Instant> {
        let since = self.unsynced_since?;
        since.checked_add(self.writing.times.sync_every)
    }

    /// `None` is never.
    fn after(&self, time: Duration) -> Option<Instant> {
        self.writing.clock.now().checked_add(time)
    }

    fn failure(&mut self) -> Option<Error> {
        let error = self.failure.take()?;
        let answered = self.kept.iter().filter(|kept| kept.record.is_answered);
        Some(match answered.count() {
            0 => error,
            lost => Error::Batch(format!(
                "{error}; {lost} answered requests could not be written, and will be sent again"
            )),
        })
    }
}

#[cfg(test)]
mod rehearsal_tests;
#[cfg(test)]
mod tests;

//! The last stage: each outcome written as it comes, and kept while it cannot be.
//!
//! An answer is paid for. When it cannot be written, because the disk is full or the like, it is
//! kept in memory and no new request is begun, until there is room again or patience ends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, at, never, select};

use super::gate::Gate;
use super::progress::Watch;
use super::record::Record;
use super::run::Outcome;
use crate::limiter::Clock;
use crate::{Error, Result};

/// Outcomes that are kept while they cannot be written, at most: what is under way when writing
/// fails is far less, unless something is wrong with this as well.
const MOST_KEPT: usize = 10_000;

/// Where outcomes go.
pub(super) trait Sink {
    /// Writes all of a record, or nothing of it.
    fn write(&mut self, record: &Record) -> Result<()>;
    /// False when a record that could not be written may stand there in part.
    fn may_try_again(&mut self, record: &Record) -> bool;
    /// Waits until everything is on the disk.
    fn sync(&mut self) -> Result<()>;
}

/// For how long what is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// From the first line that is not on the disk to putting it there.
    pub(super) sync_every: Duration,
    /// From the first line that cannot be written to giving up.
    pub(super) patience: Duration,
    /// From being told to stop to leaving what is under way.
    pub(super) grace: Duration,
    /// From one try to write to the next.
    pub(super) retry_every: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            sync_every: Duration::from_secs(1),
            patience: Duration::from_secs(60),
            grace: Duration::from_secs(120),
            retry_every: Duration::from_secs(1),
        }
    }
}

/// What a writer needs to know and to tell.
pub(super) struct Writing<'a> {
    pub(super) times: Times,
    pub(super) clock: &'a Clock,
    pub(super) watch: &'a Watch,
    pub(super) gate: &'a Gate,
    /// Disconnected when the run is told to stop.
    pub(super) stopped: &'a Receiver<()>,
    /// Stops the run.
    pub(super) stop: &'a dyn Fn(),
}

/// How writing ended.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Requests that were under way when the run's grace was over.
    pub(super) abandoned: u64,
    /// What could not be written or synced, if anything.
    pub(super) failure: Option<Error>,
}

/// Writes outcomes until there are no more, or the run's grace is over.
pub(super) fn write(
    sink: &mut impl Sink,
    outcomes: &Receiver<Outcome>,
    writing: &Writing<'_>,
) -> Written {
    let mut writer = Writer {
        sink,
        writing,
        kept: VecDeque::new(),
        outage: None,
        unsynced_since: None,
        failure: None,
        has_given_up: false,
    };
    let abandoned = match writer.take_all(outcomes) {
        End::AllTaken => 0,
        End::GraceOver => writing.watch.progress().in_flight,
    };
    // There may be room again, for the last time.
    writer.write_kept();
    writer.sync();
    Written {
        abandoned,
        failure: writer.into_failure(),
    }
}

enum End {
    AllTaken,
    GraceOver,
}

struct Writer<'a, S> {
    sink: &'a mut S,
    writing: &'a Writing<'a>,
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
    patience_ends: Option<Instant>,
    /// `None` when what was written in part cannot be taken back.
    next_try: Option<Instant>,
}

impl<S: Sink> Writer<'_, S> {
    fn take_all(&mut self, outcomes: &Receiver<Outcome>) -> End {
        let (no_outcome, no_word) = (never(), never());
        let mut outcomes = outcomes;
        let mut stopped = self.writing.stopped;
        let mut grace_ends = None;
        let mut is_last = false;
        loop {
            // Nothing else has to be looked for while outcomes come, but what is due.
            let taken = outcomes.try_recv();
            is_last |= taken == Err(TryRecvError::Disconnected);
            if is_last && (self.kept.is_empty() || self.has_given_up) {
                return End::AllTaken;
            }
            if let Ok(outcome) = taken {
                self.take(outcome);
            } else {
                if is_last {
                    outcomes = &no_outcome;
                }
                let due = [self.next_try(), self.next_sync(), grace_ends];
                let due = due.into_iter().flatten().min().map_or_else(never, at);
                select! {
                    recv(outcomes) -> outcome => match outcome {
                        Ok(outcome) => self.take(outcome),
                        Err(_) => continue, // the last one was taken
                    },
                    recv(stopped) -> _ => {
                        stopped = &no_word;
                        grace_ends = self.after(self.writing.times.grace);
                    }
                    recv(due) -> _ => {}
                }
            }
            let now = self.writing.clock.now();
            if self.next_try().is_some_and(|due| due <= now) {
                self.write_kept();
            }
            if self.next_sync().is_some_and(|due| due <= now) {
                self.sync();
            }
            if grace_ends.is_some_and(|end| end <= now) {
                return End::GraceOver;
            }
        }
    }

    fn take(&mut self, outcome: Outcome) {
        if self.outage.is_some() {
            self.kept.push_back(outcome);
            if self.kept.len() > MOST_KEPT {
                self.give_up();
            }
            return;
        }
        if let Err(error) = self.write(&outcome) {
            self.begin_outage(error, &outcome.record);
            self.kept.push_back(outcome);
        }
    }

    fn write(&mut self, outcome: &Outcome) -> Result<()> {
        self.sink.write(&outcome.record)?;
        let watch = self.writing.watch;
        watch.written(outcome.record.succeeded, outcome.usage);
        let now = self.writing.clock.now();
        self.unsynced_since.get_or_insert(now);
        Ok(())
    }

    fn begin_outage(&mut self, error: Error, record: &Record) {
        self.writing.gate.close();
        let Times {
            patience,
            retry_every,
            ..
        } = self.writing.times;
        let may_try_again = self.sink.may_try_again(record);
        if may_try_again && !patience.is_zero() && !self.has_given_up {
            log::error!(
                "{error}; what is answered is kept, and no request is begun, until it can be \
                 written, or for {patience:?}"
            );
        }
        self.outage = Some(Outage {
            patience_ends: self.after(patience),
            next_try: self.after(retry_every).filter(|_| may_try_again),
        });
        self.failure.get_or_insert(error);
        if !may_try_again || patience.is_zero() {
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
        log::warn!("writing goes on: {kept} finished lines that were kept are written");
        self.outage = None;
        if !self.has_given_up {
            self.failure = None;
        }
        self.writing.gate.open();
    }

    fn go_on_waiting(&mut self, error: Error) {
        let next_try = self.after(self.writing.times.retry_every);
        let now = self.writing.clock.now();
        let Some(outage) = &mut self.outage else {
            return;
        };
        outage.next_try = next_try;
        if outage.patience_ends.is_some_and(|end| end <= now) {
            self.failure = Some(error);
            self.give_up();
        }
    }

    /// Stops the run: what is under way is still taken, it is paid for.
    fn give_up(&mut self) {
        self.has_given_up = true;
        (self.writing.stop)();
    }

    fn sync(&mut self) {
        if self.unsynced_since.take().is_none() {
            return;
        }
        if let Err(error) = self.sink.sync() {
            // Nobody knows what is on the disk: the system may say at the next try that all is well.
            self.failure = Some(error);
            self.give_up();
        }
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

    fn into_failure(self) -> Option<Error> {
        let error = self.failure?;
        let sent = self.kept.iter().filter(|kept| kept.record.was_sent());
        Some(match sent.count() {
            0 => error,
            sent => Error::Batch(format!(
                "{error}; {sent} answered requests could not be written, and will be sent again"
            )),
        })
    }
}

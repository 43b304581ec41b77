//! The stages put together: threads, channels, and the end.

mod ahead; //              a plan and a check, before anything is sent
mod builder; //            setters
mod end; //                how a run ended
mod intake; //             what comes of each line that was counted
mod look; //               a look at the stages
mod open; //               the files
pub(super) mod options; // prices, bounds, latency
pub(super) mod plan; //    what a run would take
mod planner; //            makes a plan
mod timers; //             what stops a run at a time

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use crossbeam_channel::bounded;
use parking_lot::Mutex;

use super::budget::earlier::Spent;
use super::budget::gate::BudgetGate;
use super::count::{Longer, count};
use super::dispatch::Lanes;
use super::events::history::History;
use super::events::listener::Listener;
use super::events::watch::{View, Watch};
use super::events::{Events, RunEvent};
use super::input::Input;
use super::machine::{InFlight, memory_budget};
use super::read::bad_lines::BadLines;
use super::read::begin;
use super::read::requests::RequestSet;
use super::send::SendStage;
use super::send::capacity_gate::CapacityGate;
use super::send::judge::Judge;
use super::send::link_gate::LinkGate;
use super::shutdown::Shutdown;
use super::summary::{Before, Summary};
use super::wait::StopSignal;
use super::write::backpressure::WriteBackpressure;
use super::write::journal::Resume;
use super::write::names::OutputNames;
use super::write::{Times, Writing, Written, result_writer};
use crate::limiter::{CancelToken, Clock};
use crate::{RateLimitedClient, Result};
use intake::Intake;
use look::Look;
use options::RunOptions;

/// Bad lines that a summary has the messages of.
const SHOWN: usize = 10;

/// A run over a file of requests.
///
/// Its requests wait as [batch](crate::Priority::Batch) work: other requests of the same process go
/// ahead of them, and leave them every fourth turn at least.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let client = RateLimitedClient::new()?;
/// let summary = Run::new(client, Input::file("requests.jsonl")?)
///     .output("requests.results.jsonl")
///     .errors("requests.errors.jsonl")
///     .run()?;
/// println!("{} of {} succeeded", summary.succeeded, summary.requests);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a run does nothing until it is run"]
pub struct Run {
    client: RateLimitedClient,
    input: Input,
    names: OutputNames,
    resume: Resume,
    times: Times,
    max_in_flight: Option<usize>,
    max_memory: Option<u64>,
    stop: CancelToken,
    watch: Watch,
    history: History,
    seen: Option<RequestSet>,
    options: RunOptions,
    listener: Listener,
}

impl Run {
    /// A run that sends the requests of `input` with `client`.
    pub fn new(client: RateLimitedClient, input: Input) -> Self {
        Self {
            names: OutputNames::beside(&input),
            resume: Resume::default(),
            times: Times::default(),
            max_in_flight: None,
            max_memory: None,
            stop: CancelToken::new(),
            watch: Watch::new(&client, input.total()),
            history: History::none(),
            seen: None,
            options: RunOptions::default(),
            listener: Listener::default(),
            client,
            input,
        }
    }

    /// Tells where the run stands, from any thread.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Runs, and returns when every line is dealt with or the run was stopped. Lines that cannot
    /// be sent and requests that fail go to the errors file; they end nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) and [`Error::Batch`](crate::Error::Batch) when the files cannot be used: before anything is sent,
    /// or in the middle, when the [timeout](Self::disk_full_timeout) has passed, and then what is written
    /// stays good. An error of the account is no error here: see [`Summary::ending`].
    ///
    /// [`Error::OtherAnswers`](crate::Error::OtherAnswers) when most results of the input's ids are of other requests, and
    /// [`Error::SimulatedAnswers`](crate::Error::SimulatedAnswers) when files hold what a [simulated](Self::simulated) API answered and
    /// this one is not, or the other way round: then nothing is sent, and no file is changed.
    pub fn run(self) -> Result<Summary> {
        let clock = Clock::real();
        let currency = self.currency();
        let Self {
            client,
            input,
            names,
            resume,
            times,
            max_in_flight,
            max_memory,
            stop,
            watch,
            history,
            seen,
            options,
            listener,
        } = self;
        // Before any file is touched: an input of another format is refused as a whole.
        let input = begin(input, &stop)?;
        let began = clock.now();
        let bounds = options.bounds;
        let deadline = bounds.deadline.and_then(|after| began.checked_add(after));
        let (input, ids, cut_off, journal) = open::open(input, &names, resume, &stop, deadline)?;
        let cut_off = Arc::new(cut_off);
        let longer = options.retry_cut_off.map(|factor| Longer {
            factor,
            cut_off: Arc::clone(&cut_off),
        });
        let spent = match resume.fresh {
            true => Spent::default(),
            false => options.spent_before(&names.results, &names.errors)?,
        };
        let (bounds, counted) = bounds.after(spent.total());
        let size = input.size();
        let again = seen.as_ref().and_then(|_| input.again());
        let before = Before::of(client.registry());
        let has_succeeded = ids.any_finished();
        let requests = input.requests(ids);
        let input = requests.name().to_owned();

        let (shutdown, stop_signal) = (Shutdown::new(&stop), StopSignal::on(&stop));
        let notices = options.notices.clone();
        let events = Events::new(watch.clone(), history, listener, notices, &stop);
        let registry = client.registry();
        events.emit(RunEvent::Begins {
            input: &input,
            registry,
        });
        // What every request passes.
        let room = InFlight::of(max_in_flight);
        let memory = max_memory.unwrap_or_else(memory_budget);
        let backpressure = WriteBackpressure::new(&stop);
        let link = LinkGate::new(&client, options.connect_patience, &events, &stop);
        let capacity = CapacityGate::new(room.most, &events, &stop);
        let judge = Judge::new(has_succeeded, options.keeps_going, &events, &stop);
        let judge = Arc::new(judge);
        let budget = BudgetGate::new(
            &bounds,
            options.prices.clone(),
            (counted, spent.lost),
            &stop,
        );
        // The stages, from the last one on.
        let writing = Writing {
            times,
            clock: clock.clone(),
            events: Arc::clone(&events),
            simulated: names.simulated,
            backpressure: backpressure.clone(),
            stop: Box::new({
                let stop = stop.clone();
                move || stop.cancel()
            }),
            is_hopeless: Box::new({
                let link = Arc::clone(&link);
                move || !link.was_reached()
            }),
        };
        let (result_writer, flush_timer) = result_writer(journal, writing);
        // No wait ends without this thread, and the requests take all threads that the system allows.
        clock.start_alarms()?;
        let end = bounds.deadline.zip(deadline);
        let _timers = timers::start(&link, &events, &shutdown, end)?;
        // Disconnected when no stage is left.
        let (running, done) = bounded(0);
        let send = SendStage {
            client: client.clone(),
            events: Arc::clone(&events),
            shutdown: Arc::clone(&shutdown),
            backpressure: backpressure.clone(),
            judge: Arc::clone(&judge),
            link: Arc::clone(&link),
            capacity,
            budget: Arc::clone(&budget),
            bounds,
            flex_fallback: options.flex_fallback,
            longer: longer.clone(),
            deadline,
            failures: AtomicU64::new(0),
            result_writer: Arc::clone(&result_writer),
            _running: running.clone(),
        };
        let lanes = Lanes::open(&client, Arc::new(send), &events, &shutdown, room, memory);
        let look = Look::new(lanes.lanes(), budget, backpressure.clone());
        watch.show(&(Arc::downgrade(&look) as Weak<dyn View>));
        let bad_lines = Arc::new(Mutex::new(BadLines::keeping(SHOWN)));
        let intake = Intake {
            input,
            options,
            events: Arc::clone(&events),
            shutdown: Arc::clone(&shutdown),
            backpressure,
            bad_lines: Arc::clone(&bad_lines),
            result_writer,
            lanes,
            _running: running,
        };
        let sink = Arc::new(move |event| intake.hear(event));
        let started = count(&client, requests, seen.clone(), longer, &stop, &sink);
        // Now the stages hold each other, from the reader on: as each ends, so does the next,
        // and with the last of them the outcomes.
        drop(sink);
        if let Err(error) = started {
            shutdown.fail_now(error);
        }
        let (mut journal, Written { abandoned, failure }) =
            flush_timer.keep(&done, &stop_signal.stopped);
        let failure = failure.or_else(|| journal.finish().err());
        if let Some(error) = failure {
            shutdown.fail(error);
        }
        events.end();

        let elapsed = clock.now().saturating_duration_since(began);
        let causes = shutdown.take();
        if let (Some(seen), Some(again)) = (&seen, again)
            && stop.is_cancelled()
        {
            seen.add_all(again)?;
        }
        if let Some(error) = causes.failure {
            return Err(error);
        }
        if let (Some(size), false) = (size, stop.is_cancelled()) {
            size.check()?;
        }
        let progress = watch.progress();
        let is_stopped = stop.is_cancelled();
        let ending = end::stop_reason(causes, &progress, is_stopped, judge.at_the_end());
        let usage = before.usage_since(client.registry(), elapsed);
        let mut summary = Summary::new(progress, elapsed, usage, ending).priced_in(currency);
        summary.reasons = watch.reasons();
        summary.in_flight_capped_by = watch.capped_by();
        // Of a server that was never reached nothing can be lost.
        summary.abandoned = if link.was_reached() { abandoned } else { 0 };
        let bad_lines = std::mem::replace(&mut *bad_lines.lock(), BadLines::keeping(0));
        (summary.bad_lines, summary.more_bad_lines) = bad_lines.into_parts();
        Ok(summary)
    }
}

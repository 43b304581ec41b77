//! The stages put together: threads, channels, and the end.

pub(super) mod options; // prices, bounds, callbacks
pub(super) mod plan; //    what a run would take
mod stopping; //           at its bounds

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use super::count::{Event, begin, count};
use super::fingerprint::Fingerprint;
use super::fs::system;
use super::ids::Ids;
use super::input::{BadLine, Input};
use super::machine::{InFlight, memory_budget};
use super::record::Record;
use super::summary::{Before, StopReason, Summary};
use super::wait::StopSignal;
use super::write::{ResultWriter, Times, Writing, Written, result_writer};
use crate::batch::budget::bounds::Bound;
use crate::batch::budget::gate::BudgetGate;
use crate::batch::dispatch::lanes::{Entrance, Lanes};
use crate::batch::events::history::History;
use crate::batch::events::listener::{Effort, Listener};
use crate::batch::events::progress::Watch;
use crate::batch::read::bad_lines::BadLines;
use crate::batch::read::changed;
use crate::batch::read::requests::RequestSet;
use crate::batch::run::options::RunOptions;
use crate::batch::send::capacity_gate::CapacityGate;
use crate::batch::send::common_cause::ALIKE;
use crate::batch::send::judge::Judge;
use crate::batch::send::link_gate::LinkGate;
use crate::batch::write::backpressure::WriteBackpressure;
use crate::batch::write::journal::{Earlier, Journal, Names, Resume};
use crate::batch::write::names::OutputNames;
use crate::limiter::{AcquireOptions, CancelToken, Clock, Priority};
use crate::{Error, Prepared, RateLimitedClient, Result, TransportKind, Usage};
use plan::{Plan, RequestPlan};

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
    pub(super) options: RunOptions,
    pub(super) listener: Listener,
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

    /// Sets the path of the results. `-` is standard output, which no later run can resume. Default: the
    /// input with `.results.jsonl` in place of its extension, with the part in it when the input is
    /// [one of several](Input::shard).
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.names.set_results(&self.input, path.into());
        self
    }

    /// Sets the path of the failures. Default: a file beside the results, `x.errors.jsonl` for `x.jsonl`;
    /// where the results are no file, the input with `.errors.jsonl` in place of its extension, with the
    /// part in it when there are several.
    pub fn errors(mut self, path: impl Into<PathBuf>) -> Self {
        self.names.set_errors(path.into());
        self
    }

    /// Where results go.
    #[must_use]
    pub fn output_path(&self) -> &Path {
        &self.names.results
    }

    /// Where failures go.
    #[must_use]
    pub fn errors_path(&self) -> &Path {
        &self.names.errors
    }

    /// Sets whether the server is a simulated one. What it answers is marked, with `"simulated":true` in
    /// each line, has names of its own (`.simulated.results.jsonl`), and is never taken for real: a run
    /// does not resume in a file of the other kind. Default: false.
    pub fn simulated(mut self, simulated: bool) -> Self {
        self.names.set_simulated(&self.input, simulated);
        self
    }

    /// Sets whether to start over. Files that hold something are then moved aside, with a number
    /// behind their names. Default: false, the run resumes after what they hold.
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.resume.fresh = fresh;
        self
    }

    /// Sets whether to skip requests that failed in an earlier run: they are not sent, they count as
    /// failed, and they stay in the errors file. Lines that were no requests are checked again.
    /// Default: false, the run sends all of them again.
    pub fn keep_failed(mut self, keep: bool) -> Self {
        self.resume.keep_failed = keep;
        self
    }

    /// Sets the maximum interval between fsyncs; 0 syncs after every line. A kill loses no finished line.
    /// When the machine loses its power, lines finished in this interval may be lost, and their requests
    /// are sent and paid for again. Default: 1 s.
    pub fn sync_every(mut self, time: Duration) -> Self {
        self.times.sync_every = time;
        self
    }

    /// Sets how long a run waits when it cannot write, because the disk is full or the like. Meanwhile it
    /// begins no request, keeps the answers of requests in flight in memory, and tries once a second to
    /// write them. It resumes when it has written them. After this time it ends with an error that says
    /// how many answers could not be written. With 0, and for an output that is no file, it ends at
    /// once. Default: 60 s.
    pub fn disk_full_timeout(mut self, time: Duration) -> Self {
        self.times.disk_full_timeout = time;
        self
    }

    /// Sets how long shutdown waits for requests in flight. Requests without an answer by then stay
    /// undone, though the server may count them; [`Summary::abandoned`] says how many. The next run sends
    /// them again. Default: 120 s.
    pub fn grace(mut self, time: Duration) -> Self {
        self.times.grace = time;
        self
    }

    /// Sets the most requests in flight at once, at least 1: one thread each, and one more for each
    /// limiter that is waited for. A run takes only as many as its limits and the server's latency
    /// need. A part is kept for each model that does not use it, a quarter of an equal share, so that
    /// one whose server hangs idles no other. However many are stated, the run has no more threads than
    /// the system has mappings of memory for. Default: what this machine
    /// [has room for](InFlight::of_this_machine).
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.max_in_flight = Some(most.max(1));
        self
    }

    /// Sets the most memory, in bytes, for all requests in flight, with their bodies and responses, and
    /// for those that wait in memory. When it is used up fewer requests are in flight; one of each
    /// model always may be. What a program needs besides is not part of it, such as the tables of
    /// encodings. Default: a quarter of the machine's memory, or of what its control group may use.
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// Sets the token that stops the run. A stopped run begins no request, and finishes and writes those
    /// in flight within its [grace period](Self::grace). The run cancels the token itself when it has to
    /// stop. Default: a token of its own.
    pub fn stop(mut self, token: &CancelToken) -> Self {
        self.stop = token.clone();
        self
    }

    /// Sets the history that records what happens over time, for a [`Report`](super::Report). Costs
    /// less than a microsecond for each event. Default: none.
    pub fn record(mut self, history: &History) -> Self {
        self.history = history.clone();
        self
    }

    /// Sets where the requests of the input are collected, for an [`Extract`](super::Extract) of their
    /// answers alone. Those of a file are all there when the run ends, also before its time; of what
    /// comes once, those that were read. Default: nowhere.
    pub fn collect(mut self, requests: &RequestSet) -> Self {
        self.seen = Some(requests.clone());
        self
    }

    /// Tells where the run stands, from any thread.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Reads, checks and counts everything, and says what the run would take for what is not done
    /// yet. Sends nothing and writes nothing.
    ///
    /// # Errors
    ///
    /// When the input cannot be read on, or no thread can be started;
    /// [`Error::OtherAnswers`] and [`Error::SimulatedAnswers`] as of [`run`](Self::run).
    pub fn plan(self) -> Result<Plan> {
        self.plan_with(None)
    }

    /// The same, and calls `on_request` with each request that can be counted: from several threads, in no
    /// order.
    ///
    /// ```
    /// # use std::sync::atomic::{AtomicU64, Ordering};
    /// # use std::sync::Arc;
    /// # use paceline::{ChatRequest, RateLimitedClient};
    /// # use paceline::batch::{Input, RequestLine, Run};
    /// let client = RateLimitedClient::builder().api_key("unused").base_url("http://localhost").build()?;
    /// let request = ChatRequest::from("How are you?").model("gpt-4o-mini");
    /// let input = Input::from_requests("greetings", [RequestLine::chat("row-1", request)]);
    /// let longest = Arc::new(AtomicU64::new(0));
    /// let found = Arc::clone(&longest);
    /// let plan = Run::new(client, input).fresh(true).plan_each(move |request| {
    ///     found.fetch_max(request.prompt_tokens, Ordering::Relaxed);
    /// })?;
    /// assert_eq!(plan.prompt_tokens(), longest.load(Ordering::Relaxed));
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`plan`](Self::plan).
    pub fn plan_each(
        self,
        on_request: impl Fn(RequestPlan<'_>) + Send + Sync + 'static,
    ) -> Result<Plan> {
        self.plan_with(Some(Arc::new(on_request)))
    }

    fn plan_with(self, on_request: Option<plan::OnRequest>) -> Result<Plan> {
        let (mut input, mut known) = (self.input, Ids::default());
        if !self.resume.fresh {
            let OutputNames {
                results, simulated, ..
            } = &self.names;
            let (answers, ids) = Earlier::look(&system(), results, *simulated)?;
            (input, known) = compare(input, ids, answers, results, &self.stop, None)?;
        }
        let most = InFlight::of(self.max_in_flight).most;
        plan::plan(&self.client, input, known, self.options, most, on_request)
    }

    /// Looks whether the files of the run can be used, and sends nothing: whether outputs can be written, and
    /// whether their results are of the input's requests, where that is a file. For callers that want to know
    /// before they ask for a key.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run) that come before anything is sent.
    pub fn check(self) -> Result<()> {
        let disk = system();
        let OutputNames {
            results,
            errors,
            simulated,
            ..
        } = &self.names;
        let names = Names {
            disk: &disk,
            input: (self.input.name(), self.input.path()),
            results,
            errors,
            simulated: *simulated,
        };
        names.check()?;
        if !self.resume.fresh && self.input.is_file() {
            let (answers, ids) = Earlier::look(&disk, results, *simulated)?;
            compare(self.input, ids, answers, results, &self.stop, None)?;
        }
        Ok(())
    }

    /// Runs, and returns when every line is dealt with or the run was stopped. Lines that cannot
    /// be sent and requests that fail go to the errors file; they end nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::Batch`] when the files cannot be used: before anything is sent,
    /// or in the middle, when the [timeout](Self::disk_full_timeout) has passed, and then what is written
    /// stays good. An error of the account is no error here: see [`Summary::ending`].
    ///
    /// [`Error::OtherAnswers`] when most results of the input's ids are of other requests, and
    /// [`Error::SimulatedAnswers`] when files hold what a [simulated](Self::simulated) API answered and
    /// this one is not, or the other way round: then nothing is sent, and no file is changed.
    pub fn run(self) -> Result<Summary> {
        let clock = Clock::real();
        let currency = self.currency();
        let OutputNames {
            results,
            errors,
            simulated,
            ..
        } = &self.names;
        // Before any file is touched: an input of another format is refused as a whole.
        let input = begin(self.input, &self.stop)?;
        let (name, path) = (input.name().to_owned(), input.path());
        let path = path.map(Path::to_owned);
        let disk = system();
        let names = Names {
            disk: &disk,
            input: (&name, path.as_deref()),
            results,
            errors,
            simulated: *simulated,
        };
        let began = clock.now();
        let after = self.options.bounds.deadline;
        let deadline = after.and_then(|after| began.checked_add(after));
        let (earlier, ids) = Earlier::open(names, self.resume)?;
        let answers = earlier.answers;
        let (input, mut ids) = compare(input, ids, answers, results, &self.stop, deadline)?;
        let journal = earlier.begin(names, self.resume, &mut ids)?;
        let simulated = names.simulated;
        let Self {
            client,
            times,
            stop,
            watch,
            history,
            seen,
            options,
            listener,
            ..
        } = self;
        let size = input.size();
        let again = seen.as_ref().and_then(|_| input.again());
        let before = Before::of(client.registry());
        let has_succeeded = ids.any_finished();
        let requests = input.requests(ids);
        history.begin(requests.name(), client.registry());
        let verdict = Arc::new(Mutex::new(Verdict::default()));
        let bad_lines = Arc::new(Mutex::new(BadLines::keeping(SHOWN)));

        // Disconnected when no stage is left.
        let (running, done) = bounded(0);
        let (backpressure, stop_signal) = (WriteBackpressure::new(&stop), StopSignal::on(&stop));
        let listener = Arc::new(Mutex::new(listener));
        let (holds, notices) = (watch.holds(), options.notices.clone());
        let room = InFlight::of(self.max_in_flight);
        let memory = self.max_memory.unwrap_or_else(memory_budget);
        let capacity = CapacityGate::new(room.most, holds.clone(), notices.clone(), &stop);
        let patience = options.connect_patience;
        let link = LinkGate::new(&client, patience, holds, notices, &stop);
        let writing = Writing {
            times,
            clock: clock.clone(),
            watch: watch.clone(),
            backpressure: backpressure.clone(),
            stop: Box::new({
                let stop = stop.clone();
                move || stop.cancel()
            }),
            is_hopeless: Box::new({
                let link = Arc::clone(&link);
                move || !link.was_reached()
            }),
            tell: Box::new({
                let (history, listener, stop) =
                    (history.clone(), Arc::clone(&listener), stop.clone());
                move |outcome| {
                    history.written(&outcome.record);
                    if !listener.lock().tell(&outcome.finished()) {
                        stop.cancel();
                    }
                }
            }),
        };
        let (result_writer, flush_timer) = result_writer(journal, writing);
        let judge = Arc::new(Judge::new(
            has_succeeded,
            options.keeps_going,
            watch.holds(),
            &stop,
        ));
        let shared = Arc::new(Shared {
            client: client.clone(),
            stop: stop.clone(),
            watch: watch.clone(),
            history: history.clone(),
            backpressure,
            result_writer,
            _running: running,
            verdict: Arc::clone(&verdict),
            bad_lines: Arc::clone(&bad_lines),
            judge: Arc::clone(&judge),
            link: Arc::clone(&link),
            capacity,
            gate: BudgetGate::new(&options.bounds, options.prices.clone(), &stop),
            deadline,
            failures: AtomicU64::new(0),
            input: requests.name().to_owned(),
            options,
            simulated,
        });
        // No wait ends without this thread, and the requests take all threads that the system allows.
        clock.start_alarms()?;
        let _timer = shared.start_timer()?;
        let _link_timer = shared.start_link_timer()?;
        // Without a thread for it waits are not said, and nothing else is lost.
        let _look_out = shared.start_look_out().ok();
        let lanes = Lanes::open(Arc::clone(&shared), room, memory);
        let sink = Arc::new(move |event| shared.hear(event, &lanes));
        let started = count(&client, requests, seen.clone(), &stop, &sink);
        // Now the stages hold each other, from the reader on: as each ends, so does the next,
        // and with the last of them the outcomes.
        drop(sink);
        if let Err(error) = started {
            stop.cancel();
            verdict.lock().failure = Some(error);
        }
        let (mut journal, Written { abandoned, failure }) =
            flush_timer.keep(&done, &stop_signal.stopped);
        let failure = match failure {
            Some(error) => Some(error),
            None => journal.finish().err(),
        };
        if let Some(error) = failure {
            verdict.lock().failure.get_or_insert(error);
        }
        history.end();
        let listener = std::mem::take(&mut *listener.lock());
        listener.end();

        let elapsed = clock.now().saturating_duration_since(began);
        let Verdict {
            failure,
            cause,
            bound,
        } = std::mem::take(&mut *verdict.lock());
        if let (Some(seen), Some(again)) = (&seen, again)
            && stop.is_cancelled()
        {
            seen.add_all(again)?;
        }
        if let Some(error) = failure {
            return Err(error);
        }
        if let (Some(size), false) = (size, stop.is_cancelled()) {
            size.check()?;
        }
        let progress = watch.progress();
        // A bound or a cancel that came with the last line stopped nothing.
        let is_open = progress.total.is_none_or(|total| progress.done() < total);
        let is_interrupted = bound.is_none() && stop.is_cancelled() && is_open;
        let bound = bound.filter(|_| is_open);
        // Of so few lines that all had to fail to show it, nothing was spared.
        let is_short = !is_open && progress.done() <= ALIKE;
        let cause = cause.filter(|it| !is_short || !matches!(it, StopReason::SameFailure(_)));
        let ending = match (cause, bound) {
            (Some(ending), _) => ending,
            (None, Some(bound)) => StopReason::Bound(bound),
            (None, None) if is_interrupted => StopReason::Interrupted,
            (None, None) => judge
                .at_the_end()
                .map_or(StopReason::Finished, StopReason::from),
        };
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

/// Ends a run before it begins when most of its results are of other requests.
fn compare(
    input: Input,
    ids: Ids,
    answers: u64,
    results: &Path,
    stop: &CancelToken,
    deadline: Option<Instant>,
) -> Result<(Input, Ids)> {
    let (input, ids, compared) = changed::compare(input, ids, answers, stop, deadline)?;
    match compared.is_of_others() {
        true => Err(changed::error(&input, results, compared)),
        false => Ok((input, ids)),
    }
}

/// What the stages of a run share.
pub(super) struct Shared {
    pub(super) client: RateLimitedClient,
    pub(super) stop: CancelToken,
    pub(super) watch: Watch,
    pub(super) history: History,
    /// Pulled while results cannot be written.
    pub(super) backpressure: WriteBackpressure,
    /// What messages call the input.
    input: String,
    pub(super) options: RunOptions,
    pub(super) judge: Arc<Judge>,
    /// What is answered is simulated, and each line says so.
    simulated: bool,
    pub(super) link: Arc<LinkGate>,
    pub(super) capacity: Arc<CapacityGate>,
    pub(super) gate: Arc<BudgetGate>,
    pub(super) deadline: Option<Instant>,
    pub(super) failures: AtomicU64,
    result_writer: Arc<ResultWriter<Journal>>,
    _running: Sender<()>,
    pub(super) verdict: Arc<Mutex<Verdict>>,
    bad_lines: Arc<Mutex<BadLines>>,
}

/// Why a run ended before its time, if it did.
#[derive(Default)]
pub(super) struct Verdict {
    failure: Option<Error>,
    /// A cause that every other request would meet.
    pub(super) cause: Option<StopReason>,
    pub(super) bound: Option<Bound>,
}

impl Shared {
    /// How every request of a run waits: until the run is stopped or its time is up, and behind
    /// interactive requests.
    pub(super) fn wait(&self) -> AcquireOptions<'_> {
        let wait = AcquireOptions::new()
            .cancel(&self.stop)
            .priority(Priority::Batch);
        match self.deadline {
            Some(deadline) => wait.deadline(deadline),
            None => wait,
        }
    }

    /// Takes a line from the counting threads.
    fn hear(&self, event: Event, lanes: &Entrance) {
        self.watch.line_read();
        match event {
            Event::Finished => self.watch.resumed(),
            Event::Failed => self.watch.kept_failed(),
            Event::Bad(line) => self.refuse(line),
            // What was read before is still run.
            Event::Broken(error) => self.fail(error),
            Event::Counted(counted) => {
                if let Some(message) = self.objection(&counted.request) {
                    self.refuse(counted.refused(&self.input, &message));
                } else if let Err(error) = lanes.put(counted) {
                    self.fail_for(error);
                }
            }
        }
    }

    /// Why a request is not sent although it is one.
    fn objection(&self, request: &Prepared) -> Option<String> {
        if request.lacks_model() {
            return Some("body.model: the name of a model is needed".to_owned());
        }
        self.options.objection(request.model(), request.tier())
    }

    /// Ends a line that is not sent, when it can be written: there may be any number of them.
    fn refuse(&self, line: BadLine) {
        self.bad_lines.lock().add(&line);
        self.backpressure.pass();
        self.finish(Outcome::failed(Record::bad_line(line)));
    }

    /// Hands a finished line to the journal.
    pub(super) fn finish(&self, mut outcome: Outcome) {
        if self.simulated {
            outcome.record.mark_simulated();
        }
        self.result_writer.take(outcome);
    }

    /// Ends a request that has no answer, or one that is an error. Returns the kind of its failure,
    /// unless it stays undone.
    pub(super) fn refused(
        &self,
        custom_id: String,
        fingerprint: Fingerprint,
        waited: Duration,
        error: &Error,
    ) -> Option<String> {
        match error {
            // It was waiting when the run was stopped: it stays undone, for the next run.
            Error::Cancelled => return None,
            Error::DeadlineExceeded { .. } => {
                self.is_out_of_time();
                return None;
            }
            // No thread is left for the alarm clock of limits, which is no fault of this request.
            Error::Scheduler(source) => {
                let source = std::io::Error::new(source.kind(), source.to_string());
                self.fail_for(Error::Scheduler(source));
                return None;
            }
            Error::Transport { kind, .. } if self.stop.is_cancelled() && is_no_way(*kind) => {
                return None;
            }
            _ => {}
        }
        log::info!("{custom_id}: {error}");
        if error.is_account_error() {
            self.stop_for(StopReason::AccountError(error.to_string()));
        }
        let mut outcome = Outcome::failed(Record::failure(custom_id, fingerprint, error));
        outcome.effort.waited = waited;
        self.count_failure();
        let reason = outcome.record.reason.as_ref();
        let kind = reason.map(|(kind, _)| kind.clone());
        self.finish(outcome);
        kind
    }

    /// Stops the run with an error.
    pub(super) fn fail_for(&self, error: Error) {
        self.fail(error);
        self.stop.cancel();
    }

    /// Stops the run: no request can succeed.
    pub(super) fn stop_for(&self, cause: StopReason) {
        self.verdict.lock().cause.get_or_insert(cause);
        self.stop.cancel();
    }

    fn fail(&self, error: Error) {
        self.verdict.lock().failure.get_or_insert(error);
    }
}

/// Whether a failure has nothing to do with the request: there was no way to the server.
fn is_no_way(kind: TransportKind) -> bool {
    kind.is_unreachable() || kind == TransportKind::Resources
}

/// A finished line on its way to the journal.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) record: Record,
    pub(super) usage: Option<Usage>,
    pub(super) effort: Effort,
}

impl Outcome {
    /// A line that was not answered.
    pub(super) fn failed(record: Record) -> Self {
        Self {
            record,
            usage: None,
            effort: Effort::default(),
        }
    }
}

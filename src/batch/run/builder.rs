//! The setters of a run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Run;
use crate::batch::budget::prices::Prices;
use crate::batch::events::history::History;
use crate::batch::events::listener::{Finished, Listener};
use crate::batch::events::notice::{Notice, Notices};
use crate::batch::money::Money;
use crate::batch::read::requests::RequestSet;
use crate::limiter::CancelToken;

/// # Files, times and room
impl Run {
    /// Sets the path of the results. `-` is standard output, which no later run can resume. Default: the
    /// input with `.results.jsonl` in place of its extension, with the part in it when the input is
    /// [one of several](crate::batch::Input::shard).
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
    /// undone, though the server may count them; [`Summary::abandoned`](crate::batch::Summary::abandoned) says how many. The next run sends
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
    /// [has room for](crate::batch::InFlight::of_this_machine).
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

    /// Sets the history that records what happens over time, for a [`Report`](crate::batch::Report). Costs
    /// less than a microsecond for each event. Default: none.
    pub fn record(mut self, history: &History) -> Self {
        self.history = history.clone();
        self
    }

    /// Sets where the requests of the input are collected, for an [`Extract`](crate::batch::Extract) of their
    /// answers alone. Those of a file are all there when the run ends, also before its time; of what
    /// comes once, those that were read. Default: nowhere.
    pub fn collect(mut self, requests: &RequestSet) -> Self {
        self.seen = Some(requests.clone());
        self
    }
}

/// # Prices and bounds
///
/// Bounds are for one run: what an earlier one used is not counted again. A run that meets one
/// begins no more requests, finishes and writes those in flight, and ends with
/// [`StopReason::Bound`](crate::batch::StopReason::Bound); a later run resumes after the last line.
impl Run {
    /// Sets what tokens cost, so that the run says what it costs. A model without a price is left
    /// out of that. Default: no prices.
    pub fn prices(mut self, prices: Prices) -> Self {
        self.watch().is_priced();
        self.options.prices = Some(prices);
        self
    }

    /// What costs are in, where there are prices.
    #[must_use]
    pub fn currency(&self) -> Option<String> {
        let prices = self.options.prices.as_ref();
        prices.map(|prices| prices.currency().to_owned())
    }

    /// Caps the tokens of the output, earlier runs into it included: the tokens that answers used, and those
    /// that requests in flight may use at most (prompt and output cap), never exceed it together. The first
    /// request that does not fit into what is left ends the run, after those in flight. Default: no bound.
    ///
    /// Attempts whose answers were lost are taken to be paid for, and count with all that they may have used;
    /// the lines that are written after them tell the next run. What was in flight when a run was killed is
    /// not known. A request without an output cap is taken to have the client's
    /// [default](crate::ClientBuilder::max_completion_tokens); one that uses more can pass the
    /// budget by that much, which is logged. So can attempts that were lost and sent again.
    pub fn budget_tokens(mut self, tokens: u64) -> Self {
        self.options.bounds.tokens = Some(tokens);
        self
    }

    /// Caps the tokens of this run alone, as [`budget_tokens`](Run::budget_tokens) does of all. Default: no
    /// bound.
    pub fn budget_tokens_this_run(mut self, tokens: u64) -> Self {
        self.options.bounds.tokens_this_run = Some(tokens);
        self
    }

    /// Sets how much the output may cost, earlier runs into it included, by the run's [`prices`](Run::prices), as
    /// [`budget_tokens`](Run::budget_tokens) does for tokens. A line whose model has no price is
    /// not sent: it fails. Default: no bound.
    pub fn max_cost(mut self, most: Money) -> Self {
        self.options.bounds.cost = Some(most);
        self
    }

    /// Sets how much this run alone may cost, as [`max_cost`](Run::max_cost) does of all. Default: no bound.
    pub fn max_cost_this_run(mut self, most: Money) -> Self {
        self.options.bounds.cost_this_run = Some(most);
        self
    }

    /// Sends requests again whose answers ended at their output cap, once, with a cap that is `factor` times as large:
    /// those of this run, and those of earlier ones into this output. The shorter answer stays until a longer one
    /// is there, and both are paid for. A request without a cap in its body is not sent again, nor with a factor
    /// of 1 or less. Default: such answers stay as they are.
    pub fn retry_cut_off(mut self, factor: f64) -> Self {
        let is_larger = factor.is_finite() && factor > 1.0;
        self.options.retry_cut_off = is_larger.then_some(factor);
        self.resume.retry_cut_off = is_larger;
        self
    }

    /// Adds a file of results or errors whose costs count for [`budget_tokens`](Run::budget_tokens) and
    /// [`max_cost`](Run::max_cost), too, such as that of another model. Default: the run's own.
    pub fn count_costs_of(mut self, file: impl Into<PathBuf>) -> Self {
        self.options.others.push(file.into());
        self
    }

    /// Sets how many failed requests stop the run, at least 1. Requests in flight at that point may still
    /// fail. Lines that cannot be sent do not count, as they come again with each start. Default: no
    /// bound.
    pub fn max_failures(mut self, most: u64) -> Self {
        self.options.bounds.failures = Some(most.max(1));
        self
    }

    /// Sets after which time nothing more is begun, counted from the call of [`run`](Run::run).
    /// What would have to wait for longer is not waited for. Default: no bound.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.options.bounds.deadline = Some(after);
        self
    }

    /// Sets the assumed response latency, for [`plan`](Run::plan) alone. Default: 5 s.
    pub fn expect_latency(mut self, latency: Duration) -> Self {
        self.options.latency = latency;
        self
    }

    /// Sets how long to try to reach a server that was never reached in this run, before the run
    /// [stops](crate::batch::StopReason::Unreachable). A server that is lost later is tried until the
    /// [deadline](Self::deadline). Default: 30 s.
    pub fn connect_patience(mut self, time: Duration) -> Self {
        self.options.connect_patience = time;
        self
    }

    /// Registers a callback for what the run has to say while it runs, such as that the server
    /// cannot be reached. It is called by threads of the run, which wait until it returns.
    /// Default: a warning in the log.
    pub fn on_notice(mut self, call: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.options.notices = Notices::new(call);
        self
    }

    /// Sets whether the run continues when its failures show one cause: when 20 requests failed
    /// alike and none of this output has ever succeeded, or when the server answers 403 to 20
    /// requests of a model in a row. Default: false, it [stops](crate::batch::StopReason::SameFailure).
    pub fn keep_going(mut self, keep_going: bool) -> Self {
        self.options.keeps_going = keep_going;
        self
    }

    /// Sets whether a request with `"service_tier": "flex"` is sent as a usual one when its retries are used up, or
    /// the deadline is near, and the flex tier still has no room. Its dearer price then has to fit into
    /// [`max_cost`](Run::max_cost) first. Default: false, it fails or stays undone.
    pub fn flex_fallback(mut self, fallback: bool) -> Self {
        self.options.flex_fallback = fallback;
        self
    }

    /// Registers a callback for finished lines. The thread that wrote a line calls it, for one line at a
    /// time. The next line is written when it returns, so a slow callback holds up the whole run and its
    /// end. Default: none.
    ///
    /// If it panics, it is not called again, and the run stops as if it were interrupted. The panic
    /// resumes when the requests in flight are written.
    ///
    /// ```no_run
    /// # use paceline::RateLimitedClient;
    /// use paceline::batch::{Input, Run};
    ///
    /// # let client = RateLimitedClient::new()?;
    /// let run = Run::new(client, Input::file("requests.jsonl")?);
    /// run.on_result(|line| println!("{:?}: {}", line.custom_id, line.succeeded)).run()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn on_result(mut self, call: impl FnMut(&Finished<'_>) + Send + 'static) -> Self {
        self.listener = Listener::new(call);
        self
    }
}

//! A plan and a check of a run, before anything is sent.

use std::sync::Arc;

use super::Run;
use super::open::compare;
use super::plan::{Plan, RequestPlan};
use super::planner;
use crate::Result;
use crate::batch::fs::system;
use crate::batch::ids::Ids;
use crate::batch::machine::InFlight;
use crate::batch::write::journal::{Earlier, Names};
use crate::batch::write::names::OutputNames;

impl Run {
    /// Reads, checks and counts everything, and says what the run would take for what is not done
    /// yet. Sends nothing and writes nothing.
    ///
    /// # Errors
    ///
    /// When the input cannot be read on, or no thread can be started;
    /// [`Error::OtherAnswers`](crate::Error::OtherAnswers) and [`Error::SimulatedAnswers`](crate::Error::SimulatedAnswers) as of [`run`](Self::run).
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

    fn plan_with(self, on_request: Option<planner::OnRequest>) -> Result<Plan> {
        let (mut input, mut known) = (self.input, Ids::default());
        if !self.resume.fresh {
            let OutputNames {
                results, simulated, ..
            } = &self.names;
            let (answers, ids) = Earlier::look(&system(), results, *simulated)?;
            (input, known) = compare(input, ids, answers, results, &self.stop, None)?;
        }
        let most = InFlight::of(self.max_in_flight).most;
        planner::plan(&self.client, input, known, self.options, most, on_request)
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
}

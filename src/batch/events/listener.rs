//! Telling the caller of each finished line.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use crate::batch::money::Money;
use crate::{Completion, Usage};

/// A line that is finished and written.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let run = run.on_result(|line| {
///     println!("{}: {}", line.custom_id.unwrap_or("a bad line"), line.succeeded);
/// });
/// run.run()?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Finished<'a> {
    /// The line's own, unless it has none that can be read.
    pub custom_id: Option<&'a str>,
    /// True for a result, false for a failure.
    pub succeeded: bool,
    /// What the request used, if its answer says so.
    pub usage: Option<Usage>,
    /// What it cost, if that is known and its model has a price.
    pub cost: Option<Money>,
    /// How often it was sent, if it succeeded: 1 without retries.
    pub attempts: Option<u32>,
    /// How its answer ended, if it succeeded.
    pub completion: Completion,
    /// How long it stood in its limiter's line; of a failure without the lines of its retries.
    pub waited: Duration,
}

type Call = Box<dyn FnMut(&Finished<'_>) + Send>;

/// The callback for finished lines; it gets one line at a time.
#[derive(Default)]
pub(in crate::batch) struct Listener {
    call: Option<Call>,
    panic: Option<Box<dyn Any + Send>>,
}

impl Listener {
    pub(in crate::batch) fn new(call: impl FnMut(&Finished<'_>) + Send + 'static) -> Self {
        Self {
            call: Some(Box::new(call)),
            panic: None,
        }
    }

    /// Passes a line that is written already to the callback. False when the callback panicked: it is
    /// not called again, and the run ends. The panic is kept until then, because requests in flight
    /// are paid for and have to be written first.
    pub(in crate::batch) fn tell(&mut self, finished: &Finished<'_>) -> bool {
        let Some(call) = &mut self.call else {
            return true;
        };
        let told = catch_unwind(AssertUnwindSafe(|| call(finished))); // never called again if not
        let Err(panic) = told else {
            return true;
        };
        self.call = None;
        self.panic = Some(panic);
        false
    }

    /// Resumes the panic, if there was one.
    pub(in crate::batch) fn end(self) {
        if let Some(panic) = self.panic {
            resume_unwind(panic);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("called", &self.call.is_some())
            .finish_non_exhaustive()
    }
}

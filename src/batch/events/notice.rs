//! What a run has to say while it runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a [run](crate::batch::Run) has to say while it runs: each once, and not once for each request.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Notice, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// run.on_notice(|notice| match notice {
///     Notice::Unreachable { base_url, reason, .. } => println!("{base_url}: {reason}"),
///     _ => {}
/// })
/// .run()?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Nothing has failed and no connection is established yet.
    Connecting {
        /// Where requests go.
        base_url: String,
    },
    /// The server cannot be reached. The run holds its requests, and one at a time tries.
    Unreachable {
        /// Where requests go.
        base_url: String,
        /// What failed.
        reason: String,
        /// Whether the server was ever reached in this run: if not, its address may be wrong.
        was_reached: bool,
    },
    /// The server is reached again.
    Reached {
        /// How long it was not.
        after: Duration,
    },
    /// Requests of a model wait for long: more than an hour, or ten minutes for a debt, or at all for a
    /// pause that another process asked for. After a day the run would end.
    LongWait {
        /// The model, or the family of models that share the limit.
        model: String,
        /// How long they still wait.
        wait: Duration,
        /// What they wait for.
        reason: String,
    },
    /// This side is out of descriptors, ports, threads or memory. The run has fewer requests in
    /// flight from now on, and no request fails by it.
    Exhausted {
        /// What the system said.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting { base_url } => write!(f, "still connecting to {base_url}"),
            Self::Unreachable {
                base_url, reason, ..
            } => write!(f, "cannot reach {base_url}: {reason}; retrying"),
            Self::Reached { after } => {
                let after = crate::error::human(*after);
                write!(f, "the server is reached again, after {after}")
            }
            Self::LongWait {
                model,
                wait,
                reason,
            } => {
                let wait = crate::error::human(*wait);
                write!(f, "requests of {model} wait for {wait}: {reason}")
            }
            Self::Exhausted { reason } => {
                write!(
                    f,
                    "out of local resources ({reason}): fewer requests at once"
                )
            }
        }
    }
}

/// The callback for notices.
#[derive(Clone)]
pub(in crate::batch) struct Notices(Arc<dyn Fn(&Notice) + Send + Sync>);

impl Notices {
    pub(in crate::batch) fn new(call: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(in crate::batch) fn tell(&self, notice: &Notice) {
        (self.0)(notice);
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self::new(|notice| log::warn!("{notice}"))
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notices").finish_non_exhaustive()
    }
}

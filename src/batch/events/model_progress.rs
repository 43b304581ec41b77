//! Where the requests of one limiter stand.

/// Where the requests of one limiter stand, in this run.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// for model in watch.models() {
///     println!("{}: {} in flight", model.model, model.in_flight);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct ModelProgress {
    /// The model, or the family of models that share the limiter.
    pub model: String,
    /// Requests that were read and counted.
    pub read: u64,
    /// Those of them that left the queue, to wait for the limiter and be sent.
    pub started: u64,
    /// Those of them that are no longer in flight, whatever became of them.
    pub ended: u64,
    /// Prompt tokens and output caps of the requests that were read.
    pub tokens_read: u64,
    /// Prompt tokens and output caps of the requests that were started.
    pub tokens_started: u64,
    /// Requests in flight.
    pub in_flight: u64,
}

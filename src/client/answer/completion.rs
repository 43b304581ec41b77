//! How an answer ended.

/// How an answer ended, by what its body says. Of several choices the first that applies to any of
/// them counts, in the order refused, cut off; it is empty when all of them are.
///
/// ```no_run
/// use paceline::{Completion, RateLimitedClient};
///
/// let client = RateLimitedClient::new()?;
/// let answer = client.chat("Tell me a long story.")?;
/// match answer.response().completion {
///     Completion::CutOff => println!("{} … (cut off)", answer.text()),
///     Completion::Refused => println!("the model does not want to"),
///     _ => println!("{}", answer.text()),
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Completion {
    /// By itself. Also every answer that has no such end, such as embeddings.
    #[default]
    Complete,
    /// At the output cap or at the end of the context: `finish_reason` is `length`, `stop_reason` is
    /// `max_tokens`, or `status` is `incomplete`.
    CutOff,
    /// By the model or by a filter: there is a `refusal`, or `finish_reason` is `content_filter`.
    Refused,
    /// By itself, with nothing in it: no text, no tool call, no sound, no image.
    Empty,
}

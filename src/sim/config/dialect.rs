//! The provider whose API is simulated.

use super::SimConfig;

/// The API that a simulator speaks like: its authorization, its rate limit headers, its errors, and
/// the fields that it refuses.
///
/// All dialects enforce limits in the same way; they differ in what they report to clients. The
/// shapes are those that the providers document or that were captured from them.
///
/// ```
/// use paceline::sim::{Dialect, SimConfig};
///
/// let config = SimConfig::new().dialect(Dialect::Anthropic);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`. The default.
    #[default]
    OpenAi,
    /// `anthropic-ratelimit-*` with RFC 3339 resets; errors with a `type`. `/v1/messages` speaks
    /// like this in every dialect.
    Anthropic,
    /// Only what remains, and "Please retry after 37 seconds"; the key may come as `api-key`.
    Azure,
    /// `x-ratelimit-*-{requests,tokens}-minute`, resets in seconds with decimals. Also
    /// `SambaNova`'s way.
    Cerebras,
    /// `x-ratelimit-*-tokens-{prompt,generated}` without a reset or a wait.
    Fireworks,
    /// No headers; errors are a list whose details name the wait and the quota.
    Gemini,
    /// OpenAI's names, but `-requests` is the day; `retry-after` on refusals alone.
    Groq,
    /// `x-ratelimit-{limit,remaining}-{req,tokens}-minute` without a wait; refuses
    /// `max_completion_tokens`.
    Mistral,
    /// No headers and no wait. What it limits is [how many are in flight](SimConfig::slots).
    Moonshot,
    /// Headers on refusals alone, with a reset in Unix milliseconds.
    OpenRouter,
    /// `x-ratelimit-*` and `x-tokenlimit-*` per second, with resets in seconds.
    Together,
}

impl Dialect {
    /// Every dialect, by its name on the command line.
    pub const ALL: [(&'static str, Self); 11] = [
        ("openai", Self::OpenAi),
        ("anthropic", Self::Anthropic),
        ("azure", Self::Azure),
        ("cerebras", Self::Cerebras),
        ("fireworks", Self::Fireworks),
        ("gemini", Self::Gemini),
        ("groq", Self::Groq),
        ("mistral", Self::Mistral),
        ("moonshot", Self::Moonshot),
        ("openrouter", Self::OpenRouter),
        ("together", Self::Together),
    ];
}

/// Whose API is simulated.
impl SimConfig {
    /// Sets the provider to speak like. Default: [`Dialect::OpenAi`].
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }
}

//! What limits and costs are counted in.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// What a quota counts.
///
/// A limiter may have one unit of its user's own, with a name for messages: images, seconds of audio,
/// characters. Two of those are equal whatever their names, because a [`Cost`](crate::Cost) has one amount for
/// both.
///
/// ```
/// use paceline::{Cost, Limits, RateLimiter, Unit};
///
/// const IMAGES: Unit = Unit::Custom("images");
/// let limiter = RateLimiter::new(Limits::builder().per_minute(IMAGES, 50).build()?);
/// limiter.acquire(Cost::default().with_custom(4))?;
///
/// let error = limiter.acquire(Cost::default().with_custom(51)).unwrap_err();
/// assert_eq!(error.to_string(), "a request of 51 images can never pass a limit of 50 images per minute");
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Unit {
    /// Requests, whatever their size.
    Requests,
    /// Tokens, input and output together.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// A unit of one's own, by its plural. Each process of a limiter that is shared over a store has it by the
    /// name that its own limits state.
    Custom(&'static str),
}

impl Unit {
    /// How many there are.
    pub(crate) const COUNT: usize = 5;

    /// Each of them, by its index.
    #[cfg(feature = "redis")]
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Requests,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Custom("units"),
    ];

    /// Where its amount stands among those of a cost.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Requests => 0,
            Self::Tokens => 1,
            Self::InputTokens => 2,
            Self::OutputTokens => 3,
            Self::Custom(_) => 4,
        }
    }
}

impl PartialEq for Unit {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.index() == other.index()
    }
}

impl Eq for Unit {}

impl Hash for Unit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index().hash(state);
    }
}

impl PartialOrd for Unit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Unit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.index().cmp(&other.index())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Custom(name) => name,
        })
    }
}

/// As a name: `input_tokens`.
#[cfg(feature = "serde")]
impl serde::Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Custom(name) => name,
        })
    }
}

/// Durations as seconds, for programs that read the serialized form.
#[cfg(feature = "serde")]
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::Serializer;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    /// The same where there may be none.
    pub(crate) mod maybe {
        use super::{Duration, Serializer};

        #[allow(clippy::ref_option, reason = "serde calls it so")]
        pub(crate) fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => serializer.serialize_some(&duration.as_secs_f64()),
                None => serializer.serialize_none(),
            }
        }
    }
}

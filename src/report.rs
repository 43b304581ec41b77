//! What a server says of its limits, in the headers and errors of its answers.

use std::time::Duration;

use crate::unit::Unit;

/// What one answer says of one limit. Any of it may be missing.
///
/// ```
/// use std::time::Duration;
/// use paceline::{Report, Unit};
///
/// // x-ratelimit-limit-tokens: 30000, -remaining-tokens: 29110, -reset-tokens: 1.78s
/// let mut report = Report::of(Unit::Tokens);
/// report.limit = Some(30_000);
/// report.remaining = Some(29_110);
/// report.reset = Some(Duration::from_millis(1_780));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What the limit counts.
    pub unit: Unit,
    /// Whose limit it is.
    pub scope: Scope,
    /// The whole amount per period, if it is above 0.
    pub limit: Option<u64>,
    /// What was left of it when the server had admitted the request, or refused it.
    pub remaining: Option<u64>,
    /// The time until it is whole again: until a bucket is full, or a window ends.
    pub reset: Option<Duration>,
}

impl Report {
    /// A report that says nothing yet.
    #[must_use]
    pub const fn of(unit: Unit) -> Self {
        Self {
            unit,
            scope: Scope::Account,
            limit: None,
            remaining: None,
            reset: None,
        }
    }
}

/// Whose limit a server speaks of. Limits of both kinds hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Scope {
    /// The account's or organization's.
    #[default]
    Account,
    /// The project's alone.
    Project,
}

/// What a refusal for a limit (429) says of that limit. Any of it may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Refusal {
    /// What the limit counts.
    pub unit: Option<Unit>,
    /// The period of the limit.
    pub period: Option<Duration>,
    /// The whole amount per period.
    pub limit: Option<u64>,
    /// What the server charges the refused request.
    pub requested: Option<u64>,
    /// The time after which the request would be admitted, if nobody else came.
    pub wait: Option<Duration>,
}

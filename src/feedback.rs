//! What a server's answer says of its limits: in its headers, and in its error when it refuses.

use std::time::Duration;

use crate::unit::Unit;

/// What one answer says of the limits of its request.
///
/// The client reads it from headers and error bodies; whoever sends requests by other means can
/// say it, with [`Permit::hear`](crate::Permit::hear).
///
/// ```
/// use std::time::Duration;
/// use paceline::{Feedback, Report, Unit};
///
/// // x-ratelimit-limit-tokens: 30000, -remaining-tokens: 29110, -reset-tokens: 1.78s
/// let mut report = Report::of(Unit::Tokens);
/// report.limit = Some(30_000);
/// report.remaining = Some(29_110);
/// report.reset = Some(Duration::from_millis(1_780));
/// let feedback = Feedback::admitted().with(report);
/// assert_eq!(feedback.reports, [report]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Feedback {
    /// What became of the request.
    pub verdict: Verdict,
    /// What is said of each limit.
    pub reports: Vec<Report>,
    /// How long an overloaded server asks everyone to wait. A refusal has a wait of its own.
    pub retry_after: Option<Duration>,
}

impl Feedback {
    /// Of a request that the limits let in, whatever came of it then.
    #[must_use]
    pub const fn admitted() -> Self {
        Self::of(Verdict::Admitted)
    }

    /// Of a request that a limit refused.
    #[must_use]
    pub const fn refused(refusal: Refusal) -> Self {
        Self::of(Verdict::Refused(refusal))
    }

    /// Of a request that an overloaded server did not take on.
    #[must_use]
    pub const fn overloaded() -> Self {
        Self::of(Verdict::Overloaded)
    }

    const fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            reports: Vec::new(),
            retry_after: None,
        }
    }

    /// The same with one more report.
    #[must_use]
    pub fn with(mut self, report: Report) -> Self {
        self.reports.push(report);
        self
    }
}

/// What became of a request, as far as limits are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Verdict {
    /// Not known: the answer was lost, or is an error that says nothing of limits.
    #[default]
    Unknown,
    /// The limits let it in.
    Admitted,
    /// A limit refused it (429): it was not charged, and may pass later.
    Refused(Refusal),
    /// The server is overloaded (503, 529), whatever the limits are.
    Overloaded,
}

/// What one answer says of one limit. Any of it may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What the limit counts.
    pub unit: Unit,
    /// Whose limit it is.
    pub scope: Scope,
    /// The whole amount per period, if it is above 0.
    pub limit: Option<u64>,
    /// What was left of it when the server had let the request in, or refused it.
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
    /// The period of the limit: a minute or a day.
    pub period: Option<Duration>,
    /// The whole amount per period.
    pub limit: Option<u64>,
    /// What the server charges the refused request.
    pub requested: Option<u64>,
    /// The time after which the request would be let in, if nobody else came.
    pub wait: Option<Duration>,
    /// Whether it is for how many are in flight at once, and for no rate.
    pub is_for_room: bool,
}

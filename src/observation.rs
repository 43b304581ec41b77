//! What a server's answer says of its limits: in its headers, and in its error when it refuses.

use std::time::Duration;

use crate::unit::Unit;

/// What one answer says of the limits of its request.
///
/// The client reads it from headers and error bodies. Programs that send requests by other means
/// report it with [`Permit::observe`](crate::Permit::observe).
///
/// ```
/// use std::time::Duration;
/// use paceline::{Observation, LimitStatus, Unit};
///
/// // x-ratelimit-limit-tokens: 30000, -remaining-tokens: 29110, -reset-tokens: 1.78s
/// let mut report = LimitStatus::of(Unit::Tokens);
/// report.limit = Some(30_000);
/// report.remaining = Some(29_110);
/// report.reset = Some(Duration::from_millis(1_780));
/// let observation = Observation::admitted().with(report);
/// assert_eq!(observation.limits, [report]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Observation {
    /// What became of the request.
    pub outcome: Outcome,
    /// What is said of each limit.
    pub limits: Vec<LimitStatus>,
    /// How long an overloaded server asks all clients to wait. A refusal has a wait of its own.
    pub retry_after: Option<Duration>,
}

impl Observation {
    /// Of a request that the limits let in, whatever came of it then.
    #[must_use]
    pub const fn admitted() -> Self {
        Self::of(Outcome::Admitted)
    }

    /// Of a request that a limit refused.
    #[must_use]
    pub const fn refused(refusal: Refusal) -> Self {
        Self::of(Outcome::Refused(refusal))
    }

    /// Of a request that an overloaded server did not take on.
    #[must_use]
    pub const fn overloaded() -> Self {
        Self::of(Outcome::Overloaded)
    }

    const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            limits: Vec::new(),
            retry_after: None,
        }
    }

    /// The same with one more report.
    #[must_use]
    pub fn with(mut self, report: LimitStatus) -> Self {
        self.limits.push(report);
        self
    }
}

/// What became of a request, as far as limits are concerned.
///
/// ```
/// use paceline::{Observation, Outcome};
///
/// assert_eq!(Observation::admitted().outcome, Outcome::Admitted);
/// assert_eq!(Observation::default().outcome, Outcome::Unknown);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Outcome {
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
///
/// ```
/// use paceline::{LimitStatus, Unit};
///
/// let mut status = LimitStatus::of(Unit::Requests);
/// (status.limit, status.remaining) = (Some(500), Some(499));
/// assert_eq!(status.reset, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStatus {
    /// What the limit counts.
    pub unit: Unit,
    /// Whose limit it is.
    pub scope: Scope,
    /// Its period, where the server says which; otherwise the numbers tell.
    pub period: Option<Duration>,
    /// The whole amount per period, if it is above 0.
    pub limit: Option<u64>,
    /// What was left of it when the server had let the request in, or refused it.
    pub remaining: Option<u64>,
    /// The time until it is whole again: until a bucket is full, or a window ends.
    pub reset: Option<Duration>,
}

impl LimitStatus {
    /// A report that says nothing yet.
    #[must_use]
    pub const fn of(unit: Unit) -> Self {
        Self {
            unit,
            scope: Scope::Account,
            period: None,
            limit: None,
            remaining: None,
            reset: None,
        }
    }
}

/// Whose limit a server speaks of. Limits of both kinds hold at once.
///
/// ```
/// use paceline::{LimitStatus, Scope, Unit};
///
/// let mut status = LimitStatus::of(Unit::Tokens);
/// status.scope = Scope::Project;
/// # let _ = status;
/// ```
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
///
/// ```
/// use std::time::Duration;
/// use paceline::{Observation, Refusal};
///
/// let mut refusal = Refusal::default();
/// refusal.wait = Some(Duration::from_secs(3));
/// let observation = Observation::refused(refusal);
/// # let _ = observation;
/// ```
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
    /// The time after which the server would admit the request, if no other request came.
    pub wait: Option<Duration>,
    /// Whether it is for how many are in flight at once, and for no rate.
    pub is_for_room: bool,
}

//! What a run came to.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::fs::{system, write_whole};
use super::machine::InFlightCap;
use super::money::Money;
use crate::batch::budget::bounds::Bound;
use crate::batch::events::progress::Progress;
use crate::batch::events::reasons::Reasons;
use crate::limiter::{LimitOrigin, QuotaSnapshot, Registry};
use crate::{Error, Result, Unit};

/// What a run came to. Serializes to the keys of the command's `--summary`.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let summary = run.run()?;
/// println!("{} succeeded, {} failed", summary.succeeded, summary.failed);
/// summary.write("summary.json")?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Lines of the input that were dealt with, here or in an earlier run.
    pub requests: u64,
    /// Requests with a result, of this run.
    pub succeeded: u64,
    /// Requests and lines that failed.
    pub failed: u64,
    /// Of those that succeeded, answers that were cut off at their output cap.
    pub cut_off: u64,
    /// Of those that succeeded, answers in which the model or a filter refused.
    pub refused: u64,
    /// Of those that succeeded, answers with nothing in them.
    pub empty: u64,
    /// Lines that an earlier run had finished.
    pub resumed: u64,
    /// Tries after the first.
    pub retries: u64,
    /// 429 answers that asked to wait.
    pub rate_limited: u64,
    /// Tokens that admitted requests reserved.
    pub tokens_reserved: u64,
    /// Tokens that answers say were used.
    pub tokens_used: u64,
    /// Requests still in flight when the [grace period](super::Run::grace) of a stopped run ended. The
    /// next run sends them again; the server may charge for both.
    pub abandoned: u64,
    /// How long the run took, in seconds.
    pub wall_seconds: f64,
    /// How much of what the binding quota could grant in that time was granted, 0 to 1.
    pub utilisation: f64,
    /// The quota that was used most: `MODEL: AMOUNT UNIT per PERIOD`.
    pub binding: Option<String>,
    /// The most requests that were in flight at once.
    pub max_in_flight: u64,
    /// What kept more from being in flight, if that was no limit of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_capped_by: Option<InFlightCap>,
    /// Why lines failed and attempts were retried, the most frequent reason first.
    pub reasons: Reasons,
    /// What answers cost, where the run has [prices](super::Run::prices).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What the cost is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Answers whose cost is not known and left out: their model has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<u64>,
    /// Where the binding quota comes from. Not serialized.
    #[serde(skip)]
    pub binding_origin: LimitOrigin,
    /// What the server charges for each token that is reserved, by model or family, where its
    /// answers have shown it: 1.12 when it counts 1.12 times our tokens. Not serialized.
    #[serde(skip)]
    pub charge_ratios: BTreeMap<String, f64>,
    /// What is wrong with lines that could not be sent, each with its place, in their order: the
    /// first 10 of them. Not serialized.
    #[serde(skip)]
    pub bad_lines: Vec<String>,
    /// How many more there are. Not serialized.
    #[serde(skip)]
    pub more_bad_lines: u64,
    /// Lines of the input, if that is known. Not serialized.
    #[serde(skip)]
    pub total: Option<u64>,
    /// How the run ended; serialized as its [name](StopReason::name).
    #[serde(serialize_with = "by_name")]
    pub ending: StopReason,
}

/// How a run ended.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{StopReason, Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// match run.run()?.ending {
///     StopReason::Finished => println!("done"),
///     ending => println!("{}: {:?}", ending.name(), ending.reason()),
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StopReason {
    /// Every line was dealt with.
    #[default]
    Finished,
    /// Its token was cancelled. Requests in flight were finished, or else
    /// [abandoned](Summary::abandoned); a later run resumes.
    Interrupted,
    /// The server refused the account, for this reason. A later run resumes.
    AccountError(String),
    /// The server answers 403, for this reason: to each request while none of this output has ever
    /// succeeded, or to 20 of one model in a row. A later run tries the failures again.
    Forbidden(String),
    /// 20 requests failed for this same reason, and none of this output has ever succeeded. A later
    /// run tries them again.
    SameFailure(String),
    /// The server was never reached, and this is what failed last. No request failed by it, and a
    /// later run sends them.
    Unreachable(String),
    /// The certificate of the server, or of the proxy, is not valid. No request failed by it, and a
    /// later run sends them.
    Certificate(String),
    /// All requests left would wait for more than 24 h, for this reason. A later run resumes.
    LongWait(String),
    /// It met a bound. Requests in flight were finished; a later run resumes.
    Bound(Bound),
}

impl StopReason {
    /// `finished`, `interrupted`, `account_error`, `forbidden`, `same_failure`,
    /// `unreachable`, `certificate`, `long_wait`, or the [name](Bound::name) of a bound.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::AccountError(_) => "account_error",
            Self::Forbidden(_) => "forbidden",
            Self::SameFailure(_) => "same_failure",
            Self::Unreachable(_) => "unreachable",
            Self::Certificate(_) => "certificate",
            Self::LongWait(_) => "long_wait",
            Self::Bound(bound) => bound.name(),
        }
    }

    /// The error that stopped the run, if one did.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::AccountError(reason)
            | Self::Forbidden(reason)
            | Self::SameFailure(reason)
            | Self::Unreachable(reason)
            | Self::Certificate(reason)
            | Self::LongWait(reason) => Some(reason),
            Self::Finished | Self::Interrupted | Self::Bound(_) => None,
        }
    }
}

fn by_name<S: Serializer>(ending: &StopReason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(ending.name())
}

impl Summary {
    /// Writes the summary as JSON to a file. What was there stays until all of it is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let fail = |error| Error::io(path, error);
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| fail(error.into()))?;
        json.push(b'\n');
        write_whole(&system(), path, |writer| {
            writer.write_all(&json).map_err(fail)
        })
    }

    pub(super) fn new(
        progress: Progress,
        wall: Duration,
        usage: QuotaUse,
        ending: StopReason,
    ) -> Self {
        Self {
            requests: progress.done(),
            succeeded: progress.succeeded,
            failed: progress.failed,
            cut_off: progress.cut_off,
            refused: progress.refused,
            empty: progress.empty,
            resumed: progress.resumed,
            retries: progress.retries,
            rate_limited: progress.rate_limited,
            tokens_reserved: progress.tokens_reserved,
            tokens_used: progress.tokens_used,
            abandoned: 0,
            bad_lines: Vec::new(),
            more_bad_lines: 0,
            wall_seconds: round(wall.as_secs_f64()),
            utilisation: round(usage.utilisation),
            binding: usage.binding,
            max_in_flight: progress.max_in_flight,
            in_flight_capped_by: None,
            reasons: Reasons::default(),
            cost: progress.cost,
            currency: None,
            unpriced: progress.cost.map(|_| progress.unpriced),
            binding_origin: usage.origin,
            charge_ratios: usage.charge_ratios,
            total: progress.total,
            ending,
        }
    }

    pub(super) fn priced_in(mut self, currency: Option<String>) -> Self {
        self.currency = currency;
        self
    }
}

/// Three decimals: the rest is noise.
fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// How much of the quota that was used most was used.
#[derive(Debug, Default)]
pub(super) struct QuotaUse {
    utilisation: f64,
    binding: Option<String>,
    origin: LimitOrigin,
    charge_ratios: BTreeMap<String, f64>,
}

/// What the limiters of a registry had granted when a run began.
pub(super) struct Before(HashMap<String, Vec<QuotaSnapshot>>);

impl Before {
    pub(super) fn of(registry: &Registry) -> Self {
        let limiters = registry.limiters().into_iter();
        Self(
            limiters
                .map(|(name, limiter)| (name, limiter.snapshot().quotas))
                .collect(),
        )
    }

    /// What was granted since, against what could have been: what stood in the bucket, and what
    /// came in.
    pub(super) fn usage_since(&self, registry: &Registry, elapsed: Duration) -> QuotaUse {
        let mut most = QuotaUse::default();
        for (name, limiter) in registry.limiters() {
            let before = self.0.get(&name);
            for after in limiter.snapshot().quotas {
                // A limit that the server has changed since had a bucket of its own.
                let mut before = before.into_iter().flatten();
                let before = before.find(|before| before.quota == after.quota);
                let ratio = after.count_ratio.unwrap_or(1.0);
                let granted = after.granted - before.map_or(0, |before| before.granted);
                let stood = before.map_or(after.quota.burst().cast_signed(), |before| before.level);
                let came_in = after.quota.amount_in(elapsed);
                #[allow(clippy::cast_precision_loss, reason = "a ratio for a person to read")]
                let utilisation =
                    granted as f64 * ratio / (stood.max(0) as f64 + came_in as f64).max(1.0);
                if utilisation > most.utilisation {
                    most.utilisation = utilisation.min(1.0);
                    most.binding = Some(format!("{name}: {}", after.quota));
                    most.origin = after.origin;
                }
                if let Some(ratio) = after
                    .count_ratio
                    .filter(|_| after.quota.unit() == Unit::Tokens)
                {
                    most.charge_ratios.insert(name.clone(), round(ratio));
                }
            }
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/outcomes.md");

    /// Every ending, in a list that the compiler keeps whole: a new one has no arm.
    fn next(ending: Option<&StopReason>) -> Option<StopReason> {
        let reason = String::new;
        Some(match ending {
            None => StopReason::Finished,
            Some(StopReason::Finished) => StopReason::Interrupted,
            Some(StopReason::Interrupted) => StopReason::AccountError(reason()),
            Some(StopReason::AccountError(_)) => StopReason::Forbidden(reason()),
            Some(StopReason::Forbidden(_)) => StopReason::SameFailure(reason()),
            Some(StopReason::SameFailure(_)) => StopReason::Unreachable(reason()),
            Some(StopReason::Unreachable(_)) => StopReason::Certificate(reason()),
            Some(StopReason::Certificate(_)) => StopReason::LongWait(reason()),
            Some(StopReason::LongWait(_)) => StopReason::Bound(Bound::Tokens {
                budget: 1,
                used: 0,
                needed: 2,
            }),
            Some(StopReason::Bound(Bound::Tokens { .. })) => StopReason::Bound(Bound::Cost {
                budget: Money::ZERO,
                used: Money::ZERO,
                needed: Money::ZERO,
            }),
            Some(StopReason::Bound(Bound::Cost { .. })) => {
                StopReason::Bound(Bound::Failures { most: 1 })
            }
            Some(StopReason::Bound(Bound::Failures { .. })) => StopReason::Bound(Bound::Deadline {
                after: Duration::ZERO,
            }),
            Some(StopReason::Bound(Bound::Deadline { .. })) => return None,
        })
    }

    #[test]
    fn every_ending_is_on_the_page_of_outcomes() {
        let endings = std::iter::successors(next(None), |ending| next(Some(ending)));
        let mut names: Vec<_> = endings.map(|ending| ending.name()).collect();
        let table = PAGE
            .lines()
            .skip_while(|line| !line.starts_with("| ending"));
        let rows = table.skip(2).take_while(|line| line.starts_with('|'));
        let mut found: Vec<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
        names.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, names);
    }
}

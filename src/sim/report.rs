//! What a simulator has seen and done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::audit::{Admission, largest_excess};
use super::config::SimLimits;
use super::ledger::Counted;
use super::models::Book;

/// What a simulator has seen and done so far.
///
/// Once all are answered, every request is in exactly one of the counters `admitted` to
/// `bad_requests`, except that a good `GET /v1/models` is in none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimReport {
    /// Requests that arrived, whatever came of them.
    pub received: u64,
    /// Requests that the limits let in.
    pub admitted: u64,
    /// 429s because a limit on tokens was used up.
    pub refused_for_tokens: u64,
    /// 429s because a limit on requests was used up.
    pub refused_for_requests: u64,
    /// 429s because the request was above the limit by itself.
    pub too_large: u64,
    /// 401s: no key, or the wrong one.
    pub unauthorized: u64,
    /// Every other 4xx and 5xx, malformed HTTP included.
    pub bad_requests: u64,
    /// Tokens charged to admitted requests.
    pub tokens_charged: u64,
    /// Connections that were open at once, at most.
    pub most_connections: u64,
    /// Requests that were being answered at once, at most.
    pub most_in_flight: u64,
    /// Time from the first admission to the last.
    pub admitting: Duration,
    /// The models that have limits of their own or were asked for, by the name that their
    /// snapshots and fine-tunes share.
    pub models: BTreeMap<String, ModelReport>,
    pub(super) burst: Duration,
}

/// What a simulator did for one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelReport {
    /// The limits that were enforced.
    pub limits: SimLimits,
    /// Requests that the limits let in.
    pub admitted: u64,
    /// 429s of every kind.
    pub refused: u64,
    /// Tokens charged to admitted requests.
    pub tokens_charged: u64,
    /// In the order of their time.
    admissions: Vec<Admission>,
}

/// A window in which more was admitted than burst + rate · T allows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The model, by the name it has in [`SimReport::models`].
    pub model: String,
    /// Which of its limits.
    pub counted: Counted,
    /// How much too much, rounded up.
    pub excess: u64,
    /// When the window begins, counted from the simulator's start.
    pub from: Duration,
    /// When it ends.
    pub until: Duration,
}

impl SimReport {
    /// The 429s of all kinds.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused_for_tokens + self.refused_for_requests + self.too_large
    }

    /// Checks the simulator itself: for each limit the window that is above burst + rate · T by
    /// most, found from the recorded admissions by other arithmetic than admitted them. Empty
    /// when the limits held. Where a charge above the burst was admitted, the largest such
    /// charge counts as the burst.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (model, report) in &self.models {
            let limits = [
                (Counted::Requests, report.limits.requests_per_minute),
                (Counted::Tokens, report.limits.tokens_per_minute),
            ];
            for (counted, limit) in limits {
                let Some(limit) = limit else { continue };
                let charges = report.admissions.iter().map(|admission| match counted {
                    Counted::Requests => (admission.at, 1),
                    Counted::Tokens => (admission.at, admission.tokens),
                });
                if let Some(excess) = largest_excess(limit, self.burst, charges) {
                    found.push(Violation {
                        model: model.clone(),
                        counted,
                        excess: excess.amount,
                        from: excess.from,
                        until: excess.until,
                    });
                }
            }
        }
        found
    }

    /// Adds a model's book to the sums.
    pub(super) fn add(&mut self, model: String, book: &Book) {
        let report = ModelReport {
            limits: book.limits,
            admitted: u64::try_from(book.admissions.len()).unwrap_or(u64::MAX),
            refused: book.refused_tokens + book.refused_requests + book.too_large,
            tokens_charged: book
                .admissions
                .iter()
                .fold(0, |sum, it| sum.saturating_add(it.tokens)),
            admissions: book.admissions.clone(),
        };
        self.admitted += report.admitted;
        self.refused_for_tokens += book.refused_tokens;
        self.refused_for_requests += book.refused_requests;
        self.too_large += book.too_large;
        self.tokens_charged = self.tokens_charged.saturating_add(report.tokens_charged);
        self.models.insert(model, report);
        self.admitting = self.time_between_admissions();
    }

    fn time_between_admissions(&self) -> Duration {
        let ends =
            |book: &ModelReport| Some((book.admissions.first()?.at, book.admissions.last()?.at));
        let all = self.models.values().filter_map(ends);
        all.reduce(|(first, last), (from, until)| (first.min(from), last.max(until)))
            .map_or(Duration::ZERO, |(first, last)| {
                Duration::from_nanos(last.saturating_sub(first))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_name_the_model_and_the_limit() {
        let limits = |tokens, requests| SimLimits {
            tokens_per_minute: tokens,
            requests_per_minute: requests,
        };
        let model = |limits, admissions: &[(u64, u64)]| ModelReport {
            limits,
            admissions: admissions
                .iter()
                .map(|(at, tokens)| Admission {
                    at: *at,
                    tokens: *tokens,
                })
                .collect(),
            ..ModelReport::default()
        };
        let crowd = [(0, 40), (5, 40), (5, 40)];
        let mut report = SimReport {
            burst: Duration::from_secs(60),
            ..SimReport::default()
        };
        report.models = BTreeMap::from([
            ("both".to_owned(), model(limits(Some(100), Some(1)), &crowd)),
            ("fine".to_owned(), model(limits(Some(120), Some(3)), &crowd)),
            ("free".to_owned(), model(limits(None, None), &crowd)),
        ]);
        let found: Vec<_> = report
            .violations()
            .into_iter()
            .map(|it| (it.model, it.counted, it.excess))
            .collect();
        let expected = [
            ("both".to_owned(), Counted::Requests, 2),
            ("both".to_owned(), Counted::Tokens, 20),
        ];
        assert_eq!(found, expected);
    }
}

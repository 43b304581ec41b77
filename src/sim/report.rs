//! What a simulator has seen and done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::audit::largest_excess;
use super::config::{Fault, SimLimits};
use super::ledger::Counted;
use super::models::Book;
use super::rule::{Entry, Kind, Rule};

/// What a simulator has seen and done so far.
///
/// Once all are answered, every request is in exactly one of the counters `admitted` to
/// `bad_requests`, except that a good `GET /v1/models` is in none, and that a [fault](Self::faults)
/// before admission is only there.
///
/// ```
/// use paceline::sim::{SimConfig, Simulator};
///
/// let simulator = Simulator::start(SimConfig::new())?;
/// let report = simulator.report();
/// assert_eq!((report.received, report.tokens_charged), (0, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimReport {
    /// Requests that arrived, whatever came of them.
    pub received: u64,
    /// Requests that the limits admitted.
    pub admitted: u64,
    /// 429s because a limit on tokens, a minute or a day, was used up.
    pub refused_for_tokens: u64,
    /// 429s because a limit on requests, a minute or a day, was used up.
    pub refused_for_requests: u64,
    /// 429s because the request was above the limit by itself.
    pub too_large: u64,
    /// 429s because the account was out of money.
    pub out_of_money: u64,
    /// Requests that found no [slot](super::SimConfig::slots), nor a place in its queue.
    pub refused_for_slots: u64,
    /// 401s: no key, or the wrong one.
    pub unauthorized: u64,
    /// Every other 4xx and 5xx, malformed HTTP included.
    pub bad_requests: u64,
    /// Faults of each kind that happened. Those after admission are in `admitted` too.
    pub faults: BTreeMap<Fault, u64>,
    /// Tokens charged to admitted requests.
    pub tokens_charged: u64,
    /// Tokens of those that were given back, because the answers did not use them.
    pub tokens_given_back: u64,
    /// The most tokens by which answers were above what a limit lets through at once, where they
    /// [count when they are there](super::ChargeRule::Answered).
    pub most_debt: u64,
    /// Connections that were open at once, at most.
    pub most_connections: u64,
    /// Requests that were being answered at once, at most.
    pub most_in_flight: u64,
    /// Time from the first admission to the last.
    pub admitting: Duration,
    /// When the first request arrived, counted from the simulator's start.
    pub first_arrival: Option<Duration>,
    /// When the last admitted request was admitted, counted from the simulator's start.
    pub last_admission: Option<Duration>,
    /// The models that have limits of their own or were asked for, by the name that their
    /// snapshots and fine-tunes share.
    pub models: BTreeMap<String, ModelReport>,
}

/// What a simulator did for one model.
///
/// ```
/// use paceline::sim::{SimConfig, Simulator};
///
/// let simulator = Simulator::start(SimConfig::new())?;
/// for (model, report) in simulator.report().models {
///     println!("{model}: {report:?}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelReport {
    /// The limits that were enforced, before any change.
    pub limits: SimLimits,
    /// Requests that the limits admitted.
    pub admitted: u64,
    /// 429s because of its limits; running out of money is not a matter of one model.
    pub refused: u64,
    /// Tokens charged to admitted requests.
    pub tokens_charged: u64,
    /// Tokens of the limit a minute that the neighbour took, up to the last request.
    pub neighbour_tokens: u64,
    /// Requests of the limit a minute that the neighbour took, up to the last request.
    pub neighbour_requests: u64,
    records: Vec<Record>,
}

/// One limit, and what was taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    counted: Counted,
    rule: Rule,
    log: Vec<Entry>,
}

/// A window in which more was taken than burst + rate · T allows, or a fixed window that was
/// too full.
///
/// ```
/// use paceline::sim::{SimConfig, Simulator, Violation};
///
/// let simulator = Simulator::start(SimConfig::new())?;
/// let violations: Vec<Violation> = simulator.report().violations();
/// assert!(violations.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
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
        let limits = self.refused_for_tokens + self.refused_for_requests + self.too_large;
        limits + self.out_of_money
    }

    /// The time from the first request's arrival until the last one was admitted; `None` before any
    /// was. It has no latency of an answer in it, so it is what a client's pacing can be judged by.
    #[must_use]
    pub fn until_last_admission(&self) -> Option<Duration> {
        Some(self.last_admission?.saturating_sub(self.first_arrival?))
    }

    /// Checks the simulator itself: for each limit the window that is above burst + rate · T by
    /// most, or the fixed window that is too full by most, found from what was taken by other
    /// arithmetic than admitted it. What the neighbour took counts, and what was given back does
    /// not. Empty when the limits held. Where a charge above the burst was admitted, the largest
    /// such charge counts as the burst.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (model, report) in &self.models {
            for record in &report.records {
                if let Some(excess) = largest_excess(&record.rule, &record.log) {
                    found.push(Violation {
                        model: model.clone(),
                        counted: record.counted,
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
        let accounts = book.ledger.accounts.iter();
        let records = accounts.map(|account| Record {
            counted: account.counted,
            rule: account.rule.clone(),
            log: account.log.clone(),
        });
        let records: Vec<Record> = records.collect();
        let report = ModelReport {
            limits: book.limits,
            admitted: book.admitted,
            refused: book.refused_tokens + book.refused_requests + book.too_large,
            tokens_charged: book.charged,
            neighbour_tokens: neighbour(&records, Counted::Tokens),
            neighbour_requests: neighbour(&records, Counted::Requests),
            records,
        };
        self.admitted += report.admitted;
        self.refused_for_tokens += book.refused_tokens;
        self.refused_for_requests += book.refused_requests;
        self.too_large += book.too_large;
        self.tokens_charged = self.tokens_charged.saturating_add(book.charged);
        self.tokens_given_back = self.tokens_given_back.saturating_add(book.given_back);
        let debts = book.ledger.accounts.iter().map(|account| account.most_debt);
        self.most_debt = debts.fold(self.most_debt, u64::max);
        self.models.insert(model, report);
    }

    /// Says when requests were admitted, from the first and the last admission of each book.
    pub(super) fn add_times(&mut self, books: impl Iterator<Item = (u64, u64)>) {
        let all = books.reduce(|(first, last), (from, until)| (first.min(from), last.max(until)));
        if let Some((first, last)) = all {
            self.admitting = Duration::from_nanos(last.saturating_sub(first));
            self.last_admission = Some(Duration::from_nanos(last));
        }
    }
}

/// What the neighbour took from a limit.
fn neighbour(records: &[Record], counted: Counted) -> u64 {
    let records = records.iter().filter(|record| record.counted == counted);
    records
        .flat_map(|record| &record.log)
        .filter(|entry| entry.kind == Kind::Neighbour)
        .fold(0, |sum, entry| sum.saturating_add(entry.amount))
}

#[cfg(test)]
mod tests {
    use super::super::rule::MINUTE;
    use super::*;

    #[test]
    fn violations_name_the_model_and_the_limit() {
        let record = |counted, limit, charge| Record {
            counted,
            rule: Rule {
                steps: vec![(0, limit)],
                period: MINUTE,
                span: MINUTE,
                windows: false,
            },
            log: [0, 5, 5]
                .into_iter()
                .map(|at| Entry {
                    at,
                    amount: charge,
                    kind: Kind::Admitted,
                })
                .collect(),
        };
        let model = |tokens, requests| ModelReport {
            records: vec![
                record(Counted::Requests, requests, 1),
                record(Counted::Tokens, tokens, 40),
            ],
            ..ModelReport::default()
        };
        let report = SimReport {
            models: BTreeMap::from([
                ("both".to_owned(), model(Some(100), Some(1))),
                ("fine".to_owned(), model(Some(120), Some(3))),
                ("free".to_owned(), model(None, None)),
            ]),
            ..SimReport::default()
        };
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

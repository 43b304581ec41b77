//! Why requests failed or were retried: equal reasons are counted as one, and at most 12 separately.

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

/// Reasons counted separately, at most. Those that come later are counted together.
const MOST: usize = 12;

/// The longest text that is kept, in characters.
const LONGEST: usize = 300;

/// What failed in a run, by reason, the most frequent first. Serializes to a list of [`Reason`]s.
///
/// It takes constant memory: 12 reasons are counted separately, and [`others`](Reasons::others)
/// counts the rest.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// for reason in watch.reasons().by_count() {
///     println!("{}: {} failed, {} retried", reason.reason, reason.failed, reason.retried);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasons {
    /// In the order in which they came up.
    told_apart: Vec<Reason>,
    others: Reason,
    /// The index of the latest one in `told_apart`.
    latest: Option<usize>,
}

/// One reason for which attempts or lines failed.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// if let Some(latest) = watch.reasons().latest() {
///     println!("{}: {}", latest.reason, latest.message);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// The kind in a few words, such as `500 server_error` or `cannot connect`.
    pub reason: String,
    /// Requests and lines that failed for good.
    pub failed: u64,
    /// Failed attempts after which the request was sent again, or is still to be.
    pub retried: u64,
    /// Whether the same request may succeed when it is sent again later.
    pub retryable: bool,
    /// What one failure of this kind said.
    pub message: String,
    /// The `custom_id` of that failure, if it has one that can be read.
    pub custom_id: Option<String>,
}

/// A line that has failed for good, or an attempt that has failed.
#[derive(Debug, Clone, Copy)]
pub(in crate::batch) struct Failure<'a> {
    pub(in crate::batch) kind: &'a str,
    pub(in crate::batch) message: &'a str,
    pub(in crate::batch) custom_id: Option<&'a str>,
    pub(in crate::batch) retryable: bool,
}

impl Reasons {
    /// Counts an attempt that failed. Whether it was the last one is not known yet.
    pub(in crate::batch) fn attempted(&mut self, failure: &Failure<'_>) {
        let reason = self.find(failure);
        reason.retried += 1;
    }

    /// Counts a line that failed for good. `after_attempt` says that its last attempt was counted
    /// as one that is retried, which it was not.
    pub(in crate::batch) fn failed(&mut self, failure: &Failure<'_>, after_attempt: bool) {
        let reason = self.find(failure);
        if reason.failed == 0 && !reason.reason.is_empty() {
            // An example that stands in the errors file is of more use.
            reason.message = shortened(failure.message);
            reason.custom_id = failure.custom_id.map(shortened);
        }
        reason.failed += 1;
        if after_attempt {
            reason.retried = reason.retried.saturating_sub(1);
        }
    }

    fn find(&mut self, failure: &Failure<'_>) -> &mut Reason {
        let kind = shortened(failure.kind);
        let known = self.told_apart.iter().position(|it| it.reason == kind);
        let index = match known {
            Some(index) => index,
            None if self.told_apart.len() == MOST => {
                self.others.retryable |= failure.retryable;
                return &mut self.others;
            }
            None => {
                self.told_apart.push(Reason {
                    reason: kind,
                    message: shortened(failure.message),
                    custom_id: failure.custom_id.map(shortened),
                    ..Reason::default()
                });
                self.told_apart.len() - 1
            }
        };
        self.latest = Some(index);
        let reason = &mut self.told_apart[index];
        reason.retryable |= failure.retryable;
        reason
    }

    /// The reasons counted separately: first by failures, then by retries, most first.
    #[must_use]
    pub fn by_count(&self) -> Vec<&Reason> {
        let mut reasons: Vec<_> = self.told_apart.iter().filter(|it| !it.is_gone()).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse((reason.failed, reason.retried)));
        reasons
    }

    /// All others, counted together, without a name and a message.
    #[must_use]
    pub fn others(&self) -> &Reason {
        &self.others
    }

    /// The one that came up last.
    #[must_use]
    pub fn latest(&self) -> Option<&Reason> {
        self.told_apart.get(self.latest?)
    }

    /// True when nothing has failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_count().is_empty()
    }
}

impl Reason {
    /// An attempt of a request that then failed for another reason leaves nothing.
    fn is_gone(&self) -> bool {
        self.failed == 0 && self.retried == 0
    }
}

impl Serialize for Reasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for reason in self.by_count() {
            list.serialize_element(reason)?;
        }
        if !self.others.is_gone() {
            let others = Reason {
                reason: "other reasons".to_owned(),
                ..self.others.clone()
            };
            list.serialize_element(&others)?;
        }
        list.end()
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<'a>(kind: &'a str, message: &'a str) -> Failure<'a> {
        Failure {
            kind,
            message,
            custom_id: Some("id"),
            retryable: true,
        }
    }

    #[test]
    fn reasons_are_bounded_in_number_and_length_and_every_failure_counts() {
        let mut reasons = Reasons::default();
        let long = "ä".repeat(1_000);
        for number in 0..100 {
            reasons.failed(&failure(&format!("{}", number % 20), &long), false);
            reasons.failed(&failure("7", "another text"), false);
        }
        let by_count = reasons.by_count();
        assert_eq!(by_count.len(), MOST);
        assert_eq!((&*by_count[0].reason, by_count[0].failed), ("7", 105));
        assert_eq!(by_count[1].message.chars().count(), LONGEST + 1);
        let told_apart: u64 = by_count.iter().map(|reason| reason.failed).sum();
        assert_eq!(told_apart + reasons.others().failed, 200);
        let json = serde_json::to_value(&reasons).unwrap();
        assert_eq!(json[12]["reason"], "other reasons");
        assert_eq!(json[12]["failed"], reasons.others().failed);
        // Kinds that begin alike for very long are one.
        let mut reasons = Reasons::default();
        reasons.failed(&failure(&format!("{long}a"), ""), false);
        reasons.failed(&failure(&format!("{long}b"), ""), false);
        assert_eq!(reasons.by_count()[0].failed, 2);
    }

    #[test]
    fn an_attempt_is_retried_until_it_was_the_last_one() {
        let mut reasons = Reasons::default();
        let counts = |reasons: &Reasons| {
            let counts = reasons.by_count().into_iter();
            counts
                .map(|it| (it.reason.clone(), it.failed, it.retried))
                .collect::<Vec<_>>()
        };
        for _ in 0..3 {
            reasons.attempted(&failure("500", "first"));
        }
        assert_eq!(counts(&reasons), [("500".to_owned(), 0, 3)]);
        reasons.failed(&failure("500", "last"), true);
        assert_eq!(counts(&reasons), [("500".to_owned(), 1, 2)]);
        assert_eq!(reasons.by_count()[0].message, "last");
        // Without a retry nothing was retried, and bad lines were no attempts.
        reasons.attempted(&failure("400", ""));
        reasons.failed(&failure("400", ""), true);
        reasons.failed(&failure("invalid line", ""), false);
        let expected = [("500", 1, 2), ("400", 1, 0), ("invalid line", 1, 0)];
        let expected = expected.map(|(kind, failed, retried)| (kind.to_owned(), failed, retried));
        assert_eq!(counts(&reasons), expected);
        assert_eq!(reasons.latest().unwrap().reason, "invalid line");
    }
}

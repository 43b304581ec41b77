//! Whether failures have one cause that the requests still to come would meet as well. Pure: the
//! caller reports the end of each request, in the order in which they end.
//!
//! Refusals are quick and successes are slow, so with many in flight the first ends are all
//! failures. A suspicion therefore stands until the requests in flight have ended: a success among
//! them dispels it.

use std::collections::HashMap;

/// Failures alike that raise a suspicion, as `twenty_failures_alike_stop_what_has_never_succeeded`
/// checks. The docs of [`Run::keep_going`](crate::batch::Run::keep_going) state the number.
pub(in crate::batch) const ALIKE: u64 = 20;
/// Kinds of failure that are counted separately, at most. A server whose every failure is of its own
/// kind has no single cause. It bounds memory: `kinds_without_end_take_no_memory_without_end`.
const MOST_KINDS: usize = 64;

/// What the failures of a run have in common.
#[derive(Debug, Default)]
pub(in crate::batch) struct CommonCause {
    /// Whether a request of this output succeeded, in this run or an earlier one.
    has_succeeded: bool,
    in_flight: u64,
    /// Failures by kind, until a request succeeds.
    kinds: Vec<(String, u64)>,
    /// Refusals with 403 since the last other end, by model.
    forbidden: HashMap<String, u64>,
    /// The last of all refusals with 403, and how many requests failed otherwise.
    last_forbidden: Option<Cause>,
    others: u64,
    suspicion: Option<Cause>,
}

/// A cause that every request meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::batch) enum Cause {
    /// The server answers 403, for this reason.
    Forbidden(String),
    /// All failures are alike, for this reason.
    Same(String),
}

impl Cause {
    /// What the failure said that was enough.
    pub(in crate::batch) fn reason(&self) -> &str {
        match self {
            Self::Forbidden(reason) | Self::Same(reason) => reason,
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum End<'a> {
    Succeeded,
    Failed {
        /// The group in which failures are alike: `404 model_not_found`.
        kind: &'a str,
        /// Whether the server answered 403.
        is_forbidden: bool,
        /// What the error says.
        reason: &'a str,
    },
    /// It was stopped, and says nothing.
    Undone,
}

impl CommonCause {
    pub(in crate::batch) fn new(has_succeeded: bool) -> Self {
        Self {
            has_succeeded,
            ..Self::default()
        }
    }

    pub(in crate::batch) fn begun(&mut self) {
        self.in_flight += 1;
    }

    /// A request of `model` that had begun has ended. Returns the cause for which the run has to
    /// stop, if it does.
    pub(in crate::batch) fn ended(&mut self, model: &str, end: End<'_>) -> Option<Cause> {
        self.in_flight = self.in_flight.saturating_sub(1);
        match end {
            End::Succeeded => self.succeeded(model),
            End::Failed {
                kind,
                is_forbidden,
                reason,
            } => self.failed(model, kind, is_forbidden, reason),
            End::Undone => {}
        }
        self.suspicion.clone().filter(|_| self.in_flight == 0)
    }

    /// Why requests are held: failures look alike, and those in flight have to show whether all are.
    pub(in crate::batch) fn suspicion(&self) -> Option<&Cause> {
        self.suspicion.as_ref()
    }

    /// The cause for which a run has failed that is through: too few failures for a suspicion, but
    /// none of its requests was let in.
    pub(in crate::batch) fn at_the_end(&self) -> Option<Cause> {
        let all_are_forbidden = !self.has_succeeded && self.others == 0;
        self.last_forbidden.clone().filter(|_| all_are_forbidden)
    }

    fn succeeded(&mut self, model: &str) {
        if !self.has_succeeded {
            self.has_succeeded = true;
            self.kinds = Vec::new();
        }
        self.forbidden.remove(model);
        if self.suspicion.is_some() {
            self.weigh();
        }
    }

    fn failed(&mut self, model: &str, kind: &str, is_forbidden: bool, reason: &str) {
        // Moderation, firewalls and models give their 403 different codes.
        let kind = if is_forbidden { "403" } else { kind };
        if !self.has_succeeded {
            let is_full = self.kinds.len() == MOST_KINDS;
            let known = self.kinds.iter_mut().find(|(known, _)| known == kind);
            match known {
                Some((_, count)) => *count += 1,
                None if is_full => {}
                None => self.kinds.push((kind.to_owned(), 1)),
            }
        }
        if is_forbidden {
            *self.forbidden.entry(model.to_owned()).or_default() += 1;
            self.last_forbidden = Some(Cause::Forbidden(reason.to_owned()));
        } else {
            self.others += 1;
            self.forbidden.remove(model);
        }
        self.weigh();
        let is_new = self.suspicion.is_none();
        if is_new && self.is_suspicious() {
            self.suspicion = Some(match is_forbidden {
                true => Cause::Forbidden(reason.to_owned()),
                false => Cause::Same(reason.to_owned()),
            });
        }
    }

    /// Drops a suspicion that no longer holds.
    fn weigh(&mut self) {
        if !self.is_suspicious() {
            self.suspicion = None;
        }
    }

    fn is_suspicious(&self) -> bool {
        let mut kinds = self.kinds.iter().map(|(_, count)| count);
        let mut rows = self.forbidden.values();
        kinds.any(|count| *count >= ALIKE) || rows.any(|count| *count >= ALIKE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: &str) -> End<'_> {
        End::Failed {
            kind,
            is_forbidden: kind.starts_with("403"),
            reason: kind,
        }
    }

    /// Ends `count` requests of a model that had all begun before, and returns the last verdict.
    fn end(cause: &mut CommonCause, model: &str, count: u64, end: End<'_>) -> Option<Cause> {
        (0..count).map(|_| cause.ended(model, end)).last().flatten()
    }

    fn begun(has_succeeded: bool, count: u64) -> CommonCause {
        let mut cause = CommonCause::new(has_succeeded);
        (0..count).for_each(|_| cause.begun());
        cause
    }

    #[test]
    fn twenty_failures_alike_stop_what_has_never_succeeded() {
        let same = Some(Cause::Same("404".to_owned()));
        let forbidden = Some(Cause::Forbidden("403 a".to_owned()));
        let mut cause = begun(false, 20);
        assert_eq!(end(&mut cause, "m", 19, failed("404")), None);
        assert_eq!(cause.suspicion(), None);
        assert_eq!(end(&mut cause, "n", 1, failed("404")), same);
        // Of two kinds none has enough.
        let mut cause = begun(false, 38);
        end(&mut cause, "m", 19, failed("404"));
        assert_eq!(end(&mut cause, "m", 19, failed("400")), None);
        // All 403s are of one kind, of whatever model.
        let mut cause = begun(false, 20);
        end(&mut cause, "m", 10, failed("403 b"));
        assert_eq!(end(&mut cause, "n", 10, failed("403 a")), forbidden);
        // An earlier run has succeeded.
        let mut cause = begun(true, 40);
        assert_eq!(end(&mut cause, "m", 40, failed("404")), None);
    }

    #[test]
    fn a_suspicion_waits_for_what_is_in_flight_and_a_success_dispels_it() {
        let mut cause = begun(false, 22);
        assert_eq!(end(&mut cause, "m", 20, failed("404")), None);
        assert!(cause.suspicion().is_some());
        assert_eq!(end(&mut cause, "m", 1, End::Succeeded), None);
        assert_eq!(cause.suspicion(), None);
        assert_eq!(end(&mut cause, "m", 1, failed("404")), None);
        let mut cause = begun(false, 21);
        end(&mut cause, "m", 20, failed("404"));
        let undone = end(&mut cause, "m", 1, End::Undone);
        assert_eq!(undone, Some(Cause::Same("404".to_owned())));
    }

    #[test]
    fn twenty_403s_in_a_row_of_one_model_stop_also_what_has_succeeded() {
        let forbidden = Some(Cause::Forbidden("403".to_owned()));
        let mut cause = begun(true, 100);
        end(&mut cause, "m", 19, failed("403"));
        end(&mut cause, "m", 1, End::Succeeded);
        end(&mut cause, "m", 19, failed("403"));
        end(&mut cause, "m", 1, failed("500"));
        end(&mut cause, "n", 1, End::Succeeded);
        end(&mut cause, "m", 19, failed("403"));
        assert_eq!(cause.suspicion(), None);
        end(&mut cause, "m", 1, failed("403"));
        assert!(cause.suspicion().is_some());
        // What another model does, says nothing of this one.
        end(&mut cause, "n", 38, End::Succeeded);
        assert_eq!(end(&mut cause, "m", 1, failed("403")), forbidden);
    }

    #[test]
    fn a_short_run_that_nothing_was_let_into_has_failed_for_that() {
        let forbidden = Some(Cause::Forbidden("403 b".to_owned()));
        let mut cause = begun(false, 4);
        assert_eq!(cause.at_the_end(), None);
        end(&mut cause, "m", 1, failed("403 a"));
        end(&mut cause, "m", 1, failed("403 b"));
        assert_eq!(cause.at_the_end(), forbidden);
        end(&mut cause, "m", 1, failed("400"));
        assert_eq!(cause.at_the_end(), None);
        let mut cause = begun(true, 1);
        end(&mut cause, "m", 1, failed("403"));
        assert_eq!(cause.at_the_end(), None);
    }

    #[test]
    fn kinds_without_end_take_no_memory_without_end() {
        let mut cause = begun(false, 10_000);
        for number in 0..10_000 {
            cause.ended("m", failed(&number.to_string()));
        }
        assert_eq!(cause.kinds.len(), MOST_KINDS);
    }
}

//! What becomes of a request: a line of the results, a line of the errors, or nothing yet.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::SendStage;
use super::common_cause::End;
use crate::batch::budget::bounds::Bound;
use crate::batch::budget::earlier;
use crate::batch::budget::gate::{BudgetHold, Used};
use crate::batch::count::cut_off::Shorter;
use crate::batch::events::{Effort, Outcome, RunEvent, SentRequest};
use crate::batch::fingerprint::Fingerprint;
use crate::batch::record::Record;
use crate::batch::summary::StopReason;
use crate::client::PassedOn;
use crate::{Error, ErrorKind, TransportKind};

impl SendStage {
    /// Ends a request with an answer.
    pub(super) fn succeeded(
        &self,
        request: SentRequest,
        fingerprint: Fingerprint,
        response: PassedOn,
        hold: BudgetHold,
    ) {
        self.learn(&request.model, End::Succeeded);
        let shorter = self.longer.as_ref();
        let shorter = shorter.and_then(|it| it.cut_off.get(&request.custom_id));
        if let Some(Shorter { usage, tier, .. }) = shorter {
            // The line of the shorter one goes.
            self.budget.replaced(&request.model, usage, tier);
        }
        let used = Used {
            usage: response.usage,
            tier: response.tier,
        };
        let cost = hold.answered(used).filter(|_| used.usage.is_some());
        self.events.emit(RunEvent::Charged(cost));
        let mut outcome = Outcome {
            usage: response.usage,
            effort: Effort {
                cost,
                attempts: Some(response.attempts),
                waited: response.waited,
            },
            record: Record::success(request.custom_id, fingerprint, response),
        };
        self.tell_lost(&mut outcome.record);
        self.result_writer.take(outcome);
    }

    /// Ends a request that was sent and has no answer, or one that is an error.
    pub(super) fn unanswered(
        &self,
        request: SentRequest,
        fingerprint: Fingerprint,
        waited: Duration,
        error: &Error,
    ) {
        let kind = self.failed(request.custom_id, fingerprint, waited, error);
        let reason = error.to_string();
        let end = kind.as_deref().map_or(End::Undone, |kind| End::Failed {
            kind,
            is_forbidden: matches!(error, Error::Api(api) if api.kind == ErrorKind::Forbidden),
            reason: &reason,
        });
        self.learn(&request.model, end);
    }

    /// Ends a request that has no answer, or one that is an error. Returns the kind of its failure,
    /// unless it stays undone.
    pub(super) fn failed(
        &self,
        custom_id: String,
        fingerprint: Fingerprint,
        waited: Duration,
        error: &Error,
    ) -> Option<String> {
        match error {
            // It was waiting when the run was stopped: it stays undone, for the next run.
            Error::Cancelled => return None,
            Error::DeadlineExceeded { .. } => {
                self.is_out_of_time();
                return None;
            }
            // No thread is left for the alarm clock of limits, which is no fault of this request.
            Error::Scheduler(source) => {
                let source = std::io::Error::new(source.kind(), source.to_string());
                self.shutdown.fail_now(Error::Scheduler(source));
                return None;
            }
            Error::Transport { kind, .. } if self.shutdown.has_begun() && is_no_way(*kind) => {
                return None;
            }
            _ => {}
        }
        log::info!("{custom_id}: {error}");
        if error.is_account_error() {
            let cause = StopReason::AccountError(error.to_string());
            self.shutdown.stop_for(cause);
        }
        let mut outcome = Outcome::failed(Record::failure(custom_id, fingerprint, error));
        outcome.effort.waited = waited;
        self.tell_lost(&mut outcome.record);
        self.count_failure();
        let reason = outcome.record.reason.as_ref();
        let kind = reason.map(|(kind, _)| kind.clone());
        self.result_writer.take(outcome);
        kind
    }

    /// Says in a line what was paid so far and stands in no answer: so the next run knows of it.
    fn tell_lost(&self, record: &mut Record) {
        if let Some(field) = earlier::field(self.budget.lost()) {
            record.mark(&field);
        }
    }

    /// Takes how a request of `model` ended that had begun, and stops the run when it shows a cause
    /// that all others would meet.
    fn learn(&self, model: &str, end: End<'_>) {
        // The first reason to stop is reported: the same failure may also meet a bound of the caller.
        if let Some(cause) = self.judge.ended(model, end) {
            self.shutdown.stop_first_for(cause.into());
        }
    }

    /// Stops the run when as many requests have failed as may. Lines that cannot be sent are not
    /// counted: they come again with each start, and would let no run get past them.
    fn count_failure(&self) {
        let Some(most) = self.bounds.failures else {
            return;
        };
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= most {
            self.shutdown.stop_at(Bound::Failures { most });
        }
    }

    /// A request stays undone, because its turn or its next try would come after the deadline. The
    /// run continues until then: a smaller one may fit, and so may those of other models.
    fn is_out_of_time(&self) {
        if let Some(after) = self.bounds.deadline {
            self.shutdown.meet(Bound::Deadline { after });
        }
    }
}

/// Whether a failure has nothing to do with the request: there was no way to the server.
fn is_no_way(kind: TransportKind) -> bool {
    kind.is_unreachable() || kind == TransportKind::Resources
}

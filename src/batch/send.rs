//! Sending one request, and what becomes of it.

use super::common_cause::End;
use super::fingerprint::Fingerprint;
use super::finished::Effort;
use super::gate::Claim;
use super::record::Record;
use super::run::{Outcome, Shared};
use crate::client::AfterAttempt;
use crate::{Admitted, Error, ErrorKind, Try};

pub(super) fn send(
    shared: &Shared,
    custom_id: String,
    fingerprint: Fingerprint,
    admitted: Admitted,
    mut claim: Claim,
) {
    if shared.stop.is_cancelled() {
        // It was admitted just then: it stays undone.
        return admitted.withdraw();
    }
    let waited = admitted.waited();
    let model = admitted.model().to_owned();
    shared.judge.begun();
    shared.watch.begun();
    let sending = shared.history.begun(&admitted);
    let mut has_failed = false;
    let told = |tried: &Try<'_>| {
        shared.history.tried(&sending, tried);
        if let Some(error) = tried.error {
            if !std::mem::replace(&mut has_failed, true) {
                shared.watch.is_retried();
            }
            shared.watch.attempt_failed(&custom_id, &model, error);
            claim.tried(error);
        }
        AfterAttempt::Count
    };
    let result = admitted.pass_on(shared.wait(), told);
    shared.history.ended();
    shared.watch.ended(has_failed);
    match result {
        Ok(response) => {
            shared.learn(&model, End::Succeeded);
            shared.finish(Outcome {
                usage: response.usage,
                effort: Effort {
                    cost: shared.charge(claim, response.usage),
                    attempts: Some(response.attempts),
                    waited: response.waited,
                },
                record: Record::success(custom_id, fingerprint, response),
            });
        }
        Err(error) => {
            drop(claim);
            let kind = shared.refused(custom_id, fingerprint, waited, &error);
            let reason = error.to_string();
            let end = kind.as_deref().map_or(End::Undone, |kind| End::Failed {
                kind,
                is_forbidden: is_forbidden(&error),
                reason: &reason,
            });
            shared.learn(&model, end);
        }
    }
}

fn is_forbidden(error: &Error) -> bool {
    matches!(error, Error::Api(api) if api.kind == ErrorKind::Forbidden)
}

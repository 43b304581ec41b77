//! Sending one request, and what becomes of it.

use super::fingerprint::Fingerprint;
use super::finished::Effort;
use super::gate::Claim;
use super::record::Record;
use super::run::{Outcome, Shared};
use crate::{Admitted, Try};

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
    shared.watch.begun();
    let sending = shared.history.begun(&admitted);
    let told = |tried: &Try<'_>| {
        shared.history.tried(&sending, tried);
        if let Some(error) = tried.error {
            claim.tried(error);
        }
    };
    let result = admitted.pass_on(shared.wait(), told);
    shared.history.ended();
    shared.watch.ended();
    match result {
        Ok(response) => shared.finish(Outcome {
            usage: response.usage,
            effort: Effort {
                cost: shared.charge(claim, response.usage),
                attempts: Some(response.attempts),
                waited: response.waited,
            },
            record: Record::success(custom_id, fingerprint, response),
        }),
        Err(error) => {
            drop(claim);
            shared.refused(custom_id, fingerprint, waited, &error);
        }
    }
}

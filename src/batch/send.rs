//! Sending one request, and what becomes of it.

use std::time::Duration;

use super::capacity_gate::Room;
use super::common_cause::End;
use super::fingerprint::Fingerprint;
use super::finished::Effort;
use super::gate::Claim;
use super::link_gate::Pass;
use super::memory::Held;
use super::record::Record;
use super::run::{Outcome, Shared};
use super::summary::Ending;
use crate::client::AfterAttempt;
use crate::{Admitted, Attempt, Error, ErrorKind, TransportKind};

pub(super) fn send(
    shared: &Shared,
    custom_id: String,
    fingerprint: Fingerprint,
    admitted: Admitted,
    mut claim: Claim,
    mut pass: Pass,
    held: &Held,
) {
    if shared.stop.is_cancelled() {
        // It was admitted just then: it stays undone.
        return admitted.withdraw();
    }
    let mut room = shared.capacity.enter();
    let waited = admitted.waited();
    let model = admitted.model().to_owned();
    shared.judge.begun();
    pass.begun();
    shared.watch.begun();
    let sending = shared.history.begun(&admitted);
    let mut has_failed = false;
    let told = |tried: &Attempt<'_>| {
        shared.history.tried(&sending, tried);
        let Some(error) = tried.error else {
            pass.reached(tried.took);
            return AfterAttempt::Count;
        };
        if !std::mem::replace(&mut has_failed, true) {
            shared.watch.is_retried();
        }
        shared.watch.attempt_failed(&custom_id, &model, error);
        claim.tried(error);
        after(shared, error, tried.took, &mut pass, &mut room)
    };
    let result = admitted.pass_on(
        &custom_id,
        shared.wait(),
        &|bytes| held.response(bytes),
        told,
    );
    shared.history.ended();
    shared.watch.ended(has_failed);
    match result {
        Ok(response) => {
            room.succeeded();
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

/// What a failed attempt says of the way, and whether it counts. Waits while there is no way.
fn after(
    shared: &Shared,
    error: &Error,
    took: Duration,
    pass: &mut Pass,
    room: &mut Room,
) -> AfterAttempt {
    match error {
        Error::Transport { kind, message, .. } if *kind == TransportKind::Certificate => {
            shared.stop_for(Ending::Certificate(pass.says(message)));
            AfterAttempt::Free
        }
        Error::Transport { kind, message, .. } if *kind == TransportKind::Resources => {
            room.exhausted(message);
            AfterAttempt::Free
        }
        Error::Transport { kind, message, .. } if kind.is_unreachable() => {
            pass.unreached(took, message.clone());
            AfterAttempt::Free
        }
        _ => {
            pass.reached(took);
            AfterAttempt::Count
        }
    }
}

fn is_forbidden(error: &Error) -> bool {
    matches!(error, Error::Api(api) if api.kind == ErrorKind::Forbidden)
}

//! Sending one request, and what becomes of it.

pub(super) mod capacity; //      how many requests this side has room for
pub(super) mod capacity_gate; // waits for that room
pub(super) mod common_cause; //  whether failures have one cause
pub(super) mod judge; //         whether a failure is one request's or all's
pub(super) mod link; //          whether the server can be reached
pub(super) mod link_gate; //     waits for that

use std::time::Duration;

use super::fingerprint::Fingerprint;
use super::record::Record;
use super::run::{Outcome, Shared};
use super::summary::StopReason;
use crate::batch::budget::gate::{BudgetHold, Used};
use crate::batch::count::fallback;
use crate::batch::dispatch::memory::Held;
use crate::batch::events::history::Sending;
use crate::batch::events::listener::Effort;
use crate::batch::send::capacity_gate::Room;
use crate::batch::send::common_cause::End;
use crate::batch::send::link_gate::Pass;
use crate::client::{AfterAttempt, PassedOn};
use crate::cost::ServiceTier;
use crate::{Admitted, Attempt, Error, ErrorKind, Prepared, Result, TransportKind};

pub(super) fn send(
    shared: &Shared,
    custom_id: String,
    fingerprint: Fingerprint,
    admitted: Admitted,
    claim: BudgetHold,
    pass: Pass,
    held: &Held,
) {
    if shared.stop.is_cancelled() {
        // It was admitted just then: it stays undone.
        return admitted.withdraw();
    }
    let room = shared.capacity.enter();
    let waited = admitted.waited();
    let model = admitted.model().to_owned();
    shared.judge.begun();
    pass.begun();
    shared.watch.begun();
    let sending = shared.history.begun(&admitted);
    let spare = shared.spare(&admitted);
    let mut course = Course {
        claim,
        pass,
        room,
        held,
        has_failed: false,
        lacks_room: false,
    };
    let mut result = course.send(shared, &custom_id, &sending, admitted);
    if let (Err(error), Some(request)) = (&result, spare)
        && course.is_in_vain(error)
    {
        log::info!("{custom_id}: the flex tier has no room: sent as a usual request");
        result = course.send_as_standard(shared, &custom_id, &sending, request);
    }
    shared.history.ended();
    let Course {
        claim,
        room,
        has_failed,
        ..
    } = course;
    shared.watch.ended(has_failed);
    if has_failed {
        shared.watch.rested(&custom_id);
    }
    match result {
        Ok(response) => {
            room.succeeded();
            shared.learn(&model, End::Succeeded);
            shared.finish(Outcome {
                usage: response.usage,
                effort: Effort {
                    cost: shared.charge(claim, used(&response)),
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

fn used(response: &PassedOn) -> Used {
    Used {
        usage: response.usage,
        tier: response.tier,
    }
}

/// What a request holds while it is sent, and what has become of it so far.
struct Course<'a> {
    claim: BudgetHold,
    pass: Pass,
    room: Room,
    /// The memory that it takes.
    held: &'a Held,
    has_failed: bool,
    /// Whether the last attempt failed because its tier had no room.
    lacks_room: bool,
}

impl Course<'_> {
    fn send(
        &mut self,
        shared: &Shared,
        custom_id: &str,
        sending: &Sending,
        admitted: Admitted,
    ) -> Result<PassedOn> {
        let model = admitted.model().to_owned();
        let held = self.held;
        let told = |tried: &Attempt<'_>| {
            shared.history.tried(sending, tried);
            self.lacks_room = tried.error.is_some_and(fallback::is_for_want_of_room);
            let Some(error) = tried.error else {
                self.pass.reached(tried.took);
                return AfterAttempt::Count;
            };
            if !std::mem::replace(&mut self.has_failed, true) {
                shared.watch.is_retried();
            }
            shared.watch.attempt_failed(custom_id, &model, error);
            self.claim.tried(error);
            after(shared, error, tried.took, &mut self.pass, &mut self.room)
        };
        admitted.pass_on(
            custom_id,
            shared.wait(),
            &|bytes| held.response(bytes),
            told,
        )
    }

    /// Whether more attempts in this tier make no sense: they are used up, or the next one comes too late.
    fn is_in_vain(&self, error: &Error) -> bool {
        let is_late = matches!(error, Error::DeadlineExceeded { .. });
        self.lacks_room && (is_late || fallback::is_for_want_of_room(error))
    }

    /// Sends the request in the usual tier, once its dearer price fits into what the run may cost.
    fn send_as_standard(
        &mut self,
        shared: &Shared,
        custom_id: &str,
        sending: &Sending,
        request: Prepared,
    ) -> Result<PassedOn> {
        self.claim.give_back();
        self.claim = shared.claim(&request).ok_or(Error::Cancelled)?;
        let admitted = request.admit(shared.wait())?;
        self.send(shared, custom_id, sending, admitted)
    }
}

impl Shared {
    /// The same request in the usual tier, where it asks for the flex tier and may be sent so.
    fn spare(&self, admitted: &Admitted) -> Option<Prepared> {
        let request = admitted.request();
        if !self.options.flex_fallback || request.tier() != ServiceTier::Flex {
            return None;
        }
        let body = fallback::as_standard(request.body())?;
        let (path, model) = (request.path().to_owned(), request.model().to_owned());
        let prepared = Prepared::of(&self.client, path, body, model, request.estimate());
        Some(prepared)
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
            shared.stop_for(StopReason::Certificate(pass.says(message)));
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

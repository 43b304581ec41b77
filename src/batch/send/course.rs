//! One request in flight: its attempts, and what they say of the way.

use std::time::Duration;

use super::SendStage;
use super::capacity_gate::Room;
use super::link_gate::Pass;
use crate::batch::budget::gate::BudgetHold;
use crate::batch::count::cut_off::with_larger_cap;
use crate::batch::count::fallback;
use crate::batch::dispatch::memory::Held;
use crate::batch::events::{RunEvent, SentRequest};
use crate::batch::fingerprint::Fingerprint;
use crate::batch::json::value_of;
use crate::batch::summary::StopReason;
use crate::client::{AfterAttempt, PassedOn};
use crate::cost::ServiceTier;
use crate::{Admitted, Attempt, Completion, Error, Prepared, Result, TransportKind};

impl SendStage {
    /// Sends a request, and ends it.
    pub(super) fn send(
        &self,
        custom_id: String,
        fingerprint: Fingerprint,
        admitted: Admitted,
        hold: BudgetHold,
        pass: Pass,
        held: &Held,
    ) {
        if self.shutdown.has_begun() {
            // It was admitted just then: it stays undone.
            return admitted.withdraw();
        }
        let room = self.capacity.enter();
        let waited = admitted.waited();
        let request = SentRequest::new(custom_id, &admitted);
        self.judge.begun();
        pass.begun();
        self.events.emit(RunEvent::Sent);
        let spare = self.spare(&admitted);
        let text = self.longer.as_ref().map(|_| {
            let request = admitted.request();
            (request.path().to_owned(), request.body().to_owned())
        });
        let mut course = Course {
            stage: self,
            request: &request,
            hold,
            pass,
            room,
            held,
            has_failed: false,
            lacks_room: false,
        };
        let mut result = course.send(admitted);
        if let (Err(error), Some(spare)) = (&result, spare)
            && course.is_in_vain(error)
        {
            let custom_id = &request.custom_id;
            log::info!("{custom_id}: the flex tier has no room: sent as a usual request");
            result = course.send_as_standard(spare);
        }
        if let (Ok(shorter), Some((path, body))) = (&result, text)
            && let Some(longer) = course.longer(shorter, &path, &body)
        {
            result = result.map(|shorter| course.send_longer(shorter, longer));
        }
        let Course {
            hold,
            room,
            has_failed,
            ..
        } = course;
        self.events.emit(RunEvent::Ended {
            request: &request,
            has_failed,
        });
        match result {
            Ok(response) => {
                room.succeeded();
                self.succeeded(request, fingerprint, response, hold);
            }
            Err(error) => {
                drop(hold);
                self.unanswered(request, fingerprint, waited, &error);
            }
        }
    }

    /// The same request in the usual tier, where it asks for the flex tier and may be sent so.
    fn spare(&self, admitted: &Admitted) -> Option<Prepared> {
        let request = admitted.request();
        if !self.flex_fallback || request.tier() != ServiceTier::Flex {
            return None;
        }
        let body = fallback::as_standard(request.body())?;
        let (path, model) = (request.path().to_owned(), request.model().to_owned());
        let prepared = Prepared::of(&self.client, path, body, model, request.estimate());
        Some(prepared)
    }
}

/// What a request holds while it is sent, and what has become of it so far.
struct Course<'a> {
    stage: &'a SendStage,
    request: &'a SentRequest,
    hold: BudgetHold,
    pass: Pass,
    room: Room,
    /// The memory that it takes.
    held: &'a Held,
    has_failed: bool,
    /// Whether the last attempt failed because its tier had no room.
    lacks_room: bool,
}

impl Course<'_> {
    fn send(&mut self, admitted: Admitted) -> Result<PassedOn> {
        let (stage, request, held) = (self.stage, self.request, self.held);
        admitted.pass_on(
            &request.custom_id,
            stage.wait(),
            &|bytes| held.response(bytes),
            |attempt: &Attempt<'_>| self.attempted(attempt),
        )
    }

    fn attempted(&mut self, attempt: &Attempt<'_>) -> AfterAttempt {
        self.stage.events.emit(RunEvent::Attempted {
            request: self.request,
            attempt,
            has_failed: self.has_failed,
        });
        self.lacks_room = attempt.error.is_some_and(fallback::is_for_want_of_room);
        let Some(error) = attempt.error else {
            self.pass.reached(attempt.took);
            return AfterAttempt::Count;
        };
        self.has_failed = true;
        self.hold.tried(error);
        self.after(error, attempt.took)
    }

    /// What a failed attempt says of the way, and whether it counts. Waits while there is no way.
    fn after(&mut self, error: &Error, took: Duration) -> AfterAttempt {
        match error {
            Error::Transport { kind, message, .. } if *kind == TransportKind::Certificate => {
                let cause = StopReason::Certificate(self.pass.says(message));
                self.stage.shutdown.stop_for(cause);
                AfterAttempt::Free
            }
            Error::Transport { kind, message, .. } if *kind == TransportKind::Resources => {
                self.room.exhausted(message);
                AfterAttempt::Free
            }
            Error::Transport { kind, message, .. } if kind.is_unreachable() => {
                self.pass.unreached(took, message.clone());
                AfterAttempt::Free
            }
            _ => {
                self.pass.reached(took);
                AfterAttempt::Count
            }
        }
    }

    /// The same request with a larger cap, where the answer ended at its own and is not of a second attempt.
    fn longer(&self, shorter: &PassedOn, path: &str, body: &str) -> Option<Prepared> {
        let again = self.stage.longer.as_ref()?;
        let is_second = again.cut_off.get(&self.request.custom_id).is_some();
        if shorter.completion != Completion::CutOff || is_second || self.stage.shutdown.has_begun()
        {
            return None;
        }
        let used = shorter.usage.map_or(0, |usage| usage.output_tokens);
        let text = with_larger_cap(body, again.factor, used)?;
        let body = value_of(&text).ok()?;
        self.stage.client.prepare_counted(path, &body, text).ok()
    }

    /// Asks for a longer answer, and returns it, or the shorter one where there is none.
    fn send_longer(&mut self, shorter: PassedOn, longer: Prepared) -> PassedOn {
        let Some(usage) = shorter.usage else {
            return shorter; // what it has cost would not be known
        };
        let (stage, custom_id) = (self.stage, &self.request.custom_id);
        // Its part of the budget is given back first: a thread that keeps one must not wait for another.
        let cost = self.hold.answered_first(usage, shorter.tier);
        let Some(hold) = stage.claim(&longer) else {
            return shorter;
        };
        let model = longer.model().to_owned();
        let first = std::mem::replace(&mut self.hold, hold);
        let sent = longer.admit(stage.wait());
        match sent.and_then(|admitted| self.send(admitted)) {
            Ok(answer) => {
                log::info!("{custom_id}: cut off at its cap, and asked again with a larger one");
                stage.events.emit(RunEvent::Charged(cost));
                let tier = shorter.tier.unwrap_or(ServiceTier::Standard);
                stage.budget.replaced(&model, usage, tier);
                answer
            }
            Err(error) => {
                log::warn!("{custom_id}: cut off at its cap, and no longer answer came: {error}");
                self.hold = first;
                shorter
            }
        }
    }

    /// Whether more attempts in this tier make no sense: they are used up, or the next one comes too late.
    fn is_in_vain(&self, error: &Error) -> bool {
        let is_late = matches!(error, Error::DeadlineExceeded { .. });
        self.lacks_room && (is_late || fallback::is_for_want_of_room(error))
    }

    /// Sends the request in the usual tier, once its dearer price fits into what the run may cost.
    fn send_as_standard(&mut self, request: Prepared) -> Result<PassedOn> {
        self.hold.give_back();
        self.hold = self.stage.claim(&request).ok_or(Error::Cancelled)?;
        let admitted = request.admit(self.stage.wait())?;
        self.send(admitted)
    }
}

//! One attempt: sends the request, receives the response, and has the limiter observe it.

use std::time::Duration;

use super::Prepared;
use super::options::OwnTerms;
use super::reading::{Context, Receive, Unreceived, refused};
use crate::client::raw::ApiRequest;
use crate::client::transport::{Answer, Outgoing};
use crate::error::ApiError;
use crate::limiter::{Advice, Permit};
use crate::observation::{Observation, Outcome};
use crate::providers::Reading;
use crate::tokens::Endpoint;
use crate::{Error, Result};

/// A try without success, with the server's advice when and whether to try again.
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) told: Option<Duration>,
    pub(super) should_retry: Option<bool>,
    /// What the limiter makes of it.
    pub(super) advice: Advice,
}

impl Prepared {
    /// One try: an answer with its name and what was received of it, or an error with the
    /// server's advice whether to try again. The limiter observes what it says of limits before this
    /// waits for anything else; of a whole answer also its body, because only the body shows whether
    /// the request was admitted.
    pub(super) fn exchange<R: Receive>(
        &self,
        permit: &mut Permit<'_>,
        receive: &R,
        own: &OwnTerms<'_>,
    ) -> Result<(Answer, Option<String>, R::Received), Failed> {
        self.client.inner.counters.sent();
        let transport = self.client.transport();
        let secrets = self.client.secrets();
        let path = self.client.path(&self.path, &self.model);
        let raw = self.raw.as_deref().map(|(raw, _)| raw);
        let headers = own.with_content_type(raw.and_then(ApiRequest::content_type));
        let sent = transport.send(&Outgoing {
            method: raw.map_or("POST", ApiRequest::method),
            path: &path,
            body: raw.map_or(self.body.as_bytes(), ApiRequest::body),
            headers: Some(&headers),
            bounds: own.bounds(self.limiter.clock()),
        });
        let mut answer = sent.map_err(|mut error| {
            secrets.hide_in_error(&mut error);
            Failed {
                error,
                told: None,
                should_retry: None,
                advice: permit.observe(&Observation::default()),
            }
        })?;
        let mut heard = self.client.read(&answer.headers);
        heard.request_id = heard.request_id.map(|id| secrets.request_id(&id));
        let is_heard = R::IS_STREAM && !answer.is_error();
        if is_heard {
            self.observe(permit, &mut heard, answer.status, None);
        }
        let context = Context {
            endpoint: Endpoint::from_path(&self.path),
            transport,
            secrets,
            heard: &heard,
        };
        let received = if answer.is_error() {
            Err(refused(&mut answer, &context))
        } else {
            receive.receive(&mut answer, &context)
        };
        let refused = match &received {
            Err(Unreceived::Refused(error)) => Some(&**error),
            Ok(_) | Err(Unreceived::Lost(_)) => None,
        };
        if is_heard && refused.is_some() {
            // Of its head everything was said.
            heard.feedback.limits.clear();
        }
        let advice = match is_heard && refused.is_none() {
            true => permit.observe(&Observation::default()),
            false => self.observe(permit, &mut heard, answer.status, refused),
        };
        match received {
            Ok(received) => Ok((answer, heard.request_id, received)),
            Err(unreceived) => {
                let mut error = Error::from(unreceived);
                // The last step, when everything has been decoded and every decision is made.
                secrets.hide_in_error(&mut error);
                Err(Failed {
                    error,
                    told: heard.wait(),
                    should_retry: heard.should_retry,
                    advice,
                })
            }
        }
    }

    /// Tells the limiter, and what learns the sizes of answers, what became of it.
    fn observe(
        &self,
        permit: &mut Permit<'_>,
        heard: &mut Reading,
        status: u16,
        refused: Option<&ApiError>,
    ) -> Advice {
        heard.judge(status, refused);
        if let (Some(sizes), Outcome::Refused(refusal)) = (&self.sizes, heard.feedback.outcome) {
            let whole = self.charge(self.estimate.output);
            sizes.refused(&refusal, permit.cost().tokens, whole.tokens);
        }
        permit.observe(&heard.feedback)
    }
}

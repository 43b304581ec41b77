//! A chat request on its way, with a typed answer.

use std::ops::Deref;

use super::call::{Admitted, CallOptions, Prepared};
use super::chat_response::ChatResponse;
use crate::Result;
use crate::limiter::AcquireOptions;

/// A chat request that has been counted: made by
/// [`RateLimitedClient::prepare_chat`](super::RateLimitedClient::prepare_chat). It shows all that a
/// [`Prepared`] one does, and has a typed answer.
///
/// ```no_run
/// use paceline::{CallOptions, RateLimitedClient};
///
/// let client = RateLimitedClient::new()?;
/// let request = client.prepare_chat("Name the largest moon of Saturn.")?;
/// if request.cost().tokens < 2_000 {
///     println!("{}", request.send(&CallOptions::new())?.text());
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a prepared request does nothing until it is sent"]
pub struct PreparedChat(Prepared);

impl PreparedChat {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self(prepared)
    }

    /// Waits in line until the limiter admits it.
    ///
    /// # Errors
    ///
    /// Those of [`Prepared::admit`].
    pub fn admit(self, wait: AcquireOptions<'_>) -> Result<AdmittedChat> {
        Ok(AdmittedChat(self.0.admit(wait)?))
    }

    /// Admits and sends it.
    ///
    /// # Errors
    ///
    /// Those of [`Prepared::call`].
    pub fn send(self, options: &CallOptions<'_>) -> Result<ChatResponse> {
        Ok(ChatResponse::new(self.0.call(options)?))
    }
}

impl Deref for PreparedChat {
    type Target = Prepared;

    fn deref(&self) -> &Prepared {
        &self.0
    }
}

/// A chat request that its limiter has admitted, to be sent now: see [`Admitted`].
///
/// ```no_run
/// use paceline::{AcquireOptions, CallOptions, RateLimitedClient};
///
/// let client = RateLimitedClient::new()?;
/// let request = client.prepare_chat("Name the largest moon of Saturn.")?;
/// let admitted = request.admit(AcquireOptions::new())?;
/// println!("{}", admitted.send(&CallOptions::new())?.text());
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "an admitted request has been paid for and not sent"]
pub struct AdmittedChat(Admitted);

impl AdmittedChat {
    /// Sends it.
    ///
    /// # Errors
    ///
    /// Those of [`Admitted::send`].
    pub fn send(self, options: &CallOptions<'_>) -> Result<ChatResponse> {
        Ok(ChatResponse::new(self.0.send(options)?))
    }

    /// Gives everything back: it will not be sent.
    pub fn withdraw(self) {
        self.0.withdraw();
    }
}

impl Deref for AdmittedChat {
    type Target = Admitted;

    fn deref(&self) -> &Admitted {
        &self.0
    }
}

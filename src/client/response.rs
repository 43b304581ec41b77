//! A whole answer.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Completion, Repair};
use super::headers::ResponseHeaders;
use crate::cost::{Cost, ServiceTier, Usage};
use crate::{Error, Result};

/// A whole answer, and what it took to get it.
///
/// ```no_run
/// use serde_json::json;
///
/// let client = paceline::RateLimitedClient::new()?;
/// let answer = client.post("/moderations", &json!({"input": "Hello"}))?;
/// println!("{:?}: {}", answer.request_id, answer.body["results"]);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status, 200 to 299.
    pub status: u16,
    /// The `x-request-id` header, for the provider's support.
    pub request_id: Option<String>,
    /// All headers.
    pub headers: ResponseHeaders,
    /// The body, unchanged but for what was [repaired](Response::repaired).
    pub body: Value,
    /// How the answer ended.
    pub completion: Completion,
    /// What had to be repaired in the body; empty for JSON.
    pub repaired: Vec<Repair>,
    /// What the request used, if the body says so.
    pub usage: Option<Usage>,
    /// The class of service that answered, where the body names it.
    pub service_tier: Option<ServiceTier>,
    /// What the limiter charged in the end.
    pub charged: Cost,
    /// How often the request was sent: 1 without retries.
    pub attempts: u32,
    /// How long it stood in its limiter's line, retries included.
    pub waited: Duration,
    /// Where it came from, for errors.
    pub(crate) url: String,
}

/// An answer that is only passed on.
pub(crate) struct PassedOn {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    /// JSON of the server, unchanged with its white space, or repaired.
    pub(crate) body: String,
    /// How it ended.
    pub(crate) completion: Completion,
    /// What had to be repaired to make JSON of it.
    pub(crate) repaired: Vec<Repair>,
    pub(crate) usage: Option<Usage>,
    /// The class of service that answered, where it is named.
    pub(crate) tier: Option<ServiceTier>,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
}

impl Response {
    /// A response of status 200 with this body, for tests of code that takes responses. It has used
    /// and charged nothing.
    ///
    /// ```
    /// use serde_json::json;
    ///
    /// let response = paceline::Response::from_body(json!({"id": "modr-1"}));
    /// assert_eq!(response.body["id"], "modr-1");
    /// ```
    #[must_use]
    pub fn from_body(body: Value) -> Self {
        Self {
            status: 200,
            request_id: None,
            headers: ResponseHeaders::default(),
            body,
            completion: Completion::Complete,
            repaired: Vec::new(),
            usage: None,
            service_tier: None,
            charged: Cost::default(),
            attempts: 1,
            waited: Duration::ZERO,
            url: String::new(),
        }
    }

    /// The body as a type of the caller's, or of another crate.
    ///
    /// ```no_run
    /// use serde::Deserialize;
    /// use serde_json::json;
    ///
    /// #[derive(Deserialize)]
    /// struct Moderation {
    ///     id: String,
    /// }
    ///
    /// let client = paceline::RateLimitedClient::new()?;
    /// let answer = client.post("/moderations", &json!({"input": "Hello"}))?;
    /// let moderation: Moderation = answer.json()?;
    /// println!("{}", moderation.id);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidResponse`] when the body is not of that type.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        serde_json::from_value(self.body).map_err(|error| Error::InvalidResponse {
            url: self.url,
            message: error.to_string(),
        })
    }
}

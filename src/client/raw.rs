//! Requests that are not JSON, or are not answered with it: files, sound, pictures, lists.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RateLimitedClient;
use super::answer::value;
use super::call::{AfterAttempt, CallOptions, Context, Prepared, Receive, Unreceived, hidden};
use super::headers::ResponseHeaders;
use super::transport::Answer;
use crate::cost::Cost;
use crate::tokens::Estimate;
use crate::{Error, Result};

/// A request of any method with any body, for [`RateLimitedClient::send`].
///
/// ```no_run
/// use paceline::{ApiRequest, CallOptions, Cost, Form, RateLimitedClient};
/// use serde_json::json;
///
/// let client = RateLimitedClient::new()?;
/// let options = CallOptions::new();
///
/// let models = client.send(ApiRequest::get("/models"), &options)?;
/// println!("{}", models.json::<serde_json::Value>()?["data"][0]["id"]);
///
/// let speech = json!({"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Good morning."});
/// let speech = client.send(ApiRequest::post("/audio/speech").json(&speech)?, &options)?;
/// std::fs::write("morning.mp3", speech.bytes()).ok();
///
/// let form = Form::new().text("model", "whisper-1").file("file", "morning.mp3", speech.into_bytes());
/// let heard = ApiRequest::post("/audio/transcriptions").form(form).cost(Cost::tokens(0));
/// println!("{}", client.send(heard, &options)?.text());
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// # What it reserves
///
/// A JSON body is counted as [`post`](RateLimitedClient::post) counts it. A form counts as one request
/// without tokens, and a request without a body as nothing at all; [`cost`](ApiRequest::cost) says it better.
/// The limits are those of the body's or the form's `model`, else of the client's.
#[derive(Clone)]
#[must_use]
pub struct ApiRequest {
    method: &'static str,
    path: String,
    content_type: Option<String>,
    body: Vec<u8>,
    model: Option<String>,
    cost: Option<Cost>,
    is_json: bool,
}

impl ApiRequest {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            content_type: None,
            body: Vec::new(),
            model: None,
            cost: None,
            is_json: false,
        }
    }

    /// A GET. It is retried, like a DELETE, also where the first attempt may have been answered.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A DELETE.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// A POST, of which the body is still to be said.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// Sets a JSON body.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] when it is not JSON.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self> {
        self.body = serde_json::to_vec(body)
            .map_err(|error| Error::InvalidRequest(format!("the body is not JSON: {error}")))?;
        self.content_type = None;
        self.is_json = true;
        Ok(self)
    }

    /// Sets a form with files (`multipart/form-data`).
    pub fn form(mut self, form: Form) -> Self {
        (self.content_type, self.body) = form.written();
        self.model = self.model.or(form.model);
        self.is_json = false;
        self
    }

    /// Sets any other body and what it is.
    pub fn bytes(mut self, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.content_type = Some(content_type.into());
        self.body = body.into();
        self.is_json = false;
        self
    }

    /// Sets the model whose limits it has to pass. Default: that of its body or form, else the client's.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets what it reserves. Default: see [above](ApiRequest#what-it-reserves).
    pub fn cost(mut self, cost: Cost) -> Self {
        self.cost = Some(cost);
        self
    }

    /// A request of another program's, of which the headers say what its body is.
    #[cfg(feature = "gateway")]
    pub(super) fn relayed(
        method: &'static str,
        path: String,
        body: Vec<u8>,
        model: Option<String>,
    ) -> Self {
        Self {
            body,
            model,
            ..Self::new(method, path)
        }
    }

    /// How it goes over the wire, for each attempt.
    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether it changes nothing when it comes twice.
    pub(super) fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }

    /// What it reserves where nothing is counted.
    pub(super) fn stated_cost(&self) -> Cost {
        self.cost.unwrap_or(match self.method {
            "POST" => Cost::tokens(0),
            _ => Cost::default(),
        })
    }
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest")
            .field("method", &self.method)
            .field("path", &super::transport::without_query(&self.path))
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A form with files, as transcriptions and uploads take it. See [`ApiRequest`].
///
/// ```
/// use paceline::Form;
///
/// let form = Form::new()
///     .text("purpose", "batch")
///     .file("file", "requests.jsonl", &b"{}\n"[..]);
/// # let _ = form;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Form {
    fields: Vec<Field>,
    model: Option<String>,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    /// Of a file.
    file_name: Option<String>,
    value: Vec<u8>,
}

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. One with the name `model` says whose limits hold.
    pub fn text(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        if name == "model" {
            self.model = Some(value.clone());
        }
        self.fields.push(Field {
            name,
            file_name: None,
            value: value.into_bytes(),
        });
        self
    }

    /// Adds a file.
    pub fn file(
        mut self,
        name: impl Into<String>,
        file_name: impl Into<String>,
        content: impl Into<Vec<u8>>,
    ) -> Self {
        self.fields.push(Field {
            name: name.into(),
            file_name: Some(file_name.into()),
            value: content.into(),
        });
        self
    }

    /// Its content type and its bytes.
    fn written(&self) -> (Option<String>, Vec<u8>) {
        let boundary = self.boundary();
        let mut bytes = Vec::new();
        for Field {
            name,
            file_name,
            value,
        } in &self.fields
        {
            let name = escaped(name);
            let mut head =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
            if let Some(file_name) = file_name {
                let file_name = escaped(file_name);
                head.push_str(&format!(
                    "; filename=\"{file_name}\"\r\nContent-Type: application/octet-stream"
                ));
            }
            head.push_str("\r\n\r\n");
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (
            Some(format!("multipart/form-data; boundary={boundary}")),
            bytes,
        )
    }

    /// A line that stands in no value.
    fn boundary(&self) -> String {
        loop {
            let boundary = format!("paceline-{:016x}", fastrand::u64(..));
            let needle = boundary.as_bytes();
            let has = |value: &[u8]| value.windows(needle.len()).any(|part| part == needle);
            if !self.fields.iter().any(|field| has(&field.value)) {
                return boundary;
            }
        }
    }
}

/// A name within quotes, as browsers write it.
fn escaped(name: &str) -> String {
    name.replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace('"', "%22")
}

/// A response with whatever bytes it has.
///
/// ```no_run
/// use paceline::{ApiRequest, CallOptions, RateLimitedClient};
///
/// let client = RateLimitedClient::new()?;
/// let file = client.send(ApiRequest::get("/files/file-1/content"), &CallOptions::new())?;
/// println!("{} bytes of {:?}", file.bytes().len(), file.headers.get("content-type"));
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct RawResponse {
    /// The HTTP status, 200 to 299.
    pub status: u16,
    /// The `x-request-id` header, for the provider's support.
    pub request_id: Option<String>,
    /// All headers.
    pub headers: ResponseHeaders,
    /// How often the request was sent: 1 without retries.
    pub attempts: u32,
    /// How long it waited for its limiter, retries included.
    pub waited: Duration,
    body: Vec<u8>,
    url: String,
}

impl RawResponse {
    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a type of the caller's, or of another crate.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidResponse`] when the body is not of that type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::InvalidResponse {
            url: self.url.clone(),
            message: error.to_string(),
        })
    }
}

impl fmt::Debug for RawResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Reads a response to its end, whatever it is.
struct Bytes;

impl Receive for Bytes {
    type Received = Vec<u8>;
    const IS_STREAM: bool = false;

    fn receive(&self, answer: &mut Answer, _: &Context<'_>) -> Result<Vec<u8>, Unreceived> {
        let mut bytes = Vec::new();
        answer.read(&mut bytes, &|_| true)?;
        Ok(bytes)
    }
}

impl RateLimitedClient {
    /// Sends a request of any method with any body, and returns the bytes of its response: for files, sound and
    /// pictures, and for lists. It passes its limiter like any other; see [`ApiRequest`].
    ///
    /// # Errors
    ///
    /// Those of [`post_with`](RateLimitedClient::post_with).
    pub fn send(&self, request: ApiRequest, options: &CallOptions<'_>) -> Result<RawResponse> {
        let admitted = self.prepare_raw(request)?.admit(options.acquire())?;
        let (sent, body) = admitted.perform(None, options, &Bytes, |_| AfterAttempt::Count)?;
        let secrets = self.secrets();
        let response = RawResponse {
            status: sent.status,
            request_id: sent.request_id,
            headers: hidden(sent.answer.headers.iter(), secrets),
            attempts: sent.attempts,
            waited: sent.waited,
            url: sent.answer.url(),
            body,
        };
        sent.settlement.settle(None);
        Ok(response)
    }

    fn prepare_raw(&self, request: ApiRequest) -> Result<Prepared> {
        let path = request.path.as_str();
        let counted = match request.is_json {
            true => {
                let text = String::from_utf8_lossy(&request.body);
                let body = value(&text);
                Some(body.map_err(|error| Error::InvalidRequest(error.to_string()))?)
            }
            false => None,
        };
        let (model, size) = match &counted {
            Some(body) => {
                let (model, size) = self.measure(path, body)?;
                (model.to_owned(), size)
            }
            None => {
                self.measure(path, &Value::Object(serde_json::Map::new()))?; // is it a path?
                (self.model().to_owned(), Estimate::default())
            }
        };
        let model = request.model.clone().unwrap_or(model);
        let prepared = Prepared::of(self, request.path.clone(), String::new(), model, size);
        let is_stated = request.cost.is_some() || counted.is_none();
        Ok(prepared.with_raw(request, is_stated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_the_standard_has_it_and_no_name_breaks_out_of_it() {
        let form = Form::new().text("model", "whisper-1").file(
            "file",
            "a\"\r\nX: y.mp3",
            &b"\x00\xff"[..],
        );
        assert_eq!(form.model.as_deref(), Some("whisper-1"));
        let (kind, bytes) = form.written();
        let kind = kind.unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let mut expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22%0D%0AX: y.mp3\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        expected.extend_from_slice(b"\x00\xff\r\n");
        expected.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_has_no_body_reserves_nothing() {
        let table = [
            (ApiRequest::get("/models"), 0, true),
            (ApiRequest::delete("/files/1"), 0, true),
            (ApiRequest::post("/files").form(Form::new()), 1, false),
            (ApiRequest::get("/x").cost(Cost::tokens(9)), 1, true),
        ];
        for (request, requests, is_idempotent) in table {
            assert_eq!(request.stated_cost().requests, requests, "{request:?}");
            assert_eq!(request.is_idempotent(), is_idempotent, "{request:?}");
        }
    }
}

//! The road: a blocking client whose every request passes its limiter.

mod answer; //     what a response with a status of success is, pure
mod authorization; // keys, and the headers that carry them
mod azure; //      addresses at Azure, pure
mod call; //       the way of one request, step by step
mod chat; //       chat requests
mod chat_response; // chat answers
mod config; //     settings
mod connections; // those that were opened
mod counters; //   what a client has done so far
mod embeddings; // vectors
mod errors; //     errors of responses
mod events; //     server-sent events
#[cfg(all(
    any(test, fuzzing),
    feature = "redis",
    feature = "sim",
    not(paceline_loom)
))]
pub(crate) mod fuzz; // what a server sends, as inputs of a fuzzer
mod headers; //    of a response
mod learned; //    what is reserved for answers, from those that came
mod message; //    one message of a chat
mod prepared_chat; // a chat request on its way
mod raw; //        requests that are not JSON, or not answered with it
mod response; //   a whole answer
mod retry; //      whether and when to try again, pure
#[cfg(feature = "schemars")]
mod schema; //     JSON schemas of types
mod secrets; //    credentials, hidden in everything that a server says, pure
mod sleep_until; //        a wait between two tries
mod stream; //     chat, piece by piece
mod streamed; //   asking for a stream, pure
mod transport; //  HTTP: requests and responses over connections

use std::borrow::Cow;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use answer::{Completion, Repair};
#[allow(
    unused_imports,
    reason = "for programs that read results of earlier runs"
)]
pub(crate) use answer::{completion_of, is_failure, used_by, value as value_of};
pub use authorization::is_credential_header;
pub(crate) use call::AfterAttempt;
pub use call::{Admitted, Attempt, CallOptions, Prepared};
#[cfg(feature = "gateway")]
pub(crate) use call::{RelayBody, RelayRequest, Relayed};
pub use chat::ChatRequest;
pub use chat_response::{ChatResponse, ToolCall};
pub use config::{ClientBuilder, DEFAULT_BASE_URL, DEFAULT_MAX_COMPLETION_TOKENS, DEFAULT_MODEL};
pub(crate) use connections::{Connections, OnConnection};
pub use counters::ClientStats;
pub use embeddings::Embeddings;
pub use headers::ResponseHeaders;
pub use message::Message;
pub use prepared_chat::{AdmittedChat, PreparedChat};
pub use raw::{ApiRequest, Form, RawResponse};
pub(crate) use response::PassedOn;
pub use response::Response;
pub use stream::{ChatChunk, ChatStream};
pub use transport::{HttpRequest, HttpResponse, HttpTransport};

use config::Settings;
use counters::Counters;
use learned::Learner;
use secrets::Secrets;
use stream::Begin;
use streamed::with_stream;
use transport::{Headers, Transport};

use crate::cost::ServiceTier;
use crate::limiter::Registry;
use crate::providers::{self, Provider, Reading};
use crate::tokens::{Endpoint, Estimate, estimate};
use crate::{Cost, Error, Result};

/// A blocking client for OpenAI's API and those that speak like it. Every request is counted,
/// waits for its limiter, is sent, and settles what it used; there is no way around that.
///
/// Most callers want [`chat`](RateLimitedClient::chat), or [`post`](RateLimitedClient::post)
/// for any other endpoint and for the types of other crates. Clones share connections, limits
/// and counters; it is `Send + Sync`, so one client serves any number of threads.
///
/// ```no_run
/// use paceline::RateLimitedClient;
///
/// let client = RateLimitedClient::new()?; // OPENAI_API_KEY
/// let answer = client.chat("Name the largest moon of Saturn.")?;
/// println!("{}", answer.text());
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
pub struct RateLimitedClient {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    secrets: Secrets,
    registry: Arc<Registry>,
    settings: Settings,
    counters: Counters,
    /// Where output sizes are learned.
    learner: Option<Learner>,
    /// Set once headers were logged that are in no table.
    unknown: OnceLock<()>,
}

impl RateLimitedClient {
    /// A client with the defaults, and the key from `OPENAI_API_KEY`.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// A client with other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    fn new_with(
        transport: Transport,
        secrets: Secrets,
        registry: Arc<Registry>,
        settings: Settings,
    ) -> Self {
        // The first count would wait for it; now it loads while the caller prepares.
        let profile = settings.model_table.profile(&settings.model);
        profile.encoding().preload_in_background();
        Self {
            inner: Arc::new(Inner {
                transport,
                secrets,
                registry,
                counters: Counters::default(),
                learner: settings.learned_output.map(Learner::new),
                unknown: OnceLock::new(),
                settings,
            }),
        }
    }

    /// The connections that it has opened.
    pub(crate) fn connections(&self) -> &Connections {
        self.inner.transport.connections()
    }

    /// Its base URL as it may be shown.
    pub(crate) fn shown_base_url(&self) -> String {
        self.inner.transport.shown_base_url()
    }

    /// Sends a chat request and returns the whole answer. A plain string is one user message.
    /// The model and the output cap default to the client's and are sent.
    ///
    /// # Errors
    ///
    /// Those of [`post`](RateLimitedClient::post), and [`Error::InvalidRequest`] when the request
    /// sets `stream`: that is [`chat_stream`](RateLimitedClient::chat_stream)'s.
    pub fn chat(&self, request: impl Into<ChatRequest>) -> Result<ChatResponse> {
        self.chat_with(request, &CallOptions::new())
    }

    /// Like [`chat`](RateLimitedClient::chat), with options for this call: a deadline, a token, a
    /// priority, time-outs, headers, retries.
    ///
    /// # Errors
    ///
    /// Those of [`chat`](RateLimitedClient::chat) and [`post_with`](RateLimitedClient::post_with).
    pub fn chat_with(
        &self,
        request: impl Into<ChatRequest>,
        options: &CallOptions<'_>,
    ) -> Result<ChatResponse> {
        self.prepare_chat(request)?.send(options)
    }

    /// Counts a chat request and finds its limiter, without waiting or sending: the first half of
    /// [`chat`](RateLimitedClient::chat). The model and the output cap default to the client's.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] when the request sets `stream`.
    pub fn prepare_chat(&self, request: impl Into<ChatRequest>) -> Result<PreparedChat> {
        let body = self.chat_body(request.into())?;
        Ok(PreparedChat::new(self.prepare(self.chat_path(), &body)?))
    }

    /// Sends a chat request and returns its answer piece by piece, as it is made. Asks for the
    /// usage at the end, unless the request has `stream_options` of its own.
    ///
    /// ```no_run
    /// use std::io::Write;
    ///
    /// let client = paceline::RateLimitedClient::new()?;
    /// for piece in client.chat_stream("Tell me a long story.")? {
    ///     print!("{}", piece?.text());
    ///     std::io::stdout().flush().ok();
    /// }
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`post`](RateLimitedClient::post), until the first piece is there: until then a failure
    /// that may pass is retried.
    pub fn chat_stream(&self, request: impl Into<ChatRequest>) -> Result<ChatStream> {
        self.chat_stream_with(request, &CallOptions::new())
    }

    /// Like [`chat_stream`](RateLimitedClient::chat_stream), with options for this call. Deadline,
    /// token and time-outs hold until the stream ends, retries until it begins.
    ///
    /// # Errors
    ///
    /// Those of [`chat_stream`](RateLimitedClient::chat_stream) and
    /// [`post_with`](RateLimitedClient::post_with).
    pub fn chat_stream_with(
        &self,
        request: impl Into<ChatRequest>,
        options: &CallOptions<'_>,
    ) -> Result<ChatStream> {
        let mut body = self.chat_body(request.into())?;
        body.insert("stream".to_owned(), json!(true));
        // A stream of messages says what it used in any case.
        if self.chat_path() == CHAT {
            body.entry("stream_options")
                .or_insert_with(|| json!({"include_usage": true}));
        }
        let body = Value::Object(body);
        self.stream(self.chat_path(), &body, body.to_string(), options)
    }

    /// Sends any JSON object to any path of the API, with `stream` set, and returns the answer event by event:
    /// for Responses, and for chat requests of other crates.
    ///
    /// ```no_run
    /// use serde_json::json;
    ///
    /// let client = paceline::RateLimitedClient::new()?;
    /// let question = json!({"model": "gpt-4.1", "input": "Tell me a long story."});
    /// let mut stream = client.post_stream("/responses", &question)?;
    /// for event in stream.by_ref() {
    ///     print!("{}", event?.text());
    /// }
    /// println!("\n{:?}", stream.usage());
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`chat_stream`](RateLimitedClient::chat_stream).
    pub fn post_stream(&self, path: &str, body: &impl Serialize) -> Result<ChatStream> {
        self.post_stream_with(path, body, &CallOptions::new())
    }

    /// Like [`post_stream`](RateLimitedClient::post_stream), with options for this call, which hold until the
    /// stream ends.
    ///
    /// # Errors
    ///
    /// Those of [`chat_stream_with`](RateLimitedClient::chat_stream_with).
    pub fn post_stream_with(
        &self,
        path: &str,
        body: &impl Serialize,
        options: &CallOptions<'_>,
    ) -> Result<ChatStream> {
        let not_json = |error| Error::InvalidRequest(format!("the body is not JSON: {error}"));
        let text = serde_json::to_string(body).map_err(not_json)?;
        let text = with_stream(&text)
            .ok_or_else(|| Error::InvalidRequest("the body is not an object".to_owned()))?;
        let value = value_of(&text).map_err(not_json)?;
        self.stream(path, &value, text, options)
    }

    fn stream(
        &self,
        path: &str,
        body: &Value,
        text: String,
        options: &CallOptions<'_>,
    ) -> Result<ChatStream> {
        let prepared = self.count(path, body, text)?;
        let admitted = prepared.admit(options.acquire())?;
        let (sent, begun) = admitted.perform(None, options, &Begin, |_| AfterAttempt::Count)?;
        Ok(ChatStream::new(self.clone(), sent, begun))
    }

    /// The vectors of a list of texts, in their order.
    ///
    /// ```no_run
    /// let client = paceline::RateLimitedClient::new()?;
    /// let found = client.embeddings("text-embedding-3-small", &["a river", "a bank"])?;
    /// println!("{} dimensions", found.vectors[0].len());
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`post`](RateLimitedClient::post), and [`Error::InvalidResponse`] when a vector
    /// is missing.
    pub fn embeddings<S: AsRef<str>>(&self, model: &str, inputs: &[S]) -> Result<Embeddings> {
        self.embeddings_with(model, inputs, &CallOptions::new())
    }

    /// Like [`embeddings`](RateLimitedClient::embeddings), with options for this call.
    ///
    /// # Errors
    ///
    /// Those of [`embeddings`](RateLimitedClient::embeddings) and
    /// [`post_with`](RateLimitedClient::post_with).
    pub fn embeddings_with<S: AsRef<str>>(
        &self,
        model: &str,
        inputs: &[S],
        options: &CallOptions<'_>,
    ) -> Result<Embeddings> {
        let input: Vec<&str> = inputs.iter().map(AsRef::as_ref).collect();
        let body = json!({"model": model, "input": input});
        let response = self.post_with("/v1/embeddings", &body, options)?;
        Embeddings::read(&response, inputs.len())
    }

    /// Sends any JSON object to any path of the API, untouched, and returns the whole answer.
    /// The path may begin with the base URL's `/v1` or not; where the base URL has no path, it is
    /// taken as it is.
    ///
    /// The limits are those of the body's `model`, or of the client's when it has none; without
    /// an output cap in the body, the client's is reserved.
    ///
    /// ```no_run
    /// use serde_json::json;
    ///
    /// let client = paceline::RateLimitedClient::new()?;
    /// let answer = client.post("/responses", &json!({"model": "gpt-4.1", "input": "Hello"}))?;
    /// println!("{}", answer.body["output"]);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidRequest`] when the body is not an object, asks for a stream, or the path
    ///   cannot stand in a URL;
    /// - [`Error::TooLarge`] when it can never fit its limits;
    /// - [`Error::Closed`] when its limiter is closed;
    /// - [`Error::Api`] when the server refuses it, for good or once too often;
    /// - [`Error::Transport`] or [`Error::InvalidResponse`] when no whole answer came.
    pub fn post(&self, path: &str, body: &impl Serialize) -> Result<Response> {
        self.post_with(path, body, &CallOptions::new())
    }

    /// Like [`post`](RateLimitedClient::post), with options for this call.
    ///
    /// # Errors
    ///
    /// Those of [`post`](RateLimitedClient::post), and
    ///
    /// - [`Error::DeadlineExceeded`] when the deadline passes: at once when the wait is predicted to
    ///   pass it; its source is the last failure where one was retried;
    /// - [`Error::Cancelled`] when the token is cancelled.
    pub fn post_with(
        &self,
        path: &str,
        body: &impl Serialize,
        options: &CallOptions<'_>,
    ) -> Result<Response> {
        self.prepare(path, body)?.call(options)
    }

    /// Counts a request and finds its limiter, without waiting or sending: the first half of
    /// [`post`](RateLimitedClient::post), for callers that want to wait in one thread and send
    /// in another.
    ///
    /// ```no_run
    /// use paceline::{CancelToken, RateLimitedClient, AcquireOptions};
    /// use serde_json::json;
    ///
    /// let client = RateLimitedClient::new()?;
    /// let stop = CancelToken::new(); // for another thread to cancel
    /// let wait = AcquireOptions::new().cancel(&stop);
    ///
    /// let request = client.prepare("/responses", &json!({"model": "gpt-4.1", "input": "Hello"}))?;
    /// println!("{} tokens", request.cost().tokens);
    /// let admitted = request.admit(wait)?; // its turn has come
    /// let answer = admitted.send(wait)?;
    /// println!("{}", answer.body["output"]);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] when the body is not an object, asks for a stream, or the path
    /// cannot stand in a URL.
    pub fn prepare(&self, path: &str, body: &impl Serialize) -> Result<Prepared> {
        let not_json = |error| Error::InvalidRequest(format!("the body is not JSON: {error}"));
        // The text is what is sent: a value would round numbers of the caller's.
        let text = serde_json::to_string(body).map_err(not_json)?;
        let value = value_of(&text);
        self.prepare_counted(path, &value.map_err(not_json)?, text)
    }

    /// The same for a body of which there is the text already.
    pub(crate) fn prepare_counted(
        &self,
        path: &str,
        body: &Value,
        text: String,
    ) -> Result<Prepared> {
        is_whole(body)?;
        self.count(path, body, text)
    }

    /// What a request would take, for those that are not sent.
    pub(crate) fn weigh<'a>(&'a self, path: &str, body: &'a Value) -> Result<Weighed<'a>> {
        is_whole(body)?;
        let (model, size) = self.measure(path, body)?;
        let cost = self.settings().accounting.reserve(size.prompt, size.output);
        let tier = tier_of(body);
        Ok(Weighed {
            model,
            size,
            cost,
            tier,
        })
    }

    fn count(&self, path: &str, body: &Value, text: String) -> Result<Prepared> {
        let (model, size) = self.measure(path, body)?;
        let (path, model) = (path.to_owned(), model.to_owned());
        let has_model = body.get("model").is_some();
        let prepared = Prepared::of(self, path, text, model, size);
        Ok(prepared.in_tier(tier_of(body)).with_model(has_model))
    }

    /// The model of a request, and how large it is.
    fn measure<'a>(&'a self, path: &str, body: &'a Value) -> Result<(&'a str, Estimate)> {
        let invalid = |message: &str| Err(Error::InvalidRequest(message.to_owned()));
        let Some(fields) = body.as_object() else {
            return invalid("the body is not an object");
        };
        if !self.transport().takes(path) {
            return invalid("the path has characters that no URL has");
        }
        let model = fields.get("model").and_then(Value::as_str);
        let model = model.unwrap_or_else(|| self.usual_model(path));
        let size = estimate(
            Endpoint::from_path(path),
            body,
            &self.settings().model_table.profile(model),
            self.settings().prompt_rule,
            self.settings().max_completion_tokens,
        );
        Ok((model, size))
    }

    /// How large a request of this model is.
    #[cfg(feature = "gateway")]
    fn size_of(&self, path: &str, body: &Value, model: &str) -> Estimate {
        estimate(
            Endpoint::from_path(path),
            body,
            &self.settings().model_table.profile(model),
            self.settings().prompt_rule,
            self.settings().max_completion_tokens,
        )
    }

    /// The model of a request that names none.
    fn usual_model(&self, path: &str) -> &str {
        match Endpoint::from_path(path) {
            // As its documentation has it.
            Endpoint::Moderations => "omni-moderation-latest",
            _ => &self.settings().model,
        }
    }

    /// The model of requests that name none.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.settings().model
    }

    /// Where its limiters come from.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.inner.registry
    }

    /// What it has done so far, clones included.
    ///
    /// ```no_run
    /// let client = paceline::RateLimitedClient::new()?;
    /// client.chat("Hello")?;
    /// let stats = client.stats();
    /// println!("{} tries, {} of them retries", stats.sent, stats.retries);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        self.inner.counters.stats()
    }

    fn chat_body(&self, request: ChatRequest) -> Result<Map<String, Value>> {
        let ChatRequest {
            messages,
            mut fields,
        } = request;
        let messages = serde_json::to_value(messages)
            .map_err(|error| Error::InvalidRequest(format!("messages: {error}")))?;
        fields.insert("messages".to_owned(), messages);
        fields
            .entry("model")
            .or_insert_with(|| json!(self.settings().model));
        if !fields.contains_key("max_tokens") {
            let cap = self.settings().max_completion_tokens;
            fields
                .entry("max_completion_tokens")
                .or_insert_with(|| json!(cap));
        }
        Ok(match self.provider() {
            Some(provider) => provider.chat_body(fields),
            None => fields,
        })
    }

    /// Where chat requests go.
    fn chat_path(&self) -> &'static str {
        self.provider().map_or(CHAT, Provider::chat_path)
    }

    /// What the headers of a response say.
    fn read(&self, headers: &Headers) -> Reading {
        // Looked through and not looked up: a name that is looked up is hashed first, and most of the
        // names that are asked for are not there.
        let told: Vec<(&str, &str)> = headers.iter().collect();
        let settings = self.settings();
        let provider = settings.provider.as_deref();
        let reading = settings.provider_table.read(provider, &told, wall_clock());
        if !reading.unknown.is_empty() {
            self.inner
                .unknown
                .get_or_init(|| unknown_headers(&reading.unknown));
        }
        reading
    }

    /// Whether the base URL names a deployment, and so a model.
    fn has_deployment(&self) -> bool {
        self.shown_base_url().contains("/deployments/")
    }

    fn cached_is_free(&self) -> bool {
        let provider = self.settings().provider.as_deref();
        provider.is_some_and(Provider::cached_tokens_are_free)
    }

    /// The path that a request is sent to.
    fn path<'a>(&self, path: &'a str, model: &str) -> Cow<'a, str> {
        match self.settings().has_deployments {
            true => azure::path(path, model),
            false => path.into(),
        }
    }

    /// Whether it sends a key.
    #[cfg(feature = "gateway")]
    pub(crate) fn has_credentials(&self) -> bool {
        self.inner.transport.has_key()
    }

    /// The provider of the server, where it is known.
    #[must_use]
    pub fn provider(&self) -> Option<&Provider> {
        self.settings().provider.as_deref()
    }

    fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    fn secrets(&self) -> &Secrets {
        &self.inner.secrets
    }
}

/// The class of service that a body asks for.
pub(crate) fn tier_of(body: &Value) -> ServiceTier {
    let name = body.get("service_tier").and_then(Value::as_str);
    name.and_then(ServiceTier::from_name).unwrap_or_default()
}

// Its locks are not poisoned by a panic, and none is held while a caller's closure runs.
impl UnwindSafe for RateLimitedClient {}
impl RefUnwindSafe for RateLimitedClient {}

/// What a request would take.
pub(crate) struct Weighed<'a> {
    pub(crate) model: &'a str,
    pub(crate) size: Estimate,
    pub(crate) cost: Cost,
    pub(crate) tier: ServiceTier,
}

/// Read as a whole, a stream makes no sense, and each further try would be charged.
fn is_whole(body: &Value) -> Result<()> {
    if body.get("stream") == Some(&Value::Bool(true)) {
        let message = "post_stream and chat_stream read streams; leave out \"stream\"";
        return Err(Error::InvalidRequest(message.to_owned()));
    }
    Ok(())
}

/// Says that headers seem to speak of limits and are not understood. Only their names: a value may be
/// anything.
fn unknown_headers(names: &[String]) {
    const MOST: usize = 12;
    let shown: Vec<_> = names.iter().take(MOST).map(String::as_str).collect();
    log::warn!(
        "the server sends limits in headers that no provider table knows: {}; a table of your own can say \
         what they mean",
        shown.join(", ")
    );
}

const CHAT: &str = providers::CHAT;

/// For headers that name a date; everything else goes by a monotonic clock.
#[allow(
    clippy::disallowed_methods,
    reason = "a date can only be compared with the wall clock"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

impl fmt::Debug for RateLimitedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By allow list: the transport's headers hold the key.
        let Inner {
            transport: _,
            secrets: _,
            registry,
            settings,
            counters: _,
            learner: _,
            unknown: _,
        } = &*self.inner;
        f.debug_struct("RateLimitedClient")
            .field("settings", settings)
            .field("registry", registry)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

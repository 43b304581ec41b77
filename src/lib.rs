//! Call language-model APIs from plain threads, at exactly the pace that the account allows.
//!
//! - [`RateLimiter`]: a blocking limiter over tokens, requests and any other quota at once.
//! - [`RateLimitedClient`]: a blocking client that always passes through it.
//! - [`parallel`]: map over any number of inputs, order kept.
//! - [`batch`]: run a JSONL file of requests, and survive being killed.
//! - [`gateway`]: a local server through which programs in any language keep the limits.
//! - [`sim`]: a loopback API that enforces limits, to test programs against.
//!
//! ```no_run
//! use paceline::{RateLimitedClient, parallel};
//!
//! let client = RateLimitedClient::builder().model("gpt-4o-mini").build()?;
//! let questions = ["Why is the sky blue?", "Why is grass green?", "Why is snow white?"];
//! for answer in parallel::try_map(questions, |question| client.chat(question)) {
//!     println!("{}", answer?.text());
//! }
//! # Ok::<(), paceline::Error>(())
//! ```
//!
//! Chapters by task are in the guide: [`guide`].
//!
//! # Features
//!
//! | feature | holds | default |
//! |---|---|---|
//! | | the limiter | always |
//! | `serde` | `Serialize` of costs, usage and snapshots | by `client` |
//! | `providers` | reading responses of providers, for a limiter without the client | by `client` |
//! | `ureq` | a middleware that limits an agent of `ureq` 3 | |
//! | `tokens` | token counting, limits in files | by `client` |
//! | `client` | client, parallel map | yes |
//! | `batch` | runs over files and tables of requests; brings `client` | |
//! | `schemars` | JSON schemas of types for structured answers | |
//! | `sim` | the simulator | |
//! | `gateway` | a server that other programs send their requests through; brings `client` | |
//! | `redis` | limits shared by processes and machines, over Redis or Valkey | |
//! | `cli` | the `paceline` command | |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "batch",
        feature = "gateway",
        feature = "redis",
        feature = "schemars",
        feature = "sim",
        feature = "ureq"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the list above names every feature"
    )
)]
#![cfg_attr(
    not(feature = "batch"),
    allow(
        dead_code,
        unused_imports,
        reason = "what rooms above use; a build with all features shows what is dead"
    )
)]

#[cfg(feature = "batch")]
pub mod batch; //  a file of requests, from line to line
#[cfg(feature = "client")]
mod client; //     the blocking client
mod cost; //       what a request asks for and what it used
mod error; //      what can go wrong, and what to do
#[cfg(all(
    any(test, fuzzing),
    feature = "batch",
    feature = "redis",
    feature = "sim",
    not(paceline_loom)
))]
#[doc(hidden)]
pub mod fuzz; // everything that reads what others write, as targets of a fuzzer
#[cfg(feature = "gateway")]
pub mod gateway; // a server that other programs send their requests through
// Part of the documentation alone.
#[cfg(all(
    doc,
    feature = "batch",
    feature = "redis",
    feature = "schemars",
    feature = "sim",
    feature = "ureq"
))]
pub mod guide;
#[cfg(any(feature = "gateway", feature = "sim"))]
#[cfg_attr(
    not(feature = "gateway"),
    allow(dead_code, reason = "the simulator writes its responses whole")
)]
mod http; //       the server's side of HTTP
mod limiter; //    the pace
mod observation; //   what a server says of its limits
#[cfg(feature = "client")]
pub mod parallel; // map helpers
#[cfg(feature = "providers")]
pub mod providers; // what each provider's API says and wants
mod quota; //      what is allowed
#[cfg(feature = "sim")]
pub mod sim; //    an API that enforces limits
mod sync; //       locks that a model checker can replace
#[cfg(feature = "tokens")]
pub mod tokens; // how large a request is
mod unit; //       what limits and costs are counted in
#[cfg(feature = "ureq")]
pub mod ureq; //   a middleware that limits an agent

#[cfg(feature = "client")]
pub use client::{
    Admitted, AdmittedChat, ApiRequest, Attempt, CallOptions, ChatChunk, ChatRequest, ChatResponse,
    ChatStream, ClientBuilder, ClientStats, Completion, DEFAULT_BASE_URL,
    DEFAULT_MAX_COMPLETION_TOKENS, DEFAULT_MODEL, Embeddings, Form, HttpRequest, HttpResponse,
    HttpTransport, Message, Prepared, PreparedChat, RateLimitedClient, RawResponse, Repair,
    Response, ResponseHeaders, ToolCall, is_credential_header,
};
pub use cost::{Accounting, Cost, ServiceTier, Usage};
pub use error::{
    AcquireError, ApiError, ConfigError, Error, ErrorKind, FileError, InputKind, Result,
    TransportKind,
};
pub use limiter::{
    AcquireOptions, Advice, CancelToken, Clock, Counters, DEFAULT_JITTER, Event, KeyedLimiters,
    LimitOrigin, Limiter, ManualClock, Permit, Priority, QuotaSnapshot, RateLimiter,
    RateLimiterBuilder, Registry, Reservation, Snapshot, Ticket, Waiter, limiter_for,
};
#[cfg(feature = "redis")]
pub use limiter::{
    OnStoreOutage, SharedStore, SharedStoreBuilder, StoreLimiter, StoreProcess, StoreSnapshot,
};
pub use observation::{LimitStatus, Observation, Outcome, Refusal, Scope};
pub use quota::{
    LimitTable, Limits, LimitsBuilder, MAX_AMOUNT, MAX_PERIOD, PRESETS_DATED, Quota, Tier,
    base_model,
};
pub use unit::Unit;

/// The examples of the README are tested as those of the documentation are.
#[cfg(all(doctest, feature = "batch"))]
#[doc = include_str!("../README.md")]
struct Readme;

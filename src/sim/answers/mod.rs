//! Reading what a request asks for, and making up an answer in the API's shape.

mod chat; //       /v1/chat/completions, whole and streamed
mod completion; // /v1/completions
mod embeddings; // /v1/embeddings
mod fields; //     reading fields of a body
mod responses; //  /v1/responses
mod words; //      text of a given number of tokens

use serde_json::Value;

use super::SimConfig;
use super::charge::charge;
use super::config::{Charging, TokenCounter};
use super::draw::Draw;
use super::errors::Refusal;
use super::http::Response;
use fields::Body;

pub(super) use words::Words;

/// The key of `metadata` that says how many tokens an answer is to have.
const LENGTH: &str = "simulated_output_tokens";

/// When every answer says that it was made: a constant, so that the same request gets the same
/// answer, byte for byte.
const CREATED: u64 = 1_700_000_000;

/// The endpoints that are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Completion,
    Embeddings,
    Responses,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) model: String,
    /// The count or estimate, which the answer's usage repeats.
    prompt_tokens: u64,
    /// Output cap of one answer.
    cap: Option<u64>,
    /// Answers that are charged.
    charged: u64,
    /// Answers that are given.
    choices: u64,
    /// Tokens of each, where the request says so.
    length: Option<u64>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Chat,
    ChatStream {
        include_usage: bool,
    },
    Completion,
    Responses,
    /// One fingerprint for each input.
    Embeddings {
        inputs: Vec<u64>,
        dimensions: u64,
    },
}

impl Asked {
    /// Reads a request's body.
    pub(super) fn read(
        endpoint: Endpoint,
        body: &[u8],
        counter: Option<&TokenCounter>,
    ) -> Result<Self, Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::malformed_json())?;
        let Value::Object(body) = body else {
            return Err(Refusal::malformed_json());
        };
        let mut asked = match endpoint {
            Endpoint::Chat => chat::read(&body, counter),
            Endpoint::Completion => completion::read(&body, counter),
            Endpoint::Embeddings => embeddings::read(&body, counter),
            Endpoint::Responses => responses::read(&body, counter),
        }?;
        asked.length = length(&body);
        Ok(asked)
    }

    /// What it costs of a limit on tokens.
    pub(super) fn charge(&self, charging: &Charging) -> u64 {
        charge(charging, self.prompt_tokens, self.cap, self.charged)
    }

    /// The answer, which depends on the settings and the draw alone, and the tokens that its
    /// usage says.
    pub(super) fn answer(&self, config: &SimConfig, mut draw: Draw) -> (Response, u64) {
        let id = format!("{:016x}", draw.next());
        if let Form::Embeddings { inputs, dimensions } = &self.form {
            let answer = embeddings::answer(self, inputs, *dimensions, config.seed);
            return (answer, self.prompt_tokens);
        }
        let wished = self.length.map(|length| length..=length);
        let lengths = wished.as_ref().or(config.output_tokens.as_ref());
        let words: Vec<Words> = (0..self.choices)
            .map(|_| Words::draw(&mut draw, self.cap, lengths))
            .collect();
        let output: u64 = words.iter().map(Words::tokens).sum();
        let answer = match self.form {
            Form::Chat => chat::answer(self, &id, &words),
            Form::ChatStream { include_usage } => chat::stream(self, &id, &words, include_usage),
            Form::Completion => completion::answer(self, &id, &words),
            Form::Responses | Form::Embeddings { .. } => responses::answer(self, &id, &words),
        };
        (answer, self.prompt_tokens.saturating_add(output))
    }
}

/// How long an answer the request wishes for. The values of `metadata` are strings in the API.
fn length(body: &Body) -> Option<u64> {
    match body.get("metadata")?.get(LENGTH)? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// The `usage` of a chat or text completion.
fn usage(asked: &Asked, words: &[Words]) -> Value {
    let completion: u64 = words.iter().map(Words::tokens).sum();
    serde_json::json!({
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": asked.prompt_tokens.saturating_add(completion),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
